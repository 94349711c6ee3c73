//! Relays.

use super::End::{Everyone, Failed};
use super::{run, smtp};
use crate::support::both_backends;

both_backends! {
    fn relays_of_the_field_come_out_right(db: &Database) {
        run(db, &[
            smtp("smtp-healthy", "", 20, Everyone),
            smtp("smtp-no-such-user", "rcpt to=person3@: 550 5.1.1 no such mailbox", 20, Failed(1, "no such mailbox")),
            smtp("smtp-slow-greeting", "greeting: {wait 500ms}", 20, Everyone).set("concurrency", "3"),
            smtp("smtp-closes-after-each", "final: 250 2.0.0 ok {cut}", 20, Everyone),
        ]);
    }
}
