//! What a preflight gathers while it walks: it grows with the template, never with the audience.

use std::sync::Arc;

use crate::domain::channel::ChannelKind;
use crate::domain::content::template::Provided;
use crate::domain::ids::ContactId;
use crate::domain::people::contact::Profile;
use crate::domain::preflight::failures::{Failure, Failures};
use crate::domain::preflight::funnel::Funnel;
use crate::domain::preflight::missing::{MissingValue, MissingValues};
use crate::domain::preflight::samples::{Sample, Sampler};
use crate::domain::preflight::sms_parts::SmsParts;
use crate::services::campaigns::composed::Composed;
use crate::store::dispatch::preflight::{Fate, Stretch};

/// What was gathered so far.
pub(super) struct Tally {
    /// `None`: the content cannot be compiled, so that people are only counted.
    composed: Option<Arc<Composed>>,
    /// What Volley brings to each message, as an example.
    provided: Provided,
    pub(super) funnel: Funnel,
    missing: MissingValues,
    failures: Failures,
    sampler: Sampler,
    /// Of text messages only.
    sms_parts: Option<SmsParts>,
    recently_mailed: i64,
}

/// What was gathered in the end.
pub(super) struct Gathered {
    pub(super) funnel: Funnel,
    pub(super) missing: Vec<MissingValue>,
    pub(super) failures: Vec<Failure>,
    pub(super) samples: Vec<Sample>,
    pub(super) sms_parts: Option<SmsParts>,
    pub(super) recently_mailed: i64,
}

impl Tally {
    pub(super) fn new(channel: ChannelKind, composed: Option<Composed>, provided: Provided) -> Self {
        let parts = channel == ChannelKind::Sms && composed.is_some();
        Self {
            composed: composed.map(Arc::new),
            sms_parts: parts.then(SmsParts::default),
            provided,
            funnel: Funnel::default(),
            missing: MissingValues::default(),
            failures: Failures::default(),
            sampler: Sampler::default(),
            recently_mailed: 0,
        }
    }

    /// Makes the messages of a stretch, and counts everybody. Keeps a thread busy.
    pub(super) fn take(&mut self, stretch: Stretch) {
        self.funnel.name(stretch.named, stretch.in_several_sources, stretch.excluded);
        self.recently_mailed += stretch.recently_mailed;
        for (contact, fate) in stretch.recipients {
            match fate {
                Fate::Skipped(reason) => self.funnel.skip(reason),
                Fate::Unreadable(why) => self.fail(contact, why.to_owned()),
                Fate::Reached(profile) => self.render(contact, &profile),
            }
        }
    }

    fn render(&mut self, contact: ContactId, profile: &Profile) {
        let Some(composed) = self.composed.as_ref() else { return self.funnel.send() };
        match composed.render(contact, profile) {
            Err(error) => self.fail(contact, error.to_string()),
            Ok(message) => {
                let missing = composed.missing(profile, &self.provided);
                self.missing.note(contact, &missing);
                if let Some(parts) = &mut self.sms_parts {
                    parts.add(&message.text);
                }
                // Who may read may not refuse in a recipient's name.
                let example = || composed.example(profile, &self.provided);
                self.sampler.offer(contact, &message, missing, example);
                self.funnel.send();
            }
        }
    }

    fn fail(&mut self, contact: ContactId, error: String) {
        self.failures.note(contact, error);
        self.funnel.fail();
    }

    pub(super) fn finish(self) -> Gathered {
        Gathered {
            funnel: self.funnel,
            missing: self.missing.into_list(),
            failures: self.failures.into_list(),
            samples: self.sampler.into_samples(),
            sms_parts: self.sms_parts,
            recently_mailed: self.recently_mailed,
        }
    }
}
