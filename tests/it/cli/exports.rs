//! `… export` against an API that answers what it is told to.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

use super::{stderr, stdout, volley_with};

/// Answers each connection with the next of these bodies, in chunks; `false`: it breaks off. Gives the requests.
fn serve(answers: Vec<(&'static str, bool)>) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let answer = |(body, is_whole): (&str, bool)| {
            let (mut socket, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines().map(Result::unwrap);
            let asked = lines.next().unwrap();
            assert!(lines.by_ref().take_while(|line| !line.is_empty()).count() > 0);
            let end = if is_whole { "0\r\n\r\n" } else { "" };
            let chunk = format!("{:x}\r\n{body}\r\n{end}", body.len());
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
            socket.write_all(format!("{head}{chunk}").as_bytes()).unwrap();
            asked
        };
        answers.into_iter().map(answer).collect()
    });
    (addr, answering)
}

fn run(args: &[&str], server: SocketAddr) -> std::process::Output {
    volley_with(args, &[("VOLLEY_CLI__KEY", "vly_test"), ("VOLLEY_CLI__SERVER", &format!("http://{server}"))])
}

#[test]
fn exports_go_to_stdout_or_whole_into_a_private_file() {
    let csv = "contact_id,email\r\n1,ann@example.com\r\n";
    let (server, asked) = serve(vec![(csv, true), ("{}\n", true), (csv, true), (csv, false), (csv, false)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let name = file.to_str().unwrap();
    let output = run(&["contact", "export", "--search", "a b", "--suppressed", "false", "--raw"], server);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), csv), "{}", stderr(&output));
    let output =
        run(&["list", "export", "news", "--standing", "unsubscribed", "--format", "jsonl", "--to", "-"], server);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "{}\n"), "{}", stderr(&output));
    let output = run(&["campaign", "export", "7", "--status", "uncertain", "--to", name], server);
    assert_eq!(stdout(&output), format!("exported to {name}\n"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&file, "an older one").unwrap();
    for args in [vec!["contact", "export", "--to", name], vec!["contact", "export"]] {
        let output = run(&args, server);
        assert_eq!(output.status.code(), Some(1), "{args:?}: a download that breaks off is none");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "an older one", "what was there stays");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing lies beside it");
    assert_eq!(
        asked.join().unwrap(),
        [
            "GET /v1/contacts/export?format=csv&search=a+b&suppressed=false&raw=true HTTP/1.1",
            "GET /v1/lists/news/members/export?format=jsonl&standing=unsubscribed HTTP/1.1",
            "GET /v1/campaigns/7/deliveries/export?format=csv&status=uncertain HTTP/1.1",
            "GET /v1/contacts/export?format=csv HTTP/1.1",
            "GET /v1/contacts/export?format=csv HTTP/1.1",
        ]
    );
    let output = run(&["contact", "export", "--standing", "subscribed"], server);
    assert_eq!(output.status.code(), Some(2), "on which list?");
}
