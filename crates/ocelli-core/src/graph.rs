//! The graph: what is computed. Nodes are ops, edges are values; a node is checked as it is added.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ops::{Op, Operation, Signature};
use crate::params::{ParamLayout, ParamSpec};
use crate::{Error, Shape};

/// A value in a graph: one of its inputs, or the output of one of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) usize);

impl Value {
    /// Its place in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A node: an input of the graph, or an op on earlier nodes.
#[derive(Clone, Debug)]
pub struct Node {
    index: usize,
    name: String,
    op: Option<Op>,
    inputs: Vec<Value>,
    input_shapes: Vec<Shape>,
    signature: Signature,
    params: Vec<usize>,
    shares: Option<Value>,
}

impl Node {
    /// Its place in [`Graph::nodes`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// The layer's name, unique in the graph.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The op; `None` for an input of the graph.
    pub fn op(&self) -> Option<&Op> {
        self.op.as_ref()
    }

    /// What it reads.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// The shapes of what it reads.
    pub fn input_shapes(&self) -> &[Shape] {
        &self.input_shapes
    }

    /// What its op declared for these shapes.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The shape of its output.
    pub fn shape(&self) -> Shape {
        self.signature.output
    }

    /// Its parameters' places in [`ParamLayout::entries`].
    pub fn params(&self) -> &[usize] {
        &self.params
    }

    /// The layer whose parameters it shares, if it does.
    pub fn shares(&self) -> Option<Value> {
        self.shares
    }

    /// Elements of its trained parameters.
    pub(crate) fn trained_len(&self) -> usize {
        self.trained().map(|spec| spec.shape.len()).sum()
    }

    /// Its trained parameters, which come before the others.
    pub(crate) fn trained(&self) -> impl Iterator<Item = &ParamSpec> {
        self.signature.params.iter().filter(|spec| spec.role.trainable())
    }
}

/// A layer by name, as a network file has it: the layers may stand in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The layer's name, unique in the graph.
    pub name: String,
    /// The op.
    pub op: Op,
    /// The names of the layers and inputs that it reads.
    pub from: Vec<String>,
    /// The layer whose parameters it shares.
    pub shares: Option<String>,
}

/// What is computed: a directed acyclic graph of ops with one output.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    layout: Arc<ParamLayout>,
    output: Option<Value>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Builds a graph from layers in any order. The last layer is the output.
    ///
    /// # Errors
    /// A name that stands twice or nowhere, a cycle (named layer by layer), or a layer that does not fit.
    pub fn from_layers(inputs: &[(&str, Shape)], layers: &[Layer]) -> Result<Graph, Error> {
        let mut graph = Graph::new();
        for (name, shape) in inputs {
            graph.input(name, *shape)?;
        }
        let order = topological_order(&graph, layers)?;
        for index in order {
            let layer = &layers[index];
            let from = layer.from.iter().map(|name| graph.find(name).expect("ordered after what it reads"));
            let from: Vec<Value> = from.collect();
            match &layer.shares {
                None => graph.add(&layer.name, layer.op.clone(), from)?,
                Some(owner) => {
                    let owner = graph.find(owner).expect("ordered after what it shares");
                    graph.insert(&layer.name, layer.op.clone(), from, Some(owner))?
                }
            };
        }
        if let Some(last) = layers.last() {
            graph.output = graph.find(&last.name);
        }
        Ok(graph)
    }

    /// Adds an input with this shape per sample.
    ///
    /// # Errors
    /// A name that stands already.
    pub fn input(&mut self, name: &str, shape: impl Into<Shape>) -> Result<Value, Error> {
        self.check_name(name)?;
        Ok(self.push(Node {
            index: self.nodes.len(),
            name: name.to_string(),
            op: None,
            inputs: Vec::new(),
            input_shapes: Vec::new(),
            signature: Signature::new(shape.into()),
            params: Vec::new(),
            shares: None,
        }))
    }

    /// Adds a layer that reads `inputs`. It becomes the graph's output, until another is added or
    /// [`Graph::set_output`] says otherwise.
    ///
    /// # Errors
    /// A name that stands already, or an op that does not take these shapes: the error names the layer, what it
    /// reads and the shapes.
    pub fn add(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: impl AsRef<[Value]>,
    ) -> Result<Value, Error> {
        self.insert(name, op.into(), inputs.as_ref().to_vec(), None)
    }

    /// Adds a layer with the op and the parameters of `owner`: one set of weights, used twice.
    ///
    /// # Errors
    /// As [`Graph::add`], and shapes that need parameters of another shape than the owner's.
    pub fn add_shared(
        &mut self,
        name: &str,
        owner: Value,
        inputs: impl AsRef<[Value]>,
    ) -> Result<Value, Error> {
        let op = self.node(owner).op.clone();
        let op =
            op.ok_or_else(|| Error::Graph(format!("layer '{name}' cannot share an input of the graph")))?;
        self.insert(name, op, inputs.as_ref().to_vec(), Some(owner))
    }

    /// Says which value is the network's output.
    pub fn set_output(&mut self, output: Value) {
        assert!(output.0 < self.nodes.len(), "a value of this graph");
        self.output = Some(output);
    }

    /// The network's output.
    ///
    /// # Errors
    /// A graph without a layer has none.
    pub fn output(&self) -> Result<Value, Error> {
        self.output.ok_or_else(|| Error::Graph("the network has no layers; give it at least one".to_string()))
    }

    /// Inputs and layers, each after what it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node behind a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }

    /// All values, each after those it is computed from.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Value> + use<> {
        (0..self.nodes.len()).map(Value)
    }

    /// The graph's inputs.
    pub fn inputs(&self) -> impl Iterator<Item = Value> + '_ {
        self.values().filter(|v| self.node(*v).op.is_none())
    }

    /// The value of that name.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.nodes.iter().position(|node| node.name == name).map(Value)
    }

    /// Where the parameters stand.
    pub fn layout(&self) -> &Arc<ParamLayout> {
        &self.layout
    }

    /// The layers by name, as a network file has them.
    pub fn layers(&self) -> Vec<Layer> {
        let name = |v: &Value| self.node(*v).name.clone();
        let layer = |node: &Node| {
            let op = node.op.clone()?;
            let shares = node.shares.as_ref().map(name);
            Some(Layer { name: node.name.clone(), op, from: node.inputs.iter().map(name).collect(), shares })
        };
        self.nodes.iter().filter_map(layer).collect()
    }

    fn insert(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Value>,
        shares: Option<Value>,
    ) -> Result<Value, Error> {
        self.check_name(name)?;
        let input_shapes: Vec<Shape> = inputs.iter().map(|v| self.node(*v).shape()).collect();
        let failed = |reason: String| Error::Layer {
            layer: name.to_string(),
            op: op.name(),
            reason,
            inputs: inputs.iter().map(|v| (self.node(*v).name.clone(), self.node(*v).shape())).collect(),
        };
        let signature = op.infer(&input_shapes).map_err(failed)?;
        signature.params.iter().try_for_each(ParamSpec::check).map_err(failed)?;
        let params = match shares {
            None => {
                let layout = Arc::make_mut(&mut self.layout);
                signature.params.iter().map(|spec| layout.push(name, spec.clone())).collect()
            }
            Some(owner) => {
                let owner = self.node(owner);
                let shapes = |s: &Signature| s.params.iter().map(|p| p.shape).collect::<Vec<_>>();
                let (needed, has) = (shapes(&signature), shapes(&owner.signature));
                if owner.op.as_ref().map(Op::name) != Some(op.name()) || needed != has {
                    let owner = &owner.name;
                    return Err(failed(format!(
                        "it shares the parameters of '{owner}', which have shapes {has:?}, but needs {needed:?}"
                    )));
                }
                owner.params.clone()
            }
        };
        let (index, name, op) = (self.nodes.len(), name.to_string(), Some(op));
        Ok(self.push(Node { index, name, op, inputs, input_shapes, signature, params, shares }))
    }

    fn push(&mut self, node: Node) -> Value {
        let value = Value(self.nodes.len());
        if node.op.is_some() {
            self.output = Some(value);
        }
        self.nodes.push(node);
        value
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::Graph(format!(
                "'{name}' is no name for a layer: use letters, digits, '.', '_', '-'"
            )));
        }
        match self.find(name) {
            Some(_) => {
                Err(Error::Graph(format!("two layers are named '{name}'; give each a name of its own")))
            }
            None => Ok(()),
        }
    }
}

/// The layers' indices so that each comes after those that it reads or shares; otherwise in the order given.
fn topological_order(graph: &Graph, layers: &[Layer]) -> Result<Vec<usize>, Error> {
    let mut by_name = HashMap::new();
    for (index, layer) in layers.iter().enumerate() {
        if by_name.insert(layer.name.as_str(), index).is_some() || graph.find(&layer.name).is_some() {
            let name = &layer.name;
            return Err(Error::Graph(format!("two layers are named '{name}'; give each a name of its own")));
        }
    }
    let mut needs = Vec::with_capacity(layers.len());
    for layer in layers {
        let mut own = Vec::new();
        for name in layer.from.iter().chain(&layer.shares) {
            match by_name.get(name.as_str()) {
                Some(&index) => own.push(index),
                None if graph.find(name).is_some() => {}
                None => {
                    let layer = &layer.name;
                    return Err(Error::Graph(format!(
                        "layer '{layer}' reads '{name}', but no layer has that name"
                    )));
                }
            }
        }
        needs.push(own);
    }
    let mut order = Vec::with_capacity(layers.len());
    let mut done = vec![false; layers.len()];
    while order.len() < layers.len() {
        match (0..layers.len()).find(|&i| !done[i] && needs[i].iter().all(|&n| done[n])) {
            Some(index) => {
                done[index] = true;
                order.push(index);
            }
            None => return Err(Error::Graph(describe_cycle(layers, &needs, &done))),
        }
    }
    Ok(order)
}

/// Follows unfinished needs until a layer comes again: every unfinished layer has one.
fn describe_cycle(layers: &[Layer], needs: &[Vec<usize>], done: &[bool]) -> String {
    let mut at = done.iter().position(|d| !d).expect("a layer is left");
    let mut path = Vec::new();
    while !path.contains(&at) {
        path.push(at);
        at = *needs[at].iter().find(|&&n| !done[n]).expect("an unfinished layer needs an unfinished one");
    }
    let start = path.iter().position(|&p| p == at).expect("it is on the path");
    let names: Vec<&str> = path[start..].iter().chain([&at]).map(|&i| layers[i].name.as_str()).collect();
    format!("the network has a cycle: {}; a feed-forward network has none", names.join(" reads "))
}
