//! How a contact is named at the command line.

use serde_json::{Value, json};

/// The field of a body that names a contact, and its value: an email address, a phone number (`+…`), an id (`id:7`) or an external id
/// (`external:c-7`).
pub(crate) fn contact_key(contact: &str) -> (&'static str, Value) {
    if let Some(id) = contact.strip_prefix("id:").and_then(|id| id.parse::<i64>().ok()) {
        return ("contact_id", json!(id));
    }
    match contact.strip_prefix("external:") {
        Some(id) => ("external_id", json!(id)),
        None if contact.contains('@') => ("email", json!(contact)),
        None => ("phone", json!(contact)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_named_by_any_key() {
        for (contact, field, value) in [
            ("ann@example.com", "email", json!("ann@example.com")),
            ("+442079460123", "phone", json!("+442079460123")),
            ("id:7", "contact_id", json!(7)),
            ("external:c-7", "external_id", json!("c-7")),
        ] {
            assert_eq!(contact_key(contact), (field, value), "{contact}");
        }
    }
}
