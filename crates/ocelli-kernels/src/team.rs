//! A team of threads.
use std::io;

/// A team.
pub struct Team {}
/// A worker.
pub struct Worker<'a> {
    team: &'a Team,
}
impl Team {
    /// New.
    pub fn new(_threads: usize) -> io::Result<Team> {
        Ok(Team {})
    }
    /// Threads.
    pub fn threads(&self) -> usize {
        1
    }
    /// Runs.
    pub fn run(&self, work: &(dyn Fn(&Worker) + Sync)) {
        work(&Worker { team: self });
    }
}
impl Worker<'_> {
    /// Index.
    pub fn index(&self) -> usize {
        0
    }
    /// Count.
    pub fn count(&self) -> usize {
        self.team.threads()
    }
    /// Waits.
    pub fn barrier(&self) {}
}
