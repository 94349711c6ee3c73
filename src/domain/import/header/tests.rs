use super::super::reading::Mapped;
use super::*;

fn layout<'c>(cells: impl Iterator<Item = &'c str>, reading: &Reading) -> Result<Layout, ImportError> {
    let (layout, wrong) = survey(cells, reading)?;
    wrong.map_or(Ok(layout), Err)
}

fn targets(header: &str) -> Result<Vec<Target>, ImportError> {
    read(header, &Reading::default())
}

fn read(header: &str, reading: &Reading) -> Result<Vec<Target>, ImportError> {
    Ok(layout(header.split(','), reading)?.columns.into_iter().map(|column| column.target).collect())
}

fn mapping(all: &[&str]) -> Reading {
    Reading { mapping: Mapped::parse_all(all.iter().copied()).unwrap(), ..Reading::default() }
}

fn attribute(name: &str) -> Target {
    Target::Attribute(name.to_owned())
}

#[test]
fn usual_spellings_are_built_in_fields_and_the_rest_attributes() {
    use BuiltIn as B;
    for (header, expected) in [
        ("E-Mail", B::Email),
        ("EMAIL", B::Email),
        ("eMail", B::Email),
        ("Email Address", B::Email),
        ("Mobile", B::Phone),
        ("phone number", B::Phone),
        ("PhoneNumber", B::Phone),
        ("external id", B::ExternalId),
        ("customerId", B::ExternalId),
        ("userID", B::ExternalId),
    ] {
        assert_eq!(targets(header).unwrap(), [Target::BuiltIn(expected)], "{header}");
    }
    assert_eq!(
        targets("email,firstName,First-Name of pet,Surname,tz,language,Loyalty Tier,,id").unwrap(),
        [
            Target::BuiltIn(B::Email),
            Target::BuiltIn(B::FirstName),
            Target::Attribute("first_name_of_pet".into()),
            Target::BuiltIn(B::LastName),
            Target::BuiltIn(B::Timezone),
            Target::BuiltIn(B::Locale),
            Target::Attribute("loyalty_tier".into()),
            Target::Nowhere,
            Target::Attribute("id".into()),
        ]
    );
}

#[test]
fn consent_has_columns_with_a_list_and_without() {
    let targets = |on_list| -> Vec<Target> {
        let reading = Reading { on_list, ..Reading::default() };
        read("email,Status,status at,source,Tags", &reading).unwrap().into_iter().skip(1).collect()
    };
    let (word, said) = (Target::Consent(Consent::Word), |column| Target::Said(column));
    assert_eq!(
        targets(true),
        [word.clone(), said(SaidColumn::StandingAt), said(SaidColumn::Source), said(SaidColumn::Tags)]
    );
    assert_eq!(targets(false), [word, attribute("status_at"), attribute("source"), said(SaidColumn::Tags)]);
}

#[test]
fn other_languages_fill_fields_where_no_english_column_does() {
    use BuiltIn as B;
    let field = Target::BuiltIn;
    for (header, expected) in [
        (
            "Vorname,Name,E-Mail-Adresse,Telefon",
            vec![field(B::FirstName), Target::LastName, field(B::Email), field(B::Phone)],
        ),
        ("Nom,Prénom,Courriel", vec![Target::LastName, field(B::FirstName), field(B::Email)]),
        ("Nombre,Apellidos,Correo electrónico", vec![field(B::FirstName), field(B::LastName), field(B::Email)]),
        ("Nome,Email", vec![Target::Name, field(B::Email)]),
        ("Imię i nazwisko,Adres e-mail", vec![Target::Name, field(B::Email)]),
        ("Telefon,Handy,email", vec![attribute("telefon"), field(B::Phone), field(B::Email)]),
        ("correo,email,phone,mobil", vec![attribute("correo"), field(B::Email), field(B::Phone), attribute("mobil")]),
        ("name,email", vec![Target::Name, field(B::Email)]),
        ("first_name,name,email", vec![field(B::FirstName), attribute("name"), field(B::Email)]),
        (
            "name,first_name,last_name,email",
            vec![attribute("name"), field(B::FirstName), field(B::LastName), field(B::Email)],
        ),
        ("full name,name,email", vec![Target::Name, attribute("name"), field(B::Email)]),
    ] {
        assert_eq!(targets(header).unwrap(), expected, "{header}");
    }
}

#[test]
fn a_mapping_goes_before_the_names_of_columns() {
    let header = "E-Mail,mail2,name,Status,extra,Kunde";
    let reading = mapping(&[
        "e-mail:-",
        "mail2:email",
        "name:attributes.company",
        "Status:attributes.status",
        "extra:attributes",
    ]);
    assert_eq!(
        read(header, &reading).unwrap(),
        [
            Target::Ignored,
            Target::BuiltIn(BuiltIn::Email),
            attribute("company"),
            attribute("status"),
            Target::Attributes,
            attribute("kunde"),
        ]
    );
}

#[test]
fn a_mapping_that_does_not_fit_the_file_is_refused_with_the_column() {
    for (map, code, words) in [
        ("Stadt:attributes.city", "map_no_column", "\"Stadt\""),
        ("city:email", "duplicate_column", "\"email\" and \"city\""),
        ("city:source", "map_needs_list", "\"city\""),
        ("email:-", "no_key_column", "email, city"),
    ] {
        let error = read("email,city", &mapping(&[map])).unwrap_err();
        assert_eq!(error.code(), code, "{map}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_export_is_read_as_its_tool_writes_it_unless_that_is_turned_off() {
    let header = "uuid,email,name,attributes,status,created_at,updated_at";
    let found = layout(header.split(','), &Reading::default()).unwrap();
    assert_eq!(found.preset, Some(Preset::Listmonk));
    let targets: Vec<Target> = found.columns.into_iter().map(|column| column.target).collect();
    let nowhere = Target::Ignored;
    let email = Target::BuiltIn(BuiltIn::Email);
    let expected = [
        nowhere.clone(),
        email,
        Target::Name,
        Target::Attributes,
        Target::Consent(Consent::Word),
        nowhere.clone(),
        nowhere,
    ];
    assert_eq!(targets, expected);
    let off = layout(header.split(','), &Reading { preset: PresetChoice::Off, ..Reading::default() }).unwrap();
    assert_eq!((off.preset, &off.columns[3].target), (None, &attribute("attributes")));
}

#[test]
fn each_file_of_an_audience_has_its_own_proof() {
    let proof = |header: &str| layout(header.split(','), &Reading::default()).unwrap().proof;
    assert_eq!(proof("Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME"), [3]);
    assert_eq!(proof("Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,UNSUB_TIME"), [4]);
    assert_eq!(proof("Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,CLEAN_TIME"), [4]);
    assert!(proof("email,confirm_time").is_empty());
}

#[test]
fn a_header_that_cannot_be_understood_is_refused() {
    for (header, code) in [
        ("email,E-Mail", "duplicate_column"),
        ("email,City,city ", "duplicate_column"),
        ("First Name,city", "no_key_column"),
        (",", "no_key_column"),
        ("email,***", "column_name"),
        (&format!("email{}", ",a".repeat(MAX_COLUMNS)), "too_many_columns"),
    ] {
        assert_eq!(targets(header).unwrap_err().code(), code, "{header:.40}");
    }
}

#[test]
fn mailchimps_permission_is_no_second_address() {
    let header = "Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,Email";
    let found = layout(header.split(','), &Reading::default()).unwrap();
    let targets = [&found.columns[0].target, &found.columns[4].target];
    assert_eq!(targets, [&Target::BuiltIn(BuiltIn::Email), &Target::Consent(Consent::Perhaps)]);
    assert_eq!(layout("email,email_address".split(','), &Reading::default()).unwrap_err().code(), "duplicate_column");
}
