//! The passes of batch normalisation against naive loops in f64, each with and without what may follow it.

use ocelli_kernels::{Element, Finish, Unary};

use crate::elementwise::{ALL, of};
use crate::support::{Draw, Guarded, Sum, assert_sums, destination, for_seeds, nan, sums, tables};

/// A matrix, and one number of each kind for each channel.
struct Case<T> {
    channels: usize,
    rows: usize,
    x: Vec<T>,
    dy: Vec<T>,
    constants: [Vec<T>; 4],
}

impl<T: Element> Case<T> {
    fn new(draw: &mut Draw) -> Case<T> {
        let channels = [1, 2, 6, 10, 16, 33, 255, 256, 257, 600][draw.size(0, 9)];
        let rows = if draw.flag() { draw.size(0, 5) } else { draw.size(0, 9000 / channels) };
        let len = rows * channels;
        let (x, dy) = (draw.values(len), draw.values(len));
        Case { channels, rows, x, dy, constants: std::array::from_fn(|_| draw.values(channels)) }
    }

    fn len(&self) -> usize {
        self.x.len()
    }

    /// Constant `which` of element `i`'s channel.
    fn of(&self, which: usize, i: usize) -> f64 {
        self.constants[which][i % self.channels].f64()
    }

    fn lend(&self) -> [&[T]; 4] {
        self.constants.each_ref().map(Vec::as_slice)
    }
}

fn one_of_all(draw: &mut Draw) -> Option<Unary<f64>> {
    ALL.get(draw.size(0, ALL.len())).copied()
}

#[test]
fn an_affine_map_with_a_sum_and_an_activation_agrees_with_naive_loops() {
    for_seeds!(300, random_affine);
}

fn random_affine<T: Element>(draw: &mut Draw) {
    let case = Case::<T>::new(draw);
    let unary = one_of_all(draw);
    let addend = if draw.flag() { draw.values::<T>(case.len()) } else { Vec::new() };
    let element = |i: usize| {
        let mut sum = Sum::default();
        sum.add(case.of(0, i) * case.x[i].f64());
        sum.add(case.of(1, i));
        addend.get(i).iter().for_each(|more| sum.add(more.f64()));
        let Some(unary) = unary else { return sum };
        // No slope exceeds 1.2, and a function's own rounding is below 4 units in its last place.
        let value = unary.value(sum.value);
        Sum { value, size: 1.2 * sum.size + 4.0 * value.abs(), ..sum }
    };
    let want: Vec<Sum> = (0..case.len()).map(element).collect();
    for kernels in tables::<T>() {
        let mut y = Guarded::nan(case.len());
        let [scale, shift, ..] = case.lend();
        (kernels.column_affine)(scale, shift, &case.x, &addend, unary.map(of), &mut y);
        let mut finished = Guarded::new(&case.x);
        let finish = Finish { affine: Some([scale, shift]), addend: &addend, unary: unary.map(of) };
        (kernels.finish)(&finish, &mut finished);
        let same = finished.iter().zip(&y[..]).all(|(a, b)| a.f64().to_bits() == b.f64().to_bits());
        assert!(same, "in place and not, {:?}, seed {}", kernels.isa, draw.seed);
        let (rows, channels) = (case.rows, case.channels);
        let context = || {
            format!(
                "{rows}×{channels}, {unary:?}, {} more, {:?}, seed {}",
                addend.len(),
                kernels.isa,
                draw.seed
            )
        };
        assert_sums(&y, &want, &context);
    }
}

#[test]
fn sums_for_the_gradients_of_parameters_agree_with_naive_loops() {
    for_seeds!(300, random_sums);
}

fn random_sums<T: Element>(draw: &mut Draw) {
    let case = Case::<T>::new(draw);
    let unary = one_of_all(draw);
    let values: Vec<T> = draw.values(case.len());
    let y: Vec<T> =
        values.iter().map(|y| T::of(unary.map_or(0.0, |unary| unary.value(4.0 * y.f64())))).collect();
    for kernels in tables::<T>() {
        let (rows, channels) = (case.rows, case.channels);
        let context = || format!("{rows}×{channels}, {unary:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let mut g = Guarded::new(&case.dy);
        let (mut dots, mut total) = (Guarded::nan(channels), Guarded::nan(channels));
        let [inverse, centre, ..] = case.lend();
        match unary {
            None => (kernels.normalised_sums)(inverse, centre, &case.x, &g, &mut dots, &mut total),
            Some(unary) => {
                (kernels.activated_sums)(
                    of(unary),
                    &y,
                    inverse,
                    centre,
                    &case.x,
                    &mut g,
                    &mut dots,
                    &mut total,
                );
                let mut by_itself = case.dy.clone();
                (kernels.unary_backward_in_place)(of(unary), &y, &mut by_itself);
                assert_eq!(g[..], by_itself, "{}", context());
            }
        }
        let (mut want_dots, mut want) = (vec![Sum::default(); channels], vec![Sum::default(); channels]);
        for (i, g) in g.iter().enumerate() {
            want[i % channels].add(g.f64());
            // Terms that cancel in x̂ do not cancel in the bound.
            want_dots[i % channels].add(g.f64() * case.of(0, i) * case.x[i].f64());
            want_dots[i % channels].add(g.f64() * case.of(1, i));
        }
        assert_sums(&dots, &want_dots, &context);
        assert_sums(&total, &want, &context);
    }
}

#[test]
fn sums_are_the_same_bits_with_the_activation_and_after_it() {
    for_seeds!(60, random_order);
}

fn random_order<T: Element>(draw: &mut Draw) {
    let case = Case::<T>::new(draw);
    let y: Vec<T> = draw.values(case.len());
    let [inverse, centre, ..] = case.lend();
    for kernels in tables::<T>() {
        let mut g = case.dy.clone();
        let [mut dots, mut total, mut again, mut total_again] =
            std::array::from_fn(|_| nan::<T>(case.channels));
        (kernels.activated_sums)(Unary::Relu, &y, inverse, centre, &case.x, &mut g, &mut dots, &mut total);
        (kernels.normalised_sums)(inverse, centre, &case.x, &g, &mut again, &mut total_again);
        assert_eq!((dots, total), (again, total_again), "{:?}, seed {}", kernels.isa, draw.seed);
    }
}

#[test]
fn the_gradient_of_the_input_agrees_with_naive_loops() {
    for_seeds!(300, random_backward);
}

fn random_backward<T: Element>(draw: &mut Draw) {
    let case = Case::<T>::new(draw);
    let write = draw.write();
    let before = destination::<T>(draw, case.len(), write);
    let mut want = sums(&before, write);
    for (i, sum) in want.iter_mut().enumerate() {
        sum.add(case.of(0, i) * case.dy[i].f64());
        sum.add(case.of(1, i) * case.x[i].f64());
        sum.add(-case.of(1, i) * case.of(2, i));
        sum.add(case.of(3, i));
    }
    for kernels in tables::<T>() {
        let (rows, channels) = (case.rows, case.channels);
        let context = || format!("{rows}×{channels}, {write:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let mut dx = Guarded::new(&before);
        (kernels.normalised_backward)(case.lend(), &case.x, &case.dy, &mut dx, write);
        assert_sums(&dx, &want, &context);
        if write == ocelli_kernels::Write::Set {
            let mut over = Guarded::new(&case.dy);
            (kernels.normalised_backward_in_place)(case.lend(), &case.x, &mut over);
            assert_eq!(over[..], dx[..], "{}", context());
        }
    }
}
