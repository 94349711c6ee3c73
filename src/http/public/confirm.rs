//! `/confirm/TOKEN`: the confirmation of a subscription.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::{self, Answer, Head, Said, answer};
use super::words::{Language, fill};
use super::{Form, Visit};
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
    let visit = match Visit::of(state, request, &token).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let asked = match read(&visit).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let language = visit.language(asked.person.keys.locale.as_deref());
    if visit.is_expired() {
        return expired(&language);
    }
    let Some((_, address)) = asked.open() else { return outdated(&language, &asked) };
    let words = &language.words;
    // In full: the link was sent there, and a person may have two that look alike in part.
    let page = pages::Asked {
        head: Head::new(&language, &words.confirm_title),
        question: fill(&words.confirm_question, &[("{list}", asked.topic.title()), ("{address}", address.as_str())]),
        quiet: None,
        answers: vec![Answer::first("confirm", &words.confirm_button), Answer::second("refuse", &words.confirm_refuse)],
    };
    answer(StatusCode::OK, &page)
}

/// Confirms, or refuses the list.
pub(in crate::http) async fn answer_it(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let visit = match Visit::of(state, request, &token).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    if !matches!(visit.link, Link::Confirm { .. }) {
        return visit.missing();
    }
    match Form::read(body).await.act() {
        Some("refuse") => refuse(&visit).await,
        _ if visit.is_expired() => {
            let language = visit.own_language().await;
            expired(&language)
        }
        Some("confirm") => subscribe(&visit).await,
        Some(_) | None => visit.missing(),
    }
}

/// What the link asks. `None`: it is for another page.
fn question(link: Link) -> Option<Question> {
    match link {
        Link::Confirm { list, contact, address: mark, asked_at } => Some(Question { list, contact, mark, asked_at }),
        Link::Unsubscribe { .. } | Link::Preferences { .. } => None,
    }
}

async fn read(visit: &Visit) -> Result<Asked, HttpResponse> {
    let Some(question) = question(visit.link) else { return Err(visit.missing()) };
    let key = match visit.state.services.links.key(visit.kid).await {
        Ok(Some(key)) => key,
        Ok(None) => return Err(visit.missing()),
        Err(error) => return Err(visit.away(&error)),
    };
    let read = move |conn: &mut Conn| see(conn, &key, question);
    match visit.state.store.run(Lane::LookUp, "read a confirmation", read).await {
        Ok(asked) => asked.ok_or_else(|| visit.missing()),
        Err(error) => Err(visit.away(&error)),
    }
}

async fn subscribe(visit: &Visit) -> HttpResponse {
    let Some(question) = question(visit.link) else { return visit.missing() };
    if visit.state.desk.is_spooling() {
        return visit.away(&"refusals wait for the database, and what they say comes first");
    }
    let key = match visit.state.services.links.key(visit.kid).await {
        Ok(Some(key)) => key,
        Ok(None) => return visit.missing(),
        Err(error) => return visit.away(&error),
    };
    let (book, client) = (visit.state.services.refusals.clone(), visit.client());
    let request_id = edge::request_id(&visit.request);
    let store = move |conn: &mut Conn| confirm(conn, &book, &key, question, client, request_id);
    let asked = match visit.state.store.transact(Lane::Control, "confirm a subscription", store).await {
        Ok(Some(asked)) => asked,
        Ok(None) => return visit.missing(),
        Err(error) => return visit.away(&error),
    };
    let language = visit.language(asked.person.keys.locale.as_deref());
    let Some((_, address)) = asked.open() else { return outdated(&language, &asked) };
    let words = &language.words;
    let line = fill(&words.confirmed_text, &[("{list}", asked.topic.title()), ("{address}", address.as_str())]);
    answer(StatusCode::OK, &Said { head: Head::new(&language, &words.confirmed_title), lines: vec![line] })
}

async fn refuse(visit: &Visit) -> HttpResponse {
    let Link::Confirm { list, .. } = visit.link else { return visit.missing() };
    match visit.state.desk.refuse(visit.no(What::List(list), None, &Source::CONFIRMATION)).await {
        Ok(Taken::Stored(_) | Taken::Spooled) => {}
        Err(not_taken) => return visit.away(&not_taken),
    }
    let read = read(visit).await.ok();
    let language = visit.language(read.as_ref().and_then(|asked| asked.person.keys.locale.as_deref()));
    let words = &language.words;
    let line = read.map(|asked| fill(&words.refused_text, &[("{list}", asked.topic.title())]));
    let head = Head::new(&language, &words.refused_title);
    answer(StatusCode::OK, &Said { head, lines: line.into_iter().collect() })
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
