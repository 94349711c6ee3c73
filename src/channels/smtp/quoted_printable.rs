//! Quoted-printable (RFC 2045 6.7) for text: line ends become CRLF, and no line begins with a dot, so that a body can
//! never be mistaken for the end of itself, whatever the software on the way does with bare line feeds.

/// Characters per line, not counting the `=` of a soft line break (RFC 2045 allows 76 with it).
const LINE: usize = 75;

/// How many bytes are looked at together: as many as one instruction of the machine compares.
const BLOCK: usize = 16;

/// Writes `text`, encoded, after a line end in `out`. Bytes that stand for themselves are copied in runs: one by one, the encoding was the
/// dearest step of a whole message.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    let mut line = Lines { out, column: 0 };
    let mut rest = text.as_bytes();
    loop {
        let (run, special) = rest.split_at(plain_run(rest));
        line.put_run(run);
        rest = match special {
            [] => break,
            [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => {
                line.end();
                rest
            }
            [byte, rest @ ..] => {
                line.put_escaped(*byte);
                rest
            }
        };
    }
    line.protect_trailing_blank();
}

/// How many bytes at the beginning stand for themselves.
fn plain_run(bytes: &[u8]) -> usize {
    let blocks =
        bytes.chunks_exact(BLOCK).take_while(|block| !block.iter().fold(false, |any, byte| any | is_special(*byte)));
    let length = blocks.count() * BLOCK;
    let rest = bytes.get(length..).unwrap_or_default();
    length + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

/// Whether a byte ends a line or is escaped.
fn is_special(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) & (byte != b'\t') | (byte == b'=')
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}

impl Lines<'_> {
    fn put_run(&mut self, mut run: &[u8]) {
        while let Some(first) = run.first() {
            self.make_room(1);
            let escaped = *first == b'.' && self.column == 0;
            let length = if escaped { 1 } else { run.len().min(LINE - self.column) };
            let (now, later) = run.split_at(length);
            if escaped {
                self.put_escaped(b'.');
            } else {
                self.out.extend_from_slice(now);
                self.column += length;
            }
            run = later;
        }
    }

    fn put_escaped(&mut self, byte: u8) {
        self.make_room(3);
        self.out.extend_from_slice(&[b'=', hex(byte >> 4), hex(byte & 0x0f)]);
        self.column += 3;
    }

    fn make_room(&mut self, width: usize) {
        if self.column + width > LINE {
            self.out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    fn end(&mut self) {
        self.protect_trailing_blank();
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    /// Blanks at the end of a line get lost on the way (RFC 2045 6.7 rule 3).
    fn protect_trailing_blank(&mut self) {
        if let Some(blank @ (b' ' | b'\t')) = self.out.last().copied() {
            self.out.pop();
            self.column -= 1;
            self.put_escaped(blank);
        }
    }
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use mail_parser::decoders::quoted_printable::quoted_printable_decode;
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn line_ends_become_crlf_and_leading_dots_are_escaped() {
        assert_eq!(encoded("a\n.\nb\r.\rc\r\n.d"), "a\r\n=2E\r\nb\r\n=2E\r\nc\r\n=2Ed");
    }

    #[test]
    fn what_is_not_printable_ascii_is_escaped() {
        assert_eq!(encoded("ü=\u{0} \t\nx "), "=C3=BC=3D=00 =09\r\nx=20");
    }

    #[test]
    fn lines_stay_within_the_limit_and_never_begin_with_a_dot() {
        for text in ["x.".repeat(500), ".".repeat(500), "ä".repeat(500), " ".repeat(500)] {
            for line in encoded(&text).split("\r\n") {
                assert!(line.len() <= 76, "{line}");
                assert!(!line.starts_with('.'), "{line}");
            }
        }
    }

    proptest! {
        #[test]
        fn another_decoder_reads_the_same_text(text in "([a-z .=\t]{1,100}|\\PC|\r\n|\n|\r|[\\.=]){0,40}") {
            let encoded = encoded(&text);
            for line in encoded.split("\r\n") {
                prop_assert!(line.len() <= LINE + 1 && !line.starts_with('.'), "{line}");
                prop_assert!(line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)), "{line}");
            }
            let read = String::from_utf8(quoted_printable_decode(encoded.as_bytes()).unwrap()).unwrap();
            let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(lines(&read), lines(&text));
        }
    }
}
