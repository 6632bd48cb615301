//! A network with everything that is needed to ask how its cost changes with one number.

use std::sync::Arc;

use ocelli_kernels::{Isa, Team};

use super::difference::derivative;
use crate::{
    Batch, Criterion, Error, Executor, Graph, Mode, Params, Plan, PlanOptions, RandomState, Targets,
};

/// A tensor whose gradient is checked.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The parameter of this number in the layout.
    Param(usize),
    /// The graph's input of this number.
    Input(usize),
}

/// Analytic and numeric derivative of the cost by one number, and how much they differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    pub(super) analytic: f64,
    pub(super) numeric: f64,
    pub(super) error: f64,
}

/// Errors are relative to the derivative, but derivatives far below the largest of their tensor, or of the network, are
/// mostly rounding: they are held against these shares of the largest.
const FLOOR_OF_TENSOR: f64 = 1e-3;
const FLOOR_OF_NETWORK: f64 = 1e-4;

/// And a derivative through which the cost changes by less than this share of itself is rounding too.
const FLOOR_OF_COST: f64 = 1e-5;

/// A network at given parameters on a given batch, with its analytic gradients.
pub(super) struct Probe<'a> {
    executor: Executor<f64>,
    criterion: &'a Criterion,
    targets: Targets<'a, f64>,
    count: usize,
    params: Params<f64>,
    inputs: Vec<Vec<f64>>,
    param_gradients: Params<f64>,
    input_gradients: Vec<Vec<f64>>,
    cost: f64,
    largest: f64,
}

impl<'a> Probe<'a> {
    pub(super) fn new(
        graph: &Arc<Graph>,
        mode: Mode,
        criterion: &'a Criterion,
        params: &Params<f64>,
        batch: &Batch<'a, f64>,
    ) -> Result<Probe<'a>, Error> {
        if !mode.has_backward() {
            return Err(Error::Options("there are no gradients to check in evaluation".to_string()));
        }
        let width = graph.node(graph.output()?).shape().len();
        criterion.loss.check(width, None)?;
        let targets =
            batch.targets.ok_or_else(|| Error::Options("a gradient check needs targets".to_string()))?;
        let options = PlanOptions {
            mode,
            poison: true,
            reuse: false,
            input_gradients: true,
            ..PlanOptions::train(batch.count)
        };
        let plan = Arc::new(Plan::new(graph, options)?);
        let mut executor = Executor::new(plan, Arc::new(Team::new(1)?), Isa::Portable)?;
        // Seed and step 0, as evaluations of the cost use too: dropout drops the same elements in all of them.
        let cost = executor.differentiate(params, batch, criterion, RandomState::default());
        let input_gradients: Vec<Vec<f64>> =
            graph.inputs().map(|v| executor.value_gradient(v).unwrap_or_default().to_vec()).collect();
        let param_gradients = executor.gradients().try_clone()?;
        let all = input_gradients.iter().flatten().chain(param_gradients.data());
        let largest = all.map(|g| g.abs()).fold(0.0, f64::max);
        Ok(Probe {
            executor,
            criterion,
            targets,
            count: batch.count,
            params: params.try_clone()?,
            inputs: batch.inputs.iter().map(|input| input.to_vec()).collect(),
            param_gradients,
            input_gradients,
            cost,
            largest,
        })
    }

    /// The numbers of a tensor as they lie in memory.
    pub(super) fn values(&self, place: Place) -> &[f64] {
        match place {
            Place::Param(number) => &self.params.data()[self.params.layout().entries()[number].range.clone()],
            Place::Input(number) => &self.inputs[number],
        }
    }

    /// Compares the derivative by element `element` of a tensor; `None` at a kink of the cost.
    pub(super) fn compare(&mut self, place: Place, element: usize) -> Option<Comparison> {
        let (size, gradients) = (self.size(place, element), self.gradients(place));
        let analytic = gradients.get(element).copied().unwrap_or(0.0);
        let largest = gradients.iter().map(|g| g.abs()).fold(0.0, f64::max);
        let of_gradients = (FLOOR_OF_TENSOR * largest).max(FLOOR_OF_NETWORK * self.largest);
        let floor = of_gradients.max(FLOOR_OF_COST * self.cost.abs() / size);
        let value = self.values(place)[element];
        let numeric = derivative(size, floor, |offset| self.cost_at(place, element, value + offset));
        *self.value_mut(place, element) = value;
        numeric.map(|numeric| {
            let scale = analytic.abs().max(numeric.abs()).max(floor);
            let error = if analytic == numeric { 0.0 } else { (analytic - numeric).abs() / scale };
            Comparison { analytic, numeric, error }
        })
    }

    fn gradients(&self, place: Place) -> &[f64] {
        match place {
            Place::Param(number) => {
                &self.param_gradients.data()[self.params.layout().entries()[number].range.clone()]
            }
            Place::Input(number) => &self.input_gradients[number],
        }
    }

    /// The magnitude of an element, or of its tensor where that is larger.
    fn size(&self, place: Place, element: usize) -> f64 {
        let values = self.values(place);
        let mean_square = values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64;
        let size = values[element].abs().max(mean_square.sqrt());
        if size > 0.0 { size } else { 1.0 }
    }

    fn cost_at(&mut self, place: Place, element: usize, value: f64) -> f64 {
        *self.value_mut(place, element) = value;
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let batch = Batch { inputs: &inputs, targets: Some(self.targets), count: self.count };
        self.executor.evaluate(&self.params, &batch, self.criterion)
    }

    fn value_mut(&mut self, place: Place, element: usize) -> &mut f64 {
        match place {
            Place::Param(number) => {
                let start = self.params.layout().entries()[number].range.start;
                &mut self.params.data_mut()[start + element]
            }
            Place::Input(number) => &mut self.inputs[number][element],
        }
    }
}
