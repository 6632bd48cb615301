//! Carrying out what [`Preprocess`] describes, picture after picture.

use crate::augment::{Augment, Augmenter, Draw};
use crate::picture::Flat;
use crate::resize::{Drawing, Line, Resizer};
use crate::{DataError, Picture, Preprocess, View};

/// Carries out a [`Preprocess`], with memory that is kept from picture to picture. One for each thread.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    spec: Preprocess,
    /// Per channel the line that normalises.
    lines: Vec<Line>,
    augmenter: Option<Augmenter>,
    flat: Flat,
    resizer: Resizer,
}

impl Preprocessor {
    /// For `spec`.
    ///
    /// # Errors
    /// Those of [`Preprocess::check`].
    pub fn new(spec: &Preprocess) -> Result<Preprocessor, DataError> {
        spec.check()?;
        Ok(Preprocessor {
            spec: spec.clone(),
            lines: spec.lines(),
            augmenter: None,
            flat: Flat::default(),
            resizer: Resizer::default(),
        })
    }

    /// For training: [`Preprocessor::apply_augmented`] then varies pictures as `augment` says.
    ///
    /// # Errors
    /// Those of [`Augment::check`].
    pub fn with_augment(mut self, augment: &Augment) -> Result<Preprocessor, DataError> {
        augment.check()?;
        self.augmenter = (*augment != Augment::NONE).then(|| Augmenter::new(augment, &self.spec));
        Ok(self)
    }

    /// The shape [C, H, W] of the network's input.
    pub fn input_shape(&self) -> [usize; 3] {
        self.spec.input_shape()
    }

    /// Writes `picture`, of any size, to `out` as the network takes it, H·W·C.
    /// Panics where `out` is not as long as [`Preprocess::input_shape`] says.
    pub fn apply(&mut self, picture: &Picture, out: &mut [f32]) {
        self.view(picture, View::CENTRE, out);
    }

    /// [`Preprocessor::apply`] in another view: a network that is shown several, and whose answers are averaged, is right
    /// more often ([`View::FLIP`], [`View::TEN_CROP`]).
    pub fn view(&mut self, picture: &Picture, view: View, out: &mut [f32]) {
        let spec = &self.spec;
        let picture = self.flat.of(picture, spec.channels, spec.background);
        let drawing = Drawing {
            window: spec.fit.window([picture.height, picture.width], spec.size, view.crop),
            flip: view.flip,
            size: spec.size,
            pad: spec.pad,
            background: spec.background,
            lines: &self.lines,
        };
        self.resizer.draw(picture, &drawing, out);
    }

    /// [`Preprocessor::apply`] to `picture` varied as `draw` says.
    pub fn apply_augmented(&mut self, picture: &Picture, draw: Draw, out: &mut [f32]) {
        let Some(augmenter) = &mut self.augmenter else {
            return self.apply(picture, out);
        };
        augmenter.apply(self.flat.of(picture, self.spec.channels, self.spec.background), draw, out);
    }
}
