//! Events that meet conditions, as SQL. Each condition means what [`Condition::holds`] says.

use super::Spelling;
use crate::domain::ids::ListId;
use crate::domain::segments::comparison::{Comparison, Number, Scalar, Test};
use crate::domain::segments::event_clause::Condition;
use crate::domain::segments::question::EventFact;
use crate::store::engine::sql::Pieces;

/// Adds when the n-th newest event of a kind occurred, of the contact `c`: a walk down the index of events by name and contact, as
/// far as it is needed.
pub(super) fn push_event(spelling: Spelling, to: &mut Pieces<String>, fact: &EventFact) {
    let kind = &fact.kind;
    let looks_inside = !kind.conditions.is_empty() || kind.to_list.is_some();
    to.push("(SELECT e.occurred_at FROM events AS e");
    if looks_inside && spelling == Spelling::Pg {
        // Parsed once for all conditions.
        to.push(" CROSS JOIN LATERAL (SELECT e.properties::jsonb AS j OFFSET 0) AS p");
    }
    to.push(" WHERE e.name = ").bind(kind.name.clone()).push(" AND e.contact_id = c.id");
    for condition in &kind.conditions {
        to.push(" AND ");
        match spelling {
            Spelling::Pg => push_on_postgres(to, condition),
            Spelling::Sqlite => push_on_sqlite(to, condition),
        }
    }
    if let Some(list) = kind.to_list {
        push_to_list(spelling, to, list);
    }
    // Part of the text: a number that is bound may be anything to a planner.
    to.push(&format!(" ORDER BY e.occurred_at DESC LIMIT 1 OFFSET {})", fact.nth.saturating_sub(1)));
}

/// That the campaign of a message was for a list.
fn push_to_list(spelling: Spelling, to: &mut Pieces<String>, list: ListId) {
    let campaign = match spelling {
        Spelling::Pg => {
            "CASE WHEN jsonb_typeof(p.j -> 'campaign_id') = 'number' THEN (p.j ->> 'campaign_id')::numeric::bigint END"
        }
        Spelling::Sqlite => "json_extract(e.properties, '$.campaign_id')",
    };
    let cast = match spelling {
        Spelling::Pg => "::bigint",
        Spelling::Sqlite => " + 0",
    };
    to.push(&format!(
        " AND EXISTS (SELECT 1 FROM audience_lists AS a WHERE NOT a.excluded AND a.campaign_id = {campaign} AND a.list_id = "
    ))
    .bind(list.0.to_string())
    .push(&format!("{cast})"));
}

/// As one JSON value.
fn json(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => serde_json::json!(text).to_string(),
        Scalar::Number(number) => number_text(*number),
        Scalar::Bool(is_true) => is_true.to_string(),
    }
}

fn number_text(number: Number) -> String {
    serde_json::json!(number.get()).to_string()
}

fn numbers(values: &[Scalar]) -> Vec<Number> {
    values.iter().filter_map(|value| if let Scalar::Number(number) = value { Some(*number) } else { None }).collect()
}

/// A list of JSON values without the numbers.
fn others(values: &[Scalar]) -> Vec<String> {
    values.iter().filter(|value| !matches!(value, Scalar::Number(_))).map(json).collect()
}

/// The texts among values, as a list in JSON.
fn json_texts(values: &[Scalar]) -> String {
    let texts = values.iter().filter(|value| matches!(value, Scalar::Text(_))).map(json).collect::<Vec<_>>();
    format!("[{}]", texts.join(","))
}

/// How many values a fact binds at most: a path of names may be bound several times.
pub(super) fn most_binds(fact: &EventFact) -> usize {
    let of = |condition: &Condition| 4 * condition.path.len() + 6;
    2 + fact.kind.conditions.iter().map(of).sum::<usize>()
}

fn push_on_postgres(to: &mut Pieces<String>, Condition { path, comparison: Comparison { test, .. } }: &Condition) {
    // The value: names one after another, since `#>` would take a name for a place in a list.
    let value = |to: &mut Pieces<String>| {
        to.push("(p.j");
        for name in path {
            to.push(" -> ").bind(name.clone()).push("::text");
        }
        to.push(")");
    };
    let compare = |to: &mut Pieces<String>, sign: &str, bound: Number| {
        to.push("CASE WHEN jsonb_typeof(");
        value(to);
        to.push(") = 'number' THEN ");
        value(to);
        to.push(&format!("::float8 {sign} ")).bind(number_text(bound)).push("::float8 ELSE FALSE END");
    };
    // The first or the last characters of a text.
    let part = |to: &mut Pieces<String>, side: &str, part: &str| {
        to.push("CASE WHEN jsonb_typeof(");
        value(to);
        to.push(&format!(") = 'string' THEN {side}("));
        value(to);
        let length = part.chars().count();
        to.push(&format!(" #>> '{{}}', {length}) = ")).bind(part.to_owned()).push("::text ELSE FALSE END");
    };
    let equals = |to: &mut Pieces<String>, wanted: &Scalar| match wanted {
        Scalar::Number(number) => compare(to, "=", *number),
        Scalar::Text(_) | Scalar::Bool(_) => {
            to.push("coalesce(");
            value(to);
            to.push(" = ").bind(json(wanted)).push("::jsonb, FALSE)");
        }
    };
    match test {
        Test::Exists | Test::NotExists => {
            to.push("coalesce(jsonb_typeof(");
            value(to);
            to.push(if *test == Test::Exists { "), 'null') <> 'null'" } else { "), 'null') = 'null'" });
        }
        Test::Equals(wanted) => equals(to, wanted),
        Test::Differs(unwanted) => {
            to.push("NOT ");
            equals(to, unwanted);
        }
        Test::In(wanted) => {
            to.push("CASE jsonb_typeof(");
            value(to);
            to.push(") WHEN 'number' THEN ");
            value(to);
            let list = numbers(wanted).into_iter().map(number_text).collect::<Vec<_>>().join(",");
            to.push("::float8 = ANY(").bind(format!("{{{list}}}")).push("::float8[])");
            for kind in ["string", "boolean"] {
                // A list of values contains one of them.
                to.push(&format!(" WHEN '{kind}' THEN ")).bind(format!("[{}]", others(wanted).join(",")));
                value(to.push("::jsonb @> "));
            }
            to.push(" ELSE FALSE END");
        }
        Test::Above(bound) => compare(to, ">", *bound),
        Test::AtLeast(bound) => compare(to, ">=", *bound),
        Test::Below(bound) => compare(to, "<", *bound),
        Test::AtMost(bound) => compare(to, "<=", *bound),
        Test::Contains(wanted) => {
            to.push("CASE jsonb_typeof(");
            value(to);
            to.push(") WHEN 'array' THEN EXISTS (SELECT 1 FROM jsonb_array_elements(");
            value(to);
            to.push(") AS i (x) WHERE ");
            match wanted {
                Scalar::Number(number) => {
                    to.push("CASE WHEN jsonb_typeof(i.x) = 'number' THEN i.x::float8 = ")
                        .bind(number_text(*number))
                        .push("::float8 ELSE FALSE END)");
                }
                Scalar::Text(_) | Scalar::Bool(_) => {
                    to.push("i.x = ").bind(json(wanted)).push("::jsonb)");
                }
            }
            if let Scalar::Text(part) = wanted {
                to.push(" WHEN 'string' THEN strpos(");
                value(to);
                to.push(" #>> '{}', ").bind(part.clone()).push("::text) > 0");
            }
            to.push(" ELSE FALSE END");
        }
        Test::StartsWith(start) => part(to, "left", start),
        Test::EndsWith(end) => part(to, "right", end),
        // Not asked of properties.
        Test::Before(_) | Test::After(_) | Test::Past | Test::Future | Test::WithinLast(_) | Test::WithinNext(_) => {
            to.push("FALSE");
        }
    }
}

fn push_on_sqlite(to: &mut Pieces<String>, Condition { path, comparison: Comparison { test, .. } }: &Condition) {
    let path = path.iter().fold("$".to_owned(), |path, name| format!("{path}.\"{name}\""));
    let of = |to: &mut Pieces<String>, function: &str| {
        to.push(&format!("{function}(e.properties, ")).bind(path.clone()).push(")");
    };
    let is = |to: &mut Pieces<String>, kinds: &str| {
        of(to.push("coalesce("), "json_type");
        to.push(&format!(", 'null') IN ({kinds})"));
    };
    let compare = |to: &mut Pieces<String>, sign: &str, bound: Number| {
        is(to.push("("), "'integer', 'real'");
        of(to.push(" AND CAST("), "json_extract");
        to.push(&format!(" AS REAL) {sign} CAST(")).bind(number_text(bound)).push(" AS REAL))");
    };
    let equals = |to: &mut Pieces<String>, wanted: &Scalar| match wanted {
        Scalar::Number(number) => compare(to, "=", *number),
        Scalar::Bool(is_true) => is(to, if *is_true { "'true'" } else { "'false'" }),
        Scalar::Text(text) => {
            is(to.push("("), "'text'");
            of(to.push(" AND "), "json_extract");
            to.push(" = ").bind(text.clone()).push(")");
        }
    };
    match test {
        Test::Exists => {
            to.push("NOT ");
            is(to, "'null'");
        }
        Test::NotExists => is(to, "'null'"),
        Test::Equals(wanted) => equals(to, wanted),
        Test::Differs(unwanted) => {
            to.push("NOT ");
            equals(to, unwanted);
        }
        Test::In(wanted) => {
            // One bound list for each kind of value, however many values there are.
            to.push("CASE WHEN ");
            is(to, "'integer', 'real'");
            of(to.push(" THEN CAST("), "json_extract");
            let list = numbers(wanted).into_iter().map(number_text).collect::<Vec<_>>().join(",");
            to.push(" AS REAL) IN (SELECT CAST(value AS REAL) FROM json_each(")
                .bind(format!("[{list}]"))
                .push(")) WHEN ");
            is(to, "'text'");
            of(to.push(" THEN "), "json_extract");
            to.push(" IN (SELECT value FROM json_each(").bind(json_texts(wanted)).push("))");
            for is_true in [true, false].into_iter().filter(|is_true| wanted.contains(&Scalar::Bool(*is_true))) {
                to.push(" WHEN ");
                is(to, if is_true { "'true'" } else { "'false'" });
                to.push(" THEN TRUE");
            }
            to.push(" ELSE FALSE END");
        }
        Test::Above(bound) => compare(to, ">", *bound),
        Test::AtLeast(bound) => compare(to, ">=", *bound),
        Test::Below(bound) => compare(to, "<", *bound),
        Test::AtMost(bound) => compare(to, "<=", *bound),
        Test::Contains(wanted) => {
            is(to.push("("), "'array'");
            to.push(" AND EXISTS (SELECT 1 FROM json_each(e.properties, ").bind(path.clone()).push(") AS i WHERE ");
            match wanted {
                Scalar::Number(number) => to
                    .push("i.type IN ('integer', 'real') AND CAST(i.atom AS REAL) = CAST(")
                    .bind(number_text(*number))
                    .push(" AS REAL))"),
                Scalar::Bool(is_true) => to.push(&format!("i.type = '{is_true}')")),
                Scalar::Text(text) => to.push("i.type = 'text' AND i.atom = ").bind(text.clone()).push(")"),
            };
            if let Scalar::Text(part) = wanted {
                is(to.push(" OR "), "'text'");
                of(to.push(" AND instr("), "json_extract");
                to.push(", ").bind(part.clone()).push(") > 0");
            }
            to.push(")");
        }
        Test::StartsWith(start) => {
            is(to.push("("), "'text'");
            of(to.push(" AND substr("), "json_extract");
            to.push(&format!(", 1, {}) = ", start.chars().count())).bind(start.clone()).push(")");
        }
        Test::EndsWith(end) => {
            is(to.push("("), "'text'");
            of(to.push(" AND substr("), "json_extract");
            to.push(&format!(", -{}) = ", end.chars().count())).bind(end.clone()).push(")");
        }
        // Not asked of properties.
        Test::Before(_) | Test::After(_) | Test::Past | Test::Future | Test::WithinLast(_) | Test::WithinNext(_) => {
            to.push("FALSE");
        }
    }
}
