//! What Volley is shipped with fits the program: the unit of systemd, the image, the set of containers. No container is started: the
//! tests read the files as the programs that use them would.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use volley::cli::Cli;
use volley::config::{Sending, Settings};

use crate::docs::page;
use crate::support::database::leave_out;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails unless `words` are a command that Volley knows.
#[track_caller]
fn assert_is_command(words: &[String]) {
    let program = words.first().and_then(|program| Path::new(program).file_name());
    assert_eq!(program.and_then(|name| name.to_str()), Some("volley"), "{words:?}");
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{words:?}: {error}");
    }
}

/// The settings that these variables make, with a file of settings or without.
fn settings(file: Option<&Path>, variables: &BTreeMap<String, String>) -> Settings {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::from_layers(file, variables, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// A time such as `60s`, in seconds.
fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text} is not in seconds"))
}

/// Fails unless a drain has come to its end by then.
fn assert_outlasts_a_drain(limit: &str) {
    let drain = Sending::default().shutdown_seconds;
    assert!(seconds(limit) >= drain + 5, "{limit} is too short for a drain of {drain} s");
}

/// What is assigned to `key` in a unit of systemd, in order.
fn assigned<'t>(unit: &'t str, key: &str) -> Vec<&'t str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// The lines of a Dockerfile, those that go on joined.
fn instructions(text: &str) -> Vec<String> {
    let whole = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    whole.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// The only instruction of this name, without its name.
fn instruction<'l>(lines: &'l [String], name: &str) -> &'l str {
    let found: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0]
}

/// The words of an array as JSON writes it.
fn words(array: &str) -> Vec<String> {
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{array}: {error}"))
}

/// The lines of compose.yaml that set `key`, with the service (or anchor) that they belong to.
fn set_in_compose<'t>(text: &'t str, key: &str) -> Vec<(&'t str, &'t str)> {
    let (mut section, mut owner) = ("", "");
    let mut found = Vec::new();
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let Some((name, value)) = line.trim().split_once(':') else { continue };
        if depth == 0 {
            (section, owner) = (name, name);
        } else if depth == 2 && section == "services" {
            owner = name;
        }
        if name == key {
            found.push((owner, value.trim()));
        }
    }
    assert!(!found.is_empty(), "compose.yaml sets no {key}");
    found
}

/// The variables of Volley in compose.yaml, those that a comment proposes, too, with secrets in `folder`.
fn variables_of_compose(text: &str, folder: &Path) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("# "));
    let pairs = lines.filter_map(|line| line.split_once(": ")).filter(|(name, _)| name.starts_with("VOLLEY_"));
    pairs
        .map(|(name, value)| {
            let value = match value.strip_prefix("/run/secrets/") {
                Some(secret) => folder.join(secret).display().to_string(),
                None => value.to_owned(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

fn make_secrets(folder: &Path) {
    let script = root().join("packaging/docker/secrets.sh");
    let status = Command::new("sh").arg(script).arg(folder).status().unwrap();
    assert!(status.success());
}

#[test]
fn the_unit_runs_a_command_that_exists_and_waits_for_a_drain() {
    let unit = page("packaging/systemd/volley.service");
    let command = assigned(&unit, "ExecStart");
    assert_eq!(command.len(), 1);
    assert_is_command(&command[0].split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert!(command[0].contains(" serve"), "{}", command[0]);
    assert_eq!(assigned(&unit, "Type"), ["notify"]);
    assert_outlasts_a_drain(assigned(&unit, "TimeoutStopSec")[0]);
    // What a first start prints is a key, and what goes to standard output there is kept.
    assert_eq!(assigned(&unit, "StandardOutput"), ["null"]);
    let user = assigned(&unit, "User")[0];
    assert!(page("packaging/systemd/volley.sysusers").lines().any(|line| line.starts_with(&format!("u {user} "))));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let known = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    if !known {
        let _left_out: Option<()> =
            leave_out(module_path!(), "there is no systemd-analyze", "VOLLEY_TEST_REQUIRE_SYSTEMD");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("volley.service");
    // It asks whether the program is there.
    let text = page("packaging/systemd/volley.service").replace("/usr/bin/volley", env!("CARGO_BIN_EXE_volley"));
    std::fs::write(&unit, text).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("volley.service:"), "{said}");
}

#[test]
fn the_settings_of_the_service_are_settings_with_its_examples_too() {
    let file = root().join("packaging/systemd/volley.toml");
    let found = settings(Some(&file), &BTreeMap::new());
    let unit = page("packaging/systemd/volley.service");
    let folder = format!("/var/lib/{}", assigned(&unit, "StateDirectory")[0]);
    assert_eq!(found.sending.data_dir, PathBuf::from(&folder));
    assert_eq!(found.database.url.expose(), format!("sqlite://{folder}/volley.db"));
    let lines = page("packaging/systemd/volley.toml");
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        Some(_) | None => line,
    });
    let examples = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(examples.path(), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "a-key\n").unwrap();
    let mut variables = BTreeMap::from([("VOLLEY_POOLS__NEWSLETTER__PASSWORD".to_owned(), "hidden".to_owned())]);
    for line in page("packaging/systemd/volley.env").lines() {
        let Some((name, value)) = line.strip_prefix('#').and_then(|line| line.split_once('=')) else { continue };
        if name.starts_with("VOLLEY_") && !name.contains('…') && !name.contains("SECTION") {
            let value = if name.ends_with("_FILE") { key.path().to_str().unwrap() } else { value };
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    assert_eq!(variables.len(), 3, "{variables:?}");
    assert_eq!(settings(Some(examples.path()), &variables).pools.len(), 1);
}

#[test]
fn the_image_starts_and_asks_commands_that_exist_with_settings_that_exist() {
    let lines = instructions(&page("packaging/docker/Dockerfile"));
    let entry = words(instruction(&lines, "ENTRYPOINT"));
    let default = words(instruction(&lines, "CMD"));
    assert_is_command(&[entry, default].concat());
    let (_, check) = instruction(&lines, "HEALTHCHECK").split_once("CMD ").expect("a command");
    assert_is_command(&words(check));
    assert_eq!(instruction(&lines, "STOPSIGNAL"), "SIGTERM");
    assert!(!instruction(&lines, "USER").starts_with("root"), "it runs without rights");
    let variables = instruction(&lines, "ENV").split_whitespace().map(|pair| pair.split_once('=').expect("NAME=value"));
    let variables: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let found = settings(None, &variables);
    assert!(!variables.contains_key("VOLLEY_DATABASE__URL"), "VOLLEY_DATABASE__URL_FILE could not be set beside it");
    let volume = instruction(&lines, "VOLUME");
    assert_eq!(found.sending.data_dir, Path::new(volume));
    assert!(found.database.url.expose().starts_with("sqlite://data/"), "beside the folder that it is started in");
    assert!(lines.contains(&format!("WORKDIR {volume}")), "nothing is lost with the container: {lines:?}");
    for source in lines.iter().flat_map(|line| line.split(' ')).filter_map(|word| word.strip_prefix("/source/")) {
        let is_built = source.starts_with("target/");
        assert!(is_built || root().join(source).exists(), "there is no {source}");
    }
}

#[test]
fn the_image_is_built_from_what_the_build_reads() {
    let ignored = page("packaging/docker/Dockerfile.dockerignore");
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "everything else stays away");
    for name in &kept {
        assert!(name.ends_with('*') || root().join(name).exists(), "there is no {name}");
    }
    let mut needed = vec![
        "Cargo.toml",
        "Cargo.lock",
        "askama.toml",
        ".cargo",
        "config",
        "docs/metrics.md",
        "migrations",
        "src",
        "ui",
    ];
    let cargo: toml::Table = page("Cargo.toml").parse().unwrap();
    let paths = ["bench", "test"].into_iter().flat_map(|kind| cargo[kind].as_array().unwrap());
    needed.extend(paths.map(|target| target["path"].as_str().unwrap().split('/').next().unwrap()));
    for name in needed {
        assert!(kept.contains(&name), "{name} is left out, and the build reads it");
    }
}

#[test]
fn the_containers_get_settings_that_exist_and_secrets_that_are_made_once() {
    let text = page("packaging/docker/compose.yaml");
    let folder = tempfile::tempdir().unwrap();
    make_secrets(folder.path());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let key = read("root_key");
    make_secrets(folder.path());
    assert_eq!(read("root_key"), key, "what is there stays");
    let mut variables = variables_of_compose(&text, folder.path());
    assert!(variables.len() > 3, "{variables:?}");
    let mounted = variables.remove("VOLLEY_CONFIG").expect("a file of settings");
    assert!(text.contains(&format!("./volley.toml:{mounted}:ro")));
    let found = settings(Some(&root().join("packaging/docker/volley.toml")), &variables);
    assert_eq!(found.auth.root_key.as_ref().unwrap().expose(), key.trim_end());
    let database = found.database.url.expose();
    assert!(database.contains(&format!("volley:{}@postgres:5432", read("postgres_password").trim_end())), "{database}");
    let services = set_in_compose(&text, "image");
    for (address, service) in [(database, "postgres"), (found.broker.url.as_ref().unwrap().expose(), "rabbitmq")] {
        assert!(address.contains(&format!("@{service}:")) && services.iter().any(|(owner, _)| *owner == service));
    }
    assert!(read("rabbitmq.env").contains(read("broker_password").trim_end()));
    for (_, file) in set_in_compose(&text, "file").into_iter().chain(set_in_compose(&text, "env_file")) {
        let name = file.strip_prefix("./secrets/").expect("a secret");
        assert!(folder.path().join(name).exists(), "secrets.sh does not make {name}");
    }
    assert!(page(".gitignore").lines().any(|line| line == "/packaging/docker/secrets"), "secrets are not committed");
}

#[test]
fn the_containers_are_asked_by_commands_that_exist_and_stopped_with_time_for_a_drain() {
    let text = page("packaging/docker/compose.yaml");
    for (owner, command) in set_in_compose(&text, "test") {
        let mut command = words(command);
        assert_eq!(command.remove(0), "CMD", "{owner}: no shell is needed");
        match owner {
            "x-volley" => assert_is_command(&command),
            "postgres" => assert_eq!(command[0], "pg_isready"),
            "rabbitmq" => assert_eq!(command[0], "rabbitmq-diagnostics"),
            other => panic!("what asks {other}?"),
        }
    }
    let grace = set_in_compose(&text, "stop_grace_period");
    let of_volley = grace.iter().find(|(owner, _)| *owner == "x-volley").expect("a time to stop");
    assert_outlasts_a_drain(of_volley.1);
    let images = set_in_compose(&text, "image");
    assert_eq!(images.iter().map(|(owner, _)| *owner).collect::<Vec<_>>(), ["x-volley", "postgres", "rabbitmq"]);
    // A container is forgotten, and its journal is not.
    for instance in ["volley-1", "volley-2"] {
        assert!(text.contains(&format!("\"{instance}:/var/lib/volley\"")), "{instance} has no folder of its own");
    }
}

#[test]
fn the_debian_package_has_what_the_service_needs() {
    let cargo: toml::Table = page("Cargo.toml").parse().unwrap();
    let package = &cargo["package"]["metadata"]["deb"];
    let assets: BTreeMap<String, (String, String)> = package["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| {
            let [from, to, mode] = [0, 1, 2].map(|index| asset[index].as_str().unwrap());
            let file = from.rsplit('/').next().unwrap();
            let to = if to.ends_with('/') { format!("/{to}{file}") } else { format!("/{to}") };
            (to, (from.to_owned(), mode.to_owned()))
        })
        .collect();
    for (from, _) in assets.values().filter(|(from, _)| !from.starts_with("target/") && !from.contains('*')) {
        assert!(root().join(from).exists(), "there is no {from}");
    }
    let unit = page("packaging/systemd/volley.service");
    let command = assigned(&unit, "ExecStart")[0].split(' ');
    for path in command.filter(|word| word.starts_with('/')).chain(["/usr/lib/systemd/system/volley.service"]) {
        assert!(assets.contains_key(path), "{path} is not in the package");
    }
    // They may hold secrets; the script gives them to the group of the service.
    let script = page("packaging/deb/postinst");
    for path in ["/etc/volley/volley.toml", "/etc/volley/volley.env"] {
        assert_eq!(assets[path].1, "640", "{path}");
        assert!(script.contains(path), "{path}");
    }
    assert!(assets.contains_key("/usr/lib/sysusers.d/volley.conf") && script.contains("systemd-sysusers volley.conf"));
}
