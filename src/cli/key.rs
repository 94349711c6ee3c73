//! `volley key …`: API keys, straight in the database, so that a first key needs no key.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Output};
use crate::app;
use crate::config::Settings;
use crate::domain::access::{Rights, Scope};
use crate::domain::events::EventSource;
use crate::domain::instant::UtcInstant;
use crate::store::access::api_keys::NewKey;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it, this once
    Create {
        /// What the key is for
        name: String,
        /// What the key allows: ingest (put in contacts), read (see everything but keys), operate (both, and change and send
        /// campaigns), admin (everything)
        #[arg(long, value_parser = scope)]
        scope: Scope,
        /// When the key stops working by itself: a time (2027-03-01T09:00:00Z) or a number of days (90d). Without it, never
        #[arg(long, value_name = "WHEN", value_parser = Expiry::parse)]
        expires: Option<Expiry>,
        /// What the key calls itself in events. Give a key that takes the place of this one the same. Without it, the name
        #[arg(long, value_parser = source)]
        source: Option<String>,
    },
    /// List keys, without the secrets: those are not stored
    List,
    /// Revoke a key: it stops working at once, and stays revoked
    Revoke {
        /// Key id, as `key list` shows it
        id: i64,
    },
    /// Sign the links of new campaigns with a new key; links that were sent stay valid
    RotateLinks,
}

fn source(text: &str) -> Result<String, String> {
    EventSource::check(text).map(|()| text.to_owned()).map_err(|error| error.reason)
}

fn scope(text: &str) -> Result<Scope, String> {
    let all = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    Scope::from_text(text).ok_or_else(|| format!("one of: {}", all()))
}

/// When a key expires, as people write it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expiry {
    /// At this time.
    At(UtcInstant),
    /// So many days from now.
    Days(u32),
}

impl Expiry {
    fn parse(text: &str) -> Result<Self, String> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        match days {
            Some(days) => Ok(Self::Days(days)),
            None => {
                UtcInstant::parse(text).map(Self::At).map_err(|error| format!("{error}, and no number of days (90d)"))
            }
        }
    }

    fn instant(self) -> UtcInstant {
        match self {
            Self::At(at) => at,
            Self::Days(days) => {
                let now = UtcInstant(jiff::Timestamp::now().as_millisecond());
                now.plus(std::time::Duration::from_secs(u64::from(days) * 86_400))
            }
        }
    }
}

fn with_key(mut document: Value, key: &str) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.insert("key".to_owned(), json!(key));
    }
    document
}

pub(crate) async fn run(command: KeyCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Create { name, scope, expires, source } => {
            let expires_at = expires.map(Expiry::instant);
            let document = json!({ "name": name, "scope": scope, "expires_at": expires_at, "source": source });
            let new = NewKey { name, rights: Rights { scope, expires_at }, source };
            let key = app::create_key(settings, new).await?;
            output.either(&with_key(document, &key), &key)?;
            output::complain("This key is not shown again.");
        }
        KeyCommand::List => {
            let keys = app::list_keys(settings).await?;
            let when = |at: Option<UtcInstant>| at.map_or("-".to_owned(), |at| at.to_string());
            let rows: Vec<Vec<String>> = keys
                .iter()
                .map(|key| {
                    vec![
                        key.id.to_string(),
                        key.name.clone(),
                        key.scope.to_string(),
                        format!("{}…", key.prefix),
                        key.created_at.to_string(),
                        when(key.last_used_at),
                        when(key.expires_at),
                        when(key.revoked_at),
                    ]
                })
                .collect();
            let header = ["ID", "NAME", "SCOPE", "KEY", "CREATED", "LAST USED", "EXPIRES", "REVOKED"];
            output.either(&json!({ "data": keys }), &output::table(&header, &rows))?;
        }
        KeyCommand::Revoke { id } => {
            anyhow::ensure!(app::revoke_key(settings, id).await?, "there is no active key {id}");
            output.either(&json!({ "id": id, "revoked": true }), &format!("key {id} revoked"))?;
        }
        KeyCommand::RotateLinks => {
            let kid = app::rotate_links(settings).await?;
            let text = format!("Campaigns that are launched from now on sign their links with key {kid}.");
            output.either(&json!({ "kid": kid }), &text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
