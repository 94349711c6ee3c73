//! Looks at a campaign all the time, from the side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::api::{Api, Campaign};

/// Every so many looks the rows are counted, too: the totals that a look shows are sums of the states themselves.
const AUDIT: usize = 30;

/// A thread that polls a campaign; every look checks the books. Times without a server are passed over.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    /// Of a campaign to that many people.
    pub(crate) fn start(api: Api, campaign: i64, people: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let expected = u64::try_from(people).unwrap();
            let mut looks = 0;
            while !told.load(Ordering::Relaxed) {
                if let Ok(answer) = api.try_get(&format!("/v1/campaigns/{campaign}"))
                    && answer.status == 200
                {
                    let seen = Campaign::read(answer.body);
                    assert!(seen.stats.total <= expected, "there are {people} people: {}", seen.body);
                    looks += 1;
                }
                if looks % AUDIT == AUDIT - 1
                    && let Ok(answer) = api.try_get(&format!("/v1/campaigns/{campaign}/audit"))
                    && answer.status == 200
                {
                    let audit = answer.body;
                    assert_eq!(audit["consistent"], true, "the books are wrong: {audit}");
                    assert!(
                        audit["packed"] == false || audit["total"] == expected,
                        "there are {people} people: {audit}"
                    );
                }
                std::thread::sleep(Duration::from_millis(15));
            }
            looks
        });
        Self { over, thread }
    }

    /// Ends the watch; fails the test when a look found the books wrong, or when there were hardly any looks.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.over.store(true, Ordering::Relaxed);
        let looks = self.thread.join().expect("the books were right at every look");
        assert!(looks > 10, "only {looks} looks");
    }
}
