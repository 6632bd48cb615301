//! Which images of DATA are measured.

use std::sync::Arc;

use ocelli::io::ModelFile;
use ocelli::train::data_digest;
use ocelli_data::{DataError, Dataset, OpenOptions, Parts, Picture, open_parts_in};

use super::Args;
use crate::console::Console;
use crate::failure::Failure;

/// What is measured, and which images these are.
pub(super) fn images(
    args: &Args,
    models: &[ModelFile],
    console: Console,
) -> Result<(Arc<dyn Dataset>, &'static str), Failure> {
    let parts = open_parts_in(args.data(), args.root.as_deref())?;
    if args.all {
        return Ok((all(parts), "every split"));
    }
    if let Some(test) = parts.test {
        return Ok((test, "the test split"));
    }
    if let Some(val) = parts.val {
        return Ok((val, "the validation split"));
    }
    if models.iter().any(|model| was_trained_on(model, &*parts.train)) {
        console.warn(SEEN);
        return Ok((parts.train, "all"));
    }
    match held_out(args, models, console)? {
        Some(held_out) => Ok((held_out, "held out from training (--all for all)")),
        None => Ok((parts.train, "all")),
    }
}

/// By content, whatever the data are called now and wherever they lie.
fn was_trained_on(model: &ModelFile, set: &dyn Dataset) -> bool {
    let digest = model.training.get("train_digest").and_then(|digest| digest.as_str());
    digest == Some(data_digest(set).as_str())
}

/// The images that were held out when one of the models was trained on the others, if so: the data are divided by its seed as
/// training divides them.
fn held_out(
    args: &Args,
    models: &[ModelFile],
    console: Console,
) -> Result<Option<Arc<dyn Dataset>>, Failure> {
    let root = args.root.clone();
    let mut options = OpenOptions { root, most_unreadable: 1.0, ..OpenOptions::default() };
    let mut seeds: Vec<u64> = Vec::new();
    for model in models {
        options.seed = model.training.get("seed").and_then(|seed| seed.as_u64()).unwrap_or(0);
        if seeds.contains(&options.seed) {
            continue;
        }
        seeds.push(options.seed);
        let splits = ocelli_data::open(args.data(), &options)?;
        if models.iter().any(|model| was_trained_on(model, &*splits.train)) {
            if !models.iter().all(|model| was_trained_on(model, &*splits.train)) {
                console.warn(OTHERS);
            }
            return Ok(Some(splits.val));
        }
    }
    Ok(None)
}

const SEEN: &str = "the model was trained on these very images: figures on other images will be worse";

const OTHERS: &str = "these images were held out from one model, and others may have been trained on some of them; train models \
                      with the same --seed, or give other data";

/// The images of all splits.
fn all(parts: Parts) -> Arc<dyn Dataset> {
    let others = [parts.val, parts.test].into_iter().flatten();
    others.fold(parts.train, |first, second| Arc::new(Joined { first, second }))
}

/// One set after another, with the same classes.
struct Joined {
    first: Arc<dyn Dataset>,
    second: Arc<dyn Dataset>,
}

impl Joined {
    fn place(&self, i: usize) -> (&dyn Dataset, usize) {
        match i.checked_sub(self.first.len()) {
            None => (&*self.first, i),
            Some(i) => (&*self.second, i),
        }
    }
}

impl Dataset for Joined {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn classes(&self) -> &[String] {
        self.first.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.first.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        let (set, i) = self.place(i);
        set.label(i)
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let (set, i) = self.place(i);
        set.read(i, picture)
    }

    fn name_of(&self, i: usize) -> String {
        let (set, i) = self.place(i);
        set.name_of(i)
    }
}
