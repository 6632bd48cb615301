//! Filter banks, and what a shift of the image does to them.

use super::numbers::mean;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::classical::{Border, Filter, FilterBank, Plane, convolve};
use crate::figure::{Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "filters",
    title: "A bank of filters",
    part: Part::Classical,
    checklist: &[1, 2],
    about: "Before features were learned, they were written down: an image went through a bank of linear filters, \
derivatives of Gaussians at several scales and in several directions, or waves under a Gaussian. Such a bank is a \
convolution layer whose weights nobody learned, and here it is computed by one.\n\n\
An impulse returns each filter's kernel, which is why one speaks of impulse responses. The filters are linear. And what \
they see does not depend on where it stands: on a plane that goes on circularly, to shift the image and then filter it is \
to filter it and then shift the result, to the last bit.",
    equations: &[
        "y[i, j] = Σ_{u, v} k[u, v] x[i - u, j - v]",
        "k * (α x + β z) = α (k * x) + β (k * z), \\quad k * S x = S (k * x)",
    ],
    source: file!(),
    run,
};

/// Side of the kernels: what Leung and Malik's widest filters need.
const SIZE: usize = 49;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let bank = FilterBank::leung_malik(SIZE);
    equations(context, &mut finding)?;
    translation(context, &mut finding);
    let (photograph, name) = context.photograph("chelsea.png")?;
    let photograph = photograph.centre(256);
    finding.data = name;
    finding.figure("bank", BANK, kernels(&bank));
    finding.figure("responses", RESPONSES, answers(context, &photograph, &bank)?);
    let gabor = FilterBank::gabor(25, 8.0, 4);
    let waves = gabor.responses::<f32>(context.engine(), &without_mean(&photograph))?;
    finding.figure("gabor", GABOR, strengths(&gabor, &waves));
    Ok(finding)
}

/// Without its mean, the zeros beyond the border are no edge.
fn without_mean(plane: &Plane) -> Plane {
    let mean = mean(plane.values());
    plane.map(|v| v - mean)
}

const BANK: &str = "The 48 filters of Leung and Malik (2001): first and second derivatives of elongated Gaussians in six \
directions and three scales, eight Laplacians of Gaussians, four Gaussians. Each is shown on a scale of its own; mid-grey \
is 0.";
const RESPONSES: &str = "A photograph and what some of the filters respond to it. Headings name the filter: the order of \
its derivative, its width σ in pixels, and the direction in which the derivative is taken. Each response is shown on a \
scale of its own; mid-grey is 0.";
const GABOR: &str = "Gabor filters, even and odd, and below them the strength √(e² + o²) of each pair’s responses e and o: \
how much of the wave there is, wherever its crests lie.";

/// An impulse, and linearity.
fn equations(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let mut worst = 0.0f64;
    for bank in [FilterBank::gaussian_derivatives(15, 2.0, 6), FilterBank::gabor(15, 5.0, 6)] {
        let impulse = Plane::from_fn(15, 15, |y, x| f64::from(u8::from([y, x] == [7, 7])));
        let responses = bank.responses::<f64>(context.engine(), &impulse)?;
        let errors =
            responses.iter().zip(bank.filters()).map(|(r, filter)| r.largest_difference(&filter.kernel));
        worst = errors.fold(worst, f64::max);
    }
    finding.check("an impulse returns each of 24 kernels, largest difference", worst, Expected::Exactly(0.0));

    let small = FilterBank::gaussian_derivatives(9, 1.5, 4);
    let (x, z) = (context.noise(&[1, 0], [40, 33]), context.noise(&[1, 1], [40, 33]));
    let of = |plane: &Plane| small.responses::<f64>(context.engine(), plane);
    let (together, of_x, of_z) = (of(&x.zip(&z, |x, z| 2.0 * x - 3.0 * z))?, of(&x)?, of(&z)?);
    let apart = of_x.iter().zip(&of_z).map(|(x, z)| x.zip(z, |x, z| 2.0 * x - 3.0 * z));
    let error = apart.zip(&together).map(|(a, b)| a.largest_difference(b)).fold(0.0, f64::max);
    finding.check(
        "responses to 2x − 3z against 2 and −3 times those to x and z, largest difference",
        error,
        Expected::AtMost(1e-12),
    );

    let by_hand = small.filters().iter().map(|filter| convolve(&x, &filter.kernel, Border::Zero));
    let error = by_hand.zip(&of_x).map(|(a, b)| a.largest_difference(b)).fold(0.0, f64::max);
    finding.check(
        "the convolution layer against the sum that defines it, largest difference",
        error,
        Expected::AtMost(1e-12),
    );
    Ok(())
}

/// A circular shift commutes with a convolution whose plane goes on circularly.
fn translation(context: &Context, finding: &mut Finding) {
    let bank = FilterBank::gabor(9, 4.0, 4);
    let plane = context.noise(&[2], [37, 50]);
    let mut worst = 0.0f64;
    for (filter, [down, right]) in
        bank.filters().iter().zip([[1, 0], [0, 1], [-5, 11], [18, -25], [3, 3], [-1, -1], [36, 49], [7, 0]])
    {
        let before = convolve(&plane.shifted(down, right), &filter.kernel, Border::Circular);
        let after = convolve(&plane, &filter.kernel, Border::Circular).shifted(down, right);
        worst = worst.max(before.largest_difference(&after));
    }
    finding.check(
        "shift and filter against filter and shift, largest difference",
        worst,
        Expected::Exactly(0.0),
    );
}

fn kernels(bank: &FilterBank) -> Sheet {
    let tile = |filter: &Filter| Raster::signed("", filter.kernel.values(), filter.kernel.size()).width(44.0);
    Sheet::new("48 kernels of a filter bank").gap(8.0).grid(12, bank.filters().iter().map(tile))
}

fn answers(context: &Context, photograph: &Plane, bank: &FilterBank) -> Result<Sheet, Error> {
    let size = photograph.size();
    let first = Raster::grey("photograph", photograph.values(), size, [0.0, 1.0]).width(176.0).smooth();
    // Upright and level edges, a fine slanted bar, upright and level bars, blobs, and a blur.
    let chosen = [12, 15, 20, 30, 33, 38, 46].map(|i| bank.filters()[i].clone());
    let responses =
        FilterBank::new(chosen.to_vec()).responses::<f32>(context.engine(), &without_mean(photograph))?;
    let answer = |(filter, response): (&Filter, &Plane)| {
        // A few extremes must not flatten the rest.
        let most = 0.6 * response.largest();
        Raster::grey(&filter.name, response.values(), size, [-most, most]).width(176.0).smooth()
    };
    let answers = chosen.iter().zip(&responses).map(answer);
    Ok(Sheet::new("A photograph and responses of filters to it")
        .grid(4, std::iter::once(first).chain(answers)))
}

fn strengths(bank: &FilterBank, responses: &[Plane]) -> Sheet {
    let pairs = bank.filters().len() / 2;
    let tile = |i: usize| {
        let filter = &bank.filters()[i];
        Raster::signed(&filter.name, filter.kernel.values(), filter.kernel.size()).width(88.0)
    };
    let strength = |k: usize| {
        let strength = responses[k].zip(&responses[k + pairs], f64::hypot);
        let raster = Raster::grey("", strength.values(), strength.size(), [0.0, 0.6 * strength.largest()]);
        raster.width(198.0).smooth()
    };
    Sheet::new("Gabor filters and the strength of each pair")
        .grid(8, (0..2 * pairs).map(tile))
        .grid(4, (0..pairs).map(strength))
}
