//! What the words in the name of a column say of consent.

use super::statuses::{Consent, Meaning};

/// What the name of a column says of consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Its cells say it, like this.
    Says(Consent),
    /// It is kept as it is, but a yes or a no in it would say more than that.
    Detail,
    /// It is about something near to consent: any answer in it, also 0 and 1, may be one about consent.
    Near,
    /// It is mostly about something else, such as a customer who is active: only a no in it may be one about consent.
    Doubtful,
    /// It may say it, and how is not clear.
    Unclear,
}

/// The column of a header that says something of consent in a file of no tool that is known: its name is a [`normalised`
/// one](crate::domain::people::contact::normalised_name).
pub(super) fn of_name(name: &str) -> Option<Named> {
    Some(Named::Says(match name {
        "status"
        | "subscription_status"
        | "subscriber_status"
        | "email_marketing_status"
        | "marketing_status"
        | "mailing_status" => Consent::Word,
        "subscribed"
        | "subscribe"
        | "is_subscribed"
        | "opt_in"
        | "optin"
        | "opted_in"
        | "email_opt_in"
        | "email_optin"
        | "accepts_marketing"
        | "accepts_email_marketing"
        | "buyer_accepts_marketing"
        | "email_marketing"
        | "receive_emails"
        | "receives_emails"
        | "marketing_consent"
        | "email_consent"
        | "email_marketing_consent" => Consent::Agreed,
        "double_opt_in" => Consent::Perhaps,
        "unsubscribed_at" | "unsubscribed_on" | "unsubscribed_date" | "unsubscribe_date" | "unsubscribe_time"
        | "unsub_time" | "opt_out_date" | "optout_date" | "opted_out_at" | "opted_out_date" => {
            Consent::Filled(Meaning::Refuses)
        }
        "clean_time" | "bounced_at" => Consent::Filled(Meaning::Bounced),
        "unsubscribed"
        | "is_unsubscribed"
        | "unsubscribe"
        | "global_unsubscribe"
        | "abgemeldet"
        | "desinscrit"
        | "do_not_mail"
        | "opt_out"
        | "optout"
        | "opted_out"
        | "email_opt_out"
        | "email_optout"
        | "has_opted_out_of_email"
        | "do_not_email"
        | "do_not_contact" => Consent::Marked(Meaning::Refuses),
        "deactivated" | "blocked" | "is_blocked" | "suppressed" | "is_suppressed" | "blacklisted" | "blocklisted"
        | "is_blacklisted" | "is_blocklisted" => Consent::Marked(Meaning::Blocked),
        "verstorben" | "deceased" | "is_deceased" | "decede" | "fallecido" | "deceduto" | "overleden" | "gesperrt"
        | "sperrvermerk" => Consent::Marked(Meaning::Blocked),
        "bounced" | "bounce" | "hard_bounce" | "hard_bounced" => Consent::Marked(Meaning::Bounced),
        "complained" | "complaint" | "spam_complaint" => Consent::Marked(Meaning::Complained),
        "email_preference"
        | "email_preferences"
        | "marketing_preference"
        | "marketing_preferences"
        | "mailing_preferences"
        | "communication_preference"
        | "communication_preferences"
        | "contact_preference"
        | "contact_preferences" => return Some(Named::Unclear),
        _ if name.starts_with("opted_out_of_email") => Consent::Marked(Meaning::Refuses),
        _ => match about(name)? {
            About::Agreement => Consent::Agreed,
            About::Refusal => Consent::Marked(Meaning::Refuses),
            About::RefusalDetail => Consent::Filled(Meaning::Refuses),
            About::AgreementDetail => return Some(Named::Detail),
            About::Unclear => return Some(Named::Unclear),
        },
    }))
}

/// What a column is about, as the words in its name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Whether the person agrees.
    Agreement,
    /// Whether the person has refused.
    Refusal,
    /// When or why the person has refused.
    RefusalDetail,
    /// When, how or why the person agrees.
    AgreementDetail,
    /// Consent, and what of it cannot be told: "Consent expired", "GDPR erasure request".
    Unclear,
}

/// Whole words, in English and the common languages of Europe, as attributes are spelled.
const AGREEMENTS: &[&str] = &[
    "newsletter",
    "newsletters",
    "newsletterabo",
    "nieuwsbrief",
    "nyhetsbrev",
    "nyhedsbrev",
    "infolettre",
    "boletin",
    "consent",
    "consents",
    "optin",
    "gdpr",
    "dsgvo",
    "rgpd",
    "subscribed",
    "einwilligung",
    "werbeeinwilligung",
    "datenschutzeinwilligung",
    "zustimmung",
    "angemeldet",
    "consentement",
    "consentimiento",
    "consentimento",
    "consenso",
    "toestemming",
    "samtycke",
    "samtykke",
    "zgoda",
    "souhlas",
    "suscrito",
    "abonne",
    "inscrit",
    "iscritto",
    "contactable",
    "rundbrief",
    "rundmail",
    "werbezustimmung",
    "zugestimmt",
];
const REFUSALS: &[&str] = &[
    "werbeverbot",
    "mailverbot",
    "unsubscribed",
    "unsubscribe",
    "unsubscription",
    "unsub",
    "unsubs",
    "optout",
    "suppressed",
    "suppression",
    "suppressions",
    "dnc",
    "dnm",
    "blocklist",
    "blocklisted",
    "blacklist",
    "blacklisted",
    "abgemeldet",
    "abmeldung",
    "abmeldedatum",
    "abbestellt",
    "werbesperre",
    "werbewiderspruch",
    "sperrliste",
    "robinsonliste",
    "desinscrit",
    "desinscription",
    "desabonne",
    "disiscritto",
    "uitgeschreven",
    "afgemeld",
    "wypisany",
    "widerruf",
    "widerrufen",
    "widerspruch",
    "widersprochen",
    "kontaktsperre",
    "kontaktverbot",
    "mailsperre",
    "emailsperre",
    "sperre",
    "robinson",
    "opposition",
    "baja",
];
/// With a word of agreement, or of what is agreed to, they make a refusal of it.
const NEGATIONS: &[&str] = &[
    "no",
    "not",
    "never",
    "without",
    "kein",
    "keine",
    "keinen",
    "ohne",
    "non",
    "sans",
    "sin",
    "senza",
    "geen",
    "ingen",
    "withdrawn",
    "withdrawal",
    "declined",
    "revoked",
    "refused",
    "denied",
    "rejected",
    "cancelled",
    "canceled",
    "stop",
    "stopped",
    "blocked",
    "disabled",
    "removed",
    "objection",
    "gekuendigt",
    "widerruf",
    "widerrufen",
    "widerspruch",
    "abgelehnt",
];
/// What is not to be done: "Nicht kontaktieren".
const WRITTEN_TO: &[&str] = &["kontaktieren", "anschreiben", "mailen", "anmailen"];
/// With what is agreed to alone, these do so, too: "No email". "Mail stop" is a part of addresses.
const PLAIN_NEGATIONS: &[&str] = &[
    "no", "not", "without", "kein", "keine", "keinen", "ohne", "sans", "sin", "senza", "geen", "ingen", "disabled",
    "blocked",
];
/// They agree to what stands beside them, and mean something else elsewhere.
pub(super) const ALLOWANCES: &[&str] = &[
    "permission",
    "permissions",
    "allow",
    "allows",
    "allowed",
    "erlaubt",
    "accept",
    "accepts",
    "accepted",
    "wants",
    "subscriber",
    "subscription",
];
/// What is agreed to. Alone they say nothing of consent.
pub(super) const EMAILS: &[&str] = &["email", "emails", "mail", "mails", "mailing", "mailings", "marketing", "werbung"];
/// Other ways to write to somebody, or to call: an agreement to them is none to emails.
pub(super) const CHANNELS: &[&str] = &[
    "sms",
    "text",
    "texts",
    "whatsapp",
    "phone",
    "telefon",
    "mobile",
    "call",
    "calls",
    "voicemail",
    "fax",
    "post",
    "postal",
    "push",
    "cookie",
    "cookies",
    "photo",
];
/// When, how or why.
const DETAILS: &[&str] = &[
    "since",
    "updated",
    "changed",
    "topic",
    "group",
    "name",
    "plan",
    "level",
    "page",
    "form",
    "date",
    "datum",
    "fecha",
    "time",
    "at",
    "on",
    "am",
    "ts",
    "timestamp",
    "reason",
    "grund",
    "source",
    "method",
    "type",
    "via",
    "channel",
    "version",
    "wording",
];
/// What is counted or named of a newsletter or a subscriber.
pub(super) const MEASURES: &[&str] = &[
    "count", "number", "num", "nr", "total", "score", "rate", "id", "ip", "link", "url", "token", "country",
    "language", "lang", "opens", "clicks", "discount",
];
/// Words that change nothing.
const NEUTRAL: &[&str] = &[
    "given",
    "signup",
    "sign",
    "up",
    "double",
    "confirmed",
    "anmeldung",
    "empfaenger",
    "abonniert",
    "bestaetigt",
    "utc",
    "us",
    "may",
    "a",
    "agree",
    "agreed",
    "all",
    "an",
    "auf",
    "by",
    "contact",
    "customer",
    "das",
    "de",
    "der",
    "des",
    "die",
    "e",
    "emailing",
    "flag",
    "for",
    "from",
    "fuer",
    "get",
    "global",
    "has",
    "have",
    "i",
    "in",
    "is",
    "la",
    "le",
    "like",
    "list",
    "may",
    "member",
    "of",
    "opted",
    "our",
    "per",
    "please",
    "receive",
    "receives",
    "receiving",
    "send",
    "state",
    "status",
    "subscribe",
    "subscription",
    "the",
    "to",
    "user",
    "want",
    "wants",
    "we",
    "would",
    "you",
    "your",
    "zum",
    "zur",
];

/// What a column of this [`normalised`](crate::domain::people::contact::normalised_name) name is about. `None`: nothing of consent.
///
/// A name says how a column is to be read only if every one of its words is known: a single other word may turn it round.
pub(super) fn about(name: &str) -> Option<About> {
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let has_pair = |one: &str, other: &str| words.windows(2).any(|pair| pair == [one, other]);
    // "Newsletter (yes/no)".
    let is_choice = |word: &str| has(&["yes"]) && has(&["no"]) && matches!(word, "yes" | "no");
    let negates = words.iter().any(|word| NEGATIONS.contains(word) && !is_choice(word));
    let agrees = has(AGREEMENTS) || has_pair("opt", "in") || has_pair("opted", "in") || has(ALLOWANCES) && has(EMAILS);
    let says_no = has(REFUSALS)
        || has_pair("opt", "out")
        || has_pair("opted", "out")
        || has_pair("do", "not")
        || has(&["nicht"]) && has(WRITTEN_TO);
    let refuses = says_no || negates && (agrees || has(EMAILS) && has(PLAIN_NEGATIONS));
    if !(agrees || refuses) || has(MEASURES) {
        return None;
    }
    let is_by_email = words.iter().any(|word| word.contains("mail") || word.starts_with("newsletter"));
    let is_all = |known: &[&[&str]]| words.iter().all(|word| known.iter().any(|words| words.contains(word)));
    if has(CHANNELS)
        && !is_by_email
        && (!refuses || is_all(&[CHANNELS, &["do", "not", "opt", "opted", "out", "optout"]]))
    {
        return None;
    }
    // "Nicht angemeldet" is nothing of the kind.
    let nicht: &[&str] = if has(WRITTEN_TO) { &["nicht"] } else { &[] };
    let is_known = is_all(&[
        AGREEMENTS,
        REFUSALS,
        NEGATIONS,
        ALLOWANCES,
        EMAILS,
        DETAILS,
        NEUTRAL,
        WRITTEN_TO,
        nicht,
        &["opt", "out", "do", "yes"],
    ]);
    match (is_known, refuses) {
        // "Email not verified" is about something else.
        (false, _) if !(agrees || says_no) => None,
        (false, _) => Some(About::Unclear),
        (true, true) if has(DETAILS) || words.last() == Some(&"by") => Some(About::RefusalDetail),
        (true, true) => Some(About::Refusal),
        (true, false) if has(DETAILS) || words.last() == Some(&"by") => Some(About::AgreementDetail),
        (true, false) => Some(About::Agreement),
    }
}

#[cfg(test)]
mod tests;
