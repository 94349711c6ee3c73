//! Headers in the common European languages. Words that mean several things are not here, and are attributes.

use std::collections::HashMap;
use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;

/// What a header means in its language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Email,
    Phone,
    FirstName,
    LastName,
    /// First and last name in one.
    FullName,
    /// A first name beside a column of last names, else the whole name.
    FirstOrFull,
    /// A last name beside a column of first names, else the whole name.
    LastOrFull,
}

/// The spellings, folded: of several columns of one kind in a file, the one that stands first here is taken.
const SPELLINGS: &[(Word, &[&str])] = &[
    (
        Word::Email,
        &[
            // German, Dutch, Scandinavian, Finnish
            "emailadresse",
            "mailadresse",
            "emailadres",
            "mailadres",
            "epost",
            "epostadresse",
            "epostadress",
            "mejladress",
            "mailadress",
            "mejl",
            "sahkopostiosoite",
            "sahkoposti",
            // French, Spanish, Italian, Portuguese, Romanian
            "adresseemail",
            "adressemail",
            "courriel",
            "adressecourriel",
            "adresseelectronique",
            "correoelectronico",
            "correo",
            "direcciondecorreoelectronico",
            "direcciondecorreo",
            "direcciondeemail",
            "indirizzoemail",
            "indirizzomail",
            "postaelettronica",
            "indirizzodipostaelettronica",
            "correioeletronico",
            "correioelectronico",
            "enderecodeemail",
            "enderecoemail",
            "adresaemail",
            "adresadeemail",
            // Polish, Czech, Slovak, Hungarian
            "adresemail",
            "adresmail",
            "emailovaadresa",
            "eposta",
            "emailcim",
        ],
    ),
    (
        Word::Phone,
        &[
            // A mobile phone before one on a desk: only the former takes text messages.
            "mobiltelefon",
            "mobilnummer",
            "mobiltelefonnummer",
            "mobilfunknummer",
            "mobil",
            "handynummer",
            "handy",
            "telephonemobile",
            "telephoneportable",
            "numeroportable",
            "telefonomovil",
            "movil",
            "celular",
            "telefonocellulare",
            "cellulare",
            "telemovel",
            "telefonecelular",
            "mobielnummer",
            "mobiel",
            "gsmnummer",
            "gsm",
            "telefonkomorkowy",
            "komorka",
            "mobilnitelefon",
            "mobilnr",
            "matkapuhelin",
            "telefonnummer",
            "telefonnr",
            "telefon",
            "rufnummer",
            "numerodetelephone",
            "numerodetelefono",
            "telefono",
            "numeroditelefono",
            "numerodetelefone",
            "telefone",
            "telefoonnummer",
            "telefoon",
            "numertelefonu",
            "nrtelefonu",
            "tlf",
            "telefonnicislo",
            "puhelin",
            "puhelinnumero",
        ],
    ),
    (
        Word::FirstName,
        &[
            "vorname",
            "prenom",
            "primernombre",
            "nombredepila",
            "primeironome",
            "voornaam",
            "imie",
            "fornamn",
            "fornavn",
            "krestnijmeno",
            "etunimi",
            "keresztnev",
            "prenume",
        ],
    ),
    (
        Word::LastName,
        &[
            "nachname",
            "familienname",
            "zuname",
            "nomdefamille",
            "apellidos",
            "apellido",
            "cognome",
            "sobrenome",
            "ultimonome",
            "achternaam",
            "familienaam",
            "nazwisko",
            "efternamn",
            "efternavn",
            "etternavn",
            "prijmeni",
            "sukunimi",
            "vezeteknev",
        ],
    ),
    (
        Word::FullName,
        &[
            "fullname",
            "vollstandigername",
            "vollstaendigername",
            "vorundnachname",
            "vornameundnachname",
            "nomcomplet",
            "prenometnom",
            "nombrecompleto",
            "nombreyapellidos",
            "nombreyapellido",
            "nomecompleto",
            "nomeecognome",
            "nomeesobrenome",
            "volledigenaam",
            "voorenachternaam",
            "imieinazwisko",
            "fullstandigtnamn",
            "fuldenavn",
            "fulltnavn",
            "jmenoaprijmeni",
            "celejmeno",
        ],
    ),
    (Word::FirstOrFull, &["nombre", "nombres", "nome", "jmeno"]),
    (Word::LastOrFull, &["name", "nom", "naam", "namn", "navn"]),
];

/// What a header means, and how far behind others of its kind it stands.
pub(super) fn word(header: &str) -> Option<(Word, usize)> {
    static WORDS: LazyLock<HashMap<&'static str, (Word, usize)>> = LazyLock::new(|| {
        let ranked = |(word, all): &(Word, &'static [&'static str])| {
            let word = *word;
            all.iter().enumerate().map(move |(rank, spelling)| (*spelling, (word, rank))).collect::<Vec<_>>()
        };
        SPELLINGS.iter().flat_map(ranked).collect()
    });
    WORDS.get(folded(header).as_str()).copied()
}

/// The letters and digits of a text, in lower case and without accents.
pub(super) fn folded(text: &str) -> String {
    const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfd();
    let mut folded = String::with_capacity(text.len());
    for c in NFD.normalize(text).chars().flat_map(char::to_lowercase) {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            c if c.is_alphanumeric() => folded.push(c),
            _ => {}
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_spaces_hyphens_and_underscores_do_not_matter() {
        for (header, expected) in [
            ("E-Mail-Adresse", Word::Email),
            ("correo_electrónico", Word::Email),
            ("ADRESSE E-MAIL", Word::Email),
            ("E-postadress", Word::Email),
            ("Téléphone portable", Word::Phone),
            ("Telefon komórkowy", Word::Phone),
            ("Prénom", Word::FirstName),
            ("Imię", Word::FirstName),
            ("Förnamn", Word::FirstName),
            ("PŘÍJMENÍ", Word::LastName),
            ("Vor- und Nachname", Word::FullName),
            ("Jméno", Word::FirstOrFull),
            ("Nom", Word::LastOrFull),
        ] {
            assert_eq!(word(header).map(|(word, _)| word), Some(expected), "{header}");
        }
        for header in ["", "***", "city", "portable", "apelido", "nom et prénom", "first", "email"] {
            assert_eq!(word(header), None, "{header}");
        }
    }

    #[test]
    fn a_spelling_means_one_thing_and_is_written_folded() {
        let mut seen = std::collections::BTreeSet::new();
        for spelling in SPELLINGS.iter().flat_map(|(_, all)| *all) {
            assert_eq!(folded(spelling), *spelling);
            assert!(seen.insert(spelling), "{spelling} is there twice");
        }
    }
}
