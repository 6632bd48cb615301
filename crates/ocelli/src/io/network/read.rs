//! Reads network files.

use std::collections::HashMap;
use std::sync::Arc;

use ocelli_core::{Error, Graph, Layer, Op, Shape};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{INPUT, MAX_BYTES, MAX_ELEMENTS, MAX_LAYERS, MAX_SETTING, Network, VERSION, default_name};
use crate::io::IoError;
use crate::suggest::did_you_mean;

/// The network that `text` describes.
pub(super) fn network(text: &str, file: &str, classes: Option<usize>) -> Result<Network, IoError> {
    let source = Source { text, file };
    if text.len() > MAX_BYTES {
        return Err(source.error(0, format!("a network file has at most {MAX_BYTES} bytes")));
    }
    let table = DeTable::parse(text)
        .map_err(|e| source.error(e.span().map_or(0, |span| span.start), e.message().trim().to_string()))?;
    Reader { source, classes }.network(table.get_ref())
}

/// The text, and what messages call it.
#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    /// An error at this byte of the text.
    fn error(&self, at: usize, reason: impl Into<String>) -> IoError {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        IoError::Network {
            file: self.file.to_string(),
            line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[start..]).chars().count(),
            reason: reason.into(),
        }
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A layer as it stands in the file.
struct Entry {
    /// Where it stands.
    at: usize,
    name: Option<String>,
    op: Option<Op>,
    shares: Option<Reference>,
    from: Option<Vec<Reference>>,
}

/// Another layer's name.
struct Reference {
    at: usize,
    name: String,
}

const FIELDS: [&str; 6] = ["ocelli-network", "name", "input", "inputs", "output", "layers"];

/// The fields of every layer, besides its op's settings.
const LAYER_FIELDS: [&str; 4] = ["name", "op", "shares", "from"];

/// The settings that may be "classes".
const CLASS_FIELDS: [&str; 3] = ["features", "channels", "classes"];

struct Reader<'a> {
    source: Source<'a>,
    classes: Option<usize>,
}

impl Reader<'_> {
    fn network(&self, table: &DeTable<'_>) -> Result<Network, IoError> {
        self.check_version(table)?;
        for key in table.keys() {
            if !FIELDS.contains(&&**key.get_ref()) {
                let (key, at) = (key.get_ref(), key.span().start);
                let fields = FIELDS.join(", ");
                let meant = did_you_mean(key, FIELDS);
                return Err(self
                    .source
                    .error(at, format!("unknown field '{key}' (a network has {fields}){meant}")));
            }
        }
        let name = self.string(self.field(table, "name", "name = \"lenet\"")?, "name")?;
        let inputs = self.inputs(table)?;
        let layers = self.field(table, "layers", "layers = [ { op = … }, … ]")?;
        let entries = self.entries(layers)?;
        let layers = self.layers(&inputs, &entries)?;
        let inputs: Vec<(&str, Shape)> = inputs.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
        let mut graph =
            Graph::from_layers(&inputs, &layers).map_err(|e| self.graph_error(e, &entries, &layers))?;
        if let Some(output) = table.get("output") {
            let name = self.string(output, "output")?;
            let value = graph.find(&name).ok_or_else(|| {
                let meant = did_you_mean(&name, layers.iter().map(|l| l.name.as_str()));
                self.at(output, format!("the output is to be '{name}', but no layer has that name{meant}"))
            })?;
            graph.set_output(value);
        }
        Ok(Network { name, graph: Arc::new(graph) })
    }

    fn check_version(&self, table: &DeTable<'_>) -> Result<(), IoError> {
        let value = self.field(table, "ocelli-network", "ocelli-network = 1")?;
        match value.get_ref().as_integer().map(|i| i.as_str().parse()) {
            Some(Ok(VERSION)) => Ok(()),
            Some(Ok(version)) if version > VERSION => Err(self.at(
                value,
                format!("this is version {version} of the format, and this program reads version {VERSION}; use a newer one"),
            )),
            _ => Err(self.at(value, format!("'ocelli-network' is the version of the format: write {VERSION}"))),
        }
    }

    /// The inputs in the order of the file.
    fn inputs(&self, table: &DeTable<'_>) -> Result<Vec<(String, Shape)>, IoError> {
        match (table.get("input"), table.get("inputs")) {
            (Some(shape), None) => Ok(vec![(INPUT.to_string(), self.shape(shape)?)]),
            (None, Some(all)) => {
                let wanted = "'inputs' names shapes: inputs = { left = [1, 28, 28], right = [1, 28, 28] }";
                let table = all.get_ref().as_table().filter(|t| !t.is_empty());
                let mut inputs: Vec<_> = table.ok_or_else(|| self.at(all, wanted))?.iter().collect();
                inputs.sort_by_key(|(name, _)| name.span().start);
                inputs
                    .into_iter()
                    .map(|(name, shape)| Ok((name.get_ref().to_string(), self.shape(shape)?)))
                    .collect()
            }
            (Some(_), Some(both)) => Err(self.at(both, "give either 'input' or 'inputs', not both")),
            (None, None) => Err(self.source.error(
                0,
                "the network has no input; say what it reads, channels first: input = [3, 32, 32]",
            )),
        }
    }

    fn shape(&self, value: &Value<'_>) -> Result<Shape, IoError> {
        let sizes = Vec::<usize>::deserialize(ValueDeserializer::from(value.clone())).map_err(|e| {
            self.at(value, format!("this is no shape ({}); write sizes, such as [3, 32, 32]", e.message()))
        })?;
        if let Some(size) = sizes.iter().find(|size| **size as u64 > MAX_SETTING as u64) {
            return Err(self.at(value, format!("a size is at most {MAX_SETTING}, not {size}")));
        }
        let elements: f64 = sizes.iter().map(|&size| size as f64).product();
        if elements > MAX_ELEMENTS as f64 {
            let reason =
                format!("an input of {elements:.0} values is too large: it has at most {MAX_ELEMENTS}");
            return Err(self.at(value, reason));
        }
        Shape::try_from(sizes).map_err(|reason| self.at(value, reason))
    }

    fn entries(&self, layers: &Value<'_>) -> Result<Vec<Entry>, IoError> {
        let all = layers.get_ref().as_array().filter(|all| !all.is_empty());
        let all = all.ok_or_else(|| {
            self.at(layers, "'layers' is a list of at least one layer: [ { op = \"relu\" } ]")
        })?;
        if all.len() > MAX_LAYERS {
            let len = all.len();
            return Err(
                self.at(layers, format!("{len} layers are too many: a network has at most {MAX_LAYERS}"))
            );
        }
        all.iter().map(|layer| self.entry(layer)).collect()
    }

    fn entry(&self, layer: &Value<'_>) -> Result<Entry, IoError> {
        let wanted = "a layer is a table: { name = \"conv1\", op = \"conv2d\", … }";
        let table = layer.get_ref().as_table().ok_or_else(|| self.at(layer, wanted))?;
        let text = |field| table.get(field).map(|value| self.string(value, field)).transpose();
        let name = text("name")?;
        let called = name.as_ref().map(|name| format!("layer '{name}'")).unwrap_or("a layer".to_string());
        let shares = table.get("shares").map(|value| self.reference(value, "shares")).transpose()?;
        let op = match table.get("op") {
            Some(op) => Some(self.op(layer, table, op, &called)?),
            None if shares.is_some() => None,
            None => {
                let reason = format!("{called} has no op; give one of {}", Op::NAMES.join(", "));
                return Err(self.at(layer, reason));
            }
        };
        if op.is_none() {
            if name.is_none() {
                return Err(self.at(layer, "a layer that shares another's weights needs a name of its own"));
            }
            if let Some(key) = table.keys().find(|key| !LAYER_FIELDS.contains(&&**key.get_ref())) {
                let (at, key) = (key.span().start, key.get_ref());
                let reason =
                    format!("{called} shares another layer's op and so its settings; leave out '{key}'");
                return Err(self.source.error(at, reason));
            }
        }
        let from = table.get("from").map(|value| self.references(value)).transpose()?;
        Ok(Entry { at: layer.span().start, name, op, shares, from })
    }

    fn op(
        &self,
        layer: &Value<'_>,
        table: &DeTable<'_>,
        op: &Value<'_>,
        called: &str,
    ) -> Result<Op, IoError> {
        let name = self.string(op, "op")?;
        let mut fields = toml::Table::new();
        for (key, value) in table {
            let key = &**key.get_ref();
            if key == "op" || !LAYER_FIELDS.contains(&key) {
                fields.insert(key.to_string(), self.setting(key, value, called)?);
            }
        }
        parse_op(&fields).map_err(|reason| {
            if reason.starts_with("unknown variant") {
                let meant = did_you_mean(&name, Op::NAMES.iter().copied());
                let all = Op::NAMES.join(", ");
                return self.at(op, format!("{called} has the unknown op '{name}'{meant} (there are {all})"));
            }
            let meant = meant_field(&reason);
            let culprit = culprit(&fields, &reason);
            let key = table.keys().find(|key| culprit.as_deref() == Some(&**key.get_ref()));
            let reason = match &culprit {
                Some(field) if !reason.contains(&format!("`{field}`")) => format!("'{field}': {reason}"),
                _ => reason,
            };
            let at = key.map_or(layer.span().start, |key| key.span().start);
            self.source.error(at, format!("{called} ({name}): {reason}{meant}"))
        })
    }

    /// An op's setting, with the number of classes in place of "classes".
    fn setting(&self, key: &str, value: &Value<'_>, called: &str) -> Result<toml::Value, IoError> {
        if !CLASS_FIELDS.contains(&key) || value.get_ref().as_str() != Some("classes") {
            let setting = toml::Value::deserialize(ValueDeserializer::from(value.clone()))
                .map_err(|e| self.at(value, format!("{called}, '{key}': {}", e.message())))?;
            return match largest(&setting) {
                Some(number) if number > MAX_SETTING => {
                    Err(self.at(value, format!("{called}: '{key}' is at most {MAX_SETTING}, not {number}")))
                }
                _ => Ok(setting),
            };
        }
        let classes = self.classes.and_then(|classes| i64::try_from(classes).ok());
        classes.map(toml::Value::Integer).ok_or_else(|| {
            let reason = "is the number of classes, which the data say; give data, or write the number here";
            self.at(value, format!("{called}: '{key}' {reason}"))
        })
    }

    /// The layers with what the file leaves to be inferred.
    fn layers(&self, inputs: &[(String, Shape)], entries: &[Entry]) -> Result<Vec<Layer>, IoError> {
        let names = names(entries);
        let known: HashMap<&str, usize> =
            names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let mut before = match inputs {
            [(name, _)] => Some(name.as_str()),
            _ => None,
        };
        let mut layers = Vec::with_capacity(entries.len());
        for (entry, name) in entries.iter().zip(&names) {
            let from = match (&entry.from, before) {
                (Some(from), _) => {
                    let readable =
                        |name: &str| known.contains_key(name) || inputs.iter().any(|(i, _)| i == name);
                    if let Some(unknown) = from.iter().find(|r| !readable(&r.name)) {
                        let all = names.iter().chain(inputs.iter().map(|(name, _)| name));
                        let error = self.unknown_layer(name, "reads", unknown, all);
                        return Err(with_inputs(error, inputs));
                    }
                    from.iter().map(|r| r.name.clone()).collect()
                }
                (None, Some(before)) => vec![before.to_string()],
                (None, None) => {
                    let reason = format!(
                        "the network has several inputs; say which ones layer '{name}' reads: from = [\"…\"]"
                    );
                    return Err(self.source.error(entry.at, reason));
                }
            };
            let op = self.shared_op(entry, name, entries, &names, &known)?;
            let shares = entry.shares.as_ref().map(|r| r.name.clone());
            layers.push(Layer { name: name.clone(), op, from, shares });
            before = Some(name);
        }
        Ok(layers)
    }

    /// A layer's own op, or that of the layer whose weights it shares, or of the one whose weights that one shares, ….
    fn shared_op(
        &self,
        entry: &Entry,
        name: &str,
        entries: &[Entry],
        names: &[String],
        known: &HashMap<&str, usize>,
    ) -> Result<Op, IoError> {
        let mut at = entry;
        for _ in 0..=entries.len() {
            let owner = match &at.shares {
                Some(owner) => match known.get(owner.name.as_str()) {
                    Some(&index) => Some(&entries[index]),
                    None => return Err(self.unknown_layer(name, "shares the weights of", owner, names)),
                },
                None => None,
            };
            match (&at.op, owner) {
                (Some(op), _) => return Ok(op.clone()),
                (None, Some(owner)) => at = owner,
                (None, None) => unreachable!("a layer has an op or shares one"),
            }
        }
        let reason = format!("layer '{name}' shares weights in a circle; one layer of it needs an op");
        Err(self.source.error(entry.at, reason))
    }

    fn unknown_layer<'n>(
        &self,
        layer: &str,
        relation: &str,
        unknown: &Reference,
        all: impl IntoIterator<Item = &'n String>,
    ) -> IoError {
        let other = &unknown.name;
        let meant = did_you_mean(other, all.into_iter().map(String::as_str));
        self.source.error(
            unknown.at,
            format!("layer '{layer}' {relation} '{other}', but no layer has that name{meant}"),
        )
    }

    /// What the graph says, at the layer that it names.
    fn graph_error(&self, error: Error, entries: &[Entry], layers: &[Layer]) -> IoError {
        let reason = error.to_string();
        // Of two layers with one name the second is the one to rename; a cycle is shown at one of its layers.
        let named = |layer: &&Layer| reason.contains(&format!("'{}'", layer.name));
        let index = match &error {
            Error::Layer { layer, .. } => layers.iter().position(|l| l.name == *layer),
            _ => layers.iter().rposition(|l| named(&l)),
        };
        self.source.error(index.map_or(0, |i| entries[i].at), reason)
    }

    fn field<'t, 'a>(
        &self,
        table: &'t DeTable<'a>,
        name: &str,
        example: &str,
    ) -> Result<&'t Value<'a>, IoError> {
        table
            .get(name)
            .ok_or_else(|| self.source.error(0, format!("the network has no '{name}'; write {example}")))
    }

    fn references(&self, value: &Value<'_>) -> Result<Vec<Reference>, IoError> {
        match value.get_ref() {
            DeValue::Array(names) => names.iter().map(|name| self.reference(name, "from")).collect(),
            _ => Ok(vec![self.reference(value, "from")?]),
        }
    }

    fn reference(&self, value: &Value<'_>, field: &str) -> Result<Reference, IoError> {
        Ok(Reference { at: value.span().start, name: self.string(value, field)? })
    }

    fn string(&self, value: &Value<'_>, field: &str) -> Result<String, IoError> {
        let text = value.get_ref().as_str().ok_or_else(|| {
            self.at(value, format!("'{field}' is a name in quotes, not a {}", value.get_ref().type_str()))
        })?;
        match text.chars().find(|c| c.is_control()) {
            None => Ok(text.to_string()),
            Some(c) => Err(self.at(
                value,
                format!("'{field}' has the control character {}; names are plain text", c.escape_default()),
            )),
        }
    }

    fn at(&self, value: &Value<'_>, reason: impl Into<String>) -> IoError {
        self.source.error(value.span().start, reason)
    }
}

/// Every layer's name. Only layers that say their op count, as others have to have a name.
fn names(entries: &[Entry]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let name = |entry: &_| {
        let Entry { name, op, .. }: &Entry = entry;
        let number = op.as_ref().map(|op| {
            let count = counts.entry(op.name()).or_default();
            *count += 1;
            default_name(op.name(), *count)
        });
        name.clone().or(number).expect("a layer without an op has a name")
    };
    entries.iter().map(name).collect()
}

/// The largest integer in a setting. What the parser lets through is not nested deeply.
fn largest(value: &toml::Value) -> Option<i64> {
    match value {
        toml::Value::Integer(number) => Some(*number),
        toml::Value::Array(values) => values.iter().filter_map(largest).max(),
        _ => None,
    }
}

/// The error about a name that no layer has, with what else could be read.
fn with_inputs(error: IoError, inputs: &[(String, Shape)]) -> IoError {
    let IoError::Network { file, line, column, reason } = error else { return error };
    let names: Vec<String> = inputs.iter().map(|(name, _)| format!("'{name}'")).collect();
    let is = if names.len() == 1 { "input is" } else { "inputs are" };
    IoError::Network {
        file,
        line,
        column,
        reason: format!("{reason} (the network's {is} {})", names.join(", ")),
    }
}

/// What was probably meant by an unknown field, as the end of a sentence. The names stand in the message, each in
/// backticks: the unknown one first, then those there are.
fn meant_field(reason: &str) -> String {
    if !reason.starts_with("unknown field") {
        return String::new();
    }
    let mut names = reason.split('`').skip(1).step_by(2);
    names.next().map(|unknown| did_you_mean(unknown, names)).unwrap_or_default()
}

fn parse_op(fields: &toml::Table) -> Result<Op, String> {
    Op::deserialize(toml::Value::Table(fields.clone())).map_err(|e| e.message().trim().to_string())
}

/// The field that an error is about: the one without which it would be another error, or none.
fn culprit(fields: &toml::Table, reason: &str) -> Option<String> {
    if reason.starts_with("missing field") {
        return None;
    }
    let without = |field: &&String| {
        let rest = fields.iter().filter(|(key, _)| key != field);
        parse_op(&rest.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let fields = fields.keys().filter(|key| *key != "op");
    fields.into_iter().find(|field| without(field).err().as_deref() != Some(reason)).cloned()
}
