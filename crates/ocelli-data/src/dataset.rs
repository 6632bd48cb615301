//! What a data set of labelled images is, and the sets that live in memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use crate::screen::Named;
use crate::{DataError, Picture};

/// Labelled images, read one at a time and from several threads at once.
///
/// A set is immutable: image i is the same whenever and by whomever it is read. At most 2³²−1 images.
pub trait Dataset: Send + Sync {
    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class names; label k names class k. A class may have no image.
    fn classes(&self) -> &[String];

    /// The shape [C, H, W] of every image; where images differ in size, the shape that a network for
    /// this set should take.
    fn image_shape(&self) -> [usize; 3];

    /// The class of image `i`, less than `classes().len()`. Panics where `i` is not less than `len()`.
    fn label(&self, i: usize) -> u32;

    /// Reads image `i` into `picture`, whose memory is reused. Panics where `i` is not less than `len()`.
    ///
    /// # Errors
    /// When the image cannot be read or decoded; the error names it.
    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError>;

    /// Has image `i` brought near where that is worth it, while others are asked for: images that lie in memory, in no order that a
    /// processor could guess. Panics where `i` is not less than `len()`.
    fn prefetch(&self, _i: usize) {}

    /// What image `i` is called in messages: a path, or "train image 123".
    fn name_of(&self, i: usize) -> String;

    /// Whether reading an image takes decoding it, so that looking at all of them costs time.
    fn decodes(&self) -> bool {
        false
    }

    /// What can be told of image `i` without decoding it where that is possible. Panics where `i` is not less than
    /// `len()`.
    ///
    /// # Errors
    /// When the image cannot be read, as far as that can be told.
    fn look(&self, i: usize) -> Result<Look, DataError> {
        let mut picture = Picture::default();
        self.read(i, &mut picture)?;
        Ok(Look { shape: picture.shape(), key: hash_of(&picture), decoding_bytes: 0 })
    }

    /// A hash of all that image `i` is made of: equal ones mean copies of one image.
    ///
    /// # Errors
    /// When the image cannot be read.
    fn content_hash(&self, i: usize) -> Result<u64, DataError> {
        let mut picture = Picture::default();
        self.read(i, &mut picture)?;
        Ok(hash_of(&picture))
    }

    /// Bytes of memory that the set holds, whoever else holds them too.
    fn memory(&self) -> u64 {
        0
    }

    /// How many of these bytes others may hold too, and what they are known by: the same number means the same bytes.
    fn shared_memory(&self) -> Option<(usize, u64)> {
        None
    }

    /// Images that could not be decoded so far, each with the reason, and in whose place others were given.
    fn replaced(&self) -> Named {
        Named::default()
    }
}

/// What a glance at an image tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its shape [C, H, W].
    pub shape: [usize; 3],
    /// Bytes of memory that decoding it takes at most: the picture, and what its decoder keeps.
    pub decoding_bytes: u64,
    /// The same for copies of one image. Different images mostly have different ones; [`Dataset::content_hash`] tells them
    /// apart.
    pub key: u64,
}

fn hash_of(picture: &Picture) -> u64 {
    let mut hasher = DefaultHasher::new();
    picture.shape().iter().for_each(|&size| hasher.write_usize(size));
    hasher.write(&picture.pixels);
    hasher.finish()
}

/// The largest side of images that a network takes unless another size is asked for.
const MOST_SIDE: usize = 224;

/// The shape [C, H, W] that a network should take for images of these shapes: their own where all are of one size of at
/// most 224 pixels a side; else a square with the median of their shorter sides, rounded down to a multiple of 32, from
/// 32 to 224. It is in grey where all of them are.
pub(crate) fn training_shape(shapes: impl Iterator<Item = [usize; 3]>) -> [usize; 3] {
    let (mut channels, mut sides, mut first, mut one_size) = (1, Vec::new(), None, true);
    for [c, h, w] in shapes {
        channels = if c >= 3 { 3 } else { channels };
        sides.push(h.min(w));
        one_size &= *first.get_or_insert([h, w]) == [h, w];
    }
    let [height, width] = first.unwrap_or([MOST_SIDE; 2]);
    if one_size && height.max(width) <= MOST_SIDE {
        return [channels, height, width];
    }
    let middle = sides.len() / 2;
    let median = *sides.select_nth_unstable(middle).1;
    let side = (median / 32 * 32).clamp(32, MOST_SIDE);
    [channels, side, side]
}

/// Images of one size and their labels in memory. A clone shares them.
#[derive(Clone, Debug)]
pub struct MemoryDataset {
    name: Arc<str>,
    shape: [usize; 3],
    pixels: Arc<Vec<u8>>,
    labels: Arc<Vec<u32>>,
    classes: Arc<[String]>,
}

impl MemoryDataset {
    /// The set `name` of images of `shape` = [C, H, W]. `pixels` is N·H·W·C, one byte each; `labels`
    /// has N entries that index `classes`.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for other channels than 1 or 3, where the lengths do not fit, or where a label has no class.
    pub fn new(
        name: &str,
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<MemoryDataset, DataError> {
        if shape[0] != 1 && shape[0] != 3 {
            return Err(DataError::malformed(
                name,
                "images of 1 or 3 channels",
                format!("{}", shape[0]),
                "give grey values, or red, green and blue",
            ));
        }
        let image = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if image.and_then(|n| n.checked_mul(labels.len())) != Some(pixels.len()) {
            let [c, h, w] = shape;
            return Err(DataError::malformed(
                name,
                format!("{} images of {c}×{h}×{w} for as many labels", labels.len()),
                format!("{} bytes of pixels", pixels.len()),
                "give each image one label",
            ));
        }
        if let Some(i) = labels.iter().position(|&l| l as usize >= classes.len()) {
            return Err(DataError::malformed(
                format!("{name} image {i}"),
                format!("a label less than the number of classes, {}", classes.len()),
                format!("label {}", labels[i]),
                "name every class",
            ));
        }
        Ok(MemoryDataset {
            name: name.into(),
            shape,
            pixels: Arc::new(pixels),
            labels: Arc::new(labels),
            classes: classes.into(),
        })
    }

    /// The pixels of image `i`, H·W·C.
    pub fn pixels(&self, i: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        &self.pixels[i * size..][..size]
    }
}

impl Dataset for MemoryDataset {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let [channels, height, width] = self.shape;
        picture.reshape(height, width, channels).copy_from_slice(self.pixels(i));
        Ok(())
    }

    fn prefetch(&self, i: usize) {
        /// Bytes of a cache line.
        const LINE: usize = 64;
        /// Longer images are read in an order that processors do guess.
        const LONG: usize = 64 * LINE;
        let pixels = self.pixels(i);
        if pixels.len() <= LONG {
            // One byte of each line: none of these loads waits for another one.
            std::hint::black_box(pixels.iter().step_by(LINE).fold(0, |all, &pixel| all ^ pixel));
        }
    }

    fn name_of(&self, i: usize) -> String {
        format!("{} image {i}", self.name)
    }

    fn memory(&self) -> u64 {
        self.pixels.len() as u64 + 4 * self.labels.len() as u64
    }

    fn shared_memory(&self) -> Option<(usize, u64)> {
        Some((Arc::as_ptr(&self.pixels).addr(), self.memory()))
    }
}

/// Some images of another set, in an order of their own.
#[derive(Clone)]
pub struct Subset {
    parent: Arc<dyn Dataset>,
    indices: Arc<[u32]>,
}

impl Subset {
    /// The images `indices` of `parent`. Panics where an index is not less than `parent.len()`.
    pub fn new(parent: Arc<dyn Dataset>, indices: impl Into<Arc<[u32]>>) -> Subset {
        let indices = indices.into();
        assert!(
            indices.iter().all(|&i| (i as usize) < parent.len()),
            "a subset names an image its parent does not have"
        );
        Subset { parent, indices }
    }

    /// Which images of the parent these are.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn classes(&self) -> &[String] {
        self.parent.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.parent.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        self.parent.label(self.indices[i] as usize)
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        self.parent.read(self.indices[i] as usize, picture)
    }

    fn prefetch(&self, i: usize) {
        self.parent.prefetch(self.indices[i] as usize);
    }

    fn name_of(&self, i: usize) -> String {
        self.parent.name_of(self.indices[i] as usize)
    }

    fn decodes(&self) -> bool {
        self.parent.decodes()
    }

    fn look(&self, i: usize) -> Result<Look, DataError> {
        self.parent.look(self.indices[i] as usize)
    }

    fn content_hash(&self, i: usize) -> Result<u64, DataError> {
        self.parent.content_hash(self.indices[i] as usize)
    }

    fn memory(&self) -> u64 {
        self.parent.memory() + 4 * self.indices.len() as u64
    }

    fn shared_memory(&self) -> Option<(usize, u64)> {
        self.parent.shared_memory()
    }

    fn replaced(&self) -> Named {
        self.parent.replaced()
    }
}

/// Another set under the class names, and so the labels, of the set that a network was trained on.
struct Relabelled {
    parent: Arc<dyn Dataset>,
    classes: Vec<String>,
    /// The new label of each label of the parent.
    labels: Vec<u32>,
}

/// `dataset` with labels that index `classes`, matched by class *name*. Classes that only `classes`
/// has stay empty.
///
/// # Errors
/// [`DataError::Malformed`] where images have a class that `classes` lacks.
pub fn match_classes(dataset: Arc<dyn Dataset>, classes: &[String]) -> Result<Arc<dyn Dataset>, DataError> {
    if dataset.classes() == classes {
        return Ok(dataset);
    }
    let counts = class_counts(&*dataset);
    let known: HashMap<&String, u32> = classes.iter().zip(0..).collect();
    let mut labels = Vec::with_capacity(counts.len());
    for (name, &images) in dataset.classes().iter().zip(&counts) {
        match known.get(name) {
            Some(&label) => labels.push(label),
            None if images == 0 => labels.push(0),
            None => {
                return Err(DataError::malformed(
                    dataset.name_of(first_of(&*dataset, labels.len())),
                    format!("one of the {} classes of the training images", classes.len()),
                    format!("class \"{name}\", which {images} images have"),
                    "give a set with the same class names",
                ));
            }
        }
    }
    Ok(Arc::new(Relabelled { parent: dataset, classes: classes.to_vec(), labels }))
}

impl Dataset for Relabelled {
    fn len(&self) -> usize {
        self.parent.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn image_shape(&self) -> [usize; 3] {
        self.parent.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[self.parent.label(i) as usize]
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        self.parent.read(i, picture)
    }

    fn prefetch(&self, i: usize) {
        self.parent.prefetch(i);
    }

    fn name_of(&self, i: usize) -> String {
        self.parent.name_of(i)
    }

    fn decodes(&self) -> bool {
        self.parent.decodes()
    }

    fn look(&self, i: usize) -> Result<Look, DataError> {
        self.parent.look(i)
    }

    fn content_hash(&self, i: usize) -> Result<u64, DataError> {
        self.parent.content_hash(i)
    }

    fn memory(&self) -> u64 {
        self.parent.memory()
    }

    fn shared_memory(&self) -> Option<(usize, u64)> {
        self.parent.shared_memory()
    }

    fn replaced(&self) -> Named {
        self.parent.replaced()
    }
}

/// The number of images of each class.
pub fn class_counts(dataset: &dyn Dataset) -> Vec<usize> {
    let mut counts = vec![0; dataset.classes().len()];
    for i in 0..dataset.len() {
        counts[dataset.label(i) as usize] += 1;
    }
    counts
}

/// Whether a classifier can learn anything from `dataset`.
///
/// # Errors
/// [`DataError::Malformed`] where it has no images, or images of one class only.
pub fn check_trainable(dataset: &dyn Dataset) -> Result<(), DataError> {
    let counts = class_counts(dataset);
    let filled: Vec<usize> = (0..counts.len()).filter(|&k| counts[k] > 0).collect();
    let found = match filled[..] {
        [] => "no images".to_owned(),
        [only] => format!("one class, \"{}\": nothing to tell apart", dataset.classes()[only]),
        _ => return Ok(()),
    };
    Err(DataError::malformed(
        "training images",
        "images of two classes or more",
        found,
        "add images of another class",
    ))
}

fn first_of(dataset: &dyn Dataset, class: usize) -> usize {
    (0..dataset.len()).find(|&i| dataset.label(i) as usize == class).unwrap_or(0)
}
