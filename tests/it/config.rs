//! Settings: the layers, and what each bad value is answered with.

mod secret_files;
mod targets;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use volley::config::Settings;
use volley::config::load::{ConfigError, DEFAULT_FILE, Flag};
use volley::config::pools::{self, PoolConfig, Provider, ProviderConfig, SandboxConfig, SmtpConfig, WebhookConfig};

/// A settings file that only its owner can read.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load(file: Option<&Path>, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Settings, ConfigError> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::from_layers(file, variables, flags)
}

fn from_file(text: &str) -> Result<Settings, ConfigError> {
    load(Some(file(text).path()), &[], &[])
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    load(None, variables, &[])
}

const SANDBOX: &str = "[[pools]]\nname = \"play\"\nchannel = \"email\"\nprovider = \"sandbox\"\n";
const SMTP: &str = "[[pools]]\nname = \"News-Letter\"\nchannel = \"email\"\nprovider = \"smtp\"\n\
                    url = \"smtp://127.0.0.1:2525\"\nfrom = \"Shop <shop@example.com>\"\n";
const WEBHOOK: &str =
    "[[pools]]\nname = \"gate\"\nchannel = \"sms\"\nprovider = \"webhook\"\nurl = \"https://sms.example.com/send\"\n";

fn smtp_of(pool: &PoolConfig) -> &SmtpConfig {
    let ProviderConfig::Smtp(smtp) = &pool.provider else { panic!("{pool:?}") };
    smtp
}

fn webhook_of(pool: &PoolConfig) -> &WebhookConfig {
    pool.provider.webhook().unwrap()
}

fn sandbox_of(pool: &PoolConfig) -> &SandboxConfig {
    let ProviderConfig::Sandbox(sandbox) = &pool.provider else { panic!("{pool:?}") };
    sandbox
}

/// The default file with every setting that it leaves unset taken in.
fn default_file_with_examples() -> String {
    let lines = DEFAULT_FILE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => rest,
        // A broker is for PostgreSQL.
        _ if line.starts_with("url = \"sqlite:") => "url = \"postgres://volley@127.0.0.1/volley\"",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_file_says_what_the_code_says_and_leaves_nothing_out() {
    let code = toml::Table::try_from(Settings::default()).unwrap();
    let file: toml::Table = toml::from_str(DEFAULT_FILE).unwrap();
    for (section, values) in &code {
        let Some(values) = values.as_table() else { continue };
        for key in values.keys() {
            assert!(file[section].get(key).is_some(), "config/default.toml lacks {section}.{key}");
        }
    }
    let parsed: Settings = toml::from_str(DEFAULT_FILE).unwrap();
    assert_eq!(parsed.database.url.expose(), Settings::default().database.url.expose());
    assert_eq!(toml::Table::try_from(parsed).unwrap(), code);
}

#[test]
fn the_default_files_examples_are_valid_and_show_every_setting_of_a_pool() {
    let text = default_file_with_examples();
    let settings = from_file(&text).unwrap();
    assert_eq!(settings.pools.len(), 3);
    assert!(settings.auth.root_key.is_some() && settings.cli.key.is_some());
    let names: BTreeSet<String> = Provider::ALL.iter().flat_map(|kind| pools::settings(*kind)).collect();
    let mut count = 0;
    for name in names {
        let shown = text.lines().any(|line| line.starts_with(&format!("{name} =")));
        assert!(shown || text.contains(&format!("[pools.{name}]")), "config/default.toml does not show pools.{name}");
        count += 1;
    }
    assert!(count > 20, "only {count} settings of a pool were found");
}

#[test]
fn later_layers_win() {
    let settings = file("[http]\naddr = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n[sending]\npage_size = 7\n");
    let variables = [("VOLLEY_HTTP__ADDR", "127.0.0.1:2"), ("VOLLEY_LOG__LEVEL", "debug")];
    let flag = Flag { name: "--addr", key: "http.addr", value: "127.0.0.1:3".to_owned() };
    let settings = load(Some(settings.path()), &variables, &[flag]).unwrap();
    assert_eq!(settings.http.addr, "127.0.0.1:3");
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.sending.page_size, 7);
    assert_eq!(settings.sending.shutdown_seconds, 45);
}

#[test]
fn the_file_may_be_named_by_a_variable_and_a_flag_names_another() {
    let [one, two] = [1, 2].map(|size| file(&format!("[sending]\npage_size = {size}\n")));
    let variables = [("VOLLEY_CONFIG", one.path().to_str().unwrap())];
    assert_eq!(load(None, &variables, &[]).unwrap().sending.page_size, 1);
    assert_eq!(load(Some(two.path()), &variables, &[]).unwrap().sending.page_size, 2);
}

#[test]
fn an_empty_variable_counts_as_unset_and_strangers_are_left_alone() {
    let variables = [
        ("VOLLEY_AUTH__ROOT_KEY", ""),
        ("VOLLEY_PORT", "tcp://10.0.0.1:80"),
        ("VOLLEY_SERVICE_HOST", "10.0.0.1"),
        ("VOLLEY_TEST_PG_BIN", "/usr/bin"),
        ("PATH", "/bin"),
    ];
    assert!(from_variables(&variables).unwrap().auth.root_key.is_none());
}

#[test]
fn a_pool_retries_as_its_channel_does_unless_it_says_otherwise() {
    let text = format!("[retries]\nsms_delays = [\"2s\", 7]\n{SMTP}retry_for = \"1h\"\n{WEBHOOK}");
    let mut settings = load(Some(file(&text).path()), &[("VOLLEY_RETRIES__SMS_FOR", "90s")], &[]).unwrap();
    settings.pools.iter_mut().for_each(|pool| settings.retries.complete(pool));
    let seconds = |n: usize| {
        let pool = &settings.pools[n];
        let delays: Vec<u64> = pool.retry_delays.iter().flatten().map(|delay| delay.0.as_secs()).collect();
        (delays, pool.retry_for.unwrap().0.as_secs())
    };
    assert_eq!(seconds(0), (vec![300, 600, 1800, 3600], 3600));
    assert_eq!(seconds(1), (vec![2, 7], 90));
}

#[test]
fn proxies_can_be_given_by_a_variable() {
    let settings = from_variables(&[("VOLLEY_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1")]).unwrap();
    let proxies = settings.http.trusted_proxies;
    assert!(proxies.contains("10.9.8.7".parse().unwrap()) && proxies.contains("2001:db8::1".parse().unwrap()));
    assert!(!proxies.contains("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_key_of_digits_keeps_its_leading_zeros() {
    let settings = from_variables(&[("VOLLEY_CLI__KEY", "007")]).unwrap();
    assert_eq!(settings.cli.key.unwrap().expose(), "007");
}

#[test]
fn pools_can_be_given_as_json_and_a_pools_secrets_by_variables() {
    let pools =
        r#"[{"name": "play", "channel": "email", "provider": "sandbox", "failure_rate": 1, "latency_ms": [1, 2]}]"#;
    assert_eq!(sandbox_of(&from_variables(&[("VOLLEY_POOLS", pools)]).unwrap().pools[0]).latency_ms, Some([1, 2]));

    let settings = file(&format!("{SMTP}username = \"volley\"\n{WEBHOOK}headers = {{ X-Service-Token = \"old\" }}\n"));
    let variables =
        [("VOLLEY_POOLS__NEWS_LETTER__PASSWORD", "hidden"), ("VOLLEY_POOLS__GATE__HEADERS__X_SERVICE_TOKEN", "new")];
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(settings.path(), mode).unwrap();
    let settings = load(Some(settings.path()), &variables, &[]).unwrap();
    assert_eq!(smtp_of(&settings.pools[0]).password.as_ref().unwrap().expose(), "hidden");
    let headers: Vec<_> =
        webhook_of(&settings.pools[1]).headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-service-token", "new")]);
}

/// Every bad value: the error is one line and names the key, what is wrong and where it was set.
#[test]
fn a_bad_value_in_a_file_is_refused_naming_key_and_file() {
    let sandbox = |line: &str| format!("{SANDBOX}{line}\n");
    let smtp = |line: &str| format!("{SMTP}{line}\n");
    let webhook = |line: &str| format!("{WEBHOOK}{line}\n");
    let path = "return_path = \"bounces@example.com\"";
    let second = format!("{path}\n{}{path}", SMTP.replace("News-Letter", "other"));
    let cases = [
        ("[http]\nadr = 1\n".to_owned(), "http.adr", "expected one of"),
        ("[htpp]\naddr = \"127.0.0.1:1\"\n".to_owned(), "htpp", "expected one of"),
        ("http = 5\n".to_owned(), "http", "expected a section"),
        ("[http]\naddr = \"localhost\"\n".to_owned(), "http.addr", "IP:PORT"),
        ("[http]\nmax_body_bytes = -1\n".to_owned(), "http.max_body_bytes", "whole number, 0 or more"),
        ("[http]\nmax_body_bytes = 1\n".to_owned(), "http.max_body_bytes", "outside 1024 to"),
        ("[database]\nurl = \"mysql://localhost/volley\"\n".to_owned(), "database.url", "sqlite://PATH or postgres://"),
        ("[database]\nurl = \"volley.db\"\n".to_owned(), "database.url", "sqlite://PATH or postgres://"),
        ("[database]\nurl = \"sqlite://\"\n".to_owned(), "database.url", "sqlite://PATH or postgres://"),
        ("[database]\nurl = \"postgres//db\"\n".to_owned(), "database.url", "sqlite://PATH or postgres://"),
        ("[database]\nconnections = 0\n".to_owned(), "database.connections", "outside 1 to 200"),
        ("[http]\npublic_addr = \"8081\"\n".to_owned(), "http.public_addr", "IP:PORT"),
        (
            "[http]\ntrusted_proxies = [\"10.0.0.0/33\"]\n".to_owned(),
            "http.trusted_proxies",
            "such as 10.0.0.1 or 10.0.0.0/8",
        ),
        ("[http]\ntrusted_proxies = 7\n".to_owned(), "http.trusted_proxies", "addresses or networks such as"),
        (
            "[links]\npublic_url = \"http://mail.example.com\"\n".to_owned(),
            "links.public_url",
            "must begin with https://",
        ),
        ("[links]\npublic_url = \"mail.example.com\"\n".to_owned(), "links.public_url", "https://mail.example.com"),
        ("[links]\nrequire_unsubscribe = \"no\"\n".to_owned(), "links.require_unsubscribe", "expected a boolean"),
        ("[email]\npostal_address = \"\"\n".to_owned(), "email.postal_address", "one line of 1 to 500"),
        ("[email]\npostal_address = \"a\\nb\"\n".to_owned(), "email.postal_address", "one line of 1 to 500"),
        ("[auth]\nroot_key = \"\"\n".to_owned(), "auth.root_key", "printable ASCII"),
        ("[auth]\nroot_key = \"with space\"\n".to_owned(), "auth.root_key", "printable ASCII"),
        ("[log]\nlevel = \"verbose\"\n".to_owned(), "log.level", "error, warn, info"),
        ("[log]\nformat = \"xml\"\n".to_owned(), "log.format", "`text` or `json`"),
        ("[sending]\nshutdown_seconds = 0\n".to_owned(), "sending.shutdown_seconds", "outside 1 to 3600"),
        ("[timing]\nlease_renew_ms = 9000\n".to_owned(), "timing.lease_renew_ms", "below lease_trust_ms = 8000"),
        ("[timing]\nlease_trust_ms = 10000\n".to_owned(), "timing.lease_trust_ms", "below lease_ms = 10000"),
        ("[timing]\ndue_tick_ms = 0\n".to_owned(), "timing.due_tick_ms", "outside 1 to"),
        ("[timing]\nflush_batch = 1.5\n".to_owned(), "timing.flush_batch", "whole number"),
        ("[timing]\ncircuit_first_ms = 20000\n".to_owned(), "timing.circuit_first_ms", "circuit_max_ms = 15000"),
        ("[cli]\nserver = \"127.0.0.1\"\n".to_owned(), "cli.server", "http://127.0.0.1:8080"),
        ("[inbound.stop]\nen = []\n".to_owned(), "inbound.stop.en", "needs a word"),
        (
            "[inbound.stop]\nde = [\"Stopp\", \"start!\"]\n".to_owned(),
            "inbound.stop.de",
            "\"start!\" is also a word of start",
        ),
        ("[inbound.start]\nde = [\"\"]\n".to_owned(), "inbound.start.de", "\"\" must have a letter or a digit"),
        (format!("[inbound.help]\nde = [\"{}\"]\n", "x".repeat(41)), "inbound.help.de", "is longer than 40 characters"),
        ("[inbound.help]\nGerman = [\"Hilfe\"]\n".to_owned(), "inbound.help.German", "is not a language tag"),
        ("[inbound]\nstop = [\"STOP\"]\n".to_owned(), "inbound.stop", "a map"),
        ("[inbound]\nplease = { en = [\"PLEASE\"] }\n".to_owned(), "inbound.please", "unknown"),
        (sandbox("concurrency = 0"), "pools[0].concurrency", "outside 1 to 10000"),
        (sandbox("concurrency = 10001"), "pools[0].concurrency", "outside 1 to 10000"),
        (sandbox("concurrency = \"50\""), "pools[0].concurrency", "whole number"),
        (sandbox("rate_per_second = nan"), "pools[0].rate_per_second", "outside 0 to 1000000"),
        (sandbox("rate_per_second = inf"), "pools[0].rate_per_second", "outside 0 to 1000000"),
        (sandbox("rate_per_second = -1"), "pools[0].rate_per_second", "outside 0 to 1000000"),
        (sandbox("burst = 0"), "pools[0].burst", "outside 1 to"),
        (sandbox("max_attempts = 1001"), "pools[0].max_attempts", "outside 0 to 1000"),
        (smtp("retry_delays = []"), "pools[0].retry_delays", "give 1 to 20"),
        (smtp("retry_delays = [1, 0]"), "pools[0].retry_delays", "a wait of 0 s is outside 10 ms to a day"),
        (smtp("retry_delays = [\"5 weeks\"]"), "pools[0].retry_delays[0]", "such as \"30s\", \"5m\", \"6h\""),
        (smtp("retry_for = \"8d\""), "pools[0].retry_for", "outside 0 to 168 h"),
        (smtp("retry_for = -1"), "pools[0].retry_for", "a length of time"),
        ("[retries]\nemail_delays = []\n".to_owned(), "retries.email_delays", "give 1 to 20"),
        ("[retries]\nsms_for = \"1000h\"\n".to_owned(), "retries.sms_for", "outside 0 to 168 h"),
        (sandbox("timeout_seconds = 0"), "pools[0].timeout_seconds", "outside 1 to 3600"),
        (sandbox("failure_rate = 1.1"), "pools[0].failure_rate", "outside 0 to 1"),
        (sandbox("latency_ms = [20, 5]"), "pools[0].latency_ms", "[shortest, longest]"),
        (sandbox("url = \"smtp://127.0.0.1\""), "pools[0].url", "belongs to smtp and webhook"),
        (sandbox("colour = \"red\""), "pools[0].colour", "expected one of"),
        (sandbox(SANDBOX), "pools[1].name", "another pool"),
        (SANDBOX.replace("play", "a b"), "pools[0].name", "letters, digits"),
        (SANDBOX.replace("name = \"play\"\n", ""), "pools[0].name", "missing field"),
        (SANDBOX.replace("sandbox", "carrier-pigeon"), "pools[0].provider", "`smtp`, `webhook`"),
        (smtp("idempotent = true"), "pools[0].idempotent", "belongs to webhook"),
        (smtp("latency_ms = [1, 2]"), "pools[0].latency_ms", "belongs to sandbox"),
        (smtp("username = \"volley\""), "pools[0].password", "go together"),
        (SMTP.replace("email", "sms"), "pools[0].channel", "smtp carries email, not sms"),
        (SMTP.replace("smtp://", "http://"), "pools[0].url", "smtp://HOST:PORT"),
        (SMTP.replace(":2525", ":2525?tls=maybe"), "pools[0].url", "required, opportunistic or none"),
        (SMTP.replace(":2525", ":2525?tsl=none"), "pools[0].url", "unknown parameter \"tsl\""),
        (SMTP.replace("url = \"smtp://127.0.0.1:2525\"\n", ""), "pools[0].url", "smtp needs an address"),
        (SMTP.replace("from = ", "# from = "), "pools[0].from", "smtp needs a sender"),
        (SMTP.replace("shop@example.com", "shop at example"), "pools[0].from", "no address such as"),
        (SMTP.replace("Shop <", "\\\"Shop\\\" & Sons <"), "pools[0].from", "stands in quotes"),
        (SMTP.replace("Shop <", "a@example.com, Shop <"), "pools[0].from", "one address only"),
        (smtp("ehlo_name = \"mail server\""), "pools[0].ehlo_name", "neither a domain name nor an address such as"),
        (smtp("ehlo_name = \"127.0.0.1\""), "pools[0].ehlo_name", "[192.0.2.1]"),
        (smtp("return_path = \"bounces\""), "pools[0].return_path", "bounces@example.com"),
        (smtp(&second), "pools[1].return_path", "pool \"News-Letter\" has the same one"),
        (smtp("return_path = \"bounces+x@example.com\""), "pools[0].return_path", "up to 12"),
        (smtp("return_path = \"much-too-long@example.com\""), "pools[0].return_path", "up to 12"),
        (smtp("callbacks = { format = \"ses\", topics = [\"reports\"] }"), "pools[0].callbacks.topics", "is no topic"),
        (smtp("callbacks = { format = \"ses\" }"), "pools[0].callbacks.topics", "needs the topics of Amazon SNS"),
        (smtp("callbacks = { format = \"mail\", topics = [\"x\"] }"), "pools[0].callbacks.topics", "only format ses"),
        (
            smtp(
                "callbacks = { format = \"ses\", topics = [\"arn:aws:sns:eu-west-1:123456789012:a\"], secret = \"x\" }",
            ),
            "pools[0].callbacks.secret",
            "ses has no secret",
        ),
        (smtp("callbacks = { format = \"mail\", secret = \"x\" }"), "pools[0].callbacks.secret", "USER:PASSWORD"),
        (smtp("oauth_token_file = \"token\""), "pools[0].username", "the user that it is for"),
        (smtp("username = \"u\"\npassword = \"p\"\noauth_token_file = \"t\""), "pools[0].password", "give one of them"),
        (
            smtp("username = \"u\"\noauth_token_file = \"t\"\noauth_token_command = [\"c\"]"),
            "pools[0].oauth_token_command",
            "give one",
        ),
        (smtp("username = \"u\"\noauth_token_command = [\"\"]"), "pools[0].oauth_token_command", "names no program"),
        (smtp("username = \"u\"\noauth_token_command = \"print-token\""), "pools[0].oauth_token_command", "expected"),
        (smtp("tls_fingerprint = \"ab:cd\""), "pools[0].tls_fingerprint", "64 hexadecimal digits"),
        (
            smtp(&format!("tls_fingerprint = \"{}\"\n", "ab".repeat(32))).replace("2525", "2525?tls=none"),
            "pools[0].tls_fingerprint",
            "asks for an unencrypted connection",
        ),
        (webhook("ehlo_name = \"mail.example.com\""), "pools[0].ehlo_name", "belongs to smtp"),
        (webhook("pipelining = false"), "pools[0].pipelining", "belongs to smtp"),
        (webhook("oauth_token_file = \"token\""), "pools[0].oauth_token_file", "belongs to smtp"),
        (webhook("oauth_token_command = [\"token\"]"), "pools[0].oauth_token_command", "belongs to smtp"),
        (sandbox("tls_fingerprint = \"ab\""), "pools[0].tls_fingerprint", "belongs to smtp and webhook"),
        (WEBHOOK.replace("https://", "ftp://"), "pools[0].url", "http://HOST/PATH"),
        (webhook("method = \"GET\""), "pools[0].method", "POST, PUT, PATCH"),
        (webhook("headers = { \"a b\" = \"x\" }"), "pools[0].headers.a b", "not a header name"),
        (webhook("headers = { X-A = \"one\\ntwo\" }"), "pools[0].headers.X-A", "one line"),
        (webhook("headers = { idempotency-key = \"x\" }"), "pools[0].headers.idempotency-key", "written by Volley"),
        (webhook("provider_id_pointer = \"id\""), "pools[0].provider_id_pointer", "JSON pointer"),
        (webhook("headers = { Connection = \"close\" }"), "pools[0].headers.Connection", "written by Volley"),
        (webhook("failures = [{ pointer = \"status\" }]"), "pools[0].failures[0].pointer", "JSON pointer"),
        (webhook("failures = [{ pointer = \"/a~2\" }]"), "pools[0].failures[0].pointer", "JSON pointer"),
        (
            webhook("failures = [{ pointer = \"/a\", values = [[1]] }]"),
            "pools[0].failures[0].values",
            "texts, numbers, true or false",
        ),
        (
            webhook("failures = [{ pointer = \"/a\", class = \"everybody\" }]"),
            "pools[0].failures[0].class",
            "`recipient`, `content`",
        ),
        (webhook("failures = [{ values = [1] }]"), "pools[0].failures[0].pointer", "missing field"),
        (webhook("proxy = \"https://proxy.example.com:3128\""), "pools[0].proxy", "http://HOST:PORT"),
        (webhook("proxy = \"http://proxy.example.com:3128/x\""), "pools[0].proxy", "http://HOST:PORT"),
        (smtp("proxy = \"http://proxy.example.com:3128\""), "pools[0].proxy", "belongs to webhook"),
        (webhook("probe = { path = \"v1\" }"), "pools[0].probe.path", "such as /v1/account"),
        (webhook("probe = { path = \"//elsewhere.example.com/\" }"), "pools[0].probe.path", "such as /v1/account"),
        (webhook("probe = { path = \"/\", method = \"DELETE\" }"), "pools[0].probe.method", "GET, HEAD, OPTIONS, POST"),
        (webhook("probe = { path = \"/\", expect = [99] }"), "pools[0].probe.expect", "outside 100 to 599"),
        (webhook("http_version = \"3\""), "pools[0].http_version", "\"1.1\", \"2\" or \"auto\""),
        (webhook("http_version = 1"), "pools[0].http_version", "\"1.1\", \"2\" or \"auto\""),
        (webhook("http_version = true"), "pools[0].http_version", "\"1.1\", \"2\" or \"auto\""),
        (webhook("http_version = \"2\"\nkeep_alive = false"), "pools[0].keep_alive", "requests of HTTP/2 share"),
        (
            webhook("http_version = \"auto\"\nheaders = { Upgrade = \"x\" }"),
            "pools[0].headers.Upgrade",
            "no such header",
        ),
        (smtp("http_version = \"2\""), "pools[0].http_version", "belongs to webhook"),
        (smtp("keep_alive = false"), "pools[0].keep_alive", "belongs to webhook"),
        (sandbox("failures = [{ pointer = \"/a\" }]"), "pools[0].failures", "belongs to webhook"),
        (sandbox("probe = { path = \"/\" }"), "pools[0].probe", "belongs to webhook"),
        (webhook("tls_ca_file = \"/nonexistent/ca.pem\""), "pools[0].tls_ca_file", "cannot read /nonexistent/ca.pem"),
        (webhook("tls_ca_file = \"Cargo.toml\""), "pools[0].tls_ca_file", "holds no certificate"),
        (
            WEBHOOK.replace("https://", "http://") + "tls_ca_file = \"config/ca.pem\"",
            "pools[0].tls_ca_file",
            "cannot read config/ca.pem",
        ),
        (sandbox("tls_ca_file = \"ca.pem\""), "pools[0].tls_ca_file", "belongs to smtp and webhook"),
        (webhook("from = 5"), "pools[0].from", "expected text"),
    ];
    for (text, key, allowed) in cases {
        let settings = file(&text);
        let error = load(Some(settings.path()), &[], &[]).expect_err(&format!("accepted:\n{text}")).to_string();
        let source = format!("(set by {})", settings.path().display());
        assert!(error.starts_with(&format!("{key}: ")), "{key} is not named first: {error}");
        assert!(error.contains(allowed), "{allowed:?} is not said: {error}");
        assert!(error.ends_with(&source), "the file is not named: {error}");
        assert!(!error.contains('\n'), "more than a line: {error}");
    }
}

#[test]
fn a_version_of_http_is_taken_as_text_or_as_a_number() {
    for (text, version) in [("\"1.1\"", "1.1"), ("1.1", "1.1"), ("\"2\"", "2"), ("2", "2"), ("\"auto\"", "auto")] {
        let settings = from_file(&format!("{WEBHOOK}http_version = {text}\n")).unwrap();
        assert_eq!(webhook_of(&settings.pools[0]).http_version.as_str(), version);
    }
}

#[test]
fn a_relays_settings_are_taken_in_every_form() {
    for (text, sender) in [
        (SMTP.replace("Shop <", "Müller, Söhne <"), "Müller, Söhne <shop@example.com>"),
        (
            format!("{SMTP}username = \"u\"\noauth_token_command = [\"print-token\", \"--for\", \"u\"]\n"),
            "Shop <shop@example.com>",
        ),
        (
            format!("{SMTP}ehlo_name = \"[IPv6:2001:db8::1]\"\ntls_fingerprint = \"{}\"\n", ["AB"; 32].join(":")),
            "Shop <shop@example.com>",
        ),
        (
            format!("{SMTP}ehlo_name = \"\"\ntls_fingerprint = \"\"\noauth_token_file = \"\"\n"),
            "Shop <shop@example.com>",
        ),
    ] {
        assert_eq!(from_file(&text).unwrap().pools[0].from.as_deref(), Some(sender));
    }
}

#[test]
fn a_bad_value_in_a_variable_is_refused_naming_key_and_variable() {
    let cases = [
        ("VOLLEY_HTTP__ADDR", "nowhere", "http.addr"),
        ("VOLLEY_HTTP__MAX_BODY_BYTES", "2 MiB", "http.max_body_bytes"),
        ("VOLLEY_HTTP__PROT", "1", "http.prot"),
        ("VOLLEY_HTTP__ADDR__PORT", "1", "http.addr.port"),
        ("VOLLEY_HTPP__ADDR", "127.0.0.1:1", "htpp"),
        ("VOLLEY_DATABASE__URL", "mysql://db/volley", "database.url"),
        ("VOLLEY_DATABASE_URL", "sqlite://x.db", "VOLLEY_DATABASE_URL"),
        ("VOLLEY_AUTH_ROOT_KEY", "x", "VOLLEY_AUTH_ROOT_KEY"),
        ("VOLLEY_LOG__FORMAT", "xml", "log.format"),
        ("VOLLEY_POOLS", r#"[{"name": "a b", "channel": "sms", "provider": "sandbox"}]"#, "pools[0].name"),
        ("VOLLEY_POOLS__NOBODY__PASSWORD", "x", "pools"),
    ];
    for (name, value, key) in cases {
        let error = from_variables(&[(name, value)]).expect_err(name).to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{key} is not named first: {error}");
        assert!(error.ends_with(&format!("(set by {name})")), "{name} is not named: {error}");
    }
    let error = from_variables(&[("VOLLEY_POOLS", "not json")]).unwrap_err().to_string();
    assert_eq!(error, "VOLLEY_POOLS, line 1: not a JSON array of pools");
}

#[test]
fn a_bad_flag_is_refused_naming_the_flag() {
    let flag = Flag { name: "--server", key: "cli.server", value: "nowhere".to_owned() };
    let error = load(None, &[], &[flag]).unwrap_err().to_string();
    assert_eq!(error, "cli.server: not an address such as http://127.0.0.1:8080 (set by --server)");
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_refused_in_one_line() {
    let error = load(Some(Path::new("/nonexistent/volley.toml")), &[], &[]).unwrap_err().to_string();
    assert_eq!(error, "cannot read the settings file /nonexistent/volley.toml");
    let error = from_file("[http]\naddr = \n[auth]\nroot_key = \"k3y\"\n").unwrap_err().to_string();
    assert!(error.contains(", line 2: ") && !error.contains('\n') && !error.contains("k3y"), "{error}");
}

#[test]
fn no_error_repeats_a_secret() {
    let cases = [
        "[database]\nurl = \"mysql://user:s3cret@db/volley\"\n".to_owned(),
        "[auth]\nroot_key = 12345678\n".to_owned(),
        "[auth]\nroot_key = \"s3 cret\"\n".to_owned(),
        SMTP.replace("smtp://", "http://user:s3cret@"),
        format!("{WEBHOOK}headers = {{ Authorization = \"Bearer\\ns3cret\" }}\n"),
    ];
    for text in cases {
        let error = from_file(&text).unwrap_err().to_string();
        assert!(!error.contains("s3") && !error.contains("12345678"), "{error}");
    }
    for (name, value) in [("VOLLEY_POOLS", "[{\"password\": \"s3cret\""), ("VOLLEY_AUTH__ROOT_KEY", "s3 cret")] {
        let error = from_variables(&[(name, value)]).unwrap_err().to_string();
        assert!(!error.contains("s3"), "{error}");
    }
}

#[test]
fn a_secret_in_a_file_that_everybody_can_read_is_refused() {
    let with_secret = [
        "[auth]\nroot_key = \"k3y\"\n".to_owned(),
        "[database]\nurl = \"postgres://user:s3cret@db/volley\"\n".to_owned(),
        format!("{SMTP}username = \"u\"\npassword = \"p\"\n"),
        format!("{WEBHOOK}headers = {{ X-Service-Token = \"t\" }}\n"),
    ];
    for text in with_secret {
        let settings = file(&text);
        std::fs::set_permissions(settings.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = load(Some(settings.path()), &[], &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod o-r {}", settings.path().display())), "{error}");
        std::fs::set_permissions(settings.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        load(Some(settings.path()), &[], &[]).unwrap();
    }
    let harmless = file(&format!("{SMTP}{WEBHOOK}headers = {{ Accept = \"application/json\" }}\n"));
    std::fs::set_permissions(harmless.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    load(Some(harmless.path()), &[], &[]).unwrap();
}

#[test]
fn a_header_of_mails_that_is_a_secret_is_shown_as_one() {
    let settings =
        from_file(&format!("{SMTP}headers = {{ X-Api-Key = \"s3cret\", X-Campaign = \"spring\" }}\n")).unwrap();
    let shown = settings.redacted().unwrap().to_string();
    assert!(!shown.contains("s3cret") && shown.contains("spring"), "{shown}");
}

#[test]
fn settings_are_shown_without_their_secrets() {
    let settings = from_file(&format!(
        "[database]\nurl = \"postgres://user:s3cret@db:5433/volley?sslmode=require&password=s3cret\"\n\
         [auth]\nroot_key = \"s3cret\"\n[cli]\nkey = \"s3cret\"\n{SMTP}username = \"volley\"\npassword = \"s3cret\"\n\
         {WEBHOOK}headers = {{ X-Service-Token = \"s3cret\" }}\n",
    ))
    .unwrap();
    let shown = settings.redacted().unwrap().to_string();
    assert!(!shown.contains("s3cret"), "{shown}");
    for part in ["db:5433/volley", "sslmode=require", "smtp://127.0.0.1:2525", "https://sms.example.com/send"] {
        assert!(shown.contains(part), "{part} is not shown: {shown}");
    }
    assert!(!format!("{settings:?}").contains("s3cret"));
}
