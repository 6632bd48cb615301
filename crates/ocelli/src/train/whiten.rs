//! First layers that begin as filters made from the training images.

use std::sync::Arc;

use ocelli_core::{Graph, ParamEntry, Params};
use ocelli_data::{Dataset, Patches, Preprocess};

use super::options::no_layer;
use crate::{Error, Recipe};

/// The weights of the layer that a recipe makes from the training images, and height and width of its filters.
///
/// # Errors
/// A layer that there is not, or one that is no convolution of all channels of the input.
pub(super) fn whitened<'a>(
    recipe: &Recipe,
    graph: &'a Graph,
) -> Result<Option<(&'a ParamEntry, [usize; 2])>, Error> {
    let Some(name) = &recipe.whiten else { return Ok(None) };
    let node = graph.nodes().iter().find(|node| node.op().is_some() && node.name() == name);
    let node = node.ok_or_else(|| no_layer(graph, "--whiten", name))?;
    let input = node.inputs().first().map(|value| graph.node(*value)).filter(|input| input.op().is_none());
    let channels = input.and_then(|input| input.shape().image()).map(|[channels, ..]| channels);
    let weight = graph.layout().find(&format!("{name}.weight"));
    match weight.map(|entry| (entry, entry.spec.shape.sizes())) {
        Some((entry, &[_, inputs, height, width])) if Some(inputs) == channels => {
            Ok(Some((entry, [height, width])))
        }
        _ => Err(Error::Usage(format!(
            "--whiten {name}: filters are made for a convolution that reads all channels of the network's input; name \
             the first layer, if it is one"
        ))),
    }
}

/// Makes the filters of the recipe's layer, if it has one, those that whiten patches of `train`'s images. Where there are more of
/// them than that, the rest stays as it was drawn, as does its bias.
///
/// # Errors
/// As [`whitened`], and those of reading images.
pub(super) fn whiten(
    recipe: &Recipe,
    preprocess: &Preprocess,
    train: &dyn Dataset,
    graph: &Arc<Graph>,
    params: &mut Params<f32>,
) -> Result<(), Error> {
    let Some((entry, size)) = whitened(recipe, graph)? else { return Ok(()) };
    let patches = Patches::of(train, preprocess, size)?;
    let mut filters = params.in_field_order(entry)?.into_owned();
    patches.filters(&mut filters);
    params.set(entry, &filters);
    Ok(())
}

#[cfg(test)]
mod tests {
    use ocelli_core::ops::{Conv2d, Flatten, Linear, Relu};

    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::new();
        let image = graph.input("image", [3, 6, 6]).unwrap();
        let mut x = graph.add("stem", Conv2d::new(30, 2), [image]).unwrap();
        x = graph.add("relu", Relu {}, [x]).unwrap();
        x = graph.add("conv", Conv2d::new(4, 3), [x]).unwrap();
        x = graph.add("flatten", Flatten {}, [x]).unwrap();
        graph.add("fc", Linear::new(2), [x]).unwrap();
        graph
    }

    #[test]
    fn only_a_convolution_of_the_whole_input_is_made_from_images() {
        let of = |name: &str| Recipe { whiten: Some(name.to_string()), ..Recipe::default() };
        let graph = graph();
        assert_eq!(whitened(&Recipe::default(), &graph).unwrap().map(|(entry, _)| &*entry.name), None);
        assert_eq!(whitened(&of("stem"), &graph).unwrap().unwrap().0.name, "stem.weight");
        let refusal = |name: &str| whitened(&of(name), &graph).unwrap_err().to_string();
        assert!(refusal("stam").contains("did you mean 'stem'?"), "{}", refusal("stam"));
        assert!(refusal("image").contains("no layer of that name"));
        for name in ["relu", "conv", "fc"] {
            assert!(refusal(name).contains("first layer"), "{name}");
        }
        let mut grouped = Graph::new();
        let image = grouped.input("image", [3, 6, 6]).unwrap();
        grouped.add("stem", Conv2d::new(6, 2).groups(3), [image]).unwrap();
        assert!(whitened(&of("stem"), &grouped).is_err());
    }
}
