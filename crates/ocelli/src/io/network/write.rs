//! Writes network files.

use std::collections::HashMap;

use ocelli_core::{Graph, Layer, Op, Shape};
use serde::Serialize;
use toml::ser::ValueSerializer;

use super::{INPUT, Network, VERSION, default_name};

/// The text of a network, with what the reader infers left out.
pub(super) fn network(network: &Network) -> String {
    let graph = &*network.graph;
    let inputs: Vec<(&str, Shape)> =
        graph.inputs().map(|v| (graph.node(v).name(), graph.node(v).shape())).collect();
    let mut text = format!("ocelli-network = {VERSION}\nname = {}\n", inline(&network.name));
    match inputs[..] {
        [(INPUT, shape)] => text += &format!("input = {}\n", inline(&shape)),
        _ => {
            let each = inputs.iter().map(|(name, shape)| format!("{} = {}", inline_key(name), inline(shape)));
            text += &format!("inputs = {{ {} }}\n", each.collect::<Vec<_>>().join(", "));
        }
    }
    let layers = graph.layers();
    if let Some(output) = other_output(graph, &layers) {
        text += &format!("output = {}\n", inline(&output));
    }
    text += "layers = [\n";
    for line in lines(&inputs, &layers) {
        text += &format!("  {line},\n");
    }
    text + "]\n"
}

/// A layer as it is written. The order of the fields is theirs in the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<&'a str>,
    #[serde(flatten)]
    op: Option<&'a Op>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a [String]>,
}

fn lines(inputs: &[(&str, Shape)], layers: &[Layer]) -> Vec<String> {
    let ops: HashMap<&str, &Op> = layers.iter().map(|layer| (layer.name.as_str(), &layer.op)).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut before = match inputs {
        [(name, _)] => Some(*name),
        _ => None,
    };
    let mut lines = Vec::with_capacity(layers.len());
    for layer in layers {
        let owner = layer.shares.as_deref();
        let op = Some(&layer.op).filter(|op| owner.is_none_or(|owner| ops.get(owner) != Some(op)));
        let inferred = op.map(|op| {
            let count = counts.entry(op.name()).or_default();
            *count += 1;
            default_name(op.name(), *count)
        });
        let reads_before = matches!(&layer.from[..], [only] if Some(only.as_str()) == before);
        lines.push(inline(&Line {
            name: (inferred.as_deref() != Some(&layer.name)).then_some(&layer.name),
            shares: owner,
            op,
            from: (!reads_before).then_some(&layer.from),
        }));
        before = Some(&layer.name);
    }
    lines
}

/// The output's name, where it is not the last layer.
fn other_output(graph: &Graph, layers: &[Layer]) -> Option<String> {
    let output = graph.node(graph.output().ok()?).name();
    (layers.last()?.name != output).then(|| output.to_string())
}

/// A value on one line.
fn inline(value: &impl Serialize) -> String {
    let mut text = String::new();
    value
        .serialize(ValueSerializer::new(&mut text))
        .expect("names, numbers and settings have a place in TOML");
    text
}

/// A key: bare if it can be, else quoted.
fn inline_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_string() } else { inline(&name) }
}
