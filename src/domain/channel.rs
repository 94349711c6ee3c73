//! The ways that a message travels.

use super::text_enum::text_enum;

text_enum! {
    /// The way a message travels.
    ChannelKind {
        /// E-mail.
        Email = "email",
        /// Text message.
        Sms = "sms",
        /// WhatsApp.
        Whatsapp = "whatsapp",
        /// Any HTTP API.
        Http = "http",
    }
}
