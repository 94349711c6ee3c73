//! `volley campaign report`: what came of a campaign's messages, as a table or as a CSV file.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::client::{self, Client};
use crate::cli::output::{self, Output, grouped};
use crate::cli::private_file::Unfinished;
use crate::cli::progress::Progress;

/// What is reported, as the API and people call it. Opens and clicks by machines stand apart.
const KINDS: [(&str, &str); 12] = [
    ("delivered", "delivered"),
    ("soft_bounced", "soft bounced"),
    ("hard_bounced", "hard bounced"),
    ("rejected_later", "rejected later"),
    ("complained", "complained"),
    ("opened", "opened"),
    ("clicked", "clicked"),
    ("replied", "replied"),
    ("unsubscribed", "unsubscribed"),
    ("machine", "by machines"),
    ("machine/opened", "  opened"),
    ("machine/clicked", "  clicked"),
];

/// Prints what was reported of a campaign.
pub(super) async fn show(client: &Client, id: i64, output: &Output) -> anyhow::Result<()> {
    let campaign = client.get(&format!("v1/campaigns/{id}"), &[]).await?;
    let part = |name: &str| campaign.get(name).cloned().unwrap_or_default();
    let answer = json!({ "id": id, "stats": part("stats"), "reports": part("reports") });
    Ok(output.either(&answer, &table(&campaign)?)?)
}

fn table(campaign: &Value) -> anyhow::Result<String> {
    let [sent, total] = ["sent", "total"].map(|state| client::number(campaign, &format!("/stats/{state}")));
    let title = format!("{}: {} of {} sent", client::text(campaign, "/name"), grouped(sent?), grouped(total?));
    let Some(reports) = campaign.get("reports") else {
        return Ok(format!("{title}\nnothing was reported of its messages so far"));
    };
    let rows: Vec<Vec<String>> = KINDS
        .iter()
        .map(|(kind, name)| {
            let figure = |of: &str| reports.pointer(&format!("/{kind}/{of}")).and_then(Value::as_i64).map(grouped);
            let rate = |of: &str| reports.pointer(&format!("/rates/{of}/{kind}")).and_then(Value::as_f64).map(percent);
            let cells = [figure("recipients"), figure("total"), rate("of_sent"), rate("of_delivered")];
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    let header = ["", "RECIPIENTS", "TOTAL", "OF SENT", "OF DELIVERED"];
    Ok(format!("{title}\n{}", output::table(&header, &rows)))
}

/// A share from 0 to 1, which the API gives to four digits.
fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// The recipients of a campaign with their reports, as CSV.
struct Export<'a> {
    client: &'a Client,
    path: String,
    query: &'static [(&'static str, &'static str)],
}

/// Writes the campaign's recipients with their reports to a file, or to stdout for `-`. A file that is there already is replaced when all has
/// arrived; if something fails, it stays as it is.
pub(super) async fn save(client: &Client, id: i64, file: &Path, raw: bool, output: &Output) -> anyhow::Result<()> {
    let export = Export {
        client,
        path: format!("v1/campaigns/{id}/deliveries/export"),
        query: if raw { &[("raw", "true")] } else { &[] },
    };
    if file == Path::new("-") {
        return export.write(&mut io::stdout().lock()).await;
    }
    let campaign = client.get(&format!("v1/campaigns/{id}"), &[]).await?;
    let total = client::number(&campaign, "/stats/total")?;
    let target = Unfinished::begin(file)?;
    let file = target.target().to_owned();
    let mut lines = Lines { target, is_quoted: false, ended: 0, total, progress: Progress::new(output) };
    let loaded = export.write(&mut lines).await;
    let written = lines.rows();
    lines.progress.end(&lines.text());
    loaded?;
    lines.target.keep()?;
    let answer = json!({ "id": id, "file": file.display().to_string(), "recipients": written });
    Ok(output.either(&answer, &format!("{} recipients are in {}", grouped(written), file.display()))?)
}

impl Export<'_> {
    async fn write(&self, to: &mut impl Write) -> anyhow::Result<()> {
        self.client.download(&self.path, self.query, to).await
    }
}

/// A CSV document on its way into a file, its lines counted.
struct Lines<W> {
    target: W,
    /// Within a quoted cell, in which a line break ends no line. A doubled quote changes it twice.
    is_quoted: bool,
    ended: i64,
    total: i64,
    progress: Progress,
}

impl<W> Lines<W> {
    /// How many there are without the header.
    fn rows(&self) -> i64 {
        (self.ended - 1).max(0)
    }

    fn text(&self) -> String {
        format!("{} of {} recipients", grouped(self.rows()), grouped(self.total))
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.target.write(bytes)?;
        for byte in bytes.iter().take(written) {
            match byte {
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.ended += 1,
                _ => {}
            }
        }
        let text = self.text();
        self.progress.show(self.rows(), self.total, &text);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_stand_apart_and_every_rate_says_of_what() {
        let figure = |recipients: i64, total: i64| json!({ "recipients": recipients, "total": total });
        let none = figure(0, 0);
        let campaign = json!({
            "name": "Spring", "stats": { "total": 1_200, "sent": 1_000 },
            "reports": {
                "delivered": figure(900, 900), "soft_bounced": none, "hard_bounced": figure(31, 31), "rejected_later": none,
                "complained": none, "opened": figure(450, 1_070), "clicked": none, "replied": none, "unsubscribed": none,
                "machine": { "opened": figure(700, 2_100), "clicked": none },
                "rates": {
                    "of_sent": { "delivered": 0.9, "hard_bounced": 0.031, "opened": 0.45 },
                    "of_delivered": { "opened": 0.5 },
                },
            },
        });
        let shown = table(&campaign).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "Spring: 1,000 of 1,200 sent");
        assert_eq!(lines[1], "                RECIPIENTS  TOTAL  OF SENT  OF DELIVERED");
        assert_eq!(lines[2], "delivered              900    900   90.00%");
        assert_eq!(lines[4], "hard bounced            31     31    3.10%");
        assert_eq!(lines[7], "opened                 450  1,070   45.00%        50.00%");
        assert_eq!(&lines[11..13], ["by machines", "  opened               700  2,100"]);
    }

    #[test]
    fn without_reports_it_says_so() {
        let campaign = json!({ "name": "Spring", "stats": { "total": 3, "sent": 2 } });
        assert_eq!(table(&campaign).unwrap(), "Spring: 2 of 3 sent\nnothing was reported of its messages so far");
    }

    #[test]
    fn a_line_break_within_a_cell_ends_no_line() {
        let progress = Progress::new(&Output::new(false));
        let mut lines = Lines { target: Vec::new(), is_quoted: false, ended: 0, total: 2, progress };
        for part in ["a,b\r\n1,\"say \"", "\"no\"\"\r\nand go\"\r\n2,", "x\r\n"] {
            lines.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!((lines.rows(), lines.target.len()), (2, 34));
    }
}
