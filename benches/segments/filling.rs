//! Contacts with attributes, lists, tags and events, made by the database itself.

use std::fmt::Write as _;

/// How many days ago the oldest event was.
const DAYS: i64 = 180;

const DAY_MS: i64 = 86_400_000;

/// The list that three of ten contacts are on.
pub(crate) const LIST: i64 = 11;

/// Statements that make so many contacts, and about so many events of theirs. `now` is the database's clock, in milliseconds.
///
/// The product of an id with an odd number is another one for each id below 2^32, and its upper half follows no order: what
/// contacts are like, and what they did, does not depend on their neighbours.
pub(crate) fn statements(contacts: usize, events: usize, now: i64) -> String {
    let share = |odd: i64| format!("((id * {odd} % 4294967296) / 65536)");
    let (plan, city) = (share(2_654_435_761), share(2_246_822_519));
    let mut script = format!(
        "INSERT INTO contacts (external_id, email, first_name, locale, attributes, created_at, updated_at)
            WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {contacts})
            SELECT 'c-' || id, 'person' || id || '@example.com', 'First', 'en',
                '{{\"plan\":\"' || CASE WHEN {plan} % 10 < 7 THEN 'free' WHEN {plan} % 10 < 9 THEN 'pro' ELSE 'team' END
                    || '\",\"city\":\"Town ' || ({city} % 50) || '\",\"spent\":' || ({plan} % 1000)
                    || ',\"company\":\"Example Limited\",\"language\":\"en\"}}', 0, 0
            FROM n ORDER BY id;
        INSERT INTO lists (id, name, created_at, updated_at) VALUES ({LIST}, 'News', 0, 0);
        INSERT INTO tags (id, name, created_at) VALUES (21, 'lead', 0), (22, 'vip', 0);
        INSERT INTO list_members (list_id, contact_id, created_at) SELECT {LIST}, id, 0 FROM contacts WHERE {on_list} % 10 < 3;
        INSERT INTO contact_tags (tag_id, contact_id, created_at) SELECT 21, id, 0 FROM contacts WHERE {lead} % 10 > 7;
        INSERT INTO contact_tags (tag_id, contact_id, created_at) SELECT 22, id, 0 FROM contacts WHERE {city} % 50 = 7;",
        on_list = share(3_266_489_917),
        lead = share(3_812_015_801),
    );
    // One event of each contact after the other, the oldest ones first, as they come in.
    let rounds = i64::try_from(events / contacts).expect("a count");
    let span = DAYS * DAY_MS / rounds;
    for round in 0..rounds {
        let what = share(2_654_435_761 + 2 * (round + 1) * 1_234_567);
        let begin = now - DAYS * DAY_MS + round * span;
        write!(
            script,
            "INSERT INTO events (contact_id, name, properties, occurred_at, received_at, source)
                SELECT id, CASE WHEN what % 20 < 10 THEN 'login' WHEN what % 20 < 15 THEN 'page_viewed' WHEN what % 20 < 18 THEN
                    'order_placed' WHEN what % 20 < 19 THEN 'cart_left' ELSE 'message.opened' END,
                    CASE WHEN what % 20 < 19 THEN '{{\"total\":' || (what % 250) || ',\"currency\":\"EUR\",\"items\":[\"a\",\"b\"]}}'
                    ELSE '{{\"campaign_id\":17,\"machine\":false}}' END,
                    {begin} + {span} * (what / 20) / 3277, {begin} + {span} * (what / 20) / 3277, 'root'
                FROM (SELECT id, {what} AS what FROM contacts) AS c ORDER BY id;"
        )
        .expect("text");
    }
    script
}
