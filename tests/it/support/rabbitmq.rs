//! The private RabbitMQ that the tests of this process share, each in a virtual host of its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::runtime::Runtime;
use volley::verify::VerifyError;
use volley::verify::servers::rabbitmq::RabbitMq;

use super::database::leave_out;
use super::waiting::wait_for;

/// Virtual hosts made at once: each call of `rabbitmqctl` starts a machine of Erlang's.
const HOSTS_AT_ONCE: usize = 24;

/// Held by everyone who uses the broker, and by one alone who breaks it.
static IN_USE: RwLock<()> = RwLock::new(());

/// A virtual host on the shared broker.
pub(crate) struct Broker {
    server: &'static RabbitMq,
    host: String,
    used: Use,
}

enum Use {
    Together(#[allow(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

fn shared() -> Result<&'static RabbitMq, &'static str> {
    static SHARED: OnceLock<Result<RabbitMq, String>> = OnceLock::new();
    let started = SHARED.get_or_init(|| match RabbitMq::start() {
        Ok(server) => Ok(server),
        Err(VerifyError::Absent(why)) => Err(why),
        Err(error) => panic!("{error}"),
    });
    started.as_ref().map_err(String::as_str)
}

/// A virtual host that nobody has used.
fn fresh_host(server: &RabbitMq) -> String {
    static GIVEN: Mutex<usize> = Mutex::new(0);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if given.is_multiple_of(HOSTS_AT_ONCE) {
        let numbers = format!("lists:seq({}, {})", *given, *given + HOSTS_AT_ONCE - 1);
        let make = make_host("integer_to_binary(N)");
        server.control(&["eval", &format!("lists:foreach(fun(N) -> {make} end, {numbers}).")]).unwrap();
    }
    *given += 1;
    (*given - 1).to_string()
}

/// Erlang that makes the virtual host which `name` says, for the one user there is.
fn make_host(name: &str) -> String {
    let all = "<<\".*\">>, <<\".*\">>, <<\".*\">>";
    format!(
        "ok = rabbit_vhost:add({name}, <<\"test\">>), \
         ok = rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, {name}, {all}, <<\"test\">>)"
    )
}

impl Broker {
    /// A virtual host beside those of other tests. Without RabbitMQ: none, and the test is left out aloud; a failure when
    /// `VOLLEY_TEST_REQUIRE_RABBITMQ` is `1`.
    pub(crate) fn shared(test: &str) -> Option<Self> {
        Self::used(test, || Use::Together(IN_USE.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The same, while no other test uses the broker: it may be broken.
    pub(crate) fn alone(test: &str) -> Option<Self> {
        Self::used(test, || Use::Alone(IN_USE.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn used(test: &str, wait: impl FnOnce() -> Use) -> Option<Self> {
        match shared() {
            Ok(server) => {
                let used = wait();
                Some(Self { server, host: fresh_host(server), used })
            }
            Err(why) => leave_out(test, why, "VOLLEY_TEST_REQUIRE_RABBITMQ"),
        }
    }

    /// The virtual host's address.
    pub(crate) fn url(&self) -> String {
        self.url_by(self.server.port())
    }

    /// The virtual host's address by another port of this machine, such as a proxy's.
    pub(crate) fn url_by(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.host)
    }

    /// Where the broker listens.
    pub(crate) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Kills the broker.
    pub(crate) fn kill(&self) {
        self.assert_alone();
        self.server.kill();
    }

    /// Starts it again.
    pub(crate) fn start_again(&self) {
        self.server.start_again().unwrap();
    }

    /// Has the broker think that it has too little memory, or not.
    pub(crate) fn alarm(&self, on: bool) {
        self.assert_alone();
        let share = if on { "0.00001" } else { "0.4" };
        self.server.control(&["set_vm_memory_high_watermark", share]).unwrap();
    }

    /// Removes the virtual host with all that is in it, and makes it again.
    pub(crate) fn wipe(&self) {
        let name = format!("<<\"{}\">>", self.host);
        let make = make_host(&name);
        self.server.control(&["eval", &format!("rabbit_vhost:delete({name}, <<\"test\">>), {make}.")]).unwrap();
    }

    fn assert_alone(&self) {
        assert!(matches!(self.used, Use::Alone(_)), "other tests use the broker");
    }

    /// A client of the virtual host.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A test that failed leaves a whole broker to the next.
        if std::thread::panicking() && matches!(self.used, Use::Alone(_)) {
            if !self.server.answers() {
                self.server.kill();
                let _best_effort = self.server.start_again();
            }
            let _best_effort = self.server.control(&["set_vm_memory_high_watermark", "0.4"]);
        }
    }
}

/// Somebody else on the broker.
pub(crate) struct Client {
    runtime: Runtime,
    channel: Channel,
    _connection: Connection,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
    /// `volley.ping` is what an instance says to itself.
    pub(crate) kind: Option<String>,
}

impl Client {
    fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("reach RabbitMQ");
            let channel = connection.create_channel().await.expect("a channel");
            (connection, channel)
        });
        Self { runtime, channel, _connection: connection }
    }

    /// Publishes what may be a message.
    pub(crate) fn publish(&self, exchange: &str, key: &str, body: &[u8]) {
        let sent = self.channel.basic_publish(
            ShortString::from(exchange.to_owned()),
            ShortString::from(key.to_owned()),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default(),
        );
        self.runtime.block_on(async { sent.await.expect("publish").await.expect("published") });
    }

    /// A queue of one's own that gets everything of `exchanges`.
    pub(crate) fn listen(&self, exchanges: &[&str]) -> String {
        let name = format!("listener.{}", uuid::Uuid::new_v4());
        let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        self.runtime.block_on(async {
            let queue = ShortString::from(name.clone());
            self.channel.queue_declare(queue.clone(), own, FieldTable::default()).await.expect("declare");
            for exchange in exchanges {
                let exchange = ShortString::from((*exchange).to_owned());
                let (all, options) = (ShortString::from("#"), QueueBindOptions::default());
                let bound = self.channel.queue_bind(queue.clone(), exchange, all, options, FieldTable::default());
                bound.await.expect("bind");
            }
        });
        name
    }

    /// Takes what waits in a queue.
    pub(crate) fn take_all(&self, queue: &str) -> Vec<Received> {
        let mut all = Vec::new();
        self.runtime.block_on(async {
            let options = BasicGetOptions { no_ack: true };
            let queue = ShortString::from(queue.to_owned());
            while let Some(message) = self.channel.basic_get(queue.clone(), options).await.expect("get") {
                let properties = &message.delivery.properties;
                let headers = properties.headers().clone().unwrap_or_default();
                let headers = headers.inner().iter().filter_map(|(name, value)| {
                    let AMQPValue::LongString(text) = value else { return None };
                    Some((name.to_string(), text.to_string()))
                });
                all.push(Received {
                    headers: headers.collect(),
                    kind: properties.kind().as_ref().map(ToString::to_string),
                    body: message.delivery.data.clone(),
                });
            }
        });
        all
    }

    /// Throws away what waits in a queue.
    pub(crate) fn purge(&self, queue: &str) {
        let purged = self.channel.queue_purge(ShortString::from(queue.to_owned()), QueuePurgeOptions::default());
        self.runtime.block_on(purged).expect("purge");
    }

    /// Deletes a queue.
    pub(crate) fn delete(&self, queue: &str) {
        let deleted = self.channel.queue_delete(ShortString::from(queue.to_owned()), QueueDeleteOptions::default());
        self.runtime.block_on(deleted).expect("delete");
    }
}

/// Waits until a queue exists.
#[track_caller]
pub(crate) fn wait_for_queue(broker: &Broker, queue: &str) {
    wait_for(&format!("{queue} is there"), Duration::from_secs(30), || {
        // To ask for a queue that is missing closes the channel.
        let client = broker.client();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = client.channel.queue_declare(ShortString::from(queue.to_owned()), passive, FieldTable::default());
        client.runtime.block_on(asked).ok()
    });
}
