//! The executor: runs a plan over a batch, on a team of threads, allocating nothing.

mod forward;
mod profile;
mod run;
mod strips;
mod sweep;

use std::sync::Arc;

use ocelli_kernels::{Element, Isa, Kernels, Team};

use crate::arena::{AlignedBuffer, Shared};
use crate::loss::{Loss, Reduction, Targets, check_labels};
use crate::ops::{RandomState, Values};
use crate::optim::Optimizer;
use crate::optimizer_state::OptimizerState;
use crate::plan::BufferKind;
use crate::{Error, Mode, Params, Plan, Value};

use profile::Recorder;
pub use profile::{Clock, Profile, StepTime};
use run::{Goal, Run, UpdateRun, scratch_stride};
use sweep::workers;

/// A batch of samples. Fewer than the plan's batch size run on the same plan.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    /// For each input of the graph, `count` samples in N·H·W·C order.
    pub inputs: &'a [&'a [T]],
    /// What the output should be; without it no loss is computed.
    pub targets: Option<Targets<'a, T>>,
    /// How many samples there are.
    pub count: usize,
}

/// What is minimised: a loss, and how the costs of a batch become one number E.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    /// The cost of one sample.
    pub loss: Loss,
    /// Mean or sum over the batch.
    pub reduction: Reduction,
}

/// An update of the parameters after the gradients of a batch.
pub struct Update<'a, T> {
    /// The rule.
    pub optimizer: &'a Optimizer,
    /// Its memory; the number of steps in it is advanced.
    pub state: &'a mut OptimizerState<T>,
    /// The learning rate η.
    pub rate: f64,
    /// The rate of offsets ([`Role::is_offset`](crate::Role::is_offset)), in multiples of η.
    pub offset_rate: f64,
}

impl<'a, T> Update<'a, T> {
    /// By this rule with one rate for everything.
    pub fn new(optimizer: &'a Optimizer, state: &'a mut OptimizerState<T>, rate: f64) -> Update<'a, T> {
        Update { optimizer, state, rate, offset_rate: 1.0 }
    }
}

/// A batch's place among several whose gradients are added up to those of one large batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whether it is the first of them: the gradients of batches before it are forgotten.
    pub first: bool,
    /// Samples of all of them together, which a mean is taken over.
    pub samples: usize,
}

/// What a pass over the plan is for.
struct Pass<'a, 'u, T: Element> {
    criterion: Option<&'a Criterion>,
    random: RandomState,
    update: Option<UpdateRun<'u, T>>,
    goal: Goal,
    /// Where the gradients are some of a larger batch's.
    share: Option<Share>,
}

impl<'a, T: Element> Pass<'a, '_, T> {
    fn new(criterion: Option<&'a Criterion>, random: RandomState, goal: Goal) -> Self {
        Pass { criterion, random, update: None, goal, share: None }
    }
}

/// Runs a [`Plan`]. It owns the memory that the plan needs (its workspace) and the gradients; parameters are the
/// caller's, so that many executors can evaluate one network at once.
pub struct Executor<T: Element> {
    plan: Arc<Plan>,
    team: Arc<Team>,
    alone: Team,
    kernels: &'static Kernels<T>,
    arena: AlignedBuffer<T>,
    scratch: AlignedBuffer<T>,
    costs: AlignedBuffer<T>,
    /// Where the plan keeps them.
    gradients: Option<Params<T>>,
    /// Sums of squares of gradients, where [`Plan::norm_of`] says.
    norms: Vec<f64>,
    /// Whether the next step notes these.
    notes_norms: bool,
    /// What a sample of each class counts for; empty where all count the same.
    class_weights: Vec<T>,
    /// Samples of the last batch.
    count: usize,
    /// Samples of the last batch whose costs were computed.
    costed: usize,
    /// Samples of the batch whose gradients are in the arena, if any are.
    differentiated: Option<usize>,
    /// Notes what each step takes, while it is asked for.
    recorder: Option<Recorder>,
    /// The stamp of the parameters from which what is packed in the arena was made, if it is whole.
    prepared: Option<u64>,
}

impl<T: Element> Executor<T> {
    /// An executor of `plan` on `team`, with the kernels of `isa` for the plan's precision.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(plan: Arc<Plan>, team: Arc<Team>, isa: Isa) -> Result<Executor<T>, Error> {
        let workers = if plan.parts() > 1 { team.threads() } else { 1 };
        let keeps = plan.options().mode.has_backward() && plan.options().keep_gradients;
        let gradients = if keeps { Some(Params::zeroed(plan.graph().layout())?) } else { None };
        Ok(Executor {
            alone: Team::new(1)?,
            team,
            kernels: T::kernels_of(isa, plan.options().precision),
            arena: AlignedBuffer::zeroed(plan.arena_len(), "activations and gradients")?,
            scratch: AlignedBuffer::zeroed(scratch_stride(&plan).saturating_mul(workers), "working memory")?,
            costs: AlignedBuffer::zeroed(plan.options().batch, "the costs")?,
            gradients,
            norms: vec![0.0; plan.norms_len()],
            notes_norms: false,
            class_weights: Vec::new(),
            count: 0,
            costed: 0,
            differentiated: None,
            recorder: None,
            prepared: None,
            plan,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Computes the output of a batch: `count` × output shape.
    ///
    /// # Panics
    /// If the batch does not fit the plan: more samples than planned for, or inputs of another length.
    pub fn forward(&mut self, params: &Params<T>, inputs: &[&[T]], count: usize) -> &[T] {
        let batch = Batch { inputs, targets: None, count };
        self.run(Values::of(params), &batch, Pass::new(None, RandomState::default(), Goal::Forward));
        self.output()
    }

    /// Computes the output and the cost E of a batch, without gradients.
    ///
    /// # Panics
    /// As [`Executor::forward`], and if the batch has no targets, or a label that names none of the network's outputs.
    pub fn evaluate(&mut self, params: &Params<T>, batch: &Batch<'_, T>, criterion: &Criterion) -> f64 {
        let pass = Pass::new(Some(criterion), RandomState::default(), Goal::Forward);
        self.run(Values::of(params), batch, pass);
        self.cost(criterion)
    }

    /// Computes the cost E of a batch and its gradients, which [`Executor::gradients`] then holds.
    ///
    /// # Panics
    /// As [`Executor::evaluate`], if the plan is for evaluation or does not keep gradients, and for a batch of no samples.
    pub fn differentiate(
        &mut self,
        params: &Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        random: RandomState,
    ) -> f64 {
        self.run(Values::of(params), batch, Pass::new(Some(criterion), random, Goal::Gradients));
        self.cost(criterion)
    }

    /// One step of training: forward, backward, update. Returns the cost E before the update.
    ///
    /// Where a sample's cost is not a finite number, nothing that outlives the step is changed: no parameter, no running
    /// statistic, and nothing in the optimiser's state; what went wrong can still be found. Finite costs can have
    /// gradients that overflow: those do move the parameters, and the next step's costs tell.
    ///
    /// # Panics
    /// As [`Executor::evaluate`], if the plan is for evaluation, and for a batch of no samples.
    pub fn step(
        &mut self,
        params: &mut Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        update: Update<'_, T>,
        random: RandomState,
    ) -> f64 {
        let mut update = update;
        let values = Values::Updated(Shared::new(params.data_mut()));
        let run = Some(UpdateRun::new(&mut update));
        self.norms.fill(0.0);
        self.run(values, batch, Pass { update: run, ..Pass::new(Some(criterion), random, Goal::Gradients) });
        self.notes_norms = false;
        if self.costs().iter().all(|cost| cost.is_finite()) {
            update.state.steps += 1;
        }
        self.cost(criterion)
    }

    /// The first half of a step of training, for one of the batches that make it: its gradients, scaled as those of
    /// all of them together, are added to those of the batches before it, and its statistics are folded into the running ones.
    /// [`Executor::apply`] is the other half. Returns the cost E of this batch by itself.
    ///
    /// One batch that is the whole step needs no more than a plan that keeps gradients. Where a sample's cost is not a finite
    /// number, no running statistic is changed, and the gradients are of no use. Random ops draw by `random` and the number of a
    /// sample in its batch: give each batch a [`RandomState::step`] of its own.
    ///
    /// # Panics
    /// As [`Executor::differentiate`], and for a batch that is not the first if the plan was made without
    /// [`PlanOptions::accumulate`](crate::PlanOptions).
    pub fn accumulate(
        &mut self,
        params: &mut Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        share: Share,
        random: RandomState,
    ) -> f64 {
        assert!(share.first || self.plan.options().accumulate, "a plan that adds gradients up");
        let values = Values::Updated(Shared::new(params.data_mut()));
        let pass = Pass::new(Some(criterion), random, Goal::Gradients);
        self.run(values, batch, Pass { share: Some(share), ..pass });
        self.cost(criterion)
    }

    /// Has a sample of class c count `weights[c]` times in the gradients from now on (one with values t as targets Σ t_c·w_c
    /// times); an empty list has all count the same. Costs stay what they are, so that those of other data compare.
    ///
    /// # Panics
    /// In a pass with other classes.
    pub fn set_class_weights(&mut self, weights: Vec<T>) {
        self.class_weights = weights;
    }

    /// The diagonal of the Gauss–Newton Hessian of the batch's cost E, propagated back as LeCun et al. 1998,
    /// appendix C, do it. [`Executor::gradients`] then holds it instead of the gradients.
    ///
    /// # Errors
    /// A plan made without [`PlanOptions::curvature`](crate::PlanOptions).
    ///
    /// # Panics
    /// As [`Executor::differentiate`].
    pub fn curvature(
        &mut self,
        params: &Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        random: RandomState,
    ) -> Result<(), Error> {
        criterion.loss.check_curvature()?;
        if !self.plan.options().curvature {
            return Err(Error::Options("this plan was made without second derivatives".to_string()));
        }
        self.run(Values::of(params), batch, Pass::new(Some(criterion), random, Goal::Curvature));
        Ok(())
    }

    /// The network's output for the last batch: samples × output shape; nothing before the first one.
    pub fn output(&self) -> &[T] {
        self.value(self.plan.output()).expect("the output is kept")
    }

    /// The cost of each sample of the last batch whose costs were computed: by [`Executor::evaluate`],
    /// [`Executor::differentiate`] or [`Executor::step`]. Batches without costs since then do not change them.
    pub fn costs(&self) -> &[T] {
        &self.costs[..self.costed]
    }

    /// The gradients (or second derivatives) of the last batch that was differentiated, with the parameters' layout;
    /// zeros before the first one. Evaluation since then does not change them.
    ///
    /// # Panics
    /// If the plan is for evaluation or does not keep gradients.
    pub fn gradients(&self) -> &Params<T> {
        self.gradients.as_ref().expect("a plan that keeps gradients")
    }

    /// Has the next step note the norms of the gradients, for [`Executor::gradient_norm`]. That step takes a little longer.
    pub fn note_gradient_norms(&mut self) {
        self.notes_norms = true;
    }

    /// The Euclidean norm of the gradients of some trained parameters together, given by their numbers in the layout, in the
    /// last step: also where the plan keeps no gradients. 0 where that step did not note norms, or had costs that are not
    /// finite.
    pub fn gradient_norm(&self, params: &[usize]) -> f64 {
        params
            .iter()
            .map(|&entry| self.plan.norm_parts(entry).map(|i| self.norms[i]).sum::<f64>())
            .sum::<f64>()
            .sqrt()
    }

    /// A node's output for the last batch, if it is still there: always with `reuse` and `fuse` off.
    pub fn value(&self, value: Value) -> Option<&[T]> {
        self.kept(BufferKind::Output(value), value, self.count)
    }

    /// ∂E/∂(a node's output) for the last batch that was differentiated, if it is still there. With `reuse` off it
    /// stays until the next such batch; with it, the next batch of any kind takes its memory.
    pub fn value_gradient(&self, value: Value) -> Option<&[T]> {
        self.kept(BufferKind::Gradient(value), value, self.differentiated?)
    }

    /// Notes from now on what each step of each pass takes, by `clock`. It changes no result; a pass takes as much longer
    /// as reading the clock once or twice a step does.
    pub fn start_profile(&mut self, clock: Clock) {
        let workers = workers(&self.plan, &self.team, &self.alone).threads();
        self.recorder = Some(Recorder::new(clock, workers, self.plan.step_count()));
    }

    /// Ends what [`Executor::start_profile`] began, and gives what was noted; `None` if nothing was begun.
    pub fn end_profile(&mut self) -> Option<Profile> {
        self.recorder.take().map(|recorder| recorder.profile())
    }

    fn kept(&self, kind: BufferKind, value: Value, count: usize) -> Option<&[T]> {
        let buffer = self.plan.node_buffer(kind)?;
        let kept = !self.plan.options().reuse || buffer.last + 1 == self.plan.step_count();
        let len = count * self.plan.graph().node(value).shape().len();
        kept.then(|| &self.arena[buffer.offset..buffer.offset + len])
    }

    /// Notes of which batch the numbers will be that a run leaves.
    fn note(&mut self, count: usize, costs: bool, goal: Goal) {
        self.count = count;
        if costs && goal != Goal::Curvature {
            self.costed = count;
        }
        if goal != Goal::Forward {
            self.differentiated = Some(count);
        } else if self.plan.options().reuse {
            self.differentiated = None;
        }
    }

    /// The costs added in the order of the samples, in f64.
    fn cost(&self, criterion: &Criterion) -> f64 {
        criterion.reduction.reduce(self.costs())
    }

    fn run(&mut self, params: Values<'_, T>, batch: &Batch<'_, T>, pass: Pass<'_, '_, T>) {
        let Pass { criterion, random, update, goal, share } = pass;
        self.check(batch, goal, criterion.is_some());
        let kept = self.gradients.is_some() || update.is_some() || goal == Goal::Forward;
        assert!(kept, "a plan that keeps gradients");
        assert!(criterion.is_none() || batch.targets.is_some(), "a cost needs targets");
        self.note(batch.count, criterion.is_some(), goal);
        // Plans for evaluation keep what they pack; others pack it in each pass.
        let stamp = params.stamp().filter(|_| self.plan.options().mode == Mode::Evaluate);
        let prepared = stamp.is_some() && self.prepared == stamp;
        if !prepared {
            // Until the pass is through, what is packed is not whole.
            self.prepared = None;
        }
        let samples = share.map_or(batch.count, |share| share.samples);
        let scale = criterion.map_or(T::ONE, |c| c.reduction.scale(samples));
        let norms = if self.notes_norms && update.is_some() { &mut self.norms[..] } else { &mut [] };
        let run = Run {
            plan: &self.plan,
            kernels: self.kernels,
            batch,
            criterion,
            scale,
            class_weights: &self.class_weights,
            adds: share.is_some_and(|share| !share.first),
            random,
            goal,
            params,
            arena: Shared::new(&mut self.arena),
            scratch: Shared::new(&mut self.scratch),
            costs: Shared::new(&mut self.costs),
            gradients: Shared::new(self.gradients.as_mut().map_or(&mut [], |g| g.data_mut())),
            norms: Shared::new(norms),
            update,
            recorder: self.recorder.as_ref(),
            prepared,
        };
        let team = workers(&self.plan, &self.team, &self.alone);
        let pass = || team.run(&|worker| run.work(worker));
        match &self.recorder {
            Some(recorder) => recorder.pass(pass),
            None => pass(),
        }
        self.prepared = stamp;
    }

    fn check(&self, batch: &Batch<'_, T>, goal: Goal, costs: bool) {
        let plan = &self.plan;
        assert!(
            batch.count <= plan.options().batch,
            "{} samples, planned for {}",
            batch.count,
            plan.options().batch
        );
        let mut inputs = plan.graph().inputs();
        for data in batch.inputs {
            let node =
                inputs.next().map(|v| plan.graph().node(v)).expect("no more inputs than the graph has");
            assert_eq!(data.len(), batch.count * node.shape().len(), "elements of input '{}'", node.name());
        }
        assert!(inputs.next().is_none(), "as many inputs as the graph has");
        assert!(goal == Goal::Forward || plan.options().mode.has_backward(), "a plan with gradients");
        assert!(goal == Goal::Forward || batch.count > 0, "a batch of no samples has no gradients");
        if let (Some(Targets::Classes(labels)), true) = (batch.targets, costs) {
            // One output tells two classes apart.
            let classes = plan.graph().node(plan.output()).shape().len().max(2);
            if let Err(error) = check_labels(labels, classes) {
                panic!("{error}");
            }
        }
    }
}
