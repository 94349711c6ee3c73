//! A database with contacts and events, and the worker on it.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::Value;
use tokio::runtime::Runtime;
use volley::config::secret::Secret;
use volley::domain::ids::SegmentId;
use volley::domain::instant::UtcInstant;
use volley::domain::segments::Criteria;
use volley::domain::segments::stay::Rules;
use volley::services::segments::evaluate::Evaluated;
use volley::services::segments::live::KnownCriteria;
use volley::services::segments::worker::SegmentWorker;
use volley::store::segments::{self, NewSegment};
use volley::store::{Conn, Store, StoreError, engine};

use crate::filling;
use crate::rules::{self, Typical};
use crate::support::Database;
use crate::support::volley::Volley;

/// How long anything of this size may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(900);

/// A filled database.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) db: Database,
    pub(crate) contacts: usize,
    runtime: Runtime,
    store: Store,
}

impl World {
    /// Fills a database.
    pub(crate) fn filled(name: &'static str, db: Database, contacts: usize, events: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let settings = volley::config::Database { url: Secret::new(db.url()), ..volley::config::Database::default() };
        let store = Store::open(&settings).expect("the database");
        runtime.block_on(store.migrate()).expect("the tables");
        let world = Self { name, db, contacts, runtime, store };
        let began = Instant::now();
        world.execute(&filling::statements(contacts, events, world.now().0));
        if world.is_postgres() {
            // As autovacuum leaves tables that have been there for a while.
            world.db.execute("VACUUM (ANALYZE)");
            world.db.execute("CHECKPOINT");
        }
        let count = |table: &str| world.db.number(&format!("SELECT count(*) AS n FROM {table}"));
        assert_eq!(world.db.number("SELECT max(id) AS n FROM contacts"), count("contacts"), "the ids have gaps");
        println!(
            "\n{name}: {} contacts and {} events, filled in {:.0} s",
            count("contacts"),
            count("events"),
            began.elapsed().as_secs_f64()
        );
        world
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.name == "postgres"
    }

    /// What turns a text into JSON.
    fn json(&self) -> &'static str {
        if self.is_postgres() { "::jsonb" } else { "" }
    }

    /// The shard of a contact, by its `id`.
    pub(crate) fn shard(&self) -> &'static str {
        if self.is_postgres() { "((id >> 13) & 7)::INTEGER" } else { "0" }
    }

    /// The database's clock.
    pub(crate) fn now(&self) -> UtcInstant {
        engine::now(&mut self.db.connect()).expect("the clock")
    }

    /// Runs statements.
    pub(crate) fn execute(&self, script: &str) {
        match &mut self.db.connect() {
            Conn::Pg(conn) => conn.batch_execute(script),
            Conn::Sqlite(conn) => conn.batch_execute(script),
        }
        .expect("the statements are right");
    }

    /// The five typical rules.
    pub(crate) fn typical(&self) -> [Typical; 5] {
        rules::typical(self.json(), self.now().0)
    }

    /// Removes all segments, and what there is because of them.
    pub(crate) fn clear(&self) {
        for table in ["segments", "segment_members", "segment_transitions", "contact_timers", "touches"] {
            let verb = if self.is_postgres() { "TRUNCATE" } else { "DELETE FROM" };
            self.db.execute(&format!("{verb} {table}"));
        }
    }

    /// A new segment. Nobody is evaluated for it yet.
    pub(crate) fn create(&self, name: &str, criteria: Value) -> SegmentId {
        let new = NewSegment {
            name: name.to_owned(),
            slug: None,
            description: String::new(),
            criteria: Some(Criteria::read(criteria).expect("criteria")),
            rules: Rules::default(),
            reactions: None,
            enabled: true,
        };
        let create = |conn: &mut Conn| {
            segments::hold_definitions(conn)?;
            Ok::<_, StoreError>(segments::create(conn, &new)?.id)
        };
        self.db.connect().write(create).expect("a segment")
    }

    /// Evaluates everybody for the segments that are new, and all that waits. How long that took.
    pub(crate) fn build(&self) -> Duration {
        let began = Instant::now();
        let mut worker = self.worker();
        self.runtime.block_on(async {
            while worker.build().await.expect("a stretch") {}
            while worker.keep_up().await.expect("a batch").is_some() {}
        });
        began.elapsed()
    }

    /// Evaluates all that waits. How long that took, and what came of it.
    pub(crate) fn keep_up(&self) -> (Duration, Evaluated) {
        let began = Instant::now();
        let mut worker = self.worker();
        let mut sum = Evaluated::default();
        self.runtime.block_on(async {
            while let Some(batch) = worker.keep_up().await.expect("a batch") {
                sum += batch.evaluated;
            }
        });
        (began.elapsed(), sum)
    }

    fn worker(&self) -> SegmentWorker {
        SegmentWorker::new(self.store.clone(), KnownCriteria::default())
    }

    /// Makes twenty segments, unless they are there, and brings them up to date.
    pub(crate) fn with_twenty(&self) {
        if self.db.number("SELECT count(*) AS n FROM segments") != 20 {
            self.clear();
            for typical in self.typical() {
                self.create(typical.what, typical.criteria);
            }
            for (n, criteria) in rules::others().into_iter().enumerate() {
                self.create(&format!("other {n}"), criteria);
            }
        }
        self.build();
        if self.is_postgres() {
            self.db.execute("VACUUM (ANALYZE) segment_members, segment_transitions, contact_timers, touches");
        }
    }

    /// The segment of this name.
    pub(crate) fn segment(&self, name: &str) -> i64 {
        self.db.number(&format!("SELECT id AS n FROM segments WHERE name = '{name}'"))
    }

    /// How many touches wait.
    pub(crate) fn waiting(&self) -> i64 {
        self.db.number("SELECT count(*) AS n FROM touches")
    }

    /// The program on this database.
    pub(crate) fn start(&self) -> Volley {
        Volley::on(&self.db).settings("[log]\nlevel = \"warn\"\n").start()
    }
}
