//! The placeholders of other products, by what stands around them.
//!
//! Sources: the products' own pages on merge tags and personalisation (Mailchimp, phpList, Mautic, MailPoet, Sendy, Campaign Monitor,
//! ActiveCampaign, Salesforce Marketing Cloud, Acoustic, Mailgun, SendGrid, Mailjet, GetResponse, Zoho, Moosend, Keap, dotdigital, Adobe
//! Campaign), and the template languages ERB, EJS, PHP, Python and Ruby.

mod accepts;

use self::accepts::{
    anything, between_dollars, between_double_percents, between_percents, in_double_brackets, known_capitals,
    known_or_capitals, known_or_program, known_value, letters, name, note_to_insert, of_moosend, of_word_processor,
    person_after_a_sign, tag_of_a_name, titled_person, with_dot, word,
};
use super::bare::is_spelled_as_field;
use super::brackets::bracketed;
use super::place::{Place, known, names_a_person};
use super::{Found, Reader, greeting};

/// A syntax of another product.
struct Syntax {
    open: &'static str,
    close: &'static str,
    /// Whether what stands between is one of its placeholders.
    accepts: fn(&Place<'_, '_, '_>) -> bool,
    taken_for: &'static str,
}

/// In the order in which they are tried: the longer ones before those that they begin with.
const SYNTAXES: &[Syntax] = &[
    Syntax { open: "*|", close: "|*", accepts: anything, taken_for: "a merge tag of Mailchimp" },
    Syntax { open: "<%", close: "%>", accepts: anything, taken_for: "a tag of ERB, EJS or Adobe Campaign" },
    Syntax { open: "&lt;%", close: "%&gt;", accepts: anything, taken_for: "a tag of ERB, EJS or Adobe Campaign" },
    Syntax { open: "<?php", close: "?>", accepts: anything, taken_for: "a tag of PHP" },
    Syntax { open: "<?=", close: "?>", accepts: anything, taken_for: "a tag of PHP" },
    Syntax { open: "<?", close: "?>", accepts: known, taken_for: "a tag of PHP" },
    Syntax { open: "<<", close: ">>", accepts: known_value, taken_for: "a merge field of a word processor" },
    Syntax {
        open: "&lt;&lt;",
        close: "&gt;&gt;",
        accepts: known_value,
        taken_for: "a merge field of a word processor",
    },
    Syntax { open: "«", close: "»", accepts: of_word_processor, taken_for: "a merge field of a word processor" },
    Syntax { open: "‹", close: "›", accepts: of_word_processor, taken_for: "a merge field in quotes" },
    Syntax { open: "⟨", close: "⟩", accepts: known, taken_for: "a placeholder in angle brackets" },
    Syntax { open: "【", close: "】", accepts: of_word_processor, taken_for: "a placeholder in brackets" },
    Syntax { open: "《", close: "》", accepts: of_word_processor, taken_for: "a placeholder in brackets" },
    Syntax { open: "「", close: "」", accepts: of_word_processor, taken_for: "a placeholder in brackets" },
    Syntax { open: "<$", close: "$>", accepts: name, taken_for: "a tag of Campaign Monitor" },
    Syntax {
        open: "<",
        close: ">",
        accepts: tag_of_a_name,
        taken_for: "a placeholder in angle brackets, as of Campaign Monitor",
    },
    Syntax {
        open: "[[",
        close: "]]",
        accepts: in_double_brackets,
        taken_for: "a placeholder in double brackets, as of Mailjet and GetResponse",
    },
    Syntax {
        open: "[%",
        close: "%]",
        accepts: anything,
        taken_for: "a tag in brackets and percent signs, as of SendGrid and Emma",
    },
    Syntax {
        open: "[",
        close: "]",
        accepts: bracketed,
        taken_for: "a placeholder in brackets, as of phpList, MailPoet and Sendy",
    },
    Syntax { open: "%%=", close: "=%%", accepts: anything, taken_for: "AMPscript of Salesforce" },
    Syntax { open: "%%[", close: "]%%", accepts: anything, taken_for: "AMPscript of Salesforce" },
    Syntax {
        open: "%%",
        close: "%%",
        accepts: between_double_percents,
        taken_for: "a placeholder of Salesforce or Acoustic",
    },
    Syntax {
        open: "%{",
        close: "}",
        accepts: person_after_a_sign,
        taken_for: "a placeholder of Ruby (a percent sign before a value is %{{ name }})",
    },
    Syntax {
        open: "#{",
        close: "}",
        accepts: person_after_a_sign,
        taken_for: "a placeholder of Ruby or Pug (a number sign before a value is #{{ name }})",
    },
    Syntax {
        open: "@{",
        close: "}",
        accepts: person_after_a_sign,
        taken_for: "a placeholder of Thymeleaf or Razor (an at sign before a value is @{{ name }})",
    },
    Syntax { open: "%(", close: ")s", accepts: word, taken_for: "a placeholder of Python" },
    Syntax {
        open: "%",
        close: "%",
        accepts: between_percents,
        taken_for: "a placeholder in percent signs, as of ActiveCampaign and Mailgun",
    },
    Syntax {
        open: "${",
        close: "}",
        accepts: letters,
        taken_for: "a placeholder in dollar braces, as of JavaScript (a dollar sign before a value is ${{ name }})",
    },
    Syntax { open: "$!{", close: "}", accepts: letters, taken_for: "a placeholder of Velocity, as of Marketo" },
    Syntax { open: "$[", close: "]$", accepts: anything, taken_for: "a merge tag of Zoho" },
    Syntax { open: "$(", close: ")", accepts: known, taken_for: "a placeholder in dollar signs" },
    Syntax { open: "$", close: "$", accepts: between_dollars, taken_for: "a placeholder in dollar signs" },
    Syntax { open: "##", close: "##", accepts: known_value, taken_for: "a placeholder in number signs" },
    Syntax { open: "#", close: "#", accepts: of_moosend, taken_for: "a placeholder of Moosend" },
    Syntax { open: "&&", close: "&&", accepts: known_value, taken_for: "a placeholder in ampersands" },
    Syntax { open: "@(", close: ")", accepts: known, taken_for: "a placeholder of Razor" },
    Syntax { open: "@@", close: "@@", accepts: known_value, taken_for: "a placeholder in at signs" },
    Syntax { open: "@", close: "@", accepts: known_capitals, taken_for: "a placeholder in at signs, as of dotdigital" },
    Syntax { open: "#", close: "#", accepts: known_capitals, taken_for: "a placeholder in number signs" },
    Syntax { open: "#", close: "#", accepts: titled_person, taken_for: "a placeholder in number signs" },
    Syntax { open: "@", close: "@", accepts: titled_person, taken_for: "a placeholder in at signs" },
    Syntax { open: "^", close: "^", accepts: titled_person, taken_for: "a placeholder in carets" },
    Syntax { open: "=", close: "=", accepts: titled_person, taken_for: "a placeholder in equals signs" },
    Syntax { open: "!!", close: "!!", accepts: known, taken_for: "a placeholder in exclamation marks" },
    Syntax { open: "~", close: "~", accepts: with_dot, taken_for: "a merge field of Keap" },
    Syntax { open: "__", close: "__", accepts: known_or_capitals, taken_for: "a placeholder in underscores" },
    Syntax { open: "((", close: "))", accepts: known_or_program, taken_for: "a placeholder in double parentheses" },
    Syntax { open: "(", close: ")", accepts: note_to_insert, taken_for: "a note that something is to be filled in" },
];

/// The placeholder of another product that begins at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    let line = ahead.lines().next().unwrap_or_default();
    for Syntax { open, close, accepts, taken_for } in SYNTAXES {
        let Some((inner, _)) = line.strip_prefix(open).and_then(|rest| rest.split_once(close)) else { continue };
        let end = at + open.len() + inner.len() + close.len();
        let place = Place {
            inner,
            before: reader.before(at),
            after: reader.source.get(end..).unwrap_or_default(),
            at,
            reader,
            names: reader.names,
        };
        if accepts(&place) {
            return Some(reader.found(at..end, taken_for, inner));
        }
    }
    if let Some(inner) = line.strip_prefix("*|").filter(|rest| rest.starts_with(char::is_alphabetic)) {
        let inner = inner.split_whitespace().next().unwrap_or_default();
        return Some(reader.found(at..at + 2 + inner.len(), "a merge tag of Mailchimp that is not closed", inner));
    }
    if let Some(inner) = line
        .strip_prefix("<%=")
        .or(line.strip_prefix("<%-"))
        .or(line.strip_prefix("<?="))
        .or(line.strip_prefix("<?php"))
    {
        return Some(reader.found(
            at..at + line.len(),
            "a tag of ERB, EJS or PHP that does not end on its line",
            inner.trim(),
        ));
    }
    if line.starts_with("@TrackLink") {
        return Some(reader.found(at..at + "@TrackLink".len(), "a mark of listmonk", ""));
    }
    if let Some(found) = half_closed(reader, at, line) {
        return Some(found);
    }
    if let Some(name) = line.strip_prefix("@Model.") {
        let name = name.get(..name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len())).unwrap_or_default();
        return Some(reader.found(at..at + "@Model.".len() + name.len(), "a placeholder of Razor", name));
    }
    printf(reader, at, line)
}

/// The placeholder that is a whole text in a style or in a program (`"name": "*|FNAME|*"`), or certainly one in a longer text. Code has most
/// other signs of its own.
pub(super) fn in_code(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    const OPEN: &str = "\"'(";
    const CERTAIN: &[&str] = &["*|", "%%", "<<"];
    let ahead = reader.ahead(at);
    if !ahead.starts_with(['*', '%', '<', '«', '[']) {
        return None;
    }
    let begins = reader.before(at).ends_with(|c| OPEN.contains(c));
    let is_certain = CERTAIN.iter().any(|open| ahead.starts_with(open)) && is_in_text(reader, at);
    if !begins && !is_certain {
        return None;
    }
    let found = find(reader, at)?;
    let ends = reader.source.get(found.range.end..).is_some_and(|after| after.starts_with(['"', '\'', ')']));
    ((is_certain || ends) && found.instead.is_some()).then_some(found)
}

/// Whether a byte of code is in a text between quotes, or in an address, that ends on its line.
fn is_in_text(reader: &Reader<'_, '_>, at: usize) -> bool {
    let before = reader.line_before(at);
    let after = reader.ahead(at).lines().next().unwrap_or_default();
    let in_quotes = |quote: char| before.matches(quote).count() % 2 == 1 && after.contains(quote);
    let in_address = before.rsplit_once("url(").is_some_and(|(_, address)| !address.contains(')'));
    in_quotes('"') || in_quotes('\'') || in_address && after.contains(')')
}

/// `[First Name` and `<First Name`: the other bracket was forgotten.
fn half_closed(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<Found> {
    let (rest, taken_for) = match line.strip_prefix('[') {
        Some(rest) if !rest.contains(']') => (rest, "a placeholder in brackets that is not closed"),
        Some(_) => return None,
        None => (line.strip_prefix('<')?, "a placeholder in angle brackets that is not closed"),
    };
    let name = greeting::name(rest).0;
    let is_plain = name.contains(' ') || is_spelled_as_field(name);
    let is_meant = names_a_person(name, reader.names) && (is_plain || line.starts_with('['));
    let is_open = is_meant && !line.contains('>');
    is_open.then(|| reader.found(at..at + 1 + name.len(), taken_for, name))
}

/// `%s` and `%1$s`.
fn printf(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<Found> {
    let rest = line.strip_prefix('%')?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let kind = match rest.get(digits..)?.strip_prefix('$') {
        Some(rest) if digits > 0 => rest,
        Some(_) => return None,
        None if digits == 0 => rest,
        None => return None,
    };
    let after = kind.strip_prefix(['s', 'd'])?;
    let before = reader.before(at);
    let is_share = before.trim_end().ends_with(|c: char| c.is_ascii_digit());
    let stands_alone =
        !after.starts_with(|c: char| c.is_alphanumeric() || c == '%') && !before.ends_with(char::is_alphanumeric);
    // `%Y-%m-%d`.
    let is_of_date = before.ends_with(['-', '/', ':', '.']);
    let is_one = stands_alone && !is_of_date && (digits > 0 || !is_share) && !reader.in_url(at);
    is_one.then(|| reader.found(at..at + line.len() - after.len(), "a placeholder of a programming language", ""))
}
