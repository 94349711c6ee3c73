//! Which campaigns a client asks for, and in which order.

use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::order::{Direction, SortKey};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ListId, TemplateId};
use crate::http::web::extract::{FromQuery, Params, bad_parameter};
use crate::http::web::paging::Paging;
use crate::http::web::problem::ApiError;
use crate::store::campaigns::listing::Filter;

/// The longest text that is looked for, in characters.
const MAX_SEARCH: usize = 100;

/// The parameters that select campaigns or sort them.
const SELECTING: [&str; 9] =
    ["status", "status[]", "channel", "channel[]", "template_id", "list_id", "search", "sort", "order"];

/// The same, for the API's description.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described; [`CampaignFilter`] reads them")]
pub(in crate::http) struct CampaignParams {
    /// Only these; may be repeated, also as `status[]`.
    status: Option<Vec<CampaignStatus>>,
    /// Only these; may be repeated, also as `channel[]`.
    channel: Option<Vec<ChannelKind>>,
    /// Only those that use this template.
    template_id: Option<i64>,
    /// Only those that were launched to this list.
    list_id: Option<i64>,
    /// Only those with this in their name, at most 100 characters; upper and lower case of ASCII are the same.
    search: Option<String>,
    /// Newest first unless given. Campaigns without such a time are last.
    #[param(inline)]
    sort: Option<SortKey>,
    /// `asc` unless given.
    #[param(inline)]
    order: Option<Direction>,
}

/// Which campaigns.
#[derive(Debug)]
pub(in crate::http) struct CampaignFilter {
    pub(in crate::http) paging: Paging,
    pub(in crate::http) filter: Filter,
}

impl FromQuery for CampaignFilter {
    const NAMES: &'static [&'static str] = &[
        "page",
        "page_size",
        "anchor",
        "cursor",
        "status",
        "status[]",
        "channel",
        "channel[]",
        "template_id",
        "list_id",
        "search",
        "sort",
        "order",
    ];

    const REPEATED: &'static [&'static str] = &["status", "status[]", "channel", "channel[]"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let sort = params.choice("sort", SortKey::ALL)?;
        let order = params.choice("order", Direction::ALL)?;
        if sort.is_none() && order.is_some() {
            return Err(bad_parameter("order", "not_allowed", "give sort, too: it says by what".to_owned()));
        }
        let filter = Filter {
            statuses: params.choices(&["status", "status[]"], CampaignStatus::ALL)?,
            channels: params.choices(&["channel", "channel[]"], ChannelKind::ALL)?,
            template: params.integer("template_id", 1..=i64::MAX)?.map(TemplateId),
            list: params.integer("list_id", 1..=i64::MAX)?.map(ListId),
            search: params.short("search", MAX_SEARCH)?.filter(|text| !text.is_empty()),
            order: sort.map(|key| (key, order.unwrap_or(Direction::Asc))),
        };
        Ok(Self { paging: Paging::read(params, "campaigns", &SELECTING)?, filter })
    }
}
