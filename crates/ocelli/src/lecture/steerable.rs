//! The steerable pyramid: exact, and with bands at every angle.

use std::f64::consts::PI;

use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::classical::{Plane, Steerable};
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "steerable",
    title: "The steerable pyramid",
    part: Part::Classical,
    checklist: &[6],
    about: "Simoncelli and Freeman’s pyramid (1995) splits every level by direction as well. Its bands can be steered: the \
band at any angle is a weighted sum of a few. The masks are built in the frequency domain, a raised cosine of the \
logarithm of the radius times a power of the cosine of the angle, so that their squares add up to 1 everywhere: the image \
comes back exactly but for rounding.",
    equations: &[
        "B_k(r, θ) = H(r) α \\cos^{K-1}(θ - \\frac{πk}{K}), \\quad Σ_k |B_k|^2 + |L|^2 = 1",
        "B_φ = Σ_{k=0}^{K-1} s_k(φ) B_k, \\quad s_k(φ) = \\frac{1}{K} Σ_m \\cos(m (\\frac{πk}{K} - φ)), \\quad m = -(K-1), -(K-3), …, K-1",
    ],
    source: file!(),
    run,
};

/// Orientations of the pyramid.
const ORIENTATIONS: usize = 4;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let (photograph, name) = context.photograph("camera.png")?;
    let photograph = photograph.centre(256);
    finding.data = name;
    let error = |plane: &Plane, levels, orientations| {
        Steerable::new(plane, levels, orientations).collapse().largest_difference(plane)
    };
    let noise = context.noise(&[6, 0], [256, 256]);
    finding.check(
        "256×256 white noise, 4 levels, 4 directions: largest error",
        error(&noise, 4, 4),
        Expected::AtMost(1e-10),
    );
    let odd = context.noise(&[6, 1], [135, 99]);
    finding.check(
        "135×99 white noise, 3 levels, 5 directions: largest error",
        error(&odd, 3, 5),
        Expected::AtMost(1e-10),
    );
    finding.check(
        "the photograph, 5 levels, 6 directions: largest error",
        error(&photograph, 5, 6),
        Expected::AtMost(1e-10),
    );

    let pyramid = Steerable::new(&photograph, 3, ORIENTATIONS);
    let angles = [0.1, 0.7, PI / 3.0, 2.0, 3.0];
    let errors = angles.map(|angle| {
        let direct = Steerable::finest_band(&photograph, ORIENTATIONS, angle);
        pyramid.steered(0, angle).largest_difference(&direct)
    });
    let worst = errors.into_iter().fold(0.0, f64::max);
    finding.check(
        "a steered band against the one computed at its angle, largest difference",
        worst,
        Expected::AtMost(1e-10),
    );
    finding.figure("bands", BANDS, bands(&photograph, &pyramid));
    let curves = tuning(&mut finding);
    finding.figure("tuning", TUNING, curves);
    Ok(finding)
}

const BANDS: &str =
    "A photograph and its bands: three levels, four directions. Each band is on a scale of its own.";
const TUNING: &str = "How strongly the finest band responds to waves whose normals point at 25°, as it is steered over all \
angles. The dots are the bands of the pyramid; what lies between them was never filtered, it is their weighted sum.";

fn bands(photograph: &Plane, pyramid: &Steerable) -> Sheet {
    let mut sheet = Sheet::new("Bands of a steerable pyramid")
        .add(
            Raster::grey("photograph", photograph.values(), photograph.size(), [0.0, 1.0])
                .width(150.0)
                .smooth(),
        )
        .add(Raster::signed("finer than all bands", pyramid.high.values(), pyramid.high.size()).width(150.0))
        .add(
            Raster::grey("coarser than all bands", pyramid.rest.values(), pyramid.rest.size(), [0.0, 1.0])
                .width(150.0),
        );
    for (level, bands) in pyramid.bands.iter().enumerate() {
        let drawn = |(k, band): (usize, &Plane)| {
            let angle = 180.0 * k as f64 / bands.len() as f64;
            let title = if level == 0 { format!("{angle}°") } else { String::new() };
            let most = 0.5 * band.largest();
            Raster::grey(&title, band.values(), band.size(), [-most, most]).width(150.0)
        };
        sheet = sheet.grid(bands.len(), bands.iter().enumerate().map(drawn));
    }
    sheet
}

fn tuning(finding: &mut Finding) -> Sheet {
    let angle = 25f64.to_radians();
    // A wavelength of 2.8 pixels: in the middle of the finest band.
    let wave = Plane::from_fn(64, 64, |y, x| {
        (2.0 * PI / 2.8 * (x as f64 * angle.cos() + y as f64 * angle.sin())).sin()
    });
    let pyramid = Steerable::new(&wave, 2, ORIENTATIONS);
    let strength = |degrees: f64| (pyramid.steered(0, degrees.to_radians()).energy() / 64.0 / 64.0).sqrt();
    let curve: Vec<[f64; 2]> = (0..=180).map(|d| [f64::from(d), strength(f64::from(d))]).collect();
    let best = curve.iter().max_by(|a, b| a[1].total_cmp(&b[1])).expect("angles");
    finding.check(
        "the angle of the strongest steered band for waves at 25°, degrees",
        best[0],
        Expected::Between(23.0, 27.0),
    );
    let basis = (0..ORIENTATIONS).map(|k| 180.0 * k as f64 / ORIENTATIONS as f64);
    let dots: Vec<[f64; 2]> = basis.map(|degrees| [degrees, strength(degrees)]).collect();
    Sheet::new("Tuning of a steered band").add(
        Plot::new("response to waves at 25°", "angle of the band, degrees", "root mean square")
            .size(480.0, 280.0)
            .colored("steered", Mark::Line, 0, curve)
            .colored("bands of the pyramid", Mark::Dots, 1, dots)
            .rule_x(25.0, "25°"),
    )
}
