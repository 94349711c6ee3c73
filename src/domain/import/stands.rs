//! What an export of Volley's own says of lists: how each contact stands on all of them, and on the one whose members were exported. An import
//! may be onto another list.

use super::own::words;
use super::statuses::{Consent, hear};
use crate::domain::people::consent::Said;
use crate::domain::people::contact::FieldError;
use crate::domain::people::standing::Standing;

/// What a row says of lists.
#[derive(Debug, Default)]
pub(super) struct Stands {
    /// How the contact stands on all lists: `news:subscribed, offers:unsubscribed`.
    pub(super) lists: Option<String>,
    /// How it stands on the list whose members were exported.
    pub(super) status: Option<String>,
    /// Which list that is. `None`: the export of an earlier version, which does not say it.
    pub(super) on: Option<String>,
}

impl Stands {
    /// How the contact stands on each list. A word that is not understood is no yes.
    fn each(&self) -> impl Iterator<Item = (&str, Option<Standing>)> {
        let stands = |word| match str::rsplit_once(word, ':') {
            Some((list, standing)) => (list, Standing::from_text(standing)),
            None => (word, None),
        };
        words(self.lists.as_deref().unwrap_or_default()).map(stands)
    }

    /// Says how the contact stands on `list`, the one of the import: a "no" of that list counts, and neither a yes nor a no of another list is
    /// one of this. Where nothing is said of this list, nobody joins it who has refused another, or never confirmed it.
    pub(super) fn tell(self, said: &mut Said, list: Option<&str>) -> Result<(), (Consent, FieldError)> {
        if self.lists.is_none() && self.status.is_none() && self.on.is_none() {
            return Ok(());
        }
        let mut status = Said::default();
        if let Some(word) = &self.status {
            hear(&mut status, Consent::Word, word, true).map_err(|error| (Consent::Stands, error))?;
        }
        for one in status.suppressed.drain(..) {
            if !said.suppressed.contains(&one) {
                said.suppressed.push(one);
            }
        }
        let of_list: Vec<_> =
            self.each().filter(|(name, _)| Some(*name) == list).map(|(_, standing)| standing).collect();
        let is_unclear = of_list.contains(&None);
        let of_list = of_list.into_iter().flatten().reduce(strictest);
        let is_about = self.is_about(list, status.standing, of_list);
        if !is_about {
            (said.at, said.source) = (None, None);
        }
        let status_of_list = status.standing.filter(|_| is_about);
        said.standing = [said.standing, of_list, status_of_list].into_iter().flatten().reduce(strictest);
        let is_no = said.standing.is_some_and(|standing| standing != Standing::Subscribed);
        if is_unclear && !is_no {
            return Err((Consent::Lists, unclear()));
        }
        if said.standing.is_some() || !said.suppressed.is_empty() {
            return Ok(());
        }
        let is_yes = |standing: Option<Standing>| standing == Some(Standing::Subscribed);
        if !self.each().all(|(_, standing)| is_yes(standing)) {
            return Err((Consent::Lists, elsewhere()));
        }
        if status.standing.is_some_and(|standing| !is_yes(Some(standing))) {
            return Err((Consent::Stands, elsewhere()));
        }
        Ok(())
    }

    /// The same of a row in which cells may be missing: where it cannot be told which list a "no" is about, it is about this one.
    pub(super) fn tell_refusal(&mut self, said: &mut Said, list: Option<&str>) {
        let stands = std::mem::take(self);
        if stands.lists.is_none() && stands.on.is_none() {
            // The row is rejected for its shape already.
            let _wrong = stands.status.map(|word| hear(said, Consent::Word, &word, true));
        } else {
            let _wrong = stands.tell(said, list);
        }
    }

    /// Whether the standing `status` is about the list of the import, on which the contact stands as `of_list` says. An export that does not say
    /// so itself shows it by another list on which the contact stands like that.
    fn is_about(&self, list: Option<&str>, status: Option<Standing>, of_list: Option<Standing>) -> bool {
        match &self.on {
            Some(on) => Some(on.as_str()) == list,
            None => {
                let is_of_another = || self.each().any(|(name, standing)| Some(name) != list && standing == status);
                of_list.is_some() && (of_list == status || !is_of_another())
            }
        }
    }
}

/// What a column `lists` says of `list` in a file that is no whole export of Volley's any more: only that the person has refused it, or never
/// confirmed it. Anything else there may be another tool's word.
pub(super) fn refusal_in(words_of_lists: &str, list: &str) -> Option<Standing> {
    let of_list = words(words_of_lists).filter_map(|word| word.rsplit_once(':')).filter(|(name, _)| *name == list);
    let standings = of_list.filter_map(|(_, standing)| Standing::from_text(standing));
    standings.filter(|standing| matches!(standing, Standing::Unsubscribed | Standing::Unconfirmed)).reduce(strictest)
}

/// The more restrictive one.
pub(super) fn strictest(one: Standing, other: Standing) -> Standing {
    let rank = |standing| match standing {
        Standing::Unsubscribed => 2,
        Standing::Unconfirmed => 1,
        Standing::Subscribed | Standing::Moved => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// Why a row is kept out that says "no" of another list, and nothing of this one.
fn elsewhere() -> FieldError {
    let reason = "says that the person has refused a list, or has not confirmed it, and nothing says how they stand on the list of this import: \
                  import the file without a list, or take an export of the members of that list; if status is about the list of this import all \
                  the same, map that column to status";
    FieldError::new("lists", "not_subscribed", reason)
}

/// Why a row is kept out that says something of the list of the import that is no standing.
fn unclear() -> FieldError {
    let reason = "has a word about the list of this import that is none of subscribed, unconfirmed and unsubscribed, so that it cannot be told \
                  whether the person has agreed";
    FieldError::new("lists", "not_subscribed", reason)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::import::reading::{Mapped, Reading};
    use crate::domain::import::{ImportReader, Row};

    fn row(file: String, list: &str, mapping: &[&str]) -> Row {
        let mapping = Mapped::parse_all(mapping.iter().copied()).unwrap();
        let reading = Reading { on_list: true, list: Some(list.to_owned()), mapping, ..Reading::default() };
        ImportReader::open(Cursor::new(file.into_bytes()), None, &reading).unwrap().next_row().unwrap().unwrap()
    }

    /// What a row of members says of the list `offers`, with or without the column that names the exported list.
    fn of_offers(status: &str, on: Option<&str>, lists: &str) -> Result<(Option<Standing>, bool), String> {
        let (header, on) = match on {
            Some(on) => ("contact_id,email,status,status_at,status_list,lists", format!("{on},")),
            None => ("contact_id,email,status,status_at,lists", String::new()),
        };
        let line = format!("7,a@example.com,{status},2026-01-02T03:04:05.000Z,{on}\"{lists}\"");
        let row = row(format!("{header}\n{line}\n"), "offers", &[]);
        let said = (row.said.standing, row.said.at.is_some());
        assert!(row.refused.is_empty() || row.result.is_err());
        row.result.map(|_| said).map_err(|errors| format!("{} {}", errors[0].field, errors[0].code))
    }

    #[test]
    fn the_status_on_one_list_is_no_answer_for_another() {
        use Standing::{Subscribed, Unconfirmed, Unsubscribed};
        let kept_out = |column: &str| Err(format!("{column} not_subscribed"));
        for on in [Some("news"), None] {
            let offers = |status, lists| of_offers(status, on, lists);
            assert_eq!(
                offers("subscribed", "news:subscribed, offers:unsubscribed"),
                Ok((Some(Unsubscribed), false)),
                "{on:?}"
            );
            assert_eq!(offers("subscribed", "news:subscribed, offers:unconfirmed"), Ok((Some(Unconfirmed), false)));
            assert_eq!(offers("unsubscribed", "news:unsubscribed, offers:subscribed"), Ok((Some(Subscribed), false)));
            assert_eq!(offers("subscribed", "news:subscribed"), Ok((None, false)), "as in every file");
            assert_eq!(offers("unsubscribed", "news:unsubscribed"), kept_out("lists"));
            assert_eq!(offers("subscribed", "news:subscribed, tips:unsubscribed"), kept_out("lists"));
            assert_eq!(offers("unsubscribed", ""), kept_out("status"));
        }
        for on in [Some("offers"), None] {
            let offers = |status, lists| of_offers(status, on, lists);
            assert_eq!(
                offers("unsubscribed", "offers:subscribed, news:subscribed"),
                Ok((Some(Unsubscribed), true)),
                "changed by hand"
            );
            assert_eq!(offers("subscribed", "offers:subscribed, news:unsubscribed"), Ok((Some(Subscribed), true)));
        }
        assert_eq!(
            of_offers("unsubscribed", Some("offers"), "offers:subscribed, news:unsubscribed"),
            Ok((Some(Unsubscribed), true))
        );
        assert_eq!(of_offers("unsubscribed", Some("offers"), ""), Ok((Some(Unsubscribed), true)));
        assert_eq!(
            of_offers("blocked", Some("news"), "news:subscribed, offers:subscribed"),
            Ok((Some(Subscribed), false)),
            "and suppressed"
        );
        assert_eq!(of_offers("perhaps", Some("news"), "news:subscribed"), Err("status not_allowed".to_owned()));
    }

    #[test]
    fn a_wrong_row_refuses_its_own_list_and_no_other() {
        let header = "contact_id,email,phone,status,lists";
        let refused = |list: &str, line: &str| {
            let row = row(format!("{header}\n{line}\n"), list, &[]);
            assert!(row.result.is_err(), "{line}");
            (row.refused.len(), row.said.standing)
        };
        let wrong = "7,a@example.com,,unsubscribed,\"news:unsubscribed, offers:subscribed\",beyond";
        assert_eq!(refused("news", wrong), (1, Some(Standing::Unsubscribed)));
        assert_eq!(refused("offers", wrong).0, 0);
        let lost = "7,a@example.com,,unsubscribed,,beyond";
        assert_eq!(refused("news", lost), (1, Some(Standing::Unsubscribed)), "whose no it is cannot be told");
        let file = format!("{header}\r\n7,a@example.com,,unsubscribed,news:unsubscribed\r\n");
        let row = row(file, "offers", &["status:status"]);
        assert_eq!((row.result.is_ok(), row.said.standing), (true, Some(Standing::Unsubscribed)), "a mapping says so");
    }
}
