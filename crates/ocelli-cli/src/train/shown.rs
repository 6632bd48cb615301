//! `--show-batch`: what training would see.

use std::path::Path;

use ocelli::train::RunConfig;
use ocelli::{SCHEMA, ShownBatch, ShownImage};
use ocelli_data::Splits;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{check_png, print, print_json};
use crate::text::counted;

/// `--show-batch --json`.
#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    picture: String,
    augmentation: &'static str,
    images: &'a [ShownImage],
}

/// Writes the first batch of a run as a picture.
///
/// # Errors
/// A file that is not called as a PNG file, or cannot be written, and images that cannot be read.
pub(super) fn show(file: &Path, config: &RunConfig, splits: &Splits, json: bool) -> Result<(), Failure> {
    check_png(OPTION, file)?;
    let batch = ShownBatch::first(config, splits)?;
    batch.write_png(file)?;
    let (picture, images) = (file.display().to_string(), &batch.images);
    let augmentation = config.recipe.augmentation.name();
    match json {
        true => print_json(&Shown { schema: SCHEMA, picture, augmentation, images }),
        false => print(&format!(
            "{picture}: {} of the first batch, augmentation {augmentation}",
            counted(images.len(), "image")
        )),
    }
}

/// The option that asks for it.
pub(super) const OPTION: &str = "--show-batch";
