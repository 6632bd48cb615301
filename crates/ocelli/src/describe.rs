//! What a network will do before it does it: every layer, and all memory.

use std::sync::Arc;

use ocelli_core::{Graph, Optimizer, Plan, PlanOptions, Shape, Value};
use serde::Serialize;

use crate::train::health_options;
use crate::{Error, SCHEMA};

/// A network, layer by layer, and what training it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Version of this form.
    pub schema: u32,
    /// The network's name.
    pub net: String,
    /// C×H×W of the input.
    pub input: Vec<usize>,
    /// Images per step.
    pub batch: usize,
    /// The layers, each after what it reads.
    pub layers: Vec<LayerLine>,
    /// Numbers that training sets.
    pub parameters: usize,
    /// Floating-point operations of one image, forward; a multiply-add counts two.
    pub flops: u64,
    /// Into how many parts a batch is cut: the most threads that can work at once.
    pub parts: usize,
    /// How often all threads wait for each other in one step.
    pub barriers: usize,
    /// The memory that training takes.
    pub memory: Memory,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerLine {
    /// Its name.
    pub name: String,
    /// Its op.
    pub op: String,
    /// The layers it reads.
    pub from: Vec<String>,
    /// The shape of its output per image.
    pub output: Vec<usize>,
    /// Numbers that training sets, those shared with another layer not counted.
    pub parameters: usize,
    /// Floating-point operations of one image, forward.
    pub flops: u64,
    /// Bytes that a training step keeps from its forward pass for its backward pass.
    pub saved_bytes: u64,
    /// Height and width in input pixels of what one output sees; `None` where that is everything.
    pub receptive_field: Option<[usize; 2]>,
}

/// The memory of a training run in bytes, by what it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// The program itself, as it is now, without the images.
    pub program: u64,
    /// The images.
    pub data: u64,
    /// The parameters.
    pub parameters: u64,
    /// Their gradients.
    pub gradients: u64,
    /// What the optimiser remembers.
    pub optimizer: u64,
    /// Activations and their gradients: the arena of a training step.
    pub activations: u64,
    /// What the arena would be if no memory were used twice.
    pub activations_without_reuse: u64,
    /// Working memory of the threads.
    pub scratch: u64,
    /// Held-out evaluation and the health of the layers.
    pub evaluation: u64,
    /// Batches that are prepared ahead.
    pub loading: u64,
    /// All of it.
    pub total: u64,
}

/// What is described.
pub struct Subject<'a> {
    /// The network's name.
    pub net: &'a str,
    /// The network.
    pub graph: &'a Arc<Graph>,
    /// Images per step.
    pub batch: usize,
    /// How it is trained.
    pub optimizer: &'a Optimizer,
    /// Worker threads.
    pub threads: usize,
    /// Bytes of images held in memory.
    pub data_bytes: u64,
}

/// Describes a network and the memory of training it.
///
/// # Errors
/// A network that cannot be planned.
pub fn describe(subject: &Subject<'_>) -> Result<Description, Error> {
    let graph = subject.graph;
    let plan = Plan::new(graph, PlanOptions::train(subject.batch))?;
    let fields = receptive_fields(graph);
    let values = graph.values().filter(|v| graph.node(*v).op().is_some());
    let layers: Vec<LayerLine> = values.map(|v| line(graph, &plan, v, fields[v.index()])).collect();
    let input = graph.inputs().next().map(|v| graph.node(v).shape());
    Ok(Description {
        schema: SCHEMA,
        net: subject.net.to_string(),
        input: input.map(Vec::from).unwrap_or_default(),
        batch: subject.batch,
        parameters: graph.layout().trainable(),
        flops: layers.iter().map(|l| l.flops).sum(),
        parts: plan.parts(),
        barriers: plan.barriers(),
        memory: memory(subject, &plan)?,
        layers,
    })
}

fn line(graph: &Graph, plan: &Plan, value: Value, field: Field) -> LayerLine {
    let node = graph.node(value);
    let signature = node.signature();
    let own = node.shares().is_none();
    let trained = signature.params.iter().filter(|p| own && p.role.trainable());
    LayerLine {
        name: node.name().to_string(),
        op: node.op().map_or("input", |op| op.name()).to_string(),
        from: node.inputs().iter().map(|v| graph.node(*v).name().to_string()).collect(),
        output: node.shape().into(),
        parameters: trained.map(|p| p.shape.len()).sum(),
        flops: 2 * signature.macs,
        saved_bytes: plan.saved_len(value) as u64 * 4,
        receptive_field: field.extent,
    }
}

fn memory(subject: &Subject<'_>, plan: &Plan) -> Result<Memory, Error> {
    let graph = subject.graph;
    let bytes = |elements: usize| elements as u64 * 4;
    let unshared = Plan::new(graph, PlanOptions { reuse: false, ..PlanOptions::train(subject.batch) })?;
    let evaluation = Plan::new(graph, PlanOptions::evaluate(crate::eval::BATCH))?;
    let health = Plan::new(graph, health_options())?;
    let workers = subject.threads.max(1);
    let image: usize = graph.inputs().map(|v| graph.node(v).shape().len()).sum();
    let params = bytes(graph.layout().arena_len());
    let mut memory = Memory {
        program: crate::machine::resident_memory_bytes().unwrap_or(0).saturating_sub(subject.data_bytes),
        data: subject.data_bytes,
        parameters: params,
        gradients: params,
        optimizer: params * subject.optimizer.slots() as u64,
        activations: bytes(plan.arena_len()),
        activations_without_reuse: bytes(unshared.arena_len()),
        scratch: bytes(plan.scratch_len() * workers),
        evaluation: [evaluation, health]
            .iter()
            .map(|p| bytes(p.arena_len() + p.scratch_len() * workers))
            .sum(),
        // The batch at hand and those ahead.
        loading: bytes(image * subject.batch) * (crate::train::PREFETCH as u64 + 2),
        total: 0,
    };
    memory.total = memory.program
        + memory.data
        + memory.parameters
        + memory.gradients
        + memory.optimizer
        + memory.activations
        + memory.scratch
        + memory.evaluation
        + memory.loading;
    Ok(memory)
}

/// What one output of a value sees of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Field {
    /// Height and width in input pixels; `None`: everything.
    extent: Option<[usize; 2]>,
    /// Input pixels from one output to the next.
    jump: [usize; 2],
}

/// The receptive field of every value: r ← r + (k − 1)·j, j ← j·s through a window of extent k and stride s
/// (Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", 2019).
fn receptive_fields(graph: &Graph) -> Vec<Field> {
    let input: Option<[usize; 3]> = graph.inputs().next().and_then(|v| graph.node(v).shape().image());
    let mut fields: Vec<Field> = Vec::new();
    for value in graph.values() {
        let node = graph.node(value);
        let start = Field { extent: Some([1, 1]), jump: [1, 1] };
        let mut field = node.inputs().iter().map(|v| fields[v.index()]).reduce(wider).unwrap_or(start);
        let is_vector = |shape: &Shape| shape.vector().is_some();
        if node.op().is_some() && node.input_shapes().iter().all(is_vector) && node.signature().macs > 0 {
            field.extent = None;
        }
        if let Some(window) = node.signature().window {
            for axis in 0..2 {
                if let Some(extent) = &mut field.extent {
                    extent[axis] += (window.extent[axis] - 1) * field.jump[axis];
                }
                field.jump[axis] *= window.stride[axis];
            }
        }
        if let (Some(extent), Some([_, height, width])) = (field.extent, input)
            && extent[0] >= 2 * height
            && extent[1] >= 2 * width
        {
            field.extent = None;
        }
        fields.push(field);
    }
    fields
}

fn wider(a: Field, b: Field) -> Field {
    let extent = a.extent.zip(b.extent).map(|(a, b)| [a[0].max(b[0]), a[1].max(b[1])]);
    Field { extent, jump: [a.jump[0].max(b.jump[0]), a.jump[1].max(b.jump[1])] }
}
