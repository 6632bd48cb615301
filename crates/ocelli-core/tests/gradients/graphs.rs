//! Graphs that are no chains: gradients of a value that is used more than once add up.

use ocelli_core::ops::{
    Add, BatchNorm, Concat, Conv2d, Flatten, Linear, MaxPool2d, Rbf, Relu, ScaledTanh, Tanh,
};
use ocelli_core::{Graph, Loss, Mode};

use super::{Task, stream, with_seeds};

/// Checks random tasks on a graph in both modes.
fn check(what: &str, rounds: u64, loss: Loss, graph: impl Fn() -> Graph) {
    with_seeds(what, rounds, |seed| {
        let mut stream = stream(&[seed]);
        for mode in [Mode::Train, Mode::EvaluateWithGradients] {
            let (checked, skipped) = Task::new(graph(), loss.clone(), &mut stream).check(mode, seed);
            assert!(checked > skipped, "{checked} checked, {skipped} at kinks");
        }
    });
}

#[test]
fn a_residual_block_adds_the_gradients_of_its_branches() {
    check("residual", 20, Loss::Euclidean, || {
        let mut g = Graph::new();
        let x = g.input("x", [2, 5, 4]).unwrap();
        let a = g.add("conv1", Conv2d::new(3, 3).padding(1).stride(2), [x]).unwrap();
        let a = g.add("bn1", BatchNorm::default(), [a]).unwrap();
        let a = g.add("relu1", Relu {}, [a]).unwrap();
        let a = g.add("conv2", Conv2d::new(3, 3).padding(1), [a]).unwrap();
        let shortcut = g.add("shortcut", Conv2d::new(3, 1).stride(2), [x]).unwrap();
        let sum = g.add("sum", Add {}, [a, shortcut]).unwrap();
        let sum = g.add("relu2", Relu {}, [sum]).unwrap();
        let flat = g.add("flat", Flatten {}, [sum]).unwrap();
        g.add("out", Linear::new(3), [flat]).unwrap();
        g
    });
}

#[test]
fn an_inception_block_gives_each_branch_its_channels() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    check("inception", 20, loss, || {
        let mut g = Graph::new();
        let x = g.input("x", [2, 4, 5]).unwrap();
        let one = g.add("one", Conv2d::new(1, 1), [x]).unwrap();
        let three = g.add("three", Conv2d::new(3, 3).padding(1), [x]).unwrap();
        let pool = g.add("pool", MaxPool2d::new(3).stride(1).padding(1), [x]).unwrap();
        let all = g.add("all", Concat {}, [one, three, pool, x]).unwrap();
        let flat = g.add("flat", Flatten {}, [all]).unwrap();
        g.add("out", Linear::new(4), [flat]).unwrap();
        g
    });
}

#[test]
fn shared_weights_get_the_sum_of_their_uses() {
    check("shared", 20, Loss::Euclidean, || {
        let mut g = Graph::new();
        let (left, right) = (g.input("left", [4]).unwrap(), g.input("right", [4]).unwrap());
        let a = g.add("encoder", Linear::new(4), [left]).unwrap();
        let b = g.add_shared("encoder.right", a, [right]).unwrap();
        // And once more in a row, as an unrolled recurrence.
        let hidden = g.add("tanh", Tanh {}, [a]).unwrap();
        let again = g.add_shared("encoder.again", a, [hidden]).unwrap();
        let both = g.add("both", Concat {}, [b, again]).unwrap();
        g.add("out", Linear::new(2), [both]).unwrap();
        g
    });
}

#[test]
fn a_value_read_twice_by_one_layer_counts_twice() {
    check("twice", 10, Loss::Euclidean, || {
        let mut g = Graph::new();
        let x = g.input("x", [3]).unwrap();
        let a = g.add("a", Linear::new(3), [x]).unwrap();
        let sum = g.add("sum", Add {}, [a, a, x]).unwrap();
        let both = g.add("both", Concat {}, [sum, a, sum]).unwrap();
        g.add("out", Linear::new(2), [both]).unwrap();
        g
    });
}

#[test]
fn a_layer_that_does_not_reach_the_output_changes_nothing() {
    check("dead end", 10, Loss::Euclidean, || {
        let mut g = Graph::new();
        let x = g.input("x", [3]).unwrap();
        let a = g.add("a", Linear::new(3), [x]).unwrap();
        let out = g.add("out", Tanh {}, [a]).unwrap();
        g.add("dead", Linear::new(5), [a]).unwrap();
        g.set_output(out);
        g
    });
}

#[test]
fn radial_basis_outputs_are_right_under_their_own_criteria() {
    for loss in [Loss::Penalty, Loss::Map { rubbish: 1.0 }] {
        check("rbf", 20, loss, || {
            let mut g = Graph::new();
            let x = g.input("x", [5]).unwrap();
            let a = g.add("f6", Linear::new(4), [x]).unwrap();
            let a = g.add("squash", ScaledTanh {}, [a]).unwrap();
            g.add("out", Rbf { classes: 3, learned: true }, [a]).unwrap();
            g
        });
    }
}
