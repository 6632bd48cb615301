//! Telling what a picture shows.

use std::path::Path;

use ocelli_core::{Executor, Loss, PlanOptions};
use ocelli_data::{Preprocess, Preprocessor};
use serde::Serialize;

use crate::Error;
use crate::engine::Engine;
use crate::fit::check_fit;
use crate::io::ModelFile;

/// A guess.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The class.
    pub class: String,
    /// Its probability, a fraction of 1.
    pub probability: f32,
}

/// Classifies pictures, one at a time, with one model.
pub struct Predictor {
    model: ModelFile,
    loss: Loss,
    preprocessor: Preprocessor,
    executor: Executor<f32>,
    input: Vec<f32>,
}

impl Predictor {
    /// A predictor with this model.
    ///
    /// # Errors
    /// A model file whose preprocessing cannot be read, or too little memory.
    pub fn new(model: ModelFile, engine: &Engine) -> Result<Predictor, Error> {
        let preprocess = model_preprocess(&model)?;
        let executor = engine.executor(&model.network.graph, PlanOptions::evaluate(1))?;
        let [c, h, w] = preprocess.input_shape();
        Ok(Predictor {
            loss: model_loss(&model)?,
            preprocessor: Preprocessor::new(&preprocess)?,
            executor,
            input: vec![0.0; c * h * w],
            model,
        })
    }

    /// The `top` most probable classes of a picture file, most probable first.
    ///
    /// # Errors
    /// A file that is no picture.
    pub fn file(&mut self, path: &Path, top: usize) -> Result<Vec<Guess>, Error> {
        let picture = ocelli_data::decode(path)?;
        self.preprocessor.apply(&picture, &mut self.input);
        let outputs = self.executor.forward(&self.model.params, &[&self.input], 1);
        let mut probabilities = vec![0.0; self.model.classes.len()];
        self.loss.probabilities(outputs, &mut probabilities);
        let order = self.loss.top_classes(outputs, top);
        let guess = |class: usize| Guess {
            class: self.model.classes[class].clone(),
            probability: probabilities[class],
        };
        Ok(order.into_iter().map(guess).collect())
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
