//! How a file is to be imported, and where its contacts go: what a request says besides the file.

use crate::domain::access::Scope;
use crate::domain::export::Format;
use crate::domain::import::encoding::TextEncoding;
use crate::domain::import::reading::{Mapped, PresetChoice};
use crate::http::access::require_for;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, bad_parameter};
use crate::http::web::problem::ApiError;
use crate::http::web::{list_path, text};
use crate::services::By;
use crate::store::import::imports::{ImportConsent, Target};
use crate::store::people::lists::{ListKey, NewList};

/// Where the contacts go.
#[derive(Debug)]
pub(in crate::http) struct Destination {
    pub(super) list: Option<ListKey>,
    pub(super) consent: ImportConsent,
    /// The encoding of the file. None: the one that is recognised.
    pub(super) encoding: Option<TextEncoding>,
    pub(super) preset: PresetChoice,
    pub(super) mapping: Vec<Mapped>,
    /// How the file is written. None: as its type says.
    pub(super) format: Option<Format>,
    /// Whether nothing is stored.
    pub(super) is_dry_run: bool,
    /// Whether a dry run is about a list that is yet to be made.
    pub(super) is_new_list: bool,
}

/// What only a program says.
const OF_PROGRAMS: [&str; 2] = ["dry_run", "new_list"];

impl Destination {
    /// As the fields of a form have it: what is empty or missing says nothing.
    pub(in crate::http) fn of_fields<'f>(fields: impl Iterator<Item = (&'f str, &'f str)>) -> Result<Self, ApiError> {
        let is_ours = |name: &str| Self::NAMES.contains(&name) && !OF_PROGRAMS.contains(&name);
        let given = fields.filter(|(name, text)| is_ours(name) && !text.is_empty());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        Self::from_params(&Params::parse_repeated(&query, Self::NAMES, Self::REPEATED)?)
    }

    /// The list, if one is named.
    pub(super) async fn target(&self, state: &AppState) -> Result<Target, ApiError> {
        Ok(match self.list.clone() {
            Some(key) => Target::List(list_path::resolve(state, key).await?),
            None => Target::NoList,
        })
    }

    /// Where the contacts of a form go; `new_list` is the name of a list that is made with them.
    pub(super) async fn target_of_form(
        &self,
        state: &AppState,
        new_list: Option<&str>,
        by: &By,
    ) -> Result<Target, ApiError> {
        match (new_list, &self.list) {
            (Some(_), Some(_)) => {
                let why = "choose a list, or name a new one: not both";
                Err(ApiError::field("/new_list", "not_allowed", why))
            }
            (Some(name), None) => {
                require_for(by, Scope::Operate, "new_list")?;
                Ok(Target::NewList(NewList::named(&text::name("/new_list", name, MAX_LIST_NAME)?)))
            }
            (None, _) => self.target(state).await,
        }
    }

    /// The key of a shop puts people in, and overrides no refusal.
    pub(super) fn check_rights(&self, by: &By) -> Result<(), ApiError> {
        let resubscribes = self.consent.resubscribe_reason.is_some();
        if resubscribes { require_for(by, Scope::Operate, "resubscribe") } else { Ok(()) }
    }
}

/// Longest name of a list, in characters.
const MAX_LIST_NAME: usize = 200;

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

impl FromQuery for Destination {
    const NAMES: &'static [&'static str] =
        &["list", "confirmed", "resubscribe", "reason", "encoding", "preset", "map", "format", "dry_run", "new_list"];
    const REPEATED: &'static [&'static str] = &["map"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let parse = |text| list_path::parse(text).map_err(|why| bad_parameter("list", "out_of_range", why));
        let list = params.text("list").map(parse).transpose()?;
        let says = |name| Ok::<_, ApiError>(params.choice(name, &["true", "false"])? == Some("true"));
        let reason = params.text("reason").map(str::trim).filter(|reason| !reason.is_empty());
        let is_long = reason.is_some_and(|reason| reason.chars().count() > MAX_REASON);
        if is_long || reason.is_some_and(|reason| reason.chars().any(char::is_control)) {
            let why = format!("one line of at most {MAX_REASON} characters");
            return Err(bad_parameter("reason", "too_long", why));
        }
        let resubscribe = says("resubscribe")?;
        if resubscribe && reason.is_none() {
            let why = "say why contacts that have refused are subscribed again".to_owned();
            return Err(bad_parameter("reason", "required", why));
        }
        let resubscribe_reason = reason.filter(|_| resubscribe).map(ToOwned::to_owned);
        let encoding = encoding_of(params)?;
        let (preset, mapping) = read_columns(params)?;
        let consent = ImportConsent { confirmed: says("confirmed")?, resubscribe_reason };
        let (is_dry_run, is_new_list) = (says("dry_run")?, says("new_list")?);
        if is_new_list && (!is_dry_run || list.is_some()) {
            let why = "goes with `dry_run` only, and without `list`";
            return Err(bad_parameter("new_list", "not_allowed", why.to_owned()));
        }
        let format = params.choice("format", Format::ALL)?;
        Ok(Self { list, consent, encoding, preset, mapping, format, is_dry_run, is_new_list })
    }
}

/// The encoding that a request names for its file.
pub(super) fn encoding_of(params: &Params) -> Result<Option<TextEncoding>, ApiError> {
    let unknown = || bad_parameter("encoding", "not_allowed", format!("must be {}", TextEncoding::NAMES));
    let named = |name| TextEncoding::from_name(name).ok_or_else(unknown);
    params.text("encoding").map(named).transpose()
}

/// What is said of the columns.
fn read_columns(params: &Params) -> Result<(PresetChoice, Vec<Mapped>), ApiError> {
    let no_preset = || format!("must be one of: {}", PresetChoice::allowed());
    let parse = |text| PresetChoice::parse(text).ok_or_else(|| bad_parameter("preset", "not_allowed", no_preset()));
    let preset = params.text("preset").map(parse).transpose()?.unwrap_or_default();
    let mapping = Mapped::parse_all(params.texts("map"));
    Ok((preset, mapping.map_err(|error| bad_parameter("map", "not_allowed", error.to_string()))?))
}
