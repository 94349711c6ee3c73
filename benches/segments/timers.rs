//! A hundredth of all contacts whose time has come at once.

use crate::figures::number;
use crate::transactions;
use crate::world::World;

/// The segment that they leave: the window of their last order is over.
const LEFT: &str = "an event in 30 days";

/// Measures and prints the row.
pub(crate) fn measure(world: &World) {
    world.with_twenty();
    println!("\nA hundredth of all contacts is due, with twenty segments\n");
    println!("| database | due | s | target | transitions | {}", transactions::HEAD);
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let (due, now, segment) = (world.contacts / 100, world.now().0, world.segment(LEFT));
    // The test moves their orders into the past in place of waiting for a month.
    world.execute(&format!(
        "CREATE TABLE due (contact_id BIGINT PRIMARY KEY);
        INSERT INTO due SELECT contact_id FROM segment_members WHERE segment_id = {segment} AND left_at IS NULL
            ORDER BY contact_id * 2654435761 % 4294967296 LIMIT {due};
        UPDATE events SET occurred_at = occurred_at - 8640000000
            WHERE name = 'order_placed' AND contact_id IN (SELECT contact_id FROM due);"
    ));
    let moved = world
        .db
        .execute(&format!("UPDATE contact_timers SET due_at = {now} WHERE contact_id IN (SELECT contact_id FROM due)"));
    assert_eq!(moved, due, "too few contacts have a timer");
    world.execute("DROP TABLE due");
    transactions::forget();
    let (took, evaluated) = world.keep_up();
    assert!(evaluated.contacts >= due && evaluated.transitions >= due, "some have not left: {evaluated:?}");
    println!(
        "| {} | {} | {:.2} | ≤ 2 | {} | {}",
        world.name,
        number(due),
        took.as_secs_f64(),
        evaluated.transitions,
        transactions::columns()
    );
}
