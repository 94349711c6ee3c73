//! Quoted-printable (RFC 2045 6.7) for text: line ends become CRLF, and no line begins with a dot, so that a body can
//! never be mistaken for the end of itself, whatever the software on the way does with bare line feeds.

/// Characters per line, not counting the `=` of a soft line break (RFC 2045 allows 76 with it).
const LINE: usize = 75;

/// Encodes `text`.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut line = Lines { out: Vec::with_capacity(text.len() + text.len() / 16 + 16), column: 0 };
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                let _ = bytes.next_if_eq(&b'\n');
                line.end();
            }
            b'\n' => line.end(),
            b'=' => line.put_escaped(byte),
            b' '..=b'~' | b'\t' => line.put(byte),
            _ => line.put_escaped(byte),
        }
    }
    line.protect_trailing_blank();
    line.out
}

struct Lines {
    out: Vec<u8>,
    column: usize,
}

impl Lines {
    fn put(&mut self, byte: u8) {
        self.make_room(1);
        if byte == b'.' && self.column == 0 {
            return self.put_escaped(byte);
        }
        self.out.push(byte);
        self.column += 1;
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
    use super::*;

    fn encoded(text: &str) -> String {
        String::from_utf8(encode(text)).unwrap()
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
}
