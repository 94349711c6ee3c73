//! Criteria as a tree for people: each node with its sentence.

use super::criteria::Criteria;
use super::sentence;
use super::tree::Node;

/// A node of criteria, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// `all`, `any`, `not` or `clause`.
    pub kind: &'static str,
    /// The node as a sentence.
    pub sentence: String,
    /// The nodes inside it.
    pub parts: Vec<Outline>,
}

/// The tree of criteria.
#[must_use]
pub fn outline(criteria: &Criteria) -> Outline {
    of(criteria.root())
}

fn of(node: &Node) -> Outline {
    let (kind, parts) = match node {
        Node::All(nodes) => ("all", nodes.iter().map(of).collect()),
        Node::Any(nodes) => ("any", nodes.iter().map(of).collect()),
        Node::Not(node) => ("not", vec![of(node)]),
        Node::Leaf(_) => ("clause", Vec::new()),
    };
    Outline { kind, sentence: sentence::of(node), parts }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_keeps_its_branches_and_says_each_clause() {
        let given = json!({ "all": [{ "tag": "vip" }, { "not": { "any": [{ "list": { "id": 3, "standing": "subscribed" } }, { "segment": 7 }] } }] });
        let criteria: Criteria = serde_json::from_value(given).unwrap();
        let root = outline(&criteria);
        assert_eq!((root.kind, root.parts.len()), ("all", 2));
        assert_eq!((root.parts[0].kind, root.parts[0].sentence.as_str()), ("clause", "has tag \"vip\""));
        let any = &root.parts[1].parts[0];
        assert_eq!((root.parts[1].kind, any.kind), ("not", "any"));
        assert_eq!(any.parts[1].sentence, "in segment 7");
    }
}
