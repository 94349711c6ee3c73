//! What every page has around it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use askama::Template;

use super::cookies::{self, Theme};
use super::{assets, form};
use crate::domain::access::Scope;
use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::http::sessions::SignedIn;
use crate::http::state::AppState;
use crate::http::web::problem::ApiError;
use crate::runtime::health::Attention;

/// A part of the pages, as the bar at the top has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// What is going on.
    Now,
    /// Campaigns.
    Campaigns,
    /// Contacts, lists, segments and suppressions.
    People,
    /// Texts with placeholders.
    Templates,
    /// What messages go through.
    Delivery,
    /// Instances, API keys and the audit log.
    System,
}

impl Section {
    /// In the order of the bar.
    pub(super) const ALL: [Self; 6] =
        [Self::Now, Self::Campaigns, Self::People, Self::Templates, Self::Delivery, Self::System];

    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Campaigns => "Campaigns",
            Self::People => "People",
            Self::Templates => "Templates",
            Self::Delivery => "Delivery",
            Self::System => "System",
        }
    }

    /// Its first page.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Now => "/ui",
            Self::Campaigns => "/ui/campaigns",
            Self::People => "/ui/contacts",
            Self::Templates => "/ui/templates",
            Self::Delivery => "/ui/pools",
            Self::System => "/ui/instances",
        }
    }

    /// The letter that leads there, after `g`.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Now => 'n',
            Self::Campaigns => 'c',
            Self::People => 'p',
            Self::Templates => 't',
            Self::Delivery => 'd',
            Self::System => 's',
        }
    }
}

/// The person who looks at a page.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) key_name: String,
    pub(super) scope: Scope,
}

/// What keeps this instance from its work, above every page.
#[derive(Debug, Clone, Template)]
#[template(path = "ui/banner.html")]
pub(super) struct Banner {
    pub(super) trouble: Option<Attention>,
}

/// What a page has around it.
#[derive(Debug, Clone)]
pub(in crate::http) struct Frame {
    pub(super) title: String,
    pub(super) section: Option<Section>,
    pub(super) theme: Theme,
    /// Whether single letters are keys.
    pub(super) has_keys: bool,
    pub(super) visitor: Option<Visitor>,
    /// The path and the query of this page.
    pub(super) here: String,
    /// The request that has the same as JSON.
    pub(super) json: Option<String>,
    /// The same at the command line.
    pub(super) command: Option<String>,
    /// What its live stream is about.
    pub(super) live: Option<String>,
    /// The page that the key Escape leads to.
    pub(super) up: Option<String>,
    /// The moment of what it shows.
    pub(super) at: Option<UtcInstant>,
    pub(super) banner: Banner,
    pub(super) instance: InstanceId,
}

impl Frame {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let state = AppState::of(request)?;
        let signed_in = request.extensions().get::<SignedIn>().cloned();
        let is_signed_in = signed_in.is_some();
        let here = request.uri().path_and_query().map_or_else(String::new, |path| path.as_str().to_owned());
        Ok(Self {
            title: String::new(),
            section: None,
            theme: cookies::theme(request.headers()),
            has_keys: cookies::has_keys(request.headers()),
            visitor: signed_in.map(|person| Visitor { key_name: person.key_name, scope: person.caller.rights().scope }),
            here: if form::is_own_path(&here) { here } else { super::UI.to_owned() },
            json: None,
            command: None,
            live: Some("session".to_owned()).filter(|_| is_signed_in),
            up: None,
            at: None,
            banner: Banner { trouble: state.health.vital() },
            instance: state.instance,
        })
    }

    /// The frame of a page of this title.
    pub(super) fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// Where the same is for programs.
    pub(super) fn same_as(self, json: &str, command: &str) -> Self {
        Self { json: Some(json.to_owned()), command: Some(command.to_owned()), ..self }
    }

    pub(super) fn asset(&self, name: &str) -> &'static str {
        assets::address(name)
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = &'static str> {
        assets::SCRIPTS.iter().map(|name| assets::address(name))
    }

    pub(super) fn sections(&self) -> [Section; 6] {
        Section::ALL
    }

    pub(super) fn themes(&self) -> [Theme; 3] {
        Theme::ALL
    }

    pub(super) fn has_theme(&self, theme: &Theme) -> bool {
        self.theme == *theme
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(super) fn is_in(&self, section: &Section) -> bool {
        self.section.as_ref() == Some(section)
    }

    /// Whether the visitor may change something.
    pub(super) fn may_operate(&self) -> bool {
        self.may(Scope::Operate)
    }

    /// Whether the visitor may put contacts in.
    pub(super) fn may_ingest(&self) -> bool {
        self.may(Scope::Ingest)
    }

    /// Whether the visitor may switch pools, and see keys and the audit log.
    pub(super) fn may_administer(&self) -> bool {
        self.may(Scope::Admin)
    }

    fn may(&self, asked: Scope) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.scope.includes(asked))
    }
}

impl FromRequest for Frame {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// Answers with a page. What all pages have in their heads is added at the door.
///
/// # Errors
/// The page cannot be written.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Result<HttpResponse, ApiError> {
    let document =
        page.render().map_err(|source| ApiError::Unexpected { action: "write a page", source: Box::new(source) })?;
    Ok(HttpResponse::build(status).insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(document))
}

/// Text between single quotes of a shell.
pub(super) fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}
