//! `volley list …`: who agrees to a list and who refuses it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::output::Output;
use crate::config::Settings;

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// Subscribe a contact to a list; one that has refused it stays unsubscribed, unless --resubscribe says why
    Subscribe {
        #[command(flatten)]
        who: Who,
        /// Subscribe a contact that has refused, too: the reason, for the log
        #[arg(long, value_name = "REASON")]
        resubscribe: Option<String>,
        /// The person has confirmed it: a list with double opt-in does not ask again
        #[arg(long)]
        confirmed: bool,
    },
    /// Unsubscribe a contact from a list
    Unsubscribe {
        #[command(flatten)]
        who: Who,
    },
}

/// A list and a contact.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The list, by id or slug
    list: String,
    /// The contact: email address, phone number (+…), or id (id:7), or external id (external:c-7)
    contact: String,
}

impl Who {
    /// The field that names the contact.
    fn key(&self) -> (&'static str, Value) {
        let contact = self.contact.as_str();
        if let Some(id) = contact.strip_prefix("id:").and_then(|id| id.parse::<i64>().ok()) {
            return ("contact_id", json!(id));
        }
        match contact.strip_prefix("external:") {
            Some(id) => ("external_id", json!(id)),
            None if contact.contains('@') => ("email", json!(contact)),
            None => ("phone", json!(contact)),
        }
    }
}

pub(crate) async fn run(command: ListCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let (who, verb, mut body) = match command {
        ListCommand::Subscribe { who, resubscribe, confirmed } => {
            let mut body = json!({ "confirmed": confirmed });
            if let (Some(reason), Some(fields)) = (resubscribe, body.as_object_mut()) {
                fields.insert("resubscribe".to_owned(), json!(true));
                fields.insert("reason".to_owned(), json!(reason));
            }
            (who, "subscribe", body)
        }
        ListCommand::Unsubscribe { who } => (who, "unsubscribe", json!({})),
    };
    let (name, value) = who.key();
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    let mut path = url::Url::parse("http://list/v1/lists")?;
    if let Ok(mut segments) = path.path_segments_mut() {
        segments.push(&who.list).push(verb);
    }
    let done = client.post_once(path.path().trim_start_matches('/'), &body).await?;
    output.either(&done, &said(&who, &done))?;
    Ok(ExitCode::SUCCESS)
}

fn said(who: &Who, done: &Value) -> String {
    let standing = done.pointer("/contacts/0/standing").and_then(Value::as_str);
    let count = |name: &str| done.get(name).and_then(Value::as_i64).unwrap_or_default();
    match standing {
        Some(_) if count("stay_refused") > 0 => {
            format!(
                "{} has refused {} and stays unsubscribed; --resubscribe REASON overrides that",
                who.contact, who.list
            )
        }
        Some(standing) => format!("{} is {standing} on {}", who.contact, who.list),
        None if count("addresses") > 0 => {
            format!("no contact has {}: the address is refused for {}", who.contact, who.list)
        }
        None => format!("{} does not stand on {}", who.contact, who.list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_named_by_any_key() {
        for (contact, field, value) in [
            ("ann@example.com", "email", json!("ann@example.com")),
            ("+442079460123", "phone", json!("+442079460123")),
            ("id:7", "contact_id", json!(7)),
            ("external:c-7", "external_id", json!("c-7")),
        ] {
            let who = Who { list: "news".to_owned(), contact: contact.to_owned() };
            assert_eq!(who.key(), (field, value), "{contact}");
        }
    }
}
