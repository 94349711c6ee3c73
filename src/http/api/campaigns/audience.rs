//! Who a campaign is for, as clients write it: lists go by their ids or their slugs. They are stored by their ids.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::campaigns::audience::{AudienceForm, Exclusion};
use crate::domain::ids::{ContactId, ListId};
use crate::http::state::AppState;
use crate::http::web::list_path::{ListName, NamedLists};
use crate::http::web::problem::ApiError;

/// Most lists, and most tags, in one field.
const MAX_NAMED: usize = 1_000;

/// An audience to store: everybody who is named in any of the ways, each once, less those who are left out in any of them. Mailing
/// everybody must be said.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AudienceInput {
    /// Those who are subscribed to any of these lists at the launch, and still are when they are packed. At most 1,000 lists.
    #[serde(default)]
    lists: Vec<ListName>,
    /// These contacts.
    #[serde(default)]
    contact_ids: Vec<ContactId>,
    /// Those who have any of these tags. At most 1,000.
    #[serde(default)]
    tags: Vec<String>,
    /// Every live contact.
    #[serde(default)]
    all: bool,
    /// Who is left out of the above.
    #[serde(default)]
    exclude: ExclusionInput,
}

/// People left out of an audience.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ExclusionInput {
    /// Those who are on any of these lists, also if they left it. At most 1,000 lists.
    #[serde(default)]
    lists: Vec<ListName>,
    /// These contacts.
    #[serde(default)]
    contact_ids: Vec<ContactId>,
    /// Those who have any of these tags. At most 1,000.
    #[serde(default)]
    tags: Vec<String>,
}

impl AudienceInput {
    fn check(&self) -> Result<(), ApiError> {
        let fields = [
            ("/audience/lists", self.lists.len()),
            ("/audience/tags", self.tags.len()),
            ("/audience/exclude/lists", self.exclude.lists.len()),
            ("/audience/exclude/tags", self.exclude.tags.len()),
        ];
        match fields.into_iter().find(|(_, count)| *count > MAX_NAMED) {
            Some((field, _)) => Err(ApiError::field(field, "out_of_range", format!("at most {MAX_NAMED}"))),
            None => Ok(()),
        }
    }
}

fn read_all(named: &mut NamedLists, field: &str, lists: &[ListName]) -> Vec<ListId> {
    lists.iter().enumerate().filter_map(|(at, list)| named.read(format!("{field}/{at}"), list)).collect()
}

/// The topic and the audience of a body, with the ids of the lists that they name.
///
/// # Errors
/// 404 that names the fields whose lists do not exist; 422 for too many.
pub(super) async fn resolve(
    state: &AppState,
    topic: Option<&ListName>,
    audience: Option<&AudienceInput>,
) -> Result<(Option<ListId>, Option<AudienceForm>), ApiError> {
    audience.map_or(Ok(()), AudienceInput::check)?;
    let in_audience = audience.into_iter().flat_map(|audience| audience.lists.iter().chain(&audience.exclude.lists));
    let keys = topic.into_iter().chain(in_audience).map(|ListName(key)| key.clone()).collect();
    let mut named = NamedLists::look_up(state, keys).await?;
    let topic = topic.and_then(|topic| named.read("/topic_id", topic));
    let audience = audience.map(|audience| AudienceForm {
        lists: read_all(&mut named, "/audience/lists", &audience.lists),
        contact_ids: audience.contact_ids.clone(),
        tags: audience.tags.clone(),
        all: audience.all,
        exclude: Exclusion {
            lists: read_all(&mut named, "/audience/exclude/lists", &audience.exclude.lists),
            contact_ids: audience.exclude.contact_ids.clone(),
            tags: audience.exclude.tags.clone(),
        },
    });
    named.finish()?;
    Ok((topic, audience))
}
