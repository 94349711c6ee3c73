use super::*;
use crate::domain::people::contact::normalised_name;

#[test]
fn whole_words_say_what_a_column_is_about() {
    for (wanted, names) in [
        (
            Some(About::Agreement),
            &["Newsletter", "consent", "GDPR consent", "Einwilligung", "newsletter_opt_in", "Abonné", "isContactable"]
                [..],
        ),
        (
            Some(About::Refusal),
            &[
                "Unsub",
                "Newsletter opt-out",
                "Do not send",
                "Désinscrit",
                "Consent withdrawn",
                "no newsletter",
                "Kein Newsletter",
                "DNC",
                "No email",
                "Email Suppressions",
                "Keine Werbung",
                "Email disabled",
                "Unsubscribed from all",
                "Unsubscribed from newsletter",
                "Unsubscription",
                "Werbeverbot",
            ],
        ),
        (
            Some(About::Agreement),
            &[
                "Would you like to receive our newsletter by email?",
                "Werbung erlaubt",
                "Accepts emails",
                "Marketing allowed",
                "Consent given",
                "Newsletter signup",
                "Newsletter-Anmeldung",
                "Nieuwsbrief",
                "Newsletter (yes/no)",
                "E-Mail-Marketing Einwilligung",
            ],
        ),
        (
            Some(About::AgreementDetail),
            &["consent date", "Subscribed by", "Opt-in time", "Newsletter on", "Consent source"],
        ),
        (
            Some(About::Unclear),
            &[
                "GDPR erasure request",
                "Consent expired",
                "Nicht angemeldet",
                "Einwilligung abgelaufen",
                "Newsletter pending",
                "I consent to receive emails from the organiser",
                "Email/SMS consent",
                "Consent on file",
                "Newsletter opt-in at checkout",
                "Do not text or email",
                "Newsletter frequency",
                "Opt-out received",
                "Unsubscribe clicked",
                "Unsubscribed (call)",
                "Do not contact by phone",
                "Consent received",
            ],
        ),
        (Some(About::RefusalDetail), &["unsub reason", "Abgemeldet am", "Consent revoked at", "Opt-out time"]),
        (
            None,
            &[
                "city",
                "State",
                "Loyalty tier",
                "newsletter_count",
                "Subscriber number",
                "GDPR_country",
                "Do Not Call",
                "Fax Opt Out",
                "Email not verified",
                "Mail Stop",
                "Permissions",
                "Accepted terms",
                "SMS Marketing Consent",
                "Marketing emails opened",
                "Unsubscribe rate",
                "Unsubscribe link",
                "SMS consent",
                "Adopting",
                "Teléfono email",
                "notes",
                "Donotello",
            ],
        ),
    ] {
        for name in names {
            assert_eq!(about(&normalised_name(name)), wanted, "{name}");
        }
    }
}
