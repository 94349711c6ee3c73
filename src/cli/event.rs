//! `volley event …`: what contacts did.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::client::{self, Client};
use super::contact_key::contact_key;
use super::output::{self, Output};
use crate::config::Settings;

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Send an event; the contact is created if it does not exist
    Send {
        /// Its name, such as order_placed
        name: String,
        /// The contact: email address, phone number (+…), or id (id:7), or external id (external:c-7)
        contact: String,
        /// What else is known of it; may be given several times. A value that is JSON is taken as such, any other as text
        #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
        properties: Vec<(String, Value)>,
        /// When it occurred: a time (2027-03-01T09:00:00Z). Without it, now
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Under the same key, an event is stored once
        #[arg(long)]
        key: Option<String>,
    },
    /// List events, the newest first
    List {
        /// Only those of the contact with this id
        #[arg(long, value_name = "ID")]
        contact: Option<i64>,
        /// Only those of this name
        #[arg(long)]
        name: Option<String>,
        /// Only those from this source
        #[arg(long)]
        source: Option<String>,
        /// Most rows
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

fn property(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "has no =".to_owned())?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_no_json| json!(value))))
}

pub(crate) async fn run(command: EventCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        EventCommand::Send { name, contact, properties, at, key } => {
            let properties: Map<String, Value> = properties.into_iter().collect();
            let (field, value) = contact_key(&contact);
            let mut body = json!({ "name": name, "properties": properties, "occurred_at": at, "key": key });
            if let Some(fields) = body.as_object_mut() {
                fields.insert(field.to_owned(), value);
            }
            // The key is the event's: a header of another one would contradict it.
            let stored = client.post("v1/events", &body).await?;
            output.either(&stored, &said(&stored))?;
        }
        EventCommand::List { contact, name, source, limit } => {
            let contact = contact.map(|id| id.to_string());
            let filters =
                [("contact_id", contact.as_deref()), ("name", name.as_deref()), ("source", source.as_deref())];
            let events = list(&client, &filters, usize::from(limit)).await?;
            let rows: Vec<Vec<String>> = events.iter().map(row).collect();
            let header = ["ID", "OCCURRED", "CONTACT", "NAME", "SOURCE", "PROPERTIES"];
            output.either(&json!({ "data": events }), &output::table(&header, &rows))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes on until there are enough: a part of the list may have none that fit, and more may follow.
async fn list(client: &Client, filters: &[(&str, Option<&str>)], limit: usize) -> anyhow::Result<Vec<Value>> {
    let (mut events, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let page_size = limit.saturating_sub(events.len()).clamp(1, 100).to_string();
        let mut query: Vec<(&str, &str)> =
            filters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        query.push(("page_size", &page_size));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let part = client.get("v1/events", &query).await?;
        events.extend(part.get("data").and_then(Value::as_array).into_iter().flatten().cloned());
        cursor = part.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
        if cursor.is_none() || events.len() >= limit {
            return Ok(events);
        }
    }
}

fn row(event: &Value) -> Vec<String> {
    let number = |pointer| event.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let text = |pointer| client::text(event, pointer).to_owned();
    vec![
        number("/id"),
        text("/occurred_at"),
        number("/contact_id"),
        text("/name"),
        text("/source"),
        number("/properties"),
    ]
}

fn said(stored: &Value) -> String {
    let id = stored.get("id").map(ToString::to_string).unwrap_or_default();
    let ignored: Vec<&str> =
        stored.get("ignored_keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let was = if stored.get("stored").and_then(Value::as_bool) == Some(true) {
        "stored"
    } else {
        "was stored before, under the same key"
    };
    match ignored.as_slice() {
        [] => format!("event {id} {was}"),
        ignored => format!("event {id} {was}; ignored because another contact has it: {}", ignored.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_json_or_text() {
        assert_eq!(property("total=12.5").unwrap(), ("total".to_owned(), json!(12.5)));
        assert_eq!(property("city=Bonn").unwrap(), ("city".to_owned(), json!("Bonn")));
        assert_eq!(property("note=a=b").unwrap(), ("note".to_owned(), json!("a=b")));
        assert!(property("total").is_err());
    }
}
