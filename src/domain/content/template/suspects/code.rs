//! Tags of other template languages in `{{ … }}` and `{% … %}`.

use super::Names;
use super::meaning::{guess, meaning};
use crate::domain::content::template::scan;

/// What something was taken for, and what to write in its place.
type Verdict = (&'static str, Option<String>);

const HANDLEBARS: &str = "a tag of Handlebars or Mustache";
const GO: &str = "an action of Go's templates, as in listmonk";
const LIQUID: &str = "a tag of Liquid";

/// How conditions and loops are written.
const CONDITION: &str =
    "{% if first_name %}…{% else %}…{% endif %} for a condition and {% for item in items %}…{% endfor %} for a loop";

/// The tags of Liquid and Twig that the template language has not.
const LIQUID_TAGS: &[&str] = &[
    "assign",
    "capture",
    "case",
    "comment",
    "connected_content",
    "cycle",
    "decrement",
    "elsif",
    "embed",
    "endcapture",
    "endcase",
    "endcomment",
    "endunless",
    "increment",
    "render",
    "tablerow",
    "unless",
    "use",
    "when",
];

/// What a piece of code is of another template language.
pub(super) fn find(code: &str, names: &Names<'_>) -> Option<Verdict> {
    if let Some(inner) = code.strip_prefix("{#").and_then(|rest| rest.strip_suffix("#}")) {
        let is_name = inner.trim() == inner && meaning(inner, names).is_some();
        return is_name.then(|| ("a comment, which prints nothing", guess(inner, names)));
    }
    if let Some(tag) = scan::tag(code) {
        return LIQUID_TAGS.contains(&tag).then(|| (LIQUID, Some(CONDITION.to_owned())));
    }
    let inner = code.strip_prefix("{{")?;
    if !code.ends_with("}}") {
        let word = inner.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        return Some(("a placeholder whose braces are not closed", guess(word, names)));
    }
    let inner = inner.split("}}").next().unwrap_or_default().trim_start_matches(['-', '~']).trim();
    let mut words = inner.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_more = words.next().is_some();
    match inner.chars().next()? {
        '#' | '/' | '^' | '>' | '!' | '&' => return Some((HANDLEBARS, Some(CONDITION.to_owned()))),
        '{' if !inner.contains([':', '\'', '"']) => {
            return Some((HANDLEBARS, guess(inner, names)));
        }
        '.' | '$' => return Some((GO, guess(inner, names))),
        '*' | '@' | '%' | '?' | '=' | '<' => return Some(("a placeholder of another product", guess(inner, names))),
        _ => {}
    }
    if !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit()) {
        return Some(("a numbered placeholder, as of WhatsApp", None));
    }
    match first {
        "range" | "with" | "define" | "block" | "template" if is_more => return Some((GO, Some(CONDITION.to_owned()))),
        "if" | "else" | "end" | "unless" | "each" | "elseif" => return Some((GO, Some(CONDITION.to_owned()))),
        _ => {}
    }
    if inner.split('|').skip(1).any(is_filter_of_liquid) {
        let name = inner.split('|').next().unwrap_or_default();
        let instead = guess(name, names).map(|name| format!("{}|Customer}}", name.trim_end_matches('}')));
        return Some((LIQUID, instead));
    }
    let is_computed = inner.split([' ', '-']).all(|name| names.resolve(name).is_some()) && !inner.contains(' ');
    (is_spelled(inner) && !is_computed).then(|| ("no name that the template language knows", guess(inner, names)))
}

/// What the fallback of `{name|fallback}` is, where it was meant to be something else.
pub(super) fn fallback(name: &str, fallback: &str, names: &Names<'_>) -> Option<Verdict> {
    const FILTERS: &[&str] =
        &["capitalize", "default", "escape", "fallback", "lower", "title", "trim", "upper", "upcase", "downcase"];
    let text = fallback.trim();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if FILTERS.contains(&word) && (rest.is_empty() || rest.trim_start().starts_with(['(', ':'])) {
        let argument = rest.trim_matches(|c: char| c.is_whitespace() || "():\"'".contains(c));
        let is_default = matches!(word, "default" | "fallback") && !argument.is_empty();
        let instead = if is_default { format!("{{{name}|{argument}}}") } else { format!("{{{{ {name}|{word} }}}}") };
        return Some(("a placeholder with a filter, and single braces have none", Some(instead)));
    }
    let is_quoted =
        text.len() > 1 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
    if is_quoted {
        return Some((
            "a placeholder with quotes that would be printed",
            Some(format!("{{{name}|{}}}", text.trim_matches(['"', '\'']))),
        ));
    }
    if text.starts_with('|') {
        let instead = format!("{{{name}|{}}}", text.trim_start_matches('|').trim());
        return Some(("a placeholder with one | too many", Some(instead)));
    }
    let is_name = text.contains('_') && names.resolve(text).is_some();
    let instead = || Some(format!("{{{{ {name}|fallback({text}) }}}}"));
    is_name.then(|| ("a placeholder with the name of another one as its fallback", instead()))
}

/// `{{ else }}`, `{{ end }}` and other words that are no name of a contact.
pub(super) fn keyword(name: &str, names: &Names<'_>) -> Option<Verdict> {
    let is_known = names.resolve(name).is_some();
    (!is_known && matches!(name, "else" | "end" | "endif")).then(|| (GO, Some(CONDITION.to_owned())))
}

/// `default: "x"`.
fn is_filter_of_liquid(filter: &str) -> bool {
    let filter = filter.trim_start();
    let name = filter.len() - filter.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
    name > 0 && filter.get(name..).is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// Words joined by blanks or hyphens only, which the template language would take for a subtraction, or for nothing.
fn is_spelled(inner: &str) -> bool {
    let is_part =
        |part: &str| part.starts_with(char::is_alphabetic) && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_code = |part: &str| matches!(part, "and" | "else" | "if" | "in" | "is" | "not" | "or");
    let mut parts = inner.split([' ', '-']);
    inner.contains([' ', '-']) && !inner.contains(" - ") && parts.clone().all(is_part) && !parts.any(is_code)
}
