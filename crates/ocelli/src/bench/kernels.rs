//! How fast every kernel of the table is, at sizes that networks have, on one core.

use std::sync::{Mutex, PoisonError};

use ocelli_kernels::random::Key;
use ocelli_kernels::{
    AdamStep, Conv2d, Direction, Finish, Gemm, Isa, Kernels, Pool2d, SgdStep, Team, Unary, Write,
};
use serde::Serialize;

use super::peak::Roofline;
use super::{Budget, Timing};
use crate::Error;

/// What one kernel reaches at one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelCost {
    /// The row of the table.
    pub kernel: &'static str,
    /// What it is called with.
    pub shape: String,
    /// Floating-point operations; a multiply-add is two. 0 where bytes alone are counted.
    pub flops: u64,
    /// Bytes that it touches, each counted once.
    pub bytes: u64,
    /// Times of a call.
    #[serde(flatten)]
    pub timing: Timing,
    /// Billions of floating-point operations a second.
    pub gflops: Option<f64>,
    /// Billions of bytes a second.
    pub gbytes: f64,
    /// How much of what a core can do at best this is: the time that the arithmetic or the bytes take at least, as a share of
    /// the time that it takes.
    pub share: f64,
}

/// One kernel at one size.
pub struct Case {
    /// The row of the table.
    pub kernel: &'static str,
    /// What it is called with.
    pub shape: String,
    flops: u64,
    bytes: u64,
    /// Makes its arguments, and the call.
    prepare: Box<dyn FnOnce() -> Call + Send>,
}

type Call = Box<dyn FnMut() + Send>;

impl Case {
    /// Times it on the calling thread, with denormals flushed as in training.
    ///
    /// # Errors
    /// A thread team that cannot be made.
    pub fn time(self, roofline: &Roofline, seconds: f64) -> Result<KernelCost, Error> {
        let (flops, bytes) = (self.flops, self.bytes);
        let call = Mutex::new((self.prepare)());
        let result = Mutex::new(None);
        Team::new(1).map_err(ocelli_core::Error::from)?.run(&|_| {
            let mut call = call.lock().unwrap_or_else(PoisonError::into_inner);
            let timing = Timing::measure(Budget::seconds(seconds), || {
                call();
                Ok::<(), std::convert::Infallible>(())
            });
            *result.lock().unwrap_or_else(PoisonError::into_inner) = timing.ok();
        });
        let timing = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        let timing = timing.expect("a kernel cannot fail");
        Ok(KernelCost {
            kernel: self.kernel,
            shape: self.shape,
            flops,
            bytes,
            timing,
            gflops: (flops > 0).then(|| flops as f64 / timing.seconds / 1e9),
            gbytes: bytes as f64 / timing.seconds / 1e9,
            share: roofline.floor(flops, bytes) / timing.seconds,
        })
    }
}

/// Every kernel of the table for `isa`, each at a few sizes.
pub fn cases(isa: Isa) -> Vec<Case> {
    let kernels = <f32 as ocelli_kernels::Element>::kernels(isa);
    let mut list = List { kernels, cases: Vec::new() };
    list.products();
    list.convolutions();
    list.pools();
    list.pointwise();
    list.columns();
    list.responses();
    list.optimisers();
    list.cases
}

type Table = &'static Kernels<f32>;

struct List {
    kernels: Table,
    cases: Vec<Case>,
}

/// A convolution of a network, and the samples of a part of its batch.
struct Layer {
    name: &'static str,
    samples: usize,
    conv: Conv2d,
}

/// Layers of the networks that are measured in docs/performance.md: name, samples of a part, side and channels of the
/// input, channels of the output, kernel, stride, padding, groups.
const LAYERS: [(&str, [usize; 8]); 26] = [
    ("lenet conv1", [8, 28, 1, 6, 5, 1, 2, 1]),
    ("lenet conv2", [8, 14, 6, 16, 5, 1, 0, 1]),
    ("cifar4 conv1", [16, 32, 3, 32, 5, 1, 2, 1]),
    ("cifar4 conv2", [16, 16, 32, 32, 5, 1, 2, 1]),
    ("alexnet conv1", [8, 128, 3, 64, 11, 4, 2, 1]),
    ("alexnet conv2", [8, 15, 64, 192, 5, 1, 2, 1]),
    ("alexnet conv3", [8, 7, 192, 384, 3, 1, 1, 1]),
    ("resnet18 conv1", [4, 128, 3, 64, 7, 2, 3, 1]),
    ("resnet18 layer1", [4, 32, 64, 64, 3, 1, 1, 1]),
    ("resnet18 layer2.0", [4, 32, 64, 128, 3, 2, 1, 1]),
    ("resnet18 downsample", [4, 32, 64, 128, 1, 2, 0, 1]),
    ("resnet18 layer3", [4, 8, 256, 256, 3, 1, 1, 1]),
    ("resnet18 layer4", [4, 4, 512, 512, 3, 1, 1, 1]),
    ("vgg11 conv1", [2, 128, 3, 64, 3, 1, 1, 1]),
    ("vgg11 conv2", [2, 64, 64, 128, 3, 1, 1, 1]),
    ("vgg11 conv4", [2, 32, 256, 256, 3, 1, 1, 1]),
    ("vgg11 conv6", [2, 16, 512, 512, 3, 1, 1, 1]),
    ("alexnet-2012 conv2", [4, 27, 96, 256, 5, 1, 2, 2]),
    ("dragonfly stem", [8, 64, 32, 64, 3, 2, 1, 1]),
    ("dragonfly stage1.0", [8, 32, 128, 128, 3, 2, 1, 4]),
    ("dragonfly stage2", [8, 8, 256, 256, 3, 1, 1, 8]),
    ("mobilenet-v2 conv1", [4, 128, 3, 32, 3, 2, 1, 1]),
    ("mobilenet-v2 expand", [4, 32, 24, 144, 1, 1, 0, 1]),
    ("mobilenet-v2 last", [4, 4, 320, 1280, 1, 1, 0, 1]),
    ("mobilenet-v2 depthwise", [4, 32, 144, 144, 3, 1, 1, 144]),
    ("mobilenet-v2 depthwise/2", [4, 64, 96, 96, 3, 2, 1, 96]),
];

fn layers() -> impl Iterator<Item = Layer> {
    LAYERS.into_iter().map(|(name, [samples, side, inputs, outputs, kernel, stride, padding, groups])| {
        let size = Conv2d::output_size(side, kernel, stride, 2 * padding, 1).expect("the kernel fits");
        let conv = Conv2d {
            input: [side, side, inputs],
            output: [size, size, outputs],
            kernel: [kernel, kernel],
            stride: [stride, stride],
            padding: [padding, padding],
            dilation: [1, 1],
            groups,
            samples,
        };
        Layer { name, samples, conv }
    })
}

/// Normal values; the same ones each time.
fn values(len: usize) -> Vec<f32> {
    let mut random = Key::new(0, &[len as u64]).stream();
    // Random numbers take longer than most kernels: a long array repeats them.
    let some: Vec<f32> = (0..len.min(1 << 16)).map(|_| random.normal() as f32).collect();
    some.iter().copied().cycle().take(len).collect()
}

/// The weights as a pass reads them: a plan has them packed once in a step. Empty where it takes them as they stand.
fn packed(kernels: Table, conv: &Conv2d, direction: Direction, w: &[f32]) -> Vec<f32> {
    let mut packed = vec![0.0; conv.packed_len::<f32>(direction)];
    let pieces = conv.packed_pieces::<f32>(direction);
    if pieces > 0 {
        (kernels.conv_pack)(conv, direction, w, 0..pieces, &mut packed);
    }
    packed
}

impl List {
    /// Adds a case. `elements` is how many numbers it touches; `prepare` makes arguments and the call.
    fn add<C: FnMut() + Send + 'static>(
        &mut self,
        kernel: &'static str,
        shape: String,
        macs: usize,
        elements: usize,
        prepare: impl FnOnce(Table) -> C + Send + 'static,
    ) {
        let kernels = self.kernels;
        let prepare = Box::new(move || Box::new(prepare(kernels)) as Call);
        let (flops, bytes) = (2 * macs as u64, 4 * elements as u64);
        self.cases.push(Case { kernel, shape, flops, bytes, prepare });
    }

    fn products(&mut self) {
        // Rows, columns, sums, and whether B stands transposed, as the weights of a linear layer do.
        let sizes = [
            (2048, 2048, 2048, false),
            (64, 4096, 9216, true),
            (64, 12544, 576, false),
            (128, 512, 784, true),
            (1, 4096, 9216, true),
            (127, 101, 333, true),
        ];
        for (m, n, k, transposed) in sizes {
            let b = if transposed { [1, k] } else { [n, 1] };
            let gemm = Gemm { m, n, k, a: [k, 1], b, c_row: n, write: Write::Set, of: [m, n] };
            let shape = format!("{m}×{n}×{k}{}", if transposed { ", B transposed" } else { "" });
            self.add("gemm", shape, m * n * k, m * k + k * n + m * n, move |kernels| {
                let (a, b, mut c) = (values(gemm.a_len()), values(gemm.b_len()), values(gemm.c_len()));
                let mut scratch = values(gemm.scratch::<f32>());
                move || (kernels.gemm)(&gemm, &a, &b, &mut c, &mut scratch)
            });
        }
    }

    fn convolutions(&mut self) {
        for Layer { name, samples, conv } in layers() {
            let shape = || {
                let ([h, w, c], o, [kh, kw]) = (conv.input, conv.output[2], conv.kernel);
                let [stride, groups] = [conv.stride[0], conv.groups];
                let stride = if stride > 1 { format!("/{stride}") } else { String::new() };
                let groups = if groups > 1 { format!(", {groups} groups") } else { String::new() };
                format!("{name}: {samples}×{c}×{h}×{w}, {kh}×{kw}{stride}-{o}{groups}")
            };
            let (inputs, outputs) = (samples * conv.input_len(), samples * conv.output_len());
            let (weights, macs) = (conv.weight_len(), samples * conv.macs());
            let elements = inputs + outputs + weights;
            for direction in [Direction::Forward, Direction::BackwardInput] {
                let (pieces, len) = (conv.packed_pieces::<f32>(direction), conv.packed_len::<f32>(direction));
                if pieces > 0 {
                    let shape = format!("{}, {direction:?}", shape());
                    self.add("conv_pack", shape, 0, weights + len, move |kernels| {
                        let (w, mut packed) = (values(weights), values(len));
                        move || (kernels.conv_pack)(&conv, direction, &w, 0..pieces, &mut packed)
                    });
                }
            }
            self.add("conv_forward", shape(), macs, elements, move |kernels| {
                let (x, w, bias) = (values(inputs), values(weights), values(conv.output[2]));
                let packed = packed(kernels, &conv, Direction::Forward, &w);
                let (mut y, mut scratch) = (values(outputs), values(conv.scratch::<f32>()));
                let kernel = kernels.conv_forward;
                move || kernel(&conv, &x, &w, &packed, &bias, Finish::nothing(), &mut y, &mut scratch)
            });
            self.add("conv_backward_input", shape(), macs, elements, move |kernels| {
                let (dy, w) = (values(outputs), values(weights));
                let packed = packed(kernels, &conv, Direction::BackwardInput, &w);
                let (mut dx, mut scratch) = (values(inputs), values(conv.scratch::<f32>()));
                let kernel = kernels.conv_backward_input;
                move || kernel(&conv, &dy, &w, &packed, &mut dx, Write::Set, &mut scratch)
            });
            self.add("conv_backward_weights", shape(), macs, elements, move |kernels| {
                let (x, dy) = (values(inputs), values(outputs));
                let (mut dw, mut scratch) = (values(weights), values(conv.scratch::<f32>()));
                let all = 0..conv.output[2];
                move || {
                    let all = all.clone();
                    (kernels.conv_backward_weights)(&conv, &x, &dy, &mut dw, all, Write::Set, &mut scratch)
                }
            });
        }
    }

    fn pools(&mut self) {
        // Samples, side and channels of the input, side of the output, window, stride, padding.
        let max = [
            ("cifar4", [16, 32, 32, 16, 3, 2, 0]),
            ("resnet18", [4, 64, 64, 32, 3, 2, 1]),
            ("vgg11", [2, 64, 64, 32, 2, 2, 0]),
        ];
        let average = [
            ("lenet", [8, 28, 6, 14, 2, 2, 0]),
            ("cifar4", [16, 16, 32, 8, 3, 2, 0]),
            ("resnet18", [4, 4, 512, 1, 4, 4, 0]),
        ];
        let pool = |[_, side, channels, out, kernel, stride, padding]: [usize; 7]| Pool2d {
            input: [side, side, channels],
            output: [out, out, channels],
            kernel: [kernel, kernel],
            stride: [stride, stride],
            padding: [padding, padding],
            count_padding: false,
        };
        let shape = |name: &str, [samples, side, channels, _, kernel, stride, _]: [usize; 7]| {
            format!("{name}: {samples}×{channels}×{side}×{side}, {kernel}/{stride}")
        };
        for (name, layer) in max {
            let (pool, samples) = (pool(layer), layer[0]);
            let (inputs, outputs) = (samples * pool.input_len(), samples * pool.output_len());
            self.add("max_pool_forward", shape(name, layer), 0, inputs + 2 * outputs, move |kernels| {
                let (x, mut y, mut argmax) = (values(inputs), values(outputs), values(outputs));
                move || (kernels.max_pool_forward)(&pool, &x, &mut y, &mut argmax)
            });
            self.add("max_pool_backward", shape(name, layer), 0, inputs + 2 * outputs, move |kernels| {
                let (x, mut y, mut argmax) = (values(inputs), values(outputs), values(outputs));
                (kernels.max_pool_forward)(&pool, &x, &mut y, &mut argmax);
                let (dy, mut dx) = (y, x);
                move || (kernels.max_pool_backward)(&pool, &argmax, &dy, &mut dx, Write::Set)
            });
        }
        for (name, layer) in average {
            let (pool, samples) = (pool(layer), layer[0]);
            let (inputs, outputs) = (samples * pool.input_len(), samples * pool.output_len());
            self.add("average_pool_forward", shape(name, layer), 0, inputs + outputs, move |kernels| {
                let (x, mut y) = (values(inputs), values(outputs));
                move || (kernels.average_pool_forward)(&pool, &x, &mut y)
            });
            self.add("average_pool_backward", shape(name, layer), 0, inputs + outputs, move |kernels| {
                let (dy, mut dx) = (values(outputs), values(inputs));
                move || (kernels.average_pool_backward)(&pool, &dy, &mut dx, Write::Set)
            });
        }
    }

    fn pointwise(&mut self) {
        let functions = [
            ("ReLU", Unary::Relu),
            ("tanh", Unary::Tanh),
            ("sigmoid", Unary::Sigmoid),
            ("ReLU6", Unary::Relu6),
        ];
        for len in LENGTHS {
            for (name, unary) in functions {
                let shape = format!("{name}, {len}");
                self.add("unary_forward", shape.clone(), 0, 2 * len, move |kernels| {
                    let (x, mut y) = (values(len), values(len));
                    move || (kernels.unary_forward)(unary, &x, &mut y)
                });
                self.add("unary_backward", shape, 0, 3 * len, move |kernels| {
                    let (y, dy, mut dx) = (values(len), values(len), values(len));
                    move || (kernels.unary_backward)(unary, &y, &dy, &mut dx, Write::Set)
                });
            }
            self.add("add", len.to_string(), 0, 3 * len, move |kernels| {
                let (a, b, mut y) = (values(len), values(len), values(len));
                move || (kernels.add)(&a, &b, &mut y)
            });
            self.add("accumulate", len.to_string(), 0, 2 * len, move |kernels| {
                let (x, mut y) = (values(len), values(len));
                move || (kernels.accumulate)(&x, &mut y)
            });
            self.add("approach", len.to_string(), 0, 3 * len, move |kernels| {
                let (x, mut y) = (values(len), values(len));
                move || (kernels.approach)(0.5, &x, &mut y)
            });
            self.add("scale", len.to_string(), 0, 2 * len, move |kernels| {
                let (x, mut y) = (values(len), values(len));
                move || (kernels.scale)(0.5, &x, &mut y, Write::Set)
            });
            self.add("scale_in_place", len.to_string(), 0, 2 * len, move |kernels| {
                let mut y = values(len);
                move || (kernels.scale_in_place)(1.0, &mut y)
            });
            self.add("unary_in_place", format!("{len}, relu"), 0, 2 * len, move |kernels| {
                let mut y = values(len);
                move || (kernels.unary_in_place)(Unary::Relu, &mut y)
            });
            self.add("unary_backward_in_place", format!("{len}, relu"), 0, 3 * len, move |kernels| {
                let (y, mut dy) = (values(len), values(len));
                move || (kernels.unary_backward_in_place)(Unary::Relu, &y, &mut dy)
            });
            self.add("multiply", len.to_string(), 0, 3 * len, move |kernels| {
                let (a, b, mut y) = (values(len), values(len), values(len));
                move || (kernels.multiply)(&a, &b, &mut y, Write::Set)
            });
        }
    }

    fn columns(&mut self) {
        for (rows, channels) in [(4096, 64), (64, 512), (512, 6)] {
            let (len, shape) = (rows * channels, || format!("{rows}×{channels}"));
            self.add("add_bias", shape(), 0, 2 * len, move |kernels| {
                let (bias, x, mut y) = (values(channels), values(len), values(len));
                move || (kernels.add_bias)(&bias, &x, &mut y)
            });
            self.add("column_sums", shape(), 0, len, move |kernels| {
                let (x, mut sums) = (values(len), values(channels));
                move || (kernels.column_sums)(&x, &mut sums, Write::Set)
            });
            self.add("column_moments", shape(), 0, len, move |kernels| {
                let (x, mut mean, mut m2) = (values(len), values(channels), values(channels));
                move || (kernels.column_moments)(&x, &mut mean, &mut m2)
            });
            self.add("column_affine", shape(), 0, 2 * len, move |kernels| {
                let (scale, shift, x, mut y) = (values(channels), values(channels), values(len), values(len));
                move || (kernels.column_affine)(&scale, &shift, &x, &[], None, &mut y)
            });
            self.add("column_affine", format!("{}, addend, relu", shape()), 0, 3 * len, move |kernels| {
                let (scale, shift, x, addend) =
                    (values(channels), values(channels), values(len), values(len));
                let mut y = values(len);
                move || (kernels.column_affine)(&scale, &shift, &x, &addend, Some(Unary::Relu), &mut y)
            });
            self.add("finish", format!("{}, relu", shape()), 0, 2 * len, move |kernels| {
                let (scale, shift, mut y) = (values(channels), values(channels), values(len));
                move || {
                    let affine = Some([&scale[..], &shift[..]]);
                    let finish = Finish { affine, unary: Some(Unary::Relu), ..Finish::nothing() };
                    (kernels.finish)(&finish, &mut y);
                }
            });
            self.add("normalised_sums", shape(), 0, 2 * len, move |kernels| {
                let ([inverse, centre], [x, g]) =
                    ([(); 2].map(|()| values(channels)), [(); 2].map(|()| values(len)));
                let [mut dots, mut sums] = [(); 2].map(|()| values(channels));
                move || (kernels.normalised_sums)(&inverse, &centre, &x, &g, &mut dots, &mut sums)
            });
            self.add("activated_sums", format!("{}, relu", shape()), 0, 4 * len, move |kernels| {
                let ([inverse, centre], [y, x]) =
                    ([(); 2].map(|()| values(channels)), [(); 2].map(|()| values(len)));
                let ([mut dots, mut sums], mut dy) = ([(); 2].map(|()| values(channels)), values(len));
                let kernel = kernels.activated_sums;
                move || kernel(Unary::Relu, &y, &inverse, &centre, &x, &mut dy, &mut dots, &mut sums)
            });
            self.add("normalised_backward", shape(), 0, 3 * len, move |kernels| {
                let (constants, [x, g]) = ([(); 4].map(|()| values(channels)), [(); 2].map(|()| values(len)));
                let mut dx = values(len);
                let kernel = kernels.normalised_backward;
                move || kernel(constants.each_ref().map(|c| &c[..]), &x, &g, &mut dx, Write::Set)
            });
            self.add("normalised_backward_in_place", shape(), 0, 3 * len, move |kernels| {
                // Small factors, so that the numbers stay finite however often it is called.
                let constants = [(); 4].map(|()| vec![0.5; channels]);
                let (x, mut g) = (values(len), values(len));
                let kernel = kernels.normalised_backward_in_place;
                move || kernel(constants.each_ref().map(|c| &c[..]), &x, &mut g)
            });
            self.add("add_bias_in_place", shape(), 0, 2 * len, move |kernels| {
                let (bias, mut y) = (vec![0.0; channels], values(len));
                move || (kernels.add_bias_in_place)(&bias, &mut y)
            });
            self.add("column_dots", shape(), 0, 2 * len, move |kernels| {
                let (dy, x, mut sums) = (values(len), values(len), values(channels));
                move || (kernels.column_dots)(&dy, &x, &mut sums, Write::Set)
            });
        }
    }

    fn responses(&mut self) {
        const SIZE: usize = 5;
        let (rows, channels) = (31 * 31, 64);
        let (len, shape) = (rows * channels, || format!("{rows}×{channels}, {SIZE} channels"));
        let (alpha, beta, k) = (1e-4 / SIZE as f32, 0.75, 1.0);
        self.add("local_response_forward", shape(), 0, 3 * len, move |kernels| {
            let (x, mut y, mut d) = (values(len), values(len), values(len));
            move || (kernels.local_response_forward)(SIZE, alpha, beta, k, channels, &x, &mut y, &mut d)
        });
        self.add("local_response_backward", shape(), 0, 5 * len, move |kernels| {
            let (x, mut y, mut d) = (values(len), values(len), values(len));
            (kernels.local_response_forward)(SIZE, alpha, beta, k, channels, &x, &mut y, &mut d);
            let (dy, mut dx, mut scratch) = (values(len), values(len), values(channels));
            let write = Write::Set;
            move || {
                let kernel = kernels.local_response_backward;
                kernel(SIZE, alpha, beta, channels, &x, &y, &d, &dy, &mut dx, write, &mut scratch)
            }
        });
    }

    fn optimisers(&mut self) {
        for len in LENGTHS {
            // Rates so small that the numbers stay what they are, however often it is called.
            let sgd = SgdStep { rate: 1e-7, momentum: 0.9, nesterov: false, decay: 5e-4 };
            self.add("sgd", format!("{len}, momentum"), 0, 4 * len, move |kernels| {
                let (mut params, grads, mut velocity) = (values(len), values(len), values(len));
                move || (kernels.sgd)(&sgd, &mut params, &grads, &mut velocity)
            });
            let adam = AdamStep {
                rate: 1e-7,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                decay: 0.01,
                decoupled: true,
                correction1: 0.9,
                correction2: 0.9,
            };
            self.add("adam", format!("{len}, decoupled"), 0, 5 * len, move |kernels| {
                let (mut params, grads, mut first) = (values(len), values(len), values(len));
                let mut second = vec![0.1; len];
                move || (kernels.adam)(&adam, &mut params, &grads, &mut first, &mut second)
            });
        }
    }
}

/// Elements that lie in the second cache, and elements that lie in memory.
const LENGTHS: [usize; 2] = [1 << 14, 1 << 23];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_the_table_has_a_bench_and_nothing_else_has() {
        let cases = cases(Isa::Portable);
        for name in Kernels::<f32>::NAMES {
            assert!(cases.iter().any(|case| case.kernel == *name), "no bench for the kernel '{name}'");
        }
        for case in &cases {
            assert!(Kernels::<f32>::NAMES.contains(&case.kernel), "no kernel is named '{}'", case.kernel);
        }
    }

    #[test]
    fn no_two_cases_look_the_same() {
        let mut seen = std::collections::HashSet::new();
        for case in cases(Isa::Portable) {
            assert!(seen.insert((case.kernel, case.shape.clone())), "{} {}", case.kernel, case.shape);
        }
    }

    #[test]
    fn small_cases_run_on_every_instruction_set() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            for case in cases(isa).into_iter().filter(|case| case.bytes < 1 << 20 && case.flops < 1 << 24) {
                let mut call = (case.prepare)();
                call();
                call();
            }
        }
    }
}
