//! Preferences and confirmations.

use serde_json::json;
use volley::domain::instant::UtcInstant;

use super::{Site, assert_page, books, now, standing, text};
use crate::support::{Database, both_backends};

const DAY_MS: i64 = 86_400_000;

fn days_ago(days: i64) -> UtcInstant {
    UtcInstant(now().0 - days * DAY_MS)
}

/// The choice that the page would send: what it shows, what it shows as on, and what is wanted.
fn save(shown: &[i64], was: &[i64], wanted: &[i64]) -> String {
    let fields = |name: &str, ids: &[i64]| ids.iter().map(|id| format!("{name}={id}&")).collect::<String>();
    format!("{}{}{}do=save", fields("shown", shown), fields("was", was), fields("topic", wanted))
}

/// The value of every hidden field of this name.
fn hidden(page: &str, name: &str) -> Vec<i64> {
    let before = format!("name=\"{name}\" value=\"");
    page.split(&before).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// Both topics are on when the page is opened. One is refused elsewhere; then the other one is unticked on the page.
fn stale(db: &Database, site: &Site, refusal: &str) {
    let both = [site.spring, site.autumn];
    site.press(&site.preferences(), &save(&both, &[], &both));
    let page = site.get(&site.preferences());
    let (shown, was) = (hidden(text(&page), "shown"), hidden(text(&page), "was"));
    assert_eq!((shown.len(), was.len()), (2, 2), "{page:?}");
    let form = if refusal.starts_with("/u/") { "List-Unsubscribe=One-Click" } else { "do=nothing" };
    assert_page(&site.press(refusal, form), 200);
    let saved = site.press(&site.preferences(), &save(&shown, &was, &[site.spring]));
    assert_page(&saved, 200);
    assert!(hidden(text(&saved), "was").is_empty(), "{saved:?}");
    for list in both {
        assert_eq!(standing(db, list, site.ann), "unsubscribed");
    }
}

both_backends! {
    fn the_preferences_show_public_lists_and_store_what_is_chosen(db: &Database) {
        let site = Site::on(db);
        let page = site.get(&site.preferences());
        assert_page(&page, 200);
        let topic = |list: i64| text(&page).split(&format!("id=\"topic-{list}\"")).nth(1).map(|rest| rest.split('>').next().unwrap().to_owned());
        assert!(topic(site.spring).unwrap().contains("checked") && !topic(site.autumn).unwrap().contains("checked"), "{page:?}");
        assert_eq!(topic(site.private), None, "a list that is not public is not shown: {page:?}");
        assert!(text(&page).contains("a…@example.com") && !text(&page).contains("ann.miller"), "{page:?}");

        let both = [site.spring, site.autumn];
        let saved = site.press(&site.preferences(), &save(&both, &[site.spring], &[site.autumn]));
        assert_page(&saved, 200);
        assert!(text(&saved).contains("Your choice is saved"), "{saved:?}");
        let stands = || (standing(db, site.spring, site.ann), standing(db, site.autumn, site.ann));
        assert_eq!(stands(), ("unsubscribed".to_owned(), "subscribed".to_owned()));
        assert_eq!(db.number("SELECT count(*) AS n FROM list_members WHERE source = 'preferences'"), 2);
        let before = books(db);
        for was in [site.spring, site.autumn] {
            site.press(&site.preferences(), &save(&both, &[was], &[site.autumn]));
            assert_eq!(books(db), before, "the same choice changes nothing");
        }
        // The person's own act takes a refusal back.
        site.press(&site.preferences(), &save(&both, &[site.autumn], &both));
        assert_eq!(stands(), ("subscribed".to_owned(), "subscribed".to_owned()));
    }

    fn what_lists_are_called_is_text_on_a_page_and_never_markup(db: &Database) {
        let site = Site::on(db);
        let title = "<b class=x>News</b> & \"more\"";
        let list = format!("/v1/lists/{}", site.spring);
        let body = json!({ "public_title": title, "public_description": "<script>alert(1)</script>" }).to_string();
        let json = ("Content-Type", "application/json");
        assert_eq!(site.server.send("PATCH", &list, &[json], body.as_bytes()).status, 200);
        for path in [site.preferences(), site.no(), site.confirm(site.spring)] {
            let page = site.get(&path);
            assert_page(&page, 200);
            let shown = text(&page);
            assert!(shown.contains("News") && !shown.contains("<b class") && !shown.contains("<script"), "{shown}");
        }
    }

    fn a_choice_reaches_only_what_the_page_has_shown(db: &Database) {
        let site = Site::on(db);
        let path = site.preferences();
        site.press(&path, &save(&[site.private, 4711], &[], &[site.private, 4711]));
        assert_eq!(standing(db, site.private, site.ann), "none", "a form cannot subscribe to a list that is not public");
        site.press(&path, &save(&[site.autumn], &[], &[]));
        assert_eq!(standing(db, site.spring, site.ann), "subscribed", "what the page did not show stays");
        for form in ["", "do=", "do=delete", "topic=1"] {
            let before = books(db);
            assert_page(&site.press(&path, form), 404);
            assert_eq!(books(db), before, "{form}");
        }
        // One that the person stands on is shown, public or not.
        site.api.post(&format!("/v1/lists/{}/members", site.private), &json!({ "contact_ids": [site.ann] }));
        assert!(text(&site.get(&path)).contains("Private matters"));
    }

    fn a_choice_that_is_larger_than_any_form_changes_nothing_and_says_so(db: &Database) {
        let site = Site::on(db);
        db.execute(&format!("UPDATE lists SET double_opt_in = TRUE WHERE id = {}", site.autumn));
        let form = format!("{}&x={}", save(&[site.spring], &[site.spring], &[]), "x".repeat(70_000));
        let before = books(db);
        let mut all = vec![("Authorization", ""), ("Content-Type", "application/x-www-form-urlencoded")];
        for path in [site.preferences(), site.confirm(site.autumn)] {
            let large = site.server.send("POST", &path, &all, form.as_bytes());
            assert_page(&large, 413);
            assert!(text(&large).contains("It is larger than our form"), "{large:?}");
        }
        all.push(("Accept-Language", "de"));
        let large = site.server.send("POST", &site.preferences(), &all, form.as_bytes());
        assert!(text(&large).contains("Sie ist größer als unser Formular"), "{large:?}");
        assert_eq!(books(db), before);
    }

    fn a_page_that_was_open_while_the_person_said_no_elsewhere_undoes_nothing(db: &Database) {
        let site = Site::on(db);
        stale(db, &site, &site.no());
        stale(db, &site, &site.preferences());
    }

    fn everything_can_be_refused_at_once_and_a_topic_chosen_again(db: &Database) {
        let site = Site::on(db);
        let path = site.preferences();
        let done = site.press(&path, "do=nothing");
        assert_page(&done, 200);
        assert!(text(&done).contains("no more messages from us"), "{done:?}");
        assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
        let page = site.get(&path);
        assert!(text(&page).contains("You asked us not to write to you") && hidden(text(&page), "was").is_empty(), "{page:?}");
        site.press(&path, &save(&[site.spring, site.autumn], &[], &[site.spring]));
        assert_eq!(standing(db, site.spring, site.ann), "subscribed");
        assert_eq!(standing(db, site.autumn, site.ann), "none");
    }

    fn an_expired_link_shows_nothing_and_still_refuses(db: &Database) {
        let site = Site::on(db);
        let (young, old) = (site.preferences_from(days_ago(29)), site.preferences_from(days_ago(31)));
        assert_page(&site.get(&young), 200);
        let expired = site.get(&old);
        assert_page(&expired, 410);
        assert!(!text(&expired).contains("Spring news") && !text(&expired).contains("a…@"), "{expired:?}");
        assert_eq!(text(&expired).matches("<button").count(), 1, "{expired:?}");
        let before = books(db);
        assert_page(&site.press(&old, &save(&[site.spring, site.autumn], &[site.spring], &[site.autumn])), 410);
        assert_eq!(books(db), before);
        assert_page(&site.press(&old, "do=nothing"), 200);
        assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
    }

    fn a_confirmation_names_list_and_address_and_is_the_persons_own_act(db: &Database) {
        let site = Site::on(db);
        let path = site.confirm(site.autumn);
        let page = site.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains("Autumn news") && text(&page).contains("ann.miller@example.com"), "{page:?}");
        assert_eq!(standing(db, site.autumn, site.ann), "none");
        for _ in 0..2 {
            let done = site.press(&path, "do=confirm");
            assert_page(&done, 200);
            assert!(text(&done).contains("You are subscribed") && text(&done).contains("Autumn news"), "{done:?}");
        }
        assert_eq!(standing(db, site.autumn, site.ann), "subscribed");
        let confirmed = "SELECT count(*) AS n FROM consent_log WHERE source = 'confirmation' AND after = 'subscribed'";
        assert_eq!(db.number(confirmed), 1, "a second confirmation changes nothing");
        let no = site.press(&path, "do=refuse");
        assert_page(&no, 200);
        assert_eq!(standing(db, site.autumn, site.ann), "unsubscribed");
    }

    fn a_subscription_that_waits_is_confirmed_by_the_link_in_its_answer(db: &Database) {
        let site = Site::on(db);
        db.execute(&format!("UPDATE lists SET double_opt_in = TRUE WHERE id = {}", site.autumn));
        let path = format!("/v1/lists/{}/subscribe", site.autumn);
        let answer = site.api.post(&path, &json!({ "email": "ann.miller@example.com" }));
        assert_eq!(answer["contacts"][0]["standing"], "unconfirmed", "{answer}");
        let url = answer["contacts"][0]["confirm_url"].as_str().unwrap();
        let (_, token) = url.rsplit_once("/confirm/").unwrap();
        assert_page(&site.press(&format!("/confirm/{token}"), "do=confirm"), 200);
        assert_eq!(standing(db, site.autumn, site.ann), "subscribed");
        let again = site.api.post(&path, &json!({ "email": "ann.miller@example.com" }));
        assert_eq!(again["contacts"][0].get("confirm_url"), None, "{again}");
    }

    fn a_confirmation_for_another_address_or_too_late_confirms_nothing(db: &Database) {
        let site = Site::on(db);
        let other = site.confirm_from(site.autumn, "ann@example.org", now());
        let late = site.confirm_from(site.autumn, "ann.miller@example.com", days_ago(8));
        let before = books(db);
        for path in [&other, &late] {
            assert_page(&site.get(path), 410);
            assert_page(&site.press(path, "do=confirm"), 410);
        }
        assert_page(&site.press(&site.confirm(4711), "do=confirm"), 404);
        assert_page(&site.press(&site.confirm(site.autumn), ""), 404);
        assert_eq!(books(db), before);
        assert_page(&site.press(&late, "do=refuse"), 200);
        assert_eq!(standing(db, site.autumn, site.ann), "unsubscribed");
    }

    fn a_refusal_outdates_the_links_that_were_asked_for_before_it(db: &Database) {
        let site = Site::on(db);
        db.execute(&format!("UPDATE lists SET double_opt_in = TRUE WHERE id = {}", site.autumn));
        let subscribe = format!("/v1/lists/{}/subscribe", site.autumn);
        let ask = || {
            let answer = site.api.post(&subscribe, &json!({ "email": "ann.miller@example.com" }));
            let url = answer["contacts"][0]["confirm_url"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
            format!("/confirm/{}", url.rsplit_once('/').unwrap().1)
        };
        let first = ask();
        assert_page(&site.press(&first, "do=confirm"), 200);
        for refusal in ["the list", "everything"] {
            if refusal == "the list" {
                site.press(&first, "do=refuse");
            } else {
                site.press(&site.preferences(), "do=nothing");
            }
            let before = books(db);
            let page = site.get(&first);
            assert_page(&page, 410);
            assert!(text(&page).contains("You have said no since") && !text(&page).contains("<button"), "{refusal}: {page:?}");
            assert_page(&site.press(&first, "do=confirm"), 410);
            assert_eq!(books(db), before, "{refusal}");
            let german = site.visit("GET", &first, &[("Accept-Language", "de")], "");
            assert_page(&german, 410);
        }
        // Not even where only the address remembers that everything was refused; and a link that was asked for since confirms.
        db.execute(&format!("DELETE FROM list_members WHERE list_id = {}", site.autumn));
        assert_page(&site.press(&first, "do=confirm"), 410);
        assert_eq!(standing(db, site.autumn, site.ann), "none");
        assert_page(&site.press(&ask(), "do=confirm"), 200);
        assert_eq!(standing(db, site.autumn, site.ann), "subscribed");
    }
}
