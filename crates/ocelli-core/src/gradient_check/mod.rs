//! The gradient check: are the gradients that training follows those of the cost that it reports?
//!
//! Every analytic gradient, computed in f64 with values that no step declared to read poisoned, is compared with
//! differences of the cost itself: E at five points around each parameter and each input. [`GradientCheck::layers`]
//! checks each layer by itself, [`GradientCheck::network`] a network as it is trained.

mod difference;
mod probe;
mod report;

use std::sync::Arc;

use ocelli_kernels::random::{Key, Stream};

use crate::loss::Reduction;
use crate::{Batch, Criterion, Error, Graph, Init, Loss, Mode, Node, Params, Shape, Targets};

use probe::{Place, Probe};
pub use report::{Agreement, GradientReport, LayerReport, Worst};

/// What to check, and how thoroughly.
#[derive(Clone, Debug)]
pub struct GradientCheck {
    /// What makes one number of the output. (A single layer is checked with the Euclidean cost.)
    pub criterion: Criterion,
    /// [`Mode::Train`] or [`Mode::EvaluateWithGradients`]: some ops differ.
    pub mode: Mode,
    /// Elements that are checked of each parameter and input; of larger ones, so many at random. Each takes six or more
    /// forward passes.
    pub limit: usize,
    /// Chooses these elements, and the parameters, inputs and targets where they are random.
    pub seed: u64,
}

/// What random numbers are for: keeps the streams apart.
#[derive(Clone, Copy)]
enum Purpose {
    Params,
    Inputs,
    Targets,
    Elements,
}

impl GradientCheck {
    /// A check of 50 elements of each parameter and input, with seed 0.
    pub fn new(criterion: Criterion, mode: Mode) -> GradientCheck {
        GradientCheck { criterion, mode, limit: 50, seed: 0 }
    }

    /// Checks a network at these parameters on this batch: every trained parameter, and the graph's inputs.
    ///
    /// # Errors
    /// [`Mode::Evaluate`], which has no gradients; a loss that does not fit the output; too little memory.
    ///
    /// # Panics
    /// As [`Executor::differentiate`](crate::Executor::differentiate), where the batch does not fit the graph.
    pub fn network(
        &self,
        graph: &Arc<Graph>,
        params: &Params<f64>,
        batch: &Batch<'_, f64>,
    ) -> Result<GradientReport, Error> {
        let mut probe = Probe::new(graph, self.mode, &self.criterion, params, batch)?;
        let mut report = GradientReport::default();
        for (number, input) in graph.inputs().enumerate() {
            let node = graph.node(input);
            let inputs = self.tensor(&mut probe, node.name(), Place::Input(number));
            report.layers.push(LayerReport::of(node, Agreement::default(), inputs));
        }
        for node in graph.nodes().iter().filter(|n| n.trained_len() > 0 && n.shares().is_none()) {
            let params = self.params(&mut probe, node);
            report.layers.push(LayerReport::of(node, params, Agreement::default()));
        }
        Ok(report)
    }

    /// Checks a network at random parameters on a random batch of `samples`.
    ///
    /// # Errors
    /// As [`GradientCheck::network`].
    pub fn random_network(&self, graph: &Arc<Graph>, samples: usize) -> Result<GradientReport, Error> {
        let params = self.random_params(graph)?;
        let inputs = self.random_inputs(graph.inputs().map(|v| graph.node(v).shape()), samples);
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let classes = self.criterion.loss.classes(graph.node(graph.output()?).shape().len()) as u64;
        let mut stream = self.stream(Purpose::Targets, 0);
        let labels: Vec<u32> = (0..samples).map(|_| stream.below(classes) as u32).collect();
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Classes(&labels)), count: samples };
        self.network(graph, &params, &batch)
    }

    /// Checks each layer of a network by itself, on random inputs with the shapes that it has in the network: its trained
    /// parameters and its inputs. The cost is half the squared distance of its output to random targets.
    ///
    /// # Errors
    /// As [`GradientCheck::network`].
    pub fn layers(&self, graph: &Graph, samples: usize) -> Result<GradientReport, Error> {
        let layers = graph.nodes().iter().filter(|node| node.op().is_some());
        let layers: Result<Vec<LayerReport>, Error> = layers.map(|node| self.layer(node, samples)).collect();
        Ok(GradientReport { layers: layers? })
    }

    /// Checks one layer by itself.
    fn layer(&self, node: &Node, samples: usize) -> Result<LayerReport, Error> {
        let mut graph = Graph::new();
        let shapes = node.input_shapes().iter().enumerate();
        let from = shapes.map(|(i, shape)| graph.input(&format!("input{i}"), *shape));
        let from = from.collect::<Result<Vec<_>, _>>()?;
        let value = graph.add(node.name(), node.op().expect("a layer has an op").clone(), &from)?;
        let graph = Arc::new(graph);
        let params = self.random_params(&graph)?;
        let inputs = self.random_inputs(node.input_shapes().iter().copied(), samples);
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let mut stream = self.stream(Purpose::Targets, 0);
        let targets: Vec<f64> = (0..samples * node.shape().len()).map(|_| stream.normal()).collect();
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Values(&targets)), count: samples };
        let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
        let mut probe = Probe::new(&graph, self.mode, &criterion, &params, &batch)?;
        let mut of_inputs = Agreement::default();
        for (number, &input) in from.iter().enumerate() {
            let name = graph.node(input).name();
            of_inputs.merge(self.tensor(&mut probe, name, Place::Input(number)));
        }
        let of_params = self.params(&mut probe, graph.node(value));
        Ok(LayerReport::of(node, of_params, of_inputs))
    }

    /// Checks the trained parameters of a layer.
    fn params(&self, probe: &mut Probe<'_>, node: &Node) -> Agreement {
        let mut all = Agreement::default();
        for (&number, spec) in node.params().iter().zip(node.trained()) {
            all.merge(self.tensor(probe, spec.name, Place::Param(number)));
        }
        all
    }

    /// Checks elements of one parameter or input.
    fn tensor(&self, probe: &mut Probe<'_>, name: &str, place: Place) -> Agreement {
        let len = probe.values(place).len();
        let count = len.min(self.limit);
        let key = match place {
            Place::Param(number) => [0, number as u64],
            Place::Input(number) => [1, number as u64],
        };
        let mut stream = Key::new(self.seed, &[Purpose::Elements as u64, key[0], key[1]]).stream();
        let mut agreement = Agreement::default();
        for i in 0..count {
            // One at random from each of `count` runs of equal length: all of them where there are no more.
            let run = i * len / count..(i + 1) * len / count;
            let element = run.start + stream.below(run.len() as u64) as usize;
            agreement.note(name, element, probe.compare(place, element));
        }
        agreement
    }

    /// Parameters to check a network at: as they start, but off the special values 0 and 1 that constants start at.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn random_params(&self, graph: &Graph) -> Result<Params<f64>, Error> {
        let mut params = Params::initialised(graph.layout(), self.seed)?;
        for (number, entry) in graph.layout().entries().iter().enumerate() {
            let mut stream = self.stream(Purpose::Params, number);
            if let Init::Constant { .. } = entry.spec.init {
                let values = &mut params.data_mut()[entry.range.clone()];
                values.iter_mut().for_each(|value| *value += stream.range(-0.25, 0.25));
            }
        }
        Ok(params)
    }

    fn random_inputs(&self, shapes: impl Iterator<Item = Shape>, samples: usize) -> Vec<Vec<f64>> {
        let normal = |(number, shape): (usize, Shape)| {
            let mut stream = self.stream(Purpose::Inputs, number);
            (0..samples * shape.len()).map(|_| stream.normal()).collect()
        };
        shapes.enumerate().map(normal).collect()
    }

    fn stream(&self, purpose: Purpose, number: usize) -> Stream {
        Key::new(self.seed, &[purpose as u64, number as u64]).stream()
    }
}
