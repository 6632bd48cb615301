//! What a run wants to know of its images before it begins.

use std::sync::Arc;

use ocelli_data::{Dataset, Loader, LoaderOptions, Picture, Preprocess, Sampler, Splits, Subset};
use sha2::{Digest, Sha256};

use super::health;
use crate::Error;
use crate::io::hex;
use crate::spread::spread;

/// What tells a set of images from others: SHA-256 of classes, labels and some pixels, in their order.
pub fn data_digest(set: &dyn Dataset) -> String {
    const PICTURES: usize = 64;
    let mut hasher = Sha256::new();
    hasher.update((set.len() as u64).to_le_bytes());
    for class in set.classes() {
        hasher.update((class.len() as u64).to_le_bytes());
        hasher.update(class.as_bytes());
    }
    (0..set.len()).for_each(|i| hasher.update(set.label(i).to_le_bytes()));
    let mut picture = Picture::default();
    for i in (0..set.len()).step_by(set.len().div_ceil(PICTURES).max(1)) {
        // A picture that cannot be read is an error of the epoch that needs it, not of this.
        if set.read(i, &mut picture).is_ok() {
            hasher.update(&picture.pixels);
        }
    }
    hex(&hasher.finalize())
}

/// Held-out images on which the health of the layers is measured: of all classes, also where they are sorted by them.
pub(super) fn health_images(splits: &Splits, preprocess: &Preprocess) -> Result<Vec<f32>, Error> {
    let count = health::IMAGES.min(splits.val.len());
    if count == 0 {
        return Ok(Vec::new());
    }
    let all_over: Vec<u32> = spread(count, splits.val.len()).map(|i| i as u32).collect();
    let some = Arc::new(Subset::new(Arc::clone(&splits.val), all_over));
    let mut loader = Loader::new(some, preprocess, Sampler::new(count, count)?, LoaderOptions::default())?;
    Ok(loader.next_batch().expect("a set with images has a batch")?.images.clone())
}
