//! The convolution of images.

use std::ops::Range;

use ocelli_kernels::{Conv2d as Geometry, Direction, Element, Kernels, Write};
use serde::{Deserialize, Serialize};

use super::defaults::{he, is_he, is_one, is_ones, is_true, is_zero, is_zeros, one, ones, yes, zero};
use super::sides::{self, Sides};
use super::{
    Apply, Axis, BackwardInput, BackwardParams, BlockGradients, ChannelCut, Curvature, Forward, Operation, Packing,
    Preparation, Prepare, Reads, Section, Sectioned, Signature, Window, connections, only_image, range_of, squares,
};
use crate::graph::Node;
use crate::init::{Fan, Init};
use crate::{Mode, ParamSpec, Role, Shape};

/// A convolution: every output channel is the sum of its input channels, each filtered with a kernel of its own.
///
/// y\[o, i, j\] = b\[o\] + Σ_{c, u, v} w\[o, c, u, v\] · x\[c, i·s − p + u·d, j·s − p + v·d\], with stride s, padding p,
/// dilation d, and x = 0 outside the image: a cross-correlation, with PyTorch's meaning of each setting.
///
/// Shapes: I×H×W to O×H′×W′ with H′ = ⌊(H + 2p − d·(kh − 1) − 1)/s⌋ + 1. Parameters: `weight` O×(I/groups)×kh×kw
/// (starts by `init`, He's normal unless told otherwise), `bias` O (starts at 0). With groups, output channel o sees
/// the input channels of its own group alone.
///
/// With `connections`, output channel o sees the input channels that the table lists for it, as LeNet-5's layer C3
/// does (LeCun et al. 1998, table I). Then `weight` holds only what is connected: connections×kh×kw, the connections in the
/// order of the table. The average unit's fan-in scales `init`.
///
/// Gradients: ∂C/∂x is the transposed convolution of g with w, ∂C/∂w correlates x with g, and ∂C/∂b sums g over the
/// pixels. Cost: H′·W′·O·kh·kw·I/groups multiply-adds per sample and pass; backward reads x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Output channels, O.
    pub channels: usize,
    /// Height and width of the kernel.
    #[serde(with = "sides")]
    pub kernel: [usize; 2],
    /// Input rows and columns from one output pixel to the next.
    #[serde(default = "ones", skip_serializing_if = "is_ones", with = "sides")]
    pub stride: [usize; 2],
    /// Rows of zeros above and as many below the image, columns left and as many right.
    #[serde(default, skip_serializing_if = "is_zeros", with = "sides")]
    pub padding: [usize; 2],
    /// Input rows and columns from one kernel tap to the next.
    #[serde(default = "ones", skip_serializing_if = "is_ones", with = "sides")]
    pub dilation: [usize; 2],
    /// Into how many groups input and output channels are split.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Whether there is a b.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub bias: bool,
    /// For each output channel the input channels that it sees; all of its group without a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Vec<usize>>>,
    /// How w starts.
    #[serde(default = "he", skip_serializing_if = "is_he")]
    pub init: Init,
    /// How b starts.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub bias_init: Init,
}

/// Strides and paddings are below this: more than any image has pixels, and far from where places would overflow.
const MAX_STEP: usize = 1 << 36;

impl Conv2d {
    /// Which of the 6 maps of S2 each of the 16 maps of LeNet-5's layer C3 sees (LeCun et al. 1998, table I): 60
    /// connections, so that with kernels of 5×5 there are 1,500 weights and 16 biases.
    pub const LENET_C3: [&'static [usize]; 16] = [
        &[0, 1, 2],
        &[1, 2, 3],
        &[2, 3, 4],
        &[3, 4, 5],
        &[0, 4, 5],
        &[0, 1, 5],
        &[0, 1, 2, 3],
        &[1, 2, 3, 4],
        &[2, 3, 4, 5],
        &[0, 3, 4, 5],
        &[0, 1, 4, 5],
        &[0, 1, 2, 5],
        &[0, 1, 3, 4],
        &[1, 2, 4, 5],
        &[0, 2, 3, 5],
        &[0, 1, 2, 3, 4, 5],
    ];

    /// A convolution to `channels` channels with stride 1, no padding and a bias.
    pub fn new(channels: usize, kernel: impl Into<Sides>) -> Conv2d {
        Conv2d {
            channels,
            kernel: kernel.into().0,
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            bias: true,
            connections: None,
            init: he(),
            bias_init: zero(),
        }
    }

    /// With this step from one output pixel to the next.
    pub fn stride(self, stride: impl Into<Sides>) -> Conv2d {
        Conv2d { stride: stride.into().0, ..self }
    }

    /// With this many zeros around the image.
    pub fn padding(self, padding: impl Into<Sides>) -> Conv2d {
        Conv2d { padding: padding.into().0, ..self }
    }

    /// With this step from one kernel tap to the next.
    pub fn dilation(self, dilation: impl Into<Sides>) -> Conv2d {
        Conv2d { dilation: dilation.into().0, ..self }
    }

    /// With the channels split into groups.
    pub fn groups(self, groups: usize) -> Conv2d {
        Conv2d { groups, ..self }
    }

    /// Without b.
    pub fn without_bias(self) -> Conv2d {
        Conv2d { bias: false, ..self }
    }

    /// With a table of the input channels that each output channel sees.
    pub fn connections(self, table: impl IntoIterator<Item = impl Into<Vec<usize>>>) -> Conv2d {
        Conv2d { connections: Some(table.into_iter().map(Into::into).collect()), ..self }
    }

    /// With another start for w.
    pub fn init(self, init: Init) -> Conv2d {
        Conv2d { init, ..self }
    }

    /// With another start for b.
    pub fn bias_init(self, bias_init: Init) -> Conv2d {
        Conv2d { bias_init, ..self }
    }

    /// What the kernels are called with for images of this shape, mostly so many at a time.
    fn geometry(&self, [inputs, height, width]: [usize; 3], samples: usize) -> Result<Geometry, String> {
        for (name, sides) in [("stride", self.stride), ("padding", self.padding)] {
            if sides.iter().any(|&side| side > MAX_STEP) {
                return Err(format!("its {name} of {} is larger than any image", Sides(sides)));
            }
        }
        let size = |axis: usize, input| {
            let padding = self.padding[axis].checked_mul(2)?;
            Geometry::output_size(input, self.kernel[axis], self.stride[axis], padding, self.dilation[axis])
        };
        let (Some(rows), Some(columns)) = (size(0, height), size(1, width)) else {
            return Err(self.does_not_fit(height, width));
        };
        Ok(Geometry {
            input: [height, width, inputs],
            output: [rows, columns, self.channels],
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            samples,
        })
    }

    fn geometry_of(&self, node: &Node, samples: usize) -> Geometry {
        let image = node.input_shapes()[0].image().expect("invariant: infer took an image");
        self.geometry(image, samples).expect("invariant: infer found that it fits")
    }

    fn does_not_fit(&self, height: usize, width: usize) -> String {
        for (name, sides) in [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)] {
            if sides.contains(&0) {
                return format!("its {name} is {}; give at least 1 in both directions", Sides(sides));
            }
        }
        let extent = [0, 1].map(|axis| (self.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1));
        format!(
            "a kernel that extends over {} does not fit into an image of {height}×{width} with padding {}; \
             use a smaller kernel, more padding or a larger image",
            Sides(extent),
            Sides(self.padding)
        )
    }

    fn check_channels(&self, inputs: usize) -> Result<(), String> {
        let (outputs, groups) = (self.channels, self.groups);
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(format!(
                "{groups} groups do not divide {inputs} input and {outputs} output channels evenly; \
                 use a common divisor of both"
            ));
        }
        match &self.connections {
            Some(_) if groups > 1 => Err("it has both groups and a table of connections; use one of them".into()),
            Some(_) if self.init == Init::Identity => {
                Err("init identity does not go with a table of connections, whose filters see channels of their own; use another init".into())
            }
            Some(table) => connections::check(table, inputs, outputs),
            None => Ok(()),
        }
    }

    /// The parameters; none where a shape would be too large.
    fn params(&self, conv: &Geometry) -> Option<Vec<ParamSpec>> {
        let ([kh, kw], [_, _, inputs], outputs) = (self.kernel, conv.input, self.channels);
        let dense = Shape::try_new(&[outputs, conv.group_inputs(), kh, kw])?;
        let (weight, fan) = match &self.connections {
            None => {
                let (inputs, outputs) = (kh * kw * conv.group_inputs(), kh * kw * conv.group_outputs());
                (dense, Fan { inputs, outputs })
            }
            Some(table) => {
                let count = connections::count(table);
                let fan = Fan { inputs: kh * kw * count / outputs, outputs: kh * kw * count / inputs };
                (Shape::try_new(&[count, kh, kw])?, fan)
            }
        };
        let mut params =
            vec![ParamSpec { name: "weight", shape: weight, role: Role::Weight, init: self.init.clone(), fan }];
        if self.bias {
            let (shape, init) = (Shape::try_new(&[outputs])?, self.bias_init.clone());
            params.push(ParamSpec { name: "bias", shape, role: Role::Bias, init, fan });
        }
        Some(params)
    }

    /// The weights as the kernels take them, O·kh·kw·I, with a 0 at every tap that is not connected, and the scratch
    /// memory that is left.
    fn dense<'a, T: Element>(
        &self,
        conv: &Geometry,
        weights: &'a [T],
        scratch: &'a mut [T],
    ) -> (&'a [T], &'a mut [T]) {
        let Some(table) = &self.connections else { return (weights, scratch) };
        let (dense, rest) = take(scratch, conv.weight_len());
        connections::expand(table, conv, weights, dense);
        (dense, rest)
    }

    /// Has `sum` overwrite what belongs to the weights as the kernels lay them out, and keeps what is connected.
    fn sum_weights<T: Element>(
        &self,
        conv: &Geometry,
        weights: &mut [T],
        scratch: &mut [T],
        sum: impl FnOnce(&mut [T], &mut [T]),
    ) {
        let Some(table) = &self.connections else { return sum(weights, scratch) };
        let (dense, rest) = take(scratch, conv.weight_len());
        sum(dense, rest);
        connections::collect(table, conv, dense, weights);
    }
}

/// Elements of scratch memory that no machine has, and that sums of bytes still hold.
const MOST_SCRATCH: usize = 1 << 48;

impl Operation for Conv2d {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let image = only_image(inputs)?;
        self.check_channels(image[0])?;
        let conv = self.geometry(image, 1)?;
        let [rows, columns, outputs] = conv.output;
        let output = Shape::try_new(&[outputs, rows, columns]);
        let output = output.ok_or_else(|| format!("an output of {outputs}×{rows}×{columns} is impossible"))?;
        let params = self.params(&conv);
        let params = params.ok_or_else(|| format!("kernels of {} are too large", Sides(self.kernel)))?;
        let dense = if self.connections.is_some() { padded(conv.weight_len()) } else { 0 };
        let kernel = conv.scratch::<f32>().max(conv.scratch::<f64>()).max(outputs);
        if kernel > MOST_SCRATCH {
            return Err(format!(
                "windows with a padding of {} and a dilation of {} take more memory to work in than there can be; use less of both",
                Sides(self.padding),
                Sides(self.dilation)
            ));
        }
        let extent = [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis] + 1);
        let weights_per_pixel = params[0].shape.len() as u64;
        Ok(Signature {
            params,
            param_reads: Reads::INPUT,
            scratch: dense + padded(kernel),
            macs: ((rows * columns) as u64).saturating_mul(weights_per_pixel),
            param_units: if self.connections.is_some() { 1 } else { outputs },
            window: Some(Window { extent, stride: self.stride, padding: self.padding }),
            ..Signature::new(output)
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let conv = self.geometry_of(pass.node, pass.share);
        let (weights, scratch) = self.dense(&conv, pass.params.get(0), pass.scratch);
        let bias = if self.bias { pass.params.get(1) } else { &[] };
        let inputs = &pass.inputs;
        let (conv, x, weights, bias) = match pass.section {
            Section::Whole => (conv, inputs.get(0), weights, bias),
            Section::Rows(rows) => {
                let (part, input) = conv.of_rows(rows);
                (part, inputs.rows(0, input), weights, bias)
            }
            Section::Channels(channels) => {
                let weights = &weights[channels.start * conv.filter_len()..channels.end * conv.filter_len()];
                let bias = if self.bias { &bias[channels.clone()] } else { bias };
                (conv.of_channels(channels), inputs.get(0), weights, bias)
            }
        };
        let packed = packed(&conv, Direction::Forward, pass.prepared);
        (pass.kernels.conv_forward)(&conv, x, weights, packed, bias, pass.finish, pass.output, scratch);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let conv = self.geometry_of(pass.node, pass.share);
        let (weights, scratch) = self.dense(&conv, pass.params.get(0), pass.scratch);
        let packed = packed(&conv, Direction::BackwardInput, pass.prepared);
        let backward = pass.kernels.conv_backward_input;
        backward(&conv, pass.output_gradient, weights, packed, pass.input_gradient, pass.write, scratch);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let (conv, kernels, units) = (self.geometry_of(pass.node, pass.share), pass.kernels, pass.units);
        let (x, gradient) = (pass.inputs.get(0), pass.output_gradient);
        let [weight, bias, ..] = pass.gradients;
        if self.connections.is_some() {
            self.sum_weights(&conv, weight, pass.scratch, |weight, scratch| {
                let all = 0..self.channels;
                (kernels.conv_backward_weights)(&conv, x, gradient, weight, all, Write::Set, scratch);
            });
            return self.sum_bias(kernels, gradient, units, bias, pass.scratch);
        }
        let filter = conv.filter_len();
        for outputs in blocks(&units, filter) {
            let len = outputs.len() * filter;
            let Some(apply) = pass.apply else {
                let start = (outputs.start - units.start) * filter;
                let weight = &mut weight[start..start + len];
                (kernels.conv_backward_weights)(&conv, x, gradient, weight, outputs, Write::Set, pass.scratch);
                continue;
            };
            let (block, scratch) = take(pass.scratch, len);
            (kernels.conv_backward_weights)(&conv, x, gradient, block, outputs.clone(), Write::Set, scratch);
            apply(0, outputs.start * filter, block);
        }
        match pass.apply {
            None => self.sum_bias(kernels, gradient, units, bias, pass.scratch),
            Some(apply) => self.apply_bias(kernels, gradient, units, apply, pass.scratch),
        }
    }
}

/// Elements of weights whose gradient is computed in one go: 2 MB of f32, the cache of a core. More would only need more
/// memory; fewer read the images more often.
const BLOCK: usize = 1 << 19;

/// The output channels `units` in runs of as many as go together.
fn blocks(units: &Range<usize>, filter: usize) -> impl Iterator<Item = Range<usize>> {
    let (start, len) = (units.start, units.len());
    let count = (len * filter).div_ceil(BLOCK).clamp(1, len.max(1));
    (0..count).map(move |i| start + i * len / count..start + (i + 1) * len / count)
}

impl BlockGradients for Conv2d {
    fn block_scratch(&self, node: &Node, units: usize) -> Option<usize> {
        let filter = self.geometry_of(node, 1).filter_len();
        let longest = blocks(&(0..units), filter).map(|block| block.len() * filter).max().unwrap_or(0);
        let together = self.parts_together(node, units) * units * filter;
        self.connections.is_none().then(|| padded(longest.max(together)))
    }

    /// As many as are one block. Few output channels' method goes by how many they are.
    fn parts_together(&self, node: &Node, units: usize) -> usize {
        let filter = self.geometry_of(node, 1).filter_len();
        match self.channels >= MANY_CHANNELS && self.connections.is_none() {
            true => (BLOCK / (units * filter).max(1)).max(1),
            false => 1,
        }
    }
}

/// Kernels treat fewer output channels than this differently when they are given all of them.
const MANY_CHANNELS: usize = 16;

/// Where every pass packs its weights, those of fewer elements are packed by every part for itself: that costs less than
/// waiting for others.
const PREPARED_WEIGHTS: usize = 1 << 12;

impl Preparation for Conv2d {
    fn prepared_pieces(&self, node: &Node, packing: &Packing) -> usize {
        let conv = self.geometry_of(node, packing.share);
        // A channel's own weights are turned as fast as they are read.
        let depthwise = conv.groups > 1 && conv.groups == self.channels;
        let small = conv.weight_len() < PREPARED_WEIGHTS || depthwise;
        let small = packing.mode != Mode::Evaluate && small;
        if small || self.connections.is_some() {
            return 0;
        }
        let pieces = |conv: &Geometry| conv.packed_pieces::<f32>(packing.direction);
        match packing.channels {
            None => pieces(&conv),
            Some(cut) if (0..cut.parts).all(|part| pieces(&conv.of_channels(cut.part(part))) > 0) => cut.parts,
            Some(_) => 0,
        }
    }

    fn prepared_range(&self, node: &Node, packing: &Packing, pieces: Range<usize>) -> Range<usize> {
        let (conv, direction) = (self.geometry_of(node, packing.share), packing.direction);
        range_of(pieces, |piece| match packing.channels {
            None => conv.packed_range(direction, piece),
            Some(cut) => part_of_packed::<f32>(&conv, direction, cut, piece),
        })
    }

    fn prepare<T: Element>(&self, pass: Prepare<'_, T>) {
        let (conv, direction) = (self.geometry_of(pass.node, pass.packing.share), pass.packing.direction);
        let (pack, weights) = (pass.kernels.conv_pack, pass.params.get(0));
        let Some(cut) = pass.packing.channels else {
            if conv.packed_pieces::<T>(direction) > 0 {
                pack(&conv, direction, weights, pass.pieces, pass.prepared);
            }
            return;
        };
        let mut left = pass.prepared;
        for piece in pass.pieces {
            let channels = cut.part(piece);
            let part = conv.of_channels(channels.clone());
            let (to, rest) = left.split_at_mut(part.packed_len::<f32>(direction));
            left = rest;
            if part.packed_pieces::<T>(direction) > 0 {
                let weights = &weights[channels.start * conv.filter_len()..channels.end * conv.filter_len()];
                pack(&part, direction, weights, 0..part.packed_pieces::<T>(direction), to);
            }
        }
    }
}

/// Where the weights of one part of the channels lie, which are packed one part after the other.
fn part_of_packed<T: Element>(conv: &Geometry, direction: Direction, cut: ChannelCut, part: usize) -> Range<usize> {
    let len = |part| conv.of_channels(cut.part(part)).packed_len::<T>(direction);
    let start = (0..part).map(len).sum();
    start..start + len(part)
}

/// Output channels that stay together: a vector of the widest kind.
const GRAIN: usize = 16;
/// So many of these make tiles that are wide enough.
const GRAINS: usize = 4;

/// With so many times more weights than inputs the weights are shared out, else the rows of the image.
const HEAVY: usize = 8;

impl Sectioned for Conv2d {
    /// Each part by rows reads all weights, each part by channels reads all of the image.
    fn axis(&self, node: &Node, batch: usize) -> Option<Axis> {
        let conv = self.geometry_of(node, batch);
        let [rows, _, channels] = conv.output;
        let by_rows = self.has_rows(&conv);
        let by_channels = conv.groups == 1 && channels >= 2 * GRAIN;
        let heavy = conv.weight_len() / HEAVY >= batch.saturating_mul(conv.input_len());
        match self.connections {
            Some(_) => None,
            None if by_channels && (heavy || !by_rows) => {
                Some(Axis::Channels { grain: GRAIN, least: GRAINS })
            }
            None => by_rows.then_some(Axis::Rows(rows)),
        }
    }

    fn reads_rows(&self, node: &Node, rows: Range<usize>) -> Option<Range<usize>> {
        let conv = self.geometry_of(node, 1);
        self.has_rows(&conv).then(|| conv.of_rows(rows).1)
    }

    /// Two groups at least: a convolution of one group has methods of its own.
    fn grain(&self, node: &Node) -> Option<usize> {
        let conv = self.geometry_of(node, 1);
        (conv.groups > 1 && conv.group_inputs() == conv.group_outputs()).then(|| 2 * conv.group_outputs())
    }

    fn section_scratch(&self, node: &Node, section: Section) -> usize {
        let conv = self.geometry_of(node, 1);
        let part = match section {
            Section::Whole => return node.signature().scratch,
            Section::Rows(rows) => conv.of_rows(rows).0,
            Section::Channels(channels) => conv.of_channels(channels),
        };
        padded(part.forward_scratch::<f32>())
    }
}

/// What the kernels for `T` take of what was prepared for `f32`.
fn packed<'a, T: Element>(conv: &Geometry, direction: Direction, prepared: &'a [T]) -> &'a [T] {
    if prepared.is_empty() { prepared } else { &prepared[..conv.packed_len::<T>(direction)] }
}

impl Conv2d {
    /// See [`Geometry::finishes`].
    pub(crate) fn finishes(&self, node: &Node) -> bool {
        self.geometry_of(node, 1).finishes()
    }

    /// Whether rows of the output can be computed by themselves. A window without padding that is as wide as the image must
    /// not become one that covers it.
    fn has_rows(&self, conv: &Geometry) -> bool {
        let extent = (conv.kernel[0] - 1) * conv.dilation[0] + 1;
        let several = conv.output[0] > 1 && conv.output[1] > 1;
        self.connections.is_none() && several && conv.padding[0] < extent
    }

    /// ∂C/∂b of the channels `units`: sums over samples and pixels.
    fn sum_bias<T: Element>(
        &self,
        kernels: &Kernels<T>,
        gradient: &[T],
        units: Range<usize>,
        bias: &mut [T],
        scratch: &mut [T],
    ) {
        if bias.len() == self.channels {
            (kernels.column_sums)(gradient, bias, Write::Set);
        } else if self.bias {
            let all = &mut scratch[..self.channels];
            (kernels.column_sums)(gradient, all, Write::Set);
            bias.copy_from_slice(&all[units]);
        }
    }

    fn apply_bias<T: Element>(
        &self,
        kernels: &Kernels<T>,
        gradient: &[T],
        units: Range<usize>,
        apply: Apply<'_, T>,
        scratch: &mut [T],
    ) {
        if self.bias {
            let all = &mut scratch[..self.channels];
            (kernels.column_sums)(gradient, all, Write::Set);
            apply(1, units.start, &all[units]);
        }
    }
}

/// y is linear in x and in w, so the second derivatives pass through squared weights and squared inputs; sharing a
/// weight sums over its uses (LeCun et al. 1998, appendix C).
impl Curvature for Conv2d {
    fn curvature_scratch(&self, node: &Node) -> usize {
        let conv = self.geometry_of(node, 1);
        node.signature().scratch + padded(conv.weight_len().max(conv.input_len()))
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let conv = self.geometry_of(pass.node, pass.share);
        let (squared, scratch) = take(pass.scratch, conv.weight_len());
        let (weights, scratch) = self.dense(&conv, pass.params.get(0), scratch);
        squares(weights, squared);
        let backward = pass.kernels.conv_backward_input;
        backward(&conv, pass.output_gradient, squared, &[], pass.input_gradient, pass.write, scratch);
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        // Each call sums over the pixels of one sample.
        let (conv, kernels, units) = (self.geometry_of(pass.node, 1), pass.kernels, pass.units);
        let [weight, bias, ..] = pass.gradients;
        let (squared, scratch) = take(pass.scratch, conv.input_len());
        let samples = pass.inputs.get(0).chunks_exact(conv.input_len());
        let samples = samples.zip(pass.output_gradient.chunks_exact(conv.output_len()));
        let outputs = if self.connections.is_some() { 0..self.channels } else { units.clone() };
        self.sum_weights(&conv, weight, scratch, |weight, scratch| {
            let mut write = Write::Set;
            for (x, h) in samples {
                squares(x, squared);
                (kernels.conv_backward_weights)(&conv, squared, h, weight, outputs.clone(), write, scratch);
                write = Write::Add;
            }
        });
        self.sum_bias(kernels, pass.output_gradient, units, bias, scratch);
    }
}

/// Elements that start each piece of scratch memory on a cache line of its own.
fn padded(len: usize) -> usize {
    len.next_multiple_of(16)
}

/// The first `len` elements of the scratch memory, and the rest.
fn take<T>(scratch: &mut [T], len: usize) -> (&mut [T], &mut [T]) {
    let (piece, rest) = scratch.split_at_mut(padded(len));
    (&mut piece[..len], rest)
}
