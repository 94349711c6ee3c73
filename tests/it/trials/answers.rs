//! Every row of the table of answers, as a provider gives it to one recipient of three: what the delivery comes to.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use volley::domain::dispatch::answer::AnswerClass;
use volley::domain::dispatch::answers::{Row, Way, rows};

use super::LIMIT;
use crate::support::Database;
use crate::support::api::Api;
use crate::support::people;
use crate::support::scripted_http::ScriptedHttp;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::stays;

/// Rows that share a pool: those of one provider that are not about the relay as a whole.
const TOGETHER: usize = 30;
/// Pools in one process.
const POOLS: usize = 40;

/// One pool, and the rows that its server answers by: the first person of each three.
struct Case {
    name: String,
    way: Way,
    provider: String,
    rows: Vec<&'static Row>,
}

fn cases() -> Vec<Case> {
    let mut shared: BTreeMap<(&str, String), Vec<&'static Row>> = BTreeMap::new();
    let mut cases: Vec<Case> = Vec::new();
    let case = |way: Way, provider: &str, rows: Vec<&'static Row>| Case {
        name: String::new(),
        way,
        provider: provider.to_owned(),
        rows,
    };
    for row in rows() {
        if row.class.is_relay() {
            cases.push(case(row.way, &row.provider, vec![row]));
        } else {
            shared.entry((row.way.as_str(), row.provider.to_string())).or_default().push(row);
        }
    }
    for ((_, provider), rows) in shared {
        cases.extend(rows.chunks(TOGETHER).map(|rows| case(rows[0].way, &provider, rows.to_vec())));
    }
    for (number, case) in cases.iter_mut().enumerate() {
        case.name = format!("case-{number}");
    }
    cases
}

/// An answer that a row is written for.
fn answer(row: &Row) -> String {
    let words = match row.words.strip_prefix("code=") {
        Some(number) => format!("{{\"error\": {{\"code\": {number}, \"message\": \"no\"}}}}"),
        None => row.words.replace('*', " of this one "),
    };
    let enhanced = row.enhanced.map(|code| code.to_string().replace('x', "5")).unwrap_or_default();
    let is_temporary = enhanced.starts_with('4') || enhanced.is_empty() && !row.permanent;
    let code = row.code.unwrap_or(match (row.way, is_temporary) {
        (Way::Http, _) => 400,
        (Way::Smtp, true) => 450,
        (Way::Smtp, false) => 550,
    });
    format!("{code} {enhanced} Sorry: {words}").replace("  ", " ").replace('\\', "\\\\")
}

impl Case {
    fn script(&self) -> String {
        let stage = match self.way {
            Way::Smtp => "rcpt",
            Way::Http => "request",
        };
        let rules = self
            .rows
            .iter()
            .enumerate()
            .map(|(number, row)| format!("{stage} to={}: {}\n", self.refused(number), answer(row)));
        rules.collect()
    }

    fn domain(&self) -> String {
        format!("{}.example.com", self.name)
    }

    /// The address that is answered by a row.
    fn refused(&self, row: usize) -> String {
        format!("person{}@{}", 3 * row + 1, self.domain())
    }

    fn pool(&self, port: u16) -> Pool {
        let pool = match self.way {
            Way::Smtp => Pool::smtp_at(&self.name, port),
            Way::Http => Pool::webhook_at(&self.name, port),
        };
        let pool = pool.set("concurrency", "3").set("retry_delays", "[60]");
        if self.provider == "generic" { pool } else { pool.set("answers_of", &format!("{:?}", self.provider)) }
    }

    fn channel(&self) -> &'static str {
        match self.way {
            Way::Smtp => "email",
            Way::Http => "http",
        }
    }

    /// What is still missing, or wrong.
    fn missing(&self, api: &Api, campaign: i64) -> Vec<String> {
        let deliveries = api.get(&format!("/v1/campaigns/{campaign}/deliveries?page_size=100"));
        let of =
            |email: &str| deliveries["data"].as_array().unwrap().iter().find(|row| row["contact"]["email"] == *email);
        let rows = self.rows.iter().enumerate().filter_map(|(number, row)| {
            let delivery = of(&self.refused(number))?;
            let class = &delivery["answer_class"];
            // An answer that says nothing may have been judged meanwhile by how others fare.
            // After a whole request it is not known whether a 408 was an acceptance.
            if row.way == Way::Http && row.code == Some(408) && row.words.is_empty() {
                return (delivery["status"] != "uncertain").then(|| format!("408 is {delivery}"));
            }
            let is_so = if row.class == AnswerClass::Unsure { !class.is_null() } else { *class == row.class.as_str() };
            let ends = is_so && (row.class.is_relay() || !row.permanent || delivery["status"] == "failed");
            (!ends).then(|| format!("{} {}: {:?} is {delivery}", self.way.as_str(), self.provider, answer(row)))
        });
        rows.collect()
    }
}

enum Server {
    Smtp(ScriptedSmtp),
    Http(ScriptedHttp),
}

impl Server {
    fn port(&self) -> u16 {
        match self {
            Self::Smtp(server) => server.port(),
            Self::Http(server) => server.port(),
        }
    }
}

/// Plays all answers of so many pools at once; answers what came out wrong.
fn play(cases: &[Case]) -> Vec<String> {
    let db = Database::sqlite();
    let servers: Vec<Server> = cases
        .iter()
        .map(|case| match case.way {
            Way::Smtp => Server::Smtp(ScriptedSmtp::playing(&case.script())),
            Way::Http => Server::Http(ScriptedHttp::playing(&case.script())),
        })
        .collect();
    let builder = cases
        .iter()
        .zip(&servers)
        .fold(Volley::on(&db), |builder, (case, server)| builder.pool(case.pool(server.port())));
    let volley = builder.start();
    let api = volley.api();
    let campaigns: Vec<i64> = cases
        .iter()
        .map(|case| {
            let list = api.create_list(&case.name);
            // People of its own: an address that one case finds to be wrong is written to by no other.
            api.import_csv(list, &people::csv_at(&case.domain(), 1..=3 * case.rows.len()));
            api.create_campaign(case.channel(), &case.name, list, &json!({}))
        })
        .collect();
    campaigns.iter().for_each(|campaign| drop::<Value>(api.send(*campaign)));
    let began = Instant::now();
    let mut wrong = Vec::new();
    for (case, campaign) in cases.iter().zip(&campaigns) {
        loop {
            let missing = case.missing(&api, *campaign);
            if missing.is_empty() {
                break;
            }
            if began.elapsed() > LIMIT {
                wrong.extend(missing);
                break;
            }
            stays("it is looked at again", std::time::Duration::from_millis(50), || true);
        }
        if !api.campaign(*campaign).is_ended() {
            let _ended_meanwhile = api.try_post(&format!("/v1/campaigns/{campaign}/stop"), &json!({}));
        }
    }
    volley.stop();
    wrong
}

#[test]
fn every_answer_of_the_table_is_understood_in_a_campaign() {
    let _turn = shared_turn();
    let cases = cases();
    let wrong: Vec<String> = cases.chunks(POOLS).flat_map(play).collect();
    assert!(wrong.is_empty(), "{} of {} answers came out wrong:\n{}", wrong.len(), rows().len(), wrong.join("\n"));
}
