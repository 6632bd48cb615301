//! Second derivatives: with h = 1 at every output, h of an input or a parameter is the sum of its squared first
//! derivatives over the outputs, h_j = Σ_i (∂y_i/∂x_j)².

use std::sync::Arc;

use ocelli_core::ops::{Linear, Rbf};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Op, Params, Plan, PlanOptions, RandomState, Reduction, Targets,
};
use ocelli_kernels::{Isa, Team};

use super::cases::{Case, case, lone_op};
use super::{stream, with_seeds};

/// The ops that diagonal Levenberg–Marquardt cannot go through, and radial basis units, which count as part of the
/// loss there.
const WITHOUT: [&str; 5] = ["softmax", "batch_norm", "dropout", "local_response_norm", "rbf"];

#[test]
fn h_is_the_sum_of_squared_derivatives_over_the_outputs() {
    for (number, name) in Op::NAMES.iter().enumerate().filter(|(_, name)| !WITHOUT.contains(name)) {
        with_seeds(name, 30, |seed| {
            let mut s = stream(&[u64::MAX - 1, number as u64, seed]);
            let graph = lone_op(name, &mut s);
            let x: Vec<Vec<f64>> = graph
                .inputs()
                .map(|v| (0..graph.node(v).shape().len()).map(|_| s.normal()).collect())
                .collect();
            let mut sample = Sample::new(graph, &x, seed);
            let (squares, h) = (sample.sum_of_squares(), sample.curvature());
            for (i, (a, b)) in squares.iter().zip(&h).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-10 * (1.0 + a.abs()),
                    "{i}: {a} {b} of {:?}",
                    sample.graph.layers()
                );
            }
        });
    }
}

#[test]
fn a_radial_basis_unit_gives_each_input_twice_its_weight() {
    let mut graph = Graph::new();
    let x = graph.input("x", [3]).unwrap();
    let a = graph.add("f6", Linear::new(3), [x]).unwrap();
    graph.add("out", Rbf::new(2), [a]).unwrap();
    let mut sample = Sample::new(graph, &[vec![0.3, -0.2, 0.9]], 1);
    sample.criterion.loss = Loss::Penalty;
    let h = sample.curvature();
    // h = 2 for each of f6's outputs, so h of x_j is 2·Σ_i w_ij², of w_ij 2·x_j², and of a bias 2.
    let weights =
        sample.params.data()[sample.graph.layout().find("f6.weight").unwrap().range.clone()].to_vec();
    for j in 0..3 {
        let expected = 2.0 * (0..3).map(|i| weights[3 * i + j].powi(2)).sum::<f64>();
        assert!((h[j] - expected).abs() < 1e-12);
    }
    assert!((h[3] - 2.0 * 0.09).abs() < 1e-12 && (h[12] - 2.0).abs() < 1e-12, "{h:?}");
}

#[test]
fn ops_without_second_derivatives_are_refused_by_name() {
    for name in WITHOUT.iter().filter(|name| **name != "rbf") {
        let Case { op, shapes } = case(name, &mut stream(&[1]));
        let mut graph = Graph::new();
        let x = graph.input("x", shapes[0]).unwrap();
        graph.add("middle", op, [x]).unwrap();
        let options = PlanOptions { curvature: true, ..PlanOptions::train(1) };
        let error = Plan::new(&Arc::new(graph), options).unwrap_err().to_string();
        assert!(error.contains("'middle'") && error.contains(name), "{error}");
    }
}

/// A graph with one sample.
struct Sample {
    graph: Arc<Graph>,
    executor: Executor<f64>,
    criterion: Criterion,
    params: Params<f64>,
    inputs: Vec<Vec<f64>>,
}

impl Sample {
    fn new(graph: Graph, inputs: &[Vec<f64>], seed: u64) -> Sample {
        let graph = Arc::new(graph);
        let options =
            PlanOptions { curvature: true, poison: true, input_gradients: true, ..PlanOptions::train(1) };
        let plan = Arc::new(Plan::new(&graph, options).unwrap());
        Sample {
            executor: Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap(),
            criterion: Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum },
            params: Params::initialised(graph.layout(), seed).unwrap(),
            inputs: inputs.to_vec(),
            graph,
        }
    }

    /// Over the outputs, the squared derivatives by every input and trained parameter.
    fn sum_of_squares(&mut self) -> Vec<f64> {
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let output = self.executor.forward(&self.params, &inputs, 1).to_vec();
        let mut sums = Vec::new();
        for i in 0..output.len() {
            // The Euclidean cost with these targets has gradient 1 at output i and 0 at the others.
            let mut targets = output.clone();
            targets[i] -= 1.0;
            let batch = Batch { inputs: &inputs, targets: Some(Targets::Values(&targets)), count: 1 };
            self.executor.differentiate(&self.params, &batch, &self.criterion, RandomState::default());
            let row = self.derivatives();
            sums.resize(row.len(), 0.0);
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
        }
        sums
    }

    fn curvature(&mut self) -> Vec<f64> {
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Classes(&[0])), count: 1 };
        self.executor.curvature(&self.params, &batch, &self.criterion, RandomState::default()).unwrap();
        self.derivatives()
    }

    /// What the last pass left: of the inputs, then of the trained parameters.
    fn derivatives(&self) -> Vec<f64> {
        let of_inputs = self.graph.inputs().flat_map(|v| self.executor.value_gradient(v).unwrap().to_vec());
        let entries = self.graph.layout().entries().iter().filter(|e| e.spec.role.trainable());
        let of_params = entries.flat_map(|e| self.executor.gradients().data()[e.range.clone()].to_vec());
        of_inputs.chain(of_params).collect()
    }
}
