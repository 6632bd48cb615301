//! Varying one picture after another.

use ocelli_kernels::random::Key;
use ocelli_kernels::{Vectorised, vectorised};

use super::affine::Affine;
use super::elastic::Field;
use super::jitter::Jitter;
use super::policy::Drawn;
use super::warp::{Framed, Map, Resample};
use super::{Augment, Draw, jitter, part};
use crate::geometry::Window;
use crate::resize::{Drawing, Line, Pattern, Resizer};
use crate::{Normalise, Picture, Preprocess};

/// Carries out an [`Augment`] with memory that is kept from image to image. One for each thread.
#[derive(Clone, Debug)]
pub(crate) struct Augmenter {
    augment: Augment,
    spec: Preprocess,
    lines: Vec<Line>,
    /// What erased pixels become.
    blank: Vec<f32>,
    elastic: Option<Field>,
    resizer: Resizer,
    framed: Framed,
    /// A picture scaled down before it is moved, or what a change of tone needs.
    copy: Vec<f32>,
}

/// What is done to values once they are in their places.
struct Recolour<'a, const C: usize> {
    image: &'a mut [[f32; C]],
    width: usize,
    drawn: &'a Drawn,
    jitter: Option<jitter::Drawn>,
    lines: &'a [Line],
    copy: &'a mut Vec<f32>,
}

impl<const C: usize> Vectorised for Recolour<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Recolour { image, width, drawn, jitter, lines, copy } = self;
        for tone in drawn.tones() {
            tone.apply(image, width, copy);
        }
        match jitter {
            Some(jitter) => jitter.apply(image, lines),
            None => Pattern::new(lines).in_place(image.as_flattened_mut()),
        }
    }
}

/// A window is scaled down before pixels are moved where it has more than this of the output's size: bilinear interpolation
/// alone would skip pixels.
const MOST_SKIPPED: f64 = 1.25;

/// Draws values as they are.
const SAME: [Line; 3] = [Line::SAME; 3];

impl Augmenter {
    /// For strengths that [`Augment::check`] accepts, and pictures that become what `spec` says.
    pub(crate) fn new(augment: &Augment, spec: &Preprocess) -> Augmenter {
        let lines = spec.lines();
        let blank = match spec.normalise {
            Normalise::MeanStd { .. } => vec![0.0; spec.channels],
            Normalise::Range { .. } => lines.iter().map(|l| l.at(f32::from(spec.background))).collect(),
        };
        Augmenter {
            elastic: augment.elastic.as_ref().map(Field::new),
            augment: augment.clone(),
            spec: spec.clone(),
            lines,
            blank,
            resizer: Resizer::default(),
            framed: Framed::default(),
            copy: Vec::new(),
        }
    }

    /// Writes `picture`, which has the channels of the input, varied as `draw` says, to `out`.
    pub(crate) fn apply(&mut self, picture: &Picture, draw: Draw, out: &mut [f32]) {
        match self.spec.channels {
            1 => self.apply_channels::<1>(picture, draw, out),
            3 => self.apply_channels::<3>(picture, draw, out),
            channels => panic!("pictures have 1 or 3 channels, not {channels}"),
        }
    }

    fn apply_channels<const C: usize>(&mut self, picture: &Picture, draw: Draw, out: &mut [f32]) {
        let key = draw.key();
        let [_, height, width] = self.spec.input_shape();
        assert_eq!(out.len(), height * width * C, "the length of an input");
        let drawn = self.augment.policy.map_or(Drawn::NONE, |policy| {
            policy.draw(self.spec.size, &mut key.derive(part::POLICY).stream())
        });
        let lines = self.shifted_lines::<C>(key);
        let jitter = (self.augment.jitter != Jitter::NONE)
            .then(|| self.augment.jitter.draw(&mut key.derive(part::JITTER).stream()));
        let has_tones = jitter.is_some() || drawn.tones().next().is_some();
        let first = if has_tones { &SAME[..C] } else { &lines[..] };
        let flip = draw.is_mirrored(self.augment.flip);
        self.place(picture, &drawn, key, flip, first, out);
        let (pixels, _) = out.as_chunks_mut::<C>();
        if has_tones {
            let copy = &mut self.copy;
            vectorised(Recolour { image: pixels, width, drawn: &drawn, jitter, lines: &lines, copy });
        }
        if let Some(erase) = &self.augment.erase {
            let blank = std::array::from_fn(|c| self.blank[c]);
            erase.apply(pixels, width, blank, &mut key.derive(part::ERASE).stream());
        }
    }

    /// What normalises the channels of an image whose colours are shifted first.
    fn shifted_lines<const C: usize>(&self, key: Key) -> [Line; C] {
        let shift = match &self.augment.colour {
            Some(colour) if C == 3 => colour.draw(&mut key.derive(part::COLOUR).stream()),
            _ => [0.0; 3],
        };
        std::array::from_fn(|c| {
            let Line { slope, offset } = self.lines[c];
            Line { slope, offset: offset + shift[c] * slope }
        })
    }

    /// Takes the part of the picture, and moves it.
    fn place(
        &mut self,
        picture: &Picture,
        drawn: &Drawn,
        key: Key,
        flip: bool,
        lines: &[Line],
        out: &mut [f32],
    ) {
        let (augment, spec) = (&self.augment, &self.spec);
        let size = [picture.height, picture.width];
        let window = augment.crop.draw(size, spec, &mut key.derive(part::CROP).stream());
        let mut stream = key.stream();
        let affine = Affine::draw(augment, &mut stream).then(&drawn.movement);
        let Preprocess { size, pad, background, .. } = *spec;
        if affine == Affine::IDENTITY && augment.elastic.is_none() {
            let drawing = Drawing { window, flip, size, pad, background, lines };
            return self.resizer.draw(picture, &drawing, out);
        }
        let (height, width) = (size[0] + 2 * pad, size[1] + 2 * pad);
        if let Some(field) = &mut self.elastic {
            field.draw(height, width, &mut stream);
        }
        let (window, flip) = self.frame(picture, window, flip);
        let displacement = self.elastic.as_ref();
        let map = Map { affine, displacement, window, inner: size, flip, height, width };
        vectorised(Resample { map: &map, source: &self.framed, lines, out });
    }

    /// Puts the picture into the frame that is resampled, and says which part of that to take, and whether mirrored.
    fn frame(&mut self, picture: &Picture, window: Window, flip: bool) -> (Window, bool) {
        let Preprocess { size, background, channels, .. } = self.spec;
        let shrinks = |length: f64, size: usize| length > MOST_SKIPPED * size as f64;
        if !shrinks(window.width, size[1]) && !shrinks(window.height, size[0]) {
            self.framed.fill(&picture.pixels, picture.shape(), background);
            return (window, flip);
        }
        self.copy.resize(size[0] * size[1] * channels, 0.0);
        let drawing = Drawing { window, flip, size, pad: 0, background, lines: &SAME[..channels] };
        self.resizer.draw(picture, &drawing, &mut self.copy);
        self.framed.fill(&self.copy, [channels, size[0], size[1]], background);
        (Window::whole(size), false)
    }
}
