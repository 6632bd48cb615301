//! Opening a data set for training: finding or making validation images, and looking at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cache::{CacheLimit, CachedDataset, fitting};
use crate::formats::{Parts, open_any};
use crate::screen::{
    Allowance, Compared, Findings, Looked, MOST_UNREADABLE, Named, find_copies, is_the_pictures_fault,
    look_at_all, shape_for,
};
use crate::split::hold_out;
use crate::{DataError, Dataset, Look, Picture, check_trainable, class_counts, match_classes, parallel};

/// Images to train on and others to validate on. Both have the same classes.
#[derive(Clone)]
pub struct Splits {
    /// What to call the data set.
    pub name: String,
    /// The images that are trained on.
    pub train: Arc<dyn Dataset>,
    /// The images that are never trained on.
    pub val: Arc<dyn Dataset>,
    /// Where `val` comes from.
    pub val_is: Validation,
    /// What a look at every image gave.
    pub found: Arc<Found>,
}

/// What a look at every image gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    /// Of the images that are trained on.
    pub train: Findings,
    /// Of the images that are validated on.
    pub val: Findings,
    /// Images to validate on that are copies of training images.
    pub in_both: Named,
    /// What else lies there and is not used, in words.
    pub notes: Vec<String>,
    /// What was seen of each image of `train` and of `val`.
    #[serde(skip)]
    looks: Arc<[Vec<Look>; 2]>,
}

impl Splits {
    /// Images that need no look: `train` and `val`, which have the same classes.
    pub fn new(name: &str, train: Arc<dyn Dataset>, val: Arc<dyn Dataset>, val_is: Validation) -> Splits {
        Splits { name: name.to_owned(), train, val, val_is, found: Arc::default() }
    }

    /// Bytes of memory that hold the images of both.
    pub fn memory(&self) -> u64 {
        let twice = match (self.train.shared_memory(), self.val.shared_memory()) {
            (Some(train), Some(val)) if train == val => train.1,
            _ => 0,
        };
        self.train.memory() + self.val.memory() - twice
    }

    /// Bytes that a thread takes at most to decode the largest picture: the picture, and what its decoder keeps.
    pub fn decoding_bytes(&self) -> u64 {
        let looks = self.found.looks.iter().flatten();
        match self.train.decodes() {
            true => looks.map(|look| look.decoding_bytes).max().unwrap_or(0),
            false => 0,
        }
    }

    /// Which pictures would be kept decoded: as many as fit into what `limit` allows, those to train on first.
    pub fn plan_cache(&self, limit: CacheLimit) -> CachePlan {
        let sets = [&self.train, &self.val];
        let looks: [&[Look]; 2] = [0, 1].map(|k| match &self.found.looks[k] {
            looks if sets[k].decodes() && looks.len() == sets[k].len() => &looks[..],
            _ => &[],
        });
        let limit = limit.bytes(looks.iter().map(|looks| fitting(looks, u64::MAX).1).sum());
        let (train, bytes) = fitting(looks[0], limit);
        let (val, more) = fitting(looks[1], limit - bytes);
        CachePlan { images: [train, val], bytes: bytes + more }
    }

    /// Decodes the pictures of a plan and keeps them in memory. What reading gives stays the same.
    ///
    /// # Errors
    /// Those of reading the pictures.
    pub fn keep_decoded(&mut self, plan: &CachePlan) -> Result<(), DataError> {
        for (set, count) in [(&mut self.train, plan.images[0]), (&mut self.val, plan.images[1])] {
            if count > 0 {
                *set = Arc::new(CachedDataset::new(Arc::clone(set), count)?);
            }
        }
        Ok(())
    }

    /// Decodes every image, and gives those to train on and to validate on that cannot be decoded though their headers can
    /// be read.
    ///
    /// # Errors
    /// [`DataError::Io`] where a disk does not answer.
    pub fn decode_all(&self) -> Result<[Named; 2], DataError> {
        for set in [&self.train, &self.val].into_iter().filter(|set| set.decodes()) {
            let errors = parallel::map(set.len(), Picture::default, |picture, i| set.read(i, picture).err());
            // The set itself notes what it could not decode.
            if let Some(error) = errors.into_iter().flatten().find(|error| !is_the_pictures_fault(error)) {
                return Err(error);
            }
        }
        Ok([&self.train, &self.val].map(|set| set.replaced()))
    }

    /// Whether a classifier can learn from these images and be measured on them.
    ///
    /// # Errors
    /// [`DataError::Malformed`] where [`check_trainable`] refuses the training images, none are left to validate on, or
    /// images to validate on have a class that no training image has.
    pub fn check(&self) -> Result<(), DataError> {
        check_trainable(&*self.train)?;
        if self.val.is_empty() {
            return Err(DataError::malformed(
                self.name.as_str(),
                "images to validate on",
                "none: every class keeps an image to train on, and none has a second one",
                "add images, or give others with --val",
            ));
        }
        let (train, val) = (class_counts(&*self.train), class_counts(&*self.val));
        match (0..train.len()).find(|&class| train[class] == 0 && val[class] > 0) {
            None => Ok(()),
            Some(class) => Err(DataError::malformed(
                self.name.as_str(),
                format!("training images of class \"{}\"", self.train.classes()[class]),
                format!("none, but {} of it to validate on", val[class]),
                "add training images of this class, or take it out of the validation images",
            )),
        }
    }
}

/// Which pictures are kept decoded, and the memory that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachePlan {
    /// How many to train on, and to validate on.
    pub images: [usize; 2],
    /// Bytes for them, at most.
    pub bytes: u64,
}

/// Where validation images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The data set's own validation split.
    Val,
    /// The data set's own test split, where it has no other.
    Test,
    /// Another data set, given beside it.
    Given(PathBuf),
    /// Training images held out, the same share of every class.
    HeldOut {
        /// The share, of 1.
        share: f64,
        /// What chose them.
        seed: u64,
    },
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Validation::Val => write!(f, "its own validation split"),
            Validation::Test => write!(f, "its own test split"),
            Validation::Given(path) => write!(f, "{}", path.display()),
            Validation::HeldOut { share, seed } => {
                let share = share * 100.0;
                write!(f, "{share:.0} % of every class held out, at least one image of two, seed {seed}")
            }
        }
    }
}

/// How to open a data set for training.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Chooses the images to hold out where there is no other split.
    pub seed: u64,
    /// Another data set to validate on. Its test split is taken where it has one.
    pub val: Option<PathBuf>,
    /// The folder or archive that paths in lists and CSV are relative to, in place of their own folder.
    pub root: Option<PathBuf>,
    /// The share of pictures of a split, from 0 to 1, that may be unreadable and are then left out.
    pub most_unreadable: f64,
    /// Height and width of the images that a network should take, in place of what follows from the pictures.
    pub size: Option<[usize; 2]>,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions { seed: 0, val: None, root: None, most_unreadable: MOST_UNREADABLE, size: None }
    }
}

/// Opens `spec`, the name of a built-in data set or a path, for training: finds or makes the validation images, and looks at
/// every image. A folder that is called like a built-in data set is meant by `./digits`.
///
/// Pictures that cannot be read are left out, up to the share `options.most_unreadable` of each split; those that turn out
/// to be damaged only when they are decoded are replaced by others of their class. That is settled by the files alone.
///
/// # Errors
/// [`DataError`] of kind usage where there is no such data set or `options.val` is the same one, of kind bad data where
/// its contents are wrong, too many pictures cannot be read or `options.val` has classes that it lacks, and of kind I/O or
/// memory.
pub fn open(spec: impl AsRef<Path>, options: &OpenOptions) -> Result<Splits, DataError> {
    let (spec, most) = (spec.as_ref(), options.most_unreadable);
    if let Some(val) = options.val.as_deref().filter(|val| same_source(spec, val)) {
        return Err(trained_on(val));
    }
    let parts = open_any(spec, options.root.as_deref())?;
    let (name, held_out, mut notes) = (parts.name.clone(), parts.held_out, parts.notes.clone());
    let all = look_at_all(&format!("{name}, to train on"), Arc::clone(&parts.train), most)?;
    let shape = if all.set.decodes() { shape_for(&all.looks) } else { all.set.image_shape() };
    let (train, val, val_is) = match other_images(parts, options, &mut notes)? {
        Some((val, val_is)) => {
            let val = match_classes(val, all.set.classes())?;
            let val = look_at_all(&format!("{name}, to validate on"), val, most)?;
            if let (Validation::Given(path), true) = (&val_is, same_images(&all, &val)) {
                return Err(trained_on(path));
            }
            (all, val, val_is)
        }
        None => divided(all, held_out, options.seed),
    };
    let shape = options.size.map_or(shape, |[height, width]| [shape[0], height, width]);
    settled(name, [train, val], val_is, notes, shape, most)
}

/// Opens `spec`, the name of a built-in data set or a path, as it was published: with every picture, whether it can be read or
/// not ([`Undivided`] tells).
///
/// # Errors
/// As [`open`], but for pictures that cannot be read.
pub fn open_parts(spec: impl AsRef<Path>) -> Result<Parts, DataError> {
    open_parts_in(spec, None)
}

/// [`open_parts`] for lists and CSV whose paths are relative to the folder `root`, or lie in the archive `root`, in place of
/// their own folder.
///
/// # Errors
/// As [`open_parts`].
pub fn open_parts_in(spec: impl AsRef<Path>, root: Option<&Path>) -> Result<Parts, DataError> {
    open_any(spec.as_ref(), root)
}

/// Images to validate on, and where they come from.
type Others = (Arc<dyn Dataset>, Validation);

/// The images to validate on that were given or that the data set comes with.
fn other_images(
    parts: Parts,
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<Option<Others>, DataError> {
    if let Some(path) = &options.val {
        let given = open_any(path, options.root.as_deref())?;
        return Ok(Some((given.for_evaluation(), Validation::Given(path.clone()))));
    }
    if let (Some(_), Some(test)) = (&parts.val, &parts.test) {
        notes.push(format!("its test split (images: {}) is left for ocelli eval", test.len()));
    }
    let val = parts.val.map(|val| (val, Validation::Val));
    Ok(val.or(parts.test.map(|test| (test, Validation::Test))))
}

/// A share of every class held out.
fn divided(all: Looked, share: f64, seed: u64) -> (Looked, Looked, Validation) {
    let (kept, held) = hold_out(&all.set, share, seed);
    let (mut train, val) = (all.part(kept), all.part(held));
    train.findings.unreadable = all.findings.unreadable;
    (train, val, Validation::HeldOut { share, seed })
}

/// The splits, once it is clear which images they have.
fn settled(
    name: String,
    looked: [Looked; 2],
    val_is: Validation,
    notes: Vec<String>,
    shape: [usize; 3],
    most: f64,
) -> Result<Splits, DataError> {
    let [mut train, mut val] = looked.map(Looked::without_damaged_loners);
    let Compared { in_both, note } = find_copies(
        (&*train.set, &train.looks, &mut train.findings),
        (&*val.set, &val.looks, &mut val.findings),
    )?;
    let allowed = match val_is {
        // The share is that of the set which both are parts of.
        Validation::HeldOut { .. } => {
            let both = Allowance::of(most, [&train, &val]);
            [Arc::clone(&both), both]
        }
        _ => [&train, &val].map(|looked| Allowance::of(most, [looked])),
    };
    Ok(Splits {
        train: train.screened(format!("{name}, to train on"), shape, &allowed[0]),
        val: val.screened(format!("{name}, to validate on"), shape, &allowed[1]),
        val_is,
        found: Arc::new(Found {
            train: train.findings,
            val: val.findings,
            in_both,
            notes: notes.into_iter().chain(note).collect(),
            looks: Arc::new([train.looks, val.looks]),
        }),
        name,
    })
}

/// A set without splits as [`open`] sees it, for finding out later which of its images training held out.
pub struct Undivided(Looked);

impl Undivided {
    /// Looks at every image of a set.
    ///
    /// # Errors
    /// [`DataError::Io`] where a disk does not answer.
    pub fn look(set: Arc<dyn Dataset>) -> Result<Undivided, DataError> {
        look_at_all("", set, 1.0).map(Undivided)
    }

    /// The images that cannot be read, with the reasons: they are in neither part.
    pub fn unreadable(&self) -> &Named {
        &self.0.findings.unreadable
    }

    /// All images as they are trained on where others are validated on.
    pub fn trained_on(self) -> Arc<dyn Dataset> {
        trained_on_as(self.0)
    }

    /// The images as they are trained on where a share is held out by this seed, and those that are held out.
    pub fn held_out(&self, share: f64, seed: u64) -> (Arc<dyn Dataset>, Arc<dyn Dataset>) {
        let (kept, held) = hold_out(&self.0.set, share, seed);
        (trained_on_as(self.0.part(kept)), Arc::new(held))
    }
}

/// As training reads them, however many are damaged.
fn trained_on_as(looked: Looked) -> Arc<dyn Dataset> {
    let looked = looked.without_damaged_loners();
    let (shape, allowed) = (looked.set.image_shape(), Allowance::of(1.0, [&looked]));
    looked.screened(String::new(), shape, &allowed)
}

/// Whether two names mean the same data: built-in names, or paths.
fn same_source(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether two sets hold the same images with the same labels in the same order.
fn same_images(a: &Looked, b: &Looked) -> bool {
    let same = |i: usize| a.looks[i] == b.looks[i] && a.set.label(i) == b.set.label(i);
    a.set.len() == b.set.len() && (0..a.set.len()).all(same)
}

fn trained_on(path: &Path) -> DataError {
    DataError::Ambiguous {
        path: path.to_owned(),
        problem:
            "its images are those that are trained on, so validating on them would tell nothing about others"
                .to_owned(),
        advice: "leave --val out to validate on the data's own test split or on held-out images".to_owned(),
    }
}
