//! Pictures of a data set as plain numbers, for experiments that look at them in their own way.

use ocelli_data::{Dataset, Fit, Normalise, Picture, Preprocess, Preprocessor};

use crate::Error;
use crate::spread::spread;

/// Pictures as a network takes them, with their classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    /// M×width, each picture H·W·C.
    pub(super) images: Vec<f32>,
    /// M classes.
    pub(super) labels: Vec<u32>,
    /// C×H×W of a picture.
    pub(super) shape: [usize; 3],
}

impl Pictures {
    /// At most `most` pictures of a data set, evenly spaced.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub(super) fn of(dataset: &dyn Dataset, preprocess: &Preprocess, most: usize) -> Result<Pictures, Error> {
        let mut preprocessor = Preprocessor::new(preprocess)?;
        let shape = preprocess.input_shape();
        let (width, count) = (shape.iter().product(), dataset.len().min(most));
        let mut samples =
            Pictures { images: vec![0.0; count * width], labels: Vec::with_capacity(count), shape };
        let mut picture = Picture::default();
        for (i, image) in spread(count, dataset.len()).zip(samples.images.chunks_exact_mut(width)) {
            dataset.read(i, &mut picture)?;
            preprocessor.apply(&picture, image);
            samples.labels.push(dataset.label(i));
        }
        Ok(samples)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Numbers of one picture.
    pub(super) fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// One picture.
    pub(super) fn image(&self, i: usize) -> &[f32] {
        &self.images[i * self.width()..][..self.width()]
    }

    /// The pictures, each made another one of as many numbers.
    pub(super) fn map(&self, change: impl FnMut(&[f32]) -> Vec<f32>) -> Pictures {
        let images = self.images.chunks_exact(self.width()).flat_map(change).collect();
        Pictures { images, labels: self.labels.clone(), shape: self.shape }
    }

    /// The share of pictures for which `classify` does not give the right class.
    pub(super) fn error(&self, mut classify: impl FnMut(&[f32]) -> u32) -> f64 {
        let images = self.images.chunks_exact(self.width()).zip(&self.labels);
        let wrong = images.filter(|(image, label)| classify(image) != **label).count();
        wrong as f64 / self.len().max(1) as f64
    }
}

/// Grey pictures as ink from 0 to 1, in their own size.
pub(super) fn ink(dataset: &dyn Dataset) -> Preprocess {
    let [_, height, width] = dataset.image_shape();
    Preprocess {
        channels: 1,
        size: [height, width],
        fit: Fit::Stretch,
        pad: 0,
        background: 0,
        normalise: Normalise::Range { low: 0.0, high: 1.0 },
    }
}
