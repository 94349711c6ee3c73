//! The encoding of an uploaded file, and its text in UTF-8.
//!
//! A file that is UTF-8 stays as it is. So does one with a few bytes that are no UTF-8: its valid sequences of several bytes are at least as
//! many, and hardly occur in text of another encoding. Rows with such bytes are rejected later; read in another encoding, the whole file would
//! turn into something else. Of the others, UTF-16 is known by its mark or its zeros, and the rest by what is likely.

use std::io::{self, Read, Write};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

/// How much of a file is read at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Stands in the text for bytes that are none: never part of UTF-8, so that their row is rejected.
const NO_TEXT: &[u8] = b"\xff";

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// UTF-8, with a byte order mark or without.
    pub const UTF_8: Self = Self(UTF_8);

    /// What is said where a name is unknown.
    pub const NAMES: &'static str = "a name of the Encoding Standard, such as utf-8, utf-16le, windows-1252, windows-1250, iso-8859-2, \
                                     iso-8859-15, koi8-u, macintosh, shift_jis, gb18030, big5 or euc-kr";

    /// The encoding of that name; several names may mean one: `latin1` and `iso-8859-1` are windows-1252.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        // The first of these decodes everything to nothing, and the second one is no text.
        Encoding::for_label(name.as_bytes()).filter(|found| *found != REPLACEMENT && *found != X_USER_DEFINED).map(Self)
    }

    /// Its name in lower case: `windows-1252`.
    #[must_use]
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }

    /// The encoding of a file that is not UTF-8, by all that is in it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn likely(mut file: impl Read) -> io::Result<Self> {
        let mut guesser = Guesser::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = read(&mut file, &mut buffer)?;
            if count == 0 {
                return Ok(guesser.finish());
            }
            guesser.take(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Writes the text of a file in UTF-8, without a byte order mark. Bytes that are no text become a byte that is no UTF-8.
    ///
    /// # Errors
    /// The file cannot be read, or the text not written.
    pub fn transcode(self, mut file: impl Read, mut text: impl Write) -> io::Result<()> {
        let mut decoder = self.0.new_decoder_with_bom_removal();
        let (mut buffer, mut decoded) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        loop {
            let count = read(&mut file, &mut buffer)?;
            let mut left = buffer.get(..count).unwrap_or_default();
            loop {
                let (result, taken, made) = decoder.decode_to_utf8_without_replacement(left, &mut decoded, count == 0);
                text.write_all(decoded.get(..made).unwrap_or_default())?;
                left = left.get(taken..).unwrap_or_default();
                match result {
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => {}
                    DecoderResult::Malformed(..) => text.write_all(NO_TEXT)?,
                }
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

fn read(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Looks at a file that is not UTF-8 as it comes, piece by piece, to know its encoding.
pub struct Guesser(EncodingDetector);

impl Default for Guesser {
    fn default() -> Self {
        Self(EncodingDetector::new(Iso2022JpDetection::Allow))
    }
}

impl Guesser {
    /// Takes the next piece.
    pub fn take(&mut self, piece: &[u8]) {
        self.0.feed(piece, false);
    }

    /// The encoding that is likely for all pieces together.
    #[must_use]
    pub fn finish(mut self) -> TextEncoding {
        self.0.feed(&[], true);
        TextEncoding(self.0.guess(None, Utf8Detection::Deny))
    }
}

/// Looks at a file as it comes, piece by piece, to know whether it is UTF-8.
#[derive(Debug, Clone, Default)]
pub struct Sniffer {
    /// The first bytes, where a byte order mark stands.
    head: Vec<u8>,
    /// The beginning of a sequence whose end has not come yet.
    open: Vec<u8>,
    /// Valid sequences of several bytes.
    valid: u64,
    /// Sequences that are no UTF-8.
    invalid: u64,
}

/// What is known of an encoding without a look at the whole file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// It is this one.
    Known(TextEncoding),
    /// None of those that can be told: [`TextEncoding::likely`] says which.
    Other,
}

impl Sniffer {
    /// The longest sequence of UTF-8, in bytes.
    const LONGEST: usize = 4;

    /// Takes the next piece.
    pub fn take(&mut self, piece: &[u8]) {
        let missing = Self::LONGEST.saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(missing));
        let mut piece = piece;
        // A sequence that was cut by the end of the piece before.
        while let (false, Some((next, rest))) = (self.open.is_empty(), piece.split_first()) {
            self.open.push(*next);
            let open = std::mem::take(&mut self.open);
            self.count(&open);
            piece = rest;
        }
        self.count(piece);
    }

    fn count(&mut self, mut bytes: &[u8]) {
        loop {
            match std::str::from_utf8(bytes) {
                Ok(text) => return self.note(text),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    self.note(std::str::from_utf8(valid).unwrap_or_default());
                    let Some(length) = error.error_len() else {
                        self.open = rest.to_vec();
                        return;
                    };
                    self.invalid += 1;
                    bytes = rest.get(length..).unwrap_or_default();
                }
            }
        }
    }

    fn note(&mut self, text: &str) {
        if !text.is_ascii() {
            let several = text.chars().filter(|c| !c.is_ascii()).count();
            self.valid += u64::try_from(several).unwrap_or(u64::MAX);
        }
    }

    /// What the file is.
    #[must_use]
    pub fn finish(&self) -> Sniffed {
        let invalid = self.invalid + u64::from(!self.open.is_empty());
        match self.head.as_slice() {
            [0xff, 0xfe, ..] => Sniffed::Known(TextEncoding(UTF_16LE)),
            [0xfe, 0xff, ..] => Sniffed::Known(TextEncoding(UTF_16BE)),
            [0xef, 0xbb, 0xbf, ..] => Sniffed::Known(TextEncoding::UTF_8),
            // UTF-16 without a mark: every other byte of its Latin letters is zero.
            [0, second, ..] if *second != 0 => Sniffed::Known(TextEncoding(UTF_16BE)),
            [first, 0, ..] if *first != 0 => Sniffed::Known(TextEncoding(UTF_16LE)),
            _ if invalid == 0 || self.valid >= invalid => Sniffed::Known(TextEncoding::UTF_8),
            _ => Sniffed::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sniffed(bytes: &[u8]) -> Sniffed {
        let mut sniffer = Sniffer::default();
        sniffer.take(bytes);
        sniffer.finish()
    }

    /// The name of the encoding of a file, and its text.
    fn read_as(bytes: &[u8]) -> (String, Vec<u8>) {
        let encoding = match sniffed(bytes) {
            Sniffed::Known(encoding) => encoding,
            Sniffed::Other => TextEncoding::likely(bytes).unwrap(),
        };
        let mut text = Vec::new();
        encoding.transcode(bytes, &mut text).unwrap();
        (encoding.name(), text)
    }

    fn encoded(encoding: &str, text: &str) -> Vec<u8> {
        if let Some(order) = encoding.strip_prefix("utf-16") {
            let unit = |unit: u16| if order == "le" { unit.to_le_bytes() } else { unit.to_be_bytes() };
            return text.encode_utf16().flat_map(unit).collect();
        }
        let (bytes, _, is_lossy) = Encoding::for_label(encoding.as_bytes()).unwrap().encode(text);
        assert!(!is_lossy, "{encoding}");
        bytes.into_owned()
    }

    #[test]
    fn files_of_spreadsheets_are_read_in_their_encoding() {
        let german = "E-Mail;Vorname;Straße\r\njuergen@example.com;Jürgen;Königsallee 3\r\nzoe@example.com;Zoë;Hauptstraße – 5 €\r\n";
        let polish = "email;imię;miasto\r\na@example.com;Łukasz;Łódź\r\nb@example.com;Małgorzata;Gdańsk\r\nc@example.com;Żaneta;Częstochowa\r\n";
        let russian =
            "email;имя;город\r\na@example.com;Наталья;Санкт-Петербург\r\nb@example.com;Сергей;Екатеринбург\r\n";
        let japanese = "email,名前,都市\r\na@example.com,田中さくら,東京\r\nb@example.com,すずき,おおさか\r\n";
        for (encoding, text) in [
            ("utf-8", german),
            ("windows-1252", german),
            ("windows-1250", polish),
            ("iso-8859-2", polish),
            ("windows-1251", russian),
            ("koi8-u", russian),
            ("shift_jis", japanese),
            ("utf-16le", german),
            ("utf-16be", russian),
        ] {
            let (name, read) = read_as(&encoded(encoding, text));
            assert_eq!((name.as_str(), String::from_utf8(read).as_deref()), (encoding, Ok(text)));
        }
        let (name, read) = read_as(&[&b"\xff\xfe"[..], &encoded("utf-16le", german)].concat());
        assert_eq!(
            (name.as_str(), String::from_utf8(read).as_deref()),
            ("utf-16le", Ok(german)),
            "the mark is dropped"
        );
    }

    #[test]
    fn a_stray_byte_does_not_change_the_encoding_of_the_rest() {
        let file = b"email,name\na@b.cd,J\xc3\xbcrgen\nb@b.cd,Zo\xc3\xab\nc@b.cd,caf\xe9\n";
        assert_eq!(sniffed(file), Sniffed::Known(TextEncoding::UTF_8));
        assert_eq!(sniffed(b"email,name\nc@b.cd,caf\xe9\n"), Sniffed::Other);
        assert_eq!(sniffed(b"email,name\n"), Sniffed::Known(TextEncoding::UTF_8));
        assert_eq!(
            sniffed(b"\xef\xbb\xbfemail,name\nc@b.cd,caf\xe9\n"),
            Sniffed::Known(TextEncoding::UTF_8),
            "the mark says it"
        );
        assert_eq!(sniffed(b"email,name\nc@b.cd,caf\xc3"), Sniffed::Other, "cut off");
    }

    #[test]
    fn bytes_that_are_no_text_stay_recognisable() {
        let mut text = Vec::new();
        TextEncoding::from_name("shift_jis").unwrap().transcode(&b"a\x81,b\xfd"[..], &mut text).unwrap();
        assert!(std::str::from_utf8(&text).is_err() && text.starts_with(b"a\xff"), "{text:?}");
    }

    #[test]
    fn names_are_those_of_the_encoding_standard() {
        for (name, expected) in
            [("Latin1", "windows-1252"), ("UTF8", "utf-8"), ("cp1250", "windows-1250"), (" utf-16 ", "utf-16le")]
        {
            assert_eq!(TextEncoding::from_name(name).map(TextEncoding::name).as_deref(), Some(expected));
        }
        for name in ["", "ebcdic", "iso-2022-kr", "x-user-defined"] {
            assert_eq!(TextEncoding::from_name(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_counted_as_the_whole(
            parts in prop::collection::vec(prop_oneof![
                Just(b"a".to_vec()), Just("\u{e9}".as_bytes().to_vec()), Just("\u{20ac}".as_bytes().to_vec()),
                Just("\u{1f600}".as_bytes().to_vec()), Just(vec![0xe9]), Just(vec![0xf0, 0x9f]), Just(vec![0x80]),
            ], 0..12),
            size in 1_usize..5,
        ) {
            let bytes = parts.concat();
            let mut whole = Sniffer::default();
            whole.take(&bytes);
            let mut pieces = Sniffer::default();
            bytes.chunks(size).for_each(|piece| pieces.take(piece));
            prop_assert_eq!((whole.valid, whole.invalid, whole.open), (pieces.valid, pieces.invalid, pieces.open));
        }
    }
}
