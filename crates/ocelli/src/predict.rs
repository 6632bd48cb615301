//! Telling what pictures show.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ocelli::Engine;
//! use ocelli::ensemble::{Ensemble, EnsembleOptions};
//! use ocelli::io::ModelFile;
//! use ocelli::predict::OfDataset;
//! use ocelli::data::pictures_in;
//! use ocelli::kernels::Isa;
//!
//! # fn main() -> Result<(), ocelli::Error> {
//! # if false {
//! let model = ModelFile::load("runs/photos-1/model.safetensors".as_ref())?;
//! let mut ensemble = Ensemble::new(vec![model], &Engine::new(0, Isa::detect())?, EnsembleOptions::default())?;
//! let holiday = pictures_in("holiday".as_ref())?.pictures;
//! for prediction in ensemble.predict(Arc::new(OfDataset(holiday)), 5)? {
//!     match prediction.guesses {
//!         Ok(guesses) => println!("{}: {}", prediction.name, guesses[0].class),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # }
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use ocelli_core::Loss;
use ocelli_data::{DataError, Picture, Preprocess};
use serde::Serialize;

use crate::Error;
use crate::ensemble::{Ensemble, best_classes};
use crate::feed::Feed;
use crate::fit::check_fit;
use crate::io::ModelFile;

pub use crate::feed::{OfDataset, Pictures};

/// A guess.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The class.
    pub class: String,
    /// Its probability, a fraction of 1.
    pub probability: f32,
}

/// What was found for one picture.
#[derive(Debug)]
pub struct Prediction {
    /// Which of the pictures.
    pub picture: usize,
    /// What it is called.
    pub name: String,
    /// The most probable classes, most probable first; or why it could not be read.
    pub guesses: Result<Vec<Guess>, Error>,
    /// Whether it looks like a negative of what the model was trained on (see [`Preprocess::looks_inverted`]).
    pub looks_inverted: bool,
}

/// Picture files.
#[derive(Clone, Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
}

impl Files {
    /// The pictures in these files, in their order.
    pub fn new(paths: Vec<PathBuf>) -> Files {
        Files { paths }
    }
}

impl Pictures for Files {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        *picture = ocelli_data::decode(&self.paths[i])?;
        Ok(())
    }

    fn name_of(&self, i: usize) -> String {
        self.paths[i].display().to_string()
    }
}

/// Pictures from several places, one place after another.
#[derive(Clone, Default)]
pub struct Several {
    places: Vec<Arc<dyn Pictures>>,
    /// For each place, how many pictures there are up to its end.
    ends: Vec<usize>,
}

impl Several {
    /// Adds those of another place.
    pub fn push(&mut self, pictures: Arc<dyn Pictures>) {
        self.ends.push(self.len() + pictures.len());
        self.places.push(pictures);
    }

    /// The place of picture `i`, and its number there.
    fn place(&self, i: usize) -> (&dyn Pictures, usize) {
        let place = self.ends.partition_point(|&end| end <= i);
        let first = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&*self.places[place], i - first)
    }
}

impl Pictures for Several {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let (place, i) = self.place(i);
        place.read(i, picture)
    }

    fn name_of(&self, i: usize) -> String {
        let (place, i) = self.place(i);
        place.name_of(i)
    }
}

/// The predictions of an [`Ensemble`], one for each picture, in their order. Made by [`Ensemble::predict`].
pub struct Predictions<'a> {
    ensemble: &'a mut Ensemble,
    classes: Vec<String>,
    pictures: Arc<dyn Pictures>,
    feed: Feed,
    top: usize,
    ready: VecDeque<Prediction>,
}

impl<'a> Predictions<'a> {
    pub(crate) fn new(
        ensemble: &'a mut Ensemble,
        pictures: Arc<dyn Pictures>,
        feed: Feed,
        top: usize,
    ) -> Predictions<'a> {
        let classes = ensemble.classes().to_vec();
        Predictions { ensemble, classes, pictures, feed, top, ready: VecDeque::new() }
    }

    /// Answers the next batch; `None` after the last.
    fn next_batch(&mut self) -> Option<()> {
        let fed = self.feed.next_batch()?;
        let name = |i: u32| self.pictures.name_of(i as usize);
        let mut found: Vec<Prediction> = Vec::new();
        for (i, error) in fed.failures.drain(..) {
            let guesses = Err(error.into());
            found.push(Prediction { picture: i as usize, name: name(i), guesses, looks_inverted: false });
        }
        let classes = &self.classes;
        let rows = self.ensemble.answer(fed).chunks_exact(classes.len());
        for ((&i, &looks_inverted), p) in fed.pictures.iter().zip(&fed.inverted).zip(rows) {
            let guess = |class: usize| Guess { class: classes[class].clone(), probability: p[class] };
            let guesses = Ok(best_classes(p, self.top).into_iter().map(guess).collect());
            found.push(Prediction { picture: i as usize, name: name(i), guesses, looks_inverted });
        }
        found.sort_by_key(|prediction| prediction.picture);
        self.ready.extend(found);
        Some(())
    }
}

impl Iterator for Predictions<'_> {
    type Item = Prediction;

    fn next(&mut self) -> Option<Prediction> {
        while self.ready.is_empty() {
            self.next_batch()?;
        }
        self.ready.pop_front()
    }
}

/// The preprocessing that a model file keeps, after checking that network, pictures, loss and classes fit.
///
/// # Errors
/// [`Error::Bad`] where it is missing or they do not fit.
pub fn model_preprocess(model: &ModelFile) -> Result<Preprocess, Error> {
    let preprocess: Preprocess = serde_json::from_value(model.preprocess.clone())
        .map_err(|e| Error::Bad(format!("the model's preprocessing cannot be read: {e}; train it again")))?;
    check_fit(&model.network, &preprocess, &model_loss(model)?, model.classes.len())
        .map_err(|e| Error::Bad(format!("the model contradicts itself: {e}; train it again")))?;
    Ok(preprocess)
}

/// The loss that a model was trained with, which says what its outputs mean.
///
/// # Errors
/// [`Error::Bad`] where it is missing.
pub fn model_loss(model: &ModelFile) -> Result<Loss, Error> {
    let loss = model.training.get("recipe").and_then(|recipe| recipe.get("loss")).cloned();
    serde_json::from_value(loss.unwrap_or_default()).map_err(|e| {
        Error::Bad(format!("the model does not say which loss its outputs are for: {e}; train it again"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_several_places_are_numbered_through() {
        let files = |names: &[&str]| Arc::new(Files::new(names.iter().map(PathBuf::from).collect()));
        let mut several = Several::default();
        assert!(several.is_empty());
        for names in [&["a", "b"][..], &[], &["c"], &["d", "e"]] {
            several.push(files(names));
        }
        let names: Vec<String> = (0..several.len()).map(|i| several.name_of(i)).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert!(several.read(2, &mut Picture::default()).is_err_and(|e| e.to_string().starts_with("c:")));
    }
}
