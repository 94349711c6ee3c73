use std::collections::BTreeSet;

use super::super::super::Content;
use crate::domain::content::template::names::Names;

/// What is found first in a text, where contacts have these attributes.
fn found(text: &str, html: bool) -> Option<String> {
    let known: BTreeSet<String> = ["city", "kundennummer", "anrede", "ort"].into_iter().map(str::to_owned).collect();
    let mut content = Content::default();
    if html {
        content.html = Some(text.to_owned())
    } else {
        content.text = text.to_owned()
    }
    let all = super::super::find(&content, &Names::new(&known));
    all.into_iter().next().map(|suspect| suspect.text)
}

#[test]
fn what_people_leave_in_drafts_is_found() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        // Greetings of nobody.
        ("Dear XXX,", "XXX"),
        ("Lieber ___,", "___"),
        ("Dear ...,", "..."),
        ("Dear ???,", "???"),
        ("Hallo Herr XY,", "XY"),
        ("Hi undefined,", "undefined"),
        ("Hi null, hello", "null"),
        // Words in brackets within a sentence.
        ("We at [company name] are happy", "[company name]"),
        ("Your order [order number] has shipped", "[order number]"),
        ("Join us at [event name] on [event date]", "[event name]"),
        ("I saw that [company name] is hiring", "[company name]"),
        ("Hello [...],", "[...]"),
        ("Where: [address]", "[address]"),
        ("When: [Date and time]", "[Date and time]"),
        ("el [fecha] en [ciudad]", "[fecha]"),
        ("op [datum] in [plaats]", "[datum]"),
        ("Am XX.XX.2026", "XX.XX"),
        ("Am TT.MM.JJJJ um acht", "TT.MM.JJJJ"),
        ("Offer ends [date]", "[date]"),
        ("Offer ends [end date].", "[end date]"),
        ("Your donation of $[amount] has helped", "[amount]"),
        ("Date: [date]", "[date]"),
        ("Use code [CODE] to save", "[CODE]"),
        ("Use [Voucher Code] today", "[Voucher Code]"),
        ("Ihr Gutscheincode: [Gutscheincode]", "[Gutscheincode]"),
        ("Only [X] left", "[X]"),
        ("Noch [X] Plätze frei", "[X]"),
        ("Save XX% today", "XX"),
        ("Nur XX € bis Sonntag", "XX"),
        ("Only $XX.XX", "XX.XX"),
        // Other languages.
        ("Ihr Paket [Sendungsnummer]", "[Sendungsnummer]"),
        ("[Kundenname]", "[Kundenname]"),
        ("[Link zum Abmelden]", "[Link zum Abmelden]"),
        ("[Bild einfügen]", "[Bild einfügen]"),
        ("[Nom de l'entreprise]", "[Nom de l'entreprise]"),
        ("à [Ville]", "[Ville]"),
        ("[à compléter]", "[à compléter]"),
        ("[numéro de commande]", "[numéro de commande]"),
        ("[Nome azienda]", "[Nome azienda]"),
        ("[da completare]", "[da completare]"),
        ("[Bedrijfsnaam]", "[Bedrijfsnaam]"),
        ("[nog invullen]", "[nog invullen]"),
        // Notes.
        ("[TBD]", "[TBD]"),
        ("[LINK HERE]", "[LINK HERE]"),
        ("[Insert text here]", "[Insert text here]"),
        ("[ADD LINK]", "[ADD LINK]"),
        ("[Fill in name]", "[Fill in name]"),
        ("[Speaker Name] speaks", "[Speaker Name]"),
        ("INSERT LINK HERE", "INSERT LINK HERE"),
        ("Yours, YOUR NAME HERE", "YOUR NAME HERE"),
        ("HIER LINK EINFÜGEN", "HIER LINK EINFÜGEN"),
        ("TODO: the prices of May", "TODO"),
        ("Register here: LINK", "LINK"),
        ("Register here: LINK\nSee you", "LINK"),
        ("Kind regards, YOUR NAME", "YOUR NAME"),
        ("Kind regards,\nYour Name", "Your Name"),
        ("Kind regards,\nYOUR COMPANY", "YOUR COMPANY"),
        ("Welcome to COMPANY NAME, we are glad", "COMPANY NAME"),
        ("Lorem ipsum dolor sit amet, consectetur", "Lorem ipsum dolor"),
        // Names that contacts have.
        ("Ihre Kundennummer: [Kundennummer]", "[Kundennummer]"),
        ("[Anrede] {last_name}, wir", "[Anrede]"),
        ("Ihre Kundennummer: «Kundennummer»", "«Kundennummer»"),
        ("«Vorname» «Nachname», wir laden Sie ein", "«Vorname»"),
        ("Ihre Kundennummer: <Kundennummer>", "<Kundennummer>"),
        // Half open.
        ("Hi [first_name", "[first_name"),
        ("Hi [First Name, welcome", "[First Name"),
        ("Hi <First Name", "<First Name"),
        ("{ % if city % }Near{ % endif % }", "{ % if city % }"),
        ("Hi %%first_name%", "%first_name%"),
        ("Hi {#first_name#}, hello", "{#first_name#}"),
        // Products.
        ("Hi @firstname,", "@firstname"),
        ("https://a.example/shop@TrackLink", "@TrackLink"),
        ("##crm.unsubscribe_url##", "##crm.unsubscribe_url##"),
        ("##CONTACT-FULLNAME##", "##CONTACT-FULLNAME##"),
        ("Hello to $contact_first_name", "$contact_first_name"),
        ("Hello to $contacts-firstname$", "$contacts-firstname$"),
        ("Hello to $lead.FirstName.", "$lead.FirstName"),
        ("[agnTITLE type=1]", "[agnTITLE type=1]"),
        ("[VIEWINBROWSER]", "[VIEWINBROWSER]"),
        ("[current-user:name]", "[current-user:name]"),
        ("[your-message]", "[your-message]"),
        ("[products limit=\"4\"]", "[products limit=\"4\"]"),
        ("Your number: $CustomerNo$", "$CustomerNo$"),
        ("Your number: [CustomerNo]", "[CustomerNo]"),
        ("Yours, <<Account Manager>>", "<<Account Manager>>"),
        ("bei der «Firma» und", "«Firma»"),
        ("<<AddressBlock>>", "<<AddressBlock>>"),
        ("<<Appointment Date>>", "<<Appointment Date>>"),
        ("Until %TODAY+7%", "%TODAY+7%"),
        ("<t t-out=\"object.name\"/>", "<t t-out=\"object.name\"/>"),
        ("<ContactFirstName/>", "<ContactFirstName/>"),
        // Addresses.
        ("https://a.example/?token=TOKEN", "TOKEN"),
        ("https://a.example/?id=USER_ID", "USER_ID"),
        ("https://LINK now", "LINK"),
        ("https://yourdomain.com/x", "yourdomain"),
        ("mailto:info@[domain].com", "[domain]"),
        ("tel:[phone]", "[phone]"),
        ("Click [here](LINK)", "(LINK)"),
        ("http://{unsubscribe_url}", "{unsubscribe_url}"),
    ] {
        let first = found(text, false);
        wrong.extend((first.as_deref() != Some(expected)).then(|| format!("{text}: {first:?}")));
    }
    for (html, expected) in [
        ("<a href=\"UNSUBSCRIBE_URL\">x</a>", "UNSUBSCRIBE_URL"),
        ("<a href=\"LINK\">x</a>", "LINK"),
        ("<img src='IMAGE_URL' alt='x'>", "IMAGE_URL"),
        ("<a title=\"[[data:firstname:&quot;x&quot;]]\">x</a>", "[[data:firstname:&quot;x&quot;]]"),
        ("<p>Kind regards,<br>Your Name</p>", "Your Name"),
        ("<p>Hi <span class=\"eloquaemail\">FirstName</span>x</p>", "\"eloquaemail\""),
        ("<script type=\"application/ld+json\">{\"name\": \"[[first_name]]\"}</script>", "[[first_name]]"),
        ("<p>We meet in <city> soon</p>", "<city>"),
    ] {
        let first = found(html, true);
        wrong.extend((first.as_deref() != Some(expected)).then(|| format!("{html}: {first:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ordinary_words_of_newsletters_stay() {
    let mut wrong = Vec::new();
    for text in [
        "https://a.example/?utm_medium=EMAIL&utm_source=SMS&channel=EMAIL&type=PHONE&sort=NAME&dir=ASC",
        "https://a.example/?utm_campaign=BLACK_FRIDAY&coupon=SUMMER_20&utm_content=TOP_BANNER",
        "[Event] tonight: jazz",
        "[Deadline] extended to 5 May",
        "[Website] relaunch",
        "[Company] update",
        "The [company] declined to comment, and that [city] was happy",
        "\"The [product], in fact, is great.\"",
        "[Save the Date] [Read More] [Get Code] [Open Link] [Click Here] [See Name] [1] [x] [X] done",
        "Click [X] to close. XXL shirts, XX and XY, xx, Size XX",
        "Hello there... and welcome back... Dear all, ... Hi! ...",
        "Das Feld «Name» und «E-Mail», « Bonjour », «Kunde» sagt",
        "Birthday (DD/MM/YYYY), Version XX.2 of it, Geburtsdatum: TT.MM.JJJJ",
        "TODO INCLUIDO, todo el día. MAKE YOUR NAME KNOWN. Put YOUR NAME on the map. Your Name counts. BRAND NAMES for less",
        "FREE LINK. CODE: SPRING. Your code: SPRING. The LINK magazine. WHAT A DATE. YOUR COMPANY NAME COUNTS",
        "[YouTube] [GitHub] [PayPal] [iPhone] [LinkedIn], the film «Die Firma», <<Hello world>>",
        "Insert coin here. PUT IT HERE. YOUR TURN. HERE WE GO",
        "https://WWW.EXAMPLE.COM/ https://a.example/?id=7&lang=EN&currency=EUR @first @lastminute",
        "[12:30] [a:b] [re: invent] [note: x] 50% off, %TODAY 7%, ##NEWS## ## v1.2 ##",
        "Lorem Ipsum is our band. <b>x</b> <time> <address>",
        "$5.50 and $user, $contact us",
        "{# a comment about first_name #}x {# first name #}",
    ] {
        wrong.extend(found(text, false).map(|first| format!("{text}: {first}")));
    }
    for html in [
        "<a href=\"#TOP\">x</a><a href=\"/LINK\">x</a><img src=\"A.png\" alt=\"x\"><time>1</time><address>x</address>",
        "<p>Hello {city|there},</p><p>Dear {{ first_name }}, hello</p>",
    ] {
        wrong.extend(found(html, true).map(|first| format!("{html}: {first}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
