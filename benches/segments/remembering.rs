//! The memory of the program while everybody is evaluated.

use crate::memory::memory_mb;
use crate::support::waiting::wait_until;
use crate::world::{LIMIT, World};

/// Measures and prints the row.
pub(crate) fn measure(world: &World) {
    println!("\nMemory of the program while {} contacts are evaluated for five new segments\n", world.contacts);
    println!("| database | before MB | after a tenth | at the end | most ever | end to tenth |");
    println!("|---|---:|---:|---:|---:|---:|");
    world.clear();
    let volley = world.start();
    let before = memory_mb(volley.pid(), "VmRSS");
    for typical in world.typical() {
        world.create(typical.what, typical.criteria);
    }
    let left = "SELECT CAST(sum(CASE WHEN state = 'ready' THEN 0 ELSE coalesce(build_max_id, 1000000000) - cursor_contact_id END) AS BIGINT) \
                AS n FROM segments";
    let all = i64::try_from(5 * world.contacts).expect("a count");
    wait_until("a tenth is evaluated", LIMIT, || world.db.number(left) <= all / 10 * 9);
    let tenth = memory_mb(volley.pid(), "VmRSS");
    wait_until("everybody is evaluated", LIMIT, || world.db.number(left) == 0);
    let [end, most] = ["VmRSS", "VmHWM"].map(|name| memory_mb(volley.pid(), name));
    println!("| {} | {before:.0} | {tenth:.0} | {end:.0} | {most:.0} | {:.2} |", world.name, end / tenth);
    volley.stop();
}
