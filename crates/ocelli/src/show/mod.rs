//! What training sees: a batch of varied images, as one picture.

mod letters;

use std::path::Path;

use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use ocelli_data::{Batch, Picture, Splits};
use serde::Serialize;

use crate::figure::picture::color_type;
use crate::train::{RunConfig, as_it_begins, training_batches};
use crate::{Error, io};

/// The first batch of a run, in rows, with the names of the classes below the images.
pub struct ShownBatch {
    /// In three channels.
    pub picture: Picture,
    /// What is in it, row after row.
    pub images: Vec<ShownImage>,
}

/// An image of a batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownImage {
    /// Its number in the training set.
    pub index: u32,
    /// What it is called there.
    pub name: String,
    /// Its class.
    pub class: String,
    /// What was mixed into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<Mixed>,
}

/// Another image's part in a mixed one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixed {
    /// Its class.
    pub class: String,
    /// Its share of the target.
    pub share: f32,
}

/// The most images that are shown.
const MOST_IMAGES: usize = 64;

/// Images are enlarged by a whole factor up to about so many pixels a side, so that one can see them.
const SIDE: usize = 112;

/// Pixels between images.
const GAP: usize = 4;

const PAPER: u8 = 24;
const INK: [u8; 3] = [235; 3];
const PALE: [u8; 3] = [150, 190, 230];

impl ShownBatch {
    /// Of the run that `config` describes: exactly the first images of the first batch that it trains on.
    ///
    /// # Errors
    /// An image that cannot be read, or too little memory.
    pub fn first(config: &RunConfig, splits: &Splits) -> Result<ShownBatch, Error> {
        let train = &splits.train;
        let network = config.build_network(train.classes().len())?;
        let (config, _) = as_it_begins(config, &network)?;
        let config = &config;
        let mut loader = training_batches(config, train, (0, 0), 1)?;
        let batch =
            loader.next_batch().ok_or_else(|| Error::Bad("there are no training images".to_string()))??;
        let classes = train.classes();
        let shown = batch.len().min(MOST_IMAGES);
        let images = (0..shown).map(|i| ShownImage {
            index: batch.indices[i],
            name: train.name_of(batch.indices[i] as usize),
            class: classes[batch.labels[i] as usize].clone(),
            mixed: mixed(batch, i, classes),
        });
        let images: Vec<ShownImage> = images.collect();
        Ok(ShownBatch { picture: draw(config, batch, &images), images })
    }

    /// Writes the picture as a PNG file, which is there whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<(), Error> {
        write_png(&self.picture, path)
    }
}

/// Writes a picture of one to four channels as a PNG file, which is there whole or not at all.
///
/// # Errors
/// A file that cannot be written.
pub fn write_png(picture: &Picture, path: &Path) -> Result<(), Error> {
    let Picture { pixels, height, width, channels } = picture;
    let color = color_type(*channels).expect("invariant: a picture has one to four channels");
    io::write_atomically(path, |file| {
        let encoder = PngEncoder::new(file);
        encoder.write_image(pixels, *width as u32, *height as u32, color).map_err(std::io::Error::other)
    })?;
    Ok(())
}

/// The largest part that another class has in image `i`.
fn mixed(batch: &Batch, i: usize, classes: &[String]) -> Option<Mixed> {
    let row = &batch.targets.as_ref()?[i * classes.len()..][..classes.len()];
    let others =
        row.iter().enumerate().filter(|(class, share)| *class != batch.labels[i] as usize && **share > 0.0);
    let (class, &share) = others.max_by(|a, b| a.1.total_cmp(b.1))?;
    Some(Mixed { class: classes[class].clone(), share })
}

fn draw(config: &RunConfig, batch: &Batch, images: &[ShownImage]) -> Picture {
    let [channels, height, width] = config.preprocess.input_shape();
    let factor = (SIDE / height.max(width)).max(1);
    let lines = if batch.targets.is_some() { 2 } else { 1 };
    let cell = [width * factor + GAP, height * factor + lines * (letters::LINE + 1) + 2 * GAP];
    let columns = (images.len() as f64).sqrt().ceil() as usize;
    let rows = images.len().div_ceil(columns);
    let mut out = Picture::default();
    out.reshape(rows * cell[1] + GAP, columns * cell[0] + GAP, 3).fill(PAPER);
    let mut picture = Picture::default();
    let size = channels * height * width;
    for (i, shown) in images.iter().enumerate() {
        let [left, top] = [i % columns * cell[0] + GAP, i / columns * cell[1] + GAP];
        config.preprocess.show(&batch.images[i * size..][..size], &mut picture);
        paste(&mut out, &picture, [left, top], factor);
        let below = top + height * factor + GAP / 2;
        letters::write(&mut out, &shown.class, [left, below], width * factor, INK);
        if let Some(Mixed { class, share }) = &shown.mixed {
            let text = format!("{:.0}% {class}", share * 100.0);
            letters::write(&mut out, &text, [left, below + letters::LINE + 1], width * factor, PALE);
        }
    }
    out
}

/// Copies a picture in grey or colour, each pixel `factor` times along each axis.
fn paste(out: &mut Picture, picture: &Picture, [left, top]: [usize; 2], factor: usize) {
    let stride = out.width;
    let (pixels, _) = out.pixels.as_chunks_mut::<3>();
    for y in 0..picture.height * factor {
        for x in 0..picture.width * factor {
            let at = (y / factor * picture.width + x / factor) * picture.channels;
            let color = |c: usize| picture.pixels[at + c.min(picture.channels - 1)];
            pixels[(top + y) * stride + left + x] = [color(0), color(1), color(2)];
        }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_data::{OpenOptions, open};

    use super::*;
    use crate::train::NetSpec;
    use crate::{Augmentation, Overrides, Recipe};

    fn shown(augmentation: Augmentation, overrides: Overrides) -> ShownBatch {
        let splits = open("digits", &OpenOptions { seed: 3, ..OpenOptions::default() }).unwrap();
        let recipe = Recipe { batch: 20, augmentation, overrides, ..Recipe::default() };
        let net = NetSpec::new("mlp", Vec::new());
        let config = RunConfig::resolve("digits", None, &net, recipe, 3, &splits).unwrap();
        ShownBatch::first(&config, &splits).unwrap()
    }

    #[test]
    fn pictures_that_grow_are_shown_as_they_begin() {
        let splits = open("digits", &OpenOptions { seed: 3, ..OpenOptions::default() }).unwrap();
        let net = NetSpec::new("resnet18", Vec::new());
        let recipe =
            Recipe { batch: 4, sizes: vec![6, 8], augmentation: Augmentation::None, ..Recipe::default() };
        let config = RunConfig::resolve("digits", None, &net, recipe, 3, &splits).unwrap();
        let shown = ShownBatch::first(&config, &splits).unwrap().picture;
        // Two rows of two images of 6×6 pixels, each eighteen times as large.
        assert_eq!([shown.height, shown.width], [2 * (108 + 9 + 8) + 4, 2 * (108 + 4) + 4]);
    }

    #[test]
    fn a_batch_is_shown_as_it_is_with_a_caption_below_each_image() {
        let plain = shown(Augmentation::None, Overrides::default());
        assert_eq!((plain.images.len(), plain.images[0].mixed.is_none()), (20, true));
        // Four rows of five images of 8×8 pixels, each fourteen times as large.
        assert_eq!([plain.picture.height, plain.picture.width], [4 * (112 + 9 + 8) + 4, 5 * (112 + 4) + 4]);
        let splits = open("digits", &OpenOptions { seed: 3, ..OpenOptions::default() }).unwrap();
        let mut first = Picture::default();
        splits.train.read(plain.images[0].index as usize, &mut first).unwrap();
        for (i, &value) in first.pixels.iter().enumerate() {
            let at = ((4 + i / 8 * 14) * plain.picture.width + 4 + i % 8 * 14) * 3;
            assert_eq!(plain.picture.pixels[at..at + 3], [value; 3], "pixel {i}");
        }
        let caption = plain.picture.pixels.chunks_exact(plain.picture.width * 3).skip(4 + 112).take(12);
        assert!(caption.flatten().any(|&v| v == INK[0]), "the class stands below");
    }

    #[test]
    fn mixed_images_name_both_classes() {
        let mixed = shown(Augmentation::None, Overrides { mixup: Some(1.0), ..Overrides::default() });
        let with: Vec<&ShownImage> = mixed.images.iter().filter(|image| image.mixed.is_some()).collect();
        assert!(with.len() > 10, "neighbours of the same class aside");
        assert!(with.iter().all(|image| image.mixed.as_ref().is_some_and(|m| m.class != image.class)));
    }
}
