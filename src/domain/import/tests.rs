use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn open(source: impl AsRef<[u8]>) -> Result<ImportReader<Cursor<Vec<u8>>>, ImportError> {
    ImportReader::open(Cursor::new(source.as_ref().to_vec()), None, &Reading::default())
}

fn rows(reader: &mut ImportReader<Cursor<Vec<u8>>>) -> Vec<Row> {
    std::iter::from_fn(|| reader.next_row().unwrap()).collect()
}

/// (line, what was wrong: field and code)
fn rejected(source: impl AsRef<[u8]>) -> Vec<(u64, String, String)> {
    let rejected = rows(&mut open(source).unwrap()).into_iter().filter_map(|row| Some((row.line, row.result.err()?)));
    rejected.flat_map(|(line, errors)| errors.into_iter().map(move |e| (line, e.field, e.code.into_owned()))).collect()
}

#[test]
fn a_row_becomes_a_contact_with_fields_and_attributes() {
    let mut reader = open(
        "\u{feff}E-Mail;First Name;Last Name;Mobile;Loyalty Tier;spend\r\n\
         Ann@Example.com; Ann ;O'Hara;+44 20 7946 0123;\"Gold; plus\";007\r\n\
         ;;;;;\r\n\
         bob@example.com;;;;;\r\n",
    )
    .unwrap();
    assert_eq!(reader.attributes().collect::<Vec<_>>(), ["loyalty_tier", "spend"]);
    let rows = rows(&mut reader);
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
    let ann = rows[0].result.as_ref().unwrap();
    assert_eq!(ann.fields.email.as_deref(), Some("ann@example.com"));
    assert_eq!(ann.fields.first_name.as_deref(), Some("Ann"));
    assert_eq!(ann.fields.phone.as_deref(), Some("+442079460123"));
    assert_eq!(ann.attributes["loyalty_tier"], "Gold; plus");
    assert_eq!(ann.attributes["spend"], "007");
    let bob = rows[1].result.as_ref().unwrap();
    assert_eq!((&bob.fields.first_name, bob.attributes.len()), (&None, 0));
}

#[test]
fn a_formula_is_text() {
    let row = rows(&mut open("email\tlink\na@b.cd\t=HYPERLINK(\"x\")\n").unwrap()).remove(0);
    assert_eq!(row.result.unwrap().attributes["link"], "=HYPERLINK(\"x\")");
}

#[test]
fn a_file_that_cannot_be_imported_is_refused_with_the_reason() {
    for (source, code) in [
        (&b""[..], "csv_empty"),
        (b"\xef\xbb\xbf", "csv_empty"),
        (b"\n\r\n\n", "csv_empty"),
        (b"\xff\xfee\0m\0", "encoding"),
        (b"\xfe\xff\0e\0m", "encoding"),
        (b"e\0m\0a\0", "encoding"),
        (b"email,stra\xdfe\n", "encoding"),
        (b"email,email\n", "duplicate_column"),
        (b"\"email,city\na@b.cd,x\n", "unclosed_quote"),
        (b"name,city\n", "no_key_column"),
    ] {
        assert_eq!(open(source).unwrap_err().code(), code, "{}", source.escape_ascii());
    }
    assert!(matches!(open(b"email,stra\xdfe\n"), Err(ImportError::Encoding { byte: 10 })));
    assert_eq!(
        open("Name,City").unwrap_err().to_string(),
        "the file needs a column email, phone or external_id; it has: Name, City. A mapping says which column is one of them: map=HEADER:email, or --map 'HEADER=email'"
    );
}

#[test]
fn a_header_alone_is_an_import_of_nobody() {
    assert_eq!(rows(&mut open("email").unwrap()), []);
}

#[test]
fn bad_rows_are_reported_by_line_and_column_and_do_not_stop_the_import() {
    let source = b"E-Mail,Mobile,Note\n\
        a@,1.2E+11,\n\
        ok@example.com,,\n\
        ,,hello\n\
        a@example.com,\n\
        a@example.com,,x,y\n\
        b@example.com,,\"a\nb\0\"\n\
        c@example.com,,caf\xe9\n\
        \"Ann\" <d@example.com>,,\n\
        last@example.com,,\n";
    let expected = [
        (2, "E-Mail", "email_invalid"),
        (2, "Mobile", "phone_scientific"),
        (4, "row", "no_key"),
        (6, "row", "too_many_cells"),
        (7, "Note", "control_character"),
        (9, "Note", "encoding"),
        (10, "E-Mail", "email_invalid"),
    ];
    let found = rejected(source);
    let found: Vec<_> = found.iter().map(|(line, field, code)| (*line, field.as_str(), code.as_str())).collect();
    assert_eq!(found, expected);
    let accepted = rows(&mut open(source).unwrap()).into_iter().filter(|row| row.result.is_ok()).count();
    assert_eq!(accepted, 3);
}

/// What becomes of the rows of a file with a list: the address and the dropped cells of good ones, the first code of others.
fn outcomes(source: &str) -> Vec<String> {
    let mut reader = ImportReader::open(
        Cursor::new(source.as_bytes().to_vec()),
        None,
        &Reading { on_list: true, ..Reading::default() },
    )
    .unwrap();
    let told = rows(&mut reader).into_iter().map(|row| match row.result {
        Ok(draft) => {
            let dropped: Vec<_> = row.dropped.iter().map(|one| format!(" -{}:{}", one.field, one.code)).collect();
            draft.fields.email.unwrap_or_default() + &dropped.concat()
        }
        Err(errors) => errors.first().map(|error| error.code.to_string()).unwrap_or_default(),
    });
    told.collect()
}

#[test]
fn a_first_line_may_name_the_delimiter() {
    let named = [("sep=;\r\n", ';'), ("SEP=|\n", '|'), ("\"sep=,\"\n", ','), ("\u{feff}sep=\t\r", '\t')];
    for (first, delimiter) in named {
        let other = if delimiter == ',' { ';' } else { ',' };
        let source = format!("{first}email{delimiter}x{other}y{other}z\na@b.cd{delimiter}1\n");
        let row = rows(&mut open(&source).unwrap()).remove(0);
        let email = row.result.unwrap().fields.email;
        assert_eq!((row.line, email.as_deref()), (3, Some("a@b.cd")), "{source:?}");
    }
    assert_eq!(outcomes("email|note\na@b.cd|x\n"), ["a@b.cd"]);
    assert_eq!(open("sep=;\n").unwrap_err().code(), "csv_empty");
    assert_eq!(open("sep=;x\nemail\n").unwrap_err().code(), "no_key_column");
}

#[test]
fn rows_may_be_shorter_and_have_empty_cells_beyond_the_header() {
    assert_eq!(
        outcomes("email,city,tier\na@b.cd\nb@b.cd,x,,,\u{a0},\nc@b.cd,x,y,,z\n"),
        ["a@b.cd", "b@b.cd", "too_many_cells"]
    );
}

#[test]
fn a_row_of_another_length_never_loses_a_no() {
    let source = "email,note,status,city\n\
        a@b.cd,x\n\
        b@b.cd,x,,\n\
        c@b.cd,hello,,unsubscribed,\n\
        d@b.cd,hello,\n\
        e@b.cd,x,subscribed\n\
        f@b.cd,x,subscribed,Bonn,,\n";
    let expected = ["too_few_cells", "b@b.cd", "too_many_cells", "too_few_cells", "e@b.cd", "f@b.cd"];
    assert_eq!(outcomes(source), expected, "only a row as long as the header may leave its status empty");
}

#[test]
fn a_key_that_cannot_be_read_costs_its_cell_where_there_is_a_stronger_one() {
    let source = "external_id,email,Mobile\n\
        1,a@b.cd,n/a\n\
        2,not an address,0\n\
        ,b@b.cd,+44 20 7946 0123 / +44 20 7946 0124\n\
        ,nonsense,+442079460123\n\
        ,,-\n";
    let expected = [
        "a@b.cd -Mobile:phone_invalid",
        " -email:email_invalid -Mobile:phone_invalid",
        "b@b.cd -Mobile:phone_invalid",
        "email_invalid",
        "phone_invalid",
    ];
    assert_eq!(outcomes(source), expected);
}

#[test]
fn what_stands_below_no_name_is_reported() {
    assert_eq!(
        outcomes("email,,city\na@b.cd,secret,x\nb@b.cd, ,x\n"),
        ["a@b.cd -column 2:column_without_name", "b@b.cd"]
    );
}

#[test]
fn what_is_too_long_rejects_its_row_only() {
    let source =
        format!("email,note\na@b.cd,{}\nc@d.ef,{}\ng@h.ij,\n", "x".repeat(MAX_CELL_BYTES + 1), "x".repeat(5000));
    let expected = [(2, "note".into(), "cell_too_long".into()), (3, "note".into(), "attribute_too_long".into())];
    assert_eq!(rejected(&source), expected);
    assert_eq!(rows(&mut open(source).unwrap()).len(), 3);
}

#[test]
fn an_unclosed_quote_stops_the_import_at_the_line_where_it_opens() {
    let mut reader = open("email,note\na@b.cd,\nc@d.ef,\"x\ng@h.ij,\n").unwrap();
    assert!(reader.next_row().unwrap().is_some());
    assert!(matches!(reader.next_row(), Err(ImportError::UnclosedQuote { line: 3 })));
    assert!(reader.next_row().unwrap().is_none());
}

#[test]
fn the_demo_file_has_the_mess_it_promises() {
    let mut reader = open(include_bytes!("../../../config/demo/contacts.csv")).unwrap();
    let attributes: Vec<_> = reader.attributes().map(str::to_owned).collect();
    assert_eq!(attributes, ["location", "preferred_product", "loyalty_tier"]);
    let rows = rows(&mut reader);
    assert_eq!(rows.len(), 1000);
    let (good, bad): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.result.is_ok());
    assert_eq!(bad.len(), 9);
    assert_eq!(good.iter().filter(|row| !row.dropped.is_empty()).count(), 2);
    let emails: std::collections::BTreeSet<_> =
        good.iter().filter_map(|row| row.result.as_ref().ok()?.fields.email.clone()).collect();
    assert!(emails.len() < good.len(), "no duplicates");
    assert!(
        emails.iter().all(|email| ["@example.com", "@example.org", "@example.net"].iter().any(|d| email.ends_with(d)))
    );
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(source in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(mut reader) = open(&source) {
            while let Ok(Some(_)) = reader.next_row() {}
        }
    }

    #[test]
    fn an_import_resumed_at_any_row_yields_the_rest(
        body in "([a-z]{0,3}@b\\.cd|\"|\"\"|,|\n|\r|\r\n|\u{feff}|é|x){0,60}"
    ) {
        let source = format!("email,note\n{body}").into_bytes();
        let mut reader = open(&source).unwrap();
        let mut all = Vec::new();
        while let Ok(Some(row)) = reader.next_row() {
            all.push(row);
        }
        for (index, row) in all.iter().enumerate() {
            let mut resumed = ImportReader::open(Cursor::new(source.clone()), Some(row.end), &Reading::default()).unwrap();
            let mut rest = Vec::new();
            while let Ok(Some(row)) = resumed.next_row() {
                rest.push(row);
            }
            prop_assert_eq!(&rest[..], &all[index + 1..]);
        }
    }
}
