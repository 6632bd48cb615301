//! Every op in random settings with inputs of random shapes: size-1 axes and odd sizes, strides beyond the kernel,
//! dilation, groups, connection tables and windows that hang over the border among them.

use ocelli_core::ops::{
    AdaptiveAvgPool2d, Add, AvgPool2d, BatchNorm, Bias, Concat, Conv2d, Dropout, Flatten, GlobalAvgPool,
    LeakyRelu, Linear, LocalResponseNorm, MaxPool2d, Prelu, Rbf, Relu, Relu6, Scale, ScaledTanh, Sigmoid,
    Softmax, Subsample, Tanh,
};
use ocelli_core::{Graph, Init, Op, Shape};
use ocelli_kernels::random::Stream;

/// An op and the shapes of its inputs. They may not fit each other: then another case is drawn.
pub(crate) struct Case {
    pub(crate) op: Op,
    pub(crate) shapes: Vec<Shape>,
}

impl Case {
    fn new(op: impl Into<Op>, shape: Shape) -> Case {
        Case { op: op.into(), shapes: vec![shape] }
    }
}

/// A graph of nothing but a random case of the op of this name; cases whose shapes do not fit are drawn again.
pub(crate) fn lone_op(name: &str, s: &mut Stream) -> Graph {
    loop {
        let Case { op, shapes } = case(name, s);
        let mut graph = Graph::new();
        let inputs = shapes.iter().enumerate();
        let from: Vec<_> = inputs.map(|(i, shape)| graph.input(&format!("x{i}"), *shape).unwrap()).collect();
        if graph.add("op", op, &from).is_ok() {
            return graph;
        }
    }
}

/// A random case of the op of this name.
///
/// # Panics
/// If the op has none here: give it one.
pub(crate) fn case(name: &str, s: &mut Stream) -> Case {
    match name {
        "linear" => {
            let linear = Linear::new(size(s, 5));
            Case::new(if coin(s) { linear } else { linear.without_bias() }, vector(s))
        }
        "conv2d" => convolution(s),
        "max_pool2d" => max_pool(s),
        "avg_pool2d" => average_pool(s),
        "global_avg_pool" => Case::new(GlobalAvgPool {}, image(s)),
        "adaptive_avg_pool2d" => Case::new(AdaptiveAvgPool2d::new([size(s, 4), size(s, 4)]), image(s)),
        "subsample" => Case::new(Subsample::new(pair(s, 1, 3)), image(s)),
        "local_response_norm" => {
            let lrn = LocalResponseNorm::new(size(s, 6)).alpha(s.range(0.0, 2.0)).k(s.range(0.5, 2.0));
            let beta = if coin(s) { 0.75 } else { s.range(0.0, 1.5) };
            Case::new(lrn.beta(beta), any(s))
        }
        "sigmoid" => Case::new(Sigmoid {}, any(s)),
        "tanh" => Case::new(Tanh {}, any(s)),
        "scaled_tanh" => Case::new(ScaledTanh {}, any(s)),
        "relu" => Case::new(Relu {}, any(s)),
        "leaky_relu" => Case::new(LeakyRelu { slope: s.range(0.0, 0.5) }, any(s)),
        "relu6" => Case::new(Relu6 {}, any(s)),
        "prelu" => Case::new(Prelu { shared: coin(s), start: s.range(-0.5, 0.5) }, any(s)),
        "softmax" => Case::new(Softmax {}, any(s)),
        "bias" => Case::new(Bias { init: Init::Normal { std: 1.0 } }, any(s)),
        "scale" => Case::new(Scale { factor: s.range(-2.0, 2.0) }, any(s)),
        "batch_norm" => {
            let epsilon = if coin(s) { 1e-5 } else { 1e-2 };
            Case::new(BatchNorm { epsilon, ..BatchNorm::default() }, any(s))
        }
        "dropout" => Case::new(Dropout { rate: s.range(0.0, 0.8) }, any(s)),
        "flatten" => Case::new(Flatten {}, any(s)),
        "add" => {
            let shape = any(s);
            Case { op: Add {}.into(), shapes: vec![shape; 2 + s.below(3) as usize] }
        }
        "concat" => concatenation(s),
        "rbf" => Case::new(Rbf { classes: size(s, 4), learned: coin(s) }, vector(s)),
        _ => panic!("the op '{name}' has no case in tests/gradients/cases.rs: give it one"),
    }
}

fn convolution(s: &mut Stream) -> Case {
    let groups = [1, 1, 2, 3][s.below(4) as usize];
    let (inputs, outputs) = (groups * size(s, 2), groups * size(s, 2));
    let conv = Conv2d::new(outputs, pair(s, 1, 3))
        .stride(pair(s, 1, 4))
        .padding(pair(s, 0, 2))
        .dilation(pair(s, 1, 2))
        .groups(groups);
    let conv = if coin(s) { conv } else { conv.without_bias() };
    let conv = match groups == 1 && coin(s) {
        true => conv.connections((0..outputs).map(|_| subset(s, inputs))),
        false => conv,
    };
    Case::new(conv, Shape::from([inputs, size(s, 7), size(s, 7)]))
}

/// Some of 0..n, at least one, in any order.
fn subset(s: &mut Stream, n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    s.shuffle(&mut all);
    all.truncate(size(s, n));
    all
}

fn max_pool(s: &mut Stream) -> Case {
    let kernel = pair(s, 1, 3);
    let pool = MaxPool2d::new(kernel).padding(kernel.map(|k| s.below(k as u64 / 2 + 1) as usize));
    let pool = if coin(s) { pool.stride(pair(s, 1, 4)) } else { pool };
    Case::new(if coin(s) { pool.ceil_mode() } else { pool }, image(s))
}

fn average_pool(s: &mut Stream) -> Case {
    let kernel = pair(s, 1, 3);
    let pool = AvgPool2d::new(kernel).padding(kernel.map(|k| s.below(k as u64 / 2 + 1) as usize));
    let pool = if coin(s) { pool.stride(pair(s, 1, 4)) } else { pool };
    let pool = if coin(s) { pool.ceil_mode() } else { pool };
    Case::new(AvgPool2d { count_padding: coin(s), ..pool }, image(s))
}

fn concatenation(s: &mut Stream) -> Case {
    let shape = any(s);
    let with_channels = |channels| {
        let mut sizes = shape.sizes().to_vec();
        sizes[0] = channels;
        Shape::try_new(&sizes).unwrap()
    };
    let shapes = (0..1 + s.below(4)).map(|_| with_channels(size(s, 4))).collect();
    Case { op: Concat {}.into(), shapes }
}

pub(crate) fn coin(s: &mut Stream) -> bool {
    s.below(2) == 0
}

/// 1 to `largest`.
pub(crate) fn size(s: &mut Stream, largest: usize) -> usize {
    1 + s.below(largest as u64) as usize
}

fn pair(s: &mut Stream, smallest: usize, largest: usize) -> [usize; 2] {
    std::array::from_fn(|_| smallest + s.below((largest - smallest + 1) as u64) as usize)
}

fn vector(s: &mut Stream) -> Shape {
    Shape::from([size(s, 8)])
}

fn image(s: &mut Stream) -> Shape {
    Shape::from([size(s, 4), size(s, 7), size(s, 7)])
}

fn any(s: &mut Stream) -> Shape {
    if s.below(3) == 0 { vector(s) } else { image(s) }
}
