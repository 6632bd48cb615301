//! Layers that are computed strip by strip have the bits that they have one by one: random networks of everything that can be a
//! layer, with strips of any height, whole samples, parts by rows, by channels and by samples, and any number of threads. Poison
//! finds rows that are read before they are computed.

use std::sync::Arc;

use ocelli_core::ops::{
    Add, AvgPool2d, BatchNorm, Bias, Concat, Conv2d, Flatten, LeakyRelu, Linear, MaxPool2d, Relu, Relu6, Tanh,
};
use ocelli_core::plan::{BufferKind, Work};
use ocelli_core::{Executor, Graph, Mode, Op, Params, Plan, PlanOptions, Value};
use ocelli_kernels::random::{Key, Stream};
use ocelli_kernels::{Element, Isa, Team};

fn pick<T: Copy>(s: &mut Stream, from: &[T]) -> T {
    from[s.below(from.len() as u64) as usize]
}

/// A layer that takes images of this shape to images, if the one that is drawn can.
fn random_op(s: &mut Stream, [channels, height, width]: [usize; 3]) -> Option<Op> {
    let smallest = height.min(width);
    let op: Op = match s.below(9) {
        0 | 1 => Conv2d::new(pick(s, &[8, 16, 20, 48]), 1).stride(pick(s, &[1, 1, 2])).into(),
        2 | 3 => {
            let conv = Conv2d::new(channels, 3).groups(channels);
            let (stride, padding) = (pick(s, &[1, 2]), pick(s, &[0, 1, 2]));
            conv.stride(stride).padding(padding).into()
        }
        4 => Conv2d::new(pick(s, &[16, 40]), 3).padding(pick(s, &[0, 1])).without_bias().into(),
        5 => {
            let conv = Conv2d::new(8, [pick(s, &[1, 3, 5]), pick(s, &[2, 3])]);
            conv.dilation([pick(s, &[1, 2]), 1]).stride([pick(s, &[1, 2, 3]), 1]).into()
        }
        6 => MaxPool2d::new(pick(s, &[2, 3])).stride(pick(s, &[1, 2])).ceil_mode().into(),
        7 => AvgPool2d::new(3).stride(pick(s, &[1, 2])).padding(1).without_padding_counted().into(),
        _ => Bias::default().into(),
    };
    let extent = |kernel: usize, dilation: usize| (kernel - 1) * dilation + 1;
    let fits = match &op {
        Op::Conv2d(conv) => (0..2).all(|axis| {
            let size = [height, width][axis] + 2 * conv.padding[axis];
            extent(conv.kernel[axis], conv.dilation[axis]) < size
        }),
        _ => smallest > 3,
    };
    fits.then_some(op)
}

/// Layers one after the other, mostly with what can follow in the same step; some are read again further down.
fn random_network(s: &mut Stream) -> Arc<Graph> {
    let mut g = Graph::new();
    let shape = [pick(s, &[3, 16]), 11 + s.below(26) as usize, 6 + s.below(9) as usize];
    let image = g.input("image", shape).unwrap();
    let mut x = g.add("stem", Conv2d::new(16, 3).padding(1), [image]).unwrap();
    let mut earlier = vec![image, x];
    for number in 0..3 + s.below(7) {
        let image = g.node(x).shape().image().unwrap();
        let Some(op) = random_op(s, image) else { continue };
        let name = |part: &str| format!("{part}{number}");
        x = g.add(&name("layer"), op, [x]).unwrap();
        if s.below(3) > 0 {
            x = g.add(&name("norm"), BatchNorm::default(), [x]).unwrap();
        }
        let shape = g.node(x).shape();
        let same: Vec<Value> = earlier.iter().copied().filter(|v| g.node(*v).shape() == shape).collect();
        if !same.is_empty() && s.below(2) == 0 {
            x = g.add(&name("sum"), Add {}, [x, pick(s, &same)]).unwrap();
        }
        x = match s.below(5) {
            0 => g.add(&name("relu"), Relu {}, [x]).unwrap(),
            1 => g.add(&name("relu6"), Relu6 {}, [x]).unwrap(),
            2 => g.add(&name("leaky"), LeakyRelu { slope: 0.1 }, [x]).unwrap(),
            3 => g.add(&name("tanh"), Tanh {}, [x]).unwrap(),
            _ => x,
        };
        if s.below(3) == 0 {
            earlier.push(x);
        }
    }
    if s.below(2) == 0 {
        let flat = g.add("flat", Flatten {}, [x]).unwrap();
        g.add("out", Linear::new(5), [flat]).unwrap();
    }
    Arc::new(g)
}

/// Layers with many weights for small images, which are cut by channels, and behind them what sees each channel, or a few, alone.
fn random_wide_network(s: &mut Stream) -> Arc<Graph> {
    let mut g = Graph::new();
    let shape = [pick(s, &[48, 64]), 2 + s.below(9) as usize, 2 + s.below(4) as usize];
    let mut x = g.input("image", shape).unwrap();
    for number in 0..2 + s.below(3) {
        let name = |part: &str| format!("{part}{number}");
        let finish = |g: &mut Graph, s: &mut Stream, part: &str, mut x: Value| {
            if s.below(2) == 0 {
                x = g.add(&format!("{part}.norm"), BatchNorm::default(), [x]).unwrap();
            }
            match s.below(4) {
                0 => g.add(&format!("{part}.relu6"), Relu6 {}, [x]).unwrap(),
                1 => g.add(&format!("{part}.tanh"), Tanh {}, [x]).unwrap(),
                _ => x,
            }
        };
        let channels = pick(s, &[96, 144, 192]);
        let wide = Conv2d::new(channels, pick(s, &[1, 3])).padding(1);
        x = g.add(&name("wide"), wide, [x]).unwrap();
        x = finish(&mut g, s, &name("wide"), x);
        let wide = x;
        for layer in 0..1 + s.below(2) {
            let part = format!("{}.{layer}", name("apart"));
            let groups = channels / pick(s, &[1, 1, 8, 16, 24]);
            let apart = Conv2d::new(channels, 3).padding(1).groups(groups).stride(pick(s, &[1, 1, 2]));
            x = g.add(&part, apart, [x]).unwrap();
            x = finish(&mut g, s, &part, x);
            if g.node(x).shape() == g.node(wide).shape() && s.below(4) == 0 {
                x = g.add(&format!("{part}.sum"), Add {}, [x, wide]).unwrap();
            }
        }
    }
    Arc::new(g)
}

/// The outputs of batches of these sizes.
fn outputs<T: Element>(
    graph: &Arc<Graph>,
    options: PlanOptions,
    threads: usize,
    isa: Isa,
    counts: &[usize],
) -> Vec<T> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    let mut executor = Executor::<T>::new(plan, Arc::new(Team::new(threads).unwrap()), isa).unwrap();
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    let mut stream = Key::new(4, &[]).stream();
    for entry in graph.layout().entries().iter().filter(|e| !e.name.ends_with("weight")) {
        let values: Vec<T> = entry.range.clone().map(|_| T::of(0.5 + stream.uniform())).collect();
        params.set(entry, &values);
    }
    let image = graph.node(graph.inputs().next().unwrap()).shape().len();
    let mut numbers = Vec::new();
    for (step, &count) in counts.iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let images: Vec<T> = (0..count * image).map(|_| T::of(stream.normal())).collect();
        numbers.extend_from_slice(executor.forward(&params, &[&images], count));
    }
    assert!(numbers.iter().all(|x| x.is_finite()));
    numbers
}

fn joined(graph: &Arc<Graph>, options: PlanOptions) -> usize {
    Plan::new(graph, options).unwrap().steps().filter(|step| step.first.is_some()).count()
}

/// Holds strips against layers one by one, and says how many steps work strip by strip.
fn compare<T: Element>(graph: &Arc<Graph>, seed: u64, s: &mut Stream, isa: Isa) -> usize {
    let batch = pick(s, &[1, 1, 3, 5]);
    let counts = [batch, 1 + s.below(batch as u64) as usize];
    let parts = pick(s, &[None, Some(1), Some(3), Some(8)]);
    let options = PlanOptions { parts, ..PlanOptions::evaluate(batch) };
    let bits = |options: PlanOptions, threads: usize| -> Vec<u64> {
        outputs::<T>(graph, options, threads, isa, &counts).iter().map(|x| x.f64().to_bits()).collect()
    };
    let apart = bits(PlanOptions { strips: Some(0), ..options.clone() }, 1);
    let mut steps = 0;
    for height in [1, 2, 4, 6, 64] {
        let strips = PlanOptions { strips: Some(height), ..options.clone() };
        let (threads, poison) = (1 + s.below(4) as usize, s.below(2) == 0);
        let same = bits(PlanOptions { poison, ..strips.clone() }, threads) == apart;
        assert!(
            same,
            "seed {seed}, {isa:?}, strips of {height}, batch {batch} in {parts:?} parts, {threads} threads, \
             poison {poison}: {:#?}",
            graph.layers()
        );
        steps += joined(graph, strips);
    }
    steps
}

#[test]
fn strips_of_any_height_have_the_bits_of_layers_one_by_one() {
    let mut steps = 0;
    for seed in 0..150 {
        let mut s = Key::new(21, &[seed]).stream();
        let graph = random_network(&mut s);
        steps += match seed % 3 {
            0 => compare::<f64>(&graph, seed, &mut s, Isa::Portable),
            1 => compare::<f32>(&graph, seed, &mut s, Isa::Portable),
            _ => compare::<f32>(&graph, seed, &mut s, Isa::detect()),
        };
    }
    assert!(steps > 600, "{steps} steps work strip by strip");
}

#[test]
fn layers_that_share_channels_have_the_bits_of_layers_one_by_one() {
    let mut steps = 0;
    for seed in 0..90 {
        let mut s = Key::new(22, &[seed]).stream();
        let graph = random_wide_network(&mut s);
        steps += match seed % 3 {
            0 => compare::<f64>(&graph, seed, &mut s, Isa::Portable),
            1 => compare::<f32>(&graph, seed, &mut s, Isa::Portable),
            _ => compare::<f32>(&graph, seed, &mut s, Isa::detect()),
        };
    }
    assert!(steps > 300, "{steps} steps work so");
}

#[test]
fn a_depthwise_layer_shares_the_step_of_the_channels_that_it_reads() {
    let mut g = Graph::new();
    let image = g.input("image", [160, 4, 4]).unwrap();
    let x = g.add("expand", Conv2d::new(960, 1), [image]).unwrap();
    let x = g.add("expand.relu", Relu6 {}, [x]).unwrap();
    let x = g.add("depthwise", Conv2d::new(960, 3).padding(1).groups(960), [x]).unwrap();
    let x = g.add("project", Conv2d::new(160, 1), [x]).unwrap();
    g.add("sum", Add {}, [x, image]).unwrap();
    let graph = Arc::new(g);
    let find = |name: &str| graph.find(name).unwrap();
    let shared = |options: PlanOptions| {
        let plan = Plan::new(&graph, options).unwrap();
        let step = plan.steps().find(|step| step.work == Work::Forward(find("depthwise"))).unwrap();
        (step.first, step.parts, plan.node_buffer(BufferKind::Output(find("expand.relu"))).is_some())
    };
    assert_eq!(shared(PlanOptions::evaluate(1)), (Some(find("expand")), 8, false));
    assert_eq!(shared(PlanOptions { fuse: false, ..PlanOptions::evaluate(1) }).0, None);
}

/// A block in the manner of Sandler et al. 2018 after a first layer, between values that are read twice.
fn inverted_residual() -> Arc<Graph> {
    let mut g = Graph::new();
    let conv = |g: &mut Graph, name: &str, conv: Conv2d, x: Value| {
        let x = g.add(&format!("{name}.conv"), conv.without_bias(), [x]).unwrap();
        g.add(&format!("{name}.norm"), BatchNorm::default(), [x]).unwrap()
    };
    let image = g.input("image", [3, 64, 64]).unwrap();
    let x = conv(&mut g, "stem", Conv2d::new(24, 3).padding(1).stride(2), image);
    let x = g.add("stem.relu", Relu6 {}, [x]).unwrap();
    let y = conv(&mut g, "expand", Conv2d::new(144, 1), x);
    let y = g.add("expand.relu", Relu6 {}, [y]).unwrap();
    let y = conv(&mut g, "depthwise", Conv2d::new(144, 3).padding(1).groups(144), y);
    let y = g.add("depthwise.relu", Relu6 {}, [y]).unwrap();
    let y = conv(&mut g, "project", Conv2d::new(24, 1), y);
    let x = g.add("sum", Add {}, [x, y]).unwrap();
    let y = g.add("both", Concat {}, [x, y]).unwrap();
    g.add("pool", MaxPool2d::new(2), [y]).unwrap();
    Arc::new(g)
}

#[test]
fn what_is_expanded_and_read_once_is_not_kept() {
    let graph = inverted_residual();
    let find = |name: &str| graph.find(name).unwrap();
    for batch in [1, 32] {
        let plan = Plan::new(&graph, PlanOptions::evaluate(batch)).unwrap();
        let apart =
            Plan::new(&graph, PlanOptions { strips: Some(0), ..PlanOptions::evaluate(batch) }).unwrap();
        let forward = |plan: &Plan| plan.steps().filter(|s| matches!(s.work, Work::Forward(_))).count();
        if batch == 32 {
            let joined: Vec<_> = plan.steps().filter(|step| step.first.is_some()).collect();
            assert_eq!(joined.len(), 1);
            assert_eq!(
                (joined[0].first, joined[0].work),
                (Some(find("expand.conv")), Work::Forward(find("project.conv")))
            );
            assert_eq!(forward(&plan) + 2, forward(&apart));
            assert!(plan.node_buffer(BufferKind::Output(find("expand.relu"))).is_none());
            assert!(plan.arena_len() < apart.arena_len() / 2);
        }
        let macs = |plan: &Plan| plan.steps().map(|step| step.macs).sum::<u64>();
        assert_eq!(macs(&plan), macs(&apart));
        assert!(plan.barriers() <= apart.barriers());
    }
}

#[test]
fn values_that_are_to_be_read_and_gradients_leave_layers_apart() {
    let graph = inverted_residual();
    let strips = |strips| PlanOptions { strips: Some(strips), ..PlanOptions::evaluate(2) };
    assert!(joined(&graph, strips(4)) > 0);
    assert_eq!(joined(&graph, strips(0)), 0);
    let joined = |options: PlanOptions| joined(&graph, PlanOptions { strips: Some(4), ..options });
    assert_eq!(joined(PlanOptions { fuse: false, ..PlanOptions::evaluate(2) }), 0);
    assert_eq!(joined(PlanOptions { reuse: false, ..PlanOptions::evaluate(2) }), 0);
    assert_eq!(joined(PlanOptions { mode: Mode::EvaluateWithGradients, ..PlanOptions::evaluate(2) }), 0);
    assert_eq!(joined(PlanOptions::train(2)), 0);
}
