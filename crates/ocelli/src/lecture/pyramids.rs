//! Gaussian and Laplacian pyramids: sizes, constants, reconstruction, and scale.

use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::classical::{Laplacian, Plane, binomial, burt_adelson, gaussian_pyramid, reduce};
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "pyramids",
    title: "The Gaussian and the Laplacian pyramid",
    part: Part::Classical,
    checklist: &[3, 4, 7],
    about: "To see things of any size, blur the image and drop every second row and column, again and again: the Gaussian \
pyramid of Burt and Adelson (1983). What each level has and the next one lacks is a band of the Laplacian pyramid. From \
the bands and the last level the image comes back exactly but for rounding, whatever the kernel was and whether sizes are \
even or odd.\n\n\
A thing of twice the size looks the same one level higher up.",
    equations: &[
        "g_{l+1} = \"reduce\"(g_l), \\quad w = [\\frac{1}{4} - \\frac{a}{2}, \\frac{1}{4}, a, \\frac{1}{4}, \\frac{1}{4} - \\frac{a}{2}]",
        "L_l = g_l - \"expand\"(g_{l+1}), \\quad g_l = L_l + \"expand\"(g_{l+1})",
    ],
    source: file!(),
    run,
};

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let (photograph, name) = context.photograph("camera.png")?;
    let photograph = photograph.centre(256);
    finding.data = name;
    sizes(&mut finding);
    reconstruction(context, &photograph, &mut finding);
    finding.figure("gaussian", GAUSSIAN, levels(&gaussian_pyramid(&photograph, 5, &binomial())));
    let laplacian = Laplacian::new(&photograph, 5, &binomial());
    finding.figure("laplacian", LAPLACIAN, bands(&laplacian));
    let curves = scale(context, &mut finding);
    finding.figure("scale", SCALE, curves);
    Ok(finding)
}

const GAUSSIAN: &str =
    "The Gaussian pyramid of a photograph: each level has half the rows and columns of the one before.";
const LAPLACIAN: &str = "Its Laplacian pyramid, each band enlarged to the same size and on a scale of its own, mid-grey 0; \
the last level; and the photograph that they add up to.";
const SCALE: &str = "Blobs of three sizes, each twice the one before, and the root mean square of every band of their \
Laplacian pyramids: with each doubling the curve moves by one level.";

fn sizes(finding: &mut Finding) {
    let kernel = burt_adelson(0.4);
    let mut wrong = 0;
    let mut deviation = 0.0f64;
    for height in 1..=40 {
        for width in [1, 2, 7, 8, 33] {
            let constant = Plane::from_fn(height, width, |_, _| 0.7);
            let reduced = reduce(&constant, &kernel);
            wrong += u32::from(reduced.size() != [height.div_ceil(2), width.div_ceil(2)]);
            for level in gaussian_pyramid(&constant, 5, &kernel) {
                deviation =
                    deviation.max(level.values().iter().fold(0.0, |most, v| (v - 0.7).abs().max(most)));
            }
        }
    }
    finding.check("sizes 1 to 40 that are not halved to ⌈n/2⌉", f64::from(wrong), Expected::Exactly(0.0));
    finding.check("a constant through five levels, largest deviation", deviation, Expected::AtMost(1e-15));
}

fn reconstruction(context: &Context, photograph: &Plane, finding: &mut Finding) {
    let error = |plane: &Plane, kernel: &[f64; 5]| {
        Laplacian::new(plane, 9, kernel).collapse().largest_difference(plane)
    };
    let noise = context.noise(&[4, 0], [256, 256]);
    let found = error(&noise, &burt_adelson(0.375));
    finding.said(
        "collapse of 256×256 white noise, largest error",
        found,
        Expected::AtMost(1e-12),
        "rounding alone, 9e-16",
    );
    let odd = context.noise(&[4, 1], [255, 201]);
    finding.check(
        "collapse of 255×201 white noise, largest error",
        error(&odd, &burt_adelson(0.4)),
        Expected::AtMost(1e-12),
    );
    finding.check(
        "collapse with a kernel that is no blur at all, largest error",
        error(&noise, &[0.3, -0.2, 0.5, 0.1, 0.3]),
        Expected::AtMost(1e-12),
    );
    finding.check(
        "collapse of the photograph, largest error",
        error(photograph, &binomial()),
        Expected::AtMost(1e-12),
    );
}

fn levels(pyramid: &[Plane]) -> Sheet {
    pyramid.iter().fold(Sheet::new("Levels of a Gaussian pyramid"), |sheet, level| {
        let [height, width] = level.size();
        let title = if width >= 64 { format!("{height}×{width}") } else { String::new() };
        sheet.add(Raster::grey(&title, level.values(), level.size(), [0.0, 1.0]).width(width as f64))
    })
}

fn bands(laplacian: &Laplacian) -> Sheet {
    let band = |(l, band): (usize, &Plane)| {
        let most = 0.7 * band.largest();
        Raster::grey(&format!("band {l}"), band.values(), band.size(), [-most, most]).width(168.0)
    };
    let rest =
        Raster::grey("last level", laplacian.rest.values(), laplacian.rest.size(), [0.0, 1.0]).width(168.0);
    let whole = laplacian.collapse();
    let whole = Raster::grey("all added up", whole.values(), whole.size(), [0.0, 1.0]).width(168.0).smooth();
    let panels = laplacian.bands.iter().enumerate().map(band).chain([rest, whole]);
    Sheet::new("Bands of a Laplacian pyramid").grid(3, panels)
}

/// Blobs of a size at random places, of either sign, each with a surround that makes up for it: a band of frequencies.
fn blobs(context: &Context, radius: f64) -> Plane {
    let mut stream = context.key(&[7]).stream();
    const SIDE: usize = 256;
    let mut plane = Plane::zeros(SIDE, SIDE);
    // The same places at each size; enough of them to cover the plane.
    for i in 0..24 {
        let (cy, cx) = (stream.uniform() * SIDE as f64, stream.uniform() * SIDE as f64);
        let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
        let blob = Plane::from_fn(SIDE, SIDE, |y, x| {
            let (dy, dx) = (y as f64 - cy, x as f64 - cx);
            let square = (dy * dy + dx * dx) / (radius * radius);
            sign * (1.0 - square / 2.0) * (-square / 2.0).exp()
        });
        plane = plane.zip(&blob, |a, b| a + b);
    }
    plane
}

fn scale(context: &Context, finding: &mut Finding) -> Sheet {
    let radii = [2.0, 4.0, 8.0];
    let mut plot =
        Plot::new("strength of each band", "level of the pyramid", "root mean square").size(400.0, 270.0);
    let mut peaks = Vec::new();
    let mut sheet = Sheet::new("Blobs of three sizes, and the bands of their pyramids");
    for (color, radius) in radii.into_iter().enumerate() {
        let plane = blobs(context, radius);
        let pyramid = Laplacian::new(&plane, 8, &binomial());
        let rms: Vec<f64> =
            pyramid.bands.iter().map(|band| (band.energy() / band.values().len() as f64).sqrt()).collect();
        let peak = (0..rms.len()).max_by(|&a, &b| rms[a].total_cmp(&rms[b])).expect("bands");
        peaks.push(peak);
        let points = rms.iter().enumerate().map(|(level, &rms)| [level as f64, rms]);
        plot = plot.colored(&format!("radius {radius}"), Mark::Line, color, points.clone()).colored(
            "",
            Mark::Dots,
            color,
            points,
        );
        let title = format!("radius {radius}");
        sheet = sheet.add(Raster::signed(&title, plane.values(), plane.size()).width(126.0).framed(color));
    }
    for (i, pair) in peaks.windows(2).enumerate() {
        let what = format!("levels by which the peak moves from radius {} to {}", radii[i], radii[i + 1]);
        finding.check(what, pair[1] as f64 - pair[0] as f64, Expected::Exactly(1.0));
    }
    sheet.add(plot)
}
