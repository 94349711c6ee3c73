//! `/ui/campaigns/{id}/pages`: where on a campaign's pages the trouble is.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use super::words::{counted, curl, grouped};
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::page_map::{self, CampaignPages, MOST_CELLS, PageCell, Which};
use crate::http::api::overview;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;

/// How many cells stand side by side: few are drawn larger.
const SIDE_BY_SIDE: std::ops::RangeInclusive<usize> = 20..=40;

/// The side of a cell with the gap behind it.
const STEP: usize = 12;

/// Most cells that are listed with their numbers.
const MOST_LISTED: usize = 20;

/// One of so many that failed makes a cell one of trouble.
const FAILING: i64 = 20;

/// What a cell shows: its worst news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Lost,
    Uncertain,
    Failed,
    Sending,
    Pending,
    Skipped,
    Sent,
}

/// All of it in the order of the legend, with what each means.
const LEGEND: [(News, &str); 7] = [
    (News::Sent, "done"),
    (News::Sending, "in the hands of an instance"),
    (News::Pending, "waiting"),
    (News::Skipped, "skipped"),
    (News::Failed, "one in twenty failed, or more"),
    (News::Uncertain, "somebody is uncertain"),
    (News::Lost, "lost by its owner"),
];

impl News {
    fn of(cell: &PageCell) -> Self {
        let counts = &cell.counts;
        if cell.overdue > 0 || cell.deaths > 0 {
            Self::Lost
        } else if counts.uncertain > 0 {
            Self::Uncertain
        } else if counts.failed * FAILING >= counts.total().max(1) {
            Self::Failed
        } else if cell.leased > 0 || counts.sending > 0 {
            Self::Sending
        } else if counts.pending > 0 {
            Self::Pending
        } else if counts.skipped == counts.total() {
            Self::Skipped
        } else {
            Self::Sent
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Uncertain => "uncertain",
            Self::Failed => "failed",
            Self::Sending => "sending",
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Sent => "sent",
        }
    }

    const fn is_trouble(self) -> bool {
        matches!(self, Self::Lost | Self::Uncertain | Self::Failed)
    }
}

#[derive(Template)]
#[template(path = "ui/page_map.html")]
struct MapPage {
    frame: Frame,
    id: i64,
    name: String,
    /// The size of the drawing. `None`: there are no pages.
    size: Option<(usize, usize)>,
    /// How many cells stand side by side.
    side_by_side: usize,
    cells: Vec<Drawn>,
    /// All of it in words.
    sentence: String,
    legend: Vec<(&'static str, &'static str, String)>,
    troubled: Vec<Row>,
    /// How many cells of trouble are not listed.
    more: Option<String>,
}

/// A cell of the drawing.
struct Drawn {
    x: usize,
    y: usize,
    news: &'static str,
    words: String,
    /// The id before that of its first contact.
    after: i64,
}

/// A cell of trouble.
struct Row {
    news: &'static str,
    pages: String,
    owners: String,
    numbers: [String; 4],
    deaths: i64,
    /// Its pages one by one, where it puts several together.
    closer: Option<String>,
    people: String,
}

fn pages(cell: &PageCell) -> String {
    match (cell.first_page, cell.last_page) {
        (first, last) if first == last => format!("page {}", grouped(first)),
        (first, last) => format!("pages {} to {}", grouped(first), grouped(last)),
    }
}

fn owners(cell: &PageCell) -> String {
    match (cell.first_instance_id, cell.last_instance_id) {
        (Some(first), Some(last)) if first == last => format!("instance {first}"),
        (Some(first), Some(last)) => format!("instances {first} to {last}"),
        _ => String::new(),
    }
}

fn draw(place: usize, side: usize, cell: &PageCell) -> Drawn {
    let counts = &cell.counts;
    let shown = [
        (counts.sent, "sent"),
        (counts.failed, "failed"),
        (counts.uncertain, "uncertain"),
        (counts.skipped, "skipped"),
        (counts.sending, "sending"),
        (counts.pending, "pending"),
    ];
    let numbers =
        shown.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", grouped(*count)));
    let held = Some(owners(cell)).filter(|owners| !owners.is_empty()).map(|owners| format!("; {owners}"));
    let numbers: Vec<String> = numbers.collect();
    Drawn {
        x: place % side * STEP,
        y: place / side * STEP,
        news: News::of(cell).as_str(),
        words: format!("{}: {}{}", pages(cell), numbers.join(", "), held.unwrap_or_default()),
        after: cell.first_contact_id.0 - 1,
    }
}

fn row(id: CampaignId, cell: &PageCell, together: i64) -> Row {
    let news = News::of(cell);
    let status = match news {
        News::Failed => "failed",
        News::Uncertain => "uncertain",
        News::Lost | News::Sending | News::Pending | News::Skipped | News::Sent => "sending",
    };
    let counts = &cell.counts;
    let before = cell.first_contact_id.0 - 1;
    Row {
        news: news.as_str(),
        pages: pages(cell),
        owners: owners(cell),
        numbers: [counts.sent, counts.failed, counts.uncertain, counts.pending].map(grouped),
        deaths: cell.deaths,
        closer: (together > 1)
            .then(|| format!("/ui/campaigns/{id}/pages?from_page={}&to_page={}", cell.first_page, cell.last_page)),
        people: format!("/ui/campaigns/{id}/people?status={status}&cursor=after-{before}"),
    }
}

fn sentence(map: &CampaignPages) -> String {
    let all = counted(map.page_count, "page is packed", "pages are packed");
    match map.pages_per_cell {
        1 => format!("{all}. Each cell is a page, in the order of the contacts."),
        together => {
            format!("{all}. Each cell is {} neighbouring pages, in the order of the contacts.", grouped(together))
        }
    }
}

/// Draws the pages.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<HttpResponse, ApiError> {
    let name = overview::sight(&state, id).await?.campaign.name;
    let map = page_map::drawn(&state, id, which).await?;
    let path = format!("/v1/campaigns/{id}/pages?cells={MOST_CELLS}");
    let frame = frame.titled(&format!("Pages of {name}")).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let mut troubled: Vec<&PageCell> = map.cells.iter().filter(|cell| News::of(cell).is_trouble()).collect();
    troubled.sort_by_key(|cell| News::of(cell));
    let unlisted = troubled.len().saturating_sub(MOST_LISTED);
    let side = map.cells.len().clamp(*SIDE_BY_SIDE.start(), *SIDE_BY_SIDE.end());
    let of = |news: News| map.cells.iter().filter(|cell| News::of(cell) == news).count();
    let number = |count: usize| grouped(i64::try_from(count).unwrap_or(i64::MAX));
    let shown = MapPage {
        frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
        id: id.0,
        name,
        size: (!map.cells.is_empty()).then(|| (side * STEP, map.cells.len().div_ceil(side) * STEP)),
        side_by_side: side,
        cells: map.cells.iter().enumerate().map(|(place, cell)| draw(place, side, cell)).collect(),
        sentence: sentence(&map),
        legend: LEGEND
            .into_iter()
            .map(|(news, words)| (news.as_str(), words, of(news)))
            .filter(|(_, _, count)| *count > 0)
            .map(|(news, words, count)| (news, words, number(count)))
            .collect(),
        troubled: troubled.into_iter().take(MOST_LISTED).map(|cell| row(id, cell, map.pages_per_cell)).collect(),
        more: (unlisted > 0).then(|| number(unlisted)),
    };
    page(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::page::Counts;
    use crate::domain::ids::ContactId;

    fn cell(counts: Counts) -> PageCell {
        PageCell {
            first_page: 1,
            last_page: 1,
            first_contact_id: ContactId(1),
            last_contact_id: ContactId(1_000),
            counts,
            leased: 0,
            overdue: 0,
            deaths: 0,
            first_instance_id: None,
            last_instance_id: None,
        }
    }

    #[test]
    fn a_cell_shows_its_worst_news() {
        let sent = Counts { sent: 951, failed: 49, ..Counts::default() };
        assert_eq!(News::of(&cell(sent)), News::Sent, "a few fail everywhere");
        let failed = Counts { sent: 950, failed: 50, ..Counts::default() };
        assert_eq!(News::of(&cell(failed)), News::Failed);
        assert_eq!(News::of(&cell(Counts { uncertain: 1, ..failed })), News::Uncertain);
        assert_eq!(News::of(&PageCell { deaths: 1, ..cell(Counts { uncertain: 1, ..failed }) }), News::Lost);
        assert_eq!(News::of(&PageCell { overdue: 1, ..cell(sent) }), News::Lost);
        assert_eq!(News::of(&PageCell { leased: 1, ..cell(sent) }), News::Sending);
        assert_eq!(News::of(&cell(Counts { pending: 1, ..sent })), News::Pending);
        assert_eq!(News::of(&cell(Counts { skipped: 1_000, ..Counts::default() })), News::Skipped);
        assert_eq!(News::of(&cell(Counts { skipped: 999, sent: 1, ..Counts::default() })), News::Sent);
    }
}
