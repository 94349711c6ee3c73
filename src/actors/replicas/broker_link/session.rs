//! One connection to the broker. Every call has a time limit: a broker that blocks says nothing.

use std::convert::Infallible;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, OwnedTLSConfig};
use lapin::types::{FieldTable, LongString, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::config::broker::Broker;

/// A page that was announced so long ago is ready no more, or has been announced again.
pub(super) const MESSAGE_LIVES_MS: &str = "60000";

/// How long any answer of the broker is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Seconds between heartbeats. Shorter ones invite false alarms.
const HEARTBEAT_SECONDS: u16 = 10;

/// How a session ends: it runs until something is wrong.
pub(super) type Ends = Result<Infallible, LinkError>;

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// No answer in time.
    #[error("{0}: no answer in time")]
    Silent(&'static str),
    /// The broker or the network said no.
    #[error("{action}: {source}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// What was said.
        #[source]
        source: lapin::Error,
    },
    /// A message reached no queue, or was not taken.
    #[error("{0}: the message was not taken")]
    NotTaken(&'static str),
    /// The broker ended the subscription.
    #[error("{0}: the subscription was ended")]
    Ended(&'static str),
    /// What was sent to ourselves did not come back.
    #[error("no message comes back on the control queue")]
    Deaf,
    /// The broker stopped reading: memory or disk alarm.
    #[error("the broker blocks publishers: {0}")]
    Blocked(String),
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

/// Waits for an answer.
pub(super) async fn call<T>(
    action: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, LinkError> {
    within(PATIENCE, action, answer).await
}

async fn within<T>(
    limit: Duration,
    action: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(LinkError::Refused { action, source }),
        Err(_) => Err(LinkError::Silent(action)),
    }
}

/// A connection whose socket is shut when it is dropped. Left to itself, lapin says goodbye first, and keeps thread and
/// socket until the broker answers: one that is frozen, or has raised an alarm, never does.
pub(super) struct Session {
    connection: Connection,
    _wire: ShutOnDrop,
}

impl std::ops::Deref for Session {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// The socket under a connection, or under the attempt to make one.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Option<OwnedFd>>>);

impl Wire {
    fn is(&self, socket: OwnedFd) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }
}

/// Shuts the socket, although other parts may still hold it.
struct ShutOnDrop(Wire);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        if let Some(socket) = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _already_shut = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
        }
    }
}

/// Connects, with lapin's own recovery off.
pub(super) async fn connect(broker: &Broker, purpose: &str) -> Result<Session, LinkError> {
    let mut uri: AMQPUri = broker.uri().map_err(LinkError::Settings)?;
    uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
    let tls = OwnedTLSConfig { identity: None, cert_chain: broker.authorities().map_err(LinkError::Settings)? };
    let name = format!("volley {} {purpose}", std::process::id());
    let properties = ConnectionProperties::default().with_connection_name(LongString::from(name));
    let runtime = lapin::runtime::default_runtime()
        .map_err(|source| LinkError::Refused { action: "start a connection", source })?;
    let wire = Wire::default();
    let shut = ShutOnDrop(wire.clone());
    let made = Connection::connector(
        uri,
        runtime,
        async move |uri: AMQPUri, runtime| {
            let connected: std::io::Result<_> = async {
                let mut in_the_clear = uri.clone();
                in_the_clear.scheme = AMQPScheme::AMQP;
                let none = OwnedTLSConfig::default();
                let stream = in_the_clear.connect_with_config_async(none.as_ref(), &runtime).await?;
                if let AsyncTcpStream::Plain(socket) = &stream {
                    wire.is(socket.get_ref().as_fd().try_clone_to_owned()?);
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await,
                }
            }
            .await;
            connected.map_err(|error| lapin::ErrorKind::IOError(Arc::new(error)).into())
        },
        properties,
    );
    let connection = within(CONNECT_WITHIN, "connect", made).await?;
    Ok(Session { connection, _wire: shut })
}

/// A channel on which every message is confirmed.
pub(super) async fn confirming(connection: &Connection) -> Result<Channel, LinkError> {
    let channel = call("open a channel", connection.create_channel()).await?;
    call("ask for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// A message, ready to be published.
pub(super) struct Publication {
    pub(super) exchange: &'static str,
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) properties: BasicProperties,
    /// Whether a queue has to exist for it.
    pub(super) mandatory: bool,
}

impl Publication {
    /// A message with nothing but its body. It is not written to disk: what it says is in a row.
    pub(super) fn plain(exchange: &'static str, key: &str, body: Vec<u8>) -> Self {
        let properties = BasicProperties::default()
            .with_content_type(ShortString::from("application/json"))
            .with_delivery_mode(1)
            .with_expiration(ShortString::from(MESSAGE_LIVES_MS));
        Self { exchange, key: key.to_owned(), body, properties, mandatory: false }
    }

    /// The same, kept by the broker until somebody takes it.
    pub(super) fn lasting(exchange: &'static str, key: &str, body: Vec<u8>) -> Self {
        let properties =
            BasicProperties::default().with_content_type(ShortString::from("application/json")).with_delivery_mode(2);
        Self { exchange, key: key.to_owned(), body, properties, mandatory: false }
    }

    /// With a header.
    pub(super) fn with_headers(mut self, headers: FieldTable) -> Self {
        self.properties = self.properties.with_headers(headers);
        self
    }
}

/// Publishes messages and waits until the broker has taken each.
pub(super) async fn publish(channel: &Channel, publications: Vec<Publication>) -> Result<(), LinkError> {
    const ACTION: &str = "publish";
    let mut confirms = Vec::with_capacity(publications.len());
    for publication in publications {
        let options = BasicPublishOptions { mandatory: publication.mandatory, immediate: false };
        let (exchange, key) = (ShortString::from(publication.exchange), short(&publication.key));
        let sent = channel.basic_publish(exchange, key, options, &publication.body, publication.properties);
        confirms.push((publication.mandatory, call(ACTION, sent).await?));
    }
    for (mandatory, confirm) in confirms {
        let confirmed = call(ACTION, confirm).await?;
        let refused = confirmed.is_nack();
        // A message that reached no queue is confirmed like any other, and returned first.
        if refused || mandatory && confirmed.take_message().is_some() {
            return Err(LinkError::NotTaken(ACTION));
        }
    }
    Ok(())
}

/// A name as AMQP carries it: at most 255 bytes.
pub(super) fn short(text: &str) -> ShortString {
    ShortString::try_new(text.to_owned()).unwrap_or_default()
}
