//! `/preferences/TOKEN`: what a contact agreed to, and the way to change it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{Answer, Asked, Choice, Head, Preferences, Said, answer};
use super::words::{Language, fill};
use super::{Form, Visit, in_part, opened};
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
    opened(state, request, token, async |visit| ask(&visit).await).await
}

async fn ask(visit: &Visit) -> Result<HttpResponse, HttpResponse> {
    let Link::Preferences { contact, .. } = visit.link else { return Err(visit.missing()) };
    let read = move |conn: &mut Conn| see(conn, contact);
    let seen = visit.state.store.run(Lane::LookUp, "read preferences", read).await;
    let seen = seen.map_err(|error| visit.away(&error))?.ok_or_else(|| visit.missing())?;
    let language = visit.language(seen.person.keys.locale.as_deref());
    Ok(if visit.is_expired() { expired(&language) } else { page(&language, seen, None) })
}

/// Stores what the contact chooses, or refuses everything.
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    opened(state, request, token, async |visit| choose_by(&visit, body).await).await
}

async fn choose_by(visit: &Visit, body: web::Payload) -> Result<HttpResponse, HttpResponse> {
    let Link::Preferences { campaign, .. } = visit.link else { return Err(visit.missing()) };
    let form = Form::read(body).await.map_err(|why| visit.unread(why))?;
    match form.act() {
        Some("nothing") => refuse_everything(visit, campaign).await,
        _ if visit.is_expired() => Ok(expired(visit.own_language().await.as_ref())),
        Some("save") => save(visit, campaign, &form).await,
        Some(_) | None => Err(visit.missing()),
    }
}

async fn refuse_everything(visit: &Visit, campaign: CampaignId) -> Result<HttpResponse, HttpResponse> {
    let no = visit.no(What::Everything, Some(campaign), &Source::PREFERENCES);
    let language = match visit.state.desk.refuse(no).await {
        Ok(Taken::Stored(_)) => visit.own_language().await,
        Ok(Taken::Spooled) => visit.language(None),
        Err(not_taken) => return Err(visit.away(&not_taken)),
    };
    let words = &language.words;
    let head = Head::new(&language, &words.unsubscribed_title);
    Ok(answer(StatusCode::OK, &Said { head, lines: vec![words.unsubscribed_everything.clone()] }))
}

async fn save(visit: &Visit, campaign: CampaignId, form: &Form) -> Result<HttpResponse, HttpResponse> {
    if visit.state.desk.is_spooling() {
        return Err(visit.away(&"refusals wait for the database, and what they say comes first"));
    }
    let lists = |name: &str| form.numbers(name).into_iter().map(ListId).collect();
    let chosen = Chosen {
        shown: lists("shown"),
        was: lists("was"),
        wanted: lists("topic"),
        tracking: tracking(form),
        campaign,
        client: visit.client(),
        request_id: edge::request_id(&visit.request),
    };
    let (book, contact) = (visit.state.services.refusals.clone(), visit.link.contact());
    let store = move |conn: &mut Conn| choose(conn, &book, contact, &chosen);
    let seen = visit.state.store.transact(Lane::Control, "store preferences", store).await;
    let seen = seen.map_err(|error| visit.away(&error))?.ok_or_else(|| visit.missing())?;
    let language = visit.language(seen.person.keys.locale.as_deref());
    let note = language.words.preferences_saved.clone();
    Ok(page(&language, seen, Some(note)))
}

/// What the person chose, if it differs from what the page showed.
fn tracking(form: &Form) -> Option<bool> {
    let was = form.text("tracking_was")? == "on";
    let wanted = form.text("tracking").is_some();
    (wanted != was).then_some(wanted)
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
        is_tracked: seen.is_tracked,
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
