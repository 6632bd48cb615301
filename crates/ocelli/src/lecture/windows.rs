//! A sliding window: how many there are, that they miss nothing, and what they are called.

use super::scenes::{OBJECT, PICTURE, STRIDE, WINDOW, scenes};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::baselines::{Area, window_count, window_label, windows};
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "windows",
    title: "A window that slides over the picture",
    part: Part::Training,
    checklist: &[54, 55],
    about: "To find objects, a classifier looks through a window at every place of the picture. Windows overlap, so that no object \
falls between two of them; how many there are follows from the sizes and the stride, and where the last step would not end at the \
border, one more window stands flush with it, so that every pixel is seen.\n\n\
A window that overlaps an object by half or more (intersection over union) is labelled y = 1, every other one y = −1, and the \
classifier answers with the sign of F(x): its threshold is 0. Most windows hold nothing.",
    equations: &[
        "N = (⌈\\frac{H − h}{s}⌉ + 1)(⌈\\frac{W − w}{s}⌉ + 1)",
        "y = 1 \\quad \"if\" \\quad \\frac{|A ∩ B|}{|A ∪ B|} ≥ \\frac{1}{2}, \\quad y = −1 \\quad \"otherwise\"",
    ],
    source: file!(),
    run,
};

fn run(context: &Context) -> Result<Finding, Error> {
    let scene = scenes(context, 1, false)?.remove(0);
    let mut finding = Finding { data: "embedded digits, scattered".to_owned(), ..Finding::default() };
    let places = windows(PICTURE, WINDOW, STRIDE);
    finding.check(
        "windows of 8×8 pixels, 2 apart, in a picture of 40×64",
        places.len() as f64,
        Expected::Exactly(17.0 * 29.0),
    );
    let mut mismatches = 0;
    let mut uncovered = 0;
    let mut cases = 0;
    for height in 1..=9 {
        for (width, window, stride) in (5..=13).flat_map(|w| [(w, 4, 1), (w, 4, 3), (w, 5, 4)]) {
            let found = windows([height, width], [window.min(3), window], stride);
            mismatches +=
                usize::from(found.len() != window_count([height, width], [window.min(3), window], stride));
            if height >= 3 && stride <= 3 {
                let counts = coverage(&found, [height, width], [3, window]);
                uncovered += counts.iter().filter(|count| **count == 0.0).count();
            }
            cases += 1;
        }
    }
    finding.check(
        format!("{cases} other sizes: counts that differ from the formula"),
        mismatches as f64,
        Expected::Exactly(0.0),
    );
    finding.check("the same: pixels that no window covers", uncovered as f64, Expected::Exactly(0.0));

    let labels: Vec<([usize; 2], f64)> = scene.labelled().collect();
    let yes = labels.iter().filter(|(_, y)| *y > 0.0).count();
    finding.holds("labels are +1 and −1 and nothing else", labels.iter().all(|(_, y)| y.abs() == 1.0));
    finding.check(
        "windows labelled +1 in the picture below",
        yes as f64,
        Expected::AtLeast(scene.objects.len() as f64),
    );
    let object = [Area { corner: [0, 0], size: WINDOW }];
    let label = |moved: usize| window_label(&Area { corner: [0, moved], size: WINDOW }, &object, 0.5);
    finding.holds("2 pixels aside (overlap 0.6) is +1, 3 (0.45) is −1", label(2) == 1.0 && label(3) == -1.0);
    finding.figure(
        "labels",
        format!(
            "Left: a picture in which each digit {OBJECT} is to be found; orange frames are the windows labelled +1. Middle: how many windows \
             see each pixel. Right: how the overlap of a window with an object of its size falls as it moves aside, and where the label \
             changes."
        ),
        sheet(scene.pixels.values(), &labels, &places),
    );
    Ok(finding)
}

/// How many windows see each pixel.
fn coverage(places: &[[usize; 2]], [height, width]: [usize; 2], window: [usize; 2]) -> Vec<f64> {
    let mut counts = vec![0.0; height * width];
    for [row, column] in places {
        for y in *row..row + window[0] {
            counts[y * width + column..][..window[1]].iter_mut().for_each(|count| *count += 1.0);
        }
    }
    counts
}

fn sheet(pixels: &[f64], labels: &[([usize; 2], f64)], places: &[[usize; 2]]) -> Sheet {
    let seen = coverage(places, PICTURE, WINDOW);
    let most = seen.iter().copied().fold(0.0, f64::max);
    let aside = |moved: f64| (8.0 - moved).max(0.0) / (8.0 + moved.min(8.0));
    let curve = Plot::new("", "pixels aside", "intersection over union")
        .size(290.0, 225.0)
        .y_limits(0.0, 1.0)
        .series(
            "",
            Mark::Line,
            (0..=80).map(|i| [f64::from(i) / 10.0, aside(f64::from(i) / 10.0)]).collect::<Vec<_>>(),
        )
        .rule_y(0.5, "y = 1 from here on");
    Sheet::new("A picture, its windows and their labels")
        .add(
            Raster::pixels(
                "windows labelled +1",
                framed(pixels, labels),
                [PICTURE[0] * SCALE, PICTURE[1] * SCALE, 3],
            )
            .width(320.0),
        )
        .add(
            Raster::grey("windows that see a pixel", &seen, PICTURE, [0.0, most])
                .width(320.0)
                .note(&format!("black 0, white {most}")),
        )
        .add(curve)
}

/// Pixels of the drawing per pixel of the picture.
const SCALE: usize = 5;

/// The picture enlarged, dark ink on bright paper, with a frame around each window labelled +1.
fn framed(pixels: &[f64], labels: &[([usize; 2], f64)]) -> Vec<u8> {
    let (height, width) = (PICTURE[0] * SCALE, PICTURE[1] * SCALE);
    let mut rgb = Vec::with_capacity(height * width * 3);
    for k in 0..height * width {
        let ink = pixels[k / width / SCALE * PICTURE[1] + k % width / SCALE];
        rgb.extend([(250.0 - 220.0 * ink.clamp(0.0, 1.0)) as u8; 3]);
    }
    for ([row, column], _) in labels.iter().filter(|(_, y)| *y > 0.0) {
        let (top, left) = (row * SCALE, column * SCALE);
        let (bottom, right) = (top + WINDOW[0] * SCALE - 1, left + WINDOW[1] * SCALE - 1);
        let mut dot = |y: usize, x: usize| rgb[(y * width + x) * 3..][..3].copy_from_slice(&[217, 107, 31]);
        (left..=right).for_each(|x| [top, bottom].into_iter().for_each(|y| dot(y, x)));
        (top..=bottom).for_each(|y| [left, right].into_iter().for_each(|x| dot(y, x)));
    }
    rgb
}
