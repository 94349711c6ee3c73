//! Why a message is sent.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// Why a message is sent: it decides whose consent is asked for.
    Category {
        /// It offers something: it goes only to people who agreed to its topic.
        Marketing = "marketing",
        /// The person has caused it, and expects it: a receipt, a new password.
        Transactional = "transactional",
    }
}
