//! What was found, for a look before training.

use std::fmt;

use serde::Serialize;

use crate::{Dataset, Findings, Found, Named, Sizes, Splits, Validation, class_counts};

/// What one set holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetSummary {
    /// The number of images.
    pub images: usize,
    /// The shape [C, H, W] of an image.
    pub shape: [usize; 3],
    /// The number of images of each class.
    pub per_class: Vec<usize>,
}

impl SetSummary {
    /// Counts `dataset`; reads labels alone.
    pub fn of(dataset: &dyn Dataset) -> SetSummary {
        SetSummary { images: dataset.len(), shape: dataset.image_shape(), per_class: class_counts(dataset) }
    }
}

/// What a data set holds; `Display` gives a few lines and a table of classes.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What the data set is called.
    pub name: String,
    /// The class names.
    pub classes: Vec<String>,
    /// The images that are trained on.
    pub train: SetSummary,
    /// The images that are validated on.
    pub val: SetSummary,
    /// Where these come from.
    pub val_is: Validation,
    /// What a look at every image gave.
    pub found: Found,
}

impl Splits {
    /// Counts the images of both splits, class by class.
    pub fn summary(&self) -> Summary {
        Summary {
            name: self.name.clone(),
            classes: self.train.classes().to_vec(),
            train: SetSummary::of(&*self.train),
            val: SetSummary::of(&*self.val),
            val_is: self.val_is.clone(),
            found: Found::clone(&self.found),
        }
    }
}

/// The most classes that are listed one by one.
const MOST_ROWS: usize = 20;

impl Found {
    /// What a user should know before training on these images, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (set, purpose) in self.sets() {
            tell(&mut warnings, &set.unreadable, |n| match n {
                1 => format!("1 picture {purpose} cannot be read and is left out"),
                n => format!("{n} pictures {purpose} cannot be read and are left out"),
            });
        }
        tell(&mut warnings, &self.in_both, |n| match n {
            1 => {
                "1 image to validate on is a copy of a training image, so figures will be too good".to_owned()
            }
            n => format!(
                "{n} images to validate on are copies of training images, so figures will be too good"
            ),
        });
        for (set, purpose) in self.sets() {
            tell(&mut warnings, &set.contradictions, |n| match n {
                1 => format!("1 image {purpose} is a copy of an image of another class"),
                n => format!("{n} images {purpose} are copies of images of another class"),
            });
        }
        warnings
    }

    /// What else was found, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for (set, purpose) in self.sets() {
            tell(&mut remarks, &set.copies, |n| match n {
                1 => format!("1 image {purpose} is a copy of another one there"),
                n => format!("{n} images {purpose} are copies of others there"),
            });
        }
        remarks.extend(self.notes.iter().cloned());
        remarks
    }

    fn sets(&self) -> [(&Findings, &'static str); 2] {
        [(&self.train, "to train on"), (&self.val, "to validate on")]
    }
}

/// Adds what `say` says of so many things, and the first of them, if there are any.
fn tell(lines: &mut Vec<String>, named: &Named, say: impl Fn(usize) -> String) {
    if named.count > 0 {
        lines.push(format!("{}, such as {}", say(named.count), named.first[0]));
    }
}

impl fmt::Display for Sizes {
    /// "128×128", or "300×200 to 900×1200, median 500×375".
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let size = |[h, w]: [usize; 2]| format!("{h}×{w}");
        match self.smallest == self.largest {
            true => write!(f, "{}", size(self.median)),
            false => {
                write!(f, "{} to {}, median {}", size(self.smallest), size(self.largest), size(self.median))
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [c, h, w] = self.train.shape;
        writeln!(f, "{}: {} classes, images of {c}×{h}×{w}", self.name, self.classes.len())?;
        if let Some(sizes) = self.found.train.sizes.filter(|sizes| sizes.smallest != sizes.largest) {
            writeln!(f, "pictures of {sizes}")?;
        }
        for line in self.found.warnings().iter().chain(&self.found.remarks()) {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "{} to train on, {} to validate on ({})",
            self.train.images, self.val.images, self.val_is
        )?;
        if self.classes.len() > MOST_ROWS {
            let (least, most) = (self.train.per_class.iter().min(), self.train.per_class.iter().max());
            return match (least.unwrap_or(&0), most.unwrap_or(&0)) {
                (least, most) if least == most => write!(f, "{most} images of each class to train on"),
                (least, most) => write!(f, "{least} to {most} images of each class to train on"),
            };
        }
        let width = self.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:width$}  {:>8}  {:>8}", "class", "train", "val")?;
        for (k, name) in self.classes.iter().enumerate() {
            write!(f, "\n{name:width$}  {:>8}  {:>8}", self.train.per_class[k], self.val.per_class[k])?;
        }
        Ok(())
    }
}
