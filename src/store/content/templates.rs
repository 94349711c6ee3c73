//! Templates and their versions. Content never changes once written: an edit is a new version.

use std::collections::HashMap;

use diesel::prelude::*;

use super::email_fields::{self, StoredEmailFields};
use super::stored_json::{StoredJson, as_json};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::{StoredTracking, Tracking};
use crate::domain::ids::{CampaignId, TemplateId, TemplateVersionId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{campaigns, template_versions, templates};
use crate::store::{Conn, StoreError, engine};

/// A template with one of its versions.
#[derive(Debug, Clone, Queryable)]
pub struct TemplateRow {
    /// Its id.
    pub id: TemplateId,
    /// What its authors call it.
    pub name: String,
    /// What it is written for.
    pub channel: ChannelKind,
    /// Why its messages are sent.
    pub category: Category,
    /// What is tracked of its messages.
    pub tracking: StoredTracking,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When its name or content changed last.
    pub updated_at: UtcInstant,
    /// The version.
    pub version: VersionRow,
}

/// One revision of a template's content.
#[derive(Debug, Clone, Queryable)]
pub struct VersionRow {
    /// Its own id, which campaigns pin.
    pub id: TemplateVersionId,
    /// From 1, per template.
    pub version: i64,
    /// Subject line.
    pub subject: String,
    /// Plain text.
    pub body_text: String,
    /// HTML.
    pub body_html: Option<String>,
    /// When it was written.
    pub created_at: UtcInstant,
    /// What emails have beside the content.
    pub email: StoredEmailFields,
    /// Texts that go out as they are written.
    pub literal: StoredJson<Vec<String>>,
}

impl VersionRow {
    /// The content, for compiling.
    #[must_use]
    pub fn content(&self) -> Content {
        Content {
            subject: self.subject.clone(),
            text: self.body_text.clone(),
            html: self.body_html.clone(),
            literal: self.literal.0.clone(),
        }
    }
}

/// What is to change.
#[derive(Debug, Clone)]
pub struct TemplateChange {
    /// The version that the change starts from.
    pub based_on: i64,
    /// When the template was changed last, as the editor has seen it: nothing is changed that has changed since.
    pub seen: Option<UtcInstant>,
    /// The new name; `None` stays.
    pub name: Option<String>,
    /// The new category; `None` stays. A campaign keeps the one that it was launched with.
    pub category: Option<Category>,
    /// What is tracked from now on; `None` stays. A campaign keeps what it was launched with.
    pub tracking: Option<Tracking>,
    /// The new content; the same as before makes no new version.
    pub content: Content,
    /// What its emails have beside it.
    pub email: EmailFields,
}

type VersionColumns = (
    template_versions::id,
    template_versions::version,
    template_versions::subject,
    template_versions::body_text,
    template_versions::body_html,
    template_versions::created_at,
    template_versions::email,
    template_versions::literal,
);

const VERSION_COLUMNS: VersionColumns = (
    template_versions::id,
    template_versions::version,
    template_versions::subject,
    template_versions::body_text,
    template_versions::body_html,
    template_versions::created_at,
    template_versions::email,
    template_versions::literal,
);

/// Creates a template with its first version.
///
/// # Errors
/// A query failed.
pub fn create(
    conn: &mut Conn,
    name: &str,
    channel: ChannelKind,
    category: Category,
    tracking: Tracking,
    content: &Content,
    email: &EmailFields,
) -> Result<TemplateRow, StoreError> {
    let tracking = StoredTracking::from(tracking);
    conn.write(|conn| {
        let now = engine::now(conn)?;
        let id: TemplateId = diesel::insert_into(templates::table)
            .values((
                templates::name.eq(name),
                templates::channel.eq(channel),
                templates::category.eq(category),
                templates::tracking.eq(tracking),
                templates::created_at.eq(now),
                templates::updated_at.eq(now),
            ))
            .returning(templates::id)
            .get_result(conn)
            .map_err(StoreError::query("create a template"))?;
        let version = add_version(conn, Some(id), 1, content, email, now)?;
        Ok(TemplateRow {
            id,
            name: name.to_owned(),
            channel,
            category,
            tracking,
            created_at: now,
            updated_at: now,
            version,
        })
    })
}

/// Why the messages of these templates are sent.
///
/// # Errors
/// The query failed.
pub fn categories(conn: &mut Conn, ids: &[TemplateId]) -> Result<HashMap<TemplateId, Category>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    templates::table
        .filter(templates::id.eq_any(ids.to_vec()))
        .select((templates::id, templates::category))
        .load::<(TemplateId, Category)>(conn)
        .map(|rows| rows.into_iter().collect())
        .map_err(StoreError::query("read the categories of templates"))
}

/// What is tracked of the messages of these templates.
///
/// # Errors
/// The query failed.
pub fn trackings(conn: &mut Conn, ids: &[TemplateId]) -> Result<HashMap<TemplateId, Tracking>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    templates::table
        .filter(templates::id.eq_any(ids.to_vec()))
        .select((templates::id, templates::tracking))
        .load::<(TemplateId, StoredTracking)>(conn)
        .map(|rows| rows.into_iter().map(|(id, tracking)| (id, tracking.into())).collect())
        .map_err(StoreError::query("read what is tracked of templates"))
}

/// Writes content. Without a template it belongs to one campaign alone.
///
/// # Errors
/// The query failed.
pub fn add_version(
    conn: &mut Conn,
    template: Option<TemplateId>,
    version: i64,
    content: &Content,
    email: &EmailFields,
    now: UtcInstant,
) -> Result<VersionRow, StoreError> {
    diesel::insert_into(template_versions::table)
        .values((
            template_versions::template_id.eq(template),
            template_versions::version.eq(version),
            template_versions::subject.eq(&content.subject),
            template_versions::body_text.eq(&content.text),
            template_versions::body_html.eq(&content.html),
            template_versions::created_at.eq(now),
            template_versions::email.eq(email_fields::as_json(email)?),
            template_versions::literal.eq(as_json(&content.literal, "literal texts")?),
        ))
        .returning(VERSION_COLUMNS)
        .get_result(conn)
        .map_err(StoreError::query("store a template version"))
}

/// Removes the content that belonged to a campaign alone, once the campaign has another. What anything else uses stays.
///
/// # Errors
/// The query failed.
pub fn forget_own_version(conn: &mut Conn, id: TemplateVersionId) -> Result<(), StoreError> {
    let used = campaigns::table.filter(campaigns::template_version_id.eq(id));
    let own = template_versions::table.find(id).filter(template_versions::template_id.is_null());
    diesel::delete(own.filter(diesel::dsl::not(diesel::dsl::exists(used))))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("remove a content that was replaced"))
}

/// A version by its own id, whatever it belongs to.
///
/// # Errors
/// The query failed.
pub fn find_version(conn: &mut Conn, id: TemplateVersionId) -> Result<Option<VersionRow>, StoreError> {
    template_versions::table
        .find(id)
        .select(VERSION_COLUMNS)
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a template version"))
}

/// The contents of these versions.
///
/// # Errors
/// The query failed.
pub fn contents(conn: &mut Conn, ids: &[TemplateVersionId]) -> Result<HashMap<TemplateVersionId, Content>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let versions: Vec<VersionRow> = template_versions::table
        .filter(template_versions::id.eq_any(ids.to_vec()))
        .select(VERSION_COLUMNS)
        .load(conn)
        .map_err(StoreError::query("read template versions"))?;
    Ok(versions.into_iter().map(|version| (version.id, version.content())).collect())
}

/// What a template is called, deleted or not: campaigns that were launched with it go on.
///
/// # Errors
/// The query failed.
pub fn name_of(conn: &mut Conn, id: TemplateId) -> Result<Option<String>, StoreError> {
    templates::table
        .find(id)
        .select(templates::name)
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a template's name"))
}

/// A live template with the version asked for, or with its latest.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: TemplateId, version: Option<i64>) -> Result<Option<TemplateRow>, StoreError> {
    let mut query = template_versions::table
        .inner_join(templates::table.on(template_versions::template_id.eq(templates::id.nullable())))
        .filter(templates::id.eq(id).and(templates::deleted_at.is_null()))
        .order(template_versions::version.desc())
        .select((
            templates::id,
            templates::name,
            templates::channel,
            templates::category,
            templates::tracking,
            templates::created_at,
            templates::updated_at,
            VERSION_COLUMNS,
        ))
        .into_boxed();
    if let Some(version) = version {
        query = query.filter(template_versions::version.eq(version));
    }
    query.first(conn).optional().map_err(StoreError::query("read a template"))
}

/// Live templates with their latest versions, newest first.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, channel: Option<ChannelKind>, window: Window) -> Result<Slice<TemplateRow>, StoreError> {
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => templates::table
                .select(diesel::dsl::max(templates::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list templates"))?
                .unwrap_or_default(),
        };
        let live = || {
            let live =
                templates::table.filter(templates::deleted_at.is_null().and(templates::id.le(anchor))).into_boxed();
            match channel {
                Some(channel) => live.filter(templates::channel.eq(channel)),
                None => live,
            }
        };
        let total = live().count().get_result(conn).map_err(StoreError::query("count templates"))?;
        let ids: Vec<TemplateId> = live()
            .filter(templates::id.lt(window.before.unwrap_or(i64::MAX)))
            .order(templates::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(templates::id)
            .load(conn)
            .map_err(StoreError::query("list templates"))?;
        // At most a page of them.
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(find(conn, id, None)?);
        }
        Ok(window.slice(rows, total, anchor))
    })
}

/// Versions of a template, newest first: they are counted by their numbers, which have no gap. `None` when there is no such template.
///
/// # Errors
/// A query failed.
pub fn versions(conn: &mut Conn, id: TemplateId, window: Window) -> Result<Option<Slice<VersionRow>>, StoreError> {
    conn.snapshot(|conn| {
        let Some(latest) = find(conn, id, None)? else { return Ok(None) };
        let latest = latest.version.version;
        let anchor = window.anchor.map_or(latest, |anchor| anchor.min(latest));
        let rows = template_versions::table
            .filter(template_versions::template_id.eq(id).and(template_versions::version.le(anchor)))
            .filter(template_versions::version.lt(window.before.unwrap_or(i64::MAX)))
            .order(template_versions::version.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(VERSION_COLUMNS)
            .load(conn)
            .map_err(StoreError::query("list the versions of a template"))?;
        Ok(Some(window.slice(rows, anchor, anchor)))
    })
}

/// Changes a template; other content is a new version. `None` when there is no such template.
///
/// # Errors
/// [`StoreError::Stale`] when somebody else wrote a version meanwhile, or a query failed.
pub fn change(conn: &mut Conn, id: TemplateId, change: &TemplateChange) -> Result<Option<TemplateRow>, StoreError> {
    conn.write(|conn| {
        let now = engine::now(conn)?;
        // First of all, this takes the row's lock: two edits get two version numbers.
        let is_as_seen =
            templates::updated_at
                .eq(change.seen.unwrap_or(UtcInstant(0)))
                .or(change.seen.is_none().into_sql::<diesel::sql_types::Bool>());
        let live = templates::id.eq(id).and(templates::deleted_at.is_null());
        let changed = diesel::update(templates::table.filter(live.and(is_as_seen)))
            .set(templates::updated_at.eq(now))
            .execute(conn)
            .map_err(StoreError::query("change a template"))?;
        let Some(latest) = find(conn, id, None)? else { return Ok(None) };
        if changed == 0 {
            return Err(StoreError::Stale { what: "the template" });
        }
        if let Some(name) = &change.name {
            diesel::update(templates::table.find(id))
                .set(templates::name.eq(name))
                .execute(conn)
                .map_err(StoreError::query("rename a template"))?;
        }
        if let Some(category) = change.category {
            diesel::update(templates::table.find(id))
                .set(templates::category.eq(category))
                .execute(conn)
                .map_err(StoreError::query("change a template's category"))?;
        }
        if let Some(tracking) = change.tracking {
            diesel::update(templates::table.find(id))
                .set(templates::tracking.eq(StoredTracking::from(tracking)))
                .execute(conn)
                .map_err(StoreError::query("change what is tracked of a template"))?;
        }
        if latest.version.version != change.based_on {
            return Err(StoreError::Stale { what: "the template" });
        }
        if change.content != latest.version.content() || change.email != latest.version.email.0 {
            add_version(conn, Some(id), latest.version.version + 1, &change.content, &change.email, now)?;
        }
        find(conn, id, None)
    })
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone from lists; campaigns that were sent with it keep its content.
    Done,
    /// There is no such template.
    NotFound,
    /// These campaigns are going to send it, or are at it.
    InUse(Vec<CampaignId>),
}

/// Deletes a template unless a campaign that is scheduled, sending or paused uses it.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, id: TemplateId) -> Result<Deleted, StoreError> {
    const USING: [CampaignStatus; 3] = [CampaignStatus::Scheduled, CampaignStatus::Sending, CampaignStatus::Paused];
    conn.write(|conn| {
        let mut using: Vec<CampaignId> = Vec::new();
        for status in USING {
            let of_template = campaigns::template_id.eq(id).and(campaigns::deleted_at.is_null());
            let found: Vec<CampaignId> = campaigns::table
                .filter(of_template.and(campaigns::status.eq(status)))
                .select(campaigns::id)
                .load(conn)
                .map_err(StoreError::query("look for campaigns that use a template"))?;
            using.extend(found);
        }
        if !using.is_empty() {
            return Ok(Deleted::InUse(using));
        }
        // A campaign that launches right now has pinned its version, which stays.
        let now = engine::now(conn)?;
        let deleted =
            diesel::update(templates::table.filter(templates::id.eq(id).and(templates::deleted_at.is_null())))
                .set((templates::deleted_at.eq(now), templates::updated_at.eq(now)))
                .execute(conn)
                .map_err(StoreError::query("delete a template"))?;
        Ok(if deleted == 1 { Deleted::Done } else { Deleted::NotFound })
    })
}
