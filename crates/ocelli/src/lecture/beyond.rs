//! Beyond chains: merges, branches, shared weights, convolution.

use std::sync::Arc;

use ocelli_core::ops::{Add, Concat, Conv2d, Flatten, Linear, Tanh};
use ocelli_core::{Batch, Criterion, GradientCheck, Graph, Mode, Params, Reduction, Targets};

use super::learner::CROSS_ENTROPY;
use super::numbers::largest_difference;
use super::pictures::{Pictures, ink};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::explain::{Matrix, draw, trace};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "beyond",
    title: "Beyond chains: branches, merges, shared weights",
    part: Part::Backpropagation,
    checklist: &[81],
    about: "Nothing in back-propagation needs a chain. Where a value is read by several layers, their gradients add up: that is the sum \
in the chain rule. Where values merge, each gets its share: all of the gradient at a sum, its own part where they are put side by \
side. Weights that are used twice get the sum of both uses; convolution is that idea taken to its end, one small kernel used \
at every place of the image. Only cycles are refused: a feed-forward network has none.",
    equations: &[
        "\\frac{∂C}{∂x} = Σ_k \\frac{∂C}{∂y_k} \\frac{∂y_k}{∂x}, \\quad \\frac{∂C}{∂W} = Σ_u \\frac{∂C}{∂W_u}",
    ],
    source: file!(),
    run,
};

/// A trunk that branches; a layer and the same once more with shared weights on one side; both merged, by a sum and side by side.
fn network(shape: [usize; 3], classes: usize) -> Result<Arc<Graph>, Error> {
    let mut graph = Graph::new();
    let x = graph.input("image", shape)?;
    let trunk = graph.add("trunk", Conv2d::new(2, 3).padding(1), [x])?;
    let first = graph.add("first", Conv2d::new(2, 3).padding(1), [trunk])?;
    let bent = graph.add("tanh", Tanh {}, [first])?;
    let again = graph.add_shared("again", first, [bent])?;
    let sum = graph.add("sum", Add {}, [bent, again])?;
    let both = graph.add("side-by-side", Concat {}, [sum, trunk])?;
    let flat = graph.add("flatten", Flatten {}, [both])?;
    graph.add("classes", Linear::new(classes), [flat])?;
    Ok(Arc::new(graph))
}

fn run(context: &Context) -> Result<Finding, Error> {
    let splits = context.digits()?;
    let samples = Pictures::of(&*splits.train, &ink(&*splits.train), 4)?;
    let graph = network(samples.shape, splits.train.classes().len())?;
    let params = Params::<f64>::initialised(graph.layout(), context.seed())?;
    let images: Vec<f64> = samples.images.iter().map(|&x| f64::from(x)).collect();
    let mut finding = Finding { data: format!("{} embedded digits", samples.len()), ..Finding::default() };

    let criterion = Criterion { loss: CROSS_ENTROPY, reduction: Reduction::Mean };
    let check = GradientCheck { seed: context.seed(), ..GradientCheck::new(criterion, Mode::Train) };
    let batch =
        Batch { inputs: &[&images], targets: Some(Targets::Classes(&samples.labels)), count: samples.len() };
    let report = check.network(&graph, &params, &batch)?;
    let mut table = Table::new(
        "Gradients against differences of the cost",
        ["layer", "compared", "largest relative error"],
    );
    for layer in &report.layers {
        let compared = layer.params.checked + layer.inputs.checked;
        let error = layer.params.largest_error.max(layer.inputs.largest_error);
        table.row([layer.layer.clone(), compared.to_string(), format!("{error:.0e}")]);
    }
    finding.check("largest relative error of a gradient", report.largest_error(), Expected::AtMost(1e-6));

    let traced = trace(
        &graph,
        &params,
        &[&images[..samples.width()]],
        Targets::Classes(&samples.labels[..1]),
        &CROSS_ENTROPY,
        0.01,
    )?;
    let layer = |name: &str| {
        traced.layers.iter().find(|layer| layer.layer == name).expect("invariant: a layer of that name")
    };
    // At the branch: what comes back through the layer that was used, plus what comes back directly.
    let branch = Matrix::row(&layer("first").gradient).times(&layer("first").jacobians[0])?;
    let direct = Matrix::row(&layer("side-by-side").gradient).times(&layer("side-by-side").jacobians[1])?;
    let sum: Vec<f64> = branch.data.iter().zip(&direct.data).map(|(a, b)| a + b).collect();
    finding.check(
        "branch: sum of both ways − gradient of the trunk, largest",
        largest_difference(&sum, &layer("trunk").gradient),
        Expected::AtMost(1e-15),
    );
    finding.holds("merge: a sum hands all of its gradient to both", {
        let through = Matrix::row(&layer("again").gradient).times(&layer("again").jacobians[0])?;
        let both: Vec<f64> = layer("sum").gradient.iter().zip(&through.data).map(|(a, b)| a + b).collect();
        layer("again").gradient == layer("sum").gradient
            && largest_difference(&both, &layer("tanh").gradient) < 1e-15
    });
    finding.check("shared weights: uses of one set of numbers", shared(&graph), Expected::Exactly(2.0));
    finding.check(
        "cost after the step over cost before",
        traced.cost_after / traced.cost,
        Expected::AtMost(0.999),
    );
    finding.table(table);
    finding.drawing(
        "step",
        "One step on one digit, layer by layer: what is computed, the derivative of the cost by it, and where there are weights, \
         these and theirs. Sum and side-by-side merge two values each; `again` uses the weights of `first`.",
        draw(&traced),
    );
    Ok(finding)
}

/// How many layers use the parameters of `first`.
fn shared(graph: &Graph) -> f64 {
    let of = |name: &str| graph.find(name).map(|v| graph.node(v).params().to_vec());
    graph.nodes().iter().filter(|node| Some(node.params().to_vec()) == of("first")).count() as f64
}
