//! How long it takes to say how many contacts criteria take.

use std::time::Instant;

use serde_json::json;

use crate::world::World;

/// Measures and prints the rows.
pub(crate) fn measure(world: &World) {
    println!("\nEstimates over {} contacts\n", world.contacts);
    println!("| database | criteria | s | target | count | error | exact |");
    println!("|---|---|---:|---:|---:|---:|---|");
    let volley = world.start();
    for typical in world.typical() {
        let began = Instant::now();
        let answer = volley.api().post("/v1/segments/estimate", &json!({ "criteria": typical.criteria }));
        println!(
            "| {} | {} | {:.2} | ≤ 15 | {} | {} | {} |",
            world.name,
            typical.what,
            began.elapsed().as_secs_f64(),
            answer["count"],
            answer["error"],
            answer["exact"]
        );
    }
    volley.stop();
}
