//! Whether a campaign's content, and not its recipients, is at fault.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// Whether a campaign's content was found to suit its recipients badly.
    ContentDoubt {
        /// Too many of them could not be rendered, and the campaign was paused for it.
        Raised = "raised",
        /// Somebody resumed it all the same: it is not paused for that again.
        Waived = "waived",
    }
}

/// Whether so many of `tried` recipients could not be rendered that the content, not the recipients, is at fault: more than
/// one in a hundred, once a hundred were tried.
#[must_use]
pub fn is_content_doubtful(tried: u32, unrenderable: u32) -> bool {
    const ENOUGH: u32 = 100;
    tried >= ENOUGH && u64::from(unrenderable) * 100 > u64::from(tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_in_doubt_when_it_fails_for_more_than_one_in_a_hundred_of_at_least_a_hundred() {
        for (tried, unrenderable, doubtful) in
            [(99, 99, false), (100, 1, false), (100, 2, true), (1_000, 10, false), (1_000, 11, true)]
        {
            assert_eq!(is_content_doubtful(tried, unrenderable), doubtful, "{unrenderable} of {tried}");
        }
    }
}
