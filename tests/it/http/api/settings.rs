//! The settings in force.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::both_backends;
use crate::support::server::{ROOT_KEY, Server, sandbox};

both_backends! {
    fn settings_in_force_are_listed_without_secrets(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let found = server.api().get("/v1/settings");
        let value = |key: &str| -> Value {
            let all = found["data"].as_array().unwrap();
            all.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("{key}: {found}"))["value"].clone()
        };
        assert_eq!((value("auth.root_key"), value("pools[0].name")), (json!("***"), json!("main")));
        assert!(value("sending.page_size").is_number(), "{found}");
        assert!(found["data"].as_array().unwrap().iter().all(|one| one["set_by"].is_string()), "{found}");
        assert!(!found.to_string().contains(ROOT_KEY), "{found}");
    }
}
