//! Batches of few samples are cut within each sample: that changes nothing but rounding, and no bit for any number of
//! threads, with or without fusion, reuse and poison.

use std::sync::Arc;

use ocelli_core::ops::{
    Add, AvgPool2d, BatchNorm, Bias, Concat, Conv2d, Flatten, GlobalAvgPool, LeakyRelu, Linear, MaxPool2d,
    Relu, Relu6, Scale, Sigmoid, Tanh,
};
use ocelli_core::plan::Work;
use ocelli_core::{Batch, Criterion, Executor, Graph, Loss, Params, Plan, PlanOptions, Reduction, Targets};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Element, Isa, Team};

const SHAPE: [usize; 3] = [3, 31, 17];
const CLASSES: usize = 5;

/// Convolutions by rows and by channels, with strides, dilation, groups and channels of their own; all that may follow
/// them in a chain; pools with padding and windows that hang over; ops that are cut by rows alone; linear layers.
fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let image = g.input("image", SHAPE).unwrap();
    let x = g.add("stem", Conv2d::new(16, 5).padding(2).stride([2, 1]), [image]).unwrap();
    let x = g.add("stem.norm", BatchNorm::default(), [x]).unwrap();
    let x = g.add("stem.relu", Relu {}, [x]).unwrap();
    let pool = g.add("pool", MaxPool2d::new(3).stride(2).padding(1), [x]).unwrap();
    let a = g.add("conv1", Conv2d::new(16, 3).padding(1), [pool]).unwrap();
    let a = g.add("norm1", BatchNorm::default(), [a]).unwrap();
    let a = g.add("sum1", Add {}, [a, pool]).unwrap();
    let a = g.add("leaky", LeakyRelu { slope: 0.1 }, [a]).unwrap();
    let b = g.add("depthwise", Conv2d::new(16, 3).padding(2).dilation(2).groups(16), [a]).unwrap();
    let b = g.add("relu6", Relu6 {}, [b]).unwrap();
    let c = g.add("groups", Conv2d::new(16, 3).padding(1).groups(4).without_bias(), [a]).unwrap();
    let c = g.add("sum2", Add {}, [c, a]).unwrap();
    let c = g.add("scale", Scale { factor: 0.7 }, [c]).unwrap();
    let a = g.add("both", Concat {}, [b, c, a]).unwrap();
    let a = g.add("bias", Bias::default(), [a]).unwrap();
    let norm = g.add("alone", BatchNorm::default(), [a]).unwrap();
    let a = g.add("sigmoid", Sigmoid {}, [a]).unwrap();
    let a = g.add("sum3", Add {}, [a, norm, norm]).unwrap();
    let a = g.add("average", AvgPool2d::new(3).stride(2).ceil_mode(), [a]).unwrap();
    let mut from = g.add("wide", Conv2d::new(96, 3).padding(1), [a]).unwrap();
    for block in 0..2 {
        let name = |part: &str| format!("block{block}.{part}");
        let a = g.add(&name("conv"), Conv2d::new(96, 3).padding(1), [from]).unwrap();
        let a = if block == 0 { g.add(&name("norm"), BatchNorm::default(), [a]).unwrap() } else { a };
        let a = g.add(&name("sum"), Add {}, [from, a]).unwrap();
        from = g.add(&name("relu"), Relu {}, [a]).unwrap();
    }
    let a = g.add("counted", AvgPool2d::new(3).padding(1).stride(1), [from]).unwrap();
    let a = g.add("mean", GlobalAvgPool {}, [a]).unwrap();
    let b = g.add("flat", Flatten {}, [from]).unwrap();
    let b = g.add("hidden", Linear::new(100), [b]).unwrap();
    let b = g.add("hidden.norm", BatchNorm::default(), [b]).unwrap();
    let b = g.add("tanh", Tanh {}, [b]).unwrap();
    let a = g.add("flat2", Flatten {}, [a]).unwrap();
    let a = g.add("hidden2", Linear::new(100).without_bias(), [a]).unwrap();
    let a = g.add("sum4", Add {}, [a, b]).unwrap();
    g.add("out", Linear::new(CLASSES), [a]).unwrap();
    Arc::new(g)
}

fn options(batch: usize, parts: usize) -> PlanOptions {
    PlanOptions { parts: Some(parts), ..PlanOptions::evaluate(batch) }
}

/// Outputs and costs of batches of these sizes.
fn evaluated<T: Element>(
    graph: &Arc<Graph>,
    options: PlanOptions,
    threads: usize,
    isa: Isa,
    counts: &[usize],
) -> Vec<T> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    let mut executor = Executor::<T>::new(plan, Arc::new(Team::new(threads).unwrap()), isa).unwrap();
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    // Running statistics and shifts that are not what they start with.
    let mut stream = Key::new(4, &[]).stream();
    for entry in graph.layout().entries().iter().filter(|e| !e.name.ends_with("weight")) {
        let values: Vec<T> = entry.range.clone().map(|_| T::of(0.5 + stream.uniform())).collect();
        params.set(entry, &values);
    }
    let criterion =
        Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.1 }, reduction: Reduction::Mean };
    let mut numbers = Vec::new();
    for (step, &count) in counts.iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let images: Vec<T> =
            (0..count * SHAPE.iter().product::<usize>()).map(|_| T::of(stream.normal())).collect();
        let labels: Vec<u32> = (0..count).map(|_| stream.below(CLASSES as u64) as u32).collect();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&labels)), count };
        executor.evaluate(&params, &batch, &criterion);
        numbers.extend_from_slice(executor.output());
        numbers.extend_from_slice(executor.costs());
        assert!(numbers.iter().all(|x| x.is_finite()), "batch {step}");
    }
    numbers
}

#[test]
fn every_layer_that_can_be_is_cut() {
    let graph = network();
    let plan = Plan::new(&graph, PlanOptions { fuse: false, ..options(1, 8) }).unwrap();
    assert_eq!(plan.parts(), 8);
    for step in plan.steps() {
        let Work::Forward(value) = step.work else { continue };
        let name = graph.node(value).name();
        let whole =
            ["counted", "mean", "flat", "flat2", "hidden.norm", "tanh", "sum4", "out"].contains(&name);
        assert_eq!(step.parts > 1, !whole, "{name} in {} parts", step.parts);
    }
}

#[test]
fn sections_change_nothing_but_rounding() {
    let graph = network();
    for counts in [&[1, 1][..], &[3, 1, 2, 3]] {
        let batch = counts[0];
        let whole = evaluated::<f64>(&graph, options(batch, 1), 1, Isa::Portable, counts);
        for parts in [2, 3, 5, 8] {
            for poison in [false, true] {
                let options = PlanOptions { poison, ..options(batch, parts.max(batch + 1)) };
                let found = evaluated::<f64>(&graph, options, 2, Isa::Portable, counts);
                for (found, whole) in found.iter().zip(&whole) {
                    assert!(
                        (found - whole).abs() < 1e-12,
                        "{found} and {whole}: batch {batch}, {parts} parts"
                    );
                }
            }
        }
    }
}

#[test]
fn neither_threads_nor_fusion_nor_reuse_change_a_bit_of_a_small_batch() {
    let graph = network();
    for isa in [Isa::Portable, Isa::detect()] {
        for (counts, parts) in
            [(&[1, 1][..], Some(8)), (&[1], Some(5)), (&[3, 1, 2], Some(8)), (&[1, 1], None)]
        {
            let options = PlanOptions { parts, ..PlanOptions::evaluate(counts[0]) };
            let bits = |options: PlanOptions, threads| -> Vec<u32> {
                let numbers = evaluated::<f32>(&graph, options, threads, isa, counts);
                numbers.iter().map(|x| x.to_bits()).collect()
            };
            let one = bits(options.clone(), 1);
            for threads in [2, 3, 8] {
                assert!(
                    bits(options.clone(), threads) == one,
                    "{threads} threads, {parts:?} parts on {isa:?}"
                );
            }
            for (reuse, fuse, poison) in [(false, true, false), (true, false, false), (true, true, true)] {
                let same = bits(PlanOptions { reuse, fuse, poison, ..options.clone() }, 2) == one;
                assert!(same, "reuse {reuse}, fuse {fuse}, poison {poison}, {parts:?} parts on {isa:?}");
            }
        }
    }
}

#[test]
fn a_layer_of_many_weights_is_cut_by_its_units_whatever_the_batch() {
    let mut g = Graph::new();
    let x = g.input("x", [1000]).unwrap();
    let x = g.add("many", Linear::new(1100), [x]).unwrap();
    let x = g.add("relu", Relu {}, [x]).unwrap();
    g.add("few", Linear::new(10), [x]).unwrap();
    let graph = Arc::new(g);
    let plan = Plan::new(&graph, PlanOptions::evaluate(64)).unwrap();
    let many = graph.find("many").unwrap();
    // Its readers wait for all of its units, which its own inputs need not.
    assert!(plan.barriers() >= 1);
    assert!(plan.steps().any(|step| step.work == Work::Forward(many) && step.parts == 8));
    let images: Vec<f32> = (0..64 * 1000).map(|i| (i as f32).sin()).collect();
    let params = Params::initialised(graph.layout(), 1).unwrap();
    let output = |parts, threads| {
        let plan = Arc::new(Plan::new(&graph, PlanOptions { parts, ..PlanOptions::evaluate(64) }).unwrap());
        let mut executor = Executor::new(plan, Arc::new(Team::new(threads).unwrap()), Isa::detect()).unwrap();
        executor.forward(&params, &[&images], 64).to_vec()
    };
    let (cut, whole) = (output(None, 2), output(Some(1), 1));
    assert_eq!(cut, output(None, 1));
    assert!(cut.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4));
}
