//! Who an audience is: the union of all that it names, less those who are left out.

use serde_json::json;
use volley::domain::campaigns::audience::{Audience, AudienceForm, Became, CampaignPart, Exclusion};
use volley::domain::dispatch::why::answer::{Step, WhyState};
use volley::domain::ids::{CampaignId, ContactId, ListId, SegmentId};
use volley::domain::segments::Criteria;
use volley::runtime::health::Health;
use volley::services::campaigns::why;
use volley::store::dispatch::counting;
use volley::store::dispatch::deliveries;
use volley::store::dispatch::packing::{self, Packed};
use volley::store::people::lists;
use volley::store::{Conn, Lane, campaigns};

use crate::store::dispatch::packed::{Campaign, execute, write};
use crate::support::both_backends;

const PEOPLE: i64 = 60;

/// One that was deleted.
const GONE: i64 = 13;

/// Long after every launch.
const LATER: i64 = 9_000_000_000_000;

/// How a contact stands on the lists, by its id.
fn standings(id: i64) -> Vec<(i64, &'static str, i64)> {
    let mut all = Vec::new();
    if id == GONE {
        return all;
    }
    if id % 2 == 0 {
        all.push(match id % 10 {
            0 => (1, "unsubscribed", 0),
            // It was subscribed at the launch, and is part of another contact since.
            2 => (1, "moved", LATER),
            // It came back after the launch.
            4 => (1, "subscribed", LATER),
            _ => (1, "subscribed", 0),
        });
    }
    if id % 3 == 0 {
        all.push((2, "subscribed", 0));
    }
    if id % 5 == 0 {
        all.push((3, "unconfirmed", 0));
    }
    if id % 7 == 0 {
        all.push((4, "unsubscribed", 0));
    }
    all
}

fn is_introduced(id: i64) -> bool {
    id % 4 != 3
}

/// How a contact stands in the segments: since when, and whether it has left. Who is deleted has not left yet.
fn memberships(id: i64) -> Vec<(i64, i64, bool)> {
    let mut all = Vec::new();
    match id % 9 {
        0 | 4 => all.push((1, 0, false)),
        1 => all.push((1, 0, true)),
        2 => all.push((1, LATER, false)),
        _ => {}
    }
    if id % 4 == 0 {
        all.push((2, LATER, false));
    }
    all
}

/// The tags, each with its contacts and whether they have had it since before the launch.
fn has_tag(id: i64, tag: &str) -> bool {
    id != GONE && tag == "vip" && id % 11 == 0
}

fn script() -> String {
    let mut script = format!(
        "INSERT INTO lists (id, name, created_at, updated_at, default_opt_in) VALUES (1, 'a', 0, 0, FALSE), (2, 'b', 0, 0, FALSE), \
         (3, 'c', 0, 0, FALSE), (4, 'd', 0, 0, TRUE); INSERT INTO tags (id, name, created_at) VALUES (1, 'vip', 0), (2, 'late', 0); \
         UPDATE contacts SET deleted_at = 1 WHERE id = {GONE};"
    );
    for id in 1..=PEOPLE {
        for (list, status, at) in standings(id) {
            script.push_str(&format!(
                "INSERT INTO list_members (list_id, contact_id, created_at, status, status_at) \
                 VALUES ({list}, {id}, 0, '{status}', {at});"
            ));
        }
        if !is_introduced(id) {
            script.push_str(&format!("UPDATE contacts SET introduced_at = NULL WHERE id = {id};"));
        }
        if has_tag(id, "vip") {
            script.push_str(&format!("INSERT INTO contact_tags (tag_id, contact_id, created_at) VALUES (1, {id}, 0);"));
        }
        if let Some(state) = earlier(id) {
            script.push_str(&format!(
                "INSERT INTO deliveries (campaign_id, contact_id, page_id, state) VALUES ({EARLIER}, {id}, 0, '{state}');"
            ));
        }
        for (segment, entered_at, has_left) in memberships(id) {
            let end = if has_left { "5" } else { "NULL" };
            script.push_str(&format!(
                "INSERT INTO segment_members (segment_id, contact_id, epoch, entered_at, dwell_from, left_at, closed_at, dwell_done, \
                 dwell_n) VALUES ({segment}, {id}, 1, {entered_at}, 0, {end}, {end}, 0, 0);"
            ));
        }
        if id % 6 == 1 {
            script.push_str(&format!(
                "INSERT INTO contact_tags (tag_id, contact_id, created_at) VALUES (2, {id}, {LATER});"
            ));
        }
    }
    script
}

/// An earlier campaign.
const EARLIER: i64 = 900;

/// What became of a contact in the earlier campaign, which named most of them.
fn earlier(id: i64) -> Option<&'static str> {
    let states = ["failed", "sent", "sending", "uncertain", "pending", "skipped"];
    states.get(usize::try_from(id % 8).unwrap()).copied()
}

/// Whether the earlier campaign was sent to a contact.
fn was_sent(id: i64) -> bool {
    earlier(id) == Some("sent")
}

/// Whether a contact has the message of the earlier campaign, or may have it, or is about to get it.
fn may_have(id: i64) -> bool {
    matches!(earlier(id), Some("sent" | "sending" | "uncertain" | "pending"))
}

fn sent_of_the_earlier() -> Vec<CampaignPart> {
    vec![CampaignPart { id: CampaignId(EARLIER), was: Became::Sent }]
}

fn criteria(given: serde_json::Value) -> Option<Criteria> {
    Some(Criteria::read(given).unwrap())
}

/// Whether an audience holds a contact, in the words of the rules.
fn holds(form: &AudienceForm, id: i64) -> bool {
    let on = |list: i64| standings(id).into_iter().find(|(on, ..)| *on == list).map(|(_, status, at)| (status, at));
    let subscribed = |list: &ListId| match (list.0, on(list.0)) {
        (4, standing) => is_introduced(id) && standing.is_none(),
        (_, Some(("subscribed", at))) => at == 0,
        (_, Some(("moved", _))) => true,
        (_, Some(_) | None) => false,
    };
    let named = form.contact_ids.contains(&ContactId(id));
    let included = named
        || id != GONE
            && (form.all
                || form.lists.iter().any(subscribed)
                || form.tags.iter().any(|tag| has_tag(id, tag))
                || form.segments.iter().any(|segment| memberships(id).contains(&(segment.0, 0, false)))
                || form.filter.is_some() && id % 5 == 0
                || !form.campaigns.is_empty() && was_sent(id));
    let Exclusion { lists, contact_ids, tags, segments, filter, campaigns } = &form.exclude;
    // A contact that ever was on an excluded list is out, and so is one that got the tag only just now.
    let late = |tag: &String| tag == "late" && id % 6 == 1;
    let excluded = lists.iter().any(|list| on(list.0).is_some())
        || contact_ids.contains(&ContactId(id))
        || tags.iter().any(|tag| has_tag(id, tag) || late(tag))
        || segments.iter().any(|segment| memberships(id).iter().any(|(of, _, has_left)| of == &segment.0 && !has_left))
        || filter.is_some() && id % 3 == 0
        || !campaigns.is_empty() && may_have(id);
    included && !excluded
}

fn forms() -> Vec<AudienceForm> {
    let lists = |ids: &[i64]| ids.iter().copied().map(ListId).collect::<Vec<_>>();
    let contacts = |ids: &[i64]| ids.iter().copied().map(ContactId).collect::<Vec<_>>();
    let tags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let segments = |ids: &[i64]| ids.iter().copied().map(SegmentId).collect::<Vec<_>>();
    let none = AudienceForm::default;
    let named = [
        AudienceForm { lists: lists(&[1]), ..none() },
        AudienceForm { lists: lists(&[3]), ..none() },
        AudienceForm { lists: lists(&[4]), ..none() },
        AudienceForm { lists: lists(&[1, 2, 3]), ..none() },
        AudienceForm { lists: lists(&[1, 4]), ..none() },
        AudienceForm { tags: tags(&["vip"]), ..none() },
        AudienceForm { tags: tags(&["late", "vip"]), ..none() },
        AudienceForm { contact_ids: contacts(&[1, 2, 59]), ..none() },
        AudienceForm { lists: lists(&[2]), contact_ids: contacts(&[1, 3]), ..none() },
        AudienceForm { lists: lists(&[1, 2]), contact_ids: contacts(&[1]), tags: tags(&["vip"]), ..none() },
        AudienceForm { lists: lists(&[4]), contact_ids: contacts(&[3, 7]), tags: tags(&["vip"]), ..none() },
        AudienceForm { all: true, ..none() },
        AudienceForm { all: true, lists: lists(&[1]), contact_ids: contacts(&[1]), tags: tags(&["vip"]), ..none() },
        AudienceForm { filter: criteria(json!({ "list": { "id": 3, "standing": "unconfirmed" } })), ..none() },
        AudienceForm {
            filter: criteria(json!({ "list": { "id": 3, "standing": "unconfirmed" } })),
            lists: lists(&[1]),
            contact_ids: contacts(&[1, 3]),
            ..none()
        },
        AudienceForm { segments: segments(&[1]), ..none() },
        AudienceForm { segments: segments(&[1, 2]), lists: lists(&[2]), contact_ids: contacts(&[2, 5]), ..none() },
        AudienceForm { campaigns: sent_of_the_earlier(), ..none() },
        AudienceForm { campaigns: sent_of_the_earlier(), tags: tags(&["vip"]), ..none() },
    ];
    let left_out = [
        Exclusion::default(),
        Exclusion { lists: lists(&[1, 3]), ..Exclusion::default() },
        Exclusion { contact_ids: contacts(&[1, 6, 11]), ..Exclusion::default() },
        Exclusion {
            lists: lists(&[2]),
            contact_ids: contacts(&[59]),
            tags: tags(&["late", "vip"]),
            ..Exclusion::default()
        },
        Exclusion { filter: criteria(json!({ "list": { "id": 2 } })), ..Exclusion::default() },
        Exclusion { segments: segments(&[1, 2]), ..Exclusion::default() },
        Exclusion { campaigns: sent_of_the_earlier(), lists: lists(&[3]), ..Exclusion::default() },
    ];
    let with = |form: &AudienceForm| {
        let form = form.clone();
        left_out.clone().map(move |exclude| AudienceForm { exclude, ..form.clone() })
    };
    named.iter().flat_map(with).collect()
}

/// Packs to the end. Who is in the books, and how many were announced.
async fn packed(campaign: &Campaign, page_size: i64) -> (Vec<i64>, i64) {
    while campaign.pack_page(page_size).await.unwrap() != Packed::Done {}
    let id = campaign.id;
    let look = move |conn: &mut Conn| {
        let listed = deliveries::list(conn, id, None, ContactId(0), 100)?;
        Ok((listed, campaigns::packing(conn, id)?.unwrap().expected))
    };
    let (listed, expected) = campaign.store.run(Lane::Read, "look", look).await.unwrap();
    campaign.books().await;
    (listed.into_iter().map(|(delivery, _)| delivery.contact_id.0).collect(), expected)
}

/// Asks why a contact is in a campaign, or is not: by single facts about it, the answer is what packing has made of many.
async fn explained(campaign: &Campaign, id: i64, is_in: bool, form: &AudienceForm) {
    let explained = why::explain(&campaign.store, &Health::default(), campaign.id, ContactId(id)).await.unwrap();
    let steps = &explained.why.steps;
    let unexplained = |step: &Step| step.fact.contains("when its page was packed");
    let place = explained.why.place;
    let fits = if is_in {
        [WhyState::Pending, WhyState::Skipped].contains(&place) && !steps.iter().any(unexplained)
    } else {
        [WhyState::NotNamed, WhyState::LeftOut].contains(&place)
    };
    assert!(fits, "{id}: {place}, {steps:?}, {form:?}");
}

/// Counts an audience that no campaign has, in small parts where it has a filter.
async fn counted(campaign: &Campaign, audience: Audience) -> i64 {
    let count = move |conn: &mut Conn| {
        let now = volley::store::engine::now(conn)?;
        let most = audience.has_filter().then_some(9);
        let (mut total, mut after) = (0, Some(ContactId(0)));
        while let Some(begin) = after {
            let counted = counting::count(conn, &audience, (begin, ContactId(PEOPLE)), most, now)?;
            total += counted.named;
            after = counted.rest_after;
        }
        Ok(total)
    };
    campaign.store.run(Lane::Read, "count", count).await.unwrap()
}

both_backends! {
    async fn an_audience_is_everybody_it_names_in_any_way_less_those_who_are_left_out(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        for (n, form) in forms().into_iter().enumerate() {
            let expected: Vec<i64> = (1..=PEOPLE).filter(|id| holds(&form, *id)).collect();
            let count = i64::try_from(expected.len()).unwrap();
            let campaign = first.beside(Audience::try_from(form.clone()).unwrap()).await;
            let page_size = if n % 2 == 0 { 7 } else { 1_000 };
            let audience = Audience::try_from(form.clone()).unwrap();
            // Of an audience with a filter, or of recipients of campaigns, that is known at the end.
            assert_eq!(packed(&campaign, page_size).await, (expected.clone(), count), "{form:?}");
            if n % 4 == 1 {
                for id in 1..=PEOPLE {
                    explained(&campaign, id, expected.contains(&id), &form).await;
                }
            }
            assert_eq!(counted(&campaign, audience).await, count, "{form:?}");
        }
    }

    async fn a_filter_alone_is_packed_to_its_end_however_small_the_pages_are(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        let filter = criteria(json!({ "list": { "id": 3, "standing": "unconfirmed" } }));
        let form = AudienceForm { filter, ..AudienceForm::default() };
        let expected: Vec<i64> = (1..=PEOPLE).filter(|id| holds(&form, *id)).collect();
        let count = i64::try_from(expected.len()).unwrap();
        for page_size in 1..=4 {
            let campaign = first.beside(Audience::try_from(form.clone()).unwrap()).await;
            assert_eq!(packed(&campaign, page_size).await, (expected.clone(), count), "pages of {page_size}");
        }
    }

    async fn a_page_looks_at_no_more_recipients_of_an_earlier_campaign_than_it_has_room_for(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        let form = AudienceForm { campaigns: sent_of_the_earlier(), ..AudienceForm::default() };
        let campaign = first.beside(Audience::try_from(form).unwrap()).await;
        let recipients: Vec<i64> = (1..=PEOPLE).filter(|id| earlier(*id).is_some()).collect();
        let sent: Vec<i64> = recipients[..5].iter().copied().filter(|id| was_sent(*id)).collect();
        let packed = campaign.pack_page(5).await.unwrap();
        let Packed::Page { size, up_to, .. } = packed else { panic!("no page: {packed:?}") };
        assert_eq!((size, up_to.0), (i64::try_from(sent.len()).unwrap(), recipients[4]));
    }

    async fn a_list_that_a_filter_of_a_campaign_under_way_asks_for_is_not_deleted(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        let asked = |list: i64| criteria(json!({ "not": { "not": { "list": { "id": list } } } }));
        let form = AudienceForm {
            filter: asked(1),
            exclude: Exclusion { filter: asked(2), ..Exclusion::default() },
            ..AudienceForm::default()
        };
        let id = first.beside(Audience::try_from(form).unwrap()).await.id;
        let delete = |conn: &mut Conn| [1, 2, 3].into_iter().map(|list| lists::delete(conn, ListId(list))).collect();
        let deleted: Vec<lists::Deleted> = write(&first.store, delete).await.unwrap();
        assert_eq!(deleted, [lists::Deleted::InUse(vec![id]), lists::Deleted::InUse(vec![id]), lists::Deleted::Done]);
    }

    async fn who_is_named_only_after_the_filter_of_who_is_left_out_was_asked_is_not_packed(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        let form = AudienceForm {
            campaigns: sent_of_the_earlier(),
            exclude: Exclusion { filter: criteria(json!({ "list": { "id": 2 } })), ..Exclusion::default() },
            ..AudienceForm::default()
        };
        let expected: Vec<i64> = (1..=PEOPLE).filter(|id| holds(&form, *id)).collect();
        let campaign = first.beside(Audience::try_from(form).unwrap()).await;
        let id = campaign.id;
        let look = move |conn: &mut Conn| packing::look_ahead(conn, id, 1_000);
        let ahead = first.store.run(Lane::Read, "look ahead", look).await.unwrap();
        let pack = move |conn: &mut Conn| {
            // All of them become recipients of the earlier campaign, those on list 2, too.
            execute(conn, &format!("UPDATE deliveries SET state = 'sent' WHERE campaign_id = {EARLIER};"));
            packing::pack_pages(conn, id, 1_000, 1, ahead)
        };
        write(&first.store, pack).await.unwrap();
        let listed = move |conn: &mut Conn| deliveries::list(conn, id, None, ContactId(0), 100);
        let listed = first.store.run(Lane::Read, "look", listed).await.unwrap();
        assert_eq!(listed.into_iter().map(|(delivery, _)| delivery.contact_id.0).collect::<Vec<_>>(), expected);
    }

    async fn a_page_whose_filters_nobody_has_asked_is_not_packed_and_the_cursor_stays(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        let share = criteria(json!({ "random": { "salt": "a", "percent": 50 } }));
        let form = AudienceForm { filter: share, ..AudienceForm::default() };
        let campaign = first.beside(Audience::try_from(form).unwrap()).await;
        let id = campaign.id;
        let look = || async {
            let look = move |conn: &mut Conn| packing::look_ahead(conn, id, 7);
            first.store.run(Lane::Read, "look ahead", look).await.unwrap()
        };
        let pack = |ahead| write(&first.store, move |conn| packing::pack_pages(conn, id, 7, 1, ahead));
        let stale = look().await;
        assert!(stale.is_some());
        assert_eq!(pack(None).await.unwrap(), [Packed::LookAgain]);
        assert!(matches!(pack(stale.clone()).await.unwrap().as_slice(), [Packed::Page { seq: 1, .. }]));
        assert_eq!(pack(stale).await.unwrap(), [Packed::LookAgain]);
        assert!(matches!(pack(look().await).await.unwrap().as_slice(), [Packed::Page { seq: 2, .. }]));
    }

    async fn who_was_named_stays_on_the_books_and_who_was_only_on_a_list_does_not(db: &Database) {
        let first = Campaign::launched(db, PEOPLE).await;
        write(&first.store, |conn| {
            execute(conn, &script());
            Ok(())
        })
        .await
        .unwrap();
        let form = AudienceForm { lists: vec![ListId(2)], contact_ids: vec![ContactId(59)], ..AudienceForm::default() };
        let campaign = first.beside(Audience::try_from(form).unwrap()).await;
        write(&first.store, |conn| {
            execute(conn, "UPDATE contacts SET deleted_at = 1 WHERE id IN (3, 59); DELETE FROM list_members WHERE contact_id = 3;");
            Ok(())
        })
        .await
        .unwrap();
        let (found, _) = packed(&campaign, 7).await;
        assert!(!found.contains(&3) && found.contains(&59), "{found:?}");
        let id = campaign.id;
        let skips = write(&first.store, move |conn| {
            let row = campaigns::find(conn, id)?.expect("the campaign");
            Ok(campaigns::details(conn, &[row])?.remove(0).skips)
        })
        .await
        .unwrap();
        assert_eq!(skips, [("contact_deleted".to_owned(), 1)].into());
    }
}
