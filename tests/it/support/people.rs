//! Made-up contacts.

/// The address of person number `n`.
pub(crate) fn address(n: usize) -> String {
    format!("person{n}@example.com")
}

/// Addresses of persons 1 to `count`.
pub(crate) fn addresses(count: usize) -> Vec<String> {
    (1..=count).map(address).collect()
}

/// A CSV file of persons 1 to `count`.
pub(crate) fn csv(count: usize) -> String {
    csv_of(1..=count)
}

/// A CSV file of these persons.
pub(crate) fn csv_of(numbers: impl IntoIterator<Item = usize>) -> String {
    csv_at("example.com", numbers)
}

/// A CSV file of persons with these numbers at a domain: others than those of the same number elsewhere.
pub(crate) fn csv_at(domain: &str, numbers: impl IntoIterator<Item = usize>) -> String {
    let mut csv = String::from("email,first_name,last_name,city\n");
    for n in numbers {
        csv.push_str(&format!("person{n}@{domain},First{n},Last{n},Town {}\n", n % 17));
    }
    csv
}
