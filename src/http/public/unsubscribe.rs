//! `/u/TOKEN`: saying no, by one request of a mailbox provider (RFC 8058) or by one button.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{Answer, Asked, Head, Said, answer};
use super::words::fill;
use super::{Form, Visit, in_part, listed, opened};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::people::consent::Source;
use crate::domain::people::link::Link;
use crate::http::AppState;
use crate::services::people::refusal_desk::Taken;
use crate::services::people::say_no::What;
use crate::services::people::standings::Refused;
use crate::store::people::topics::{self, Person, TopicRow};
use crate::store::{Conn, Lane, StoreError};

/// Asks whether to unsubscribe. Changes nothing.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
) -> HttpResponse {
    opened(state, request, token, async |visit| ask(&visit).await).await
}

async fn ask(visit: &Visit) -> Result<HttpResponse, HttpResponse> {
    let Link::Unsubscribe { campaign, contact } = visit.link else { return Err(visit.missing()) };
    // Without the database the page knows less, and its button works.
    let (person, topics) = read(visit, campaign, contact).await.unwrap_or_default();
    let language = visit.language(person.as_ref().and_then(|person| person.keys.locale.as_deref()));
    let words = &language.words;
    let question = match topics.as_slice() {
        [] => words.unsubscribe_everything.clone(),
        topics => fill(&words.unsubscribe_topics, &[("{topics}", &listed(topics.iter().map(TopicRow::title)))]),
    };
    let address = person.as_ref().and_then(|person| in_part(&person.keys));
    let page = Asked {
        head: Head::new(&language, &words.unsubscribe_title),
        question,
        quiet: address.map(|address| fill(&words.address, &[("{address}", &address)])),
        answers: vec![Answer::first("unsubscribe", &words.unsubscribe_button)],
    };
    Ok(answer(StatusCode::OK, &page))
}

/// Says no. Whatever the body says, or if there is none: the address alone asks for it.
pub(in crate::http) async fn refuse(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    opened(state, request, token, async |visit| say_no(&visit, body).await).await
}

async fn say_no(visit: &Visit, body: web::Payload) -> Result<HttpResponse, HttpResponse> {
    let Link::Unsubscribe { campaign, contact } = visit.link else { return Err(visit.missing()) };
    let source =
        if Form::read(body).await.is_ok_and(|form| form.act().is_some()) { Source::PAGE } else { Source::ONE_CLICK };
    let taken = visit.state.desk.refuse(visit.no(What::Campaign(campaign), Some(campaign), &source)).await;
    match taken {
        // A mailbox provider reads no page.
        Ok(Taken::Stored(_)) if source == Source::ONE_CLICK => Ok(refused(visit, contact, None).await),
        Ok(Taken::Stored(what)) => Ok(refused(visit, contact, Some(what)).await),
        Ok(Taken::Spooled) => Ok(refused(visit, contact, None).await),
        Err(not_taken) => Err(visit.away(&not_taken)),
    }
}

/// Says what was refused, as far as it is known.
async fn refused(visit: &Visit, contact: ContactId, what: Option<Refused>) -> HttpResponse {
    let (person, topics) = match &what {
        Some(what) => read_refused(visit, contact, what).await.unwrap_or_default(),
        None => Default::default(),
    };
    let language = visit.language(person.as_ref().and_then(|person| person.keys.locale.as_deref()));
    let words = &language.words;
    let line = match topics.as_slice() {
        [] if what.as_ref().is_some_and(|what| what.everything) => words.unsubscribed_everything.clone(),
        [] => words.unsubscribed_soon.clone(),
        topics => fill(&words.unsubscribed_topics, &[("{topics}", &listed(topics.iter().map(TopicRow::title)))]),
    };
    let page = Said { head: Head::new(&language, &words.unsubscribed_title), lines: vec![line] };
    answer(StatusCode::OK, &page)
}

type Read = (Option<Person>, Vec<TopicRow>);

async fn read(visit: &Visit, campaign: CampaignId, contact: ContactId) -> Result<Read, StoreError> {
    let read = move |conn: &mut Conn| Ok((topics::person(conn, contact)?, topics::of_campaign(conn, campaign)?));
    visit.state.store.run(Lane::LookUp, "read what a link is about", read).await
}

async fn read_refused(visit: &Visit, contact: ContactId, refused: &Refused) -> Result<Read, StoreError> {
    let ids = refused.topics.clone();
    let read = move |conn: &mut Conn| {
        let mut named = Vec::new();
        for id in ids {
            named.extend(topics::find(conn, id)?);
        }
        Ok((topics::person(conn, contact)?, named))
    };
    visit.state.store.run(Lane::LookUp, "read what was refused", read).await
}
