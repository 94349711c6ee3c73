//! The colours of the six states are told apart by everybody, and seen on their ground: computed from the style sheet.

use std::collections::BTreeMap;

use crate::docs::page;

type Rgb = [f64; 3];
type Matrix = [[f64; 3]; 3];

/// How people see who lack a kind of cone (Machado, Oliveira and Fernandes 2009, severity 1.0), on linear RGB.
const SIGHTS: [(&str, Matrix); 4] = [
    ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("protan", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    ("deutan", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    ("tritan", [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
];

/// From linear RGB to what the cones see, and from the cube roots of that to OKLab (Ottosson 2020).
const TO_CONES: Matrix = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_OKLAB: Matrix = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
];

const STATES: [&str; 6] = ["pending", "sending", "sent", "failed", "skipped", "uncertain"];

/// The least distance between two states, in hundredths of OKLab's unit.
const APART: f64 = 10.0;

fn times(matrix: &Matrix, v: Rgb) -> Rgb {
    matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
}

fn linear(hex: &str) -> Rgb {
    let digits: String = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
    [0, 2, 4].map(|at| {
        let value = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).expect("a colour")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

fn distance(one: Rgb, other: Rgb, sight: &Matrix) -> f64 {
    let oklab = |v| times(&TO_OKLAB, times(&TO_CONES, times(sight, v).map(|c| c.clamp(0.0, 1.0))).map(f64::cbrt));
    let squares = oklab(one).into_iter().zip(oklab(other)).map(|(a, b)| (a - b).powi(2));
    100.0 * squares.sum::<f64>().sqrt()
}

/// WCAG 2.2.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let luminance = |v: Rgb| 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The colours of the style sheet by their names: for a light page, and for a dark one.
fn tokens() -> [BTreeMap<String, Rgb>; 2] {
    let sheet = page("ui/assets/tokens.css");
    let mut found = [BTreeMap::new(), BTreeMap::new()];
    for line in sheet.lines().filter_map(|line| line.trim().strip_prefix("--")) {
        let (name, value) = line.split_once(": light-dark(").expect("a token has two colours");
        let (light, dark) = value.trim_end_matches(");").split_once(", ").expect("two colours");
        for (colours, colour) in found.iter_mut().zip([light, dark]) {
            colours.insert(name.to_owned(), linear(colour.strip_prefix('#').expect("a colour in hex")));
        }
    }
    found
}

#[test]
fn six_states_are_told_apart_by_everybody() {
    for (theme, colours) in ["light", "dark"].iter().zip(tokens()) {
        for (sight, matrix) in &SIGHTS {
            for (at, one) in STATES.iter().enumerate() {
                for other in &STATES[at + 1..] {
                    let apart = distance(colours[*one], colours[*other], matrix);
                    assert!(apart >= APART, "{theme}, {sight}: {one} and {other} are {apart:.1} apart");
                }
            }
        }
    }
}

#[test]
fn every_state_and_every_word_is_seen_on_its_ground() {
    for (theme, colours) in ["light", "dark"].iter().zip(tokens()) {
        for ground in ["ground", "card"] {
            for state in STATES {
                let edge = colours.get(&format!("{state}-edge"));
                let best = [Some(&colours[state]), edge].into_iter().flatten();
                let best = best.map(|colour| contrast(*colour, colours[ground])).fold(0.0, f64::max);
                assert!(best >= 3.0, "{theme}: {state} on {ground} has a contrast of {best:.2}");
            }
            for word in ["ink", "muted", "danger", "accent"] {
                let seen = contrast(colours[word], colours[ground]);
                assert!(seen >= 4.5, "{theme}: {word} on {ground} has a contrast of {seen:.2}");
            }
            let control = contrast(colours["control"], colours[ground]);
            assert!(control >= 3.0, "{theme}: a control on {ground} has a contrast of {control:.2}");
        }
    }
}
