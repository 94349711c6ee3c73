//! Words of refusal in places that are kept as they are: nobody is written to for the want of a better name of a column.

use serde_json::{Map, Value};

use super::consent_names::Named;
use super::near::of_name;
use super::spellings::folded;
use super::statuses::{answer, hear, word};
use crate::domain::people::consent::Said;
use crate::domain::people::contact::{FieldError, normalised_name};
use crate::domain::people::standing::Standing;
use crate::domain::shown::shown;

/// Words that say in any column that somebody is not to be written to, folded.
const WORDS: &[&str] = &[
    "unsubscribed",
    "unsubscribe",
    "optedout",
    "optout",
    "abgemeldet",
    "abbestellt",
    "desinscrit",
    "desinscrite",
    "desabonne",
    "desabonnee",
    "disiscritto",
    "uitgeschreven",
    "suppressed",
    "usersuppressed",
    "blocklisted",
    "blacklisted",
    "bounced",
    "hardbounced",
    "hardbounce",
    "complained",
    "spamcomplaint",
    "donotmail",
    "donotemail",
    "donotcontact",
    "notsubscribed",
    "nonsubscribed",
    "neversubscribed",
    "noconsent",
    "nopermission",
    "nonewsletter",
    "noemail",
    "noemails",
    "nomarketing",
    "nomail",
    "keinewerbung",
    "keinnewsletter",
];

/// Refuses a cell that says that somebody is not to be written to, in a column that would be kept as an attribute: it may be about something else.
pub(super) fn check(text: &str) -> Result<(), FieldError> {
    // Most cells are anything else.
    let first = text.as_bytes().first().map(u8::to_ascii_lowercase);
    let may_be =
        text.len() >= 6 && matches!(first, Some(b'a' | b'b' | b'c' | b'd' | b'h' | b'k' | b'n' | b'o' | b's' | b'u'));
    if text.starts_with(['{', '[']) {
        return match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => check_inside("", &value),
            // Cut off, or as a program prints it: nobody can say which of its words is about what.
            Ok(_) | Err(_) if has_word_of_consent(text) => Err(unclear(text)),
            Ok(_) | Err(_) => Ok(()),
        };
    }
    // PHP's own form of a list.
    if text.starts_with("a:") && has_word_of_consent(text) {
        return Err(unclear(text));
    }
    if may_be && (text.len() <= 24 && WORDS.contains(&folded(text).as_str()) || is_refusal_with_more(text)) {
        return Err(unclear(text));
    }
    Ok(())
}

/// `Unsubscribed on 2024-01-01`, `unsubscribed by admin`, `Abgemeldet am 1.2.2024`.
fn is_refusal_with_more(text: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["unsubscribed", "opted out", "abgemeldet", "abbestellt", "blacklisted", "blocklisted"];
    const BETWEEN: &[&str] = &["on", "by", "via", "from", "at", "since", "am", "von", "seit", "durch"];
    let lower: String = text.chars().take(40).flat_map(char::to_lowercase).collect();
    BEGINNINGS.iter().filter_map(|beginning| lower.strip_prefix(beginning)).any(|rest| {
        let word = rest.trim_start().split(' ').next().unwrap_or_default();
        rest.starts_with([':', ',', ';', '('])
            || rest.starts_with(' ')
                && (BETWEEN.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit() || c == '('))
    })
}

/// Refuses what could say whether the person agrees, in a column that would be kept as an attribute.
pub(super) fn unclear(text: &str) -> FieldError {
    let reason = format!(
        "says \"{}\", in a column that is kept as an attribute: map the column to status, opt_in or opt_out if it says whether people agree, and to \
         attributes.NAME if it is about something else",
        shown(text)
    );
    FieldError::new("status", "status_unclear", reason)
}

/// Refuses a yes or a no in a column that is kept as it is.
pub(super) fn check_detail(text: &str) -> Result<(), FieldError> {
    // A number or a dash is a version, or nothing.
    let is_answer = answer(text).is_some() && text.chars().any(char::is_alphabetic);
    let is_no = ["never", "nie", "jamais", "denied", "declined"].contains(&text.to_lowercase().as_str());
    if is_answer || is_no { Err(unclear(text)) } else { Ok(()) }
}

/// Refuses a no in a column that is mostly about something else.
pub(super) fn check_doubtful(text: &str) -> Result<(), FieldError> {
    let is_no = answer(text) == Some(false) && text != "-";
    if is_no || WORDS.contains(&folded(text).as_str()) { Err(unclear(text)) } else { Ok(()) }
}

fn has_word_of_consent(text: &str) -> bool {
    const PARTS: &[&str] =
        &["unsubscribed", "opt_out", "optout", "opted_out", "blacklist", "blocklist", "newsletter", "opt_in", "optin"];
    let lower = text.to_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
}

/// Refuses any answer in a column whose name is near to consent: yes, no, 0, a state, or words that begin with a no.
pub(super) fn check_near(text: &str) -> Result<(), FieldError> {
    const ANSWERS: &[&str] = &[
        "unsub",
        "refused",
        "rejected",
        "removed",
        "expired",
        "withdrawn",
        "cancelled",
        "canceled",
        "gekündigt",
        "baja",
        "cancellato",
        "off",
        "none",
        "never",
        "nie",
        "jamais",
        "kein",
        "keine",
    ];
    let lower = text.to_lowercase();
    let first = lower.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let begins_with_no = text.chars().count() <= 24
        && matches!(first, "no" | "not" | "non" | "nein" | "kein" | "keine" | "geen" | "sin" | "sans");
    let is_answer = answer(text).is_some() || word(text).is_some() || ANSWERS.contains(&lower.as_str());
    if is_answer || begins_with_no { Err(unclear(text)) } else { Ok(()) }
}

/// Refuses what a JSON object says against the person being written to, in whatever depth: only columns are taken at their word.
pub(super) fn check_object(object: &Map<String, Value>) -> Result<(), FieldError> {
    object.iter().try_for_each(|(name, value)| check_inside(&normalised_name(name), value))
}

/// The same of the value that a member with this normalised name has.
pub(super) fn check_inside(name: &str, value: &Value) -> Result<(), FieldError> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => check(text).and_then(|()| check_member(name, text)),
        Value::Bool(_) | Value::Number(_) => check_member(name, &value.to_string()),
        Value::Array(all) => all.iter().try_for_each(|one| match one {
            Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => check_inside(name, one),
        }),
        // `{"newsletter": {"email": false}}` is about both.
        Value::Object(object) => named(object).iter().try_for_each(|(member, value)| {
            check_kind_of_bounce(name, value)?;
            let member = normalised_name(member);
            let both = if name.is_empty() { member.clone() } else { format!("{name}_{member}") };
            check_inside(&both, value).and_then(|()| check_inside(&member, value))
        }),
    }
}

/// `{"bounce": {"type": "hard"}}`: the object is there because mail came back.
fn check_kind_of_bounce(name: &str, value: &Value) -> Result<(), FieldError> {
    const KINDS: &[&str] = &["hard", "permanent", "hardbounce", "complaint", "abuse"];
    let is_bounce =
        ["bounce", "bounces", "complaint", "complaints"].contains(&name.rsplit('_').next().unwrap_or_default());
    match value.as_str().filter(|text| is_bounce && KINDS.contains(&folded(text).as_str())) {
        Some(text) => Err(unclear(text)),
        None => Ok(()),
    }
}

/// The members of an object, and what it says where it is one of `{"name": "newsletter", "value": "no"}`.
fn named(object: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut members: Vec<(String, Value)> = object.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let text = |names: &[&str]| names.iter().find_map(|name| object.get(*name)?.as_str().map(ToOwned::to_owned));
    let name = text(&["name", "key", "field", "label", "id"]);
    let value = ["value", "val", "answer", "status"].iter().find_map(|name| object.get(*name));
    members.extend(name.zip(value.cloned()));
    members
}

fn check_member(name: &str, text: &str) -> Result<(), FieldError> {
    let consent = match of_name(name) {
        Some(Named::Says(consent)) => consent,
        Some(Named::Near | Named::Detail | Named::Unclear) if answer(text) != Some(true) => return check_near(text),
        // Inside an object, `active` is about whatever the object is about.
        Some(Named::Doubtful) => return Ok(()),
        // Nobody can say whether this yes is one.
        Some(Named::Unclear) => return Err(unclear(text)),
        Some(Named::Near | Named::Detail) | None => return Ok(()),
    };
    let mut said = Said::default();
    let heard = hear(&mut said, consent, text, true);
    let is_no = said.standing == Some(Standing::Unsubscribed) || !said.suppressed.is_empty();
    if heard.is_ok() && is_no { Err(unclear(text)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::import::ImportReader;
    use crate::domain::import::reading::{Mapped, Reading};
    use crate::domain::people::consent::Reason;

    fn row(
        header: &str,
        cell: &str,
        on_list: bool,
        mapping: &[&str],
    ) -> Result<(Option<Standing>, Vec<Reason>), String> {
        let mapping = Mapped::parse_all(mapping.iter().copied()).unwrap();
        let reading = Reading { on_list, mapping, ..Reading::default() };
        let file = Cursor::new(format!("email,{header}\na@example.com,{cell}\n").into_bytes());
        let row = ImportReader::open(file, None, &reading).unwrap().next_row().unwrap().unwrap();
        let reasons = row.said.suppressed.iter().map(|one| one.reason).collect();
        row.result.map(|_| (row.said.standing, reasons)).map_err(|errors| errors[0].code.to_string())
    }

    #[test]
    fn a_no_in_a_column_of_any_such_name_counts_and_what_is_neither_keeps_the_row_out() {
        for (header, cell) in [
            ("Newsletter", "no"),
            ("Subscribe", "no"),
            ("Email Suppressions", "yes"),
            ("Marketing status", "Opted out"),
            ("Newsletter", "FALSCH"),
            ("GDPR consent", "FAUX"),
            ("consent", "Unsubscribed"),
            ("unsub", "WAHR"),
            ("Kein Newsletter", "ja"),
            ("Abgemeldet am", "02.01.2026"),
            ("unsub reason", "too many mails"),
            ("Unsubscribe source", "one click"),
            ("consent", "declined"),
            ("No email", "x"),
            ("Unsubscribed from newsletter", "yes"),
            ("Rundbrief", "nein"),
            ("Werbezustimmung", "nein"),
            ("Zugestimmt", "nein"),
            ("Widerruf", "ja"),
            ("Widerrufen am", "03.05.2026"),
            ("Widerspruch", "ja"),
            ("Kontaktsperre", "ja"),
            ("Mailsperre", "ja"),
            ("E-Mail-Sperre", "ja"),
            ("Nicht kontaktieren", "ja"),
            ("Nicht anschreiben", "x"),
            ("Opposition", "oui"),
            ("Baja", "sí"),
            ("Fecha de baja", "03/05/2026"),
            ("Newsletter", "abbestellt"),
            ("Newsletter", "inaktiv"),
            ("Newsletter", "désabonné"),
            ("Newsletter", "\"Nein, danke\""),
        ] {
            assert_eq!(row(header, cell, true, &[]), Ok((Some(Standing::Unsubscribed), vec![])), "{header}: {cell}");
            assert_eq!(row(header, cell, false, &[]), Ok((None, vec![Reason::Unsubscribed])), "{header}: {cell}");
        }
        for (header, cell) in [
            ("Newsletter", "yes"),
            ("consent", "2024-01-02 10:00:00"),
            ("Consent withdrawn", "no"),
            ("unsub", ""),
            ("newsletter_count", "0"),
            ("consent date", "2024-01-02"),
            ("unsubscribed_at", "0000-00-00 00:00:00"),
            ("unsub reason", "NULL"),
            ("Do Not Call", "1"),
            ("Subscription", "Pro"),
            ("Marketing emails opened", "0"),
            ("Accepts SMS marketing", "no"),
            ("Mailing city", "-"),
            ("Email verified", "no"),
            ("Active", "yes"),
            ("Aktiv", "ja"),
            ("Privacy", "2026-01-02"),
            ("Bounce", "0"),
            ("Verstorben", "nein"),
            ("Widerruf", ""),
            ("Gesperrt", "-"),
            ("newsletter_count", "0"),
            ("x", "\"[1, \"\"a\"\"]\""),
            ("x", "\"{\"\"email\"\": false, \"\"plan\"\": {\"\"active\"\": false}}\""),
            ("Marketing", "Berlin"),
        ] {
            assert_ne!(row(header, cell, true, &[]).unwrap().0, Some(Standing::Unsubscribed), "{header}: {cell}");
        }
        for (header, cell) in [("Newsletter", "weekly"), ("Newsletter", "not subscribed"), ("unsub", "02.01.2026")] {
            let code = row(header, cell, true, &[]).unwrap_err();
            assert!(["not_allowed", "not_subscribed"].contains(&code.as_str()), "{header}: {cell}: {code}");
            assert_eq!(
                row(header, cell, true, &[&format!("{header}:attributes.x")]),
                Ok((None, vec![])),
                "a mapping settles it"
            );
        }
    }

    #[test]
    fn who_is_blocked_or_dead_or_whose_mail_came_back_is_suppressed() {
        for (header, cell, reason) in [
            ("Gesperrt", "ja", Reason::Blocked),
            ("Sperrvermerk", "ja", Reason::Blocked),
            ("Verstorben", "ja", Reason::Blocked),
            ("Deceased", "Yes", Reason::Blocked),
            ("Bounce", "ja", Reason::Bounced),
            ("Newsletter", "gesperrt", Reason::Blocked),
        ] {
            assert_eq!(row(header, cell, true, &[]).unwrap().1, vec![reason], "{header}: {cell}");
        }
    }

    #[test]
    fn a_column_that_may_say_something_of_consent_and_is_not_understood_must_be_mapped() {
        let file = |header: &str| Cursor::new(format!("email,{header}\na@example.com,2024-01-02\n").into_bytes());
        for header in ["Communication preferences", "GDPR erasure request", "Consent on file", "Newsletter pending"] {
            let error = ImportReader::open(file(header), None, &Reading::default()).unwrap_err();
            assert_eq!(error.code(), "column_unclear", "{header}");
            for field in ["opt_out", "attributes.x", "-"] {
                assert!(row(header, "2024-01-02", true, &[&format!("{header}:{field}")]).is_ok(), "{header}: {field}");
            }
        }
    }

    #[test]
    fn a_word_of_refusal_in_any_other_column_keeps_the_row_out_until_it_is_mapped() {
        for (header, cell) in [
            ("State", "unsubscribed"),
            ("Kind", "Opted out"),
            ("x", "Blacklisted"),
            ("Typ", "abgemeldet"),
            ("State", "Bounced"),
            ("State", "no consent"),
            ("State", "Unsubscribed on 2024-01-01"),
            ("State", "unsubscribed by admin"),
            ("State", "Abgemeldet am 1.2.2024"),
        ] {
            assert_eq!(row(header, cell, true, &[]), Err("status_unclear".to_owned()), "{header}: {cell}");
            assert_eq!(row(header, cell, true, &[&format!("{header}:attributes.x")]), Ok((None, vec![])));
        }
        for (header, cell) in [
            ("", "unsubscribed"),
            ("tags", "vip;unsubscribed"),
            ("Subscription", "no"),
            ("Marketing", "nein"),
            ("Marketing", "0"),
            ("Marketing", "Not interested"),
            ("Subscription", "Cancelled"),
            ("Mailing", "keine"),
            ("Marketing Emails", "Off"),
            ("Receives marketing emails", "No"),
            ("Subscriber", "no"),
            ("Confirmed", "0"),
            ("Permission Status", "Expired"),
            ("Email Active", "no"),
            ("Mailable", "no"),
            ("Is emailable", "false"),
            ("can_email", "0"),
            ("OK to email", "no"),
            ("Contact by email", "no"),
            ("List status", "removed"),
            ("Legal basis for processing contact's data", "Withdrawn"),
            ("Newsletterempfänger", "nein"),
            ("Werbung", "nein"),
            ("Werbeerlaubnis", "nein"),
            ("E-Mail-Werbung", "nein"),
            ("Kontakt erlaubt", "nein"),
            ("Abo", "nein"),
            ("Abonnement", "gekündigt"),
            ("Accepte les emails", "non"),
            ("Emailing", "Non"),
            ("Acepta marketing", "no"),
            ("Acepta recibir correos", "no"),
            ("Suscriptor", "no"),
            ("Estado", "baja"),
            ("Stato", "cancellato"),
            ("Privacy marketing", "no"),
            ("E-mail contact toegestaan", "nee"),
            ("tags", "no newsletter"),
            ("Abonniert", "nein"),
            ("Abonnent", "nein"),
            ("Abonnee", "nee"),
            ("Erlaubnis", "nein"),
            ("Bestätigt", "nein"),
            ("DOI", "nein"),
            ("Datenschutz", "nein"),
            ("NL", "nein"),
            ("Aktiv", "nein"),
            ("Active", "No"),
            ("Active", "0"),
            ("Emails", "No"),
            ("E-News", "No"),
            ("Accord", "non"),
            ("Privacy", "no"),
            ("x", r#""[{""list"": ""News"", ""status"": ""unsubscribed""}]""#),
            ("x", r#""[""unsubscribed""]""#),
            ("x", r#""{""unsubscribed"": true""#),
            ("x", r#""a:1:{s:12:""unsubscribed"";b:1;}""#),
            ("x", "{'unsubscribed': True}"),
            ("consent date", "no"),
            ("Newsletter on", "never"),
        ] {
            assert_eq!(row(header, cell, true, &[]), Err("status_unclear".to_owned()), "{header}: {cell}");
        }
        let nested = r#"{""preferences"": {""newsletter"": false}}"#;
        for cell in [
            nested,
            r#"{""marketing"": {""email"": false}}"#,
            r#"{""preferences"": {""email"": false}}"#,
            r#"{""custom_fields"": [{""name"": ""newsletter"", ""value"": ""no""}]}"#,
            r#"{""mailings"": [""none""]}"#,
            r#"{""email"": {""marketing"": {""can_receive_email_marketing"": false}}}"#,
            r#"{""hs_email_optout"": ""true""}"#,
            r#"{""newsletter"": {""email"": false}}"#,
            r#"{""a"": [{""state"": ""opted out""}]}"#,
            r#"{""bounce"": {""type"": ""hard"", ""at"": ""2026-01-02""}}"#,
            r#"{""mail"": {""last_bounce"": {""kind"": ""Permanent""}}}"#,
        ] {
            let cell = format!("\"{cell}\"");
            assert_eq!(row("x", &cell, true, &[]), Err("status_unclear".to_owned()), "{cell}");
            assert_eq!(row("x", &cell, true, &["x:attributes"]), Err("status_unclear".to_owned()), "{cell}");
        }
        for object in [r#"{""newsletter"": false}"#, r#"{""unsubscribed"": true}"#, r#"{""state"": ""unsubscribed""}"#]
        {
            let found = row("x", &format!("\"{object}\""), true, &["x:attributes"]);
            assert_eq!(found, Err("status_unclear".to_owned()), "{object}");
        }
        assert_eq!(row("State", "unsubscribed", true, &["State:status"]), Ok((Some(Standing::Unsubscribed), vec![])));
        for (cell, field, wanted) in [
            ("ja", "opt_in", Ok(Some(Standing::Subscribed))),
            ("nein", "opt_in", Ok(Some(Standing::Unsubscribed))),
            ("2026-01-02", "opt_in", Ok(Some(Standing::Subscribed))),
            ("", "opt_in", Err("required".to_owned())),
            ("perhaps", "opt_in", Err("not_allowed".to_owned())),
            ("ja", "opt_out", Ok(Some(Standing::Unsubscribed))),
            ("02.01.2026", "opt_out", Ok(Some(Standing::Unsubscribed))),
            ("nein", "opt_out", Ok(None)),
            ("", "opt_out", Ok(None)),
        ] {
            let said = row("Werbung", cell, true, &[&format!("Werbung:{field}")]).map(|(standing, _)| standing);
            assert_eq!(said, wanted, "{cell} as {field}");
        }
        for cell in ["CA", "Unsubscribed people are here", "Bounce house", "customer"] {
            assert_eq!(row("State", cell, true, &[]), Ok((None, vec![])), "{cell}");
        }
    }
}
