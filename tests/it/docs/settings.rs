//! The README's tables: the settings and their defaults, and the speed.

use std::collections::BTreeSet;

use volley::config::load::DEFAULT_FILE;
use volley::config::pools::{PoolConfig, Provider, owners};

use super::{page, quoted, table};

/// The rows of the README's table of settings, and of its table of a pool's settings.
fn tables() -> [Vec<Vec<String>>; 2] {
    let text = page("README.md");
    let (all, pools) = text.split_once("\nA pool:\n").expect("the table of pools");
    [table(all, "Setting | Variable"), table(pools, "Setting | For")]
}

/// The default that a row shows: what stands between back quotes and nothing else.
fn shown(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|text| !text.contains('`')).map(|text| text.trim_matches('"'))
}

/// A value of the settings as a table shows it. Empty ones are shown as "none".
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) | toml::Value::Datetime(_) => None,
    }
}

/// The settings of a pool that config/default.toml shows.
fn settings_of_a_pool() -> BTreeSet<String> {
    let mut settings = BTreeSet::new();
    let mut inside = false;
    for line in DEFAULT_FILE.lines() {
        if line == "#[[pools]]" {
            inside = true;
        } else if let Some(block) = line.strip_prefix("#[[pools.").or_else(|| line.strip_prefix("#[pools.")) {
            settings.insert(block.trim_end_matches(']').to_owned());
            inside = false;
        } else if let Some((name, _)) = line.strip_prefix('#').and_then(|line| line.split_once(" = ")) {
            let is_name = !name.starts_with(' ') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if inside && is_name {
                settings.insert(name.to_owned());
            }
        }
    }
    settings
}

#[test]
fn the_readme_shows_every_setting_of_a_pool_and_no_other() {
    let [_, rows] = tables();
    let listed: Vec<String> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    let names: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(names.len(), listed.len(), "a setting stands there twice");
    assert_eq!(names, settings_of_a_pool());
    for row in &rows {
        for name in quoted(&row[0]) {
            let owners = owners(&name);
            let names = owners.iter().map(|owner| owner.as_str()).collect::<Vec<_>>().join(", ");
            // All accept a sender, and only SMTP needs one.
            let shown = if name == "from" {
                "smtp"
            } else if owners == Provider::ALL {
                "all"
            } else {
                &names
            };
            assert_eq!(row[1], shown, "{name}");
        }
    }
}

#[test]
fn the_readme_shows_the_defaults_of_a_pool() {
    let [_, rows] = tables();
    let mut code = toml::Table::new();
    for kind in Provider::ALL {
        code.extend(toml::Table::try_from(PoolConfig::bare(*kind)).unwrap());
    }
    let mut compared = 0;
    for row in &rows {
        let names = quoted(&row[0]);
        for name in names.iter().filter(|name| !["name", "channel", "provider"].contains(&name.as_str())) {
            let Some(default) = code.get(name).and_then(plain) else { continue };
            assert_eq!(shown(&row[2]), Some(default.as_str()), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 8, "only {compared} defaults were compared");
}

#[test]
fn the_settings_that_the_readme_names_exist_and_have_the_defaults_that_it_shows() {
    let [rows, _] = tables();
    // The file is what the code says: `config` has a test for that.
    let code: toml::Table = toml::from_str(DEFAULT_FILE).unwrap();
    let mut compared = 0;
    for row in &rows {
        let names = quoted(&row[0]);
        for name in names.iter().filter(|name| !name.contains(['…', '*', '['])) {
            let (section, key) = name.split_once('.').unwrap_or_else(|| panic!("{name} has no section"));
            let in_file = DEFAULT_FILE.split(&format!("\n[{section}]\n")).nth(1).expect("the section");
            let in_file = in_file.split("\n[").next().unwrap_or_default();
            let is_there = |line: &str| line.trim_start_matches('#').starts_with(&format!("{key} ="));
            assert!(in_file.lines().any(is_there), "config/default.toml does not show {name}");
            let default = code[section].get(key).and_then(plain);
            if let (1, Some(default), Some(shown)) = (names.len(), &default, shown(&row[2])) {
                assert_eq!(shown, default, "{name}");
                compared += 1;
            }
        }
    }
    assert!(compared > 8, "only {compared} defaults were compared");
}

#[test]
fn the_speed_in_the_readme_is_that_of_the_performance_page() {
    let readme = page("README.md");
    let row = table(&readme, "speed").remove(0);
    for (cell, database) in [(&row[1], "sqlite"), (&row[2], "postgres")] {
        let measured = table(&page("docs/performance.md"), "provider")
            .into_iter()
            .find(|row| row[0] == "smtp" && row[1] == database)
            .expect("the measured row");
        let told: Vec<String> = cell
            .split(' ')
            .map(|word| word.replace(',', ""))
            .filter(|word| word.bytes().all(|b| b.is_ascii_digit()) && !word.is_empty())
            .collect();
        assert_eq!(told, [measured[2].clone(), measured[7].clone()], "{database}");
    }
}
