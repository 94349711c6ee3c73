//! Relays.

use super::End::{Everyone, Failed, Held, Paused};
use super::{run, smtp};
use crate::support::{Database, both_backends};

const USER: &str = r#""shop""#;
const PASSWORD: &str = r#""secret""#;

#[test]
fn relays_that_speak_their_own_smtp_come_out_right() {
    run(
        &Database::sqlite(),
        &[
            smtp("smtp-healthy", "", 10, Everyone),
            smtp("smtp-no-such-user", "rcpt to=person3@: 550 5.1.1 no such mailbox", 10, Failed(1, "no such mailbox")),
            smtp("smtp-slow-greeting", "greeting: {wait 500ms}", 10, Everyone),
            smtp("smtp-closes-after-each", "final: 250 2.0.0 ok {cut}", 10, Everyone),
            smtp("smtp-helo-only", "ehlo: 502 5.5.1 command not implemented", 10, Everyone).hears("HELO "),
            smtp("smtp-helo-only-500", "ehlo: 500 unrecognized command", 10, Everyone).hears("HELO "),
            smtp("smtp-auth-old-equals", r"ehlo: 250-relay\n250-8BITMIME\n250 AUTH=LOGIN PLAIN", 10, Everyone)
                .set("username", USER)
                .set("password", PASSWORD)
                .hears("AUTH "),
            smtp("smtp-auth-xoauth2", r"ehlo: 250-relay\n250 AUTH XOAUTH2", 10, Held("XOAUTH2"))
                .set("username", USER)
                .set("password", PASSWORD),
            smtp("smtp-ehlo-name", "", 10, Everyone)
                .set("ehlo_name", r#""mail.example.com""#)
                .hears("EHLO mail.example.com"),
            smtp("smtp-from-comma", "", 10, Everyone)
                .set("from", r#""Müller, Söhne <shop@example.com>""#)
                .hears("MAIL FROM:<shop@example.com>"),
            smtp("smtp-pipelining-broken", r"ehlo: 250-relay\n250 PIPELINING ;; mail: {forget}", 10, Everyone),
            smtp("smtp-size", r"ehlo: 250-relay\n250 SIZE 200", 10, Failed(10, "the relay takes at most 200")),
            smtp(
                "smtp-size-at-mail",
                "mail: 552 5.3.4 Message size exceeds fixed limit",
                10,
                Failed(10, "fixed limit"),
            ),
            smtp("smtp-size-declared", r"ehlo: 250-relay\n250 SIZE 99999", 10, Everyone)
                .hears("MAIL FROM:<shop@example.com> SIZE="),
            smtp(
                "smtp-multiline-latin1",
                r"rcpt to=person3@: 550-5.1.1 The email account does not exist. Please try\n550-5.1.1 caf\xe9 \xc4\xe3\xba\xc3\n550 5.1.1 double-checking the address",
                10,
                Failed(1, "double-checking the address"),
            ),
        ],
    );
}

both_backends! {
    fn a_relays_bad_moments_fail_nobody(db: &Database) {
        run(db, &[
            smtp("smtp-ses-454", "final rate>5: 454 Throttling failure: Maximum sending rate exceeded.", 40, Everyone),
            smtp("smtp-o365-432", "final busy>3: 432 4.3.2 Concurrent connections limit exceeded (3)", 40, Everyone),
            smtp("smtp-421-banner-toomany", "greeting open>2: 421 Too many concurrent SMTP connections {cut}", 40, Everyone),
            smtp("smtp-gmail-quota", "final at<4s passed>=5: 550 5.4.5 Daily user sending quota exceeded", 40, Everyone),
            smtp("smtp-471-policy-for-now", "rcpt at<2s: 451 4.7.1 Policy server is busy, try again later", 40, Everyone),
            smtp("smtp-450-rate", "rcpt rate>5: 450 4.7.1 Error: too much mail from 192.0.2.1", 40, Everyone),
            smtp("smtp-452-concurrent", "rcpt busy>3: 452 4.5.3 Too many recipients", 40, Everyone),
            smtp("smtp-greylist", "rcpt grey<8s: 450 4.2.0 Greylisted, please try again in 8 seconds", 15, Everyone),
            // Postgrey's 300 s and the first default wait of five minutes, thirty times as fast.
            smtp("smtp-greylist-300", "rcpt grey<10s: 450 4.2.0 Recipient address rejected: come back later", 15, Everyone)
                .set("retry_delays", "[10, 20]"),
            smtp("smtp-outage-451-rcpt", "rcpt at<10s: 451 4.3.0 Temporary lookup failure", 40, Everyone),
            smtp("smtp-outage-451-plain", "rcpt at<10s: 451 Temporary local problem - please try later", 40, Everyone),
            smtp("smtp-outage-451-final", "final at<10s: 451 4.3.0 queue file write error", 40, Everyone),
            smtp("smtp-outage-421-greeting", "greeting at<10s: 421 4.3.2 Service not available {cut}", 40, Everyone),
            smtp("smtp-outage-451-mail", "mail at<10s: 451 4.3.0 Temporary lookup failure", 40, Everyone),
            smtp("smtp-outage-connection", "connection at<10s: {cut}", 40, Everyone),
            smtp("smtp-outage-421-mail", "mail at<10s: 421 4.3.2 shutting down {cut}", 40, Everyone),
        ]);
    }
}

#[test]
fn a_refusal_of_everybody_pauses_the_campaign_before_the_list_is_burnt() {
    run(
        &Database::sqlite(),
        &[
            smtp("smtp-5xx-all-550-recipient-limit", "rcpt: 550 5.7.1 Relaying denied", 120, Paused("Relaying denied")),
            smtp(
                "smtp-554-571-postfix-relay",
                "rcpt: 554 5.7.1 <x>: Relay access denied",
                120,
                Paused("Relay access denied"),
            ),
            smtp("smtp-spam-554", "final: 554 5.7.1 Message content rejected, UBE, id=1", 120, Paused("rejected")),
            smtp(
                "smtp-sendas-denied-eod",
                "final: 554 5.2.252 SendAsDenied; shop@example.com not allowed to send as other@example.com",
                120,
                Paused("SendAsDenied"),
            ),
        ],
    );
}
