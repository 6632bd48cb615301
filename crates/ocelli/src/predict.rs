//! Telling what pictures show.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ocelli::Engine;
//! use ocelli::ensemble::{Ensemble, EnsembleOptions};
//! use ocelli::io::ModelFile;
//! use ocelli::predict::{Files, find_pictures};
//! use ocelli_kernels::Isa;
//!
//! # fn main() -> Result<(), ocelli::Error> {
//! # if false {
//! let model = ModelFile::load("runs/photos-1/model.safetensors".as_ref())?;
//! let mut ensemble = Ensemble::new(vec![model], &Engine::new(0, Isa::detect())?, EnsembleOptions::default())?;
//! let found = find_pictures("holiday".as_ref())?;
//! for prediction in ensemble.predict(Arc::new(Files::new(found.pictures)), 5)? {
//!     match prediction.guesses {
//!         Ok(guesses) => println!("{}: {}", prediction.name, guesses[0].class),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # }
//! # Ok(())
//! # }
//! ```

mod find;

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

pub use crate::feed::Pictures;
pub use find::{Found, find_pictures, is_picture_name};

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

/// The predictions of an [`Ensemble`], one for each picture, in their order. Made by [`Ensemble::predict`].
pub struct Predictions<'a> {
    ensemble: &'a mut Ensemble,
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
        Predictions { ensemble, pictures, feed, top, ready: VecDeque::new() }
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
        let classes = self.ensemble.classes().to_vec();
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
