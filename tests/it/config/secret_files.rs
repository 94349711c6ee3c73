//! Secrets that stand in files of their own, named by variables that end in `_FILE`.

use volley::config::Settings;
use volley::config::secret::Secret;

use super::{file, from_variables, load, smtp_of};

const SMTP: &str = r#"[{"name": "News-Letter", "channel": "email", "provider": "smtp", "url": "smtp://127.0.0.1:2525", "from": "shop@example.com"}]"#;
const SMTP_WITH_USER: &str = r#"[{"name": "News-Letter", "channel": "email", "provider": "smtp", "url": "smtp://127.0.0.1:2525", "from": "shop@example.com", "username": "u"}]"#;
const WEBHOOK: &str =
    r#"[{"name": "gate", "channel": "sms", "provider": "webhook", "url": "https://sms.example.com/send"}]"#;
const TARGET: &str = r#"[{"name": "crm", "url": "https://crm.example.com/hooks"}]"#;

/// What goes with a variable, so that the settings are complete.
fn beside(name: &str) -> Vec<(&'static str, &'static str)> {
    match name {
        "VOLLEY_POOLS__NEWS_LETTER__PASSWORD" => vec![("VOLLEY_POOLS", SMTP_WITH_USER)],
        _ if name.starts_with("VOLLEY_POOLS__NEWS") => vec![("VOLLEY_POOLS", SMTP)],
        _ if name.starts_with("VOLLEY_POOLS__") => vec![("VOLLEY_POOLS", WEBHOOK)],
        _ if name.starts_with("VOLLEY_TARGETS__") => {
            vec![("VOLLEY_TARGETS", TARGET), ("VOLLEY_TARGETS__CRM__SECRET", "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh")]
        }
        "VOLLEY_BROKER__URL" => vec![("VOLLEY_DATABASE__URL", "postgres://volley@db/volley")],
        _ => Vec::new(),
    }
}

/// Every secret of the settings that this test sets, which what is shown hides.
fn exposed(settings: &Settings) -> Vec<Option<String>> {
    let of = |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_owned());
    let mut all = vec![of(Some(&settings.database.url)), of(settings.broker.url.as_ref())];
    all.push(of(settings.auth.root_key.as_ref()));
    all.extend([&settings.cli.key, &settings.cli.callback_secret].map(|secret| of(secret.as_ref())));
    for pool in &settings.pools {
        all.push(of(pool.provider.server().and_then(|server| server.url.as_ref())));
        if let Some(webhook) = pool.provider.webhook() {
            all.push(of(webhook.proxy.as_ref()));
            all.extend(webhook.headers.values().map(|value| of(Some(value))));
        } else {
            all.push(of(smtp_of(pool).password.as_ref()));
        }
    }
    all.extend(
        settings
            .targets
            .iter()
            .flat_map(|target| [&target.url, &target.secret, &target.proxy])
            .map(|it| of(it.as_ref())),
    );
    all
}

#[test]
fn each_secret_can_stand_in_a_file_as_well_as_in_the_variable_itself() {
    for (name, secret) in [
        ("VOLLEY_DATABASE__URL", "postgres://volley:s3cret@db/volley"),
        ("VOLLEY_BROKER__URL", "amqp://volley:s3cret@rabbit:5672/volley"),
        ("VOLLEY_AUTH__ROOT_KEY", "vk_0123456789abcdef0123456789abcdef"),
        ("VOLLEY_CLI__KEY", "vk_0123456789abcdef0123456789abcdef"),
        ("VOLLEY_CLI__CALLBACK_SECRET", "user:s3cret"),
        ("VOLLEY_POOLS", SMTP),
        (
            "VOLLEY_TARGETS",
            r#"[{"name": "crm", "url": "https://crm.example.com/", "secret": "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh"}]"#,
        ),
        ("VOLLEY_POOLS__NEWS_LETTER__PASSWORD", "s3cret"),
        ("VOLLEY_POOLS__NEWS_LETTER__URL", "smtp://relay.example.com:25"),
        ("VOLLEY_POOLS__GATE__PROXY", "http://user:s3cret@proxy.example.com:3128"),
        ("VOLLEY_POOLS__GATE__HEADERS__X_SERVICE_TOKEN", "s3cret"),
        ("VOLLEY_TARGETS__CRM__URL", "https://crm.example.com/s3cret"),
        ("VOLLEY_TARGETS__CRM__PROXY", "http://user:s3cret@proxy.example.com:3128"),
    ] {
        let mut variables = beside(name);
        variables.push((name, secret));
        let itself = from_variables(&variables).unwrap_or_else(|error| panic!("{name}: {error}"));
        for end in ["", "\n", "\r\n"] {
            let holder = file(&format!("{secret}{end}"));
            let with_file = format!("{name}_FILE");
            let mut variables = beside(name);
            variables.retain(|(other, _)| *other != name);
            variables.push((&with_file, holder.path().to_str().unwrap()));
            let settings = from_variables(&variables).unwrap_or_else(|error| panic!("{with_file}: {error}"));
            assert_eq!(settings.redacted().unwrap(), itself.redacted().unwrap(), "{with_file}");
            assert_eq!(exposed(&settings), exposed(&itself), "{with_file}");
        }
    }
}

#[test]
fn only_the_last_line_break_is_cut() {
    let holder = file(" a b\n\n");
    let settings = from_variables(&[("VOLLEY_CLI__CALLBACK_SECRET_FILE", holder.path().to_str().unwrap())]).unwrap();
    assert_eq!(settings.cli.callback_secret.unwrap().expose(), " a b\n");
}

#[test]
fn a_secret_that_is_wrong_is_said_to_come_from_the_variable_of_the_file() {
    let holder = file("mysql://user:s3cret@db/volley\n");
    let error = from_variables(&[("VOLLEY_DATABASE__URL_FILE", holder.path().to_str().unwrap())]).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("database.url: ") && error.ends_with("(set by VOLLEY_DATABASE__URL_FILE)"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn a_file_that_cannot_be_the_secret_is_refused_and_neither_it_nor_its_name_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let name = "VOLLEY_AUTH__ROOT_KEY_FILE";
    for (path, reason) in [
        ("s3cret-itself".to_owned(), "cannot be read: No such file"),
        (folder.path().to_str().unwrap().to_owned(), "cannot be read: Is a directory"),
        (write("empty", b""), "is empty"),
        (write("blank", b"\n"), "is empty"),
        (write("bytes", b"\xff\xfe"), "is not UTF-8"),
        ("/dev/zero".to_owned(), "has more than 1048576 bytes"),
    ] {
        let error = from_variables(&[(name, &path)]).unwrap_err().to_string();
        assert!(error.starts_with("auth.root_key: ") && error.ends_with(&format!("(set by {name})")), "{error}");
        assert!(error.contains(reason) && !error.contains(&path), "{error}");
    }
    let holder = write("key", b"vk_0123456789abcdef0123456789abcdef");
    let both = [(name, holder.as_str()), ("VOLLEY_AUTH__ROOT_KEY", "s3cret")];
    let error = from_variables(&both).unwrap_err().to_string();
    assert!(
        error.contains("VOLLEY_AUTH__ROOT_KEY is set, too; set one of the two") && !error.contains("s3cret"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_pools_or_targets_is_refused_and_nothing_of_it_is_repeated() {
    const PASSWORD: &str = "s3cret";
    for (name, text, told) in [
        ("VOLLEY_POOLS", r#"["s3cret"]"#, "pools[0]: "),
        ("VOLLEY_POOLS", r#""s3cret""#, "pools: "),
        ("VOLLEY_POOLS", "s3cret", "not a JSON array of pools"),
        ("VOLLEY_POOLS", r#"[{"name": "a", "password": "s3cret}]"#, "not a JSON array of pools"),
        ("VOLLEY_POOLS", r#"[{"name": "a", "channel": "email", "password": ["s3cret"]}]"#, "pools[0]"),
        ("VOLLEY_POOLS", r#"[{"name": "a", "channel": "sms", "provider": "webhook", "headers": "s3cret"}]"#, "headers"),
        (
            "VOLLEY_POOLS",
            r#"[{"name": "a", "channel": "sms", "provider": "webhook", "callbacks": "s3cret"}]"#,
            "callbacks",
        ),
        ("VOLLEY_TARGETS", r#"["s3cret"]"#, "targets[0]"),
        ("VOLLEY_TARGETS", r#""s3cret""#, "targets"),
        ("VOLLEY_TARGETS", "[s3cret]", "not a JSON array of targets"),
    ] {
        let holder = file(text);
        let with_file = format!("{name}_FILE");
        for variable in [(name, text), (with_file.as_str(), holder.path().to_str().unwrap())] {
            let error = from_variables(&[variable]).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains(PASSWORD), "{text}: {error}");
        }
    }
    for text in ["[[pools]]\npassword = s3cret\n", "[[pools]]\npassword = \"s3cret\n", "pools = \"s3cret\"\n"] {
        let error = super::from_file(text).unwrap_err().to_string();
        assert!(!error.contains(PASSWORD), "{text}: {error}");
    }
}

#[test]
fn other_variables_that_end_in_file_are_what_they_were() {
    let holder = file("postgres://volley@db/volley");
    let path = holder.path().to_str().unwrap();
    let broker = [
        ("VOLLEY_DATABASE__URL", "postgres://volley@db/volley"),
        ("VOLLEY_BROKER__URL", "amqps://volley@rabbit/volley"),
    ];
    let settings = from_variables(&[&broker[..], &[("VOLLEY_BROKER__TLS_CA_FILE", path)]].concat()).unwrap();
    assert_eq!(settings.redacted().unwrap()["broker"]["tls_ca_file"].as_str(), Some(path));
    for (name, key) in
        [("VOLLEY_LOG__LEVEL_FILE", "log.level_file"), ("VOLLEY_DATABASE_URL_FILE", "VOLLEY_DATABASE_URL_FILE")]
    {
        let error = from_variables(&[(name, path)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
    }
    let error = from_variables(&[("VOLLEY_DATABASE_URL_FILE", path)]).unwrap_err().to_string();
    assert!(error.contains("VOLLEY_DATABASE__URL_FILE"), "{error}");
    // A file of settings comes before variables of either kind.
    let settings_file = file("[cli]\nkey = \"from-the-file\"\n");
    let settings = load(Some(settings_file.path()), &[("VOLLEY_CLI__KEY_FILE", path)], &[]).unwrap();
    assert_eq!(settings.cli.key.unwrap().expose(), "postgres://volley@db/volley");
}
