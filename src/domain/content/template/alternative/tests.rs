use std::collections::BTreeSet;

use super::super::names::Names;
use super::super::scan;
use super::*;

fn made(source: &str) -> String {
    let known = BTreeSet::new();
    let tokens = scan::tokens(source, &Names::new(&known));
    let one = |piece: Made<'_>| match piece {
        Made::Text(text) => text,
        Made::Token(_, Token::Field { name, .. }) => format!("{{{name}}}"),
        Made::Token(_, Token::Code(text) | Token::Text(text) | Token::Literal(text)) => text.to_owned(),
    };
    text_of(source, &tokens).into_iter().map(one).collect()
}

#[test]
fn html_becomes_text_that_can_be_read() {
    for (source, text) in [
        ("<p>Hello {first_name},</p>\n<p>two\n  words</p>", "Hello {first_name},\n\ntwo words\n"),
        ("<h1>A &amp; B</h1>c<br>d<br><br>e", "A & B\n\nc\nd\n\ne\n"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two\n"),
        ("<a href=\"https://a.example/?x=1&amp;y=2\">here</a>.", "here (https://a.example/?x=1&y=2).\n"),
        ("<a href=\"{unsubscribe_url}\">Unsubscribe</a>", "Unsubscribe ({unsubscribe_url})\n"),
        (
            "<a href=\"https://a.example/{first_name}/x\"><img src=x alt=\"Our {name}\"></a>",
            "Our {name} (https://a.example/{first_name}/x)\n",
        ),
        ("<a href='https://a.example'><img src=x></a>", "https://a.example\n"),
        (
            "<a href='https://a.example'>https://a.example</a> <a href=#top>up</a> <a name=x>y</a>",
            "https://a.example up y\n",
        ),
        ("<a href=\"{unsubscribe_url}\">{unsubscribe_url}</a>", "{unsubscribe_url}\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
        (
            "<head><title>{first_name}</title><style>a{b:c}</style></head><body><script>x</script>y<!-- z --></body>",
            "y\n",
        ),
        ("<div>a</div><div>b</div><hr>c", "a\nb\n\n----\n\nc\n"),
        ("a&nbsp;b &zwnj;&nbsp;&zwnj; c", "a b c\n"),
        ("Hello <b>{first_name}</b>!", "Hello {first_name}!\n"),
        ("<html><head><title>t</title><body><p>Hi", "Hi\n"),
        (
            "<a href='https://a.example/b'><img></a><a href='https://a.example/c'><img></a>up",
            "https://a.example/b https://a.example/c up\n",
        ),
        ("<ul><li><p>A</p></li><li><p>B</p></li></ul>", "- A\n\n- B\n"),
        (
            "<a href='mailto:help@a.example'>help@a.example</a>, <a href='https://www.a.example/'>www.a.example</a>",
            "help@a.example, www.a.example\n",
        ),
        ("<a href='javascript:void(0)'>x</a>", "x\n"),
        (
            "<pre>fn f() {\n    g( {name} );\n\n}</pre>end <b>of</b>\nit",
            "fn f() {\n    g( {name} );\n\n}\n\nend of it\n",
        ),
        ("<p> </p><img src=x>", ""),
        ("", ""),
    ] {
        assert_eq!(made(source), text, "{source}");
    }
}

#[test]
fn code_keeps_its_order_and_what_is_set_where_nobody_reads_still_counts() {
    for (source, text) in [
        (
            "<table>{% for i in items %}<tr><td>{{ i.name }}</td></tr>{% endfor %}</table>",
            "{% for i in items %}{i.name}\n{% endfor %}",
        ),
        ("<head>{% set a = 1 %}<title>{{ x|upper }}</title></head>{{ a|upper }}", "{% set a = 1 %}{{ a|upper }}\n"),
        ("<td {% if a %}class=\"{{ b|upper }}\"{% endif %}>x</td>", "{% if a %}{% endif %}x\n"),
        ("<p>a</p>{% for i in items %}<p>b</p>{% endfor %}<p>c</p>", "a\n\n{% for i in items %}b\n\n{% endfor %}c\n"),
        ("a{% raw %}{b}{% endraw %}<style>{% raw %}x{% endraw %}</style>", "a{% raw %}{b}{% endraw %}\n"),
        ("<p>{# note #}a</p>", "{# note #}a\n"),
    ] {
        assert_eq!(made(source), text, "{source}");
    }
}
