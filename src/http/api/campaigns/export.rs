//! A campaign's recipients as a file: what became of each, and what was reported of it.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::recipients::{Delivery, asked_of, must_exist, must_have_rows};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::eligibility::{Contactable, address_for};
use crate::domain::export::Format;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::reports::ReportKind;
use crate::http::state::AppState;
use crate::http::web::csv;
use crate::http::web::export::Written;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::campaigns::{self, archives};
use crate::store::dispatch::deliveries::{self, DeliveryRow, RecipientRow, TroubleFilter};
use crate::store::{Conn, Lane, Store, StoreError};

/// Rows that are read at once.
const ROWS: i64 = 2_000;

/// The columns before those of the reports.
const COLUMNS: &str = "contact_id,external_id,address,status,error,error_category,answer_class,attempts,sent_at";

/// The columns behind them.
const LAST_COLUMNS: &str = "provider_id,claimed_at,settled_at";

/// Which recipients, and how they are written.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Form {
    status: Option<DeliveryState>,
    kind: TroubleFilter,
    written: Written,
}

impl FromQuery for Form {
    const NAMES: &'static [&'static str] =
        &["status", "error_category", "answer_class", "skip_reason", "format", "raw"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let (status, kind) = asked_of(params)?;
        Ok(Self { status, kind, written: Written::read(params)? })
    }
}

/// A recipient as a line of JSON: the delivery as the API shows it, and what else an export says.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    delivery: Delivery,
    /// Where the channel reaches the contact now.
    address: Option<String>,
    /// What was reported.
    reported: Vec<&'static str>,
}

/// Exports a campaign's recipients as a file, in the order of their contacts. `format=csv` has a column for each kind of report, `yes` or `no`;
/// `format=jsonl` has a delivery on each line, with the kinds that were `reported`. `address` is the one that the contact has now. Cells that a
/// spreadsheet would take for formulas, and those that begin with `'`, have a `'` before them; not with `raw=true`. While the campaign is sent, each
/// row is as it was when it was read.
#[utoipa::path(get, path = "/v1/campaigns/{id}/deliveries/export", tag = "campaigns",
    params(("id" = i64, Path), ("status" = Option<DeliveryState>, Query),
        ("error_category" = inline(Option<ErrorCategory>), Query, description = "With `status`."),
        ("answer_class" = inline(Option<AnswerClass>), Query, description = "With `status`."),
        ("skip_reason" = inline(Option<SkipReason>), Query, description = "With `status`."),
        ("format" = inline(Option<Format>), Query, description = "`csv` unless given."), ("raw" = Option<bool>, Query)),
    responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = "4XX", body = Problem)))]
pub(in crate::http) async fn export(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(form): Query<Form>,
) -> Result<HttpResponse, ApiError> {
    let channel = must_exist(&state, id).await?.channel;
    must_have_rows(&state, id).await?;
    let store = state.store.clone();
    let read = move |after| portion(store.clone(), id, channel, form, after);
    let first = read(ContactId(0)).await?;
    let reports: String = ReportKind::ALL.into_iter().map(|kind| format!(",{}", kind.column())).collect();
    let header = format!("{COLUMNS}{reports},{LAST_COLUMNS}");
    Ok(form.written.answer(&format!("campaign-{id}"), &header, first, read))
}

async fn portion(
    store: Store,
    campaign: CampaignId,
    channel: ChannelKind,
    form: Form,
    after: ContactId,
) -> Result<csv::Portion<ContactId>, StoreError> {
    let read = move |conn: &mut Conn| {
        let of_kind = form.status.filter(|_| form.kind != TroubleFilter::default());
        let (rows, next) = match of_kind {
            Some(status) => deliveries::list_of_kind(conn, campaign, (status, form.kind), after, ROWS)?,
            None => {
                let rows = deliveries::list(conn, campaign, form.status, after, ROWS)?;
                let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == ROWS);
                let next = rows.last().filter(|_| is_full).map(|(row, _)| row.contact_id);
                (rows, next)
            }
        };
        // What was deleted or archived has no rows any more, and the file would look whole.
        if campaigns::find(conn, campaign)?.is_none() || archives::find(conn, campaign)?.is_some() {
            return Err(StoreError::Stale { what: "the campaign" });
        }
        let mut text = String::new();
        for (row, contact) in rows {
            match form.written.format {
                Format::Csv => text.push_str(&line(channel, &row, &contact, form.written.raw)),
                Format::Jsonl => text.push_str(&json(channel, row, contact)?),
            }
        }
        Ok(csv::Portion { text, next })
    };
    store.run(Lane::Read, "export deliveries", read).await
}

/// The contact as far as it matters how it is reached.
fn reachable(contact: &RecipientRow) -> Contactable<'_> {
    Contactable {
        email: contact.email.as_deref(),
        phone: contact.phone.as_deref(),
        external_id: contact.external_id.as_deref(),
        // The line says who it was also after the contact was deleted.
        is_deleted: false,
    }
}

fn json(channel: ChannelKind, row: DeliveryRow, contact: RecipientRow) -> Result<String, StoreError> {
    let line = Line {
        address: address_for(channel, reachable(&contact)).ok().map(ToOwned::to_owned),
        reported: ReportKind::ALL.into_iter().filter(|kind| row.reported.has(*kind)).map(ReportKind::column).collect(),
        delivery: Delivery::from((row, contact)),
    };
    let json = serde_json::to_string(&line)
        .map_err(|error| StoreError::Corrupt { what: "a delivery", detail: error.to_string() })?;
    Ok(format!("{json}\n"))
}

fn line(channel: ChannelKind, row: &DeliveryRow, contact: &RecipientRow, raw: bool) -> String {
    let cell = |text: Option<&str>| csv::cell(text.unwrap_or_default(), raw);
    let sent_at = row.settled_at.filter(|_| row.state == DeliveryState::Sent);
    let mut line = format!(
        "{},{},{},{},{},{},{},{},{}",
        contact.id,
        cell(contact.external_id.as_deref()),
        cell(address_for(channel, reachable(contact)).ok()),
        row.state,
        cell(row.reason.as_deref()),
        row.category.map(|category| category.to_string()).unwrap_or_default(),
        row.answer_class.map(|class| class.to_string()).unwrap_or_default(),
        row.attempts,
        sent_at.map(|at| at.to_string()).unwrap_or_default(),
    );
    for kind in ReportKind::ALL {
        line.push_str(if row.reported.has(kind) { ",yes" } else { ",no" });
    }
    let [claimed, settled] = [row.claimed_at, row.settled_at].map(|at| at.map(|at| at.to_string()).unwrap_or_default());
    line.push_str(&format!(",{},{claimed},{settled}\r\n", cell(row.provider_id.as_deref())));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::answer::AnswerClass;
    use crate::domain::ids::PageId;
    use crate::domain::instant::UtcInstant;
    use crate::domain::reports::{Reader, Reported};

    #[test]
    fn a_line_has_a_cell_for_each_column_and_no_cell_is_a_formula() {
        let reported = Reported::NONE.with(ReportKind::Delivered).with(ReportKind::Opened(Reader::Machine));
        let row = DeliveryRow {
            contact_id: ContactId(7),
            page_id: PageId(1),
            state: DeliveryState::Failed,
            attempts: 2,
            reason: Some("=\"no\" such user, it says".to_owned()),
            category: None,
            answer_class: Some(AnswerClass::Address),
            provider_id: None,
            due_at: UtcInstant(0),
            claimed_at: Some(UtcInstant(0)),
            settled_at: Some(UtcInstant(0)),
            reported,
        };
        let contact = RecipientRow {
            id: ContactId(7),
            external_id: None,
            email: Some("ann@example.com".to_owned()),
            phone: Some("+442079460123".to_owned()),
            first_name: None,
            last_name: None,
        };
        let failed = line(ChannelKind::Sms, &row, &contact, false);
        assert_eq!(
            failed,
            "7,,'+442079460123,failed,\"'=\"\"no\"\" such user, it says\",,address,2,,yes,no,no,no,no,yes,no,no,no,no,no,,1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.000Z\r\n"
        );
        let sent = DeliveryRow { state: DeliveryState::Sent, reason: None, answer_class: None, ..row };
        let sent = line(ChannelKind::Email, &sent, &contact, true);
        assert!(sent.starts_with("7,,ann@example.com,sent,,,,2,1970-01-01T00:00:00.000Z,yes,"), "{sent}");
        let columns = [COLUMNS, LAST_COLUMNS].map(|names| names.split(',').count());
        let columns = columns.iter().sum::<usize>() + ReportKind::ALL.len();
        assert_eq!(sent.split(',').count(), columns);
    }
}
