//! Plans that keep no gradients move parameters as soon as their gradient is known, and everything else is as it was: the
//! same bits of parameters, slots, costs and outputs, with every optimiser, for any number of threads and parts; nothing
//! moves where a cost is not finite; and norms are known though gradients are not.

use std::sync::Arc;

use ocelli_core::ops::{Add, BatchNorm, Bias, Conv2d, Flatten, Linear, Prelu, Relu, Tanh};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Criterion, Error, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

const BATCH: usize = 24;
const SHAPE: [usize; 3] = [3, 4, 4];
const CLASSES: usize = 5;

/// Large layers, which are cut by units, of both kinds that can move parameters at once; one that shares its weights, small
/// ones, and one that nobody reads.
fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", SHAPE).unwrap();
    let a = g.add("stem", Conv2d::new(96, 3).padding(1).stride(2), [x]).unwrap();
    let a = g.add("norm", BatchNorm::default(), [a]).unwrap();
    let a = g.add("relu", Relu {}, [a]).unwrap();
    let conv = g.add("conv", Conv2d::new(96, 3).padding(1), [a]).unwrap();
    let a = g.add("sum", Add {}, [a, conv]).unwrap();
    let a = g.add("prelu", Prelu::default(), [a]).unwrap();
    let unread = g.add("unread.flat", Flatten {}, [x]).unwrap();
    g.add("unread", Linear::new(2), [unread]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    let a = g.add("wide", Linear::new(301), [a]).unwrap();
    let a = g.add("tanh1", Tanh {}, [a]).unwrap();
    let twice = g.add("twice", Linear::new(301), [a]).unwrap();
    let a = g.add("tanh2", Tanh {}, [twice]).unwrap();
    let a = g.add_shared("twice.again", twice, [a]).unwrap();
    let a = g.add("bias", Bias::default(), [a]).unwrap();
    let a = g.add("last.wide", Linear::new(301).without_bias(), [a]).unwrap();
    g.add("out", Linear::new(CLASSES), [a]).unwrap();
    Arc::new(g)
}

fn plan(graph: &Arc<Graph>, options: PlanOptions) -> Arc<Plan> {
    Arc::new(Plan::new(graph, options).unwrap())
}

fn optimizers() -> Vec<Optimizer> {
    vec![
        Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 },
        Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-2 },
        Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 },
        Optimizer::DiagonalLm { mu: 0.02, samples: 10 },
    ]
}

/// A few steps of training, the third of them with an image that spoils its cost.
struct Training {
    executor: Executor<f32>,
    params: Params<f32>,
    state: OptimizerState<f32>,
    optimizer: Optimizer,
    step: u64,
}

impl Training {
    fn new(plan: Arc<Plan>, threads: usize, optimizer: &Optimizer) -> Training {
        let layout = Arc::clone(plan.graph().layout());
        let team = Arc::new(Team::new(threads).unwrap());
        Training {
            executor: Executor::new(plan, team, Isa::detect()).unwrap(),
            params: Params::initialised(&layout, 3).unwrap(),
            state: OptimizerState::new(optimizer, &layout).unwrap(),
            optimizer: optimizer.clone(),
            step: 0,
        }
    }

    fn step(&mut self, count: usize, spoilt: bool) -> f64 {
        let mut stream = Key::new(5, &[self.step]).stream();
        let mut images: Vec<f32> = (0..count * 48).map(|_| stream.normal() as f32).collect();
        if spoilt {
            images[count * 48 - 1] = f32::NAN;
        }
        let labels: Vec<u32> = (0..count).map(|_| stream.below(CLASSES as u64) as u32).collect();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&labels)), count };
        let update = Update::new(&self.optimizer, &mut self.state, 0.01);
        let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
        let criterion = Criterion { loss, reduction: Reduction::Mean };
        let random = RandomState { seed: 9, step: self.step };
        self.step += 1;
        self.executor.step(&mut self.params, &batch, &criterion, update, random)
    }

    /// Parameters and slots.
    fn all(&self) -> Vec<u32> {
        let slots = self.state.slots().iter().flat_map(|slot| slot.data());
        self.params.data().iter().chain(slots).map(|x| x.to_bits()).collect()
    }

    fn run(mut self) -> Vec<u32> {
        let mut bits = Vec::new();
        for count in [BATCH, 9, 1, BATCH] {
            bits.extend((self.step(count, false) as f32).to_bits().to_le_bytes().map(u32::from));
            bits.extend(self.executor.output().iter().map(|x| x.to_bits()));
            bits.extend(self.all());
        }
        assert!(self.params.data().iter().all(|x| x.is_finite()));
        bits
    }
}

#[test]
fn what_is_not_kept_changes_no_bit_whatever_the_optimizer_and_the_number_of_threads() {
    let graph = network();
    for optimizer in optimizers() {
        for parts in [Some(1), Some(3), Some(8)] {
            let options = PlanOptions { parts, ..PlanOptions::train(BATCH) };
            let kept = Training::new(plan(&graph, options.clone()), 2, &optimizer).run();
            for threads in [1, 2, 3, 8] {
                let options = PlanOptions { keep_gradients: false, ..options.clone() };
                let moved = Training::new(plan(&graph, options), threads, &optimizer).run();
                assert!(moved == kept, "{optimizer:?}, {parts:?} parts, {threads} threads");
            }
        }
    }
}

#[test]
fn poison_and_memory_without_reuse_change_no_bit() {
    let graph = network();
    let optimizer = &optimizers()[1];
    let options = PlanOptions { keep_gradients: false, ..PlanOptions::train(BATCH) };
    let bits = Training::new(plan(&graph, options.clone()), 2, optimizer).run();
    for (poison, reuse, fuse) in [(true, true, true), (false, false, true), (true, true, false)] {
        let options = PlanOptions { poison, reuse, fuse, ..options.clone() };
        assert!(Training::new(plan(&graph, options), 2, optimizer).run() == bits, "{poison} {reuse} {fuse}");
    }
}

#[test]
fn nothing_moves_where_a_cost_is_not_finite() {
    let graph = network();
    for optimizer in optimizers() {
        for (threads, parts) in [(1, 1), (2, 8), (3, 5)] {
            let options =
                PlanOptions { keep_gradients: false, parts: Some(parts), ..PlanOptions::train(BATCH) };
            let mut training = Training::new(plan(&graph, options), threads, &optimizer);
            training.step(BATCH, false);
            let (before, steps) = (training.all(), training.state.steps);
            training.executor.note_gradient_norms();
            assert!(!training.step(BATCH, true).is_finite());
            assert!(training.all() == before, "{optimizer:?}, {threads} threads, {parts} parts");
            assert_eq!(training.state.steps, steps);
            let all: Vec<usize> = (0..graph.layout().entries().len()).collect();
            assert_eq!(training.executor.gradient_norm(&all), 0.0);
            training.step(BATCH, false);
            assert!(training.all() != before);
        }
    }
}

#[test]
fn norms_are_those_of_the_gradients_in_the_step_that_noted_them() {
    let graph = network();
    let entries: Vec<usize> = (0..graph.layout().entries().len()).collect();
    let trained = |&entry: &usize| graph.layout().entries()[entry].spec.role.trainable();
    for parts in [1, 8] {
        let norms = |keep_gradients, threads| {
            let options = PlanOptions { keep_gradients, parts: Some(parts), ..PlanOptions::train(BATCH) };
            let mut training = Training::new(plan(&graph, options), threads, &optimizers()[1]);
            training.step(BATCH, false);
            let before = training.executor.gradient_norm(&entries);
            assert_eq!(before, 0.0, "norms that nobody asked for");
            training.executor.note_gradient_norms();
            training.step(BATCH, false);
            if keep_gradients {
                for entry in entries.iter().copied().filter(trained) {
                    let range = graph.layout().entries()[entry].range.clone();
                    let gradient = training.executor.gradients().data()[range].iter().map(|&g| f64::from(g));
                    let (norm, found) = (
                        gradient.map(|g| g * g).sum::<f64>().sqrt(),
                        training.executor.gradient_norm(&[entry]),
                    );
                    assert!((norm - found).abs() <= 1e-12 * norm, "{found} instead of {norm}");
                }
            }
            entries.iter().map(|&e| training.executor.gradient_norm(&[e])).collect::<Vec<f64>>()
        };
        let (kept, moved) = (norms(true, 2), norms(false, 1));
        assert_eq!(moved, norms(false, 3), "the same bits for any number of threads");
        for (kept, moved) in kept.iter().zip(&moved) {
            assert!((kept - moved).abs() <= 1e-9 * kept, "{moved} instead of {kept}");
        }
        assert!(moved.iter().zip(&entries).all(|(norm, entry)| !trained(entry)
            || *norm > 0.0
            || graph.layout().entries()[*entry].name.starts_with("unread")));
    }
}

#[test]
fn a_plan_that_keeps_no_gradients_has_no_place_for_them() {
    let graph = network();
    let keep = plan(&graph, PlanOptions::train(BATCH));
    let moves = plan(&graph, PlanOptions { keep_gradients: false, ..PlanOptions::train(BATCH) });
    assert!(moves.arena_len() <= keep.arena_len());
    let moved: u64 =
        moves.steps().filter(|s| matches!(s.work, Work::BackwardParams(_))).map(|s| s.moves).sum();
    let of = |name: &str| graph.layout().find(name).unwrap().range.len() as u64;
    let large = ["conv.weight", "conv.bias", "wide.weight", "wide.bias", "last.wide.weight"];
    assert_eq!(moved, large.map(of).iter().sum::<u64>());
    let all: u64 = moves.steps().map(|step| step.moves).sum();
    assert_eq!(all, graph.layout().trainable() as u64);
    assert_eq!(keep.steps().map(|step| step.moves).sum::<u64>(), all);
    let no = Plan::new(
        &graph,
        PlanOptions { keep_gradients: false, curvature: true, ..PlanOptions::train(BATCH) },
    );
    assert!(matches!(no, Err(Error::Options(_))));
}

#[test]
#[should_panic(expected = "keeps gradients")]
fn a_plan_that_keeps_no_gradients_is_not_asked_for_them() {
    let graph = network();
    let moves = plan(&graph, PlanOptions { keep_gradients: false, ..PlanOptions::train(1) });
    let mut executor = Executor::<f32>::new(moves, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
    let params = Params::zeroed(graph.layout()).unwrap();
    let batch = Batch { inputs: &[&[0.0; 48]], targets: Some(Targets::Classes(&[0])), count: 1 };
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    executor.differentiate(&params, &batch, &criterion, RandomState::default());
}
