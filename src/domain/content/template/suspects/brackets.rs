//! Placeholders in square brackets: those of phpList, MailPoet and Sendy, and what drafts leave to be filled in.

use super::drafts::{
    is_before_numbers, is_draft, is_note, is_number_to_come, is_open_in_sentences, is_open_words, is_order, is_yours,
};
use super::meaning::{is_value_of_a_program, meaning};
use super::place::{Place, is_word, known};

/// `field:first_name`.
fn is_shortcode(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, name)| {
        matches!(kind, "field" | "merge" | "var" | "contact" | "user" | "customer" | "person") && is_word(name)
    })
}

/// What is named in brackets: `first_name` of `contact.first_name`, `FirstName|there` and `Recipient's first_name here`.
fn the_name(text: &str) -> &str {
    let name = text.split(['|', ',']).next().unwrap_or_default();
    let name = name.split(" default=").next().and_then(|name| name.split(" fallback=").next()).unwrap_or(name).trim();
    let name = name.rsplit("'s ").next().and_then(|name| name.rsplit("\u{2019}s ").next()).unwrap_or(name);
    let name = name.strip_suffix(" here").or_else(|| name.strip_suffix(" HERE")).unwrap_or(name);
    match name.rsplit_once('.') {
        Some((_, last)) if is_word(name) => last,
        _ => name.trim_start_matches('@'),
    }
}

/// `[NAME]`, `[First Name]`, `[Name,fallback=you]`, `[subscriber:firstname]`, `[insert name]`; and no link of Markdown.
pub(super) fn bracketed(place: &Place<'_, '_, '_>) -> bool {
    const OF_PHPLIST: &[&str] = &[
        "BLACKLISTURL",
        "CONFIRMATIONURL",
        "CONTACT",
        "FOOTER",
        "FORWARD",
        "FORWARDURL",
        "JUMPOFFURL",
        "LISTOWNER",
        "ORGANISATION_NAME",
        "PREFERENCES",
        "PREFERENCESURL",
        "SIGNATURE",
        "SUBSCRIBE",
        "SUBSCRIBEURL",
        "UNSUBSCRIBE",
        "UNSUBSCRIBEURL",
        "USERID",
        "USERTRACK",
        "VIEWINBROWSER",
        "VIEWONLINE",
    ];
    // Words that a headline or a form has in brackets, too.
    const ORDINARY: &[&str] = &["first", "last", "mail", "recipient", "mobile", "sms"];
    const OF_SENDY: &[&str] = &[
        "unsubscribe",
        "unsubscribe_url",
        "unsubscribe_link",
        "webversion",
        "webview",
        "resubscribe",
        "weblink",
        "currentday",
        "currentdaynumber",
        "currentmonth",
        "currentmonthname",
        "currentmonthnumber",
        "currentyear",
    ];
    const OF_MAILPOET: &[&str] = &["subscriber:", "link:", "newsletter:", "date:", "user:", "site:"];
    let inner = place.inner.trim_matches(' ');
    if inner.contains(",fallback=")
        || OF_MAILPOET
            .iter()
            .any(|start| inner.starts_with(start) && is_word(inner.split('|').next().unwrap_or_default().trim()))
    {
        return true;
    }
    let (plain, default) = inner.split_once("%%").unwrap_or((inner, ""));
    // `a[name]` and `vec![name]`.
    let is_macro = place.before.strip_suffix('!').is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric()));
    let is_index = is_macro
        || place.before.ends_with(char::is_alphanumeric)
        || (place.in_url() && !place.before.ends_with(['=', '/', '@']));
    let is_of_url = (place.in_url() && place.before.ends_with('=') && is_word(plain))
        || (OF_ADDRESSES.iter().any(|start| place.before.ends_with(start)) && is_word(plain))
        || (place.before.ends_with('@') && plain == "domain");
    let is_number = is_number_to_come(plain)
        && (place.after.trim_start().starts_with('%')
            || place.before.ends_with(['$', '€', '£'])
            || plain.len() > 2
            || is_before_numbers(&place.reader.last_word(place.at)));
    if is_of_url || is_number || is_tag_of_a_product(inner) {
        return true;
    }
    if place.after.starts_with(['(', '[', ':']) || is_index {
        return OF_PHPLIST.contains(&plain);
    }
    if LABELS_OF_LINKS.contains(&plain.to_lowercase().as_str()) && is_label_of_link(place) {
        return false;
    }
    let is_person = |name: &str| matches!(name, "first_name" | "last_name" | "name" | "email");
    // `[Email] course` is the label of a headline, and so is `[Event] Summer party`.
    let next = place.after.strip_prefix(' ').and_then(|after| after.split(|c: char| !c.is_alphabetic()).next());
    let is_label = is_first_of_line(place)
        && !plain.contains(' ')
        && next.is_some_and(|next| !next.is_empty() && !VERBS_OF_SENTENCES.contains(&next));
    if OF_SENDY.contains(&plain.replace(' ', "_").to_lowercase().as_str())
        || is_note(plain)
        || is_yours(plain)
        || is_order(plain)
        || (is_draft(plain) && !is_label)
        || is_shortcode(plain)
        || is_value_of_a_program(plain)
        || (place.names.has_attribute(plain) && !is_label && plain.starts_with(char::is_uppercase))
    {
        return true;
    }
    // `in [city] on [date]`. Where a quotation is shortened, an article stands before it: `The [company] declined`.
    let is_in_sentence = place.before.ends_with([' ', '\u{a0}', '$', '€', '£']) && !is_first_of_line(place);
    let is_shortened = ARTICLES.contains(&place.reader.last_word(place.at).as_str());
    let begins_with_article = plain.split(' ').next().is_some_and(|word| ARTICLES.contains(&word));
    // `Register here: [link]`.
    let is_asked_for = matches!(plain, "link" | "url") && place.before.trim_end().ends_with(':');
    let is_open = (is_open_words(plain) && !begins_with_article)
        || is_asked_for
        || (!is_shortened && is_open_in_sentences(plain));
    let is_plain_field = || known(place) && !ORDINARY.contains(&plain.to_lowercase().as_str());
    // `[company name] is happy`.
    let begins_sentence = next.is_some_and(|next| VERBS_OF_SENTENCES.contains(&next));
    if (is_in_sentence || begins_sentence)
        && plain == plain.to_lowercase()
        && (is_open || (!is_shortened && is_plain_field()))
    {
        return true;
    }
    if is_label && matches!(plain, "Email" | "email") {
        return false;
    }
    let is_either = |part: &str| {
        let part = part.trim();
        is_draft(part) || meaning(part, place.names).is_some_and(is_person)
    };
    if plain.contains('/') && !place.in_url() && plain.split('/').any(is_either) {
        return true;
    }
    let plain = the_name(plain);
    let means = meaning(plain, place.names).filter(|_| !ORDINARY.contains(&plain.to_lowercase().as_str()));
    let is_meant =
        means.is_some_and(|name| is_person(name) || !default.is_empty() || (plain.contains('_') && name != plain));
    OF_PHPLIST.contains(&plain) || plain.starts_with("UNSUBSCRIBEURL:") || is_meant
}

/// What links are called in brackets.
const LABELS_OF_LINKS: &[&str] =
    &["forward", "link", "preferences", "subscribe", "unsubscribe", "website", "webversion"];

/// Whether an address, or a value, belongs to what is in brackets: in HTML, and as a reader sees it, who sees `…` for a value.
fn is_label_of_link(place: &Place<'_, '_, '_>) -> bool {
    let tag = place.before.trim_end().strip_suffix('>').and_then(|before| before.rsplit('<').next());
    let is_in_link =
        tag.is_some_and(|tag| tag.starts_with("a ") && ["://", "mailto:", "{"].iter().any(|a| tag.contains(a)));
    let follows = place.after.trim_start_matches([':', ' ']);
    // `Click on [Unsubscribe]`. `[UNSUBSCRIBE]` is a tag of phpList, and `Find us on [website]` is open.
    let is_pressed = || {
        matches!(place.inner, "Preferences" | "Subscribe" | "Unsubscribe")
            && ["auf", "click", "on", "press", "tap"].contains(&place.reader.last_word(place.at).as_str())
    };
    follows.starts_with("http")
        || (follows.starts_with('{') && place.after.starts_with([':', ' ']))
        || is_pressed()
        || (is_in_link && place.after.trim_start().starts_with("</a>"))
        || place.after.starts_with(" (http")
        || place.after.starts_with(" (…")
}

/// Before words that are yet to come.
const OF_ADDRESSES: &[&str] = &["tel:", "mailto:", "://"];

/// Before words in brackets that shorten a quotation.
const ARTICLES: &[&str] = &["the", "that", "this", "a", "an", "his", "her", "their", "its", "our"];

/// After a subject: what stands before them is no label.
const VERBS_OF_SENTENCES: &[&str] = &[
    "is", "are", "was", "were", "will", "has", "have", "had", "can", "ist", "sind", "war", "wird", "hat", "est", "es",
    "is", "heeft",
];

/// `[agnFIRSTNAME]` of OpenEMM, `[%url:unsubscribe-jsp]` of Inxmail, `[node:title]` of Drupal, `[your-message]` and `[products limit="4"]` of WordPress.
fn is_tag_of_a_product(inner: &str) -> bool {
    let is_slug = |text: &str| {
        text.len() > 1
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '_')
    };
    inner.strip_prefix("agn").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        || inner.strip_prefix('_').is_some_and(is_slug)
        || ["your-", "your_"].iter().any(|start| inner.strip_prefix(start).is_some_and(is_slug))
        || inner
            .split_once(':')
            .is_some_and(|(kind, name)| is_slug(kind.strip_prefix('%').unwrap_or(kind)) && name.split(':').all(is_slug))
        || inner.split_once(' ').is_some_and(|(name, rest)| is_slug(name) && rest.contains("=\""))
}

fn is_first_of_line(place: &Place<'_, '_, '_>) -> bool {
    let before = place.reader.line_before(place.at).trim_end();
    before.is_empty() || before.ends_with('>')
}
