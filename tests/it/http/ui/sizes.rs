//! A campaign of ten thousand pages: its pages stay small on the wire, and its map on a screen.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::{Visitor, assert_page, site, text};
use crate::support::both_backends;
use crate::support::server::{ROOT_KEY, Server};

/// The most that a page may take on the wire.
const MOST_BYTES: usize = 80 * 1_024;

/// As many pages as a campaign to ten million people has.
const PAGES: i64 = 10_000;

/// How many bytes a page takes as a browser gets it.
fn on_the_wire(server: &Server, visitor: &Visitor<'_>, path: &str) -> usize {
    let mut socket = TcpStream::connect(server.addr).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nCookie: {}\r\n\r\n",
        server.addr, visitor.cookie
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer[..answer.len().min(2_000)]).to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("content-encoding: "), "{head}");
    answer.len()
}

/// A campaign of that many pages, stopped on its way: on page 5,000 somebody is uncertain, and page 7,000 was lost by two owners.
fn large(server: &Server, campaign: i64) {
    for statement in [
        "DELETE FROM deliveries".to_owned(),
        "DELETE FROM pages".to_owned(),
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PAGES}) \
             INSERT INTO pages (campaign_id, seq, pool, first_contact_id, last_contact_id, size, state, due_at, lease_settled, \
             deaths, pending, sending, sent, failed, skipped, uncertain) \
             SELECT {campaign}, i, 'main', i * 1000, i * 1000 + 999, 1000, 'done', 0, 0, 0, 0, 0, 990 - i % 7, 10, i % 7, 0 FROM n"
        ),
        "UPDATE pages SET sent = sent - 3, uncertain = 3 WHERE seq = 5000".to_owned(),
        "UPDATE pages SET deaths = 2 WHERE seq = 7000".to_owned(),
        format!("UPDATE campaigns SET status = 'paused' WHERE id = {campaign}"),
    ] {
        server.execute(statement);
    }
}

both_backends! {
    fn a_campaign_of_ten_thousand_pages_fits_on_a_screen_and_through_a_wire(db: &Database) {
        let (server, campaign) = site(db);
        server.api().post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        large(&server, campaign);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let base = format!("/ui/campaigns/{campaign}");
        for path in [base.clone(), format!("{base}/pages")] {
            let sent = on_the_wire(&server, &visitor, &path);
            assert!(sent <= MOST_BYTES, "{path} takes {sent} bytes");
        }
        let page = visitor.get(&format!("{base}/pages"));
        assert_page(&page, 200);
        let shown = text(&page);
        assert_eq!(shown.matches("height=\"10\"><title>").count(), 1_000, "{shown}");
        assert!(shown.contains("10,000 pages are packed. Each cell is 10 neighbouring pages"), "{shown}");
        assert!(shown.contains("pages 4,991 to 5,000: 9,8") && shown.contains("3 uncertain"), "{shown}");
        let closer = visitor.get(&format!("{base}/pages?from_page=4991&to_page=5000"));
        assert!(text(&closer).contains(">page 5,000</a>"), "{closer:?}");
    }

    fn the_map_of_pages_adds_up_and_leads_closer(db: &Database) {
        let (server, campaign) = site(db);
        let api = server.api();
        api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        large(&server, campaign);
        let path = format!("/v1/campaigns/{campaign}/pages");
        let whole = api.get(&format!("{path}?cells=300"));
        assert_eq!((&whole["page_count"], &whole["pages_per_cell"]), (&json!(PAGES), &json!(34)), "{whole}");
        let cells = whole["cells"].as_array().unwrap();
        let sum = |field: &str| cells.iter().map(|cell| cell[field].as_i64().unwrap()).sum::<i64>();
        assert_eq!(sum("failed"), 10 * PAGES);
        assert_eq!(sum("uncertain"), 3);
        assert_eq!(sum("sent") + sum("failed") + sum("skipped") + sum("uncertain"), 1_000 * PAGES);
        assert!(cells.windows(2).all(|pair| pair[0]["last_page"].as_i64().unwrap() + 1 == pair[1]["first_page"]), "{whole}");
        let lost: Vec<_> = cells.iter().filter(|cell| cell["deaths"] == 2).collect();
        assert_eq!(lost.len(), 1);
        let closer = api.get(&format!("{path}?from_page={}&to_page={}", lost[0]["first_page"], lost[0]["last_page"]));
        assert_eq!((&closer["pages_per_cell"], closer["cells"].as_array().unwrap().len()), (&json!(1), 34));
        let page = closer["cells"].as_array().unwrap().iter().find(|cell| cell["deaths"] == 2).unwrap();
        assert_eq!((&page["first_page"], &page["first_contact_id"]), (&json!(7_000), &json!(7_000_000)));
        for (query, field) in [("cells=0", "cells"), ("cells=1001", "cells"), ("from_page=3&to_page=2", "to_page")] {
            let refused = server.send("GET", &format!("{path}?{query}"), &[], b"");
            assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (400, &json!(field)), "{refused:?}");
        }
        assert_eq!(server.send("GET", "/v1/campaigns/999/pages", &[], b"").status, 404);
    }
}
