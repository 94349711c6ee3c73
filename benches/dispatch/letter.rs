//! The letter of `smtp-letter`: a newsletter of some 5.2 KB on the wire, with a text, HTML and three links.

/// The sentence that fills it: as long as a sentence of a newsletter is.
const SENTENCE: &str = "The new opening hours hold from Monday on, and the workshop on the first floor is open again.";

/// How often the sentence stands in each paragraph, and how many paragraphs there are.
const PARAGRAPHS: [usize; 4] = [4, 5, 4, 4];

/// The addresses of its links.
const LINKS: [&str; 3] =
    ["https://example.com/hours?from=letter", "https://example.com/workshop", "https://example.com/contact"];

/// The text, with the recipient's name or a placeholder for it.
pub(crate) fn text(name: &str) -> String {
    let paragraphs = PARAGRAPHS.map(|count| [SENTENCE].repeat(count).join("\r\n"));
    format!("Dear {name},\r\n\r\n{}\r\n\r\n{}\r\n", paragraphs.join("\r\n\r\n"), LINKS.join("\r\n"))
}

/// The HTML, with the recipient's name or a placeholder for it.
pub(crate) fn html(name: &str) -> String {
    let paragraph = |count: usize| {
        format!(
            "<tr><td style=\"padding: 12px 24px; font-family: sans-serif; font-size: 16px; line-height: 24px\">\r\n{}\r\n</td></tr>\r\n",
            [SENTENCE].repeat(count).join("\r\n")
        )
    };
    let link = |address: &str| format!("<a href=\"{address}\" style=\"color: #1a5fb4\">Read on</a>\r\n");
    format!(
        "<!doctype html>\r\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>News</title></head>\r\n<body style=\"margin: 0; \
         background: #f6f5f4\">\r\n<table role=\"presentation\" width=\"600\" align=\"center\" cellpadding=\"0\" \
         cellspacing=\"0\">\r\n<tr><td><h1>Dear {name},</h1></td></tr>\r\n{}<tr><td>\r\n{}</td></tr></table></body></html>\r\n",
        PARAGRAPHS.map(paragraph).concat(),
        LINKS.map(link).concat()
    )
}
