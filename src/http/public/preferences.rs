//! `/preferences/TOKEN`: what a contact agreed to, and the way to change it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{Answer, Asked, Choice, Head, Preferences, Said, answer};
use super::words::{Language, fill};
use super::{Form, Visit, in_part};
use crate::domain::ids::{CampaignId, ListId};
use crate::domain::people::consent::Source;
use crate::domain::people::link::Link;
use crate::http::AppState;
use crate::http::web::edge;
use crate::services::people::preferences::{Chosen, Seen, choose, see};
use crate::services::people::refusal_desk::Taken;
use crate::services::people::say_no::What;
use crate::store::{Conn, Lane};

/// Shows what the contact agreed to. An expired link shows nothing, and offers to refuse.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
) -> HttpResponse {
    let visit = match Visit::of(state, request, &token).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let Link::Preferences { contact, .. } = visit.link else { return visit.missing() };
    let read = move |conn: &mut Conn| see(conn, contact);
    match visit.state.store.run(Lane::LookUp, "read preferences", read).await {
        Ok(Some(seen)) if visit.is_expired() => expired(&visit.language(seen.person.keys.locale.as_deref())),
        Ok(Some(seen)) => page(&visit.language(seen.person.keys.locale.as_deref()), seen, None),
        Ok(None) => visit.missing(),
        Err(error) => visit.away(&error),
    }
}

/// Stores what the contact chooses, or refuses everything.
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let visit = match Visit::of(state, request, &token).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let Link::Preferences { campaign, .. } = visit.link else { return visit.missing() };
    let form = Form::read(body).await;
    match form.act() {
        Some("nothing") => refuse_everything(&visit, campaign).await,
        _ if visit.is_expired() => {
            let language = visit.own_language().await;
            expired(&language)
        }
        Some("save") => save(&visit, campaign, &form).await,
        Some(_) | None => visit.missing(),
    }
}

async fn refuse_everything(visit: &Visit, campaign: CampaignId) -> HttpResponse {
    let no = visit.no(What::Everything, Some(campaign), &Source::PREFERENCES);
    let language = match visit.state.desk.refuse(no).await {
        Ok(Taken::Stored(_)) => visit.own_language().await,
        Ok(Taken::Spooled) => visit.language(None),
        Err(not_taken) => return visit.away(&not_taken),
    };
    let words = &language.words;
    let head = Head::new(&language, &words.unsubscribed_title);
    answer(StatusCode::OK, &Said { head, lines: vec![words.unsubscribed_everything.clone()] })
}

async fn save(visit: &Visit, campaign: CampaignId, form: &Form) -> HttpResponse {
    if visit.state.desk.is_spooling() {
        return visit.away(&"refusals wait for the database, and what they say comes first");
    }
    let lists = |name: &str| form.numbers(name).into_iter().map(ListId).collect();
    let chosen = Chosen {
        shown: lists("shown"),
        was: lists("was"),
        wanted: lists("topic"),
        campaign,
        client: visit.client(),
        request_id: edge::request_id(&visit.request),
    };
    let (book, contact) = (visit.state.services.refusals.clone(), visit.link.contact());
    let store = move |conn: &mut Conn| choose(conn, &book, contact, &chosen);
    match visit.state.store.transact(Lane::Control, "store preferences", store).await {
        Ok(Some(seen)) => {
            let language = visit.language(seen.person.keys.locale.as_deref());
            let note = language.words.preferences_saved.clone();
            page(&language, seen, Some(note))
        }
        Ok(None) => visit.missing(),
        Err(error) => visit.away(&error),
    }
}

fn page(language: &Language, seen: Seen, note: Option<String>) -> HttpResponse {
    let words = &language.words;
    let address = in_part(&seen.person.keys).unwrap_or_default();
    let choices = seen.topics.into_iter().map(|(topic, is_on)| Choice {
        id: topic.id.0,
        title: topic.title().to_owned(),
        description: topic.public_description,
        is_on,
    });
    let page = Preferences {
        head: Head::new(language, &words.preferences_title),
        words,
        note,
        lead: fill(&words.preferences_lead, &[("{address}", &address)]),
        has_refused: seen.has_refused,
        topics: choices.collect(),
    };
    answer(StatusCode::OK, &page)
}

/// The holder of the link may still say no.
fn expired(language: &Language) -> HttpResponse {
    let words = &language.words;
    let page = Asked {
        head: Head::new(language, &words.expired_title),
        question: words.expired_text.clone(),
        quiet: Some(words.everything_text.clone()),
        answers: vec![Answer::first("nothing", &words.everything_button)],
    };
    answer(StatusCode::GONE, &page)
}
