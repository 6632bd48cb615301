//! What an op declares, and what it is given.

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Finish, Kernels, Unary, Write};

use crate::arena::Shared;
use crate::graph::Node;
use crate::{Mode, ParamSpec, Params, Shape};

/// The most parameters that one op has.
pub(crate) const MAX_PARAMS: usize = 4;

/// The contract of an op: the three equations of a layer, and what the plan must know to lay them out.
///
/// An op owns nothing: no buffers, no weights, no mode. Each method works on a part of the batch, so that the
/// parts can run at the same time; it reads the slices that it is given and overwrites every element of those that
/// it is to write.
pub(crate) trait Operation {
    /// Checks the shapes of the inputs, and says what comes out and what is needed on the way.
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String>;

    /// x_i = F_i(x_{i−1}, W_i).
    fn forward<T: Element>(&self, pass: Forward<'_, T>);

    /// ∂C/∂x_{i−1} = ∂C/∂x_i · ∂F_i/∂x_{i−1}, for one of the inputs.
    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>);

    /// ∂C/∂W_i = ∂C/∂x_i · ∂F_i/∂W_i, summed over the samples given. Never called on an op without trained parameters.
    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>);
}

/// The contract of an op through which second derivatives can be propagated, for diagonal
/// Levenberg–Marquardt: h is the diagonal of the Gauss–Newton Hessian (LeCun, Bottou, Bengio, Haffner 1998, appendix C).
///
/// The passes are given h where the first-order ones are given the gradient, and every value of the forward pass.
pub(crate) trait Curvature: Operation {
    /// Elements of scratch memory that each worker needs.
    fn curvature_scratch(&self, node: &Node) -> usize;

    /// h of an input from h of the output: h_j = Σ_i (∂y_i/∂x_j)²·h_i.
    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>);

    /// h of the trained parameters from h of the output, summed over the samples given.
    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>);
}

/// The contract of an op that looks at the whole batch in training, through what each part of it contributes.
pub(crate) trait BatchStatistics: Operation {
    /// What this part contributes: as many elements as the signature says. A part may have no samples.
    fn statistics<T: Element>(&self, pass: Statistics<'_, T>);

    /// Folds the contributions of all parts, one after the other, into the node's parameters, which `param` lends
    /// by number. Called once in each step of training.
    fn fold_statistics<'a, T: Element>(&self, statistics: &[T], param: impl Fn(usize) -> &'a mut [T]);
}

/// The contract of an op whose kernels read its weights packed, or numbers that follow from its weights: the plan has
/// that done once for all parts of a batch, and in evaluation once for as long as the parameters stay.
pub(crate) trait Preparation: Operation {
    /// In how many pieces the weights are packed; 0 where they are taken as they stand.
    fn prepared_pieces(&self, node: &Node, packing: &Packing) -> usize;

    /// The elements of what is packed that some pieces fill. Pieces follow each other.
    fn prepared_range(&self, node: &Node, packing: &Packing, pieces: Range<usize>) -> Range<usize>;

    /// Packs some pieces. Weights are packed as kernels for `f32` take them; others have nothing to pack.
    fn prepare<T: Element>(&self, pass: Prepare<'_, T>);
}

/// The elements that pieces fill which follow each other, from those of each.
pub(crate) fn range_of(pieces: Range<usize>, piece: impl Fn(usize) -> Range<usize>) -> Range<usize> {
    match pieces.end.checked_sub(1).filter(|last| pieces.start <= *last) {
        Some(last) => piece(pieces.start).start..piece(last).end,
        None => 0..0,
    }
}

/// Which pass weights are packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Training or evaluation.
    pub(crate) mode: Mode,
    /// The pass.
    pub(crate) direction: Direction,
    /// Samples of a full batch.
    pub(crate) batch: usize,
    /// Samples that the choice of method goes by.
    pub(crate) share: usize,
    /// The parts of the pass, where it is cut by channels: each part's weights are then packed by themselves, as one
    /// piece.
    pub(crate) channels: Option<ChannelCut>,
}

/// The channels of an output, or the elements of a vector, cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelCut {
    /// How many there are.
    pub(crate) channels: usize,
    /// Channels that are not separated: as many as fill the widest vector.
    pub(crate) grain: usize,
    /// Parts, none of which is empty.
    pub(crate) parts: usize,
}

impl ChannelCut {
    /// The channels of part `part`.
    pub(crate) fn part(&self, part: usize) -> Range<usize> {
        let grains = self.channels.div_ceil(self.grain);
        let bound = |part: usize| (part * grains / self.parts * self.grain).min(self.channels);
        bound(part)..bound(part + 1)
    }

    /// The most channels that a part has.
    pub(crate) fn widest(&self) -> usize {
        (0..self.parts).map(|part| self.part(part).len()).max().unwrap_or(0)
    }
}

/// Rows of an image that are not separated: a tile of a convolution has two.
pub(crate) const PAIR: usize = 2;

/// The rows of part `part` of `parts`, none of which is empty where there are at most [`row_parts`].
pub(crate) fn rows_of(part: usize, parts: usize, rows: usize) -> Range<usize> {
    let bound = |part: usize| (part * row_parts(rows) / parts * PAIR).min(rows);
    bound(part)..bound(part + 1)
}

/// The most parts that so many rows can be cut into.
pub(crate) fn row_parts(rows: usize) -> usize {
    rows.div_ceil(PAIR)
}

/// Along which axis the output of a sample can be cut, so that each part is computed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// By so many rows of the image.
    Rows(usize),
    /// By channels, or elements of a vector.
    Channels {
        /// See [`ChannelCut`].
        grain: usize,
        /// Grains that make a part worth having.
        least: usize,
    },
}

/// What of each sample's output is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// All of it.
    Whole,
    /// Some rows of one sample's image.
    Rows(Range<usize>),
    /// Some channels of every pixel, or some elements of every vector: `output` has no others. Nor has the input of an op whose
    /// channels see their own alone ([`Sectioned::grain`]).
    Channels(Range<usize>),
}

/// The contract of an op that can compute parts of a sample's output. What it computes then does not depend on how the
/// output is cut but by rounding.
pub(crate) trait Sectioned: Operation {
    /// How it is best cut for batches of so many samples; `None` where it cannot be.
    fn axis(&self, node: &Node, batch: usize) -> Option<Axis>;

    /// The rows of its only input that some rows of the output are computed from; `None` where rows cannot be computed by
    /// themselves.
    fn reads_rows(&self, node: &Node, rows: Range<usize>) -> Option<Range<usize>>;

    /// Where output channels see the channels of the same numbers of the only input alone, how many of them are taken together:
    /// any number of such runs gives the same bits by itself. `None` where channels see others.
    fn grain(&self, _node: &Node) -> Option<usize> {
        None
    }

    /// Scratch memory for a section.
    fn section_scratch(&self, node: &Node, section: Section) -> usize;
}

/// The contract of an op that can hand over the gradient of its parameters block by block ([`BackwardParams::apply`]), so
/// that it is used while it lies in the cache and need not be kept. The blocks are the same, and so the bits, whoever
/// takes them.
pub(crate) trait BlockGradients: Operation {
    /// Elements of scratch memory that a part of so many units needs for blocks besides what the signature says; `None`
    /// where the op cannot do it with these settings.
    fn block_scratch(&self, node: &Node, units: usize) -> Option<usize>;

    /// How many neighbouring parts of at most so many units a worker may take in one go: each unit's gradient is the same bits
    /// whichever others it is computed with, and what all units share is prepared once.
    fn parts_together(&self, node: &Node, units: usize) -> usize;
}

/// What an op finds when it infers its shapes.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The shape of the output.
    pub output: Shape,
    /// The parameters, trained ones first.
    pub params: Vec<ParamSpec>,
    /// Elements per sample that forward leaves for backward, besides input and output.
    pub saved: usize,
    /// What `backward_input` reads.
    pub input_reads: Reads,
    /// What `backward_params` reads.
    pub param_reads: Reads,
    /// Elements of scratch memory that each worker needs.
    pub scratch: usize,
    /// Multiply-adds of one sample, forward.
    pub macs: u64,
    /// Into how many equal runs of every trained parameter the work of `backward_params` can be cut
    /// (output channels, say); 1 where it cannot be cut.
    pub param_units: usize,
    /// Elements of statistics that each part of a training batch contributes before forward; 0 for an op that
    /// treats every sample alone.
    pub statistics: usize,
    /// The window through which an output element sees the input, for the receptive field.
    pub window: Option<Window>,
}

impl Signature {
    /// The signature of an op without parameters, scratch or cost, whose backward reads nothing but the gradient.
    pub fn new(output: impl Into<Shape>) -> Signature {
        Signature {
            output: output.into(),
            params: Vec::new(),
            saved: 0,
            input_reads: Reads::NOTHING,
            param_reads: Reads::NOTHING,
            scratch: 0,
            macs: 0,
            param_units: 1,
            statistics: 0,
            window: None,
        }
    }
}

/// Which of the values of the forward pass a backward pass reads. The plan keeps just those alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The inputs.
    pub input: bool,
    /// The output.
    pub output: bool,
    /// What forward saved, and the statistics.
    pub saved: bool,
    /// This op's own parameter gradients, so that they must come first.
    pub param_gradients: bool,
}

impl Reads {
    /// Nothing but the gradient of the output (and the parameters).
    pub const NOTHING: Reads = Reads { input: false, output: false, saved: false, param_gradients: false };
    /// The inputs.
    pub const INPUT: Reads = Reads { input: true, ..Reads::NOTHING };
    /// The output.
    pub const OUTPUT: Reads = Reads { output: true, ..Reads::NOTHING };
    /// What forward saved.
    pub const SAVED: Reads = Reads { saved: true, ..Reads::NOTHING };
}

/// A sliding window over an image, in the two directions height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extent, dilation included.
    pub extent: [usize; 2],
    /// Step.
    pub stride: [usize; 2],
    /// Padding before the first row and column.
    pub padding: [usize; 2],
}

/// Where in the sequence of random numbers a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomState {
    /// The seed of the run.
    pub seed: u64,
    /// Steps done before this one; of steps of several batches, batches.
    pub step: u64,
}

/// Where in memory a value of the batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the arena, from this element on.
    Arena(usize),
    /// In the caller's slice for the graph's input of this number.
    External(usize),
    /// In the worker's scratch memory, where a layer of the same step left it.
    Held,
}

/// What a layer left in scratch memory for the next one of the same step: whole samples, or some rows of one.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a, T> {
    pub(crate) values: &'a [T],
    /// The first row of the image that is there.
    pub(crate) first: usize,
}

impl<'a, T> Held<'a, T> {
    /// Nothing: for what reads the arena or the caller's inputs alone.
    pub(crate) fn nothing() -> Held<'a, T> {
        Held { values: &[], first: 0 }
    }
}

/// The inputs of a node for some samples of the batch.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a, T> {
    pub(crate) arena: Shared<'a, T>,
    pub(crate) external: &'a [&'a [T]],
    /// Where they lie; empty where the pass did not declare that it reads them.
    pub(crate) places: &'a [Place],
    pub(crate) shapes: &'a [Shape],
    pub(crate) samples: (usize, usize),
    /// The input that is not lent, because the output overwrites it.
    pub(crate) overwritten: Option<usize>,
    /// The part of a sample that is lent: from the first of these parts of it up to the second, of so many in all.
    pub(crate) within: Option<[usize; 3]>,
    /// What lies at [`Place::Held`].
    pub(crate) held: Held<'a, T>,
}

impl<'a, T: Element> Inputs<'a, T> {
    /// How many inputs the node has.
    pub(crate) fn count(&self) -> usize {
        self.shapes.len()
    }

    /// Input `i`: samples × its shape. Empty where the pass did not declare that it reads it, and where the output
    /// overwrites it.
    pub(crate) fn get(&self, i: usize) -> &'a [T] {
        let len = self.shapes[i].len();
        let range = match self.within {
            None => self.samples.0 * len..self.samples.1 * len,
            Some([first, end, of]) => {
                let start = self.samples.0 * len;
                start + len / of * first..start + len / of * end
            }
        };
        match self.places.get(i).filter(|_| self.overwritten != Some(i)) {
            Some(Place::Arena(offset)) => self.arena.read(offset + range.start..offset + range.end),
            Some(Place::External(input)) => &self.external[*input][range],
            Some(Place::Held) => match self.within {
                None => self.held.values,
                Some([first, end, of]) => {
                    let (row, above) = (len / of, self.held.first);
                    &self.held.values[(first - above) * row..(end - above) * row]
                }
            },
            None => &[],
        }
    }

    /// Some rows of the image that input `i` is, of one sample.
    pub(crate) fn rows(&self, i: usize, rows: Range<usize>) -> &'a [T] {
        let [_, all, _] = self.shapes[i].image().expect("invariant: an image has rows");
        Inputs { within: Some([rows.start, rows.end, all]), ..*self }.get(i)
    }
}

/// The parameters of a pass over a plan.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a, T> {
    /// They stay as they are; with the number that tells them from all others.
    Fixed(&'a [T], u64),
    /// Steps of the plan move them.
    Updated(Shared<'a, T>),
}

impl<'a, T: Element> Values<'a, T> {
    /// Parameters that stay as they are.
    pub(crate) fn of(params: &'a Params<T>) -> Values<'a, T> {
        Values::Fixed(params.data(), params.stamp())
    }

    /// What tells these values from all others, if they stay what they are.
    pub(crate) fn stamp(&self) -> Option<u64> {
        match self {
            Values::Fixed(_, stamp) => Some(*stamp),
            Values::Updated(_) => None,
        }
    }
}

/// The parameters of a node. Of those that steps move, each is lent for as long as it is used and no other with it.
#[derive(Clone, Copy)]
pub(crate) struct ParamViews<'a, T> {
    pub(crate) values: Values<'a, T>,
    /// Where they lie; empty where the pass moves them, and so reads none.
    pub(crate) ranges: &'a [Range<usize>],
}

impl<'a, T> ParamViews<'a, T> {
    /// Parameter `i`, whole.
    pub(crate) fn get(&self, i: usize) -> &'a [T] {
        let range = self.ranges[i].clone();
        match &self.values {
            Values::Fixed(values, _) => &values[range],
            Values::Updated(shared) => shared.read(range),
        }
    }
}

/// Moves elements of a node's parameters along their gradient, at once: called with the number of the parameter, its
/// first element, and the gradient from there on.
pub(crate) type Apply<'a, T> = &'a dyn Fn(usize, usize, &[T]);

/// What an op that packs its weights is given before the pass that reads them.
pub(crate) struct Prepare<'a, T: Element> {
    /// The node: its shapes and signature.
    pub(crate) node: &'a Node,
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// The pass that they are for.
    pub(crate) packing: Packing,
    /// The parameters.
    pub(crate) params: ParamViews<'a, T>,
    /// Which pieces are wanted.
    pub(crate) pieces: Range<usize>,
    /// Their elements, to be overwritten.
    pub(crate) prepared: &'a mut [T],
}

/// The gradient behind the activation that an op applied to its output, for `backward_params` to find its own gradient.
pub(crate) struct Activated<'a, T: Element> {
    /// f.
    pub(crate) unary: Unary<T>,
    /// y = f(own output).
    pub(crate) output: &'a [T],
    /// ∂C/∂y, to be overwritten with f′·∂C/∂y, which is what the passes after this one are given.
    pub(crate) gradient: &'a mut [T],
}

/// What `forward` is given.
pub(crate) struct Forward<'a, T: Element> {
    /// The node: its shapes and signature.
    pub(crate) node: &'a Node,
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// Training or evaluation.
    pub(crate) mode: Mode,
    /// Which samples of the batch these are: those of one part, or of several.
    pub(crate) samples: Range<usize>,
    /// Samples of a part. The choice of method goes by it, so that the results do not depend on who works on how many.
    pub(crate) share: usize,
    /// The inputs for these samples.
    pub(crate) inputs: Inputs<'a, T>,
    /// The parameters.
    pub(crate) params: ParamViews<'a, T>,
    /// The weights as the op packed them for this pass; empty where the plan has not had that done.
    pub(crate) prepared: &'a [T],
    /// The statistics that all parts contributed, one after the other; empty in evaluation.
    pub(crate) statistics: &'a [T],
    /// What of the output is wanted; ops that are not [`Sectioned`] are asked for all.
    pub(crate) section: Section,
    /// samples × what is wanted, to be overwritten.
    pub(crate) output: &'a mut [T],
    /// What to do to the output besides, in place of the ops that follow; nothing where the op does not finish its outputs.
    pub(crate) finish: Finish<'a, T>,
    /// samples × saved elements, to be overwritten; empty in evaluation.
    pub(crate) saved: &'a mut [T],
    /// Memory to work in; its content is undefined.
    pub(crate) scratch: &'a mut [T],
    /// Seed and step, for random ops.
    pub(crate) random: RandomState,
}

/// What `backward_input` is given.
pub(crate) struct BackwardInput<'a, T: Element> {
    /// The node: its shapes and signature.
    pub(crate) node: &'a Node,
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// Training or evaluation.
    pub(crate) mode: Mode,
    /// Which samples of the batch these are: those of one part, or of several.
    pub(crate) samples: Range<usize>,
    /// Samples of a part. The choice of method goes by it, so that the results do not depend on who works on how many.
    pub(crate) share: usize,
    /// Which input the gradient is wanted for.
    pub(crate) index: usize,
    /// The inputs for these samples, if declared.
    pub(crate) inputs: Inputs<'a, T>,
    /// The parameters.
    pub(crate) params: ParamViews<'a, T>,
    /// The weights as the op packed them for this pass; empty where the plan has not had that done.
    pub(crate) prepared: &'a [T],
    /// The output for these samples, if declared.
    pub(crate) output: &'a [T],
    /// What forward saved, if declared.
    pub(crate) saved: &'a [T],
    /// The statistics that all parts contributed, if declared.
    pub(crate) statistics: &'a [T],
    /// This node's parameter gradients, one copy per part, to be added up; if declared.
    pub(crate) param_gradients: &'a [T],
    /// ∂C/∂output for these samples.
    pub(crate) output_gradient: &'a [T],
    /// ∂C/∂input for these samples.
    pub(crate) input_gradient: &'a mut [T],
    /// Whether to overwrite the gradient or to add to it.
    pub(crate) write: Write,
    /// Memory to work in; its content is undefined.
    pub(crate) scratch: &'a mut [T],
    /// Seed and step, for random ops.
    pub(crate) random: RandomState,
}

/// What `backward_params` is given.
pub(crate) struct BackwardParams<'a, T: Element> {
    /// The node: its shapes and signature.
    pub(crate) node: &'a Node,
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// Which units of the parameters the gradient is wanted for: all, or some of `param_units`.
    pub(crate) units: Range<usize>,
    /// Samples of a part, or of a whole batch that is cut by units: the choice of method goes by it.
    pub(crate) share: usize,
    /// The inputs for these samples, if declared.
    pub(crate) inputs: Inputs<'a, T>,
    /// The parameters, whole.
    pub(crate) params: ParamViews<'a, T>,
    /// What forward saved for these samples, if declared.
    pub(crate) saved: &'a [T],
    /// The statistics that all parts contributed, if declared.
    pub(crate) statistics: &'a [T],
    /// ∂C/∂output for these samples; empty where it is to be found from `activated`.
    pub(crate) output_gradient: &'a [T],
    /// The activation that forward applied, if it did.
    pub(crate) activated: Option<Activated<'a, T>>,
    /// ∂C/∂(trained parameter i), the runs of `units` alone, to be overwritten with the sum over these samples; empty
    /// where `apply` takes them.
    pub(crate) gradients: [&'a mut [T]; MAX_PARAMS],
    /// Takes the gradient block by block, every element of `units` once, in place of `gradients`. Only ops of
    /// [`BlockGradients`] are asked for that; they are lent no parameters then.
    pub(crate) apply: Option<Apply<'a, T>>,
    /// Memory to work in; its content is undefined.
    pub(crate) scratch: &'a mut [T],
}

/// What an op that needs statistics of the batch is given before `forward`.
pub(crate) struct Statistics<'a, T: Element> {
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// The inputs for this part's samples.
    pub(crate) inputs: Inputs<'a, T>,
    /// This part's contribution, to be overwritten.
    pub(crate) contribution: &'a mut [T],
}
