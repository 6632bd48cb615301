//! A step of back-propagation through a model file, on a picture.

use ocelli_core::{Params, PlanOptions, Targets};
use ocelli_data::{Picture, Preprocessor};
use ocelli_kernels::Isa;

use super::trace::{Trace, trace};
use crate::io::ModelFile;
use crate::predict::{model_loss, model_preprocess};
use crate::{Engine, Error};

/// Traces one step of gradient descent at `rate` on `picture`, which is to be of `class`, under the loss that the model was
/// trained with. All of it is computed in f64, from the model's weights as they are.
///
/// # Errors
/// A class that the model does not have, a model that cannot be used, or too little memory.
pub fn trace_model(model: &ModelFile, picture: &Picture, class: usize, rate: f64) -> Result<Trace, Error> {
    if class >= model.classes.len() {
        return Err(Error::Usage(format!(
            "there is no class {class}: the model has {}",
            model.classes.len()
        )));
    }
    let (preprocess, loss) = (model_preprocess(model)?, model_loss(model)?);
    let mut input = vec![0.0; preprocess.input_shape().iter().product()];
    Preprocessor::new(&preprocess)?.apply(picture, &mut input);
    let input: Vec<f64> = input.into_iter().map(f64::from).collect();
    let graph = &model.network.graph;
    trace(graph, &in_f64(&model.params)?, &[&input], Targets::Classes(&[class as u32]), &loss, rate)
}

/// The class that the model takes `picture` for.
///
/// # Errors
/// A model that cannot be used, or too little memory.
pub fn first_guess(model: &ModelFile, picture: &Picture) -> Result<usize, Error> {
    let (preprocess, loss) = (model_preprocess(model)?, model_loss(model)?);
    let mut input = vec![0.0; preprocess.input_shape().iter().product()];
    Preprocessor::new(&preprocess)?.apply(picture, &mut input);
    let engine = Engine::new(1, Isa::detect())?;
    let mut executor = engine.executor(&model.network.graph, PlanOptions::evaluate(1))?;
    Ok(loss.predicted_class(executor.forward(&model.params, &[&input], 1)))
}

/// The same numbers in f64.
fn in_f64(params: &Params<f32>) -> Result<Params<f64>, Error> {
    let mut exact = Params::zeroed(params.layout())?;
    exact.data_mut().iter_mut().zip(params.data()).for_each(|(to, &from)| *to = f64::from(from));
    Ok(exact)
}
