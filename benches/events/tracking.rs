//! What three links and a pixel cost a message, beside the same message without them.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use volley::domain::content::template::{Compiled, Content};
use volley::domain::content::tracking::{LinkRules, Tracking};
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::people::contact::Profile;
use volley::domain::people::link::tracked::Tracker;
use volley::domain::people::link::{Kid, LinkKey};

use crate::figures::{median, number};

const BASE: &str = "https://mail.example.com";

/// Rounds, each with and without.
const ROUNDS: usize = 21;

/// A newsletter of a usual size.
fn content() -> Content {
    let paragraph = "<p style=\"font-size:16px;line-height:1.5\">Hello {{ first_name }}, there is \
                     something new in the shop this week, and we have kept a place in it for you.</p>\n";
    let link =
        |n: usize| format!("<p><a href=\"https://shop.example.com/offers/{n}?utm_source=mail\">See it</a></p>\n");
    let body: String = (0..3).map(|n| paragraph.repeat(8) + &link(n)).collect();
    Content {
        subject: "News".to_owned(),
        text: "News of the week".to_owned(),
        html: Some(format!("<!doctype html><html><body>{body}</body></html>")),
        ..Content::default()
    }
}

/// Measures and prints the row.
pub(crate) fn measure(messages: usize) {
    let (content, known) = (content(), BTreeSet::new());
    let compile = || Compiled::compile(&content, &known).expect("a template");
    let rules = LinkRules::new(Vec::new(), BASE);
    let plain = compile();
    let tracked = compile().tracked(&content, &known, Tracking { clicks: true, opens: true }, rules);
    assert_eq!(tracked.tracked_links().count(), 3, "the template has three links");
    let key = LinkKey::new(Kid::parse("kid1").expect("a kid"), &[7; 32]);
    let profile = Profile::default();
    // Microseconds a message.
    let round = |compiled: &Compiled, is_tracked: bool| {
        let began = Instant::now();
        for n in 0..messages {
            let contact = ContactId(i64::try_from(n).expect("an id"));
            let tracker = is_tracked.then(|| Tracker::new(BASE.into(), key.clone(), CampaignId(1), contact));
            black_box(compiled.render_for(&profile, &Default::default(), tracker.as_ref()).expect("a message"));
        }
        began.elapsed().as_secs_f64() * 1e6 / number(messages)
    };
    let pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (round(&plain, false), round(&tracked, true))).collect();
    let [without, with] = [0, 1].map(|which| {
        let of = |(without, with): &(f64, f64)| if which == 0 { *without } else { *with };
        median(&pairs.iter().map(of).collect::<Vec<f64>>())
    });
    let more = median(&pairs.iter().map(|(without, with)| with - without).collect::<Vec<f64>>());
    println!("\nRendering, {ROUNDS} rounds of {messages} messages with and without three links and a pixel\n");
    println!("| µs a message without | with | more | target |");
    println!("|---:|---:|---:|---:|");
    println!("| {without:.2} | {with:.2} | {more:.2} | ≤ 5 |");
}
