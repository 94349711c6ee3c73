//! New segments: everybody is evaluated, beside a statement that finds the same contacts and stores their ids.

use std::time::Instant;

use crate::figures::number;
use crate::transactions;
use crate::world::World;

/// Measures and prints the rows, one segment after the other, each alone.
pub(crate) fn measure(world: &World) {
    println!("\nA new segment over {} contacts\n", world.contacts);
    println!(
        "| database | criteria | members | s | s per million | target, s | by hand, s | ratio | {}",
        transactions::HEAD
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let contacts = number(world.contacts);
    for typical in world.typical() {
        world.execute("CREATE TABLE by_hand (contact_id BIGINT PRIMARY KEY)");
        let began = Instant::now();
        world.db.execute(&format!("INSERT INTO by_hand (contact_id) {}", typical.by_hand));
        let by_hand = began.elapsed().as_secs_f64();
        let found = world.db.number("SELECT count(*) AS n FROM by_hand");
        world.execute("DROP TABLE by_hand");
        world.clear();
        world.create(typical.what, typical.criteria);
        transactions::forget();
        let took = world.build().as_secs_f64();
        let members = world.db.number("SELECT count(*) AS n FROM segment_members WHERE left_at IS NULL");
        // Windows have moved on meanwhile.
        assert!((members - found).abs() <= 50 + found / 1_000, "{members} members, and {found} by hand");
        let members = number(usize::try_from(members).expect("a count"));
        println!(
            "| {} | {} | {members} | {took:.2} | {:.1} | {:.2} | {by_hand:.2} | {:.1} | {}",
            world.name,
            typical.what,
            took / contacts * 1e6,
            10.0 * contacts / 1e6 + 20e-6 * members,
            took / by_hand,
            transactions::columns()
        );
    }
    world.clear();
}
