//! What can be done with a campaign or a pool, as a search finds it: "pause Spring".

use crate::domain::campaigns::CampaignStatus::{self, Draft, Paused, Scheduled, Sending};

/// An act, on the page that asks before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownAct {
    /// What it is called, and what a text begins with to find it.
    pub(super) verb: &'static str,
    /// The page that asks.
    pub(super) page: &'static str,
    /// On what it is done.
    pub(super) on: On,
}

/// What an act is done on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// Campaigns of these statuses. None are named: of any.
    Campaigns(&'static [CampaignStatus]),
    /// Pools that are suspended, or that are not.
    Pools {
        /// Whether they are.
        suspended: bool,
    },
}

const ACTS: &[KnownAct] = &[
    KnownAct { verb: "Pause", page: "/ui/campaigns/{id}/pause", on: On::Campaigns(&[Sending]) },
    KnownAct { verb: "Resume", page: "/ui/campaigns/{id}/resume", on: On::Campaigns(&[Paused]) },
    KnownAct { verb: "Resume", page: "/ui/pools/{name}/resume", on: On::Pools { suspended: true } },
    KnownAct { verb: "Stop", page: "/ui/campaigns/{id}/stop", on: On::Campaigns(&[Scheduled, Sending, Paused]) },
    KnownAct { verb: "Edit", page: "/ui/campaigns/{id}/edit", on: On::Campaigns(&[Draft, Scheduled]) },
    KnownAct { verb: "Check", page: "/ui/campaigns/{id}/preflight", on: On::Campaigns(&[Draft, Scheduled]) },
    KnownAct { verb: "Check", page: "/ui/pools/{name}/check", on: On::Pools { suspended: false } },
    KnownAct { verb: "Copy", page: "/ui/campaigns/{id}/copy", on: On::Campaigns(&[]) },
    KnownAct { verb: "Suspend", page: "/ui/pools/{name}/suspend", on: On::Pools { suspended: false } },
];

/// So many letters of a verb are enough.
const ENOUGH: usize = 3;

impl On {
    /// Whether it is done on a campaign of this status.
    pub(super) fn campaign_of(self, status: &str) -> bool {
        match self {
            Self::Campaigns(statuses) => statuses.is_empty() || statuses.iter().any(|one| one.as_str() == status),
            Self::Pools { .. } => false,
        }
    }
}

/// The acts that a text begins with, and the beginning of the name that it goes on with. Only those whose page may be seen.
pub(super) fn fitting(text: &str, may: impl Fn(&str) -> bool) -> Vec<(KnownAct, String)> {
    let (verb, name) = text.split_once(' ').unwrap_or((text, ""));
    // "pause campaign 7" and "pause the campaign" mean the same.
    let words = ["the ", "campaign ", "pool "];
    let name = words.iter().fold(name.trim_start(), |name, word| {
        let is_word = name.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        if is_word { name.get(word.len()..).unwrap_or_default().trim_start() } else { name }
    });
    let verb = verb.to_lowercase();
    let fits = |act: &&KnownAct| verb.len() >= ENOUGH && act.verb.to_lowercase().starts_with(&verb) && may(act.page);
    ACTS.iter().filter(fits).map(|act| (*act, name.trim_end().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&'static str, String)> {
        fitting(text, |page| !page.ends_with("/suspend")).into_iter().map(|(act, name)| (act.page, name)).collect()
    }

    #[test]
    fn an_act_is_found_by_its_verb_or_its_beginning_if_its_page_may_be_seen() {
        assert_eq!(found("Pause Spring gr"), [("/ui/campaigns/{id}/pause", "Spring gr".to_owned())]);
        assert_eq!(found("pause campaign 7"), [("/ui/campaigns/{id}/pause", "7".to_owned())]);
        let resume = ["/ui/campaigns/{id}/resume", "/ui/pools/{name}/resume"].map(|page| (page, String::new()));
        assert_eq!(found("res"), resume);
        assert_eq!(found("re"), []);
        assert_eq!(found("suspend main"), []);
        assert_eq!(found("pauses"), []);
    }

    #[test]
    fn an_act_is_done_on_campaigns_of_its_statuses() {
        let on = |verb: &str| ACTS.iter().find(|act| act.verb == verb).unwrap().on;
        assert!(on("Pause").campaign_of("sending") && !on("Pause").campaign_of("paused"));
        assert!(on("Copy").campaign_of("sent") && !on("Suspend").campaign_of("sent"));
    }
}
