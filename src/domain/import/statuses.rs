//! What the columns of a file say of consent.
//!
//! What cannot be shown to be consent is none, and a "no" is never lost. A refusal without a list to refuse is one of everything; an
//! address that another tool does not write to any more is suppressed here as well. A word that is not understood keeps its row out.

use super::own;
use super::suppressions::read_time;
use crate::domain::channel::ChannelKind;
use crate::domain::people::consent::{Reason, Said, SaidSuppression};
use crate::domain::people::contact::FieldError;
use crate::domain::people::standing::Standing;

/// What another tool's word comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The person agrees.
    Agrees,
    /// Somebody gave the address; the person has not confirmed it.
    Unconfirmed,
    /// Refused what the list is about; without a list, everything.
    Refuses,
    /// Refused everything.
    RefusesAll,
    /// Wants no text messages.
    StoppedTexts,
    /// An operator keeps the address from being written to.
    Blocked,
    /// The address does not exist.
    Bounced,
    /// The person complained.
    Complained,
    /// Neither yes nor no: there is no consent.
    NeverAgreed,
}

/// How a column says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// By a word.
    Word,
    /// Yes: the person agrees. No: it refuses.
    Agreed,
    /// Yes, or a time: this. No, or nothing: nothing.
    Marked(Meaning),
    /// Whatever it is, but no: this.
    Filled(Meaning),
    /// Yes: the person agrees. No: it refuses. Anything else says nothing.
    Perhaps,
    /// Reasons why addresses are not written to, as Volley exports them.
    Reasons,
    /// How the contact stands on all lists, as Volley exports it.
    Lists,
    /// How it stands on the list whose members were exported, which may be another one than that of the import.
    Stands,
    /// Which list that is.
    StandsOn,
}

/// The words of a column of states. Spaces, hyphens, underscores and case do not matter.
const WORDS: &[(&str, Meaning)] = &[
    ("subscribed", Meaning::Agrees),
    ("active", Meaning::Agrees),
    ("enabled", Meaning::Agrees),
    ("confirmed", Meaning::Agrees),
    ("optedin", Meaning::Agrees),
    ("optin", Meaning::Agrees),
    ("aktiv", Meaning::Agrees),
    ("actif", Meaning::Agrees),
    ("angemeldet", Meaning::Agrees),
    ("granted", Meaning::Agrees),
    ("accepted", Meaning::Agrees),
    ("unconfirmed", Meaning::Unconfirmed),
    ("pending", Meaning::Unconfirmed),
    ("unsubscribed", Meaning::Refuses),
    ("optedout", Meaning::Refuses),
    ("optout", Meaning::Refuses),
    ("inactive", Meaning::Refuses),
    ("no", Meaning::Refuses),
    ("unsubscribe", Meaning::Refuses),
    ("abgemeldet", Meaning::Refuses),
    ("désinscrit", Meaning::Refuses),
    ("declined", Meaning::Refuses),
    ("denied", Meaning::Refuses),
    ("withdrawn", Meaning::Refuses),
    ("revoked", Meaning::Refuses),
    ("never", Meaning::Refuses),
    ("abbestellt", Meaning::Refuses),
    ("ausgetragen", Meaning::Refuses),
    ("gekündigt", Meaning::Refuses),
    ("inaktiv", Meaning::Refuses),
    ("widerrufen", Meaning::Refuses),
    ("nein", Meaning::Refuses),
    ("nein,danke", Meaning::Refuses),
    ("no,thanks", Meaning::Refuses),
    ("nothanks", Meaning::Refuses),
    ("non", Meaning::Refuses),
    ("nee", Meaning::Refuses),
    ("desinscrit", Meaning::Refuses),
    ("desinscrite", Meaning::Refuses),
    ("désinscrite", Meaning::Refuses),
    ("desabonne", Meaning::Refuses),
    ("désabonné", Meaning::Refuses),
    ("désabonnée", Meaning::Refuses),
    ("baja", Meaning::Refuses),
    ("disiscritto", Meaning::Refuses),
    ("disiscritta", Meaning::Refuses),
    ("uitgeschreven", Meaning::Refuses),
    ("afgemeld", Meaning::Refuses),
    ("donotcontact", Meaning::Refuses),
    ("donotmail", Meaning::Refuses),
    ("donotemail", Meaning::Refuses),
    ("gesperrt", Meaning::Blocked),
    ("archived", Meaning::Blocked),
    ("deleted", Meaning::Blocked),
    ("blocklisted", Meaning::Blocked),
    ("blacklisted", Meaning::Blocked),
    ("blocked", Meaning::Blocked),
    ("suppressed", Meaning::Blocked),
    ("disabled", Meaning::Blocked),
    ("cleaned", Meaning::Bounced),
    ("bounced", Meaning::Bounced),
    ("hardbounced", Meaning::Bounced),
    ("hardbounce", Meaning::Bounced),
    ("complained", Meaning::Complained),
    ("complaint", Meaning::Complained),
    ("spamcomplaint", Meaning::Complained),
    ("spam", Meaning::Complained),
    ("nonsubscribed", Meaning::NeverAgreed),
    ("notsubscribed", Meaning::NeverAgreed),
    ("neversubscribed", Meaning::NeverAgreed),
    ("noconsent", Meaning::NeverAgreed),
    ("nopermission", Meaning::NeverAgreed),
    ("transactional", Meaning::NeverAgreed),
];

/// What a word of a column of states means.
pub(super) fn word(text: &str) -> Option<Meaning> {
    let folded: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
    let known = WORDS.iter().find(|(word, _)| *word == folded).map(|(_, meaning)| *meaning);
    // "Unsubscribed on 2026-01-02".
    known.or_else(|| folded.starts_with("unsubscribed").then_some(Meaning::Refuses))
}

impl Meaning {
    /// Whether somebody is not written to for it.
    const fn is_no(self) -> bool {
        match self {
            Self::Refuses
            | Self::RefusesAll
            | Self::StoppedTexts
            | Self::Blocked
            | Self::Bounced
            | Self::Complained => true,
            Self::Agrees | Self::Unconfirmed | Self::NeverAgreed => false,
        }
    }
}

/// The field of a mapping that a column is most like.
pub(super) const fn field_of(consent: Consent) -> &'static str {
    match consent {
        Consent::Agreed | Consent::Perhaps => "opt_in",
        Consent::Marked(Meaning::Refuses | Meaning::RefusesAll)
        | Consent::Filled(Meaning::Refuses | Meaning::RefusesAll) => "opt_out",
        Consent::Word
        | Consent::Marked(_)
        | Consent::Filled(_)
        | Consent::Reasons
        | Consent::Lists
        | Consent::Stands
        | Consent::StandsOn => "status",
    }
}

/// How a column says whether the person agrees, in words.
pub(super) fn described(consent: Consent) -> String {
    let what = |meaning: Meaning| match meaning {
        Meaning::Agrees => "agrees",
        Meaning::Unconfirmed => "has not confirmed",
        Meaning::Refuses => "has unsubscribed",
        Meaning::RefusesAll => "has refused everything",
        Meaning::StoppedTexts => "wants no text messages",
        Meaning::Blocked => "is blocked",
        Meaning::Bounced => "has an address that does not exist",
        Meaning::Complained => "has complained",
        Meaning::NeverAgreed => "has never agreed",
    };
    match consent {
        Consent::Word => "a word such as subscribed, unconfirmed or unsubscribed".to_owned(),
        Consent::Agreed => "yes: the person agrees; no: the person has unsubscribed".to_owned(),
        Consent::Perhaps => {
            "yes: the person agrees; no: the person has unsubscribed; anything else says nothing".to_owned()
        }
        Consent::Reasons => "why the person's addresses are not written to".to_owned(),
        Consent::Lists => {
            "how the person stands on all lists: what it says of the list of this import counts".to_owned()
        }
        Consent::Stands => {
            "how the person stands on the list that was exported: it counts where that is the list of this import"
                .to_owned()
        }
        Consent::StandsOn => "the list that was exported".to_owned(),
        Consent::Marked(meaning) => format!("yes or a time: the person {}", what(meaning)),
        Consent::Filled(meaning) => format!("anything but no: the person {}", what(meaning)),
    }
}

/// Yes or no.
pub(super) fn answer(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "✓" | "✔" | "☑" | "yes" | "y" | "true" | "t" | "1" | "x" | "on" | "ja" | "j" | "oui" | "si" | "sí" | "sì"
        | "sim" | "tak" | "ano" => Some(true),
        // As spreadsheets write true in the common languages of Europe.
        "wahr" | "vrai" | "vero" | "verdadero" | "verdadeiro" | "waar" | "prawda" | "sant" | "sann" | "да" => {
            Some(true)
        }
        "no" | "n" | "false" | "f" | "0" | "off" | "-" | "nein" | "non" | "não" | "nao" | "nee" | "nej" | "nei"
        | "nie" | "ne" => Some(false),
        "falsch" | "faux" | "falso" | "onwaar" | "fałsz" | "falskt" | "falsk" | "usann" | "нет" => Some(false),
        _ => None,
    }
}

/// Whether a cell is what tools and databases write for nothing.
fn is_nothing(text: &str) -> bool {
    matches!(
        text.to_lowercase().as_str(),
        "null" | "\\n" | "nil" | "none" | "n/a" | "na" | "#n/a" | "nan" | "undefined" | "never" | "nie" | "jamais"
    ) || text.starts_with("0000-00-00")
}

/// Takes what a cell says of consent. An empty cell must not come here.
pub(super) fn hear(said: &mut Said, consent: Consent, text: &str, on_list: bool) -> Result<(), FieldError> {
    let meaning = match consent {
        Consent::Reasons => return own::hear_reasons(said, text),
        // What they say depends on the other cells of the row.
        Consent::Lists | Consent::Stands | Consent::StandsOn => return Ok(()),
        Consent::Word => word(text),
        Consent::Agreed => match answer(text) {
            Some(true) => Some(Meaning::Agrees),
            Some(false) => Some(Meaning::Refuses),
            None => match read_time(text) {
                // Since when.
                Some(at) => {
                    said.at.get_or_insert(at);
                    Some(Meaning::Agrees)
                }
                None => word(text),
            },
        },
        Consent::Marked(_) | Consent::Filled(_) if is_nothing(text) => return Ok(()),
        Consent::Marked(meaning) => match (answer(text), read_time(text)) {
            (Some(false), _) => return Ok(()),
            (Some(true), _) => Some(meaning),
            (None, Some(at)) => {
                said.at.get_or_insert(at);
                Some(meaning)
            }
            // A column of refusals never says yes.
            (None, None) => word(text).filter(|meaning| meaning.is_no()),
        },
        Consent::Perhaps => match answer(text) {
            Some(true) => Some(Meaning::Agrees),
            Some(false) => Some(Meaning::Refuses),
            None => match word(text).filter(|meaning| meaning.is_no()) {
                None => return Ok(()),
                no => no,
            },
        },
        Consent::Filled(meaning) => {
            if answer(text) == Some(false) {
                return Ok(());
            }
            if said.at.is_none() {
                said.at = read_time(text);
            }
            Some(meaning)
        }
    };
    take(said, meaning.ok_or_else(|| not_understood(consent))?, on_list)
}

/// Refuses an empty cell of a column that must say something. Who has not agreed is not to be taken for somebody who has.
pub(super) fn hear_nothing(consent: Consent) -> Result<(), FieldError> {
    match consent {
        Consent::Agreed => {
            let reason = "is empty: it does not say whether the person agrees; write yes or no, or map the column to \
                          attributes.NAME or to - if it is about something else";
            Err(FieldError::new("status", "required", reason))
        }
        Consent::Word
        | Consent::Marked(_)
        | Consent::Filled(_)
        | Consent::Perhaps
        | Consent::Reasons
        | Consent::Lists
        | Consent::Stands
        | Consent::StandsOn => Ok(()),
    }
}

fn not_understood(consent: Consent) -> FieldError {
    let words = match consent {
        Consent::Word => "is none of: subscribed, unconfirmed, unsubscribed, blocked, bounced, complained",
        Consent::Agreed
        | Consent::Marked(_)
        | Consent::Filled(_)
        | Consent::Perhaps
        | Consent::Reasons
        | Consent::Lists
        | Consent::Stands
        | Consent::StandsOn => "is neither yes nor no",
    };
    let reason = format!(
        "{words} (or a usual word for one of them), so that it cannot be told whether the person agrees; if the column is about something \
         else, map it to attributes.NAME or to -"
    );
    FieldError::new("status", "not_allowed", reason)
}

/// What is said more than once is taken at its most restrictive.
fn take(said: &mut Said, meaning: Meaning, on_list: bool) -> Result<(), FieldError> {
    let suppress = |said: &mut Said, reason, channel| {
        let one = SaidSuppression { reason, channel };
        if !said.suppressed.contains(&one) {
            said.suppressed.push(one);
        }
    };
    let stand = |said: &mut Said, standing| {
        let is_stronger = matches!(
            (said.standing, standing),
            (None, _) | (Some(Standing::Subscribed), _) | (Some(Standing::Unconfirmed), Standing::Unsubscribed)
        );
        if on_list && is_stronger {
            said.standing = Some(standing);
        }
    };
    match meaning {
        Meaning::Agrees => stand(said, Standing::Subscribed),
        Meaning::Unconfirmed if on_list => stand(said, Standing::Unconfirmed),
        Meaning::Unconfirmed => {
            let reason = "is a person who has not confirmed yet: that can be kept on a list only, so name one";
            return Err(FieldError::new("status", "status_needs_list", reason));
        }
        Meaning::Refuses if on_list => stand(said, Standing::Unsubscribed),
        Meaning::Refuses | Meaning::RefusesAll => {
            stand(said, Standing::Unsubscribed);
            suppress(said, Reason::Unsubscribed, None);
        }
        Meaning::StoppedTexts => suppress(said, Reason::Stopped, Some(ChannelKind::Sms)),
        Meaning::Blocked => suppress(said, Reason::Blocked, None),
        Meaning::Bounced => suppress(said, Reason::Bounced, Some(ChannelKind::Email)),
        Meaning::Complained => suppress(said, Reason::Complained, Some(ChannelKind::Email)),
        Meaning::NeverAgreed => return Err(never_agreed("status")),
    }
    Ok(())
}

/// Why a row is kept out of which nothing shows that the person has agreed.
pub(super) fn never_agreed(column: &str) -> FieldError {
    let reason = "does not show that the person has ever subscribed, so that the row is kept out; if you may write to this person all the \
                  same, correct it, or map the column to -";
    FieldError::new(column, "not_subscribed", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(consent: Consent, text: &str, on_list: bool) -> Result<Said, String> {
        let mut said = Said::default();
        hear(&mut said, consent, text, on_list).map(|()| said).map_err(|error| error.code.into_owned())
    }

    fn reasons(consent: Consent, text: &str) -> Vec<Reason> {
        heard(consent, text, false).unwrap().suppressed.iter().map(|one| one.reason).collect()
    }

    #[test]
    fn a_refusal_is_one_of_the_list_and_without_a_list_of_everything() {
        for text in ["unsubscribed", "Unsubscribed", "opted-out", "OPT_OUT"] {
            let on_list = heard(Consent::Word, text, true).unwrap();
            assert_eq!((on_list.standing, on_list.suppressed.len()), (Some(Standing::Unsubscribed), 0), "{text}");
            assert_eq!(reasons(Consent::Word, text), [Reason::Unsubscribed], "{text}");
        }
        let all = heard(Consent::Marked(Meaning::RefusesAll), "TRUE", true).unwrap();
        assert_eq!((all.standing, all.suppressed.len()), (Some(Standing::Unsubscribed), 1));
    }

    #[test]
    fn what_other_tools_do_not_write_to_is_suppressed_with_or_without_a_list() {
        for (text, reason) in [
            ("blocklisted", Reason::Blocked),
            ("disabled", Reason::Blocked),
            ("cleaned", Reason::Bounced),
            ("Hard bounce", Reason::Bounced),
            ("complained", Reason::Complained),
        ] {
            assert_eq!(reasons(Consent::Word, text), [reason], "{text}");
            assert_eq!(heard(Consent::Word, text, true).unwrap().standing, None, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_an_error_and_no_yes() {
        for text in ["lead", "customer", "subscribed?", "maybe"] {
            assert_eq!(heard(Consent::Word, text, true), Err("not_allowed".into()), "{text}");
            assert_eq!(heard(Consent::Word, text, false), Err("not_allowed".into()), "{text}");
            assert_eq!(heard(Consent::Agreed, text, false), Err("not_allowed".into()), "{text}");
            assert_eq!(heard(Consent::Marked(Meaning::Refuses), text, false), Err("not_allowed".into()), "{text}");
        }
        assert_eq!(heard(Consent::Word, "non-subscribed", true), Err("not_subscribed".into()));
        assert_eq!(heard(Consent::Word, "pending", false), Err("status_needs_list".into()));
        assert_eq!(heard(Consent::Word, "pending", true).unwrap().standing, Some(Standing::Unconfirmed));
    }

    #[test]
    fn yes_and_no_and_a_time_are_understood() {
        let marked = Consent::Marked(Meaning::Refuses);
        for yes in ["yes", "TRUE", "1", "x", "ja", "2026-01-02 03:04:05"] {
            assert_eq!(reasons(marked, yes), [Reason::Unsubscribed], "{yes}");
        }
        for no in ["no", "FALSE", "0", "nein"] {
            assert_eq!(reasons(marked, no), [], "{no}");
            assert_eq!(reasons(Consent::Agreed, no), [Reason::Unsubscribed], "{no}");
        }
        assert_eq!(reasons(Consent::Agreed, "yes"), []);
        assert!(heard(marked, "2026-01-02 03:04:05", false).unwrap().at.is_some());
        assert_eq!(reasons(Consent::Filled(Meaning::Bounced), "unknown user"), [Reason::Bounced]);
        assert_eq!(reasons(Consent::Filled(Meaning::Bounced), "FALSE"), []);
    }

    #[test]
    fn a_column_of_refusals_never_says_yes() {
        for text in ["confirmed", "active", "enabled", "opt-in", "subscribed", "pending"] {
            assert_eq!(heard(Consent::Marked(Meaning::Refuses), text, true), Err("not_allowed".into()), "{text}");
        }
        assert_eq!(reasons(Consent::Marked(Meaning::Refuses), "Bounced"), [Reason::Bounced]);
        for text in ["02/01/2026 14:03", "1767312000", "Jan 2 2026"] {
            assert_eq!(reasons(Consent::Filled(Meaning::Refuses), text), [Reason::Unsubscribed], "{text}");
        }
        assert_eq!(reasons(Consent::Perhaps, "no"), [Reason::Unsubscribed]);
        assert_eq!(reasons(Consent::Perhaps, "4711"), []);
        assert_eq!(reasons(Consent::Word, "Unsubscribed on 2026-01-02"), [Reason::Unsubscribed]);
    }

    #[test]
    fn of_several_columns_the_most_restrictive_counts() {
        for order in [["subscribed", "unsubscribed"], ["unsubscribed", "subscribed"]] {
            let mut said = Said::default();
            for text in order {
                hear(&mut said, Consent::Word, text, true).unwrap();
            }
            assert_eq!(said.standing, Some(Standing::Unsubscribed));
        }
    }
}
