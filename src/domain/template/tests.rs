use proptest::prelude::*;
use serde_json::json;

use super::*;

fn text(source: &str) -> Content {
    Content { text: source.to_owned(), ..Content::default() }
}

fn known() -> BTreeSet<String> {
    ["address", "tags", "score", "vip", "note", "contact"].into_iter().map(str::to_owned).collect()
}

fn ann() -> Profile {
    Profile {
        email: Some("ann@example.com".into()),
        first_name: Some("Ann".into()),
        last_name: Some("O'Hara & <Sons>".into()),
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
            other @ (TemplateError::UnknownNames { .. } | TemplateError::TooLong { .. }) => panic!("{source}: {other}"),
        }
    }
}

#[test]
fn endless_work_and_endless_output_end_in_an_error() {
    let many = "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(matches!(compile(many).unwrap().render(&ann()), Err(RenderError::Failed { part: Part::Text, .. })));
    let recursive = "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}";
    assert!(matches!(compile(recursive).unwrap().render(&ann()), Err(RenderError::Failed { .. })));
    let long = "{{ 'a' * 2000000 }}";
    assert_eq!(compile(long).unwrap().render(&ann()), Err(RenderError::TooLong { part: Part::Text }));
    let big = Profile { attributes: [("note".to_owned(), json!("x".repeat(4000)))].into(), ..Profile::default() };
    assert_eq!(compile(&"{note}".repeat(300)).unwrap().render(&big), Err(RenderError::TooLong { part: Part::Text }));
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
    assert_eq!(compiled.missing(&ann()), ["address.street", "phone"]);
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
        let content = Content { subject: String::new(), text: source.clone(), html: Some(source) };
        if let Ok(compiled) = Compiled::compile(&content, &known()) {
            let _ = compiled.render(&ann());
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
