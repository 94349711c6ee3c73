//! A draft like another campaign.

use super::create::{self, Draft, Start};
use super::edit::DraftError;
use crate::domain::campaigns::audience::{Audience, AudienceForm};
use crate::domain::ids::CampaignId;
use crate::domain::span::Span;
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignWithDetails, TransitionError, launch};
use crate::store::dispatch::packing::parse_audience;
use crate::store::{Conn, Lane, StoreError};

/// The longest name, in characters.
const MAX_NAME: usize = 255;

/// Makes a draft of what campaign `id` says, to the same people. `name`: its name; none: the same with `(copy)` after it.
///
/// # Errors
/// [`DraftError`]: there is no such campaign, or what it names is gone: a list, a template, a pool. Contacts that are gone are left out. Nothing is stored then.
pub async fn duplicate(
    services: &Services,
    id: CampaignId,
    name: Option<String>,
    by: &By,
) -> Result<CampaignWithDetails, DraftError> {
    let draft = services
        .store
        .run(Lane::Read, "read a campaign to copy", move |conn| conn.snapshot(|conn| copied(conn, id, name)))
        .await?
        .ok_or(TransitionError::NotFound(id))?;
    create::create(services, draft, by).await
}

fn copied(conn: &mut Conn, id: CampaignId, name: Option<String>) -> Result<Option<Draft>, StoreError> {
    let Some(row) = campaigns::find(conn, id)? else { return Ok(None) };
    let CampaignWithDetails { row, details } = CampaignWithDetails::of(conn, row)?;
    let name = match name {
        Some(name) => name,
        None => free_name(conn, &row.name)?,
    };
    let audience = row.audience.as_deref().map(|stored| parse_audience(Some(stored))).transpose()?;
    // People who were deleted since are no reason to refuse a draft. Where nobody else was named, it has no audience yet.
    let audience = match audience {
        Some(mut audience) => {
            launch::forget_missing_contacts(conn, &mut audience)?;
            Audience::try_from(AudienceForm::from(audience)).ok()
        }
        None => None,
    };
    let was_launched = row.launched_at.is_some();
    Ok(Some(Draft {
        name,
        about: details.about,
        channel: row.channel,
        pool: row.pool,
        template: row.template_id,
        category: row.template_id.is_none().then_some(details.category),
        content: details.content,
        email: details.email,
        topic: row.topic_id,
        // The launch has pinned what is tracked.
        tracking: if was_launched { Some(details.tracking) } else { row.tracking.map(Into::into) },
        audience: audience.map(Into::into),
        on_uncertain: row.on_uncertain,
        rate_per_second: row.rate_per_second,
        retry_for: row.retry_for_ms.map(Span::from_ms),
        start: Start::Later,
    }))
}

/// `Spring (copy)`, or `Spring (copy 2)` where that is taken.
fn free_name(conn: &mut Conn, name: &str) -> Result<String, StoreError> {
    let base = original(name);
    let mut number = 1;
    loop {
        let copy = numbered(base, number);
        if !campaigns::listing::is_named(conn, &copy)? {
            return Ok(copy);
        }
        number += 1;
    }
}

fn numbered(base: &str, number: u32) -> String {
    let end = if number == 1 { " (copy)".to_owned() } else { format!(" (copy {number})") };
    let kept: String = base.chars().take(MAX_NAME.saturating_sub(end.len())).collect();
    format!("{}{end}", kept.trim_end())
}

/// The name without the `(copy 2)` of an earlier copy.
fn original(name: &str) -> &str {
    let Some((base, end)) = name.rsplit_once(" (copy") else { return name };
    let number = end.strip_suffix(')').map(str::trim_start);
    let is_copy = number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    if is_copy && !base.is_empty() { base } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_copy_counts_on_and_stays_as_long_as_a_name_may_be() {
        for (name, base) in [
            ("Spring", "Spring"),
            ("Spring (copy)", "Spring"),
            ("Spring (copy 12)", "Spring"),
            ("Spring (copy of it)", "Spring (copy of it)"),
            (" (copy)", " (copy)"),
        ] {
            assert_eq!(original(name), base);
        }
        assert_eq!(numbered("Spring", 1), "Spring (copy)");
        let long = "ü".repeat(255);
        assert_eq!(numbered(&long, 10).chars().count(), 255);
        assert!(numbered(&long, 10).ends_with("ü (copy 10)"));
    }
}
