//! `volley list …`: who agrees to a list and who refuses it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::contact_key::contact_key;
use super::export::Target;
use super::output::{self, Output, grouped};
use crate::config::Settings;

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// Subscribe a contact, or all that match, to a list; who has refused it stays unsubscribed, unless --resubscribe says why
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
    /// Unsubscribe a contact, or all that match, from a list
    Unsubscribe {
        #[command(flatten)]
        who: Who,
    },
    /// Write who stands on a list as CSV or JSON lines: how, since when, and where that comes from
    Export {
        /// The list, by id or slug
        list: String,
        /// Only those who stand on it so: subscribed, unconfirmed or unsubscribed
        #[arg(long, value_parser = ["subscribed", "unconfirmed", "unsubscribed"])]
        standing: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

/// A list and a contact, or contacts by what is known of them.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The list, by id or slug
    list: String,
    /// The contact: email address, phone number (+…), or id (id:7), or external id (external:c-7)
    #[arg(required_unless_present_any = FILTERS, conflicts_with_all = FILTERS)]
    contact: Option<String>,
    /// In place of a contact: all who are subscribed to this list, by id or slug
    #[arg(long, value_name = "LIST")]
    on: Option<String>,
    /// Or who stand on it so: subscribed, unconfirmed or unsubscribed
    #[arg(long, requires = "on", value_parser = ["subscribed", "unconfirmed", "unsubscribed"])]
    standing: Option<String>,
    /// In place of a contact: all who have this tag
    #[arg(long)]
    tag: Option<String>,
    /// In place of a contact: all whose address is suppressed (true), or is not (false)
    #[arg(long, value_name = "BOOL")]
    suppressed: Option<bool>,
    /// In place of a contact: all with this text in email, phone, external id or a name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// What takes the place of a contact. Several together narrow each other.
const FILTERS: [&str; 4] = ["on", "tag", "suppressed", "search"];

impl Who {
    /// The filter that selects contacts, where no one is named.
    fn filter(&self) -> Value {
        let mut filter = serde_json::Map::new();
        let list = self.on.as_deref().map(|list| list.parse::<i64>().map_or_else(|_| json!(list), |id| json!(id)));
        let fields = [
            ("list", list),
            ("standing", self.standing.as_ref().map(|it| json!(it))),
            ("tag", self.tag.as_ref().map(|it| json!(it))),
            ("suppressed", self.suppressed.map(|it| json!(it))),
            ("search", self.search.as_ref().map(|it| json!(it))),
        ];
        filter.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Value::Object(filter)
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
        ListCommand::Export { list, standing, target } => {
            let path = path_of(&list, &["members", "export"])?;
            target.save(&client, &path, &[("standing", standing.as_deref())], output).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let path = path_of(&who.list, &[verb])?;
    let Some(contact) = &who.contact else { return by_filter(&client, &path, &who, body, output).await };
    let (name, value) = contact_key(contact);
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    let done = client.post_once(&path, &body).await?;
    output.either(&done, &said(contact, &who.list, &done))?;
    Ok(ExitCode::SUCCESS)
}

/// The path of what a list has.
fn path_of(list: &str, what: &[&str]) -> anyhow::Result<String> {
    let mut path = url::Url::parse("http://list/v1/lists")?;
    if let Ok(mut segments) = path.path_segments_mut() {
        segments.push(list).extend(what);
    }
    Ok(path.path().trim_start_matches('/').to_owned())
}

/// What an answer counts.
const COUNTS: [&str; 5] = ["subscribed", "unconfirmed", "unsubscribed", "unchanged", "stay_refused"];

/// Goes on until the filter takes nobody more. Interrupted, the same command again finishes it.
async fn by_filter(
    client: &Client,
    path: &str,
    who: &Who,
    mut body: Value,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let mut counts = COUNTS.map(|name| (name, 0));
    if let Some(fields) = body.as_object_mut() {
        fields.insert("filter".to_owned(), who.filter());
    }
    loop {
        let part = client.post_once(path, &body).await?;
        for (name, count) in &mut counts {
            *count += part.get(*name).and_then(Value::as_i64).unwrap_or_default();
        }
        match (part.get("next_cursor").filter(|cursor| cursor.is_string()), body.as_object_mut()) {
            (Some(cursor), Some(fields)) => {
                fields.insert("cursor".to_owned(), cursor.clone());
                output::complain(&format!("{} so far", told(&counts)));
            }
            (None, _) | (_, None) => break,
        }
    }
    let document = counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    output.either(&Value::Object(document), &format!("{}: {}", who.list, told(&counts)))?;
    Ok(ExitCode::SUCCESS)
}

/// `2,189 subscribed, 1 stay refused`, zeros left out.
fn told(counts: &[(&str, i64)]) -> String {
    let told = counts.iter().filter(|(_, count)| *count > 0);
    let told: Vec<String> =
        told.map(|(name, count)| format!("{} {}", grouped(*count), name.replace('_', " "))).collect();
    if told.is_empty() { "nobody matches".to_owned() } else { told.join(", ") }
}

fn said(contact: &str, list: &str, done: &Value) -> String {
    let standing = done.pointer("/contacts/0/standing").and_then(Value::as_str);
    let count = |name: &str| done.get(name).and_then(Value::as_i64).unwrap_or_default();
    match standing {
        Some(_) if count("stay_refused") > 0 => {
            format!("{contact} has refused {list} and stays unsubscribed; --resubscribe REASON overrides that")
        }
        Some(standing) => format!("{contact} is {standing} on {list}"),
        None if count("addresses") > 0 => format!("no contact has {contact}: the address is refused for {list}"),
        None => format!("{contact} does not stand on {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_many_is_told_without_its_zeros() {
        let mut counts = COUNTS.map(|name| (name, 0));
        assert_eq!(told(&counts), "nobody matches");
        counts[0].1 = 2_189;
        counts[4].1 = 1;
        assert_eq!(told(&counts), "2,189 subscribed, 1 stay refused");
    }
}
