//! The Gaussian and the Laplacian pyramid (Burt and Adelson 1983).

use super::Plane;
use super::filter::Border;

/// Burt and Adelson's kernel [¼ − a/2, ¼, a, ¼, ¼ − a/2]. `a` of 0.375 makes it the binomial one, 0.4 the one that looks most
/// like a Gaussian.
pub fn burt_adelson(a: f64) -> [f64; 5] {
    [0.25 - a / 2.0, 0.25, a, 0.25, 0.25 - a / 2.0]
}

/// [1, 4, 6, 4, 1]/16: `burt_adelson(0.375)`.
pub fn binomial() -> [f64; 5] {
    [1.0, 4.0, 6.0, 4.0, 1.0].map(|weight| weight / 16.0)
}

/// Blurs with the kernel along both axes and keeps every second row and column: n become ⌈n/2⌉. The plane is mirrored at
/// its border, so that constants stay what they are.
pub fn reduce(plane: &Plane, kernel: &[f64; 5]) -> Plane {
    reduce_columns(&reduce_columns(plane, kernel).transposed(), kernel).transposed()
}

/// Makes a plane of ⌈n/2⌉ one of `size` n again: puts zeros between, blurs with twice the kernel along both axes.
///
/// # Panics
/// Where the plane is not half of `size`.
pub fn expand(plane: &Plane, [height, width]: [usize; 2], kernel: &[f64; 5]) -> Plane {
    expand_columns(&expand_columns(plane, height, kernel).transposed(), width, kernel).transposed()
}

/// Along each column.
fn reduce_columns(plane: &Plane, kernel: &[f64; 5]) -> Plane {
    let [height, width] = plane.size();
    let mut out = Plane::zeros(height.div_ceil(2), width);
    for (y, row) in out.values_mut().chunks_exact_mut(width).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            let from = Border::Reflect.position(2 * y as isize + tap as isize - 2, height).expect("mirrored");
            let source = &plane.values()[from * width..][..width];
            row.iter_mut().zip(source).for_each(|(out, v)| *out += weight * v);
        }
    }
    out
}

/// Along each column.
fn expand_columns(plane: &Plane, height: usize, kernel: &[f64; 5]) -> Plane {
    let width = plane.width();
    assert_eq!(plane.height(), height.div_ceil(2), "a plane of half the size");
    let mut out = Plane::zeros(height, width);
    for (y, row) in out.values_mut().chunks_exact_mut(width).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            // Every second row is a zero, and mirroring keeps even rows even.
            if (y + tap) % 2 == 0 {
                let from = Border::Reflect.position(y as isize + tap as isize - 2, height).expect("mirrored");
                let source = &plane.values()[from / 2 * width..][..width];
                row.iter_mut().zip(source).for_each(|(out, v)| *out += 2.0 * weight * v);
            }
        }
    }
    out
}

/// The plane, and it reduced again and again: at most `levels` planes, fewer where a side is down to 1.
pub fn gaussian_pyramid(plane: &Plane, levels: usize, kernel: &[f64; 5]) -> Vec<Plane> {
    let mut pyramid = vec![plane.clone()];
    while pyramid.len() < levels {
        let last = pyramid.last().expect("it begins with the plane");
        if last.size().contains(&1) {
            break;
        }
        pyramid.push(reduce(last, kernel));
    }
    pyramid
}

/// The Laplacian pyramid: of each level what the next one lacks, and the last level itself.
#[derive(Clone, Debug)]
pub struct Laplacian {
    /// Differences, the finest first.
    pub bands: Vec<Plane>,
    /// The coarsest level of the Gaussian pyramid.
    pub rest: Plane,
    kernel: [f64; 5],
}

impl Laplacian {
    /// The pyramid of `plane` with at most `levels` planes, the rest included.
    pub fn new(plane: &Plane, levels: usize, kernel: &[f64; 5]) -> Laplacian {
        let mut gaussian = gaussian_pyramid(plane, levels.max(1), kernel);
        let band = |pair: &[Plane]| {
            pair[0].zip(&expand(&pair[1], pair[0].size(), kernel), |fine, coarse| fine - coarse)
        };
        let bands = gaussian.windows(2).map(band).collect();
        Laplacian { bands, rest: gaussian.pop().expect("a level"), kernel: *kernel }
    }

    /// The plane again: exactly, but for rounding, whatever the kernel.
    pub fn collapse(&self) -> Plane {
        let add =
            |coarse: Plane, band: &Plane| band.zip(&expand(&coarse, band.size(), &self.kernel), |a, b| a + b);
        self.bands.iter().rev().fold(self.rest.clone(), add)
    }
}
