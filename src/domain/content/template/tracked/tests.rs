use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::domain::content::template::{MAX_OUTPUT_BYTES, Provided, RenderError};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::people::contact::Profile;
use crate::domain::people::link::tracked::{Claimed, Tracker};
use crate::domain::people::link::{Kid, LinkKey};

const BASE: &str = "https://mail.example.com";

fn key() -> LinkKey {
    LinkKey::new(Kid::parse("kid1").unwrap(), &[1; 32])
}

fn rules() -> LinkRules {
    LinkRules::new(vec!["named.example".to_owned()], BASE)
}

fn compiled(html: &str, tracking: Tracking) -> Compiled {
    let content = Content { html: Some(html.to_owned()), text: "https://a.example/".to_owned(), ..Content::default() };
    let known = BTreeSet::from(["url".to_owned(), "path".to_owned(), "items".to_owned()]);
    Compiled::compile(&content, &known).unwrap().tracked(&content, &known, tracking, rules())
}

const BOTH: Tracking = Tracking { clicks: true, opens: true };
const CLICKS: Tracking = Tracking { clicks: true, opens: false };

/// What a recipient whose attributes are these gets.
fn rendered(html: &str, tracking: Tracking, url: &str) -> String {
    let attributes = [
        ("url".to_owned(), json!(url)),
        ("path".to_owned(), json!("x?a=1&b=\"2\"")),
        ("items".to_owned(), json!(["1", "2"])),
    ];
    let profile = Profile { attributes: attributes.into(), ..Profile::default() };
    let provided = Provided { unsubscribe_url: Some(format!("{BASE}/u/abc")), ..Provided::default() };
    let tracker = Tracker::new(BASE.into(), key(), CampaignId(7), ContactId(8));
    let message = compiled(html, tracking).render_for(&profile, &provided, Some(&tracker)).unwrap();
    assert_eq!(message.text, "https://a.example/", "text stays as it is");
    message.html.unwrap()
}

/// The same with each address through Volley as what it leads to, and `[pixel]` for the pixel.
fn shown(html: &str, tracking: Tracking, url: &str) -> String {
    let rendered = rendered(html, tracking, url);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let mut shown = String::new();
    let mut rest = rendered.as_str();
    while let Some((before, after)) = rest.split_once("https://mail.example.com/t/c/") {
        let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
        let (token, segment) = after[..end].split_once('/').unwrap();
        let (_, target) = key().open_tracked(Claimed::parse(token, Some(segment)).unwrap()).unwrap();
        shown.push_str(&format!("{before}→{target}"));
        rest = &after[end..];
    }
    shown.push_str(rest);
    match shown.find("<img src=\"https://mail.example.com/t/o/") {
        None => shown,
        Some(at) => {
            let end = shown[at..].find('>').unwrap();
            format!("{}[pixel]{}", &shown[..at], &shown[at + end + 1..])
        }
    }
}

/// Templates print the same with placeholders alone and in the template language.
fn in_both_ways(html: &str) -> [String; 2] {
    [html.to_owned(), format!("{{% if true %}}{html}{{% endif %}}")]
}

#[test]
fn links_lead_through_volley_to_where_they_led() {
    for (html, expected) in [
        ("<a href=\"https://a.example/?b=1&amp;c=2\">x</a>", "<a href=\"→https://a.example/?b=1&c=2\">x</a>"),
        ("<a href=' https://a.example '>", "<a href='→https://a.example/'>"),
        ("<a href=https://a.example/>x</a>", "<a href=→https://a.example/>x</a>"),
        ("<a href='https://a.example/{{ path }}'>", "<a href='→https://a.example/x?a=1&b=%222%22'>"),
        (
            "<a href=\"https://a.example/?q=1&amp;p={path}&amp;z\">",
            "<a href=\"→https://a.example/?q=1&p=x?a=1&b=%222%22&z\">",
        ),
        ("<a href='https://a.example/{no|d&e}'>".replace("no", "url").as_str(), "<a href='→https://a.example/'>"),
    ] {
        for html in in_both_ways(html) {
            assert_eq!(
                shown(&html, CLICKS, ""),
                expected.replace("/'>", if html.contains("d&e") { "/d&e'>" } else { "/'>" }),
                "{html}"
            );
        }
    }
}

#[test]
fn what_is_no_address_of_the_web_or_says_no_stays_as_it_is() {
    for html in [
        "<a href='javascript:alert(1)'>",
        "<a href='mailto:a@a.example'>",
        "<a href='tel:+1'>",
        "<a href='#top'>",
        "<a href='/a'>",
        "<a href='https://a:b@a.example/'>",
        "<a href='https://mail.example.com/u/abc'>",
        "<!-- <a href='https://a.example/'> -->",
        "https://a.example/",
    ] {
        for html in in_both_ways(html) {
            assert_eq!(
                shown(&html, CLICKS, ""),
                html.replace("{% if true %}", "").replace("{% endif %}", ""),
                "{html}"
            );
        }
    }
    for html in in_both_ways("<a href='{{ unsubscribe_url }}'>") {
        assert_eq!(shown(&html, CLICKS, ""), "<a href='https://mail.example.com/u/abc'>", "{html}");
    }
}

#[test]
fn a_computed_host_is_not_signed_unless_it_is_named() {
    for (url, is_signed) in [
        ("https://evil.example/", false),
        ("https://named.example/a", true),
        ("https://named.example.evil.example/", false),
        ("https://named.example@evil.example/", false),
        ("javascript:alert('https://named.example/')", false),
        ("https://mail.example.com/u/abc", false),
        ("", false),
    ] {
        for html in in_both_ways("<a href=\"{{ url }}\">") {
            let shown = shown(&html, CLICKS, url);
            let expected = if is_signed { format!("→{url}") } else { url.replace('\'', "&#x27;") };
            assert_eq!(shown, format!("<a href=\"{expected}\">"), "{url}");
        }
    }
}

#[test]
fn a_value_cannot_lead_a_link_away_from_the_host_of_the_template() {
    for (html, url) in [
        ("<a href='https://a.example{{ url }}'>", ".evil.example/"),
        ("<a href='https://a.example{{ url }}'>", "@evil.example/"),
        ("<a href='https://{{ url }}/a.example/'>", "evil.example"),
        ("<a href='{{ url }}://a.example/'>", "javascript"),
        ("<a href='java{{ url }}'>", "script:alert(1)"),
    ] {
        for html in in_both_ways(html) {
            let shown = shown(&html, CLICKS, url);
            assert!(!shown.contains('→') && shown.contains(url), "{shown}");
        }
    }
    for url in ["//evil.example/", "\\\\evil.example/", "../..//evil.example/", "\n//evil.example"] {
        for html in in_both_ways("<a href='https://a.example/{{ url }}'>") {
            let shown = shown(&html, CLICKS, url);
            assert!(shown.starts_with("<a href='→https://a.example/"), "{shown}");
        }
    }
}

#[test]
fn links_in_loops_and_conditions_are_tracked_each_by_its_own_number() {
    let html = "{% for item in items %}<a href='https://a.example/{{ item }}'>{% endfor %}\
                {% if url %}<a href='https://b.example/'>{% else %}<a href='https://c.example/'>{% endif %}";
    let expected = "<a href='→https://a.example/1'><a href='→https://a.example/2'><a href='→https://c.example/'>";
    assert_eq!(shown(html, CLICKS, ""), expected);
    let numbers: Vec<_> =
        compiled(html, CLICKS).tracked_links().map(|link| (link.number.0, link.address.clone())).collect();
    let addresses = ["https://a.example/{{ item }}", "https://b.example/", "https://c.example/"];
    assert_eq!(numbers, (1..).zip(addresses.map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn a_link_keeps_its_number_when_one_before_it_is_not_tracked() {
    let links = compiled("<a href='mailto:x'><a href='https://a.example/'>", CLICKS);
    assert_eq!(links.tracked_links().map(|link| link.number.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_pixel_is_the_last_thing_of_the_body() {
    for html in in_both_ways("<body><p>a</p></body>") {
        assert_eq!(shown(&html, BOTH, ""), "<body><p>a</p>[pixel]</body>");
        assert_eq!(shown(&html, CLICKS, ""), "<body><p>a</p></body>");
    }
    assert_eq!(shown("<p>a</p>\n", BOTH, ""), "<p>a</p>\n[pixel]");
    assert_eq!(shown("{% if url %}a{% endif %}", BOTH, ""), "[pixel]");
}

#[test]
fn without_a_tracker_nothing_is_tracked() {
    for html in in_both_ways("<a href='https://a.example/?b=1&amp;c={{ path }}'>") {
        let message = compiled(&html, BOTH).render_for(&Profile::default(), &Provided::default(), None).unwrap();
        assert_eq!(message.html.unwrap(), "<a href='https://a.example/?b=1&amp;c='>");
    }
}

#[test]
fn a_template_cannot_sign_by_itself() {
    for html in ["{{ url|volley_tracked(0) }}", "{% filter volley_tracked(0) %}x{% endfilter %}"] {
        let content = Content { html: Some(html.to_owned()), ..Content::default() };
        assert!(Compiled::compile(&content, &BTreeSet::from(["url".to_owned()])).is_err(), "{html}");
    }
    let html = "<a href='https://a.example/{{ path }}'>{{ items|map('volley_tracked', 0)|join }}";
    assert!(!shown(html, CLICKS, "").contains("→1"), "only what leads to the link's own host is signed");
}

#[test]
fn what_is_too_long_with_links_through_volley_goes_without_them() {
    let link = "<a href='https://a.example/'>x</a>";
    let long = "x".repeat(MAX_OUTPUT_BYTES - link.len());
    for html in in_both_ways(&format!("{{{{ url }}}}{link}")) {
        assert!(rendered(&html, CLICKS, &long).ends_with(link), "too long when it is tracked");
    }
}

#[test]
fn what_takes_too_many_steps_with_links_through_volley_goes_without_them() {
    let html = |times: usize| {
        let steps = "{% set a = 1 %}".repeat(12);
        format!("{{% for i in range({times}) %}}{steps}<a href='https://a.example/'>{{% endfor %}}")
    };
    let plain =
        |times: usize| compiled(&html(times), CLICKS).render_for(&Profile::default(), &Provided::default(), None);
    // The most that can be rendered untracked.
    let (mut possible, mut too_much) = (1, 20_000);
    while too_much - possible > 1 {
        let times = usize::midpoint(possible, too_much);
        match plain(times) {
            Ok(_) => possible = times,
            Err(error) => {
                assert!(matches!(error, RenderError::TooManySteps { .. }), "{error:?}");
                too_much = times;
            }
        }
    }
    assert_eq!(rendered(&html(possible), CLICKS, ""), "<a href='https://a.example/'>".repeat(possible));
}

#[test]
fn of_two_addresses_in_one_tag_none_is_tracked_twice() {
    let html = "<a {% if url %}href='https://a.example/'{% else %}href='https://b.example/'{% endif %}>";
    assert_eq!(shown(html, CLICKS, ""), "<a href='https://b.example/'>");
    assert_eq!(shown(html, CLICKS, "x"), "<a href='https://a.example/'>");
}
