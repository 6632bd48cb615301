//! The k nearest neighbours, as one linear layer.
//!
//! ‖x − t‖² = ‖x‖² − 2(t·x − ½‖t‖²), and ‖x‖² is the same for every t: so the nearest training image is the unit with the
//! largest output in a layer whose weights are the training images and whose biases are −½‖t‖². One matrix product
//! for a whole batch, by the library's kernels and threads.

use std::sync::Arc;

use ocelli_core::ops::Linear;
use ocelli_core::{Executor, Graph, Params, PlanOptions};

use crate::{Engine, Error};

/// Queries per batch: the outputs of a batch, one for each training image, stay a moderate piece of memory.
const BATCH: usize = 64;

/// Classifies by the labels of the nearest training images under L2.
pub struct Nearest {
    executor: Executor<f32>,
    params: Params<f32>,
    labels: Vec<u32>,
    classes: usize,
    width: usize,
}

impl Nearest {
    /// Keeps the training images, N×`width` numbers, with their labels.
    ///
    /// # Errors
    /// Too little memory.
    ///
    /// # Panics
    /// If there is no image, or not one label for each.
    pub fn new(
        engine: &Engine,
        images: &[f32],
        width: usize,
        labels: &[u32],
        classes: usize,
    ) -> Result<Nearest, Error> {
        assert!(!labels.is_empty() && images.len() == labels.len() * width, "one label per image");
        let mut graph = Graph::new();
        let x = graph.input("image", [width])?;
        graph.add("distance", Linear::new(labels.len()), [x])?;
        let graph = Arc::new(graph);
        let mut params = Params::zeroed(graph.layout())?;
        let [weight, bias] = ["distance.weight", "distance.bias"]
            .map(|name| graph.layout().find(name).expect("invariant: a linear layer has both").clone());
        let halves: Vec<f32> = images.chunks_exact(width).map(|t| -0.5 * square(t)).collect();
        params.set(&weight, images);
        params.set(&bias, &halves);
        let executor = engine.executor(&graph, PlanOptions::evaluate(BATCH))?;
        Ok(Nearest { executor, params, labels: labels.to_vec(), classes, width })
    }

    /// The class of each of the images (M×width): that of most of the `k` nearest, among equals that of the nearest one.
    pub fn classify(&mut self, images: &[f32], k: usize) -> Vec<u32> {
        let mut found = Vec::with_capacity(images.len() / self.width);
        for batch in images.chunks(BATCH * self.width) {
            let count = batch.len() / self.width;
            let outputs = self.executor.forward(&self.params, &[batch], count);
            let scores = outputs.chunks_exact(self.labels.len());
            found.extend(scores.map(|scores| vote(scores, &self.labels, self.classes, k)));
        }
        found
    }
}

fn square(x: &[f32]) -> f32 {
    x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() as f32
}

fn vote(scores: &[f32], labels: &[u32], classes: usize, k: usize) -> u32 {
    // The k largest, largest first; k is small.
    let mut best: Vec<usize> = Vec::with_capacity(k + 1);
    for i in 0..scores.len() {
        if best.len() == k && scores[i] <= scores[best[k - 1]] {
            continue;
        }
        let place = best.partition_point(|&b| scores[b] >= scores[i]);
        best.insert(place, i);
        best.truncate(k);
    }
    let mut votes = vec![0; classes];
    best.iter().for_each(|&i| votes[labels[i] as usize] += 1);
    let most = votes.iter().copied().max().unwrap_or(0);
    let winner = best.iter().map(|&i| labels[i]).find(|&label| votes[label as usize] == most);
    winner.expect("invariant: there are training images")
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::Isa;
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn neighbours_are_those_that_distances_name() {
        let (seed, n, m, width) = (3, 200, 90, 17);
        let mut stream = Key::new(seed, &[]).stream();
        let mut draw = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.normal() as f32).collect() };
        let (train, queries) = (draw(n * width), draw(m * width));
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 7).collect();
        let engine = Engine::new(1, Isa::detect()).unwrap();
        let found = Nearest::new(&engine, &train, width, &labels, 7).unwrap().classify(&queries, 1);
        for (query, found) in queries.chunks(width).zip(found) {
            let distance =
                |t: &[f32]| -> f64 { t.iter().zip(query).map(|(a, b)| f64::from(a - b).powi(2)).sum() };
            let all: Vec<f64> = train.chunks(width).map(distance).collect();
            let nearest = (0..n).min_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap();
            assert_eq!(found, labels[nearest], "seed {seed}");
        }
    }

    #[test]
    fn among_equally_many_votes_the_nearest_decides() {
        assert_eq!(vote(&[0.1, 0.9, 0.5, 0.8], &[0, 1, 2, 2], 3, 1), 1);
        assert_eq!(vote(&[0.1, 0.9, 0.5, 0.8], &[0, 1, 2, 2], 3, 3), 2);
        assert_eq!(vote(&[0.1, 0.9, 0.5, 0.8], &[0, 1, 2, 2], 3, 2), 1);
    }
}
