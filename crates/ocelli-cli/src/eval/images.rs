//! Which images of DATA are measured.

use std::sync::Arc;

use ocelli::io::ModelFile;
use ocelli::train::data_digest;
use ocelli_data::{DataError, Dataset, Parts, Picture, Undivided, match_classes, open_parts_in};

use super::Args;
use crate::console::Console;
use crate::failure::Failure;
use crate::text::counted;

/// What is measured, and which images these are.
pub(super) fn images(
    args: &Args,
    models: &[ModelFile],
    console: Console,
) -> Result<(Arc<dyn Dataset>, &'static str), Failure> {
    let parts = open_parts_in(args.data(), args.root.as_deref())?;
    parts.notes.iter().for_each(|note| console.fact("", note));
    if args.all {
        return Ok((all(parts)?, "every split"));
    }
    if let Some(test) = parts.test {
        return Ok((test, "the test split"));
    }
    if let Some(val) = parts.val {
        return Ok((val, "the validation split"));
    }
    let undivided = Undivided::look(Arc::clone(&parts.train))?;
    // By content, whatever the data are called now and wherever they lie.
    let trained_on = |model: &ModelFile, digest: &str| {
        model.training.get("train_digest").and_then(|own| own.as_str()) == Some(digest)
    };
    for model in models {
        let seed = model.training.get("seed").and_then(|seed| seed.as_u64()).unwrap_or(0);
        let (kept, held_out) = undivided.held_out(parts.held_out, seed);
        let digest = data_digest(&*kept);
        if trained_on(model, &digest) {
            if !models.iter().all(|model| trained_on(model, &digest)) {
                console.warn(OTHERS);
            }
            let unreadable = undivided.unreadable();
            if unreadable.count > 0 {
                console.warn(format!(
                    "{} cannot be read and were neither trained on nor held out, such as {}",
                    counted(unreadable.count, "picture"),
                    unreadable.first[0]
                ));
            }
            return Ok((held_out, "held out from training (--all for all)"));
        }
    }
    let digest = data_digest(&*undivided.trained_on());
    if models.iter().any(|model| trained_on(model, &digest)) {
        console.warn(SEEN);
        return Ok((parts.train, "all"));
    }
    let here = std::fs::canonicalize(args.data()).ok();
    let trained_here = |model: &ModelFile| {
        let data = model.training.get("data").and_then(|data| data.as_str());
        here.is_some() && data.and_then(|data| std::fs::canonicalize(data).ok()) == here
    };
    if models.iter().any(trained_here) {
        console.warn(CHANGED);
    }
    Ok((parts.train, "all"))
}

const CHANGED: &str = "the model was trained on images that lay here, and they are not the same any more: it has probably seen most of \
                       these, so figures on other images will be worse; give images that it was not trained on";

const SEEN: &str = "the model was trained on these very images: figures on other images will be worse";

const OTHERS: &str = "these images were held out from one model, and others may have been trained on some of them; train models \
                      with the same --seed, or give other data";

/// The images of all splits.
fn all(parts: Parts) -> Result<Arc<dyn Dataset>, DataError> {
    let mut all = parts.train;
    for split in [parts.val, parts.test].into_iter().flatten() {
        let second = match_classes(split, all.classes())?;
        all = Arc::new(Joined { first: all, second });
    }
    Ok(all)
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
