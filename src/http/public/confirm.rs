//! `/confirm/TOKEN`: the confirmation of a subscription.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{self, Answer, Head, Said, answer};
use super::words::{Language, fill};
use super::{Form, Visit, opened};
use crate::domain::ids::ListId;
use crate::domain::people::consent::Source;
use crate::domain::people::link::Link;
use crate::http::AppState;
use crate::http::web::edge;
use crate::services::people::confirm::{Asked, Question, confirm, see};
use crate::services::people::refusal_desk::Taken;
use crate::services::people::say_no::What;
use crate::store::{Conn, Lane};

/// Asks whether to confirm; names the list and the address. Changes nothing.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
) -> HttpResponse {
    opened(state, request, token, async |visit| ask(&visit).await).await
}

async fn ask(visit: &Visit) -> Result<HttpResponse, HttpResponse> {
    let asked = read(visit).await?;
    let language = visit.language(asked.person.keys.locale.as_deref());
    if visit.is_expired() {
        return Ok(expired(&language));
    }
    let Some((_, address)) = asked.open() else { return Ok(outdated(&language, &asked)) };
    let words = &language.words;
    // In full: the link was sent there, and a person may have two that look alike in part.
    let page = pages::Asked {
        head: Head::new(&language, &words.confirm_title),
        question: fill(&words.confirm_question, &[("{list}", asked.topic.title()), ("{address}", address.as_str())]),
        quiet: None,
        answers: vec![Answer::first("confirm", &words.confirm_button), Answer::second("refuse", &words.confirm_refuse)],
    };
    Ok(answer(StatusCode::OK, &page))
}

/// Confirms, or refuses the list.
pub(in crate::http) async fn answer_it(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    opened(state, request, token, async |visit| decide(&visit, body).await).await
}

async fn decide(visit: &Visit, body: web::Payload) -> Result<HttpResponse, HttpResponse> {
    let question = question(visit).ok_or_else(|| visit.missing())?;
    let form = Form::read(body).await.map_err(|why| visit.unread(why))?;
    match form.act() {
        Some("refuse") => refuse(visit, question.list).await,
        _ if visit.is_expired() => Ok(expired(visit.own_language().await.as_ref())),
        Some("confirm") => subscribe(visit, question).await,
        Some(_) | None => Err(visit.missing()),
    }
}

/// What the link asks. `None`: it is another kind of link.
fn question(visit: &Visit) -> Option<Question> {
    match visit.link {
        Link::Confirm { list, contact, address: mark, asked_at } => Some(Question { list, contact, mark, asked_at }),
        Link::Unsubscribe { .. } | Link::Preferences { .. } | Link::Returned { .. } => None,
    }
}

async fn read(visit: &Visit) -> Result<Asked, HttpResponse> {
    let question = question(visit).ok_or_else(|| visit.missing())?;
    let key = visit.key().await?;
    let read = move |conn: &mut Conn| see(conn, &key, question);
    match visit.state.store.run(Lane::LookUp, "read a confirmation", read).await {
        Ok(asked) => asked.ok_or_else(|| visit.missing()),
        Err(error) => Err(visit.away(&error)),
    }
}

async fn subscribe(visit: &Visit, question: Question) -> Result<HttpResponse, HttpResponse> {
    if visit.state.desk.is_spooling() {
        return Err(visit.away(&"refusals wait for the database, and what they say comes first"));
    }
    let key = visit.key().await?;
    let (book, client) = (visit.state.services.refusals.clone(), visit.client());
    let request_id = edge::request_id(&visit.request);
    let store = move |conn: &mut Conn| confirm(conn, &book, &key, question, client, request_id);
    let asked = visit.state.store.transact(Lane::Control, "confirm a subscription", store).await;
    let asked = asked.map_err(|error| visit.away(&error))?.ok_or_else(|| visit.missing())?;
    let language = visit.language(asked.person.keys.locale.as_deref());
    let Some((_, address)) = asked.open() else { return Ok(outdated(&language, &asked)) };
    let words = &language.words;
    let line = fill(&words.confirmed_text, &[("{list}", asked.topic.title()), ("{address}", address.as_str())]);
    Ok(answer(StatusCode::OK, &Said { head: Head::new(&language, &words.confirmed_title), lines: vec![line] }))
}

async fn refuse(visit: &Visit, list: ListId) -> Result<HttpResponse, HttpResponse> {
    match visit.state.desk.refuse(visit.no(What::List(list), None, &Source::CONFIRMATION)).await {
        Ok(Taken::Stored(_) | Taken::Spooled) => {}
        Err(not_taken) => return Err(visit.away(&not_taken)),
    }
    let read = read(visit).await.ok();
    let language = visit.language(read.as_ref().and_then(|asked| asked.person.keys.locale.as_deref()));
    let words = &language.words;
    let line = read.map(|asked| fill(&words.refused_text, &[("{list}", asked.topic.title())]));
    let head = Head::new(&language, &words.refused_title);
    Ok(answer(StatusCode::OK, &Said { head, lines: line.into_iter().collect() }))
}

fn outdated(language: &Language, asked: &Asked) -> HttpResponse {
    let words = &language.words;
    let head = Head::new(language, &words.outdated_title);
    let why = if asked.has_refused_since { &words.outdated_refused } else { &words.outdated_text };
    answer(StatusCode::GONE, &Said { head, lines: vec![why.clone()] })
}

fn expired(language: &Language) -> HttpResponse {
    let words = &language.words;
    let page = pages::Asked {
        head: Head::new(language, &words.expired_title),
        question: words.expired_text.clone(),
        quiet: None,
        answers: vec![Answer::first("refuse", &words.confirm_refuse)],
    };
    answer(StatusCode::GONE, &page)
}
