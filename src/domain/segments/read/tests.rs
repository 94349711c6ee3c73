use serde_json::json;

use super::*;
use crate::domain::segments::Criteria;
use crate::domain::segments::topic::Topic;

fn refused(given: Value) -> (String, String, String) {
    let error = Criteria::read(given.clone()).map(|criteria| criteria.sentence());
    let error = error.map_or_else(|error| error, |sentence| panic!("{given} was read: {sentence}"));
    (error.field, error.code.into_owned(), error.reason)
}

#[test]
fn an_error_names_its_place_and_what_is_allowed_there() {
    let long = "x".repeat(1_001);
    for (given, place, allowed) in [
        (json!([]), "", "exactly one of"),
        (json!({}), "", "exactly one of"),
        (json!({ "tag": "a", "segment": 1 }), "", "exactly one of"),
        (json!({ "alls": [] }), "", "unknown key alls"),
        (json!({ "all": [] }), "/all", "at least one entry"),
        (json!({ "all": [{ "tag": "a" }, { "any": "x" }] }), "/all/1/any", "a list"),
        (json!({ "not": { "tag": 1 } }), "/not/tag", "the name of a tag"),
        (json!({ "everyone": "yes" }), "/everyone", "must be true"),
        (json!({ "attribute": { "name": "a", "op": "is", "value": 1 } }), "/attribute/op", "eq, neq, gt"),
        (json!({ "attribute": { "name": "a", "op": "gt", "value": "1" } }), "/attribute/value", "a number"),
        (json!({ "attribute": { "name": "a", "op": "eq" } }), "/attribute/value", "a text, a number, true or false"),
        (json!({ "attribute": { "name": "a", "op": "eq", "value": null } }), "/attribute/value", "a text, a number"),
        (json!({ "attribute": { "name": "a", "op": "eq", "value": long } }), "/attribute/value", "1000 characters"),
        (json!({ "attribute": { "name": "a", "op": "in", "value": [] } }), "/attribute/value", "1 to 100"),
        (
            json!({ "attribute": { "name": "a", "op": "in", "value": [1, []] } }),
            "/attribute/value/1",
            "a text, a number",
        ),
        (json!({ "attribute": { "name": "a", "op": "exists", "value": 1 } }), "/attribute/value", "not for exists"),
        (json!({ "attribute": { "name": "a..b", "op": "exists" } }), "/attribute/name", "names with dots"),
        (json!({ "attribute": { "name": "email", "op": "exists" } }), "/attribute/name", "a field of its own"),
        (json!({ "attribute": { "name": "a", "op": "exists", "x/y": 1 } }), "/attribute/x~1y", "allowed are name, op"),
        (
            json!({ "attribute": { "name": "a", "op": "gt", "value": 1, "ignore_case": true } }),
            "/attribute/ignore_case",
            "eq, neq",
        ),
        (
            json!({ "attribute": { "name": "a", "op": "eq", "value": 1, "ignore_case": true } }),
            "/attribute/value",
            "a text",
        ),
        (json!({ "attribute": { "name": "a", "op": "before", "value": "1 May" } }), "/attribute/value", "2026-03-01"),
        (json!({ "attribute": { "name": "a", "op": "within_last", "value": "x" } }), "/attribute/value", "30d"),
        (json!({ "attribute": { "name": "a", "op": "within_last", "value": "0d" } }), "/attribute/value", "above zero"),
        (json!({ "attribute": { "name": "a", "op": "within_last", "value": "36526d" } }), "/attribute/value", "36525d"),
        (json!({ "field": { "name": "plan", "op": "exists" } }), "/field/name", "external_id, email"),
        (json!({ "field": { "name": "email", "op": "gt", "value": 1 } }), "/field/op", "eq, neq, contains"),
        (json!({ "field": { "name": "created_at", "op": "eq", "value": "x" } }), "/field/op", "before, after"),
        (json!({ "event": { "name": "Order" } }), "/event/name", "a-z"),
        (json!({ "event": { "name": "a", "within": 30 } }), "/event/within", "30d"),
        (json!({ "event": { "name": "a", "exists": true, "not_exists": true } }), "/event", "one of exists"),
        (json!({ "event": { "name": "a", "exists": false } }), "/event", "one of exists"),
        (json!({ "event": { "name": "a", "count": { "op": "gte", "n": 0 } } }), "/event/count", "always true"),
        (json!({ "event": { "name": "a", "count": { "op": "lt", "n": 0 } } }), "/event/count", "never true"),
        (json!({ "event": { "name": "a", "count": { "op": "gte", "n": 1_001 } } }), "/event/count/n", "1000"),
        (json!({ "event": { "name": "a", "count": { "op": "neq", "n": 1 } } }), "/event/count/op", "gt, gte"),
        (
            json!({ "event": { "name": "a", "where": [{ "property": "x", "op": "before", "value": "now" }] } }),
            "/event/where/0/op",
            "eq, neq",
        ),
        (
            json!({ "event": { "name": "a", "where": [{ "property": "x", "op": "eq", "value": "a", "ignore_case": true }] } }),
            "/event/where/0/ignore_case",
            "allowed are property",
        ),
        (json!({ "message": { "event": "delivered" } }), "/message/event", "opened, clicked"),
        (json!({ "message": { "event": "opened", "campaign": 1, "list": 1 } }), "/message", "not both"),
        (
            json!({ "message": { "event": "opened", "campaign": 1, "link": 1 } }),
            "/message/link",
            "clicked of one campaign",
        ),
        (json!({ "message": { "event": "replied", "machines": true } }), "/message/machines", "opened and clicked"),
        (json!({ "list": { "id": "news" } }), "/list/id", "no list of this slug"),
        (json!({ "list": { "id": 0 } }), "/list/id", "the id or the slug"),
        (json!({ "list": { "id": 1, "standing": "moved" } }), "/list/standing", "subscribed, unconfirmed"),
        (json!({ "segment": "vip" }), "/segment", "no segment of this slug"),
        (json!({ "reachable": "fax" }), "/reachable", "email or phone"),
        (json!({ "random": { "salt": "", "percent": 1 } }), "/random/salt", "1 to 64"),
        (json!({ "random": { "salt": "a", "percent": 0 } }), "/random/percent", "0.01 to 100"),
        (json!({ "random": { "salt": "a", "percent": 0.001 } }), "/random/percent", "two decimals"),
        (json!({ "random": { "salt": "a", "percent": 60, "from": 50 } }), "/random/from", "at most 100"),
    ] {
        let (field, code, reason) = refused(given.clone());
        assert_eq!((field.as_str(), code.as_str()), (place, "criteria_invalid"), "{given}: {reason}");
        assert!(reason.contains(allowed), "{given}: {reason}");
    }
}

#[test]
fn a_tree_has_a_bounded_depth_and_number_of_clauses() {
    let deep = |levels: usize| (0..levels).fold(json!({ "tag": "a" }), |inner, _| json!({ "all": [inner] }));
    assert!(Criteria::read(deep(MAX_DEPTH)).is_ok());
    assert_eq!(refused(deep(MAX_DEPTH + 1)).1, "criteria_too_deep");
    let wide = |clauses: usize| json!({ "any": vec![json!({ "tag": "a" }); clauses] });
    assert!(Criteria::read(wide(MAX_CLAUSES)).is_ok());
    assert_eq!(refused(wide(MAX_CLAUSES + 1)).1, "criteria_too_long");
    // As deep as JSON is read at all.
    assert_eq!(refused(deep(126)).1, "criteria_too_deep");
}

#[test]
fn to_take_everybody_but_a_few_must_be_said() {
    let never = || json!({ "event": { "name": "a", "not_exists": true } });
    let windowed = json!({ "event": { "name": "a", "not_exists": true, "within": "30d" } });
    let differs = json!({ "attribute": { "name": "a", "op": "neq", "value": 1 } });
    for given in [
        never(),
        differs.clone(),
        json!({ "not": { "tag": "a" } }),
        json!({ "all": [never(), differs] }),
        json!({ "any": [{ "tag": "a" }, { "not": { "tag": "a" } }] }),
        json!({ "not": { "all": [never(), { "tag": "a" }] } }),
        json!({ "random": { "salt": "a", "percent": 100 } }),
    ] {
        assert_eq!(refused(given.clone()).1, "criteria_everybody");
        let mut said = given;
        said.as_object_mut().unwrap().insert("everyone".to_owned(), json!(true));
        assert!(Criteria::read(said.clone()).is_ok(), "{said}");
    }
    for given in [
        windowed.clone(),
        json!({ "not": windowed }),
        json!({ "not": never() }),
        json!({ "all": [never(), { "tag": "a" }] }),
        json!({ "not": { "not": { "tag": "a" } } }),
        json!({ "any": [{ "tag": "a" }, windowed] }),
        json!({ "not": { "any": [{ "not": { "tag": "a" } }, never()] } }),
        json!({ "random": { "salt": "a", "percent": 99.99 } }),
    ] {
        assert!(Criteria::read(given.clone()).is_ok(), "{given}");
    }
    assert_eq!(Criteria::read(json!({ "everyone": true })).unwrap().sentence(), "everybody");
}

#[test]
fn stored_criteria_are_read_though_they_would_not_be_accepted_today() {
    let deep = (0..=MAX_DEPTH).fold(json!({ "tag": "a" }), |inner, _| json!({ "all": [inner] }));
    let wide = json!({ "any": vec![json!({ "tag": "a" }); MAX_CLAUSES + 1] });
    for given in [deep, wide, json!({ "not": { "tag": "a" } })] {
        assert!(Criteria::read(given.clone()).is_err());
        assert_eq!(*serde_json::from_value::<Criteria>(given.clone()).unwrap().given(), given);
    }
    assert!(serde_json::from_value::<Criteria>(json!({ "unknown": 1 })).is_err());
}

#[test]
fn criteria_are_kept_as_given_and_tell_which_changes_concern_them() {
    let given = json!({ "all": [
        { "attribute": { "name": "Address.City", "op": "exists" } },
        { "field": { "name": "email", "op": "exists" } },
        { "message": { "event": "opened", "list": 3 } },
        { "list": { "id": 5 } },
        { "tag": "VIP" },
        { "segment": 4 },
        { "reachable": "phone" },
        { "random": { "salt": "a", "percent": 0.29, "from": 0.01 } },
    ] });
    let criteria = Criteria::read(given.clone()).unwrap();
    assert_eq!(serde_json::to_value(&criteria).unwrap(), given);
    assert_eq!(serde_json::from_value::<Criteria>(given).unwrap(), criteria);
    let topics: Vec<String> = criteria.topics().iter().map(Topic::to_string).collect();
    assert_eq!(topics, ["e:message.opened", "a:address", "f:email", "f:phone", "l:5", "t:vip", "s:4"]);
    assert_eq!(criteria.lists().into_iter().map(|list| list.0).collect::<Vec<_>>(), [3, 5]);
    assert!(!criteria.depends_on_time());
}

#[test]
fn a_sentence_shows_how_clauses_belong_together() {
    let given = json!({ "all": [
        { "any": [{ "tag": "a" }, { "all": [{ "tag": "b" }, { "tag": "c" }] }] },
        { "not": { "any": [{ "tag": "d" }, { "tag": "e" }] } },
    ] });
    let sentence = r#"(has tag "a" or (has tag "b" and has tag "c")) and not (has tag "d" or has tag "e")"#;
    assert_eq!(Criteria::read(given).unwrap().sentence(), sentence);
}
