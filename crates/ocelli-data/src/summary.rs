//! What was found, for a look before training.

use std::fmt;

use serde::Serialize;

use crate::{Dataset, Splits, Validation, class_counts};

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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
        }
    }
}

/// The most classes that are listed one by one.
const MOST_ROWS: usize = 20;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [c, h, w] = self.train.shape;
        writeln!(f, "{}: {} classes, images of {c}×{h}×{w}", self.name, self.classes.len())?;
        writeln!(
            f,
            "{} to train on, {} to validate on ({})",
            self.train.images, self.val.images, self.val_is
        )?;
        if self.classes.len() > MOST_ROWS {
            let (least, most) = (self.train.per_class.iter().min(), self.train.per_class.iter().max());
            return write!(f, "{} to {} images per class", least.unwrap_or(&0), most.unwrap_or(&0));
        }
        let width = self.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:width$}  {:>8}  {:>8}", "class", "train", "val")?;
        for (k, name) in self.classes.iter().enumerate() {
            write!(f, "\n{name:width$}  {:>8}  {:>8}", self.train.per_class[k], self.val.per_class[k])?;
        }
        Ok(())
    }
}
