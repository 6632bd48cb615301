//! What an optimiser remembers from step to step.

use std::sync::Arc;

use ocelli_kernels::Element;

use crate::{Error, Optimizer, ParamLayout, Params};

/// The slots of an optimiser, each with the parameters' layout, and how many steps have been done.
#[derive(Debug)]
pub struct OptimizerState<T> {
    slots: Vec<Params<T>>,
    /// Steps done.
    pub steps: u64,
}

impl<T: Element> OptimizerState<T> {
    /// The state before the first step: all zeros.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(optimizer: &Optimizer, layout: &Arc<ParamLayout>) -> Result<OptimizerState<T>, Error> {
        let slots = (0..optimizer.slots()).map(|_| Params::zeroed(layout)).collect::<Result<_, _>>()?;
        Ok(OptimizerState { slots, steps: 0 })
    }

    /// The slots, in the order of [`Optimizer::slot_names`].
    pub fn slots(&self) -> &[Params<T>] {
        &self.slots
    }

    /// The slots, to be changed: restored from a checkpoint, or filled with curvatures.
    pub fn slots_mut(&mut self) -> &mut [Params<T>] {
        &mut self.slots
    }

    /// The number of the next step, counted from 1, and two slots, empty where the optimiser has fewer. Whoever does the
    /// step counts it afterwards.
    pub(crate) fn next_step(&mut self) -> (u64, [&mut [T]; 2]) {
        let mut slots = self.slots.iter_mut().map(Params::data_mut);
        (self.steps + 1, std::array::from_fn(|_| slots.next().unwrap_or_default()))
    }
}
