//! The words of notes and of drafts, in the common languages of Europe.

/// How a note begins that something is to be filled in.
pub(super) const VERBS: &[&str] = &["insert", "enter", "add", "type", "fill", "put"];

/// What such a note names, in the end.
pub(super) const KINDS: &[&str] = &[
    "code",
    "image",
    "name",
    "names",
    "date",
    "company",
    "address",
    "email",
    "title",
    "city",
    "phone",
    "link",
    "url",
    "number",
    "customer",
    "client",
    "recipient",
    "product",
    "price",
    "cta",
    "signature",
    "logo",
    "discount",
    "text",
    "day",
    "details",
    "event",
    "location",
    "month",
    "offer",
    "photo",
    "picture",
    "quote",
    "time",
    "venue",
    "video",
    "year",
];

/// Words of other languages that ask for something to be filled in, at the end of a note or at its beginning.
pub(super) const VERBS_ELSEWHERE: &[&str] = &[
    "einfügen",
    "eintragen",
    "einsetzen",
    "insérer",
    "insérez",
    "inserer",
    "insertar",
    "inserta",
    "introducir",
    "inserire",
    "inserisci",
    "inserir",
    "invullen",
    "invoegen",
    "vul",
    "wpisz",
    "wstaw",
    "infoga",
    "indsæt",
];

/// What they ask for.
pub(super) const KINDS_ELSEWHERE: &[&str] = &[
    "name",
    "namen",
    "vorname",
    "vornamen",
    "nachname",
    "nachnamen",
    "datum",
    "firma",
    "firmenname",
    "ort",
    "adresse",
    "link",
    "url",
    "titel",
    "betrag",
    "nom",
    "prénom",
    "prenom",
    "date",
    "lien",
    "société",
    "entreprise",
    "nombre",
    "apellido",
    "fecha",
    "enlace",
    "empresa",
    "nome",
    "cognome",
    "data",
    "azienda",
    "naam",
    "voornaam",
    "bedrijf",
    "nazwa",
    "logo",
    "förnamn",
    "namn",
    "anrede",
    "ansprechpartner",
    "azienda",
    "betreff",
    "bild",
    "ciudad",
    "città",
    "heure",
    "numéro",
    "numero",
    "número",
    "plaats",
    "preis",
    "precio",
    "prezzo",
    "prijs",
    "prix",
    "produkt",
    "uhrzeit",
    "ville",
    "beschreibung",
    "cena",
    "codice",
    "compra",
    "descuento",
    "ditta",
    "gutschein",
    "kwota",
    "maand",
    "mes",
    "mois",
    "monat",
    "montant",
    "numer",
    "nummer",
    "producto",
    "prodotto",
    "produit",
    "rabatt",
    "sconto",
    "unternehmen",
    "veranstaltung",
    "veranstaltungsort",
    "wydarzenie",
    "evento",
    "événement",
    "aantal",
    "anzahl",
    "cantidad",
    "ilość",
    "quantidade",
    "quantità",
    "quantité",
    "företag",
    "företagsnamn",
    "firmanavn",
    "godzina",
    "hora",
    "imię",
    "luogo",
    "miejsce",
    "navn",
    "nazwisko",
    "ora",
    "sobrenome",
    "sted",
    "thema",
    "virksomhed",
];

/// Those of them that are English words, too: a label, or a button.
pub(super) const IN_ENGLISH: &[&str] = &["name", "date", "data", "link", "logo", "url"];

/// Words that end nothing but notes.
pub(super) const VERBS_OF_NOTES: &[&str] =
    &["einfügen", "einsetzen", "ergänzen", "insérer", "insertar", "inserire", "wstaw"];

/// `à compléter`, `nog invullen`: what stands before a verb of a note that has no other word.
pub(super) const BEFORE_VERBS: &[(&str, &str)] = &[
    ("a", "preencher"),
    ("bitte", "ausfüllen"),
    ("do", "uzupełnienia"),
    ("fyll", "i"),
    ("à", "compléter"),
    ("bitte", "ergänzen"),
    ("da", "completare"),
    ("noch", "ergänzen"),
    ("nog", "invullen"),
    ("por", "completar"),
];

/// Whose such a thing is.
pub(super) const YOURS: &[&str] = &[
    "your", "ihr", "ihre", "dein", "deine", "votre", "tu", "su", "tuo", "uw", "je", "twoje", "seu", "din", "dit",
    "ditt", "ert", "jouw", "sua", "ton", "tua", "twoja", "twój",
];

/// What of the owner of such a thing drafts name: `Company Name`.
pub(super) const NAMED: &[&str] = &[
    "brand",
    "business",
    "client",
    "company",
    "contact",
    "customer",
    "donor",
    "event",
    "guest",
    "member",
    "organisation",
    "organization",
    "patient",
    "product",
    "project",
    "recipient",
    "sender",
    "shop",
    "store",
    "student",
    "subscriber",
    "team",
    "user",
];

/// What drafts leave to be filled in, where it is a whole text in signs.
pub(super) const OF_DRAFTS: &[&str] =
    &["company", "company address", "discount code", "firmenname", "order number", "phone number", "tracking number"];

/// The same, where the signs are brackets: in parentheses, these are words of a text.
pub(super) const IN_BRACKETS: &[&str] = &[
    "address",
    "amount",
    "betrag",
    "city",
    "country",
    "coupon code",
    "date",
    "datum",
    "date and time",
    "day",
    "deadline",
    "discount",
    "due date",
    "end date",
    "event",
    "expiry date",
    "fecha",
    "firma",
    "industry",
    "job title",
    "link",
    "location",
    "month",
    "price",
    "product",
    "produkt",
    "promo code",
    "signature",
    "start date",
    "state",
    "subject line",
    "time",
    "topic",
    "url",
    "venue",
    "website",
    "year",
    "body copy",
    "call to action",
    "einleitung",
    "hauptteil",
    "headline",
    "introduction",
    "main content",
    "schluss",
    "bild folgt",
    "button",
    "link folgt",
    "placeholder",
    "platzhalter",
    "text folgt",
];

/// Those of them that are values of a message wherever signs stand around them.
pub(super) const VALUES: &[&str] =
    &["address", "amount", "city", "company", "country", "date", "discount", "price", "product", "venue"];

/// Words in capitals that stand for what is yet to come.
pub(super) const IN_CAPITALS: &[&str] = &[
    "BUTTON",
    "CODE",
    "CTA",
    "HEADLINE",
    "IMAGE",
    "INSERT",
    "LINK",
    "LOGO",
    "NUMBER",
    "PLACEHOLDER",
    "TBA",
    "TBC",
    "TBD",
    "TEXT",
    "TODO",
    "DD.MM.YYYY",
    "DD/MM/YYYY",
    "MM/DD/YYYY",
    "TT.MM.JJJJ",
];

/// What the names of things end with that are filled in.
pub(super) const LAST_WORDS: &[&str] =
    &["address", "amount", "code", "date", "image", "link", "logo", "name", "number", "price", "time", "title", "url"];

/// What else drafts leave to be filled in of their sender.
pub(super) const OF_OWNERS: &[&str] = &[
    "brand",
    "business",
    "domain",
    "information",
    "organisation",
    "organization",
    "position",
    "role",
    "signature",
    "team",
    "website",
];

/// The same in small letters within a sentence, where `time` is no label.
pub(super) const IN_SENTENCES: &[&str] =
    &["day", "deadline", "event", "location", "month", "number", "season", "time", "topic", "week", "year", "website"];

/// What `of` joins with what it is of, and `to` with what it leads to: `Name of event`, `Link to survey`.
pub(super) const WITH_OF: &[&str] = &["address", "amount", "date", "description", "name", "number", "title"];

/// Words between a thing and what it is of, and things in Polish, which has none.
pub(super) const JOINTS: &[&str] = &[
    "d",
    "da",
    "de",
    "del",
    "dell",
    "della",
    "delle",
    "dello",
    "der",
    "des",
    "di",
    "do",
    "du",
    "firmy",
    "klienta",
    "produktu",
    "van",
    "wydarzenia",
    "zamówienia",
    "zum",
];

/// Before a number that is not known yet.
pub(super) const BEFORE_NUMBERS: &[&str] = &[
    "bara", "kun", "noch", "nog", "nur", "only", "over", "que", "quedan", "save", "solo", "spare", "than", "tylko",
    "über",
];
