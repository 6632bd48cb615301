//! What the paths of pictures say: which split, which class. For folders and for archives.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::class_list::ClassList;
use super::{Parts, Role};
use crate::files::{FileDataset, Files, Names, split_first, split_last};
use crate::{DataError, Dataset};

/// Pictures of one origin, by what their paths say.
pub(super) struct Layout {
    files: Arc<Files>,
    splits: Vec<(Role, Vec<Member>)>,
}

/// A picture: its number among the files, and where in its path the name of its class stands.
#[derive(Clone, Copy, Debug)]
struct Member {
    file: u32,
    start: u32,
    end: u32,
}

impl Member {
    fn class(self, names: &Names) -> &[u8] {
        &names.get(self.file as usize)[self.start as usize..self.end as usize]
    }
}

/// A picture whose class is not known yet.
#[derive(Clone, Copy)]
struct Place {
    file: u32,
    /// So many bytes of the path stand above the class: folders of archives and splits.
    skip: u32,
}

impl Place {
    /// The path below the split.
    fn path(self, names: &Names) -> &[u8] {
        &names.get(self.file as usize)[self.skip as usize..]
    }

    /// One folder further down; `None` where there is no folder.
    fn down(self, names: &Names) -> Option<Place> {
        let (top, _) = split_first(self.path(names))?;
        Some(Place { skip: self.skip + top.len() as u32 + 1, ..self })
    }
}

/// How to find out what the paths of some files say.
pub(super) struct Reading<'a> {
    /// Whether a folder that holds everything is passed over: archives mostly have one.
    pub(super) unwrap: bool,
    /// Which split these are, where something else says so than folders.
    pub(super) role: Option<Role>,
    /// The classes, where a list names them.
    pub(super) list: Option<&'a ClassList>,
}

impl Layout {
    /// Finds out what is where.
    ///
    /// If the folders at the top are called like splits ([`Role::of`]) they are those. Below, the class is
    ///
    /// * where a list names the classes: the longest listed name with which the path begins;
    /// * otherwise the first folder, if any picture lies directly in such a folder, as torchvision has it;
    /// * otherwise the whole path of the folder that holds the picture: `a/abbey`.
    ///
    /// Pictures in no class folder are counted among what is not read.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for class names that are no text, and pictures whose class a list lacks.
    pub(super) fn of(mut files: Files, reading: &Reading) -> Result<Layout, DataError> {
        let mut all: Vec<Place> = (0..files.len() as u32).map(|file| Place { file, skip: 0 }).collect();
        if reading.unwrap {
            unwrap(&files.names, &mut all);
        }
        let groups = match reading.role {
            Some(role) => {
                // An archive that is called like a split may repeat that inside.
                unwrap_split(&files.names, &mut all);
                vec![(role, all)]
            }
            None => {
                check_splits(&files, &all)?;
                divide(&files.names, all)
            }
        };
        let level = Level::of(&files.names, &groups, reading.list);
        let (mut splits, mut outside) = (Vec::new(), Vec::new());
        for (role, places) in groups {
            let mut members = Vec::with_capacity(places.len());
            for place in places {
                match level.classify(&files, place)? {
                    Some(member) => members.push(member),
                    None => outside.push(place.file),
                }
            }
            splits.push((role, members));
        }
        for file in outside {
            let name = files.names.get(file as usize).to_vec();
            files.others.add(&name);
        }
        Ok(Layout { files: Arc::new(files), splits })
    }

    /// What is not read, in words.
    fn note(&self) -> Option<String> {
        self.files
            .others
            .note("entry is no picture in a class folder", "entries are no pictures in class folders")
    }

    fn members(&self, role: Role) -> &[Member] {
        self.splits.iter().find(|(of, _)| *of == role).map_or(&[], |(_, members)| members)
    }

    /// The classes that pictures of a split have, and a picture of each.
    fn classes(&self, role: Role) -> HashMap<&[u8], u32> {
        self.members(role).iter().rev().map(|m| (m.class(&self.files.names), m.file)).collect()
    }

    /// The pictures of a split, in the order of torchvision's ImageFolder: by class, folder and name, byte by byte.
    fn dataset(&self, role: Role, labels: &HashMap<&[u8], u32>, classes: &Arc<[String]>) -> Arc<dyn Dataset> {
        let names = &self.files.names;
        let mut members: Vec<(u32, u32)> =
            self.members(role).iter().map(|member| (labels[member.class(names)], member.file)).collect();
        members.sort_unstable_by_key(|&(label, file)| (label, split_last(names.get(file as usize)), file));
        let (labels, members) = members.into_iter().unzip();
        Arc::new(FileDataset::new(Arc::clone(&self.files), members, labels, Arc::clone(classes)))
    }
}

/// The data set `name` from `origin`: pictures of one or several layouts, each split in one of them.
///
/// # Errors
/// [`DataError::Malformed`] where no picture lies in a class folder, or where a split has a class that the training images
/// lack.
pub(super) fn assemble(
    name: String,
    origin: &str,
    layouts: &[Layout],
    list: Option<&ClassList>,
) -> Result<Parts, DataError> {
    let holder = |role: Role| layouts.iter().find(|layout| !layout.members(role).is_empty());
    // What has no training images is used as a whole, such as a test split to measure a model on.
    let Some((first, training)) = Role::ALL.into_iter().find_map(|role| Some((role, holder(role)?))) else {
        return Err(no_pictures(origin, layouts));
    };
    let trained: BTreeSet<&[u8]> = training.classes(first).into_keys().collect();
    let classes: Arc<[String]> = match list {
        Some(list) => list.names.as_slice().into(),
        None => trained.iter().map(|class| String::from_utf8_lossy(class).into_owned()).collect(),
    };
    let labels: HashMap<&[u8], u32> = classes.iter().map(String::as_bytes).zip(0..).collect();
    let split = |role: Role| -> Result<Option<Arc<dyn Dataset>>, DataError> {
        let Some(layout) = holder(role).filter(|_| role != first) else { return Ok(None) };
        for (class, file) in layout.classes(role) {
            if !labels.contains_key(class) {
                return Err(unknown_class(&layout.files.title(file as usize), class, trained.len()));
            }
        }
        Ok(Some(layout.dataset(role, &labels, &classes)))
    };
    Ok(Parts {
        name,
        val: split(Role::Val)?,
        test: split(Role::Test)?,
        train: training.dataset(first, &labels, &classes),
        held_out: 0.1,
        notes: layouts.iter().filter_map(Layout::note).collect(),
    })
}

/// Passes over the folder that holds everything, if that is no split and no class.
fn unwrap(names: &Names, all: &mut [Place]) {
    let Some((top, _)) = all.first().and_then(|place| split_first(place.path(names))) else { return };
    let top = top.to_vec();
    let is_wrapper = |place: &Place| {
        let rest = split_first(place.path(names)).filter(|(first, _)| *first == top);
        rest.is_some_and(|(_, rest)| split_first(rest).is_some())
    };
    if Role::of(&top).is_none() && all.iter().all(is_wrapper) {
        all.iter_mut().for_each(|place| place.skip += top.len() as u32 + 1);
    }
}

/// Passes over the folder that holds everything, if it is called like a split.
fn unwrap_split(names: &Names, all: &mut [Place]) {
    let top = |place: &Place| split_first(place.path(names)).map(|(top, _)| top);
    let Some(first) = all.first().and_then(top).filter(|first| Role::of(first).is_some()) else { return };
    if all.iter().all(|place| top(place) == Some(first)) {
        all.iter_mut().for_each(|place| place.skip += first.len() as u32 + 1);
    }
}

/// Refuses splits that have something else beside them, which others would take for splits and we for classes: at least
/// two folders that are called like splits, one of them to train on, in none of which a picture lies directly.
fn check_splits(files: &Files, all: &[Place]) -> Result<(), DataError> {
    let names = &files.names;
    let top = |place: &Place| split_first(place.path(names));
    let roles: BTreeSet<usize> = all.iter().filter_map(|p| Some(Role::of(top(p)?.0)? as usize)).collect();
    let directly = |place: &Place| {
        top(place).is_some_and(|(top, rest)| Role::of(top).is_some() && split_first(rest).is_none())
    };
    let extra = all.iter().find(|place| top(place).is_some_and(|(top, _)| Role::of(top).is_none()));
    match extra {
        Some(place)
            if roles.len() > 1 && roles.contains(&(Role::Train as usize)) && !all.iter().any(directly) =>
        {
            let (folder, _) = top(place).expect("it lies in a folder");
            Err(DataError::malformed(
                files.title(place.file as usize),
                "splits alone beside the training images, such as train, val and test",
                format!("folder \"{}\" there", shown(folder)),
                "move it elsewhere, or put the pictures of all splits that are to be trained on into folders of classes",
            ))
        }
        _ => Ok(()),
    }
}

/// Into splits, if all folders at the top are called like one; a class may be called "train" beside others.
fn divide(names: &Names, all: Vec<Place>) -> Vec<(Role, Vec<Place>)> {
    let role = |place: &Place| Role::of(split_first(place.path(names))?.0);
    let in_folders = |place: &&Place| split_first(place.path(names)).is_some();
    if all.is_empty() || !all.iter().filter(in_folders).all(|place| role(place).is_some()) {
        return vec![(Role::Train, all)];
    }
    let mut groups: Vec<(Role, Vec<Place>)> = Role::ALL.map(|role| (role, Vec::new())).into();
    for place in all {
        let role = role(&place).unwrap_or(Role::Train);
        let place = place.down(names).unwrap_or(place);
        groups[role as usize].1.push(place);
    }
    groups
}

/// Which part of a path is the class.
enum Level<'a> {
    /// What a list names.
    Listed(&'a ClassList, HashSet<&'a [u8]>),
    /// The first folder.
    First,
    /// The folder that holds the picture.
    Whole,
}

impl<'a> Level<'a> {
    /// By the training images, or whichever there are.
    fn of(names: &Names, groups: &[(Role, Vec<Place>)], list: Option<&'a ClassList>) -> Level<'a> {
        if let Some(list) = list {
            return Level::Listed(list, list.names.iter().map(String::as_bytes).collect());
        }
        let group = groups.iter().find(|(_, places)| !places.is_empty());
        let directly =
            |place: &Place| split_first(place.path(names)).is_some_and(|(_, rest)| !rest.contains(&b'/'));
        match group.is_none_or(|(_, places)| places.iter().any(directly)) {
            true => Level::First,
            false => Level::Whole,
        }
    }

    /// The class of a picture; `None` for one that lies in no folder.
    fn classify(&self, files: &Files, place: Place) -> Result<Option<Member>, DataError> {
        let path = place.path(&files.names);
        let (folder, _) = split_last(path);
        if folder.is_empty() {
            return Ok(None);
        }
        let class = match self {
            Level::Whole => folder,
            Level::First => split_first(path).map_or(folder, |(first, _)| first),
            Level::Listed(list, listed) => match longest_listed(listed, folder) {
                Some(class) => class,
                None => return Err(unlisted(&files.title(place.file as usize), folder, list)),
            },
        };
        if std::str::from_utf8(class).is_err() {
            return Err(not_text(&files.title(place.file as usize), class));
        }
        Ok(Some(Member { file: place.file, start: place.skip, end: place.skip + class.len() as u32 }))
    }
}

/// The longest beginning of `folder`, of whole parts, that is listed.
fn longest_listed<'a>(listed: &HashSet<&[u8]>, folder: &'a [u8]) -> Option<&'a [u8]> {
    let mut name = folder;
    while !listed.contains(name) {
        (name, _) = split_last(name);
        if name.is_empty() {
            return None;
        }
    }
    Some(name)
}

fn shown(class: &[u8]) -> String {
    String::from_utf8_lossy(class).into_owned()
}

fn no_pictures(origin: &str, layouts: &[Layout]) -> DataError {
    let files: usize = layouts.iter().map(|layout| layout.files.len()).sum();
    let found = match files {
        0 => "no pictures (jpg, png, bmp, gif, webp, ppm, pgm)".to_owned(),
        n => format!("{n} pictures that lie in no folder"),
    };
    DataError::malformed(
        origin,
        "a folder of pictures for each class",
        found,
        "put the pictures of each class into a folder that is called like it",
    )
}

fn unknown_class(picture: &str, class: &[u8], known: usize) -> DataError {
    DataError::malformed(
        picture,
        format!("one of the {known} classes of the training images"),
        format!("class \"{}\"", shown(class)),
        "add training images of this class, or take it out of the validation images",
    )
}

fn unlisted(picture: &str, class: &[u8], list: &ClassList) -> DataError {
    DataError::malformed(
        picture,
        format!("one of the {} classes in {}", list.names.len(), list.path.display()),
        format!("folder \"{}\"", shown(class)),
        "add it to that file, or take the folder out",
    )
}

fn not_text(picture: &str, class: &[u8]) -> DataError {
    DataError::malformed(
        picture,
        "a folder whose name is UTF-8 text, as it names a class",
        format!("\"{}\"", class.escape_ascii()),
        "rename the folder",
    )
}
