//! `volley bounce`: a mail server's program. Its exit code says whether the server keeps the mail.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::stderr;

/// Runs it with this mail; its output.
fn bounce(server: &str, variables: &[(&str, &str)], mail: &[u8]) -> std::process::Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(["bounce", "newsletter", "--server", server])
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended already.
    let _ = child.stdin.take().unwrap().write_all(mail);
    child.wait_with_output().unwrap()
}

const SECRET: (&str, &str) = ("VOLLEY_CLI__CALLBACK_SECRET", "postfix:a-long-password-1");

/// A server that answers one request with this status; what it was asked.
fn answering(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        format!("{head}{} bytes", body.len())
    });
    (address, served)
}

#[test]
fn a_mail_is_handed_over_with_the_pools_secret() {
    let (server, served) = answering("200 OK");
    let output = bounce(&server, &[SECRET], b"Subject: Undelivered\n\nx\n");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let asked = served.join().unwrap();
    assert!(asked.starts_with("POST /v1/callbacks/newsletter HTTP/1.1\r\n"), "{asked}");
    let lower = asked.to_ascii_lowercase();
    assert!(lower.contains("content-type: message/rfc822\r\n"), "{asked}");
    assert!(asked.contains("Basic cG9zdGZpeDphLWxvbmctcGFzc3dvcmQtMQ=="), "{asked}");
    assert!(asked.ends_with("24 bytes"), "{asked}");
}

#[test]
fn of_a_large_mail_only_what_is_kept_is_handed_over() {
    let (server, served) = answering("200 OK");
    let output = bounce(&server, &[SECRET], &vec![b'x'; 7 << 20]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(served.join().unwrap().ends_with(&format!("{} bytes", 1 << 20)));
}

#[test]
fn whatever_goes_wrong_the_mail_server_tries_again() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{unused}");
    let (refusing, _) = answering("401 Unauthorized");
    let (failing, _) = answering("503 Service Unavailable");
    for (server, variables, mail) in [
        (away.as_str(), &[SECRET][..], "Subject: x\n\nx"),
        (&refusing, &[SECRET], "Subject: x\n\nx"),
        (&failing, &[SECRET], "Subject: x\n\nx"),
        (&away, &[], "Subject: x\n\nx"),
        (&away, &[SECRET], ""),
        (&away, &[SECRET, ("VOLLEY_HTTP__ADDR", "nonsense")], "Subject: x\n\nx"),
    ] {
        let output = bounce(server, variables, mail.as_bytes());
        assert_eq!(output.status.code(), Some(75), "{server} {variables:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("a-long-password-1"));
    }
}

#[test]
fn a_mail_server_that_calls_it_wrongly_keeps_the_mail() {
    for wrong in [&["bounce"][..], &["bounce", "newsletter", "--what"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_volley")).args(wrong).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(75), "{wrong:?}: {}", stderr(&output));
    }
    let help = Command::new(env!("CARGO_BIN_EXE_volley")).args(["bounce", "--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
}
