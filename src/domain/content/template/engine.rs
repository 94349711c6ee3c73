//! The template language, fenced in: no files, no environment, no other templates, a bounded number of steps.

use std::io;
use std::sync::Arc;

use minijinja::value::{Object, Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, syntax::SyntaxConfig};

use super::marks::Signs;
use super::names::{ATTRIBUTES, Found, Lookup};
use super::provided::Provided;
use super::scan::Token;
use super::{MAX_OUTPUT_BYTES, Part, RenderError};
use crate::domain::people::contact::{Profile, normalised_name};

/// Steps that rendering one part may take: a loop over some ten thousand things.
const FUEL: u64 = 200_000;

/// What a campaign's own values stand below.
const CAMPAIGN: &str = "campaign";

/// How deep macros may call one another.
const RECURSION: usize = 100;

/// An empty environment with our rules.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.remove_global("debug");
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    // What a contact lacks is empty, and so is everything inside it.
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_syntax(syntax());
    let is_html = |name: &str| name == Part::Html.as_str() || name == Part::TRACKED_HTML;
    env.set_auto_escape_callback(move |name| if is_html(name) { AutoEscape::Html } else { AutoEscape::None });
    env.set_formatter(format_value);
    env.add_filter("fallback", fallback);
    super::filters::bound(&mut env);
    env
}

/// The language's delimiters, and what becomes of the last line's end.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

/// `{{ first_name|fallback("Customer") }}`: what `{first_name|Customer}` means.
fn fallback(value: Value, text: Value) -> Value {
    let is_empty = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    if is_empty { text } else { value }
}

/// Prints a value the way plain placeholders print it: nothing for null, JSON for lists and objects.
fn format_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(());
    }
    let is_html = *state.auto_escape() == AutoEscape::Html && !value.is_safe();
    let written = if let Some(text) = value.as_str() {
        write_text(out, text, is_html)
    } else if matches!(value.kind(), ValueKind::Bool | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        let mut json = Capped(Vec::new());
        serde_json::to_writer(&mut json, value).map_err(|cause| {
            minijinja::Error::from(if cause.is_io() { ErrorKind::WriteFailure } else { ErrorKind::BadSerialization })
        })?;
        write_text(out, &String::from_utf8_lossy(&json.0), is_html)
    } else {
        write_text(out, &value.to_string(), is_html)
    };
    written.map_err(minijinja::Error::from)
}

/// Writes `text`, escaped for HTML's text and attributes where asked.
pub(super) fn write_text(out: &mut impl std::fmt::Write, text: &str, is_html: bool) -> std::fmt::Result {
    if !is_html {
        return out.write_str(text);
    }
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (plain, special) = rest.split_at(at);
        out.write_str(plain)?;
        out.write_str(match special.as_bytes().first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'"') => "&quot;",
            _ => "&#x27;",
        })?;
        rest = special.get(1..).unwrap_or_default();
    }
    out.write_str(rest)
}

/// A part's source in the template language, and the way back from its bytes to the author's.
pub(super) struct Translation {
    pub(super) source: String,
    /// (byte here, byte in the author's source, whether what follows was copied as it is), in order.
    origins: Vec<(usize, usize, bool)>,
}

impl Translation {
    /// Writes single-brace placeholders as double-brace ones, and the opening of a comment that never closes as text.
    pub(super) fn of(tokens: &[(usize, Token<'_>)]) -> Self {
        let mut translation = Self { source: String::new(), origins: Vec::new() };
        for &(at, token) in tokens {
            match token {
                Token::Code(code) => translation.push(at, code, true),
                Token::Literal(text) => {
                    translation.push(at, "{% raw %}", false);
                    translation.push(at, text, true);
                    translation.push(at + text.len(), "{% endraw %}", false);
                }
                Token::Field { name, fallback: None } => translation.push(at, &format!("{{{{ {name} }}}}"), false),
                Token::Field { name, fallback: Some(text) } => {
                    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                    translation.push(at, &format!("{{{{ {name}|fallback(\"{text}\") }}}}"), false);
                }
                Token::Text(text) => {
                    let mut at = at;
                    for (place, plain) in text.split("{#").enumerate() {
                        if place > 0 {
                            translation.push(at, "{{ '{#' }}", false);
                            at += 2;
                        }
                        translation.push(at, plain, true);
                        at += plain.len();
                    }
                }
            }
        }
        translation
    }

    fn push(&mut self, origin: usize, text: &str, is_verbatim: bool) {
        self.origins.push((self.source.len(), origin, is_verbatim));
        self.source.push_str(text);
    }

    /// The author's byte for the byte `at` of the translation.
    pub(super) fn origin(&self, at: usize) -> usize {
        let before = self.origins.partition_point(|(here, _, _)| *here <= at);
        match before.checked_sub(1).and_then(|index| self.origins.get(index)) {
            Some(&(here, origin, true)) => origin + (at - here),
            Some(&(_, origin, false)) => origin,
            None => 0,
        }
    }
}

/// Values under the names that a template uses.
#[derive(Debug)]
struct Fields(Vec<(String, Value)>);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }
}

/// The same under any spelling of their names.
#[derive(Debug)]
struct Spelled(Arc<Fields>);

impl Object for Spelled {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.get_value_by_str(key).or_else(|| self.0.get_value_by_str(&normalised_name(key)))
    }
}

/// What a template sees: the contact's fields by themselves, and again below `contact` and `attributes`; and what Volley and the campaign
/// bring, which hides attributes of the same name.
#[derive(Debug)]
struct Root {
    contact: Arc<Fields>,
    provided: Arc<Fields>,
    signs: Option<Arc<Signs>>,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == "contact" {
            return Some(Value::from_dyn_object(self.contact.clone()));
        }
        let known = self.provided.get_value_by_str(key).or_else(|| self.contact.get_value_by_str(key));
        let known = known.or_else(|| Signs::named(self.signs.as_ref(), key));
        known.or_else(|| (key == ATTRIBUTES).then(|| Value::from_object(Spelled(self.contact.clone()))))
    }
}

/// What `campaign` means where a template uses the campaign's own values.
#[derive(Debug)]
struct Campaign {
    props: Value,
    /// An attribute of the contact that has the same name.
    theirs: Option<Value>,
}

impl Object for Campaign {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "props" => Some(self.props.clone()),
            other => self.theirs.as_ref()?.get_attr(other).ok(),
        }
    }
}

/// What a program is run for.
pub(super) struct Given<'a> {
    pub(super) profile: &'a Profile,
    pub(super) provided: &'a Provided,
    /// Where it is tracked.
    pub(super) signs: Option<Arc<Signs>>,
}

/// Runs a part's program. Only the values it can ask for are copied out of the profile.
///
/// # Errors
/// [`RenderError::Failed`] and [`RenderError::TooLong`].
pub(super) fn run(
    env: &Environment<'_>,
    part: Part,
    lookups: &[Lookup],
    given: Given<'_>,
) -> Result<String, RenderError> {
    let Given { profile, provided, signs } = given;
    let (mut own, mut brought, mut props) = (Vec::new(), Vec::new(), Vec::new());
    for lookup in lookups {
        if let Some(name) = lookup.prop() {
            props.extend(provided.props.get(name).map(|value| (name.to_owned(), Value::from(Serde(value)))));
            continue;
        }
        let value = match lookup.find(profile, provided) {
            None => continue,
            Some(Found::Text(text)) => Value::from(text.as_ref()),
            Some(Found::Json(json)) => Value::from(Serde(json)),
        };
        let fields = if lookup.provided().is_some() { &mut brought } else { &mut own };
        fields.push((lookup.root_name().to_owned(), value));
    }
    if lookups.iter().any(|lookup| lookup.prop().is_some()) {
        // Below `campaign` is what the contact has there, too.
        let theirs = own.iter().find(|(name, _)| name == CAMPAIGN).map(|(_, value)| value.clone());
        let campaign = Campaign { props: Value::from_object(Fields(props)), theirs };
        brought.push((CAMPAIGN.to_owned(), Value::from_object(campaign)));
    }
    let name = if signs.is_some() { Part::TRACKED_HTML } else { part.as_str() };
    let root = Root { contact: Arc::new(Fields(own)), provided: Arc::new(Fields(brought)), signs };
    let root = Value::from_object(root);
    let mut out = Capped(Vec::with_capacity(1024));
    env.get_template(name)
        .and_then(|template| template.render_captured_to(root, &mut out).map(drop))
        .map_err(|error| failure(part, &error))?;
    String::from_utf8(out.0).map_err(|_broken| RenderError::Failed {
        part,
        line: 1,
        what: "output is not UTF-8".to_owned(),
    })
}

/// Says what failed and where, but not with which values (those are the contact's): the kind of error, never its detail.
fn failure(part: Part, error: &minijinja::Error) -> RenderError {
    let kind = error.kind();
    if kind == ErrorKind::WriteFailure {
        return RenderError::TooLong { part };
    }
    let line = error.line().unwrap_or(1);
    if kind == ErrorKind::OutOfFuel {
        return RenderError::TooManySteps { part, line };
    }
    RenderError::Failed { part, line, what: kind.to_string() }
}

/// Takes [`MAX_OUTPUT_BYTES`] and no more.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
