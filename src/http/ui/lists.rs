//! `/ui/lists` and `/ui/lists/{id}`: what people agree to, and how many did.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::campaign_users::Users;
use super::downloads::Downloads;
use super::frame::{Frame, Section, page};
use super::words::{When, curl, grouped};
use crate::http::api::people::lists::{self, List, ListFilter};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::list_path::ListPath;
use crate::http::web::problem::ApiError;

/// A list, as pages show it.
struct ListView {
    id: i64,
    name: String,
    slug: String,
    description: String,
    /// How somebody comes to stand on it.
    joining: &'static str,
    /// Whether public pages show it, and as what.
    public: Option<(String, String)>,
    /// The three standings: the word, how many, and whether nobody has it.
    counts: [(&'static str, String, bool); 3],
    created: When,
    updated: When,
}

/// How somebody comes to stand on a list.
const fn joining(list: &List) -> &'static str {
    match (list.default_opt_in, list.double_opt_in) {
        (true, _) => "everybody who was introduced and has not refused",
        (false, true) => "who subscribes and confirms it",
        (false, false) => "who subscribes",
    }
}

impl From<List> for ListView {
    fn from(list: List) -> Self {
        let count = |word: &'static str, count: i64| (word, grouped(count), count == 0);
        Self {
            id: list.id.0,
            joining: joining(&list),
            counts: [
                count("subscribed", list.counts.subscribed),
                count("unconfirmed", list.counts.unconfirmed),
                count("unsubscribed", list.counts.unsubscribed),
            ],
            public: list.public.then(|| {
                let title = if list.public_title.is_empty() { &list.name } else { &list.public_title };
                (title.clone(), list.public_description.clone())
            }),
            slug: list.slug.unwrap_or_default(),
            name: list.name,
            description: list.description,
            created: When::of(list.created_at),
            updated: When::of(list.updated_at),
        }
    }
}

#[derive(Template)]
#[template(path = "ui/lists.html")]
struct ListsPage {
    frame: Frame,
    total: String,
    lists: Vec<ListView>,
    ways: Ways,
}

/// Shows the lists.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<ListFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let found = lists::listed(&state, which).await?;
    let ways = asked.ways("/ui/lists", "/v1/lists", found.next_cursor.as_deref());
    let frame = frame.titled("Lists").same_as(&ways.json, &ways.command);
    let shown = ListsPage {
        frame: Frame { section: Some(Section::People), ..frame },
        total: grouped(found.pagination.total_count),
        lists: found.data.into_iter().map(ListView::from).collect(),
        ways,
    };
    page(StatusCode::OK, &shown)
}

#[derive(Template)]
#[template(path = "ui/list.html")]
struct ListPage {
    frame: Frame,
    list: ListView,
    users: Users,
    downloads: Downloads,
}

/// Shows a list.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    ListPath(id): ListPath,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let list = lists::one(&state, id).await?;
    let path = format!("/v1/lists/{id}");
    let frame = frame.titled(&list.name).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let frame = Frame { section: Some(Section::People), up: Some("/ui/lists".to_owned()), ..frame };
    let downloads = Downloads::new(&format!("/ui/lists/{id}/members/export"), "");
    page(StatusCode::OK, &ListPage { frame, list: list.into(), users: Users::of_list(&state, id).await?, downloads })
}
