//! What can go wrong in the engine, said so that the user can act.

use crate::Shape;
use crate::loss::LossError;
use crate::setting::SettingError;

/// An error of the engine. Context is added one level at a time: the op says which shapes do not fit, the graph
/// says in which layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An op does not take what it is given.
    #[error("layer '{layer}' ({op}) does not fit its input: {reason}\n  it reads {}", producers(.inputs))]
    Layer {
        /// The layer's name.
        layer: String,
        /// Its op.
        op: &'static str,
        /// What does not fit.
        reason: String,
        /// The layers it reads, with their output shapes.
        inputs: Vec<(String, Shape)>,
    },
    /// A graph is put together wrongly.
    #[error("{0}")]
    Graph(String),
    /// The loss does not fit the network's output.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// A setting outside its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Options that contradict each other or the graph.
    #[error("{0}")]
    Options(String),
    /// There is not enough memory.
    #[error("not enough memory for {what}: it needs {:.1} MiB; use a smaller batch, image or network", *bytes as f64 / f64::from(1 << 20))]
    Memory {
        /// What the memory is for.
        what: &'static str,
        /// How much is needed.
        bytes: u128,
    },
    /// Threads could not be started.
    #[error("cannot start the worker threads: {0}; ask for fewer with --threads")]
    Threads(#[from] std::io::Error),
}

fn producers(inputs: &[(String, Shape)]) -> String {
    let each: Vec<String> = inputs.iter().map(|(name, shape)| format!("'{name}' ({shape})")).collect();
    if each.is_empty() { "nothing".to_string() } else { each.join(", ") }
}
