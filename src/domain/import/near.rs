//! Names of columns that are near to consent, though no word in them says whether people agree: "Marketing emails", "Abo", "OK to email".

use super::consent_names::{self, ALLOWANCES, CHANNELS, EMAILS, MEASURES, Named};

/// What a column says of consent, by its [`normalised`](crate::domain::people::contact::normalised_name) name.
pub(super) fn of_name(name: &str) -> Option<Named> {
    consent_names::of_name(name)
        .or_else(|| is_near(name).then_some(Named::Near))
        .or_else(|| is_doubtful(name).then_some(Named::Doubtful))
}

/// Parts of words that are near to consent, in the common languages of Europe.
const NEAR: &[&str] = &[
    "newsletter",
    "marketing",
    "mailing",
    "werbung",
    "werbeerlaub",
    "publicidad",
    "promotional",
    "promotions",
    "promo_email",
    "mailable",
    "emailable",
    "permission",
    "abonn",
    "erlaubnis",
];

/// Words that stand for consent, and oftener for something else.
const DOUBTFUL: &[&str] = &[
    "active",
    "aktiv",
    "actif",
    "activo",
    "attivo",
    "accord",
    "bestaetigt",
    "confirme",
    "datenschutz",
    "doi",
    "emails",
    "enews",
    "news",
    "nl",
    "privacy",
];

/// Words that change nothing of them.
const BESIDE_DOUBTFUL: &[&str] = &["is", "ist", "est", "e", "list", "the"];

/// Whether only a no below a name is about consent.
fn is_doubtful(name: &str) -> bool {
    let words = || name.split('_').filter(|word| !word.is_empty());
    words().any(|word| DOUBTFUL.contains(&word))
        && words().all(|word| DOUBTFUL.contains(&word) || BESIDE_DOUBTFUL.contains(&word))
}

/// Words that are near to it where no other one stands beside them but these.
const NEAR_ALONE: &[&str] = &[
    "subscriber",
    "subscribers",
    "subscription",
    "subscriptions",
    "abo",
    "abonnement",
    "abonnements",
    "suscriptor",
    "suscripcion",
    "iscrizione",
    "confirmed",
    "emailing",
    "active",
    "current",
    "is",
    "has",
    "the",
    "a",
    "list",
    "status",
    "state",
    "email",
    "estado",
    "stato",
    "statut",
    "my",
    "our",
];

/// Words of agreement that are near to it beside what is agreed to.
const NEAR_BESIDE: &[&str] = &[
    "can",
    "ok",
    "okay",
    "may",
    "contact",
    "kontakt",
    "active",
    "aktiv",
    "allowed",
    "erlaubt",
    "accept",
    "accepts",
    "accepte",
    "acepta",
    "accetta",
    "aceita",
    "receive",
    "receives",
    "recibir",
    "ricevere",
    "recevoir",
    "toegestaan",
    "wants",
    "enabled",
    "notification",
    "notifications",
    "preference",
    "preferences",
    "setting",
    "settings",
];

/// What is agreed to, beyond [`EMAILS`].
const NEAR_EMAILS: &[&str] = &["correo", "correos", "courriel", "courriels", "emailnotifications", "mailing"];

/// What makes a number, a place or a time of a name.
const NO_ANSWER: &[&str] = &[
    "opened",
    "open",
    "clicked",
    "click",
    "delivered",
    "bounced",
    "replied",
    "sent",
    "received",
    "last",
    "first",
    "until",
    "street",
    "city",
    "state",
    "province",
    "zip",
    "postal",
    "code",
    "address",
    "line",
    "county",
    "region",
    "name",
    "channel",
    "campaign",
    "verified",
    "valid",
    "validated",
    "provider",
    "domain",
    "owner",
    "plan",
    "level",
    "page",
    "group",
    "source",
    "date",
    "time",
    "type",
];

/// Whether a name that says nothing of consent is so near to it that an answer below it must be looked at.
fn is_near(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let is_other_channel =
        has(CHANNELS) && !words.iter().any(|word| word.contains("mail") || word.starts_with("newsletter"));
    if has(MEASURES) || is_other_channel {
        return false;
    }
    let is_alone = || {
        words.iter().all(|word| NEAR_ALONE.contains(word))
            && (words.len() > 1 || !matches!(name, "active" | "current" | "email" | "state" | "list" | "is" | "has"))
            && !matches!(name, "email_list" | "email_state")
    };
    let is_contact = || has(NEAR_BESIDE) && (has(EMAILS) || has(NEAR_EMAILS));
    let is_allowed = || words.windows(2).any(|pair| pair == ["kontakt", "erlaubt"]);
    let is_legal = || words.windows(2).any(|pair| pair == ["legal", "basis"]);
    let has_part = || NEAR.iter().any(|part| name.contains(part)) || words.contains(&"promo") && has(EMAILS);
    is_legal()
        || is_allowed()
        || is_alone()
        || (!has(NO_ANSWER) && (has_part() || is_contact() || has(NEAR_EMAILS) && has(ALLOWANCES)))
}
