//! Pictures with digits scattered over them, and the windows that a detector of one digit is trained on.

use ocelli_kernels::random::Stream;

use super::Context;
use super::pictures::{Pictures, ink};
use crate::Error;
use crate::baselines::{Area, Labelled, window_label, windows};
use crate::classical::Plane;

/// Height and width of a picture.
pub(super) const PICTURE: [usize; 2] = [40, 64];
/// Height and width of a window, those of an embedded digit.
pub(super) const WINDOW: [usize; 2] = [8, 8];
/// Pixels from one window to the next.
pub(super) const STRIDE: usize = 2;
/// The digit that is looked for.
pub(super) const OBJECT: u32 = 3;
/// Digits of a picture: `OBJECTS` are the one that is looked for.
const DIGITS: usize = 9;
const OBJECTS: usize = 3;
/// Standard deviation of the noise on pixels, whose ink is 1.
const NOISE: f64 = 0.1;

/// A picture with digits on it.
pub(super) struct Scene {
    /// Its pixels, ink from 0 on.
    pub(super) pixels: Plane,
    /// Where the digits are that are looked for.
    pub(super) objects: Vec<Area>,
}

/// `count` pictures with digits of the training images, or with held-out ones.
///
/// # Errors
/// Digits that cannot be read.
pub(super) fn scenes(context: &Context, count: usize, held_out: bool) -> Result<Vec<Scene>, Error> {
    let splits = context.digits()?;
    let set = if held_out { splits.val } else { splits.train };
    let samples = Pictures::of(&*set, &ink(&*set), usize::MAX)?;
    let of = |wanted: bool| -> Vec<usize> {
        (0..samples.len()).filter(|&i| (samples.labels[i] == OBJECT) == wanted).collect()
    };
    let kinds = [of(true), of(false)];
    let scene = |number: usize| {
        let mut stream = context.key(&[54, u64::from(held_out), number as u64]).stream();
        draw(&samples, &kinds, &mut stream)
    };
    Ok((0..count).map(scene).collect())
}

fn draw(samples: &Pictures, kinds: &[Vec<usize>; 2], stream: &mut Stream) -> Scene {
    let [height, width] = PICTURE;
    let mut pixels = Plane::from_fn(height, width, |_, _| NOISE * stream.normal());
    let (mut placed, mut objects): (Vec<Area>, Vec<Area>) = (Vec::new(), Vec::new());
    while placed.len() < DIGITS {
        let wanted = placed.len() < OBJECTS;
        let mut below = |n: usize| stream.below(n as u64) as usize;
        let corner = [below(height - WINDOW[0] + 1), below(width - WINDOW[1] + 1)];
        let kind = &kinds[usize::from(!wanted)];
        let digit = kind[below(kind.len())];
        let area = Area { corner, size: WINDOW };
        // Digits do not touch: what a window holds is then clear.
        if placed.iter().any(|other| other.overlap(&area) > 0.0) {
            continue;
        }
        let [rows, columns] = WINDOW;
        let ink = Plane::new(rows, columns, samples.image(digit).iter().map(|&v| f64::from(v)).collect());
        let inked = pixels.window(corner, WINDOW).zip(&ink, |behind, ink| behind + ink);
        pixels.paste(corner, &inked);
        placed.push(area);
        if wanted {
            objects.push(area);
        }
    }
    Scene { pixels, objects }
}

impl Scene {
    /// The pixels of a window.
    pub(super) fn window(&self, corner: [usize; 2]) -> Vec<f64> {
        self.pixels.window(corner, WINDOW).values().to_vec()
    }

    /// Every window with its label.
    pub(super) fn labelled(&self) -> impl Iterator<Item = ([usize; 2], f64)> + '_ {
        windows(PICTURE, WINDOW, STRIDE)
            .into_iter()
            .map(|corner| (corner, window_label(&Area { corner, size: WINDOW }, &self.objects, 0.5)))
    }
}

/// The windows of pictures: all that hold an object, and of the many others three times as many, at random.
pub(super) fn training_windows(context: &Context, scenes: &[Scene]) -> Labelled {
    const OTHERS: usize = 3;
    let all: Vec<(usize, [usize; 2], f64)> = scenes
        .iter()
        .enumerate()
        .flat_map(|(s, scene)| scene.labelled().map(move |(corner, label)| (s, corner, label)))
        .collect();
    let (yes, mut no): (Vec<_>, Vec<_>) = all.into_iter().partition(|window| window.2 > 0.0);
    context.key(&[55, scenes.len() as u64]).stream().shuffle(&mut no);
    no.truncate(OTHERS * yes.len());
    let mut labelled = Labelled { width: WINDOW[0] * WINDOW[1], ..Labelled::default() };
    for (scene, corner, label) in yes.into_iter().chain(no) {
        labelled.samples.extend(scenes[scene].window(corner));
        labelled.labels.push(label);
    }
    labelled
}
