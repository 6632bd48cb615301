//! Pictures that grow in the course of training: small ones cost less, and what was learned on them holds for larger ones.

use std::sync::Arc;

use ocelli_core::{Graph, Shape};
use ocelli_data::Preprocess;

use super::config::RunConfig;
use crate::Error;
use crate::io::Network;

/// One of the sizes of a run: how pictures are prepared, and the network for these.
#[derive(Clone, Debug)]
pub(super) struct Size {
    pub(super) preprocess: Preprocess,
    pub(super) graph: Arc<Graph>,
}

impl Size {
    /// The sizes of a run, of which the last one is the network's own.
    ///
    /// # Errors
    /// A network whose parameters depend on the size of its input, or that takes none as small.
    pub(super) fn all(config: &RunConfig, network: &Network) -> Result<Vec<Size>, Error> {
        let own = Size { preprocess: config.preprocess.clone(), graph: Arc::clone(&network.graph) };
        let Some((last, smaller)) = config.recipe.sizes.split_last() else { return Ok(vec![own]) };
        let height = config.preprocess.size[0];
        if *last != height {
            return Err(Error::Usage(format!(
                "--sizes end with {last}, and the network takes pictures of {height} rows; let them end with {height}"
            )));
        }
        let sizes = smaller.iter().map(|&height| Size::of(config, network, height));
        sizes.chain([Ok(own)]).collect()
    }

    /// Pictures of so many rows, and as many columns as their shape in the network's own size says.
    fn of(config: &RunConfig, network: &Network, height: usize) -> Result<Size, Error> {
        let [own, width] = config.preprocess.size;
        let width = ((width as f64 * height as f64 / own as f64).round() as usize).max(1);
        let preprocess = Preprocess { size: [height, width], ..config.preprocess.clone() };
        let graph = with_input(&network.graph, preprocess.input_shape().into()).map_err(|reason| {
            Error::Usage(format!(
                "--sizes: {} cannot take pictures of {height}×{width} with the parameters that it has for \
                 {own}×{}: {reason}; choose a network that pools globally before its linear layers, such as \
                 resnet18, or leave --sizes out",
                network.name, config.preprocess.size[1],
            ))
        })?;
        Ok(Size { preprocess, graph })
    }
}

/// The configuration of a run for the pictures that it begins with, and the network for these.
///
/// # Errors
/// As [`Size::all`].
pub(crate) fn as_it_begins(config: &RunConfig, network: &Network) -> Result<(RunConfig, Arc<Graph>), Error> {
    let first = Size::all(config, network)?.swap_remove(0);
    Ok((RunConfig { preprocess: first.preprocess, ..config.clone() }, first.graph))
}

/// The same network with the same parameters for an input of another shape; or why that cannot be.
fn with_input(graph: &Graph, shape: Shape) -> Result<Arc<Graph>, String> {
    let names: Vec<&str> = graph.inputs().map(|v| graph.node(v).name()).collect();
    let [input] = names[..] else { return Err(format!("it has {} inputs", names.len())) };
    let mut resized = Graph::from_layers(&[(input, shape)], &graph.layers()).map_err(|e| e.to_string())?;
    let output = graph.output().map_err(|e| e.to_string())?;
    let output = resized.find(graph.node(output).name()).expect("it has the same layers");
    resized.set_output(output);
    let differs = |(a, b): &(&ocelli_core::ParamEntry, &ocelli_core::ParamEntry)| {
        a.name != b.name || a.spec.shape != b.spec.shape
    };
    let mut pairs = graph.layout().entries().iter().zip(resized.layout().entries());
    match pairs.find(differs) {
        Some((own, other)) => {
            Err(format!("'{}' would be {} and not {}", own.name, other.spec.shape, own.spec.shape))
        }
        None => Ok(Arc::new(resized)),
    }
}

#[cfg(test)]
mod tests {
    use ocelli_core::ops::{Conv2d, Flatten, Linear};

    use super::*;
    use crate::arch::{Architecture, Wanted};

    #[test]
    fn a_network_that_pools_globally_takes_other_sizes_with_its_parameters() {
        let wanted = Wanted { input: Shape::from([3, 64, 64]), classes: 7, widths: Vec::new() };
        let graph = Architecture::find("resnet18").unwrap().build(&wanted).unwrap();
        let smaller = with_input(&graph, [3, 48, 40].into()).unwrap();
        assert_eq!(graph.layout().arena_len(), smaller.layout().arena_len());
        let ranges =
            |graph: &Graph| graph.layout().entries().iter().map(|e| e.range.clone()).collect::<Vec<_>>();
        assert_eq!(ranges(&graph), ranges(&smaller));
        assert_eq!(graph.output().unwrap(), smaller.output().unwrap());
    }

    #[test]
    fn one_that_flattens_an_image_does_not_and_says_where() {
        let mut graph = Graph::new();
        let x = graph.input("image", [1, 8, 8]).unwrap();
        let a = graph.add("conv", Conv2d::new(2, 3), [x]).unwrap();
        let a = graph.add("flat", Flatten {}, [a]).unwrap();
        graph.add("out", Linear::new(3), [a]).unwrap();
        let reason = with_input(&graph, [1, 6, 6].into()).unwrap_err();
        assert!(reason.contains("'out.weight'"), "{reason}");
        assert!(with_input(&graph, [1, 2, 2].into()).unwrap_err().contains("conv"));
    }
}
