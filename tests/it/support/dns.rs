//! A name server that knows some texts and nothing else.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record};

/// Answers questions for texts, for as long as the process lives. Names in lower case, without the final dot.
pub(crate) fn serve_texts(texts: &[(&str, &str)]) -> SocketAddr {
    let known: BTreeMap<String, String> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((size, from)) = socket.recv_from(&mut buffer) {
            let asked = Message::from_vec(&buffer[..size]).unwrap();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            for query in &asked.queries {
                answer.add_query(query.clone());
                match known.get(query.name().to_ascii().trim_end_matches('.')) {
                    // In two parts, as long records come.
                    Some(text) => {
                        let (one, two) = text.split_at(text.len() / 2);
                        let text = TXT::new(vec![one.to_owned(), two.to_owned()]);
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::TXT(text)));
                    }
                    None => answer.metadata.response_code = ResponseCode::NXDomain,
                }
            }
            let _ = socket.send_to(&answer.to_vec().unwrap(), from);
        }
    });
    addr
}
