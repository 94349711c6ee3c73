//! `volley campaign …`: a client of a running instance.

mod create;
mod pace;
mod preflight;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{self, Client, ClientError};
use super::export::Target;
use super::output::{self, Output, grouped};
use super::progress::Progress;
use super::stream;
use super::watch::{self, Sight};
use crate::config::Settings;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::order::{Direction, SortKey};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::DeliveryState;

/// What can be done with campaigns.
#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// List campaigns, newest first
    List(ListArgs),
    /// Make a campaign; it is a draft until it is launched
    Create(Box<create::CreateArgs>),
    /// Show one campaign with its counts
    Show {
        /// Campaign id
        id: i64,
    },
    /// Count everybody who is meant by a campaign and make every message, and send nothing; exits with 1 if something forbids the launch
    Preflight {
        /// Campaign id
        id: i64,
    },
    /// Show how fast a campaign goes out, and which limit binds
    Pace {
        /// Campaign id
        id: i64,
    },
    /// Make a draft that says what another campaign says, to the same people
    Duplicate {
        /// Campaign id
        id: i64,
        /// Name of the copy; the same with "(copy)" unless given
        #[arg(long)]
        name: Option<String>,
    },
    /// Launch a campaign; `launch` is another word for it
    #[command(alias = "launch")]
    Send {
        /// Campaign id
        id: i64,
        /// Only if nothing has changed since the preflight with this fingerprint
        #[arg(long, value_name = "FINGERPRINT")]
        preflight: Option<String>,
        /// Then watch it until it ends
        #[arg(long)]
        watch: bool,
    },
    /// Hand nothing over until `resume`
    Pause {
        /// Campaign id
        id: i64,
    },
    /// Continue after a pause
    Resume {
        /// Campaign id
        id: i64,
    },
    /// End a campaign; recipients that it has not reached get no message
    Stop {
        /// Campaign id
        id: i64,
    },
    /// Try failed recipients again; a paused campaign stays paused
    RetryFailed {
        /// Campaign id
        id: i64,
        /// Only those who were last refused for a reason of this class, such as `policy`
        #[arg(long, value_parser = class)]
        answer_class: Option<AnswerClass>,
    },
    /// Show what was reported of a campaign's messages: bounces, opens, clicks
    Report {
        /// Campaign id
        id: i64,
        /// Write every recipient with its reports to this file, as CSV; - is stdout
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// Without the ' before cells that a spreadsheet would take for formulas
        #[arg(long, requires = "csv")]
        raw: bool,
    },
    /// Write what became of each recipient of a campaign, as CSV or JSON lines
    Export {
        /// Campaign id
        id: i64,
        /// Only those in this state: pending, sending, sent, failed, skipped or uncertain
        #[arg(long, value_parser = state)]
        status: Option<DeliveryState>,
        #[command(flatten)]
        target: Target,
    },
    /// Show a campaign's progress until it ends; exits with 1 if it fails
    Watch {
        /// Campaign id
        id: i64,
    },
}

/// Which campaigns to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those with this status; may be repeated
    #[arg(long, value_parser = status)]
    status: Vec<CampaignStatus>,
    /// Only those of this channel; may be repeated
    #[arg(long, value_parser = channel)]
    channel: Vec<ChannelKind>,
    /// Only those with this in their name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Sort by created_at, updated_at, scheduled_at, launched_at, ended_at or name, smallest first
    #[arg(long, value_parser = sort_key)]
    sort: Option<SortKey>,
    /// Largest first
    #[arg(long, requires = "sort")]
    reverse: bool,
    /// Page, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// Campaigns per page, 1 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    page_size: u32,
}

fn status(text: &str) -> Result<CampaignStatus, String> {
    CampaignStatus::from_text(text).ok_or_else(|| one_of(CampaignStatus::ALL))
}

fn channel(text: &str) -> Result<ChannelKind, String> {
    ChannelKind::from_text(text).ok_or_else(|| one_of(ChannelKind::ALL))
}

fn sort_key(text: &str) -> Result<SortKey, String> {
    SortKey::from_text(text).ok_or_else(|| one_of(SortKey::ALL))
}

fn state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::from_text(text).ok_or_else(|| one_of(DeliveryState::ALL))
}

fn class(text: &str) -> Result<AnswerClass, String> {
    AnswerClass::from_text(text).ok_or_else(|| one_of(AnswerClass::ALL))
}

fn one_of(values: &[impl ToString]) -> String {
    format!("one of {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

pub(crate) async fn run(command: CampaignCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        CampaignCommand::List(args) => list(&client, &args, output).await?,
        CampaignCommand::Create(args) => {
            let id = create::run(&client, &args, output).await?;
            if args.watch {
                return watch_to_end(&client, id, output).await;
            }
        }
        CampaignCommand::Show { id } => show(&client, id, output).await?,
        CampaignCommand::Preflight { id } => return preflight::run(&client, id, output).await,
        CampaignCommand::Pace { id } => pace::run(&client, id, output).await?,
        CampaignCommand::Duplicate { id, name } => {
            let copy = client.post_once(&format!("v1/campaigns/{id}/duplicate"), &json!({ "name": name })).await?;
            let copy_id = copy.get("id").and_then(Value::as_i64).unwrap_or_default();
            output.either(&copy, &format!("campaign {copy_id} is a draft like campaign {id}"))?;
        }
        CampaignCommand::Send { id, preflight, watch: false } => send(&client, id, preflight, output).await?,
        CampaignCommand::Send { id, preflight, watch: true } => {
            let answer = launch(&client, id, preflight).await?;
            output::complain(&launched(id, &answer));
            return watch_to_end(&client, id, output).await;
        }
        CampaignCommand::Pause { id } => act(&client, id, "pause", &json!({}), output).await?,
        CampaignCommand::Resume { id } => act(&client, id, "resume", &json!({}), output).await?,
        CampaignCommand::Stop { id } => act(&client, id, "stop", &json!({}), output).await?,
        CampaignCommand::RetryFailed { id, answer_class } => {
            act(&client, id, "retry-failed", &json!({ "answer_class": answer_class }), output).await?;
        }
        CampaignCommand::Report { id, csv: None, .. } => report::show(&client, id, output).await?,
        CampaignCommand::Report { id, csv: Some(file), raw } => report::save(&client, id, &file, raw, output).await?,
        CampaignCommand::Export { id, status, target } => {
            let filters = [("status", status.map(DeliveryState::as_str))];
            target.save(&client, &format!("v1/campaigns/{id}/deliveries/export"), &filters, output).await?;
        }
        CampaignCommand::Watch { id } => return watch_to_end(&client, id, output).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, args: &ListArgs, output: &Output) -> anyhow::Result<()> {
    let (page, page_size) = (args.page.to_string(), args.page_size.to_string());
    let mut query = vec![("page", page.as_str()), ("page_size", page_size.as_str())];
    query.extend(args.status.iter().map(|status| ("status", status.as_str())));
    query.extend(args.channel.iter().map(|channel| ("channel", channel.as_str())));
    query.extend(args.search.as_deref().map(|text| ("search", text)));
    query.extend(args.sort.map(|key| ("sort", key.as_str())));
    query.extend(args.reverse.then_some(("order", Direction::Desc.as_str())));
    let answer = client.get("v1/campaigns", &query).await?;
    let rows: Vec<Vec<String>> = answer
        .get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|campaign| {
            let count = |state: &str| {
                let count = campaign.pointer(&format!("/stats/{state}")).and_then(Value::as_i64);
                count.map_or_else(|| "-".to_owned(), grouped)
            };
            let text = |pointer| client::text(campaign, pointer).to_owned();
            let id = campaign.get("id").and_then(Value::as_i64).unwrap_or_default().to_string();
            let mut row = vec![id, text("/name"), text("/channel"), text("/status")];
            row.extend(["total", "pending", "sent", "failed", "uncertain"].map(count));
            row
        })
        .collect();
    let header = ["ID", "NAME", "CHANNEL", "STATUS", "TOTAL", "PENDING", "SENT", "FAILED", "UNCERTAIN"];
    let total = answer.pointer("/pagination/total_count").and_then(Value::as_i64).unwrap_or_default();
    let pages = answer.pointer("/pagination/total_pages").and_then(Value::as_i64).unwrap_or_default();
    let mut text = output::table(&header, &rows);
    text.push_str(&format!("\npage {page} of {pages}, {} campaigns", grouped(total)));
    Ok(output.either(&answer, &text)?)
}

async fn show(client: &Client, id: i64, output: &Output) -> anyhow::Result<()> {
    let campaign = client.get(&format!("v1/campaigns/{id}"), &[]).await?;
    output.either(&campaign, &portrait(&campaign)?)?;
    Ok(())
}

/// A campaign on a few lines.
fn portrait(campaign: &Value) -> anyhow::Result<String> {
    let sight = Sight::read(campaign)?;
    let mut rows: Vec<[String; 2]> = [
        "name",
        "description",
        "channel",
        "pool",
        "from",
        "status",
        "outcome",
        "scheduled_at",
        "launched_at",
        "ended_at",
    ]
    .into_iter()
    .filter_map(|key| Some([key.to_owned(), campaign.get(key)?.as_str()?.replace('\n', " ")]))
    .filter(|[_, value]| !value.is_empty())
    .collect();
    if let Some(error) = campaign.get("launch_error") {
        let text = format!("{}: {}", client::text(error, "/code"), client::text(error, "/detail"));
        rows.push(["launch_error".to_owned(), text]);
    }
    rows.extend(sight.waiting.clone().map(|waiting| ["waiting".to_owned(), waiting]));
    rows.extend(sight.attention.clone().map(|attention| ["attention".to_owned(), attention]));
    rows.push(["recipients".to_owned(), grouped(sight.books.total)]);
    for (state, count) in sight.books.states() {
        rows.push([format!("  {state}"), grouped(count)]);
        if state == "skipped" {
            rows.extend(watch::skips(campaign).into_iter().map(|(reason, n)| [format!("    {reason}"), grouped(n)]));
        }
    }
    let width = rows.iter().map(|[name, _]| name.len()).max().unwrap_or_default();
    Ok(rows.iter().map(|[name, value]| format!("{name:<width$}  {value}")).collect::<Vec<_>>().join("\n"))
}

async fn launch(client: &Client, id: i64, preflight: Option<String>) -> Result<Value, ClientError> {
    let body = preflight.map_or_else(|| json!({}), |fingerprint| json!({ "preflight": fingerprint }));
    client.post_once(&format!("v1/campaigns/{id}/send"), &body).await
}

async fn send(client: &Client, id: i64, preflight: Option<String>, output: &Output) -> anyhow::Result<()> {
    let answer = launch(client, id, preflight).await?;
    output.either(&answer, &format!("{}; `volley campaign watch {id}` follows it", launched(id, &answer)))?;
    Ok(())
}

fn launched(id: i64, answer: &Value) -> String {
    let queued = answer.get("messages_queued").and_then(Value::as_i64).unwrap_or_default();
    let messages = if queued == 1 { "message" } else { "messages" };
    format!("campaign {id} launched: {} {messages} queued", grouped(queued))
}

async fn act(client: &Client, id: i64, action: &str, body: &Value, output: &Output) -> anyhow::Result<()> {
    let answer = client.post_once(&format!("v1/campaigns/{id}/{action}"), body).await?;
    let status = client::text(&answer, "/status");
    output.either(&answer, &format!("campaign {id} is {status}"))?;
    Ok(())
}

async fn watch_to_end(client: &Client, id: i64, output: &Output) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(output);
    let sight = stream::follow(client, id, &mut progress, |sight| sight.status.is_ended()).await?;
    progress.end(&sight.line());
    let campaign = client.get(&format!("v1/campaigns/{id}"), &[]).await?;
    output.either(&campaign, &portrait(&campaign)?)?;
    Ok(if sight.status == CampaignStatus::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_shown_with_its_skips_by_reason() {
        let campaign = json!({
            "name": "Spring", "status": "sending",
            "stats": {
                "total": 9, "pending": 1, "sending": 0, "sent": 5, "failed": 0, "skipped": 3, "uncertain": 0,
                "skipped_by_reason": { "suppressed": 1, "unsubscribed": 2 },
            },
        });
        let shown = portrait(&campaign).unwrap();
        let from = shown.find("  skipped").unwrap();
        assert_eq!(
            shown[from..].lines().collect::<Vec<_>>(),
            ["  skipped         3", "    suppressed    1", "    unsubscribed  2", "  uncertain       0"]
        );
    }
}
