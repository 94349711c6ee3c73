//! `volley campaign create`: a draft from the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::client::{self, Client};
use crate::cli::output::Output;
use crate::domain::channel::ChannelKind;

/// What a new campaign says, and to which people. What is not here can be said in the file of `--body`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the campaign
    name: String,
    /// email, sms, whatsapp or http; email unless --body says otherwise
    #[arg(long, value_parser = super::channel)]
    channel: Option<ChannelKind>,
    /// The pool that sends it; not needed where the channel has only one
    #[arg(long)]
    pool: Option<String>,
    /// Say what this template says, by its id
    #[arg(long, value_name = "ID", conflicts_with_all = ["subject", "text", "html"])]
    template: Option<i64>,
    /// Subject, with placeholders such as {first_name}
    #[arg(long)]
    subject: Option<String>,
    /// File with the plain text; - is standard input
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// File with the HTML; - is standard input
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Send to those who are subscribed to this list, by id or slug; may be repeated
    #[arg(long = "list", value_name = "LIST")]
    lists: Vec<String>,
    /// Send to the members of this segment, by id or slug; may be repeated
    #[arg(long = "segment", value_name = "SEGMENT")]
    segments: Vec<String>,
    /// Send to those who have this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Send to every contact
    #[arg(long)]
    all: bool,
    /// Leave out who is on this list, by id or slug; may be repeated
    #[arg(long = "exclude-list", value_name = "LIST")]
    exclude_lists: Vec<String>,
    /// Leave out the members of this segment, by id or slug; may be repeated
    #[arg(long = "exclude-segment", value_name = "SEGMENT")]
    exclude_segments: Vec<String>,
    /// Leave out who has this tag; may be repeated
    #[arg(long = "exclude-tag", value_name = "TAG")]
    exclude_tags: Vec<String>,
    /// The list that it is about, by id or slug; not needed where it goes to lists
    #[arg(long, value_name = "LIST")]
    topic: Option<String>,
    /// A value of its own, which the content prints as {{ campaign.props.NAME }}; may be repeated
    #[arg(long = "prop", value_name = "NAME=VALUE", value_parser = prop)]
    props: Vec<(String, String)>,
    /// Most hand-overs per second
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Launch by itself at this time, such as 2027-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "send")]
    at: Option<String>,
    /// File with the body of POST /v1/campaigns as JSON; - is standard input. The other arguments go before what it says
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Launch it at once; a campaign that cannot be launched is not made
    #[arg(long)]
    pub(super) send: bool,
    /// Then watch it until it ends
    #[arg(long, requires = "send")]
    pub(super) watch: bool,
}

fn prop(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE, such as code=SPRING")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Makes the campaign. Returns its id.
///
/// # Errors
/// A file cannot be read, or the API refuses.
pub(super) async fn run(client: &Client, args: &CreateArgs, output: &Output) -> anyhow::Result<i64> {
    let body = Value::Object(body(args)?);
    let campaign = client.post_once("v1/campaigns", &body).await?;
    let id = campaign.get("id").and_then(Value::as_i64).unwrap_or_default();
    let what = match client::text(&campaign, "/status") {
        "draft" => format!(
            "campaign {id} is a draft: `volley campaign preflight {id}` looks it over, and `volley campaign send {id}` launches it"
        ),
        "scheduled" => format!("campaign {id} launches at {}", client::text(&campaign, "/scheduled_at")),
        status => format!("campaign {id} is {status}; `volley campaign watch {id}` follows it"),
    };
    if !args.watch {
        output.either(&campaign, &what)?;
    }
    Ok(id)
}

/// The body of the request.
fn body(args: &CreateArgs) -> anyhow::Result<Map<String, Value>> {
    let mut body = match &args.body {
        Some(file) => serde_json::from_str(&read(file)?)
            .with_context(|| format!("{} has no JSON object with the fields of a campaign", file.display()))?,
        None => Map::new(),
    };
    body.insert("name".to_owned(), json!(args.name));
    if args.channel.is_some() || !body.contains_key("channel") {
        body.insert("channel".to_owned(), json!(args.channel.unwrap_or(ChannelKind::Email)));
    }
    let mut set = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
    set("pool", args.pool.as_ref().map(|pool| json!(pool)));
    set("template_id", args.template.map(|id| json!(id)));
    set("subject", args.subject.as_ref().map(|subject| json!(subject)));
    set("body_text", args.text.as_deref().map(read).transpose()?.map(Value::String));
    set("body_html", args.html.as_deref().map(read).transpose()?.map(Value::String));
    set("topic_id", args.topic.as_deref().map(named));
    set("rate_per_second", args.rate.map(|rate| json!(rate)));
    set("scheduled_at", args.at.as_ref().map(|at| json!(at)));
    set("launch", args.send.then_some(Value::Bool(true)));
    let audience = ways(&[("lists", &args.lists), ("segments", &args.segments)], &args.tags);
    let excluded = ways(&[("lists", &args.exclude_lists), ("segments", &args.exclude_segments)], &args.exclude_tags);
    if args.all || !audience.is_empty() || !excluded.is_empty() {
        let all = body.entry("audience").or_insert_with(|| json!({}));
        let all = all.as_object_mut().context("audience is no JSON object")?;
        all.extend(audience);
        if args.all {
            all.insert("all".to_owned(), Value::Bool(true));
        }
        if !excluded.is_empty() {
            let exclude = all.entry("exclude").or_insert_with(|| json!({}));
            exclude.as_object_mut().context("audience.exclude is no JSON object")?.extend(excluded);
        }
    }
    if !args.props.is_empty() {
        let all = body.entry("props").or_insert_with(|| json!({}));
        let props = args.props.iter().map(|(name, value)| (name.clone(), json!(value)));
        all.as_object_mut().context("props is no JSON object")?.extend(props);
    }
    Ok(body)
}

/// The ways in which people are named that are used.
fn ways(named_ways: &[(&str, &Vec<String>)], tags: &[String]) -> Map<String, Value> {
    let named_ways = named_ways.iter().map(|(way, names)| (*way, names.iter().map(|name| named(name)).collect()));
    named_ways
        .chain([("tags", tags.iter().map(|tag| json!(tag)).collect())])
        .filter(|(_, names): &(&str, Vec<Value>)| !names.is_empty())
        .map(|(way, names)| (way.to_owned(), Value::Array(names)))
        .collect()
}

/// An id, or a slug.
fn named(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |id| json!(id))
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("cannot read standard input");
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
