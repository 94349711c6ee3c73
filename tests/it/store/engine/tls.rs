//! TLS to PostgreSQL: what libpq would refuse is refused, and what it would do works the same.

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{PgConnection, RunQueryDsl};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use volley::store::engine::tls::Server;

use crate::support::Database;
use crate::support::postgres::PrivatePostgres;
use crate::support::stage::LONG;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;

const HOST: &str = "db.test";

/// Who may come in, and how.
const DOORS: &str = "local all all trust
host    all volley    127.0.0.1/32 trust
hostssl all guarded   127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 trust clientcert=verify-full
hostssl all inside    127.0.0.1/32 trust
hostnossl all outside 127.0.0.1/32 trust
";

/// A server that speaks TLS, and the certificates around it.
struct World {
    db: Database,
    authority: CertifiedIssuer<'static, KeyPair>,
    /// Files of the server: its own user has to own its key.
    theirs: PathBuf,
    /// Files of the client.
    ours: PathBuf,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let db = Database::own_postgres(test)?;
        let theirs = PathBuf::from(db.text("SELECT current_setting('data_directory') AS t"));
        let ours = db.folder().to_owned();
        let world = Self { db, authority: authority(), theirs, ours };
        world.write(&world.theirs, "authority.crt", &world.authority.pem());
        world.write(&world.ours, "root.crt", &world.authority.pem());
        world.write(&world.ours, "other.crt", &authority().pem());
        world.certify(&world.theirs, "server", params(HOST));
        let mut expired = params(HOST);
        expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
        world.certify(&world.theirs, "expired", expired);
        let mut client = params("certified");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        world.certify(&world.ours, "client", client);
        world.db.execute("CREATE ROLE guarded LOGIN PASSWORD 'swordfish'");
        for role in ["certified", "inside", "outside"] {
            world.db.execute(&format!("CREATE ROLE {role} LOGIN"));
        }
        world.write(&world.theirs, "pg_hba.conf", DOORS);
        world.server().set("ssl_ca_file", "authority.crt");
        world.show("server");
        world.server().set("ssl", "on");
        wait_until("the server speaks TLS", LONG, || world.connect("sslmode=require").is_ok());
        Some(world)
    }

    fn server(&self) -> &PrivatePostgres {
        self.db.server()
    }

    /// Lets the server show this certificate from now on.
    fn show(&self, name: &str) {
        self.server().set("ssl_key_file", &format!("{name}.key"));
        self.server().set("ssl_cert_file", &format!("{name}.crt"));
    }

    fn certify(&self, folder: &Path, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(folder, &format!("{name}.crt"), &certificate.pem());
        self.write(folder, &format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let owner = std::fs::metadata(folder).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// A URL of the server under its certificate's name.
    fn url(&self, user: &str, parameters: &str) -> String {
        let (_, name) = self.db.url().rsplit_once('/').map(|(_, name)| ((), name.to_owned())).unwrap();
        let port = self.server().addr().port();
        let root = self.ours.join("root.crt").display().to_string();
        // A later parameter replaces an earlier one.
        format!("postgres://{user}@{HOST}:{port}/{name}?hostaddr=127.0.0.1&sslrootcert={root}&{parameters}")
    }

    fn connect_as(&self, user: &str, parameters: &str) -> Result<PgConnection, String> {
        let server = Server::new(&self.url(user, parameters)).map_err(|error| error.to_string())?;
        server.establish().map_err(|error| error.to_string())
    }

    fn connect(&self, parameters: &str) -> Result<PgConnection, String> {
        self.connect_as("volley", parameters)
    }

    #[track_caller]
    fn assert_refused(&self, user: &str, parameters: &str, words: &str) {
        match self.connect_as(user, parameters) {
            Ok(_) => panic!("{parameters} connects"),
            Err(said) => assert!(said.contains(words), "{parameters}: {said}"),
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Seen {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    ssl: bool,
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

/// What the server says of a connection: the TLS version, or nothing.
fn tls_of(connection: &mut PgConnection) -> String {
    let ask = "SELECT ssl, coalesce(version, '') AS version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let seen: Seen = diesel::sql_query(ask).get_result(connection).unwrap();
    assert_eq!(seen.ssl, !seen.version.is_empty());
    seen.version
}

#[test]
fn connections_are_as_safe_as_the_url_asks() {
    let Some(world) = World::new(module_path!()) else { return };
    let tls = |user: &str, parameters: &str| tls_of(&mut world.connect_as(user, parameters).unwrap());
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        assert_eq!(tls("volley", &format!("sslmode={mode}")), "TLSv1.3", "{mode}");
    }
    assert_eq!(tls("volley", "sslmode=verify-full&ssl_max_protocol_version=TLSv1.2"), "TLSv1.2");
    assert_eq!(tls("volley", "sslmode=disable"), "");
    // `allow` begins without TLS, and both come to the other where the server insists on it.
    assert_eq!(tls("volley", "sslmode=allow"), "");
    assert_eq!(tls("inside", "sslmode=allow"), "TLSv1.3");
    assert_eq!(tls("outside", "sslmode=prefer"), "");
    world.assert_refused("outside", "sslmode=require", "no pg_hba.conf entry");

    let unknown = "comes from none of the authorities of sslrootcert";
    let other = world.ours.join("other.crt").display().to_string();
    for mode in ["require", "verify-ca", "verify-full"] {
        world.assert_refused("volley", &format!("sslmode={mode}&sslrootcert={other}"), unknown);
    }
    // libpq, too, then does without TLS.
    assert_eq!(tls("volley", &format!("sslmode=prefer&sslrootcert={other}")), "");
    world.assert_refused("volley", "sslmode=verify-full&host=other.test", "is for another host: other.test");
    assert_eq!(tls("volley", "sslmode=verify-ca&host=other.test"), "TLSv1.3");
    world.assert_refused("volley", "sslmode=verify-full&sslrootcert=system", "the server's certificate");

    // Passwords and the client's certificate.
    assert_eq!(tls("guarded:swordfish", "sslmode=verify-full"), "TLSv1.3");
    world.assert_refused("guarded:sword", "sslmode=require", "password authentication failed");
    let passwords = world.ours.join("passwords");
    world.write(&world.ours, "passwords", &format!("{HOST}:*:*:guarded:swordfish\n"));
    assert_eq!(tls("guarded", &format!("sslmode=require&passfile={}", passwords.display())), "TLSv1.3");
    let [certificate, key] = ["client.crt", "client.key"].map(|name| world.ours.join(name).display().to_string());
    let with_certificate = format!("sslmode=verify-full&sslcert={certificate}&sslkey={key}");
    assert_eq!(tls("certified", &with_certificate), "TLSv1.3");
    world.assert_refused("certified", "sslmode=verify-full", "valid client certificate");
    world.assert_refused("inside:x", &format!("{with_certificate}&sslkey={certificate}"), "sslkey: ");

    // Several hosts: the next one is asked where one is not there.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let port = world.server().addr().port();
    let several = format!(
        "sslmode=verify-full&host=gone.test,{HOST}&hostaddr=127.0.0.1,127.0.0.1&port={nobody},{port}\
         &target_session_attrs=read-write"
    );
    assert_eq!(tls("volley", &several), "TLSv1.3");

    world.show("expired");
    wait_until("the server shows another certificate", LONG, || world.connect("sslmode=verify-ca").is_err());
    world.assert_refused("volley", "sslmode=verify-full", "has expired");
    world.show("server");
    wait_until("the server shows a valid certificate", LONG, || world.connect("sslmode=verify-ca").is_ok());

    world.server().set("ssl", "off");
    wait_until("the server speaks no TLS", LONG, || world.connect("sslmode=require").is_err());
    for mode in ["require", "verify-full"] {
        let words = format!("the server does not speak TLS, which sslmode={mode} asks for");
        world.assert_refused("volley", &format!("sslmode={mode}"), &words);
    }
    assert_eq!(tls("volley", "sslmode=prefer"), "");
}

#[test]
fn what_comes_in_the_clear_behind_the_answer_is_not_taken() {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Who stands between says yes, and right behind it that no password is needed and that the server is ready.
    let between = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut asked = [0; 8];
        socket.read_exact(&mut asked).unwrap();
        assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
        socket.write_all(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
    });
    let server = Server::new(&format!("postgres://u@127.0.0.1:{port}/v?sslmode=require")).unwrap();
    let said = server.establish().err().expect("no connection").to_string();
    assert!(said.contains("the TLS handshake failed") && said.contains("with TLS"), "{said}");
    between.join().unwrap();
}

#[test]
fn a_server_that_does_not_answer_costs_as_long_as_connect_timeout_says() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for mode in ["prefer", "require"] {
        let url = format!("postgres://u@127.0.0.1:{port}/v?sslmode={mode}&connect_timeout=2");
        let started = Instant::now();
        let said = Server::new(&url).unwrap().establish().err().expect("no connection").to_string();
        assert!(said.contains("timeout expired"), "{said}");
        let took = started.elapsed();
        assert!(took > Duration::from_secs(1) && took < Duration::from_secs(4), "{mode}: {took:?}");
    }
}

#[test]
fn statements_end_and_connections_break_through_the_tunnel_as_without_it() {
    let Some(world) = World::new(module_path!()) else { return };
    let mut connection = world.connect("sslmode=verify-full").unwrap();
    let slow = connection.batch_execute("SET statement_timeout = 100; SELECT pg_sleep(20)").unwrap_err();
    assert!(slow.to_string().contains("statement timeout"), "{slow}");
    // More than any buffer holds, both ways.
    let large = "x".repeat(3_000_000);
    let echo = format!("SET statement_timeout = 0; SELECT '{large}'");
    connection.batch_execute(&echo).unwrap();
    world.server().cut_connections();
    let mut cut = connection.batch_execute("SELECT 1").unwrap_err().to_string();
    cut.make_ascii_lowercase();
    assert!(cut.contains("terminating connection") || cut.contains("closed"), "{cut}");

    let volley = Volley::on(&world.db)
        .database(&world.url("inside", "sslmode=verify-full"))
        .pool(Pool::sandbox("main", "email"));
    world.db.execute("ALTER ROLE inside SUPERUSER");
    let volley = volley.start();
    let ready = || volley.api().try_get("/readyz").map_or(0, |answer| answer.status);
    let count =
        "SELECT count(*) AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = 'inside'";
    assert!(world.db.number(count) > 0);
    world.server().freeze();
    wait_until("a frozen server is noticed", LONG, || ready() == 503);
    world.server().thaw();
    wait_until("the instance is ready again", LONG, || ready() == 200);
    world.server().stop_immediately();
    wait_until("a dead server is noticed", LONG, || ready() == 503);
    world.server().start_again();
    wait_until("the instance recovers", LONG, || ready() == 200);
    assert!(world.db.number(count) > 0);
    volley.stop();
}

#[test]
fn a_url_that_cannot_be_as_safe_as_it_asks_ends_the_start_and_names_the_parameter() {
    let db = Database::sqlite();
    for (query, name) in [("sslmode=verify-full", "sslrootcert: "), ("channel_binding=require", "channel_binding: ")] {
        let url = format!("postgres://u:s3cret@127.0.0.1:9/v?{query}");
        let mut volley = Volley::on(&db).database(&url).pool(Pool::sandbox("main", "email")).prepare();
        let home = db.folder().display().to_string();
        volley.spawn_with(&[("HOME", &home)]);
        wait_until("the start is refused", LONG, || volley.exited().is_some_and(|status| status.code() == Some(1)));
        let words = volley.log();
        assert!(words.contains(name) && !words.contains("s3cret"), "{words}");
    }
}
