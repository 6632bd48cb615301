//! Fusion changes no bit of what a network computes: random graphs, whose values are read once or often, by ops that write
//! over what they read, pass gradients on unchanged or need both, trained and evaluated with and without it. Poison finds
//! what is read after it was written over. And it saves memory where it should.

use std::sync::Arc;

use ocelli_core::ops::{
    Add, BatchNorm, Bias, Concat, Conv2d, Dropout, Flatten, GlobalAvgPool, LeakyRelu, Linear, MaxPool2d,
    Relu, Relu6, Scale, Sigmoid, Tanh,
};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Op, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update, Value,
};
use ocelli_kernels::random::{Key, Stream};
use ocelli_kernels::{Isa, Team};

const BATCH: usize = 6;

/// A graph of up to 14 nodes on values of one shape; every value is likely to be read by what follows soon.
fn random_graph(s: &mut Stream) -> Arc<Graph> {
    let mut g = Graph::new();
    let image = s.below(2) == 0;
    let shape: &[usize] = if image { &[3, 2, 2] } else { &[5] };
    let shape = ocelli_core::Shape::try_new(shape).unwrap();
    let mut values: Vec<Value> =
        (0..1 + s.below(2)).map(|i| g.input(&format!("x{i}"), shape).unwrap()).collect();
    for number in 0..4 + s.below(11) {
        let recent = |s: &mut Stream| values[values.len() - 1 - s.below(values.len().min(4) as u64) as usize];
        let from = if s.below(3) > 0 { values[values.len() - 1] } else { recent(s) };
        let (op, inputs): (Op, Vec<Value>) = match s.below(13) {
            0 => (Relu {}.into(), vec![from]),
            1 => (Relu6 {}.into(), vec![from]),
            2 => (Tanh {}.into(), vec![from]),
            3 => (Sigmoid {}.into(), vec![from]),
            4 => (LeakyRelu { slope: 0.1 }.into(), vec![from]),
            5 => (Dropout { rate: 0.4 }.into(), vec![from]),
            6 => (Scale { factor: -0.7 }.into(), vec![from]),
            7 => (Bias::default().into(), vec![from]),
            8 if image => (Conv2d::new(3, 3).padding(1).into(), vec![from]),
            8 => (Linear::new(5).into(), vec![from]),
            9 if !image => (Flatten {}.into(), vec![from]),
            9 | 10 => (BatchNorm::default().into(), vec![from]),
            _ => {
                let more = 1 + s.below(2);
                (Add {}.into(), std::iter::once(from).chain((0..more).map(|_| recent(s))).collect())
            }
        };
        values.push(g.add(&format!("n{number}"), op, inputs).unwrap());
    }
    let last = values[values.len() - 1];
    if s.below(2) == 0 {
        let other = values[s.below(values.len() as u64) as usize];
        let both = g.add("both", Concat {}, [last, other]).unwrap();
        let flat = g.add("flat", Flatten {}, [both]).unwrap();
        g.add("out", Linear::new(2), [flat]).unwrap();
    }
    Arc::new(g)
}

/// The bits of all that the caller can see of some steps.
fn bits(graph: &Arc<Graph>, options: &PlanOptions) -> Vec<u64> {
    let plan = Arc::new(Plan::new(graph, options.clone()).unwrap());
    let mut executor = Executor::<f64>::new(plan, Arc::new(Team::new(2).unwrap()), Isa::Portable).unwrap();
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-3 };
    let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    let width = graph.node(graph.output().unwrap()).shape().len();
    let mut bits = Vec::new();
    for (step, count) in [BATCH, 2, BATCH].into_iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let mut numbers = |len: usize| (0..count * len).map(|_| stream.normal()).collect::<Vec<f64>>();
        let inputs: Vec<Vec<f64>> = graph.inputs().map(|v| numbers(graph.node(v).shape().len())).collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let targets = numbers(width);
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Values(&targets)), count };
        let random = RandomState { seed: 9, step: step as u64 };
        let mut note = |values: &[f64]| bits.extend(values.iter().map(|x| x.to_bits()));
        note(executor.forward(&params, &inputs, count));
        if options.mode == Mode::Evaluate {
            continue;
        }
        let update = Update::new(&sgd, &mut state, 0.01);
        note(&[executor.step(&mut params, &batch, &criterion, update, random)]);
        note(executor.output());
        note(executor.gradients().data());
        note(params.data());
        for input in graph.inputs() {
            note(executor.value_gradient(input).unwrap_or(&[]));
        }
    }
    bits
}

#[test]
fn random_graphs_give_the_same_bits() {
    let (mut steps, mut unfused_steps) = (0, 0);
    for seed in 0..600 {
        let mut s = Key::new(11, &[seed]).stream();
        let graph = random_graph(&mut s);
        let mode = [Mode::Train, Mode::EvaluateWithGradients, Mode::Evaluate][seed as usize % 3];
        let input_gradients = s.below(2) == 0 && mode.has_backward();
        let parts = Some(1 + s.below(3) as usize);
        let options = PlanOptions { mode, input_gradients, parts, ..PlanOptions::train(BATCH) };
        let unfused = bits(&graph, &PlanOptions { fuse: false, ..options.clone() });
        for poison in [false, true] {
            let fused = bits(&graph, &PlanOptions { poison, ..options.clone() });
            assert!(fused == unfused, "seed {seed}, poison {poison}, {mode:?}: {:#?}", graph.layers());
        }
        steps += Plan::new(&graph, options.clone()).unwrap().step_count();
        unfused_steps += Plan::new(&graph, PlanOptions { fuse: false, ..options }).unwrap().step_count();
    }
    assert!(steps * 10 < unfused_steps * 9, "{steps} steps fused, {unfused_steps} one by one");
}

/// A network of residual blocks in the manner of He et al. 2016 on images of 32×32, its last blocks smaller.
fn residual_network(norm: bool) -> Arc<Graph> {
    let mut g = Graph::new();
    let normal = |g: &mut Graph, name: &str, x: Value| match norm {
        true => g.add(&format!("{name}.norm"), BatchNorm::default(), [x]).unwrap(),
        false => x,
    };
    let image = g.input("image", [3, 32, 32]).unwrap();
    let x = g.add("stem", Conv2d::new(16, 3).padding(1), [image]).unwrap();
    let x = normal(&mut g, "stem", x);
    let x = g.add("stem.relu", Relu {}, [x]).unwrap();
    let mut from = g.add("stem.pool", MaxPool2d::new(3).stride(2).padding(1), [x]).unwrap();
    for (block, (channels, stride)) in
        [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)].into_iter().enumerate()
    {
        let name = |part: &str| format!("block{block}.{part}");
        let a = g.add(&name("conv1"), Conv2d::new(channels, 3).padding(1).stride(stride), [from]).unwrap();
        let a = normal(&mut g, &name("1"), a);
        let a = g.add(&name("relu1"), Relu {}, [a]).unwrap();
        let a = g.add(&name("conv2"), Conv2d::new(channels, 3).padding(1), [a]).unwrap();
        let a = normal(&mut g, &name("2"), a);
        if stride > 1 {
            from = g.add(&name("down"), Conv2d::new(channels, 1).stride(stride), [from]).unwrap();
            from = normal(&mut g, &name("down"), from);
        }
        let a = g.add(&name("sum"), Add {}, [a, from]).unwrap();
        from = g.add(&name("relu2"), Relu {}, [a]).unwrap();
    }
    let a = g.add("pool", GlobalAvgPool {}, [from]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    g.add("out", Linear::new(10), [a]).unwrap();
    Arc::new(g)
}

#[test]
fn residual_networks_take_fewer_steps_and_less_memory() {
    for norm in [true, false] {
        let graph = residual_network(norm);
        let plan = |fuse, options| Plan::new(&graph, PlanOptions { fuse, ..options }).unwrap();
        for options in [PlanOptions::train(64), PlanOptions::evaluate(64)] {
            let (fused, unfused) = (plan(true, options.clone()), plan(false, options.clone()));
            // What packs weights is the same with and without.
            let steps = |plan: &Plan| plan.steps().filter(|s| !matches!(s.work, Work::Prepare(..))).count();
            // Activations in training have steps of their own; in evaluation every layer is one step.
            let most = if norm || options.mode == Mode::Evaluate { 0.8 } else { 0.9 };
            assert!(
                (steps(&fused) as f64) < most * steps(&unfused) as f64,
                "norm {norm}, {:?}",
                options.mode
            );
            assert!(fused.barriers() <= unfused.barriers());
            assert!(fused.arena_len() < unfused.arena_len());
        }
    }
}
