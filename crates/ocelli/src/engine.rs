//! What a network runs on: worker threads and an instruction set.

use std::sync::Arc;

use ocelli_core::{Executor, Graph, Plan, PlanOptions};
use ocelli_kernels::{Element, Isa, Precision, Team};

use crate::Error;
use crate::report::Environment;

/// Threads and kernels, shared by everything that one command runs.
#[derive(Clone)]
pub struct Engine {
    team: Arc<Team>,
    isa: Isa,
}

impl Engine {
    /// An engine with so many threads (0: one per core that this process may use) and the kernels of `isa`.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(threads: usize, isa: Isa) -> Result<Engine, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores } else { threads };
        let team = Team::new(threads).map_err(ocelli_core::Error::from)?;
        Ok(Engine { team: Arc::new(team), isa })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// How many threads should read and prepare pictures while the network works on others; 0 where there is one thread
    /// for all.
    pub(crate) fn reading_threads(&self) -> usize {
        if self.threads() > 1 { self.threads() } else { 0 }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// What decides how results are rounded: the instruction set, and where products may round to bf16, whether it has a unit
    /// for that.
    pub(crate) fn arithmetic(&self, precision: Precision) -> String {
        let name = self.isa.name();
        match precision == Precision::Bf16 && f32::kernels_of(self.isa, precision).precision == precision {
            true => format!("{name} bf16"),
            false => name.to_string(),
        }
    }

    /// What a report says of what it ran on.
    pub(crate) fn environment(&self) -> Environment {
        Environment {
            version: env!("CARGO_PKG_VERSION").to_string(),
            isa: self.isa.name().to_string(),
            threads: self.threads(),
        }
    }

    /// An executor for `graph`.
    ///
    /// # Errors
    /// Options that contradict the graph, or too little memory.
    pub fn executor<T: Element>(
        &self,
        graph: &Arc<Graph>,
        options: PlanOptions,
    ) -> Result<Executor<T>, Error> {
        let plan = Arc::new(Plan::new(graph, options)?);
        Ok(Executor::new(plan, Arc::clone(&self.team), self.isa)?)
    }
}
