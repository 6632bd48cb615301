//! Convolution of a plane with a kernel, and what stands beyond its border.

use super::Plane;

/// What stands beyond the border of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Zeros.
    Zero,
    /// The plane mirrored in its outermost pixels, which are not repeated.
    Reflect,
    /// The plane again.
    Circular,
}

impl Border {
    /// The position within 0..n that stands for position `i`; `None` for a zero.
    pub(super) fn position(self, i: isize, n: usize) -> Option<usize> {
        let n = n as isize;
        if (0..n).contains(&i) {
            return Some(i as usize);
        }
        match self {
            Border::Zero => None,
            Border::Circular => Some(i.rem_euclid(n) as usize),
            Border::Reflect if n == 1 => Some(0),
            Border::Reflect => {
                let at = i.rem_euclid(2 * (n - 1));
                Some(at.min(2 * (n - 1) - at) as usize)
            }
        }
    }
}

/// The convolution of `plane` with `kernel`, of the plane's size:
/// y\[i, j\] = Σ k\[u, v\] · x\[i − u + ⌊h/2⌋, j − v + ⌊w/2⌋\] for a kernel of h×w. An impulse gives the kernel, its centre where the
/// impulse was. Costs a multiply-add for each pixel and tap.
///
/// It is a sum in the order of the kernel's taps whatever the position, so that a circular shift of the plane shifts the
/// result and changes no bit.
pub fn convolve(plane: &Plane, kernel: &Plane, border: Border) -> Plane {
    let [height, width] = plane.size();
    let [kh, kw] = kernel.size();
    let places = |n: usize, taps: usize| -> Vec<Vec<Option<usize>>> {
        let place = |i: usize, u: usize| border.position(i as isize - u as isize + (taps / 2) as isize, n);
        (0..n).map(|i| (0..taps).map(|u| place(i, u)).collect()).collect()
    };
    let (rows, columns) = (places(height, kh), places(width, kw));
    Plane::from_fn(height, width, |y, x| {
        let mut sum = 0.0;
        for (u, row) in rows[y].iter().enumerate() {
            let Some(row) = *row else { continue };
            for (v, column) in columns[x].iter().enumerate() {
                sum += column.map_or(0.0, |column| kernel.at(u, v) * plane.at(row, column));
            }
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_mirror_repeat_or_end() {
        let at = |border: Border| [-2, -1, 0, 3, 4, 5].map(|i| border.position(i, 4));
        assert_eq!(at(Border::Reflect), [2, 1, 0, 3, 2, 1].map(Some));
        assert_eq!(at(Border::Circular), [2, 3, 0, 3, 0, 1].map(Some));
        assert_eq!(at(Border::Zero), [None, None, Some(0), Some(3), None, None]);
        assert_eq!(Border::Reflect.position(-7, 1), Some(0));
    }
}
