//! Message content with placeholders: checked when it is saved, compiled once per campaign, rendered once per
//! recipient.
//!
//! `{first_name}`, `{contact.first_name}`, `{{ first_name }}` and `{{ contact.first_name }}` all print a field, `{First Name}` too;
//! `{first_name|Customer}` prints `Customer` when it is missing or empty. `unsubscribe_url`, `preferences_url` and `postal_address` are
//! what Volley brings; an attribute of such a name is printed after `contact.`. `{{ … }}` and `{% … %}` are
//! [minijinja](https://docs.rs/minijinja), without files, other templates or anything else outside the contact. A contact's values are
//! data: what looks like a placeholder in them is printed as it is. What looks like one in the template and is none is refused when it is
//! saved (`suspects`). The whole language: docs/templates.md.

mod alternative;
mod engine;
mod error;
mod filters;
mod growth;
mod line;
mod links;
mod marks;
mod names;
mod position;
mod print;
mod provided;
mod scan;
mod seen;
mod shadow;
mod source;
mod subject_rule;
mod surroundings;
mod suspects;
mod tidy;
mod tracked;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::Environment;
use serde::{Deserialize, Serialize};

use self::engine::Translation;
pub use self::error::{RenderError, TemplateError, UnknownName};
pub use self::line::Line;
use self::marks::Signs;
pub use self::marks::TrackedLink;
use self::names::{ATTRIBUTES, Lookup, Names};
pub(in crate::domain::content) use self::position::position;
use self::print::Printer;
pub use self::provided::{Provided, ProvidedName};
use self::scan::{Role, Token};
pub use self::subject_rule::SubjectRule;
pub use self::suspects::{Suspect, has_placeholders};
use self::tracked::{Mark, TrackedHtml};
use super::message::Message;
use crate::domain::people::contact::Profile;
use crate::domain::people::link::tracked::Tracker;

/// The longest source of one part, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;

/// The longest rendered part, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 2 * 1024 * 1024;

/// The longest rendered subject, in characters: a line of a message (RFC 5322 2.1.1).
pub const MAX_SUBJECT: usize = 998;

/// The most unknown names of one part that are reported.
const MOST_UNKNOWN: usize = 50;

/// Tags that would read other templates.
const OTHER_TEMPLATES: &[&str] = &["include", "import", "from", "extends"];

/// A template as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Subject line; empty on channels that have none.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, for channels that show it.
    pub html: Option<String>,
    /// Texts that go out as they are written wherever they stand, though they look like placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub literal: Vec<String>,
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The subject line.
    Subject,
    /// The plain text.
    Text,
    /// The HTML.
    Html,
}

impl Part {
    /// The name of the HTML's program with what is tracked in it.
    const TRACKED_HTML: &str = "tracked html";

    /// The part's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A template ready to be rendered. Owns its data; one serves all senders.
#[derive(Debug)]
pub struct Compiled {
    parts: Vec<(Part, Body)>,
    env: Environment<'static>,
    placeholders: BTreeMap<String, Lookup>,
    subject_rule: SubjectRule,
    /// The HTML once more, where it is tracked.
    tracked: Option<TrackedHtml>,
}

/// A part, compiled.
#[derive(Debug)]
enum Body {
    /// Text and plain placeholders only, as nearly all templates are: printed without the template language.
    Pieces(Vec<Piece>),
    /// A program of the template language, held by the environment under the part's name; and the fields it can ask for.
    Program(Vec<Lookup>),
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Field(Lookup, Option<String>),
    Mark(Mark),
}

impl Compiled {
    /// Checks and compiles `content`. Valid names are the built-in fields, `name` (first and last name together), the
    /// standing attributes and `known_attributes`, each also after `contact.`; and [`ProvidedName`].
    ///
    /// # Errors
    /// [`TemplateError`]; unknown names are collected over all parts, at most 50 in each.
    pub fn compile(content: &Content, known_attributes: &BTreeSet<String>) -> Result<Self, TemplateError> {
        let names = Names::new(known_attributes).with_literal(&content.literal);
        let mut compiled = Self {
            parts: Vec::new(),
            env: engine::environment(),
            placeholders: BTreeMap::new(),
            subject_rule: SubjectRule::default(),
            tracked: None,
        };
        let mut unknown = Vec::new();
        let sources = [
            (Part::Subject, Some(&content.subject)),
            (Part::Text, Some(&content.text)),
            (Part::Html, content.html.as_ref()),
        ];
        for (part, source) in sources {
            let Some(source) = source else { continue };
            if source.len() > MAX_SOURCE_BYTES {
                return Err(TemplateError::TooLong { part, bytes: source.len() });
            }
            let tokens = source::cut(part, source, &names);
            let is_plain =
                tokens.iter().all(|(_, token)| token.code().is_none_or(|code| scan::raw_text(code).is_some()));
            let uses = if is_plain {
                let uses = Uses::of_pieces(&tokens, &names);
                compiled.parts.push((part, Body::Pieces(pieces(&tokens, &names))));
                uses
            } else {
                let uses = compiled.add_program(part, source, &tokens, &names)?;
                compiled.parts.push((part, Body::Program(uses.roots())));
                uses
            };
            unknown.extend(uses.unknown.into_iter().take(MOST_UNKNOWN).map(|(at, name)| {
                let (line, column) = position(source, at);
                UnknownName { part, line, column, like: suspects::nearest(&name, &names), name }
            }));
            compiled.placeholders.extend(uses.known.into_iter().map(|lookup| (lookup.path(), lookup)));
        }
        if content.text.trim().is_empty() {
            compiled.add_alternative(content.html.as_deref().unwrap_or_default(), &names);
        }
        if unknown.is_empty() { Ok(compiled) } else { Err(TemplateError::UnknownNames { unknown, valid: names.all() }) }
    }

    /// [`Compiled::compile`] for a preview: names that are unknown are taken for attributes that nobody has, and listed
    /// without `contact.`.
    ///
    /// # Errors
    /// [`TemplateError`]; unknown names only where they cannot be an attribute (`first_name.x`).
    pub fn compile_leniently(
        content: &Content,
        known_attributes: &BTreeSet<String>,
    ) -> Result<(Self, BTreeSet<String>), TemplateError> {
        let strict = match Self::compile(content, known_attributes) {
            Ok(compiled) => return Ok((compiled, BTreeSet::new())),
            Err(error) => error,
        };
        let TemplateError::UnknownNames { unknown, .. } = &strict else { return Err(strict) };
        let unknown: BTreeSet<String> =
            unknown.iter().map(|name| name.name.strip_prefix("contact.").unwrap_or(&name.name).to_owned()).collect();
        let roots = unknown.iter().filter_map(|name| name.split('.').next()).map(str::to_owned);
        let widened = known_attributes.iter().cloned().chain(roots).collect();
        let compiled = Self::compile(content, &widened).map_err(|_names_that_cannot_be| strict)?;
        Ok((compiled, unknown))
    }

    /// Whether a part of it runs in the template language, which may take a while; the others print at once.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.parts.iter().any(|(_, body)| matches!(body, Body::Program(_)))
    }

    /// The same template under another rule for its subject.
    #[must_use]
    pub fn with_subject_rule(self, subject_rule: SubjectRule) -> Self {
        Self { subject_rule, ..self }
    }

    /// [`Self::render_for`] without anything that Volley brings.
    ///
    /// # Errors
    /// As [`Self::render_for`].
    pub fn render(&self, profile: &Profile) -> Result<Message, RenderError> {
        self.render_for(profile, &Provided::default(), None)
    }

    /// Renders the message for one contact. Values are escaped in HTML and nowhere else. Without a tracker nothing is tracked.
    ///
    /// # Errors
    /// [`RenderError`]: this contact's message cannot be made; others may be.
    pub fn render_for(
        &self,
        profile: &Profile,
        provided: &Provided,
        tracker: Option<&Tracker>,
    ) -> Result<Message, RenderError> {
        let mut message = Message::default();
        for (part, body) in &self.parts {
            let tracked = self.tracked.as_ref().filter(|_| *part == Part::Html).zip(tracker);
            let tracked =
                tracked.map(|tracked| self.render_part(*part, &tracked.0.body, profile, provided, Some(tracked)));
            let rendered = match tracked {
                // What is tracked is longer and takes more steps. Nobody goes without a message for that.
                None | Some(Err(RenderError::TooLong { .. } | RenderError::TooManySteps { .. })) => {
                    self.render_part(*part, body, profile, provided, None)?
                }
                Some(rendered) => rendered?,
            };
            match part {
                Part::Subject => message.subject = rendered,
                Part::Text => message.text = rendered,
                Part::Html => message.html = Some(rendered),
            }
        }
        self.check_subject(&message.subject)?;
        Ok(message)
    }

    fn render_part(
        &self,
        part: Part,
        body: &Body,
        profile: &Profile,
        provided: &Provided,
        tracked: Option<(&TrackedHtml, &Tracker)>,
    ) -> Result<String, RenderError> {
        match body {
            Body::Pieces(pieces) => Printer { part, profile, provided, tracked }.print(pieces),
            Body::Program(lookups) => {
                let signs = tracked.map(|(tracked, tracker)| {
                    Arc::new(Signs { marks: Arc::clone(&tracked.marks), tracker: tracker.clone() })
                });
                engine::run(&self.env, part, lookups, engine::Given { profile, provided, signs })
            }
        }
    }

    fn check_subject(&self, subject: &str) -> Result<(), RenderError> {
        if subject.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RenderError::SubjectControl);
        }
        if subject.len() > MAX_SUBJECT && subject.chars().count() > MAX_SUBJECT {
            return Err(RenderError::SubjectTooLong);
        }
        match self.subject_rule {
            SubjectRule::Required if subject.trim().is_empty() => Err(RenderError::SubjectBlank),
            SubjectRule::Required | SubjectRule::Optional => Ok(()),
        }
    }

    /// The names that the template uses, without `contact.`, sorted.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.placeholders.keys().map(String::as_str)
    }

    /// Whether the template uses a value that Volley brings.
    #[must_use]
    pub fn uses(&self, name: ProvidedName) -> bool {
        self.placeholders.values().any(|lookup| lookup.provided() == Some(name))
    }

    /// The first body that says something without using a value that Volley brings. Recipients see one of the bodies, so a
    /// value that everybody is to see stands in each.
    #[must_use]
    pub fn lacks(&self, name: ProvidedName) -> Option<Part> {
        let is_name = |lookup: &Lookup| lookup.provided() == Some(name);
        let lacks = |(part, body): &&(Part, Body)| match body {
            _ if *part == Part::Subject => false,
            Body::Program(lookups) => !lookups.iter().any(is_name),
            Body::Pieces(pieces) => {
                let uses = |piece: &Piece| matches!(piece, Piece::Field(lookup, _) if is_name(lookup));
                let says = |piece: &Piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty());
                pieces.iter().any(says) && !pieces.iter().any(uses)
            }
        };
        self.parts.iter().find(lacks).map(|(part, _)| *part)
    }

    /// The names that the template uses and this contact has no value for, sorted. One with a fallback counts too.
    #[must_use]
    pub fn missing(&self, profile: &Profile, provided: &Provided) -> Vec<String> {
        let is_missing = |(_, lookup): &(&String, &Lookup)| lookup.find(profile, provided).is_none();
        self.placeholders.iter().filter(is_missing).map(|(name, _)| name.clone()).collect()
    }

    /// Compiles a part that needs the template language.
    fn add_program(
        &mut self,
        part: Part,
        source: &str,
        tokens: &[(usize, Token<'_>)],
        names: &Names<'_>,
    ) -> Result<Uses, TemplateError> {
        let translation = Translation::of(tokens);
        let syntax = |at: usize, detail: String| {
            let (line, column) = position(source, at);
            TemplateError::Syntax { part, line, column, detail }
        };
        let refused = |error: minijinja::Error| {
            let at = error.range().map_or(source.len(), |range| translation.origin(range.start)).min(source.len());
            syntax(at, error.detail().unwrap_or("does not make sense here").to_owned())
        };
        for &(at, token) in tokens {
            if let Token::Code(code) = token
                && let Some(tag) = scan::tag(code)
                && OTHER_TEMPLATES.contains(&tag)
            {
                return Err(syntax(at, format!("{tag} is not available: a template stands alone")));
            }
        }
        // Before the engine sees it: while it compiles, it already works out what is constant.
        growth::check(&translation.source, part.as_str(), engine::syntax())
            .map_err(|found| syntax(translation.origin(found.at).min(source.len()), found.why.to_owned()))?;
        self.env.add_template_owned(part.as_str(), translation.source.clone()).map_err(refused)?;
        let mut state = self.env.empty_state();
        let mut is_known = |test: &str, name: &str| state.perform_test(test, &[name.into()]).unwrap_or(false);
        for (at, word) in words(tokens) {
            let (kind, hint) = match word.role {
                Role::Filter => ("filter", " (a word for those who have no value: {name|word}, in single braces)"),
                Role::Test => ("test", ""),
                Role::Name | Role::Assigned | Role::Key => continue,
            };
            if !is_known(kind, word.path) {
                return Err(syntax(at, format!("there is no {kind} {}{hint}", word.path)));
            }
        }
        let undeclared = self
            .env
            .get_template(part.as_str())
            .map(|template| template.undeclared_variables(true))
            .map_err(|error| syntax(0, error.kind().to_string()))?;
        let functions: BTreeSet<&str> = self.env.globals().map(|(name, _)| name).collect();
        Ok(Uses::of_program(tokens, &undeclared, &functions, names))
    }
}

/// The names in a part's code, with their places in the author's source.
fn words<'s>(tokens: &[(usize, Token<'s>)]) -> impl Iterator<Item = (usize, scan::Word<'s>)> {
    tokens.iter().flat_map(|&(at, token)| {
        let words = match token {
            Token::Code(code) => scan::words(code),
            Token::Field { name, .. } => vec![scan::Word { at: 0, path: name, role: Role::Name }],
            Token::Text(_) | Token::Literal(_) => Vec::new(),
        };
        words.into_iter().map(move |word| (at + word.at, word))
    })
}

/// The names that a part uses.
#[derive(Default)]
struct Uses {
    known: BTreeSet<Lookup>,
    /// With the byte of the first use; in the order of the source.
    unknown: Vec<(usize, String)>,
}

impl Uses {
    /// The fields that a program can ask for.
    fn roots(&self) -> Vec<Lookup> {
        let roots: BTreeSet<Lookup> = self.known.iter().map(Lookup::root).collect();
        roots.into_iter().collect()
    }

    fn of_pieces(tokens: &[(usize, Token<'_>)], names: &Names<'_>) -> Self {
        let (mut uses, mut seen) = (Self::default(), BTreeSet::new());
        for (at, word) in words(tokens) {
            match names.resolve(word.path) {
                Some(lookup) => _ = uses.known.insert(lookup),
                None if !seen.insert(word.path) => {}
                None => uses.unknown.push((at, word.path.to_owned())),
            }
        }
        uses
    }

    /// In a program only the language's own analysis can tell a contact's field from a variable of the template, but it
    /// overlooks a few places; so what is unknown is its word, and what can be asked for is every name that is a field.
    fn of_program(
        tokens: &[(usize, Token<'_>)],
        undeclared: &std::collections::HashSet<String>,
        functions: &BTreeSet<&str>,
        names: &Names<'_>,
    ) -> Self {
        let words: Vec<_> = words(tokens).collect();
        let assigned: BTreeSet<&str> =
            words.iter().filter(|(_, word)| word.role == Role::Assigned).map(|(_, word)| word.path).collect();
        let candidates = undeclared.iter().map(String::as_str);
        let is_name = |path: &str| words.iter().any(|(_, word)| word.role == Role::Name && word.path == path);
        let is_own = |name: &str| {
            let root = name.split('.').next().unwrap_or(name);
            functions.contains(root)
                || assigned.contains(root)
                || (root == ATTRIBUTES && names.has_attributes() && !is_name(ATTRIBUTES))
        };
        let mut unknown: Vec<_> = candidates
            .clone()
            .filter(|name| names.resolve(name).is_none() && !is_own(name))
            .map(|name| {
                let first = words.iter().find(|(_, word)| word.path.strip_prefix(name).is_some_and(is_path_end));
                (first.map_or(0, |(at, _)| *at), name.to_owned())
            })
            .collect();
        let mut known: BTreeSet<Lookup> = candidates.filter_map(|name| names.resolve(name)).collect();
        for (at, word) in &words {
            match word.role {
                Role::Name => known.extend(names.resolve(word.path)),
                Role::Key if names.has_attributes() => match names.attribute(word.path) {
                    Some(lookup) => _ = known.insert(lookup),
                    None => unknown.push((*at, word.path.to_owned())),
                },
                Role::Key | Role::Assigned | Role::Filter | Role::Test => {}
            }
        }
        unknown.sort();
        Self { known, unknown }
    }
}

/// Whether a path that continues so has ended, or goes on into a value.
fn is_path_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// The pieces of a part without code other than raw blocks. Names that are unknown have been reported.
fn pieces(tokens: &[(usize, Token<'_>)], names: &Names<'_>) -> Vec<Piece> {
    let piece = |&(_, token): &(usize, Token<'_>)| match token {
        Token::Text(text) | Token::Literal(text) => Some(Piece::Text(text.to_owned())),
        Token::Code(code) => Some(Piece::Text(scan::raw_text(code).unwrap_or(code).to_owned())),
        Token::Field { name, fallback } => Some(Piece::Field(names.resolve(name)?, fallback.map(str::to_owned))),
    };
    tokens.iter().filter_map(piece).collect()
}

#[cfg(test)]
mod tests;
