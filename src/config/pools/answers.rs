//! `[[pools.answers]]`: what a pool's provider means by answers that the table does not know, or knows otherwise.

use serde::{Deserialize, Serialize};

use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::answers::{BadRow, Row, Way};

/// One kind of answer and what it means. At least one of `code`, `enhanced` and `words`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerConfig {
    /// The basic code, or the HTTP status.
    #[serde(default)]
    pub code: Option<u16>,
    /// SMTP: the enhanced code, such as `5.7.1`, or `x.7.1` for any class.
    #[serde(default)]
    pub enhanced: Option<String>,
    /// Words in the answer, in any case; `*` is a gap of at most 40 characters.
    #[serde(default)]
    pub words: Option<String>,
    /// Whose trouble it is.
    pub class: AnswerClass,
    /// Whether it will be refused again.
    #[serde(default)]
    pub permanent: bool,
    /// How long to wait, where the answer does not say. 1 to 3600.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

impl AnswerConfig {
    pub(super) fn row(&self, way: Way) -> Result<Row, BadRow> {
        let what = (self.code, self.enhanced.as_deref(), self.words.as_deref());
        Row::own(way, what, self.class, self.permanent, self.wait_seconds)
    }
}
