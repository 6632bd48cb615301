//! Passes over whole arenas of parameters between the passes of a plan: the update by gradients that were kept, and the average
//! of weights. Each worker has pieces of its own, and sums are added up piece by piece, so that the bits do not depend on how
//! many workers there are.

use std::ops::Range;

use ocelli_kernels::{Element, Kernels, Team, Worker};

use super::run::UpdateRun;
use super::{Executor, Update};
use crate::arena::Shared;
use crate::{Params, Plan, Role, optim};

/// Elements that a worker takes at a time from arenas without pieces of a plan: few enough to stay in a cache.
const RUN_LEN: usize = 1 << 13;

impl<T: Element> Executor<T> {
    /// The second half of a step of training, behind [`Executor::accumulate`]: moves the parameters along the gradients that
    /// were kept. Where the norm of all these gradients together is above `most`, they are scaled down to it before
    /// (Pascanu, Mikolov and Bengio 2013). Returns the norm before that.
    ///
    /// The gradients of a finite cost can overflow; their norm is then no finite number, and nothing is changed.
    ///
    /// # Panics
    /// If the plan does not keep gradients.
    pub fn apply(&mut self, params: &mut Params<T>, mut update: Update<'_, T>, most: Option<f64>) -> f64 {
        let norm = self.norm();
        if !norm.is_finite() {
            return norm;
        }
        let shrink = most.filter(|&most| norm > most).map(|most| T::of(most / norm));
        let (pieces, kernels) = (&self.plan.pieces, self.kernels);
        let gradients = Shared::new(self.gradients.as_mut().expect("found just now").data_mut());
        let params = Shared::new(params.data_mut());
        {
            let run = UpdateRun::new(&mut update);
            workers(&self.plan, &self.team, &self.alone).run(&|worker| {
                for piece in &pieces[own(worker, pieces.len())] {
                    let gradient = gradients.write(piece.range.clone());
                    if let Some(shrink) = shrink {
                        (kernels.scale_in_place)(shrink, gradient);
                    }
                    run.apply(kernels, params.write(piece.range.clone()), gradient, piece.role, &piece.range);
                }
            });
        }
        update.state.steps += 1;
        norm
    }

    /// The Euclidean norm of all gradients that were kept, added up in f64 piece by piece. Those of each parameter are then
    /// known ([`Executor::gradient_norm`]).
    fn norm(&mut self) -> f64 {
        assert!(self.gradients.is_some(), "a plan that keeps gradients");
        let gradients = self.gradients.as_ref().expect("asserted just now").data();
        let (pieces, norms) = (&self.plan.pieces, Shared::new(&mut self.norms));
        workers(&self.plan, &self.team, &self.alone).run(&|worker| {
            let own = own(worker, pieces.len());
            let sums = norms.write(own.clone());
            for (piece, sum) in pieces[own].iter().zip(sums) {
                *sum = squares(&gradients[piece.range.clone()]);
            }
        });
        self.norms[..self.plan.pieces.len()].iter().sum::<f64>().sqrt()
    }

    /// Moves `average` by `share` of the way towards the parameters: every element, running statistics included.
    ///
    /// # Panics
    /// If both do not have one layout.
    pub fn average(&self, average: &mut Params<T>, params: &Params<T>, share: f64) {
        let (from, len) = (params.data(), params.data().len());
        assert_eq!(average.data().len(), len, "an average has the parameters' layout");
        let (kernels, share): (&Kernels<T>, T) = (self.kernels, T::of(share));
        let to = Shared::new(average.data_mut());
        workers(&self.plan, &self.team, &self.alone).run(&|worker| {
            for run in own(worker, len.div_ceil(RUN_LEN)) {
                let range = run * RUN_LEN..((run + 1) * RUN_LEN).min(len);
                (kernels.approach)(share, &from[range.clone()], to.write(range));
            }
        });
    }
}

/// Those who work on a pass.
pub(super) fn workers<'a>(plan: &Plan, team: &'a Team, alone: &'a Team) -> &'a Team {
    if plan.parts() > 1 { team } else { alone }
}

/// The worker's share of so many things.
fn own(worker: &Worker<'_>, all: usize) -> Range<usize> {
    Plan::share_of(worker.index(), worker.count(), all)
}

/// Σ g², in f64, by eight sums that a vector unit keeps side by side.
fn squares<T: Element>(gradient: &[T]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (chunks, rest) = gradient.as_chunks::<8>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, g)| *sum += g.f64() * g.f64());
    }
    let rest: f64 = rest.iter().map(|g| g.f64() * g.f64()).sum();
    sums.iter().sum::<f64>() + rest
}

impl<T: Element> UpdateRun<'_, T> {
    /// Moves `params`, which stand at `range` of the arena, along their gradient.
    pub(super) fn apply(
        &self,
        kernels: &'static Kernels<T>,
        params: &mut [T],
        gradient: &[T],
        role: Role,
        range: &Range<usize>,
    ) {
        let slots = self.slots.each_ref().map(|slot| match slot.len() {
            0 => &mut [],
            _ => slot.write(range.clone()),
        });
        let rate = if role.is_offset() { self.rate * self.offset_rate } else { self.rate };
        let how = optim::Update { rate: T::of(rate), step: self.step, decay: role.decays(), kernels };
        self.optimizer.update(how, params, gradient, slots);
    }
}
