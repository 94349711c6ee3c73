//! `… export`: what a list of the API shows a part of, as a file or on stdout.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::client::Client;
use super::output::Output;
use super::private_file::Unfinished;

/// How an export is written, and where.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// How it is written: csv, for spreadsheets and imports, or jsonl, a JSON object on each line
    #[arg(long, default_value = "csv", value_parser = ["csv", "jsonl"])]
    format: String,
    /// Write it to this file, which only you can read; - or nothing is stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// CSV without a byte order mark, and without the ' before cells that a spreadsheet would take for formulas
    #[arg(long)]
    raw: bool,
}

impl Target {
    /// Writes an export. A file that is there already is replaced when all has arrived; if something fails, it stays as it is.
    ///
    /// # Errors
    /// [`ClientError`](super::client::ClientError), also where the download is cut off, or the file cannot be written.
    pub(crate) async fn save(
        &self,
        client: &Client,
        path: &str,
        filters: &[(&str, Option<&str>)],
        output: &Output,
    ) -> anyhow::Result<()> {
        let mut query = vec![("format", self.format.as_str())];
        query.extend(filters.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
        query.extend(self.raw.then_some(("raw", "true")));
        match self.to.as_deref().filter(|file| *file != Path::new("-")) {
            None => client.download(path, &query, &mut std::io::stdout().lock()).await,
            Some(file) => {
                into_file(client, path, &query, file).await?;
                let name = file.display().to_string();
                Ok(output.either(&json!({ "file": name }), &format!("exported to {name}"))?)
            }
        }
    }
}

async fn into_file(client: &Client, path: &str, query: &[(&str, &str)], file: &Path) -> anyhow::Result<()> {
    let mut target = Unfinished::begin(file)?;
    client.download(path, query, &mut target).await?;
    target.keep()
}
