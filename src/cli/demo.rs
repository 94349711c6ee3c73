//! `volley demo`: a made-up campaign from CSV to closed books, through an instance of its own.
//!
//! The instance has a database in a temporary directory and a sandbox for a provider. Everything else goes through its
//! REST API, so whatever the demo shows, another client can do.

mod contacts;
mod gateway;
mod hook;
mod segments;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use self::gateway::Gateway;
use self::hook::Hook;
use self::segments::Segments;
use super::client::{self, Client};
use super::import;
use super::output::{self, Output, grouped};
use super::progress::Progress;
use super::serve::{self, Signals};
use super::watch::{self, Books, Sight};
use crate::app::App;
use crate::config::Settings;
use crate::config::pools::{PoolConfig, SandboxConfig};
use crate::config::secret::Secret;
use crate::domain::ids::CampaignId;
use crate::verify::scratch::ScratchDir;

/// How long the sending takes, so that there is something to watch and a middle to pause in.
const SENDING_SECONDS: f64 = 6.0;
/// With more recipients than this the sandbox alone takes long enough.
const UNLIMITED_FROM: i64 = 20_000;
/// How many people are left as they are.
const FEW: usize = 10;
/// How many rejected rows are shown.
const SHOWN_REJECTED: usize = 5;

/// What the demo sends.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Generate N contacts instead of importing the thousand that ship with Volley
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    contacts: Option<u32>,
    /// Keep the instance running afterwards, until Ctrl-C
    #[arg(long)]
    serve: bool,
}

pub(crate) async fn demo(args: DemoArgs, settings: Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let mut log = settings.log;
    if log.level == Settings::default().log.level {
        "warn".clone_into(&mut log.level);
    }
    serve::start_log(&log)?;
    let mut signals = Signals::listen()?;
    let scratch = ScratchDir::create("demo")?;
    let key = Secret::new(format!("vly_demo_{}", uuid::Uuid::new_v4().simple()));
    let (hook, gateway) = (Hook::listen().await?, Gateway::listen().await?);
    let mut own =
        Settings { log, pools: vec![sandbox(), gateway.pool()], targets: vec![hook.target()], ..Settings::default() };
    own.database.url = Secret::new(format!("sqlite://{}", scratch.path().join("volley.db").display()));
    own.http.addr = "127.0.0.1:0".to_owned();
    own.email.postal_address = Some("Example Ltd, 1 High Street, Springfield".to_owned());
    own.auth.root_key = Some(key.clone());
    own.sending.data_dir = scratch.path().to_owned();

    let app = App::start(own).await.context("the demo's instance did not start")?;
    let server = format!("http://{}", app.addr());
    let client = Client::new(&server, Some(key.clone()))?;
    let mut tour = Tour { client, progress: Progress::new(output), output, hook };
    let result = tokio::select! {
        result = tour.run(&args) => result,
        error = app.failed() => Err(error.context("a vital part of the demo's instance has died")),
        name = signals.next() => Err(anyhow::anyhow!("ended by {name}")),
    };
    if let (Ok(walked), true) = (&result, args.serve) {
        let page = app.one_time_path(walked.going_out).unwrap_or_else(|| "/ui".to_owned());
        let invitation = invitation(&server, &key, walked.link.as_deref());
        tour.progress.say(&format!(
            "\nStill serving, with a campaign that is going out. Watch it, by a link that works once within five minutes:\n  \
             {server}{page}\nIn another terminal:\n{invitation}"
        ))?;
        tokio::select! {
            _ = signals.next() => {}
            error = app.failed() => return Err(error),
        }
    } else if result.is_ok() {
        tour.progress.say(WHAT_NEXT)?;
    }
    let stopped = serve::stop(app, &mut signals).await;
    result.map(|_| stopped)
}

fn sandbox() -> PoolConfig {
    let sandbox = SandboxConfig { latency_ms: Some([5, 20]), failure_rate: Some(0.08), crash_on: None };
    PoolConfig { name: "sandbox".to_owned(), concurrency: 50, ..PoolConfig::bare(sandbox) }
}

const WHAT_NEXT: &str = "
What next
  volley demo --serve            the same, and the instance stays for you to try its API
  volley demo --contacts 100000  a bigger audience
  volley serve                   an instance of your own; README.md takes five minutes from here to real mail";

fn invitation(server: &str, key: &Secret, link: Option<&str>) -> String {
    let no = link.map_or_else(String::new, |link| {
        format!(
            "One of the recipients says no, by a button in a browser or as a mailbox provider does it:\n  {link}\n  \
             curl -X POST {link}\n"
        )
    });
    format!(
        "  export VOLLEY_CLI__SERVER={server} VOLLEY_CLI__KEY={key}
  volley campaign list
  curl -H \"Authorization: Bearer $VOLLEY_CLI__KEY\" {server}/v1/campaigns
  curl {server}/openapi.json
{no}Ctrl-C ends it and removes everything.",
        key = key.expose()
    )
}

/// What a walk has left behind.
struct Walked {
    /// Where one of those who got the message says no, if anybody did.
    link: Option<String>,
    /// The campaign that is still going out, if the instance stays.
    going_out: Option<CampaignId>,
}

/// One walk through the API.
struct Tour<'a> {
    client: Client,
    progress: Progress,
    output: &'a Output,
    hook: Hook,
}

impl Tour<'_> {
    async fn run(&mut self, args: &DemoArgs) -> anyhow::Result<Walked> {
        let list = import::list_named(&self.client, "Newsletter").await?;
        let import = self.import(args.contacts, list).await?;
        self.note_bounce().await?;
        let segments = Segments::create(&self.client, &mut self.progress).await?;
        let campaign = self.draft(list, client::number(&import, "/rows_created")?).await?;
        let sight = self.send(campaign, list).await?;
        self.close_books(campaign, &sight, &import).await?;
        segments.order(&self.client, &self.hook, &mut self.progress).await?;
        let link = self.link(campaign).await?;
        let going_out = if args.serve { Some(stage::set(&self.client, list, &mut self.progress).await?) } else { None };
        Ok(Walked { link, going_out })
    }

    /// Where one of those who got the message says no.
    async fn link(&self, campaign: i64) -> anyhow::Result<Option<String>> {
        let deliveries = format!("v1/campaigns/{campaign}/deliveries");
        let sent = self.client.get(&deliveries, &[("status", "sent"), ("page_size", "1")]).await?;
        let Some(contact) = sent.pointer("/data/0/contact/id").and_then(Value::as_i64) else { return Ok(None) };
        let links = self.client.get(&format!("{deliveries}/{contact}/links"), &[]).await?;
        Ok(links.get("unsubscribe_url").and_then(Value::as_str).map(ToOwned::to_owned))
    }

    async fn import(&mut self, count: Option<u32>, list: i64) -> anyhow::Result<Value> {
        let query = [("list", list.to_string())];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
        let accepted = self.client.upload_body("v1/contacts/import", &query, contacts::csv(count)).await?;
        let import = import::finished(&self.client, client::number(&accepted, "/id")?, &mut self.progress).await?;
        ensure!(
            client::text(&import, "/status") == "completed",
            "the import failed: {}",
            client::text(&import, "/error")
        );
        self.progress.say(&format!("Imported contacts: {}", import::summary(&import)))?;
        let rejected = import::rejected_rows(&import);
        for line in rejected.iter().take(SHOWN_REJECTED) {
            self.progress.say(line)?;
        }
        if rejected.len() > SHOWN_REJECTED {
            self.progress.say("  … GET /v1/imports/{id} lists the rest")?;
        }
        Ok(import)
    }

    /// Notes that one of the addresses bounced before: nobody writes to it again.
    async fn note_bounce(&mut self) -> anyhow::Result<()> {
        let newest = self.client.get("v1/contacts", &[("page_size", "100")]).await?;
        let newest = newest.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        // Of a handful of people nobody is taken away.
        let address = newest.iter().skip(FEW).find_map(|contact| contact.get("email").and_then(Value::as_str));
        let Some(address) = address else { return Ok(()) };
        let bounced = json!({ "address": address, "reason": "bounced" });
        self.client.post_once("v1/suppressions", &bounced).await?;
        self.progress.say("1 address bounced before; it gets no message")?;
        Ok(())
    }

    /// A template and a campaign to the list, at a rate that leaves something to watch.
    async fn draft(&mut self, list: i64, recipients: i64) -> anyhow::Result<i64> {
        let template = json!({
            "name": "Spring greeting",
            "channel": "email",
            "subject": "Hello {first_name|there}, spring is here",
            "body_text": "Hello {first_name|there},\n\n\
                our {preferred_product|best} selection has come to {location|your town}.\n\n\
                No more of this: {{ unsubscribe_url }}\n{{ postal_address }}\n",
            "body_html": "<p>Hello {first_name|there},</p>\
                <p>our {preferred_product|best} selection has come to {location|your town}.</p>\
                <p><a href=\"{{ unsubscribe_url }}\">No more of this</a> · {{ postal_address }}</p>",
        });
        let template = client::number(&self.client.post("v1/templates", &template).await?, "/id")?;
        let mut campaign = json!({
            "name": "Spring greeting",
            "channel": "email",
            "pool": "sandbox",
            "template_id": template,
            "audience": { "lists": [list] },
        });
        if recipients < UNLIMITED_FROM
            && let Ok(recipients) = u32::try_from(recipients)
            && let Some(fields) = campaign.as_object_mut()
        {
            let rate = (f64::from(recipients) / SENDING_SECONDS).max(1.0).round();
            fields.insert("rate_per_second".to_owned(), rate.into());
            self.progress.say(&format!("Slowed down to {rate} per second, so that there is something to watch"))?;
        }
        client::number(&self.client.post("v1/campaigns", &campaign).await?, "/id")
    }

    /// Launches, pauses at a third, checks that the counts stand still, resumes, waits for the end.
    async fn send(&mut self, id: i64, list: i64) -> anyhow::Result<Sight> {
        let launched = self.client.post_once(&format!("v1/campaigns/{id}/send"), &json!({})).await?;
        let queued = client::number(&launched, "/messages_queued")?;
        self.progress.say(&format!("Launched campaign {id}: {} messages queued", grouped(queued)))?;
        let a_third_or_ended =
            |sight: &Sight| sight.status.is_ended() || sight.books.settled() * 3 >= sight.total().max(1);
        let sight = watch::follow(&self.client, id, &mut self.progress, a_third_or_ended).await?;
        if !sight.status.is_ended() {
            self.pause_and_resume(id, list).await?;
        }
        let sight = watch::follow(&self.client, id, &mut self.progress, |sight| sight.status.is_ended()).await?;
        self.progress.end(&sight.line());
        Ok(sight)
    }

    async fn pause_and_resume(&mut self, id: i64, list: i64) -> anyhow::Result<()> {
        self.client.post_once(&format!("v1/campaigns/{id}/pause"), &json!({})).await?;
        // What was on the wire when the pause was answered is still recorded; nothing new begins.
        let quiet = |sight: &Sight| sight.books.sending == 0;
        let before = watch::follow(&self.client, id, &mut self.progress, quiet).await?.books;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = watch::look(&self.client, id).await?.books;
        // Packing may go on while a campaign is paused; hand-overs may not.
        ensure!(
            (before.sent, before.failed, after.sending) == (after.sent, after.failed, 0),
            "the counts moved while the campaign was paused: {before:?}, then {after:?}"
        );
        self.progress.say(&format!(
            "Paused at {} sent; a second later still {} sent. Resumed",
            grouped(before.sent),
            grouped(after.sent)
        ))?;
        self.say_no(id, list).await?;
        self.client.post_once(&format!("v1/campaigns/{id}/resume"), &json!({})).await?;
        Ok(())
    }

    /// Takes some off the list whose message has not left yet: they get none.
    async fn say_no(&mut self, id: i64, list: i64) -> anyhow::Result<()> {
        let waiting = [("status", "pending"), ("page_size", "5")];
        let waiting = self.client.get(&format!("v1/campaigns/{id}/deliveries"), &waiting).await?;
        let waiting = waiting.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        let ids = waiting.iter().filter_map(|delivery| delivery.pointer("/contact/id"));
        let members: Vec<Value> = ids.map(|id| json!({ "contact_id": id })).collect();
        if members.is_empty() {
            return Ok(());
        }
        let count = members.len();
        let refused = json!({ "members": members, "source": "the demo" });
        self.client.post_once(&format!("v1/lists/{list}/unsubscribe"), &refused).await?;
        self.progress.say(&format!("{count} people unsubscribed meanwhile; they get no message"))?;
        Ok(())
    }

    /// Shows the counts twice over, from the pages and from the rows themselves, and checks that nobody is missing.
    async fn close_books(&mut self, id: i64, sight: &Sight, import: &Value) -> anyhow::Result<()> {
        let audit = self.client.get(&format!("v1/campaigns/{id}/audit"), &[]).await?;
        let counted = audit.get("rows").cloned().context("the audit has no rows")?;
        let mut counted: Books = serde_json::from_value(counted).context("the audit's rows cannot be read")?;
        counted.total = counted.states().iter().map(|(_, count)| count).sum();
        let consistent = audit.get("consistent").and_then(Value::as_bool).unwrap_or_default();
        let kept = sight.books;
        let mut rows: Vec<Vec<String>> = kept
            .states()
            .into_iter()
            .zip(counted.states())
            .map(|((state, kept), (_, counted))| vec![state.to_owned(), grouped(kept), grouped(counted)])
            .collect();
        let skips = watch::skips(&self.client.get(&format!("v1/campaigns/{id}"), &[]).await?);
        let at = rows.iter().position(|row| row.first().is_some_and(|state| state == "skipped")).unwrap_or(rows.len());
        for (reason, count) in skips.into_iter().rev() {
            rows.insert(at + 1, vec![format!("  {reason}"), grouped(count), String::new()]);
        }
        rows.push(vec!["= recipients".to_owned(), grouped(kept.total), grouped(counted.total)]);
        let balanced = consistent && kept == counted && kept.balance() && kept.pending + kept.sending == 0;
        let verdict =
            if balanced { "The books balance: nobody lost, nobody twice." } else { "THE BOOKS DO NOT BALANCE." };
        let table = output::table(&["", "STATISTICS", "ROWS COUNTED"], &rows);
        let document = json!({ "campaign_id": id, "status": sight.status, "import": import, "audit": audit, "balanced": balanced });
        self.output.either(&document, &format!("\n{table}\n\n{verdict}"))?;
        ensure!(balanced, "campaign {id}: statistics and rows disagree, or a recipient is missing");
        Ok(())
    }
}
