//! The door for recipients: pages behind signed links. No account, no cookie, no script.
//!
//! **Invariants.** `GET` and `HEAD` change nothing: scanners open every link. A token decides alone which person a page is about, and is
//! opened before the database is asked. Nothing of a request but its token, its form and its client's address is believed.

pub(in crate::http) mod callbacks;
pub(in crate::http) mod confirm;
pub(in crate::http) mod pages;
pub(in crate::http) mod preferences;
pub(in crate::http) mod tracked;
pub(in crate::http) mod unsubscribe;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderValue, RETRY_AFTER, USER_AGENT};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;

use self::pages::{Head, Said, answer};
use self::words::Language;
use super::AppState;
use super::web::client;
use super::web::problem::ApiError;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Client, Source};
use crate::domain::people::fields::Fields;
use crate::domain::people::link::{Kid, Link, LinkKey};
use crate::services::people::say_no::{SaidNo, What};
use crate::store::people::topics;
use crate::store::{Conn, Lane};

/// The largest form, in bytes.
const MOST_OF_A_FORM: usize = 64 * 1024;

/// The longest name of a program that is kept, in characters.
const MOST_OF_AN_AGENT: usize = 200;

/// A request to a page, and the link that its token is.
struct Visit {
    state: web::Data<AppState>,
    request: HttpRequest,
    link: Link,
    kid: Kid,
}

/// The fields of a form, in their order.
struct Form(Vec<(String, String)>);

/// Why a form was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// Not all of it came, or not in time.
    Late,
    /// It is larger than any form.
    Large,
}

/// A whole body.
async fn all_of(mut payload: web::Payload) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_cut| Unread::Late)?;
        if bytes.len() + chunk.len() > MOST_OF_A_FORM {
            return Err(Unread::Large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// How long a form may take to arrive. A refusal does not wait for the rest of a request that has stalled.
const FORM_TIMEOUT: Duration = Duration::from_secs(5);

impl Form {
    /// Reads a form of a browser. What is no form has no fields; what does not arrive whole, and in time, is none: half a choice is
    /// no choice.
    async fn read(payload: web::Payload) -> Result<Self, Unread> {
        let bytes = tokio::time::timeout(FORM_TIMEOUT, all_of(payload)).await.unwrap_or(Err(Unread::Late))?;
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }

    /// The button that was pressed.
    fn act(&self) -> Option<&str> {
        self.text("do")
    }

    /// The first field of this name.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The numbers in the fields of this name.
    fn numbers(&self, name: &str) -> Vec<i64> {
        let all = self.0.iter().filter(|(field, _)| field == name);
        all.filter_map(|(_, value)| value.parse().ok()).collect()
    }
}

/// Opens a token and answers with `page`, or says why there is none.
async fn opened(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    page: impl AsyncFnOnce(Visit) -> Result<HttpResponse, HttpResponse>,
) -> HttpResponse {
    match state.services.links.open(&token).await {
        Ok(Some((link, kid))) => page(Visit { state, request, link, kid }).await.unwrap_or_else(|instead| instead),
        Ok(None) => guessed(&state, &request),
        Err(error) => unserved(&language(&state, &request, None), &error),
    }
}

impl Visit {
    /// The key that its token was signed with.
    async fn key(&self) -> Result<LinkKey, HttpResponse> {
        match self.state.services.links.key(self.kid).await {
            Ok(key) => key.ok_or_else(|| self.missing()),
            Err(error) => Err(self.away(&error)),
        }
    }

    /// Whether the link only refuses by now. By the clock of this machine: a minute more or less decides nothing.
    fn is_expired(&self) -> bool {
        self.link.is_expired(now())
    }

    fn language(&self, locale: Option<&str>) -> Arc<Language> {
        language(&self.state, &self.request, locale)
    }

    /// The language of the person that the link is about, as far as the database can be asked.
    async fn own_language(&self) -> Arc<Language> {
        let contact = self.link.contact();
        let read = move |conn: &mut Conn| topics::person(conn, contact);
        let person = self.state.store.run(Lane::LookUp, "read whose page it is", read).await.ok().flatten();
        self.language(person.as_ref().and_then(|person| person.keys.locale.as_deref()))
    }

    /// The other side.
    fn client(&self) -> Client {
        let address = client::address(&self.request);
        let agent = self.request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        let agent = agent.map(|agent| agent.chars().take(MOST_OF_AN_AGENT).collect());
        Client { ip: address.map(|address| address.to_string()), user_agent: agent }
    }

    /// A refusal by the holder of the link.
    fn no(&self, what: What, campaign: Option<CampaignId>, source: &Source) -> SaidNo {
        let Client { ip, user_agent } = self.client();
        let source = source.as_str().to_owned();
        SaidNo { contact: self.link.contact(), what, campaign, source, at: now(), ip, user_agent }
    }

    /// Says that the form of a choice has not arrived. The rest of it may still come: the connection ends.
    fn unread(&self, why: Unread) -> HttpResponse {
        let language = self.language(None);
        let words = &language.words;
        let (status, text) = match why {
            Unread::Late => (StatusCode::REQUEST_TIMEOUT, &words.late_text),
            Unread::Large => (StatusCode::PAYLOAD_TOO_LARGE, &words.large_text),
        };
        let mut page =
            answer(status, &Said { head: Head::new(&language, &words.unread_title), lines: vec![text.clone()] });
        page.head_mut().set_connection_type(ConnectionType::Close);
        page
    }

    fn missing(&self) -> HttpResponse {
        missing(&self.state, &self.request)
    }

    fn away(&self, error: &dyn std::fmt::Display) -> HttpResponse {
        unserved(&self.language(None), error)
    }
}

fn now() -> UtcInstant {
    UtcInstant(jiff::Timestamp::now().as_millisecond())
}

fn language(state: &AppState, request: &HttpRequest, locale: Option<&str>) -> Arc<Language> {
    let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    state.languages.choose(locale, accepted)
}

/// A token that no link has counts towards the limit of its address; a valid one never does, because mailbox providers ask for
/// many people from few addresses. The page is the same.
fn guessed(state: &AppState, request: &HttpRequest) -> HttpResponse {
    let mut page = missing(state, request);
    if let Err(ApiError::TooManyRequests(standing)) = state.limits.take_without_key(client::address(request)) {
        *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        page.headers_mut().insert(RETRY_AFTER, HeaderValue::from(standing.seconds().max(1)));
    }
    page
}

/// Whatever was wrong with a token: nobody learns what.
fn missing(state: &AppState, request: &HttpRequest) -> HttpResponse {
    let language = language(state, request, None);
    let words = &language.words;
    let head = Head::new(&language, &words.missing_title);
    answer(StatusCode::NOT_FOUND, &Said { head, lines: vec![words.missing_text.clone()] })
}

fn unserved(language: &Language, error: &dyn std::fmt::Display) -> HttpResponse {
    tracing::warn!(event = "http.page_away", error = %error, "a page for a recipient could not be served");
    let words = &language.words;
    let head = Head::new(language, &words.away_title);
    answer(StatusCode::SERVICE_UNAVAILABLE, &Said { head, lines: vec![words.away_text.clone()] })
}

/// What is served where there is nothing else.
pub(in crate::http) async fn nothing(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    missing(&state, &request)
}

/// An address in part: enough for its owner to know it.
fn in_part(keys: &Fields) -> Option<String> {
    let address = keys.email.as_deref().or(keys.phone.as_deref()).or(keys.external_id.as_deref())?;
    let shown = match address.split_once('@') {
        Some((local, domain)) => format!("{}…@{domain}", local.chars().next().unwrap_or_default()),
        None => {
            let end = address.char_indices().rev().nth(1).map_or(0, |(at, _)| at);
            format!("…{}", address.get(end..).unwrap_or_default())
        }
    };
    Some(shown)
}

/// Titles of topics as one text.
fn listed<'t>(titles: impl Iterator<Item = &'t str>) -> String {
    titles.map(|title| format!("“{title}”")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_in_part() {
        let email = |email: &str| Fields { email: Some(email.to_owned()), ..Fields::default() };
        assert_eq!(in_part(&email("ann.miller@example.com")).unwrap(), "a…@example.com");
        assert_eq!(in_part(&email("ä@example.com")).unwrap(), "ä…@example.com");
        let phone = Fields { phone: Some("+442079460123".to_owned()), ..Fields::default() };
        assert_eq!(in_part(&phone).unwrap(), "…23");
        assert_eq!(in_part(&Fields::default()), None);
    }

    #[test]
    fn a_form_is_read_and_what_is_none_has_no_fields() {
        let form = |text: &str| Form(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        assert_eq!(form("do=save&topic=1&topic=x&topic=3").numbers("topic"), [1, 3]);
        assert_eq!(form("List-Unsubscribe=One-Click").act(), None);
        assert_eq!(
            form("--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click").act(),
            None
        );
        assert_eq!(form("do=nothing").act(), Some("nothing"));
    }
}
