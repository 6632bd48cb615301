//! The geometries that kernels are called with: plain sizes and strides, checked by whoever builds them.

use std::ops::Range;

/// What a kernel does to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Overwrite every element; what stood there is not read.
    Set,
    /// Add to what stands there.
    Add,
}

/// The passes of a convolution whose weights can be packed beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the input to the output.
    Forward,
    /// From the output's gradient to the input's.
    BackwardInput,
}

/// A matrix product C = A·B or C += A·B with A m×k, B k×n and C m×n.
///
/// A and B are strided views, so that a transpose is a swap of two strides; a row of C is contiguous.
/// Costs m·n·k multiply-adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gemm {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B: the length of the sums.
    pub k: usize,
    /// Rows and columns of C that the choice of method goes by. Products that give the same numbers have the same bits in each
    /// element, however rows and columns are shared out between products.
    pub of: [usize; 2],
    /// Elements from one row of A to the next, and from one column to the next.
    pub a: [usize; 2],
    /// Elements from one row of B to the next, and from one column to the next.
    pub b: [usize; 2],
    /// Elements from one row of C to the next; at least `n`.
    pub c_row: usize,
    /// Whether C is overwritten or added to.
    pub write: Write,
}

impl Gemm {
    /// The elements of `a` that the product reaches over.
    pub fn a_len(&self) -> usize {
        reach([self.m, self.k], self.a)
    }

    /// The elements of `b` that the product reaches over.
    pub fn b_len(&self) -> usize {
        reach([self.k, self.n], self.b)
    }

    /// The elements of `c` that the product reaches over.
    pub fn c_len(&self) -> usize {
        reach([self.m, self.n], [self.c_row, 1])
    }
}

/// Elements from the first to one past the last of a strided matrix.
fn reach(size: [usize; 2], stride: [usize; 2]) -> usize {
    if size[0] == 0 || size[1] == 0 {
        return 0;
    }
    // What is beyond all memory stays so, and no slice is as long.
    let last = |axis: usize| (size[axis] - 1).saturating_mul(stride[axis]);
    last(0).saturating_add(last(1)).saturating_add(1)
}

/// Elements of an image of these sides and channels.
fn product(sides: [usize; 3]) -> usize {
    sides.into_iter().fold(1, usize::saturating_mul)
}

/// A 2-D convolution (cross-correlation, as everywhere in this field) of N·H·W·C images with weights
/// O·kh·kw·(I/groups):
///
/// y\[oy, ox, o\] = bias\[o\] + Σ x\[oy·sy + ky·dy − top, ox·sx + kx·dx − left, c\] · w\[o, ky, kx, c\]
///
/// where x is 0 outside the image and c runs over the channels of o's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Height, width and channels of a sample's input.
    pub input: [usize; 3],
    /// Height, width and channels of a sample's output.
    pub output: [usize; 3],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Input rows and columns from one output pixel to the next; at least 1.
    pub stride: [usize; 2],
    /// Rows of zeros above and columns of zeros left of the image; those below and right follow from `output`.
    pub padding: [usize; 2],
    /// Input rows and columns from one kernel tap to the next; at least 1.
    pub dilation: [usize; 2],
    /// Groups that input and output channels are split into; divides both.
    pub groups: usize,
    /// Samples of a call that the choice of method goes by. Calls that give it the same number have the same bits in each
    /// sample, however many samples they have.
    pub samples: usize,
}

impl Conv2d {
    /// Elements of a sample's input.
    pub fn input_len(&self) -> usize {
        product(self.input)
    }

    /// Elements of a sample's output.
    pub fn output_len(&self) -> usize {
        product(self.output)
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.output[2].saturating_mul(self.filter_len())
    }

    /// Elements of one output channel's weights.
    pub fn filter_len(&self) -> usize {
        product([self.kernel[0], self.kernel[1], self.group_inputs()])
    }

    /// Input channels of a group.
    pub fn group_inputs(&self) -> usize {
        self.input[2] / self.groups
    }

    /// Output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.output[2] / self.groups
    }

    /// Multiply-adds per sample of each of the three directions, padding counted as work.
    pub fn macs(&self) -> usize {
        self.output_len() * self.filter_len()
    }

    /// The output's height or width for an input of `input` rows or columns with `padding` zeros in total, before
    /// and after; `None` where the kernel does not fit or a size is 0.
    pub fn output_size(
        input: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        dilation: usize,
    ) -> Option<usize> {
        if kernel == 0 || stride == 0 || dilation == 0 {
            return None;
        }
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let room = input.checked_add(padding)?.checked_sub(extent)?;
        Some(room / stride + 1)
    }

    /// The convolution that computes the rows `rows` of a sample's output alone, and the rows of the input that it takes.
    ///
    /// It differs in its numbers of rows and in the padding above alone. The choice of method and how weights are packed
    /// must not depend on these, so that it takes the same packed weights.
    ///
    /// # Panics
    /// If there are no such rows, or a window may lie beside the image: the padding is as large as the kernel's extent.
    pub fn of_rows(&self, rows: Range<usize>) -> (Conv2d, Range<usize>) {
        let extent = (self.kernel[0] - 1) * self.dilation[0] + 1;
        assert!(rows.start < rows.end && rows.end <= self.output[0], "rows {rows:?} of {self:?}");
        assert!(self.padding[0] < extent, "a window of {self:?} lies beside the image");
        let (input, padding) = reached(&rows, extent, self.stride[0], self.padding[0], self.input[0]);
        let [_, width, channels] = self.input;
        let [_, columns, outputs] = self.output;
        let conv = Conv2d {
            input: [input.len(), width, channels],
            output: [rows.len(), columns, outputs],
            padding: [padding, self.padding[1]],
            ..*self
        };
        (conv, input)
    }

    /// The convolution to the output channels `channels` alone, whose weights are those of these channels. With groups it is
    /// that of some groups, whose input channels are all that it takes; it has the same bits, but of one group alone, which is a
    /// convolution without any.
    ///
    /// # Panics
    /// If there are no such channels, or they are not whole groups.
    pub fn of_channels(&self, channels: Range<usize>) -> Conv2d {
        let [height, width, inputs] = self.input;
        let inside = channels.start < channels.end && channels.end <= self.output[2];
        let group = if self.groups > 1 { self.group_outputs() } else { 1 };
        let whole = [channels.start, channels.end].iter().all(|bound| bound.is_multiple_of(group));
        assert!(inside && whole, "channels {channels:?} of {self:?}");
        let (groups, inputs) = match self.groups {
            1 => (1, inputs),
            _ => (channels.len() / group, channels.len() / group * self.group_inputs()),
        };
        let output = [self.output[0], self.output[1], channels.len()];
        Conv2d { input: [height, width, inputs], output, groups, ..*self }
    }

    /// Input row (`axis` 0) or column (`axis` 1) that tap `tap` of output row or column `out` reads, if it lies
    /// in the image.
    #[inline(always)]
    pub fn source(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let at = (out * self.stride[axis] + tap * self.dilation[axis]).wrapping_sub(self.padding[axis]);
        (at < self.input[axis]).then_some(at)
    }
}

/// The input rows in the image that windows `rows` reach, and how many rows above the image the first one starts.
fn reached(
    rows: &Range<usize>,
    extent: usize,
    stride: usize,
    padding: usize,
    input: usize,
) -> (Range<usize>, usize) {
    let (start, end) = (rows.start * stride, (rows.end - 1) * stride + extent);
    let first = start.saturating_sub(padding);
    (first..end.saturating_sub(padding).min(input), padding.saturating_sub(start))
}

/// Windows of a 2-D pooling over N·H·W·C images. Channels stay apart, so `input[2] == output[2]`.
///
/// Windows are clipped at the image's borders; every window must keep at least one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2d {
    /// Height, width and channels of a sample's input.
    pub input: [usize; 3],
    /// Height, width and channels of a sample's output.
    pub output: [usize; 3],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Input rows and columns from one window to the next; at least 1.
    pub stride: [usize; 2],
    /// Rows of padding above and columns left of the image, and as many below and right.
    pub padding: [usize; 2],
    /// What an average divides by: the pixels of the window inside the image (`false`), or inside the padded
    /// image (`true`).
    pub count_padding: bool,
}

impl Pool2d {
    /// Elements of a sample's input.
    pub fn input_len(&self) -> usize {
        product(self.input)
    }

    /// Elements of a sample's output.
    pub fn output_len(&self) -> usize {
        product(self.output)
    }

    /// The pooling to the rows `rows` of a sample's output alone, and the rows of the input that it takes. Averages that
    /// count the padding above and below the image cannot be cut like this.
    ///
    /// # Panics
    /// If there are no such rows, or they cannot be cut.
    pub fn of_rows(&self, rows: Range<usize>) -> (Pool2d, Range<usize>) {
        assert!(rows.start < rows.end && rows.end <= self.output[0], "rows {rows:?} of {self:?}");
        assert!(!self.count_padding || self.padding[0] == 0, "{self:?} counts its padding");
        let (input, padding) = reached(&rows, self.kernel[0], self.stride[0], self.padding[0], self.input[0]);
        let [_, width, channels] = self.input;
        let pool = Pool2d {
            input: [input.len(), width, channels],
            output: [rows.len(), self.output[1], channels],
            padding: [padding, self.padding[1]],
            ..*self
        };
        (pool, input)
    }

    /// Samples of a batch of so many elements. What it checks is what kernels rely on, those with pointers as well.
    ///
    /// # Panics
    /// If the slices are not whole samples' inputs and their outputs, or a window holds no pixel.
    #[inline(always)]
    pub(crate) fn check(&self, kernel: &str, input_len: usize, output_len: usize) -> usize {
        assert_eq!(self.input[2], self.output[2], "{kernel}: pooling keeps the channels apart");
        let samples = input_len / self.input_len().max(1);
        assert_eq!(input_len, samples * self.input_len(), "{kernel}: whole inputs of {self:?}");
        assert_eq!(output_len, samples * self.output_len(), "{kernel}: {samples} outputs of {self:?}");
        let holds_pixels = |axis: usize, out: usize| !self.taps(axis, out).is_empty();
        // Of windows in order, the first one ends before all others do and the last one starts after all others do.
        let all = |axis: usize| holds_pixels(axis, 0) && holds_pixels(axis, self.output[axis] - 1);
        assert!(output_len == 0 || all(0) && all(1), "{kernel}: every window holds a pixel: {self:?}");
        samples
    }

    /// Taps along `axis` (0 rows, 1 columns) of output `out` that lie in the image.
    #[inline(always)]
    pub fn taps(&self, axis: usize, out: usize) -> Range<usize> {
        let start = out * self.stride[axis];
        let first = self.padding[axis].saturating_sub(start);
        let last = (self.input[axis] + self.padding[axis]).saturating_sub(start).min(self.kernel[axis]);
        first..last.max(first)
    }

    /// Input row or column under tap `tap` (one of [`Pool2d::taps`]) of output `out`.
    #[inline(always)]
    pub fn source(&self, axis: usize, out: usize, tap: usize) -> usize {
        out * self.stride[axis] + tap - self.padding[axis]
    }

    /// What the average over output (`oy`, `ox`) divides by.
    #[inline(always)]
    pub fn divisor(&self, oy: usize, ox: usize) -> usize {
        let along = |axis: usize, out: usize| {
            if self.count_padding {
                let end = self.input[axis] + 2 * self.padding[axis];
                (end - out * self.stride[axis]).min(self.kernel[axis])
            } else {
                self.taps(axis, out).len()
            }
        };
        along(0, oy) * along(1, ox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_size_counts_positions_and_refuses_what_does_not_fit() {
        assert_eq!(Conv2d::output_size(28, 5, 1, 4, 1), Some(28));
        assert_eq!(Conv2d::output_size(224, 7, 2, 6, 1), Some(112));
        assert_eq!(Conv2d::output_size(5, 3, 1, 0, 2), Some(1));
        assert_eq!(Conv2d::output_size(4, 3, 1, 0, 2), None);
        assert_eq!(Conv2d::output_size(4, 0, 1, 0, 1), None);
        assert_eq!(Conv2d::output_size(4, 1, 0, 0, 1), None);
        assert_eq!(Conv2d::output_size(usize::MAX, 2, 1, 2, 1), None);
    }

    #[test]
    fn an_average_divides_by_the_clipped_or_by_the_padded_window() {
        // ceil mode: the last window hangs over the padding too.
        let mut pool = Pool2d {
            input: [4, 4, 1],
            output: [3, 3, 1],
            kernel: [3, 3],
            stride: [2, 2],
            padding: [1, 1],
            count_padding: false,
        };
        assert_eq!([pool.divisor(0, 0), pool.divisor(1, 1), pool.divisor(2, 2)], [4, 9, 1]);
        pool.count_padding = true;
        assert_eq!([pool.divisor(0, 0), pool.divisor(1, 1), pool.divisor(2, 2)], [9, 9, 4]);
    }
}
