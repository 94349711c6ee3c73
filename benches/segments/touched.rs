//! Contacts that have changed, evaluated for twenty segments.

use crate::figures::number;
use crate::transactions;
use crate::world::World;

/// One of so many contacts has changed.
const ONE_OF: usize = 50;

/// Measures and prints the rows.
pub(crate) fn measure(world: &World) {
    world.with_twenty();
    println!("\nContacts that have changed, and twenty segments\n");
    println!(
        "| database | what has changed | contacts | contacts/s | target | answers | transitions | {}",
        transactions::HEAD
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let (shard, now) = (world.shard(), world.now());
    let touch = |topic: &str, rest: usize| {
        format!(
            "INSERT INTO touches (shard, contact_id, topic) SELECT {shard}, id, '{topic}' FROM contacts WHERE id % {ONE_OF} = {rest}"
        )
    };
    let order = format!(
        "INSERT INTO events (contact_id, name, properties, occurred_at, received_at, source) \
         SELECT id, 'order_placed', '{{\"total\":120}}', {now}, {now}, 'root' FROM contacts WHERE id % {ONE_OF} = 3; {}",
        touch("e:order_placed", 3),
        now = now.0,
    );
    let rows = [("an order of each", order), ("everything, as far as is known", touch("*", 9))];
    for (what, statements) in rows {
        world.execute(&statements);
        let waiting = world.waiting();
        transactions::forget();
        let (took, evaluated) = world.keep_up();
        // A few may be due meanwhile.
        assert!(i64::try_from(evaluated.contacts).is_ok_and(|count| count >= waiting), "some were not evaluated");
        let target = if world.is_postgres() { "≥ 3,000" } else { "" };
        println!(
            "| {} | {what} | {waiting} | {:.0} | {target} | {} | {} | {}",
            world.name,
            number(evaluated.contacts) / took.as_secs_f64(),
            evaluated.answers,
            evaluated.transitions,
            transactions::columns()
        );
    }
}
