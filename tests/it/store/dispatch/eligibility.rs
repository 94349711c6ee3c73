//! Who may be sent to: one answer, asked of one contact or of many in SQL.

use volley::domain::channel::ChannelKind;
use volley::domain::dispatch::delivery::SkipReason;
use volley::domain::dispatch::eligibility::{Contactable, address_for};
use volley::store::dispatch::eligibility::skip_reason;

use crate::support::both_backends;

/// The values of a contact's row, of the fields that decide.
fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"))
}

both_backends! {
    fn one_contact_and_many_are_judged_alike(db: &Database) {
        drop(db.connect());
        for bits in 0..16_u8 {
            let given = |bit: u8, value: &'static str| (bits & (1 << bit) != 0).then_some(value);
            let contact = Contactable {
                email: given(0, "someone@example.com"),
                phone: given(1, "+431234567"),
                external_id: given(2, "crm-1"),
                is_deleted: given(3, "deleted").is_some(),
            };
            let row = format!(
                "(SELECT {} AS email, {} AS phone, {} AS external_id, {} AS deleted_at) AS c",
                literal(contact.email),
                literal(contact.phone),
                literal(contact.external_id),
                if contact.is_deleted { "1" } else { "NULL" }
            );
            for channel in ChannelKind::ALL.iter().copied() {
                let expected = address_for(channel, contact).err();
                let reasons = [None, Some(SkipReason::ContactDeleted), Some(SkipReason::NoAddress)];
                let matching = reasons.into_iter().filter(|reason| {
                    let holds = match reason {
                        None => "IS NULL".to_owned(),
                        Some(reason) => format!("= '{}'", reason.as_str()),
                    };
                    db.number(&format!("SELECT count(*) AS n FROM {row} WHERE {} {holds}", skip_reason(channel))) == 1
                });
                assert_eq!(matching.collect::<Vec<_>>(), [expected], "{channel} {contact:?}");
            }
        }
    }
}
