//! The networks that have a name are what they are said to be: torchvision's parameters, shapes, and a step that learns.

use std::sync::Arc;

use ocelli::arch::{Architecture, Wanted};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Optimizer, OptimizerState, ParamEntry, Params, Plan, PlanOptions,
    RandomState, Shape, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

fn build(net: &str, input: [usize; 3], classes: usize) -> Result<Graph, String> {
    let wanted = Wanted { input: Shape::from(input), classes, widths: Vec::new() };
    Architecture::find(net).unwrap().build(&wanted).map_err(|error| error.to_string())
}

/// Names, sizes, and standard deviations at the start of torchvision's parameters (xtask/golden/make_torchvision.py).
const TORCHVISION: [(&str, usize, &str); 1] =
    [("resnet18", 11_689_512, include_str!("torchvision/resnet18.txt"))];

#[test]
fn parameters_have_torchvisions_names_order_shapes_and_number() {
    for (net, parameters, list) in TORCHVISION {
        let graph = build(net, [3, 224, 224], 1000).unwrap();
        assert_eq!(graph.layout().trainable(), parameters, "{net}");
        let ours: Vec<String> = graph.layout().entries().iter().map(name_and_sizes).collect();
        let theirs: Vec<&str> = list.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(ours, theirs, "{net}");
    }
}

fn name_and_sizes(entry: &ParamEntry) -> String {
    let sizes: Vec<String> = entry.spec.shape.sizes().iter().map(usize::to_string).collect();
    format!("{} {}", entry.name, sizes.join("x"))
}

/// Torchvision's figures are of one draw too: of n values, each scatters by 1/√2n.
#[test]
fn weights_start_as_wide_as_torchvisions() {
    for (net, _, list) in TORCHVISION {
        let graph = build(net, [3, 224, 224], 1000).unwrap();
        for (number, (entry, line)) in graph.layout().entries().iter().zip(list.lines()).enumerate() {
            let theirs: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            let mut drawn = vec![f64::NAN; entry.range.len().min(10_000)];
            let key = Key::new(6, &[number as u64]);
            entry.spec.init.fill(entry.spec.fan, 1, key, &mut drawn).unwrap();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
            let scatter = 4.0 * theirs / (drawn.len() as f64).sqrt();
            assert!((variance.sqrt() - theirs).abs() <= scatter, "{net} {line}: {}", variance.sqrt());
        }
    }
}

#[test]
fn they_take_images_of_odd_sizes() {
    let cases =
        [("resnet18", "layer4.1.relu2", [([127, 127], [4, 4]), ([131, 97], [5, 4]), ([224, 224], [7, 7])])];
    for (net, last_map, sizes) in cases {
        for ([height, width], expected) in sizes {
            let graph = build(net, [3, height, width], 100).unwrap();
            let map = graph.node(graph.find(last_map).unwrap()).shape().image().unwrap();
            assert_eq!(map[1..], expected, "{net} of {height}×{width}");
            assert_eq!(graph.node(graph.output().unwrap()).shape(), Shape::from([100]), "{net}");
        }
    }
}

#[test]
fn a_step_lowers_the_loss_and_moves_every_parameter() {
    for (net, input) in [("resnet18", [3, 33, 33])] {
        let graph = Arc::new(build(net, input, 5).unwrap());
        let recipe = Architecture::find(net).unwrap().recipe();
        let plan = Arc::new(Plan::new(&graph, PlanOptions::train(4)).unwrap());
        let mut executor =
            Executor::<f32>::new(plan, Arc::new(Team::new(2).unwrap()), Isa::detect()).unwrap();
        let mut params = Params::initialised(graph.layout(), 3).unwrap();
        let before = params.data().to_vec();
        let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
        let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
        let criterion = Criterion { loss: recipe.loss, reduction: recipe.reduction };
        let mut stream = Key::new(5, &[]).stream();
        let images: Vec<f32> =
            (0..4 * input.iter().product::<usize>()).map(|_| stream.normal() as f32).collect();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&[0, 1, 3, 4])), count: 4 };
        let mut step = |step| {
            let update = Update { optimizer: &sgd, state: &mut state, rate: 0.01 };
            executor.step(&mut params, &batch, &criterion, update, RandomState { seed: 9, step })
        };
        let costs = [step(0), step(0), step(0)];
        assert!(costs[2].is_finite() && costs[2] < costs[0], "{net}: {costs:?}");
        for entry in graph.layout().entries() {
            let moved = before[entry.range.clone()] != params.data()[entry.range.clone()];
            assert!(moved, "{net}: {} stayed as it was", entry.name);
        }
    }
}
