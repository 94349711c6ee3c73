//! One row of the table of answers, and what it fits.

use std::borrow::Cow;
use std::time::Duration;

use super::said::{Said, normal};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::text_enum::text_enum;

/// Characters between two words of a row that stand apart (`*`), at most.
const GAP: usize = 40;

/// The longest wait that a row may name.
const LONGEST_WAIT_SECONDS: u64 = 3600;

text_enum! {
    /// How a message travels.
    Way {
        /// To an SMTP relay.
        Smtp = "smtp",
        /// To an HTTP API.
        Http = "http",
    }
}

text_enum! {
    /// How well a row is known.
    Standing {
        /// By a standard, or by the provider's own page.
        Documented = "documented",
        /// By what others report, or by the rules that they keep.
        Reported = "reported",
        /// Our reading of what the source says of such answers in general.
        Judged = "judged",
        /// By the pool's settings.
        Own = "own",
    }
}

/// An enhanced status code (RFC 3463) in a row; no class fits all classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced {
    class: Option<u16>,
    subject: u16,
    detail: u16,
}

impl Enhanced {
    /// `5.7.1`, or `x.7.1` for any class.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        let class = match numbers.next()? {
            "x" => None,
            class => Some(class.parse().ok().filter(|class| matches!(class, 4 | 5))?),
        };
        let mut number = || numbers.next()?.parse().ok().filter(|number: &u16| *number < 1000);
        let (subject, detail) = (number()?, number()?);
        numbers.next().is_none().then_some(Self { class, subject, detail })
    }

    fn fits(self, [class, subject, detail]: [u16; 3]) -> bool {
        self.class.is_none_or(|wanted| wanted == class) && (self.subject, self.detail) == (subject, detail)
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.class {
            Some(class) => write!(f, "{class}.{}.{}", self.subject, self.detail),
            None => write!(f, "x.{}.{}", self.subject, self.detail),
        }
    }
}

/// What one kind of answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How the message travelled.
    pub way: Way,
    /// Whose answer it is; `generic` for any provider's.
    pub provider: Cow<'static, str>,
    /// The basic code or the HTTP status; none fits all.
    pub code: Option<u16>,
    /// The enhanced code; none fits all.
    pub enhanced: Option<Enhanced>,
    /// Words that the answer holds, in lower case; `*` stands for up to 40 characters. `code=131048` is the number behind
    /// a key that ends in `code` or `status`. Empty: whatever it says.
    pub words: Cow<'static, str>,
    /// Whose trouble it is.
    pub class: AnswerClass,
    /// Whether it will be refused again.
    pub permanent: bool,
    /// How long to leave the provider, or the recipient, alone.
    pub wait: Option<Duration>,
    /// How well this is known.
    pub standing: Standing,
    /// Where it is known from.
    pub source: &'static str,
}

/// Why a row of a pool's settings cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// It would fit every answer.
    #[error("code: name at least one of code, enhanced and words")]
    FitsAll,
    /// The code is no refusal.
    #[error("code: {0} is outside 400 to 599 (smtp) or 300 to 599 (webhook)")]
    Code(u16),
    /// The enhanced code is none, or stands where there is none.
    #[error("enhanced: {0:?} is not an enhanced code such as 5.7.1 or x.7.1, for smtp only")]
    Enhanced(String),
    /// The words are too few to mean something.
    #[error("words: {0:?} is too short; give at least three letters or digits")]
    Words(String),
    /// The wait is too long.
    #[error("wait_seconds: {0} is outside 1 to 3600")]
    Wait(u64),
    /// It cannot be both.
    #[error("wait_seconds: what is permanent is not waited for")]
    PermanentWait,
}

impl Row {
    /// A row of a pool's settings.
    ///
    /// # Errors
    /// What about it cannot work.
    pub fn own(
        way: Way,
        (code, enhanced, words): (Option<u16>, Option<&str>, Option<&str>),
        class: AnswerClass,
        permanent: bool,
        wait_seconds: Option<u64>,
    ) -> Result<Self, BadRow> {
        let words = normal(words.unwrap_or_default());
        if code.is_none() && enhanced.is_none() && words.is_empty() {
            return Err(BadRow::FitsAll);
        }
        let lowest = if way == Way::Smtp { 400 } else { 300 };
        if let Some(code) = code.filter(|code| !(lowest..600).contains(code)) {
            return Err(BadRow::Code(code));
        }
        let no_code = |text: &str| BadRow::Enhanced(text.to_owned());
        let enhanced = match enhanced {
            None => None,
            Some(text) if way == Way::Http => return Err(no_code(text)),
            Some(text) => Some(Enhanced::parse(text).ok_or_else(|| no_code(text))?),
        };
        if !words.is_empty() && words.chars().filter(|c| c.is_alphanumeric()).count() < 3 {
            return Err(BadRow::Words(words));
        }
        if let Some(seconds) = wait_seconds.filter(|seconds| !(1..=LONGEST_WAIT_SECONDS).contains(seconds)) {
            return Err(BadRow::Wait(seconds));
        }
        if permanent && wait_seconds.is_some() {
            return Err(BadRow::PermanentWait);
        }
        let wait = wait_seconds.map(Duration::from_secs);
        let (provider, words) = (Cow::Borrowed("own"), Cow::Owned(words));
        let (standing, source) = (Standing::Own, "the pool's settings");
        Ok(Self { way, provider, code, enhanced, words, class, permanent, wait, standing, source })
    }

    /// A line of the table.
    ///
    /// # Errors
    /// The line.
    pub(super) fn parse(line: &'static str) -> Result<Self, &'static str> {
        let cells: Vec<&'static str> = line.split('\t').collect();
        let [way, provider, code, enhanced, words, class, permanent, wait, standing, source] = cells.as_slice() else {
            return Err(line);
        };
        let number =
            |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_no_number| line) };
        let wait: Option<u64> = number(wait)?.map(u64::from);
        Ok(Self {
            way: Way::from_text(way).ok_or(line)?,
            provider: Cow::Borrowed(provider),
            code: number(code)?,
            enhanced: match *enhanced {
                "" => None,
                text => Some(Enhanced::parse(text).ok_or(line)?),
            },
            words: Cow::Borrowed(words),
            class: AnswerClass::from_text(class).ok_or(line)?,
            permanent: match *permanent {
                "yes" => true,
                "no" => false,
                _ => return Err(line),
            },
            wait: wait.map(Duration::from_secs),
            standing: Standing::from_text(standing).ok_or(line)?,
            source,
        })
    }

    /// Whether it counts for a pool of `provider`. The rows of others do where what they name is their own invention; a
    /// bare code, a number, or an outage that is told by a few common words says something from its own provider only.
    pub(super) fn counts_for(&self, provider: Option<&str>) -> bool {
        let is_bare = self.enhanced.is_none() && (self.words.is_empty() || self.words.starts_with("code="));
        self.provider == "generic"
            || provider == Some(&*self.provider)
            || !is_bare && self.class != AnswerClass::RelayOutage
    }

    /// Which of several rows that fit decides: the greatest. Words, then the enhanced code, then the basic code; the
    /// provider's own; the one that names more; and among the same the recipient first, so that a mailbox over its quota
    /// is not taken for a relay's.
    pub(super) fn rank(&self, provider: Option<&str>) -> impl Ord + use<> {
        const ORDER: [AnswerClass; 11] = [
            AnswerClass::Unsure,
            AnswerClass::RelayOutage,
            AnswerClass::RelayRate,
            AnswerClass::RelayConnections,
            AnswerClass::RelayAuth,
            AnswerClass::RelayQuota,
            AnswerClass::Policy,
            AnswerClass::Content,
            AnswerClass::Sender,
            AnswerClass::Address,
            AnswerClass::Recipient,
        ];
        let by = match (self.words.is_empty(), self.enhanced) {
            (false, _) => 2,
            (true, Some(_)) => 1,
            (true, None) => 0,
        };
        let named = u8::from(self.enhanced.is_some()) + u8::from(self.code.is_some());
        let class = ORDER.iter().position(|class| *class == self.class);
        (by, provider == Some(&*self.provider), named, class, self.words.len())
    }

    /// Whether this is what was said.
    pub(super) fn fits(&self, said: &Said) -> bool {
        self.code.is_none_or(|code| code == said.code)
            && self.enhanced.is_none_or(|enhanced| said.enhanced.is_some_and(|code| enhanced.fits(code)))
            && match self.words.strip_prefix("code=") {
                Some(number) => holds_code(&said.words, number),
                None => holds(&said.words, &self.words),
            }
    }
}

/// Whether `text` holds `words`, of which those beside a `*` stand in this order and not far apart.
fn holds(text: &str, words: &str) -> bool {
    let (first, rest) = words.split_once('*').map_or((words, None), |(first, rest)| (first, Some(rest)));
    text.match_indices(first).any(|(at, _)| {
        let Some(tail) = text.get(at + first.len()..) else { return false };
        rest.is_none_or(|rest| {
            let next = rest.split('*').next().unwrap_or_default();
            let end = tail.char_indices().nth(GAP + next.chars().count()).map_or(tail.len(), |(end, _)| end);
            if rest.contains('*') { holds(tail, rest) } else { tail.get(..end).is_some_and(|near| near.contains(next)) }
        })
    })
}

/// Whether `text` holds a key that ends in `code` or `status` with this `number` as its value.
fn holds_code(text: &str, number: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    text.match_indices(number).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let after = text.get(at + number.len()..).unwrap_or_default();
        let key = before.trim_end_matches(['"', '\'', ' ']);
        let key = key.strip_suffix([':', '=']).map(|key| key.trim_end_matches(['"', '\'', ' ']));
        !after.starts_with(is_digit) && key.is_some_and(|key| key.ends_with("code") || key.ends_with("status"))
    })
}
