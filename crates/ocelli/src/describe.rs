//! What a network will do before it does it: every layer, and all memory.

use std::sync::Arc;

use ocelli_core::{Graph, Op, Optimizer, Plan, PlanOptions, Value};
use ocelli_kernels::Precision;
use serde::Serialize;

use crate::train::{Loading, curvature_options, health_options, recipe_options};
use crate::{Error, Recipe, SCHEMA};

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

/// Code, stacks and small allocations that a run touches after it was described: 1.3 to 2 MiB, measured.
const TOUCHED_LATER: u64 = 3 << 19;

/// The memory of a training run in bytes, by what it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// The program itself, as it is now, without the images.
    pub program: u64,
    /// The images.
    pub data: u64,
    /// The parameters.
    pub parameters: u64,
    /// Their gradients, if they are kept; those of small layers lie with the activations, those of large ones nowhere.
    pub gradients: u64,
    /// The moving average of the parameters, if there is one.
    pub average: u64,
    /// What the optimiser remembers, and the second derivatives of one that uses them.
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

/// Describes a network and the memory of training it in the plainest way.
///
/// # Errors
/// A network that cannot be planned, or memory beyond what can be addressed.
pub fn describe(subject: &Subject<'_>) -> Result<Description, Error> {
    let recipe = Recipe { optimizer: subject.optimizer.clone(), ..Recipe::default() };
    describe_training(subject, &recipe)
}

/// Describes a network and the memory of training it by a recipe: its frozen layers, its accumulated gradients, its average.
/// Pictures have the size of the network's input, which is the largest where they grow.
///
/// # Errors
/// As [`describe`], and a layer to freeze that there is not.
pub fn describe_training(subject: &Subject<'_>, recipe: &Recipe) -> Result<Description, Error> {
    let graph = subject.graph;
    let plan = Plan::new(graph, planned(subject, recipe)?)?;
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
        flops: layers.iter().map(|l| l.flops).fold(0, u64::saturating_add),
        parts: plan.parts(),
        barriers: plan.barriers(),
        memory: memory(subject, recipe, &plan)?,
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
        flops: signature.macs.saturating_mul(2),
        saved_bytes: (plan.saved_len(value) as u64).saturating_mul(4),
        receptive_field: field.extent,
    }
}

/// The plan of a step. What memory it takes does not depend on the precision.
fn planned(subject: &Subject<'_>, recipe: &Recipe) -> Result<PlanOptions, Error> {
    Ok(PlanOptions { precision: Precision::F32, ..recipe_options(recipe, subject.graph, subject.batch)? })
}

fn memory(subject: &Subject<'_>, recipe: &Recipe, plan: &Plan) -> Result<Memory, Error> {
    let graph = subject.graph;
    let unshared = PlanOptions { reuse: false, fuse: false, ..planned(subject, recipe)? };
    let unshared = Plan::new(graph, unshared)?;
    let evaluation = Plan::new(graph, PlanOptions::evaluate(crate::eval::BATCH))?;
    let health = Plan::new(graph, health_options())?;
    let curvature = curvature_options(recipe, graph)?.map(|options| Plan::new(graph, options)).transpose()?;
    let image: usize = graph.inputs().map(|v| graph.node(v).shape().len()).sum();
    let params = bytes(graph.layout().arena_len());
    let scratch = |plan: &Plan| bytes(plan.scratch_len()).saturating_mul(workers(subject, plan));
    let of_pass = |plan: &Plan| bytes(plan.arena_len()).saturating_add(scratch(plan));
    let mut memory = Memory {
        program: TOUCHED_LATER
            + crate::machine::resident_memory_bytes().unwrap_or(0).saturating_sub(subject.data_bytes),
        data: subject.data_bytes,
        parameters: params,
        gradients: if plan.options().keep_gradients { params } else { 0 },
        average: if recipe.ema.is_some() { params } else { 0 },
        optimizer: curvature
            .map_or(0, |plan| of_pass(&plan).saturating_add(params))
            .saturating_add(params.saturating_mul(subject.optimizer.slots() as u64)),
        activations: bytes(plan.arena_len()),
        activations_without_reuse: bytes(unshared.arena_len()),
        scratch: scratch(plan),
        evaluation: of_pass(&evaluation)
            .saturating_add(of_pass(&health))
            .saturating_add(crate::feed::waiting_bytes(image, crate::eval::BATCH, subject.threads))
            .saturating_add(confusions(graph)?),
        loading: bytes(image)
            .saturating_mul(subject.batch as u64)
            .saturating_mul(Loading::beside(subject.threads).batches() as u64),
        total: 0,
    };
    memory.total = memory.sum()?;
    Ok(memory)
}

impl Memory {
    /// All that is held at the same time.
    fn sum(&self) -> Result<u64, Error> {
        let parts = [
            self.program,
            self.data,
            self.parameters,
            self.gradients,
            self.average,
            self.optimizer,
            self.activations,
            self.scratch,
            self.evaluation,
            self.loading,
        ];
        let sum: u128 = parts.into_iter().map(u128::from).sum();
        // What saturated is beyond this bound too.
        let fits = u64::try_from(sum).ok().filter(|&sum| sum <= i64::MAX as u64);
        Ok(fits.ok_or(ocelli_core::Error::Memory { what: "training", bytes: sum })?)
    }
}

/// Bytes of the confusion matrices that are held at a time: the last one, one that is being counted, and that of the report.
fn confusions(graph: &Graph) -> Result<u64, Error> {
    // An output that is no vector tells no classes apart.
    let classes = graph.node(graph.output()?).shape().vector().unwrap_or(0);
    Ok(bytes(classes.saturating_mul(classes)).saturating_mul(3))
}

/// Bytes of so many f32.
fn bytes(elements: usize) -> u64 {
    (elements as u64).saturating_mul(4)
}

/// Threads that work on a plan, each with scratch memory of its own: the executor leaves one part to the caller's.
fn workers(subject: &Subject<'_>, plan: &Plan) -> u64 {
    if plan.parts() > 1 { subject.threads.max(1) as u64 } else { 1 }
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
        if node.shape().vector().is_some() && node.op().is_some_and(mixes_all) {
            field.extent = None;
        }
        if let Some(window) = node.signature().window {
            for axis in 0..2 {
                if let Some(extent) = &mut field.extent {
                    let wider = (window.extent[axis] - 1).saturating_mul(field.jump[axis]);
                    extent[axis] = extent[axis].saturating_add(wider);
                }
                field.jump[axis] = field.jump[axis].saturating_mul(window.stride[axis]);
            }
        }
        if let (Some(extent), Some([_, height, width])) = (field.extent, input)
            && extent[0] / 2 >= height
            && extent[1] / 2 >= width
        {
            field.extent = None;
        }
        fields.push(field);
    }
    fields
}

/// Whether each element of a vector that the op computes depends on all elements of the vector that it reads.
fn mixes_all(op: &Op) -> bool {
    matches!(op, Op::Linear(_) | Op::Rbf(_) | Op::Softmax(_))
}

fn wider(a: Field, b: Field) -> Field {
    let extent = a.extent.zip(b.extent).map(|(a, b)| [a[0].max(b[0]), a[1].max(b[1])]);
    Field { extent, jump: [a.jump[0].max(b.jump[0]), a.jump[1].max(b.jump[1])] }
}

#[cfg(test)]
mod tests {
    use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear, Relu, Softmax};

    use super::*;

    const SGD: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };

    fn described(graph: Graph, batch: usize, threads: usize) -> Result<Description, Error> {
        let (graph, net, data_bytes) = (Arc::new(graph), "test", 0);
        describe(&Subject { net, graph: &graph, batch, optimizer: &SGD, threads, data_bytes })
    }

    fn convolutional() -> Graph {
        let mut graph = Graph::new();
        let x = graph.input("x", [1, 20, 20]).unwrap();
        let a = graph.add("conv", Conv2d::new(2, 3), [x]).unwrap();
        let a = graph.add("flat", Flatten {}, [a]).unwrap();
        let a = graph.add("norm", BatchNorm::default(), [a]).unwrap();
        let a = graph.add("relu", Relu {}, [a]).unwrap();
        graph.add("softmax", Softmax {}, [a]).unwrap();
        graph
    }

    #[test]
    fn a_vector_sees_everything_behind_layers_that_mix_it_alone() {
        let fields: Vec<_> =
            described(convolutional(), 1, 1).unwrap().layers.iter().map(|l| l.receptive_field).collect();
        let window = Some([3, 3]);
        assert_eq!(fields, [window, window, window, window, None]);
    }

    #[test]
    fn memory_beyond_all_addresses_is_an_error_and_not_a_small_number() {
        for batch in [400_000_000_000_000, 3_000_000_000_000_000, usize::MAX] {
            let error = described(convolutional(), batch, 2).unwrap_err();
            assert!(matches!(error, Error::Limit(_)), "{batch}: {error}");
        }
        let large = described(convolutional(), 1_000_000_000_000, 2).unwrap();
        assert!(large.memory.total > 1_000_000_000_000 * 4 * 400);
    }

    #[test]
    fn strides_beyond_all_numbers_are_described() {
        let mut graph = Graph::new();
        let mut a = graph.input("x", [1, 4, 4]).unwrap();
        for layer in 0..5 {
            a = graph
                .add(&format!("conv{layer}"), Conv2d::new(1, 2).padding(1).stride(1 << 30), [a])
                .unwrap();
        }
        let layers = described(graph, 1, 1).unwrap().layers;
        assert_eq!(layers[0].receptive_field, Some([2, 2]));
        assert_eq!(layers[4].receptive_field, None);
    }

    #[test]
    fn threads_that_find_no_work_take_no_memory() {
        let small = || {
            let mut graph = Graph::new();
            let x = graph.input("x", [4]).unwrap();
            graph.add("out", Linear::new(2), [x]).unwrap();
            graph
        };
        let [one, four] = [1, 4].map(|threads| described(small(), 8, threads).unwrap());
        assert_eq!((four.parts, four.memory.scratch), (1, one.memory.scratch));
        // One batch on the caller's thread; else the one at hand, those ahead and those being prepared.
        assert_eq!((one.memory.loading, four.memory.loading), (8 * 4 * 4, 9 * 8 * 4 * 4));
    }
}
