//! What the words in the name of a column say of consent, and words of refusal in columns that say nothing of it: nobody is written to for the
//! want of a better name.

use super::spellings::folded;
use crate::domain::people::contact::FieldError;

/// What a column is about, as the words in its name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Whether the person agrees.
    Agreement,
    /// Whether the person has refused.
    Refusal,
    /// When or why the person has refused.
    RefusalDetail,
}

/// Whole words, in English and the common languages of Europe, as attributes are spelled.
const AGREEMENTS: &[&str] = &[
    "newsletter",
    "newsletters",
    "consent",
    "consents",
    "optin",
    "gdpr",
    "dsgvo",
    "rgpd",
    "subscribed",
    "einwilligung",
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
];
const REFUSALS: &[&str] = &[
    "unsubscribed",
    "unsubscribe",
    "unsub",
    "unsubs",
    "optout",
    "dnc",
    "dnm",
    "blocklist",
    "blocklisted",
    "blacklist",
    "blacklisted",
    "abgemeldet",
    "abmeldung",
    "abbestellt",
    "werbesperre",
    "desinscrit",
    "desinscription",
    "desabonne",
    "disiscritto",
    "uitgeschreven",
    "afgemeld",
    "wypisany",
];
/// With a word of agreement, they make a refusal of it.
const NEGATIONS: &[&str] = &[
    "no",
    "not",
    "kein",
    "keine",
    "keinen",
    "non",
    "sin",
    "geen",
    "withdrawn",
    "declined",
    "revoked",
    "refused",
    "denied",
    "rejected",
    "cancelled",
    "canceled",
    "stop",
    "stopped",
    "gekuendigt",
    "widerrufen",
    "abgelehnt",
];
/// When, how or why.
const DETAILS: &[&str] = &["date", "time", "at", "on", "am", "datum", "reason", "grund", "ts", "timestamp"];
/// Whatever else may be said of a newsletter or a subscriber; and texts, which are not emails.
const OTHERS: &[&str] = &[
    "count",
    "number",
    "num",
    "nr",
    "id",
    "source",
    "by",
    "via",
    "from",
    "link",
    "url",
    "token",
    "country",
    "language",
    "lang",
    "version",
    "ip",
    "opens",
    "clicks",
    "sent",
    "discount",
    "name",
    "code",
    "frequency",
    "method",
    "text",
    "type",
    "sms",
    "whatsapp",
    "phone",
    "push",
    "magazine",
];

/// What a column of this [`normalised`](crate::domain::people::contact::normalised_name) name is about. `None`: nothing of consent.
pub(super) fn about(name: &str) -> Option<About> {
    let words: Vec<&str> = name.split('_').collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let has_pair = |one: &str, other: &str| words.windows(2).any(|pair| pair == [one, other]);
    let agrees = has(AGREEMENTS) || has_pair("opt", "in") || has_pair("opted", "in");
    let refuses = has(REFUSALS)
        || has_pair("opt", "out")
        || has_pair("opted", "out")
        || has_pair("do", "not")
        || agrees && has(NEGATIONS);
    match (refuses, agrees) {
        (true, _) if has(OTHERS) => None,
        (true, _) if has(DETAILS) => Some(About::RefusalDetail),
        (true, _) => Some(About::Refusal),
        (false, true) if !has(OTHERS) && !has(DETAILS) => Some(About::Agreement),
        (false, _) => None,
    }
}

/// Words that say in any column that somebody is not to be written to, folded.
const WORDS: [&str; 21] = [
    "unsubscribed",
    "unsubscribe",
    "optedout",
    "optout",
    "abgemeldet",
    "abbestellt",
    "desinscrit",
    "desabonne",
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
];

/// Refuses a cell that says that somebody is not to be written to, in a column that would be kept as an attribute: it may be about something else.
pub(super) fn check(text: &str) -> Result<(), FieldError> {
    // Most cells are anything else.
    let first = text.as_bytes().first().map(u8::to_ascii_lowercase);
    let may_be = (6..=24).contains(&text.len())
        && matches!(first, Some(b'a' | b'b' | b'c' | b'd' | b'h' | b'n' | b'o' | b's' | b'u'));
    if !may_be || !WORDS.contains(&folded(text).as_str()) {
        return Ok(());
    }
    let reason = format!(
        "says \"{text}\", in a column that is kept as an attribute: map the column to status, opt_in or opt_out if it says whether people agree, and to \
         attributes.NAME if it is about something else"
    );
    Err(FieldError::new("status", "status_unclear", reason))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::import::ImportReader;
    use crate::domain::import::reading::{Mapped, Reading};
    use crate::domain::people::consent::Reason;
    use crate::domain::people::contact::normalised_name;
    use crate::domain::people::standing::Standing;

    #[test]
    fn whole_words_say_what_a_column_is_about() {
        for (wanted, names) in [
            (
                Some(About::Agreement),
                &[
                    "Newsletter",
                    "consent",
                    "GDPR consent",
                    "Einwilligung",
                    "newsletter_opt_in",
                    "Abonné",
                    "isContactable",
                ][..],
            ),
            (
                Some(About::Refusal),
                &[
                    "Unsub",
                    "Newsletter opt-out",
                    "Do not send",
                    "Désinscrit",
                    "Consent withdrawn",
                    "no newsletter",
                    "Kein Newsletter",
                    "DNC",
                ],
            ),
            (Some(About::RefusalDetail), &["unsub reason", "Abgemeldet am", "Consent revoked at", "Opt-out time"]),
            (
                None,
                &[
                    "city",
                    "State",
                    "Loyalty tier",
                    "newsletter_count",
                    "Subscriber number",
                    "Subscribed by",
                    "consent date",
                    "GDPR_country",
                    "Unsubscribe link",
                    "SMS consent",
                    "Adopting",
                    "Teléfono email",
                    "notes",
                    "Donotello",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(about(&normalised_name(name)), wanted, "{name}");
            }
        }
    }

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
            ("Newsletter", "FALSCH"),
            ("GDPR consent", "FAUX"),
            ("consent", "Unsubscribed"),
            ("unsub", "WAHR"),
            ("Kein Newsletter", "ja"),
            ("Abgemeldet am", "02.01.2026"),
            ("unsub reason", "too many mails"),
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
        ] {
            assert_ne!(row(header, cell, true, &[]).unwrap().0, Some(Standing::Unsubscribed), "{header}: {cell}");
        }
        for (header, cell) in [
            ("Newsletter", "weekly"),
            ("consent", "declined"),
            ("Newsletter", "not subscribed"),
            ("unsub", "02.01.2026"),
        ] {
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
    fn a_word_of_refusal_in_any_other_column_keeps_the_row_out_until_it_is_mapped() {
        for (header, cell) in [
            ("State", "unsubscribed"),
            ("Kind", "Opted out"),
            ("x", "Blacklisted"),
            ("Typ", "abgemeldet"),
            ("State", "Bounced"),
        ] {
            assert_eq!(row(header, cell, true, &[]), Err("status_unclear".to_owned()), "{header}: {cell}");
            assert_eq!(row(header, cell, true, &[&format!("{header}:attributes.x")]), Ok((None, vec![])));
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
