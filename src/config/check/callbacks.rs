//! What the settings of callbacks may be.

use super::{Check, bad, ensure};
use crate::config::pools::CallbackConfig;
use crate::domain::callbacks::Format;
use crate::domain::callbacks::sns::is_topic;

impl CallbackConfig {
    pub(super) fn check(&self, at: &dyn Fn(&str) -> String) -> Check {
        let at_topics = at("callbacks.topics");
        ensure(self.topics.is_empty() || self.format == Format::Ses, &at_topics, "only format ses has topics")?;
        let needs = "format ses needs the topics of Amazon SNS that are listened to, by their ARNs";
        ensure(!self.topics.is_empty() || self.format != Format::Ses, &at_topics, needs)?;
        let is_wrong = self.topics.iter().find(|topic| !is_topic(topic));
        let reason = |topic| format!("{topic:?} is no topic, such as arn:aws:sns:eu-west-1:123456789012:reports");
        is_wrong.map_or(Ok(()), |topic| Err(bad(at_topics, reason(topic))))?;
        // The text is not repeated: it is a secret. Without one, the door stays closed.
        self.secrets().into_iter().try_for_each(|secret| {
            self.format.check_secret(secret).map_err(|reason| bad(at("callbacks.secret"), reason))
        })
    }
}
