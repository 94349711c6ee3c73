use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::people::contact::Fields;

fn text(source: &str) -> Content {
    Content { text: source.to_owned(), ..Content::default() }
}

fn known() -> BTreeSet<String> {
    ["address", "tags", "score", "vip", "note", "contact"].into_iter().map(str::to_owned).collect()
}

fn ann() -> Profile {
    Profile {
        fields: Fields {
            email: Some("ann@example.com".into()),
            first_name: Some("Ann".into()),
            last_name: Some("O'Hara & <Sons>".into()),
            ..Fields::default()
        },
        attributes: [
            ("address".to_owned(), json!({"city": "Zürich", "zip": 8001})),
            ("tags".to_owned(), json!(["a", "b\""])),
            ("score".to_owned(), json!(1.5)),
            ("vip".to_owned(), json!(true)),
            ("note".to_owned(), json!("{{ secret }} {first_name}")),
            ("contact".to_owned(), json!("by phone")),
            ("location".to_owned(), json!(null)),
        ]
        .into(),
        ..Profile::default()
    }
}

fn compile(source: &str) -> Result<Compiled, TemplateError> {
    Compiled::compile(&text(source), &known())
}

fn rendered(source: &str) -> String {
    compile(source).unwrap().render(&ann()).unwrap().text
}

#[test]
fn every_way_to_write_a_placeholder_prints_the_field() {
    for (source, expected) in [
        ("{first_name}", "Ann"),
        ("{contact.first_name}", "Ann"),
        ("{{ first_name }}", "Ann"),
        ("{{ contact.first_name }}", "Ann"),
        ("{{- first_name -}}", "Ann"),
        ("{name}", "Ann O'Hara & <Sons>"),
        ("{address.city}", "Zürich"),
        ("{{ address['city'] | upper }}", "ZÜRICH"),
        ("{address}", "{\"city\":\"Zürich\",\"zip\":8001}"),
        ("{tags}", "[\"a\",\"b\\\"\"]"),
        ("{score} {vip}", "1.5 true"),
        ("{contact.contact}", "by phone"),
        ("{First Name} {Score} {{ First Name }}", "Ann 1.5 Ann"),
        ("{First Name}{% if vip %}{VIP}{% endif %}", "Anntrue"),
        ("{attributes.score} {{ attributes.address.city }}", "1.5 Zürich"),
        ("{{ attributes[\"Score\"] }}{{ attributes['address'].city }}", "1.5Zürich"),
        ("{% set Score = 1 %}{Score}", "1"),
        ("{note}", "{{ secret }} {first_name}"),
        ("{% if vip %}{note}{% endif %}", "{{ secret }} {first_name}"),
        ("a\r\n{first_name}\n", "a\r\nAnn\n"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}

#[test]
fn plain_placeholders_print_the_same_with_and_without_the_template_language() {
    for source in [
        "{name}",
        "{address}",
        "{address.zip}",
        "{tags}",
        "{score}",
        "{vip}",
        "{phone}",
        "{location|Nowhere \"\\ & <b>}",
        "a{#b\n",
    ] {
        let html = |source: String| {
            let content = Content { html: Some(source), ..Content::default() };
            Compiled::compile(&content, &known()).unwrap().render(&ann()).unwrap().html.unwrap()
        };
        assert_eq!(rendered(source), rendered(&format!("{source}{{% if true %}}{{% endif %}}")), "{source}");
        assert_eq!(html(source.to_owned()), html(format!("{source}{{% if true %}}{{% endif %}}")), "{source}");
    }
}

#[test]
fn missing_values_are_empty_and_fallbacks_take_their_place() {
    for (source, expected) in [
        ("[{phone}]", "[]"),
        ("[{location}]", "[]"),
        ("[{address.street.number}]", "[]"),
        ("[{{ address.street.number|upper }}]", "[]"),
        ("[{{ location|upper }}]", "[]"),
        ("{phone|no phone}", "no phone"),
        ("{first_name|Customer}", "Ann"),
        ("{% if not phone %}{phone|no \"phone\"\\}{% endif %}", "no \"phone\"\\"),
        ("{{ phone|fallback('none') }} {{ phone|default('none') }}", "none none"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}

#[test]
fn braces_around_other_things_stay() {
    for source in [
        "p { color: red }",
        "{\"a\": {\"b\": 1}}",
        "@media print{a{b:c}}",
        "{#main {top: 0}}",
        "{ } {} {1}",
        "{% raw %}{% endraw %}{\"a\": 1}",
    ] {
        assert_eq!(rendered(source), source.replace("{% raw %}{% endraw %}", ""), "{source}");
    }
    assert_eq!(
        rendered("{{ \"{\" }}{{ '{first_name}' }}{% raw %}{first_name}{% endraw %}"),
        "{{first_name}{first_name}"
    );
}

#[test]
fn a_raw_block_alone_needs_no_template_language() {
    for (source, is_program, expected) in [
        ("{% raw %}*|{first_name}|*{% endraw %} {first_name}", false, "*|{first_name}|* Ann"),
        ("{%raw%}\n{{ x }}\n{%endraw%}", false, "\n{{ x }}\n"),
        ("{% raw %}{% raw %}{% endraw %}", false, "{% raw %}"),
        ("a {%- raw -%} {b} {%- endraw %} c", true, "a{b} c"),
        ("{% raw %}{b}{% endraw %}{% if vip %}{vip}{% endif %}", true, "{b}true"),
    ] {
        let compiled = compile(source).unwrap();
        assert_eq!(
            (compiled.is_program(), compiled.render(&ann()).unwrap().text.as_str()),
            (is_program, expected),
            "{source}"
        );
        assert_eq!(text(source).check_placeholders(&known()), Ok(()), "{source}");
    }
}

#[test]
fn html_alone_gets_a_text_made_from_it() {
    let made = |html: &str| {
        let content = Content { text: " \n".to_owned(), html: Some(html.to_owned()), ..Content::default() };
        Compiled::compile(&content, &known()).unwrap().render(&ann()).unwrap().text
    };
    for (html, text) in [
        (
            "<p>Hi {last_name}, {phone|none}</p><a href=\"https://a.example/?n={first_name}\">go</a>",
            "Hi O'Hara & <Sons>, none\n\ngo (https://a.example/?n=Ann)\n",
        ),
        (
            "<ul>{% for t in tags %}<li>{t}</li>{% endfor %}</ul><p>&#123;{ {% raw %}{x}{% endraw %}</p>",
            "- a\n- b\"\n\n{{ {x}\n",
        ),
        ("<table>{% for i in range(2) %}<tr><td>{{ i }}</td><td>x</td></tr>{% endfor %}</table>", "0 x\n1 x\n"),
        ("<img src=\"x\">", " \n"),
    ] {
        assert_eq!(made(html), text, "{html}");
    }
    let own = Content { text: "own".to_owned(), html: Some("<p>{first_name}</p>".to_owned()), ..Content::default() };
    assert_eq!(Compiled::compile(&own, &known()).unwrap().render(&ann()).unwrap().text, "own");
}

#[test]
fn the_line_ends_of_word_processors_become_line_breaks() {
    let content = Content {
        subject: "a\u{b}b\u{2028}c".into(),
        text: "a\u{c}b\u{85}c\u{2029}".into(),
        html: Some("\u{b}".into()),
        ..Content::default()
    };
    let tidy =
        Content { subject: "a b c".into(), text: "a\nb\nc\n".into(), html: Some("\n".into()), ..Content::default() };
    assert_eq!(content.tidied(), tidy);
}

#[test]
fn the_template_language_works_with_loops_tests_and_variables() {
    for (source, expected) in [
        ("{% for tag in tags %}{tag}{{ loop.index }};{% endfor %}", "a1;b\"2;"),
        ("{% set who = first_name %}{who}", "Ann"),
        ("{% if phone %}{% set a = 1 %}{% else %}{% set a = 2 %}{% endif %}{{ a }}", "2"),
        ("{% macro hi(x) %}Hi {{ x }}{% endmacro %}{{ hi(first_name) }}", "Hi Ann"),
        ("{{ 'vip' if vip is defined and vip else 'no' }}", "vip"),
        ("{% for i in range(3) %}{i}{% endfor %}", "012"),
        ("{% filter upper %}{first_name}{% endfilter %}", "ANN"),
        ("{% filter replace('A', first_name) %}A{% endfilter %}", "Ann"),
        ("{# {nobody} #}x", "x"),
        ("{{ [1, 'a'] }}", "[1,\"a\"]"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}

#[test]
fn html_escapes_values_and_nothing_else() {
    let content = Content {
        subject: "{last_name}".into(),
        text: "{last_name}".into(),
        html: Some("<p title=\"{last_name}\">{{ last_name }} {tags} {phone|a<b} {{ last_name|safe }}</p>".into()),
        ..Content::default()
    };
    let message = Compiled::compile(&content, &known()).unwrap().render(&ann()).unwrap();
    assert_eq!(message.subject, "O'Hara & <Sons>");
    assert_eq!(message.text, "O'Hara & <Sons>");
    let escaped = "O&#x27;Hara &amp; &lt;Sons&gt;";
    let tags = "[&quot;a&quot;,&quot;b\\&quot;&quot;]";
    assert_eq!(message.html.unwrap(), format!("<p title=\"{escaped}\">{escaped} {tags} a&lt;b O'Hara & <Sons></p>"));
}

#[test]
fn unknown_names_are_all_reported_with_their_places_and_the_valid_ones() {
    let content = Content {
        subject: "Hi {frist_name}".into(),
        text: "a\nÄ {contact.nme} {first_name}\n{% for x in orders %}{x}{y}{{ contact.email.foo }}{% endfor %}{nme2} {nme2}"
            .into(),
        html: Some("{{ contact }}".into()),
        ..Content::default()
    };
    let TemplateError::UnknownNames { unknown, valid } = Compiled::compile(&content, &known()).unwrap_err() else {
        panic!("other error");
    };
    let found: Vec<_> = unknown.iter().map(|u| (u.part, u.line, u.column, u.name.as_str())).collect();
    assert_eq!(
        found,
        [
            (Part::Subject, 1, 4, "frist_name"),
            (Part::Text, 2, 3, "contact.nme"),
            (Part::Text, 3, 13, "orders"),
            (Part::Text, 3, 25, "y"),
            (Part::Text, 3, 28, "contact.email.foo"),
            (Part::Text, 3, 63, "nme2"),
            (Part::Html, 1, 1, "contact"),
        ]
    );
    assert!(
        valid.is_sorted() && valid.contains(&"score".to_owned()) && valid.contains(&"preferred_product".to_owned())
    );
    let error = compile("{frist_name}").unwrap_err();
    assert_eq!(error.code(), "unknown_placeholder");
    assert!(
        error.to_string().starts_with("unknown placeholders: frist_name (text, line 1, column 1); valid are: address,")
    );
}

#[test]
fn an_attribute_that_nobody_has_is_unknown_in_brackets_too() {
    let unknown = |source: &str| match compile(source).unwrap_err() {
        TemplateError::UnknownNames { unknown, .. } => {
            unknown.into_iter().map(|one| (one.name, one.like)).collect::<Vec<_>>()
        }
        other @ (TemplateError::Syntax { .. }
        | TemplateError::Malformed { .. }
        | TemplateError::TooLong { .. }
        | TemplateError::TooHeavy { .. }) => {
            panic!("{other}")
        }
    };
    assert_eq!(unknown("{{ attributes[\"Scores\"] }}"), [("Scores".to_owned(), Some("score".to_owned()))]);
    assert_eq!(unknown("{{ attributes }}"), [("attributes".to_owned(), None)]);
    assert_eq!(unknown("{attributes.first_name}").len(), 1, "a field is no attribute");
}

#[test]
fn a_name_that_nobody_has_is_text_in_scripts_and_styles_only() {
    let html = |source: &str| {
        let content = Content { html: Some(source.to_owned()), ..Content::default() };
        Compiled::compile(&content, &known()).map(|compiled| compiled.render(&ann()).unwrap().html.unwrap())
    };
    let script = "<script type=\"application/ld+json\">{\"a\": \"{search_term}\", \"b\": \"{score}\"}</script>";
    assert_eq!(html(script).unwrap(), script.replace("{score}", "1.5"));
    let program = format!("{script}{{% if vip %}}!{{% endif %}}");
    assert_eq!(html(&program).unwrap(), format!("{}!", script.replace("{score}", "1.5")));
    assert_eq!(html("<p>{search_term}</p>").unwrap_err().code(), "unknown_placeholder");
    assert_eq!(html("<a href=\"https://a.example/{search_term}\">").unwrap_err().code(), "unknown_placeholder");
}

#[test]
fn what_the_template_language_does_not_understand_is_reported_with_its_place() {
    for (source, line, column) in [
        ("a\n{{ first_name", 2, 4),
        ("{% if %}", 1, 7),
        ("x\n  {{ first_name|shout }}", 2, 17),
        ("{first_name|Customer} {{ vip is brilliant }}", 1, 33),
        ("{first_name|Customer} {{ 1 + }}", 1, 30),
        ("{% include 'text' %}", 1, 1),
        ("{%- extends 'x' %}", 1, 1),
        ("{first_name}{% import 'x' as y %}", 1, 13),
        ("{% from 'x' import y %}", 1, 1),
        ("{% raw %}", 1, 10),
        ("{% for %}", 1, 8),
    ] {
        match compile(source).unwrap_err() {
            TemplateError::Syntax { part, line: l, column: c, detail } => {
                assert_eq!((part, l, c), (Part::Text, line, column), "{source:?}: {detail}");
            }
            other @ (TemplateError::UnknownNames { .. }
            | TemplateError::Malformed { .. }
            | TemplateError::TooLong { .. }
            | TemplateError::TooHeavy { .. }) => panic!("{source}: {other}"),
        }
    }
}

#[test]
fn endless_work_and_endless_output_end_in_an_error() {
    let many = "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(matches!(compile(many).unwrap().render(&ann()), Err(RenderError::TooManySteps { part: Part::Text, .. })));
    assert_eq!(compile(many).unwrap().try_out().unwrap_err().code(), "template_too_heavy");
    let long = "{% for i in range(9999) %}{{ 'a' * 400 }}{% endfor %}";
    assert_eq!(compile(long).unwrap().render(&ann()), Err(RenderError::TooLong { part: Part::Text }));
    assert_eq!(compile(long).unwrap().try_out().unwrap_err().code(), "template_too_heavy");
    let big = Profile { attributes: [("note".to_owned(), json!("x".repeat(4000)))].into(), ..Profile::default() };
    assert_eq!(compile(&"{note}".repeat(600)).unwrap().render(&big), Err(RenderError::TooLong { part: Part::Text }));
    let source = "x".repeat(MAX_SOURCE_BYTES + 1);
    assert_eq!(compile(&source).unwrap_err().code(), "template_too_long");
    assert_eq!(rendered(&"{first_name}".repeat(10_000)).len(), 30_000);
}

#[test]
fn a_failure_tells_the_line_and_no_value() {
    let error = compile("a\n{{ 1 // (0 if email else 1) }}").unwrap().render(&ann()).unwrap_err();
    assert!(matches!(error, RenderError::Failed { part: Part::Text, line: 2, .. }), "{error}");
    let error = compile("{{ first_name + 1 }}").unwrap().render(&ann()).unwrap_err();
    assert!(!error.to_string().contains("Ann"), "{error}");
}

#[test]
fn a_subject_is_one_line_of_bounded_length() {
    let render = |subject: &str, rule| {
        let content = Content { subject: subject.to_owned(), ..Content::default() };
        let profile = Profile {
            attributes: [
                ("note".to_owned(), json!("a\r\nBcc: x@example.com")),
                ("tags".to_owned(), json!("ü".repeat(998))),
            ]
            .into(),
            ..Profile::default()
        };
        Compiled::compile(&content, &known()).unwrap().with_subject_rule(rule).render(&profile).map(|m| m.subject)
    };
    assert_eq!(render("{note}", SubjectRule::Optional), Err(RenderError::SubjectControl));
    assert_eq!(render("{{ note }}{% if 1 %}{% endif %}", SubjectRule::Optional), Err(RenderError::SubjectControl));
    assert_eq!(render("{tags}", SubjectRule::Optional).map(|s| s.chars().count()), Ok(998));
    assert_eq!(render("{tags}!", SubjectRule::Optional), Err(RenderError::SubjectTooLong));
    assert_eq!(render("{first_name} ", SubjectRule::Required), Err(RenderError::SubjectBlank));
    assert_eq!(render("{first_name} ", SubjectRule::Optional), Ok(" ".into()));
}

#[test]
fn used_and_missing_names_are_listed_without_contact() {
    let source = "{contact.first_name|x}{phone|y}{{ address.street }}{% for t in tags %}{t}{% endfor %}{phone}";
    let compiled = compile(source).unwrap();
    assert_eq!(compiled.placeholders().collect::<Vec<_>>(), ["address.street", "first_name", "phone", "tags"]);
    assert_eq!(compiled.missing(&ann(), &Provided::default()), ["address.street", "phone"]);
}

#[test]
fn a_compiled_template_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Compiled>();
}

proptest! {
    #[test]
    fn no_source_breaks_the_compiler_or_the_renderer(
        source in "(\\PC|[{}%#|\"'\\n .]|\\{\\{|\\}\\}|\\{%|%\\}|first_name|tags|if |for |in |endif|endfor|set |=|raw|endraw|\\[|\\]|\\(|\\)|[0-9]){0,40}"
    ) {
        let content = Content { text: source.clone(), html: Some(source), ..Content::default() };
        if let Ok(compiled) = Compiled::compile(&content, &known()) {
            let _ = compiled.render(&ann());
        }
    }

    /// Programs made of what makes values grow: the test would end by taking all memory.
    #[test]
    fn no_program_that_is_accepted_takes_more_memory_than_its_bounds(
        pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "{% set a = a ~ a %}", "{% set a = first_name %}", "{% set b = [a, a, tags] %}", "{% set a = b|join(a) %}",
                "{% set a = a * 9 %}", "{% set a = 'x' * 999 %}", "{% set a = a|replace('', a) %}", "{% set a %}{{ b }}{{ b }}{% endset %}",
                "{% for i in range(99) %}{% set a = a ~ i %}", "{% for i in b %}{{ i }}", "{% endfor %}", "{% if a %}", "{% endif %}",
                "{% macro m(x) %}{{ x ~ x }}", "{% endmacro %}", "{% set a = m(a) %}", "{{ m(b) }}", "{{ a }}", "{{ b|tojson }}",
                "{% set a = range(999)|map('upper')|join(a) %}", "{% filter upper %}", "{% endfilter %}", "{{ '%99d'|format(1) }}",
            ]),
            0..24,
        )
    ) {
        if let Ok(compiled) = compile(&pieces.concat()) {
            if let Ok(message) = compiled.render(&ann()) {
                prop_assert!(message.text.len() <= MAX_OUTPUT_BYTES);
            }
            let _ = compiled.try_out();
        }
    }

    #[test]
    fn text_without_braces_is_printed_as_it_is(source in "[^{]{0,80}") {
        prop_assert_eq!(rendered(&source), source);
    }

    #[test]
    fn the_template_language_changes_nothing_around_it(source in "(\\PC|[{}|#\\n ]|\\{vip\\}|\\{phone\\|x\\}){0,30}") {
        let has_code = ["{{", "{%", "#}"].iter().any(|code| source.contains(code));
        if let (false, Ok(compiled)) = (has_code, compile(&source)) {
            let plain = compiled.render(&ann()).unwrap().text;
            prop_assert_eq!(rendered(&format!("{{% if 1 %}}{{% endif %}}{source}")), plain);
        }
    }
}

/// Each of these would take more memory than a machine has, in a few steps.
const GREEDY: &[&str] = &[
    "{{ 'a' * 2000000 }}",
    "{{ first_name * score }}",
    "{{ score * first_name }}",
    "{% set a = first_name %}{% for i in range(60) %}{% set a = a ~ a %}{% endfor %}{{ a }}",
    "{% set a = 'x' * 60 %}{% set a = a * 60 %}{% set a = a * 60 %}{% set a = a * 60 %}{{ a }}",
    "{% set n = namespace(a='x') %}{% for i in range(60) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}",
    "{% macro a(x) %}{{ a(x ~ x) }}{% endmacro %}{{ a(first_name) }}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% macro a(x) %}{{ x }}{% endmacro %}{% set b = a %}{{ b(1) }}",
    "{% set a %}{% for i in range(9999) %}{{ first_name }}{% endfor %}{% endset %}{{ a }}",
    "{% filter upper %}{% for i in range(9999) %}{{ first_name }}{% endfor %}{% endfilter %}",
    "{% set a = [tags, tags, tags, tags] %}{% set b = [a, a, a, a] %}{% set c = [b, b, b, b] %}{% set d = [c, c] %}{{ d }}",
    "{% for i in tags recursive %}{{ loop(tags) }}{% endfor %}",
    "{{ range(9999)|map('replace', '', first_name)|list }}",
    "{{ range(9999)|map('default', first_name)|join(first_name) }}",
    "{{ tags|pprint }}",
    "{{ first_name|indent(999999999) }}",
];

#[test]
fn a_template_that_could_take_all_memory_is_refused_when_it_is_saved() {
    for source in GREEDY {
        let refused = compile(source).expect_err(source);
        assert_eq!(refused.code(), "template_syntax", "{source}: {refused}");
    }
    let doubling: String = (0..40).map(|n| format!("{{% set a{} = a{n} ~ a{n} %}}", n + 1)).collect();
    let refused = compile(&format!("{{% set a0 = first_name %}}\n{doubling}{{{{ a40 }}}}")).unwrap_err();
    assert!(refused.to_string().starts_with("text, line 2, column "), "{refused}");
    let html = Content { html: Some("{{ 'a' * 2000000 }}".to_owned()), ..Content::default() };
    assert_eq!(Compiled::compile(&html, &known()).unwrap_err().code(), "template_syntax");
}

#[test]
fn a_filter_that_would_make_too_much_fails_for_that_contact() {
    let note = |text: String| Profile { attributes: [("note".to_owned(), json!(text))].into(), ..Profile::default() };
    for (source, value) in [
        ("{{ '%9999999999d'|format(1) }}", String::new()),
        ("{{ note|format(1) }}", "%99999d".to_owned()),
        ("{{ '%*d'|format(999999999, 1) }}", String::new()),
        ("{{ note|replace('', note) }}", "x".repeat(5_000)),
        ("{{ range(9999)|join(note) }}", "x".repeat(5_000)),
        ("{{ tags|slice(999999999) }}{{ [1]|slice(999999999) }}", String::new()),
        ("{{ [1]|batch(999999999, 'x') }}", String::new()),
        ("{{ [1]|batch(count=999999999, fill_with='x') }}", String::new()),
        ("{{ [1]|tojson(indent=999999999) }}", String::new()),
    ] {
        let outcome = compile(source).unwrap().render(&note(value));
        assert!(matches!(outcome, Err(RenderError::Failed { .. })), "{source}: {outcome:?}");
    }
}

#[test]
fn what_messages_are_made_of_is_still_allowed() {
    for (source, expected) in [
        ("{{ '%.2f'|format(score) }}", "1.50"),
        ("{{ score * 2 }} {{ 2 * score }} {{ score * 1.5 }}", "3.0 3.0 2.25"),
        ("{{ score|float * address.zip|int }}", "12001.5"),
        ("{{ '-' * 20 }}", "--------------------"),
        ("{{ tags|join(', ') }}", "a, b\""),
        ("{{ tags|map('upper')|join('/') }}", "A/B\""),
        ("{% for t in tags %}{% set line = loop.index ~ '. ' ~ t %}{{ line }};{% endfor %}", "1. a;2. b\";"),
        ("{% for t in tags %}{{ loop.cycle('x', 'y') }}{% endfor %}", "xy"),
        ("{% set who %}{{ first_name }} {{ last_name }}{% endset %}{{ who|length }}", "19"),
        (
            "{% macro bold(x) %}*{{ x }}*{% endmacro %}{% macro both(x) %}{{ bold(x) }}!{% endmacro %}{{ both('a') }}",
            "*a*!",
        ),
        ("{{ first_name|replace('n', 'm') }} {{ [1, 2, 3]|batch(2)|list|length }}", "Amm 2"),
        ("{{ {'a': 1}|tojson }} {{ dict(a=1).a }}", "{\"a\": 1} 1"),
        ("{% if tags|length > 1 and 'a' in tags %}many{% endif %}", "many"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}
