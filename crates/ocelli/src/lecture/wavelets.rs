//! Wavelets and quadrature mirror filters: how well they lead back.

use std::f64::consts::PI;

use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::classical::{Complex, Plane, Subbands, Wavelet};
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "wavelets",
    title: "Wavelets and quadrature mirror filters",
    part: Part::Classical,
    checklist: &[5],
    about: "A pair of filters splits an image into low and high, along rows and along columns: four bands, a quarter of \
the pixels each, as many numbers as before. Where the filters are orthogonal, the transposed transform is the inverse: \
Haar’s and Daubechies’ are, to the digits in which they are printed. Among wavelets of finite length only Haar’s are \
symmetric as well (Daubechies 1992); the quadrature mirror filters of Johnston (1980) and of Simoncelli and Adelson (1990) \
are symmetric and nearly orthogonal, and lead back nearly.\n\n\
How nearly is what their squared magnitudes tell, which should add up to 2 at every frequency. Errors are the largest in \
256×256 pixels of white noise of variance 1 through six levels, averaged over 32 planes of noise; the figures beside them \
were computed independently for this project.",
    equations: &["g[n] = (-1)^n h[1 - n], \\quad |H(ω)|^2 + |H(ω + π)|^2 = 2"],
    source: file!(),
    run,
};

/// How deep pyramids are.
const LEVELS: usize = 6;
/// Planes of noise that errors are averaged over.
const PLANES: u64 = 32;

/// The filters, with what their error should be: at most, or about.
fn filters() -> [(Wavelet, Expected); 10] {
    let about = |error| Expected::Near(error, 0.1);
    [
        (Wavelet::haar(), Expected::AtMost(1e-14)),
        (Wavelet::daubechies(2), Expected::AtMost(1e-10)),
        (Wavelet::daubechies(3), Expected::AtMost(1e-10)),
        (Wavelet::daubechies(4), Expected::AtMost(1e-10)),
        (Wavelet::qmf(5), about(6.8e-2)),
        (Wavelet::qmf(8), about(3.1e-2)),
        (Wavelet::qmf(9), about(1.1e-2)),
        (Wavelet::qmf(12), about(1.2e-2)),
        (Wavelet::qmf(13), about(2.7e-2)),
        (Wavelet::qmf(16), about(5e-3)),
    ]
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    for (wavelet, expected) in filters() {
        let errors = (0..PLANES).map(|i| {
            let noise = context.noise(&[5, i], [256, 256]);
            wavelet.synthesise(&wavelet.analyse(&noise, LEVELS)).largest_difference(&noise)
        });
        let mean = errors.sum::<f64>() / PLANES as f64;
        finding.check(
            format!("{}, {} taps: largest error", wavelet.name, wavelet.taps().len()),
            mean,
            expected,
        );
    }
    let (photograph, name) = context.photograph("camera.png")?;
    let photograph = photograph.centre(256);
    finding.data = format!("white noise, and {name} for the figure");
    let wavelet = Wavelet::qmf(9);
    let subbands = wavelet.analyse(&photograph, 3);
    let error = wavelet.synthesise(&subbands).largest_difference(&photograph);
    finding.check("QMF 9, the photograph through three levels: largest error", error, Expected::AtMost(2e-2));
    finding.figure("bands", BANDS, mosaic(&photograph, &subbands));
    finding.figure("magnitudes", MAGNITUDES, magnitudes());
    Ok(finding)
}

const BANDS: &str = "A photograph, and its bands after three levels of the filters of nine taps. In the upper left corner \
stands what is low along rows and columns; on its right what is high along rows, upright edges; below it what is high \
along columns, level edges; and across from it what is high along both. In these mid-grey is 0.";
const MAGNITUDES: &str =
    "Why the mirror filters reconstruct nearly: the squared magnitudes of both bands add up to nearly 2.";

/// All bands at their places, the rest in the corner.
fn mosaic(photograph: &Plane, subbands: &Subbands) -> Sheet {
    let mut whole = normalised_rest(&subbands.rest);
    // Details are symmetric about mid-grey.
    let detail = |plane: &Plane| {
        let most = 0.6 * plane.largest();
        plane.map(|v| 0.5 + 0.5 * v / most)
    };
    for [a, b, c] in subbands.details.iter().rev() {
        whole = Plane::tiled(&[whole, detail(a), detail(b), detail(c)], 2, 0, 0.0);
    }
    Sheet::new("A photograph and its wavelet transform")
        .add(
            Raster::grey("photograph", photograph.values(), photograph.size(), [0.0, 1.0])
                .width(320.0)
                .smooth(),
        )
        .add(Raster::grey("three levels of bands", whole.values(), whole.size(), [0.0, 1.0]).width(320.0))
}

fn normalised_rest(rest: &Plane) -> Plane {
    let most = rest.largest();
    rest.map(|v| v / most)
}

/// |H(ω)|² + |H(ω + π)|² over ω.
fn magnitudes() -> Sheet {
    let curve = |wavelet: &Wavelet| -> Vec<[f64; 2]> {
        let square = |omega: f64| {
            let terms = wavelet
                .taps()
                .iter()
                .enumerate()
                .map(|(k, &tap)| Complex::turn(-omega * k as f64).scaled(tap));
            terms.fold(Complex::default(), |sum, term| sum + term).magnitude().powi(2)
        };
        let at = |i: usize| PI * i as f64 / 200.0;
        (0..=200).map(|i| [at(i) / PI, square(at(i)) + square(at(i) + PI)]).collect()
    };
    let plot = |title: &str, wavelets: &[Wavelet], limits: [f64; 2]| {
        let plot = Plot::new(title, "frequency ω/π", "|H(ω)|² + |H(ω + π)|²").y_limits(limits[0], limits[1]);
        wavelets.iter().fold(plot, |plot, wavelet| plot.series(wavelet.name, Mark::Line, curve(wavelet)))
    };
    let odd = [Wavelet::qmf(5), Wavelet::qmf(9), Wavelet::qmf(13), Wavelet::daubechies(4)];
    let even = [Wavelet::qmf(8), Wavelet::qmf(12), Wavelet::qmf(16), Wavelet::haar()];
    Sheet::new("Sums of squared magnitudes of quadrature mirror filters")
        .add(plot("odd lengths, and Daubechies’ four moments", &odd, [1.94, 2.06]))
        .add(plot("even lengths, and Haar", &even, [1.94, 2.06]))
}
