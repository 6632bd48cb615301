//! A look at every image before training: which cannot be read, how large they are, which are copies.
//!
//! Which images belong to a set is decided here, once and by the files alone, so that it is the same whenever the set is
//! opened: pictures whose header cannot be read, or whose end is missing, are left out. Damage in the middle of a file shows
//! only when it is decoded, which would take too long for all. Such a picture is replaced when it is read by the next one of
//! its class that can be read, so a run neither ends by it nor depends on who read it first ([`Screened`]).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::dataset::{Look, class_counts, training_shape};
use crate::{DataError, Dataset, ErrorKind, Picture, Subset, parallel};

/// The share of images that may be unreadable unless something else is said.
pub const MOST_UNREADABLE: f64 = 0.05;

/// How many things of a kind are noted by name.
const NAMED: usize = 1000;

/// How many of them an error shows.
const SHOWN: usize = 3;

/// Things that were found: how many, and the first few by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many there are.
    pub count: usize,
    /// The first thousand.
    pub first: Vec<String>,
}

impl Named {
    /// Adds one; `name` is asked for only if it is one of the first.
    pub(crate) fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name());
        }
    }
}

/// Sizes of images, height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The one with the fewest pixels.
    pub smallest: [usize; 2],
    /// The one in the middle by number of pixels.
    pub median: [usize; 2],
    /// The one with the most pixels.
    pub largest: [usize; 2],
}

/// What a look at every image of a set gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The images that can be read.
    pub images: usize,
    /// Those that cannot be read and are left out, each with the reason.
    pub unreadable: Named,
    /// The sizes of the others.
    pub sizes: Option<Sizes>,
    /// Bytes of all of them decoded.
    pub decoded_bytes: u64,
    /// Copies of images that come before them in the set.
    pub copies: Named,
    /// Copies among them whose class is another one.
    pub contradictions: Named,
}

/// A set after the look.
pub(crate) struct Looked {
    pub(crate) set: Arc<dyn Dataset>,
    pub(crate) looks: Vec<Look>,
    pub(crate) findings: Findings,
}

/// Looks at every image of `set` and leaves out what cannot be read.
///
/// # Errors
/// [`DataError::Malformed`] where that is more than the share `most` of them; [`DataError::Io`] where a disk does not answer.
pub(crate) fn look_at_all(name: &str, set: Arc<dyn Dataset>, most: f64) -> Result<Looked, DataError> {
    let results = parallel::map(set.len(), || (), |(), i| set.look(i));
    let mut findings = Findings::default();
    let (mut kept, mut looks) = (Vec::new(), Vec::with_capacity(set.len()));
    for (i, result) in (0..).zip(results) {
        match result {
            Ok(look) => {
                kept.push(i);
                looks.push(look);
            }
            Err(error) if is_of_the_moment(&error) => return Err(error),
            Err(error) => findings.unreadable.add(|| error.to_string()),
        }
    }
    if exceeds(findings.unreadable.count, set.len(), most) {
        return Err(too_many(name, &findings.unreadable, set.len(), most));
    }
    findings.measure(&looks);
    let set = if kept.len() < set.len() { Arc::new(Subset::new(set, kept)) as Arc<dyn Dataset> } else { set };
    Ok(Looked { set, looks, findings })
}

/// Whether an error may not be there the next time, so that it must not decide which images belong to a set: what a disk or
/// network says, other than that a file is not there, is none or is not to be read.
fn is_of_the_moment(error: &DataError) -> bool {
    use std::io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, PermissionDenied};
    match error {
        DataError::Io { source, .. } => {
            let stays =
                matches!(source.kind(), PermissionDenied | NotADirectory | InvalidFilename | InvalidInput);
            error.kind() == ErrorKind::Io && !stays
        }
        _ => false,
    }
}

/// Whether an error says that the picture itself is damaged, or too large.
pub(crate) fn is_the_pictures_fault(error: &DataError) -> bool {
    matches!(error.kind(), ErrorKind::BadData | ErrorKind::Memory)
}

impl Looked {
    /// Some images of the set, which have no unreadable ones.
    pub(crate) fn part(&self, subset: Subset) -> Looked {
        let looks: Vec<Look> = subset.indices().iter().map(|&i| self.looks[i as usize]).collect();
        let mut findings = Findings::default();
        findings.measure(&looks);
        Looked { set: Arc::new(subset), looks, findings }
    }

    /// The set with others in place of pictures that turn out to be damaged, as far as `allowed`.
    pub(crate) fn screened(
        &self,
        name: String,
        shape: [usize; 3],
        allowed: &Arc<Allowance>,
    ) -> Arc<dyn Dataset> {
        let set = Arc::clone(&self.set);
        match set.decodes() || set.image_shape() != shape {
            true => Arc::new(Screened::new(set, name, shape, Arc::clone(allowed))),
            false => set,
        }
    }

    /// Without pictures that are alone in their class and turn out to be damaged when they are decoded: no other one could take
    /// their place.
    pub(crate) fn without_damaged_loners(self) -> Looked {
        if !self.set.decodes() {
            return self;
        }
        let counts = class_counts(&*self.set);
        let alone: Vec<usize> =
            (0..self.set.len()).filter(|&i| counts[self.set.label(i) as usize] == 1).collect();
        let problems = parallel::map(alone.len(), Picture::default, |picture, k| {
            let error = self.set.read(alone[k], picture).err();
            error.filter(is_the_pictures_fault)
        });
        let damaged: BTreeMap<usize, DataError> =
            alone.into_iter().zip(problems).filter_map(|(i, problem)| Some((i, problem?))).collect();
        if damaged.is_empty() {
            return self;
        }
        let kept: Vec<u32> =
            (0..self.set.len() as u32).filter(|&i| !damaged.contains_key(&(i as usize))).collect();
        let mut rest = self.part(Subset::new(Arc::clone(&self.set), kept));
        rest.findings.unreadable = self.findings.unreadable;
        damaged.values().for_each(|error| rest.findings.unreadable.add(|| error.to_string()));
        rest
    }
}

impl Findings {
    fn measure(&mut self, looks: &[Look]) {
        self.images = looks.len();
        self.sizes = sizes(looks);
        self.decoded_bytes = looks.iter().map(|look| bytes_of(look.shape)).sum();
    }
}

/// The shape that a network should take for these images.
pub(crate) fn shape_for(looks: &[Look]) -> [usize; 3] {
    training_shape(looks.iter().map(|look| look.shape))
}

/// Bytes of an image of shape [C, H, W].
pub(crate) fn bytes_of(shape: [usize; 3]) -> u64 {
    shape.iter().map(|&size| size as u64).product()
}

fn sizes(looks: &[Look]) -> Option<Sizes> {
    let mut sizes: Vec<[usize; 2]> = looks.iter().map(|look| [look.shape[1], look.shape[2]]).collect();
    sizes.sort_unstable_by_key(|&[h, w]| (h as u64 * w as u64, h));
    let (&smallest, &largest) = (sizes.first()?, sizes.last()?);
    Some(Sizes { smallest, median: sizes[sizes.len() / 2], largest })
}

fn exceeds(unreadable: usize, of: usize, most: f64) -> bool {
    unreadable as f64 > most * of as f64
}

fn too_many(name: &str, unreadable: &Named, of: usize, most: f64) -> DataError {
    let shown = &unreadable.first[..unreadable.first.len().min(SHOWN)];
    DataError::malformed(
        name,
        format!("at most {} % of pictures that cannot be read", (most * 1000.0).round() / 10.0),
        format!("{} of {of}, such as: {}", unreadable.count, shown.join("; ")),
        "replace or remove them, or allow a larger share with --most-unreadable",
    )
}

/// At most so many images are read whole to see whether they are copies.
const MOST_COMPARED: usize = 50_000;

/// What comparing images with each other gave.
#[derive(Default)]
pub(crate) struct Compared {
    /// Images to validate on that are copies of training images.
    pub(crate) in_both: Named,
    /// What was not compared, in words.
    pub(crate) note: Option<String>,
}

/// Images of `train` and `val` that are copies of others: notes them in the findings of their set, and gives those of `val`
/// that `train` has too. Each set comes with what a look at its images gave.
///
/// # Errors
/// [`DataError::Io`] where a disk does not answer.
pub(crate) fn find_copies(
    train: (&dyn Dataset, &[Look], &mut Findings),
    val: (&dyn Dataset, &[Look], &mut Findings),
) -> Result<Compared, DataError> {
    let sets = [train.0, val.0];
    // A key that one image has alone is enough; the others are read whole.
    let mut alike: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    for (which, looks) in [train.1, val.1].into_iter().enumerate() {
        looks.iter().enumerate().for_each(|(i, look)| alike.entry(look.key).or_default().push((which, i)));
    }
    // Those first that may be in both sets, of these the ones to validate on: accuracy on images that were trained on tells nothing,
    // which is worse than an image that counts twice.
    let mut alike: Vec<Vec<(usize, usize)>> = alike.into_values().filter(|group| group.len() > 1).collect();
    let in_both = |group: &[(usize, usize)]| group[0].0 != group[group.len() - 1].0;
    alike.sort_unstable_by_key(|group| (!in_both(group), group[0]));
    alike.iter_mut().filter(|group| in_both(group)).for_each(|group| group.reverse());
    let mut candidates: Vec<(usize, usize)> = alike.concat();
    let note = (candidates.len() > MOST_COMPARED).then(|| {
        format!("of {} images that may be copies of others, {MOST_COMPARED} were compared", candidates.len())
    });
    candidates.truncate(MOST_COMPARED);
    candidates.sort_unstable();
    let hashes = parallel::map(
        candidates.len(),
        || (),
        |(), c| {
            let (which, i) = candidates[c];
            sets[which].content_hash(i)
        },
    );
    let mut groups: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
    for (&place, hash) in candidates.iter().zip(hashes) {
        match hash {
            Ok(hash) => groups.entry(hash).or_default().push(place),
            Err(error) if is_of_the_moment(&error) => return Err(error),
            Err(_) => {}
        }
    }
    // In the order of the first of each, and training images before the others.
    let mut groups: Vec<Vec<(usize, usize)>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable();
    let mut findings = [train.2, val.2];
    let mut in_both = Named::default();
    for group in &groups {
        note_copies(group, sets, &mut findings, &mut in_both);
    }
    Ok(Compared { in_both, note })
}

/// Notes the copies of one image, whose places are in order.
fn note_copies(
    group: &[(usize, usize)],
    sets: [&dyn Dataset; 2],
    findings: &mut [&mut Findings; 2],
    in_both: &mut Named,
) {
    let label = |(which, i): (usize, usize)| sets[which].label(i);
    let name = |(which, i): (usize, usize)| sets[which].name_of(i);
    let class =
        |place: (usize, usize)| sets[0].classes().get(label(place) as usize).cloned().unwrap_or_default();
    let first = group[0];
    for &place in &group[1..] {
        let pair = || format!("{} is {}", name(place), name(first));
        match first.0 == place.0 {
            true => findings[place.0].copies.add(pair),
            false => in_both.add(pair),
        }
        if label(place) != label(first) {
            let classes =
                || format!("{} ({}) is {} ({})", name(place), class(place), name(first), class(first));
            findings[place.0].contradictions.add(classes);
        }
    }
}

/// How many pictures may be unreadable, of one set or of two that are parts of one.
pub(crate) struct Allowance {
    /// The share of them.
    share: f64,
    /// Pictures in all, those included that were left out.
    of: usize,
    /// Those that are unreadable: left out already, or found since.
    unreadable: AtomicUsize,
}

impl Allowance {
    /// A share of some pictures that were looked at, and of those among them that were left out.
    pub(crate) fn of<'a>(share: f64, looked: impl IntoIterator<Item = &'a Looked>) -> Arc<Allowance> {
        let add = |(of, left_out): (usize, usize), looked: &Looked| {
            let count = looked.findings.unreadable.count;
            (of + looked.set.len() + count, left_out + count)
        };
        let (of, left_out) = looked.into_iter().fold((0, 0), add);
        Arc::new(Allowance { share, of, unreadable: AtomicUsize::new(left_out) })
    }
}

/// A set in which pictures that turn out to be unreadable are replaced, and whose shape is settled.
struct Screened {
    parent: Arc<dyn Dataset>,
    name: String,
    shape: [usize; 3],
    allowed: Arc<Allowance>,
    /// Those that did, by their number.
    unreadable: Mutex<BTreeMap<usize, String>>,
}

impl Screened {
    /// The images of `parent`. Networks should take images of `shape`.
    fn new(parent: Arc<dyn Dataset>, name: String, shape: [usize; 3], allowed: Arc<Allowance>) -> Screened {
        Screened { parent, name, shape, allowed, unreadable: Mutex::default() }
    }

    /// Notes an unreadable picture; an error if these are too many, or if it is not the picture's fault.
    fn note(&self, i: usize, error: DataError) -> Result<(), DataError> {
        if !is_the_pictures_fault(&error) {
            return Err(error);
        }
        let Allowance { share, of, unreadable: all } = &*self.allowed;
        let mut own = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(place) = own.entry(i) {
            place.insert(error.to_string());
            all.fetch_add(1, Ordering::Relaxed);
        }
        let all = Named { count: all.load(Ordering::Relaxed), ..named(&own) };
        match exceeds(all.count, *of, *share) {
            false => Ok(()),
            true => Err(too_many(&self.name, &all, *of, *share)),
        }
    }
}

fn named(unreadable: &BTreeMap<usize, String>) -> Named {
    Named { count: unreadable.len(), first: unreadable.values().take(NAMED).cloned().collect() }
}

impl Dataset for Screened {
    fn len(&self) -> usize {
        self.parent.len()
    }

    fn classes(&self) -> &[String] {
        self.parent.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn label(&self, i: usize) -> u32 {
        self.parent.label(i)
    }

    fn prefetch(&self, i: usize) {
        self.parent.prefetch(i);
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let Err(error) = self.parent.read(i, picture) else { return Ok(()) };
        let reason = error.to_string();
        self.note(i, error)?;
        // The next one of the class, so that the label holds; from the first on again after the last.
        let (label, n) = (self.parent.label(i), self.len());
        for other in (i + 1..n).chain(0..i).filter(|&other| self.parent.label(other) == label) {
            match self.parent.read(other, picture) {
                Ok(()) => return Ok(()),
                Err(error) => self.note(other, error)?,
            }
        }
        let class = &self.classes()[label as usize];
        Err(DataError::malformed(
            &*self.name,
            format!("a picture of class \"{class}\" that can be read"),
            format!("none, such as: {reason}"),
            "replace them, or remove the class",
        ))
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
        named(&self.unreadable.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
