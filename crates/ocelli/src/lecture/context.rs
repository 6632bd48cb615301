//! What experiments run on: an engine, a seed, and data.

use std::path::{Path, PathBuf};

use ocelli_data::{OpenOptions, Picture, Splits, decode, decode_bytes, open};
use ocelli_kernels::random::Key;

use crate::classical::Plane;
use crate::{Engine, Error};

/// What an experiment runs on.
pub struct Context {
    engine: Engine,
    seed: u64,
    data: Option<PathBuf>,
    listener: Option<Listener>,
}

/// Takes what an experiment tells on the way.
type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// A photograph of 256×256, the author's own: Chelsea the cat, by Stéfan van der Walt, CC0 (see `assets/README.md`).
const PHOTOGRAPH: &[u8] = include_bytes!("../../assets/chelsea.jpg");

impl Context {
    /// An engine, what chooses all random numbers, and a folder with real data: `mnist`, `cifar10`, `miniplaces` and `photos`
    /// in it are looked for, or folders with more behind a dash, such as `cifar10-jpeg`. Without them experiments take what is
    /// embedded.
    pub fn new(engine: Engine, seed: u64, data: Option<PathBuf>) -> Context {
        Context { engine, seed, data, listener: None }
    }

    /// The same, with what takes lines on how far an experiment is: those that may take minutes tell.
    #[must_use]
    pub fn telling(self, listener: impl Fn(&str) + Send + Sync + 'static) -> Context {
        Context { listener: Some(Box::new(listener)), ..self }
    }

    /// Tells how far an experiment is.
    pub(crate) fn tell(&self, line: &str) {
        if let Some(listener) = &self.listener {
            listener(line);
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What chooses all random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The key of the random numbers that `words` name.
    pub fn key(&self, words: &[u64]) -> Key {
        Key::new(self.seed, words)
    }

    /// What has this name in the folder of real data, if there is such a folder and it is there.
    pub fn real(&self, name: &str) -> Option<PathBuf> {
        let folder = self.data.as_ref()?;
        let path = folder.join(name);
        if path.exists() {
            return Some(path);
        }
        let longer = |path: &PathBuf| {
            let rest = path.file_name().and_then(|found| found.to_str()?.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        sorted(folder).into_iter().find(longer)
    }

    /// The embedded digits, a fifth of each class held out by the seed.
    pub(crate) fn digits(&self) -> Result<Splits, Error> {
        self.open(Path::new("digits"))
    }

    /// MNIST where it is among the real data, the embedded digits otherwise; and what to call them.
    pub(crate) fn digits_or_mnist(&self) -> Result<(Splits, &'static str), Error> {
        match self.real("mnist") {
            Some(path) => {
                let splits = self.open(&path)?;
                match splits.train.classes().len() {
                    10 => Ok((splits, "MNIST")),
                    classes => Err(Error::Bad(format!(
                        "{}: ten digits are wanted, and these images have {classes} classes; take the folder out of --data, or put \
                         MNIST there",
                        path.display()
                    ))),
                }
            }
            None => Ok((self.digits()?, "the embedded digits, 8×8")),
        }
    }

    /// A data set.
    pub(crate) fn open(&self, path: &Path) -> Result<Splits, Error> {
        Ok(open(path, &OpenOptions { seed: self.seed, ..OpenOptions::default() })?)
    }

    /// A grey photograph with sides of at least 256 pixels, values from 0 to 1, and what to call it: of the real ones that of this
    /// name or else the first that is large enough; the embedded one where there is none.
    pub(crate) fn photograph(&self, name: &str) -> Result<(Plane, String), Error> {
        const SIDE: usize = 256;
        let mut paths = self.real("photos").map(|folder| sorted(&folder)).unwrap_or_default();
        paths.sort_by_key(|path| !path.ends_with(name));
        for path in paths {
            // Other files may lie there.
            if let Some(picture) = decode(&path).ok().filter(|p| p.height.min(p.width) >= SIDE) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Ok((grey(&picture), format!("the photograph {name}")));
            }
        }
        Ok((grey(&embedded()?), "the embedded photograph, a cat".to_owned()))
    }

    /// White noise: independent normal values of variance 1.
    pub(crate) fn noise(&self, words: &[u64], [height, width]: [usize; 2]) -> Plane {
        let mut stream = self.key(words).stream();
        Plane::from_fn(height, width, |_, _| stream.normal())
    }
}

/// What lies in a folder, by name.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn embedded() -> Result<Picture, Error> {
    Ok(decode_bytes("the embedded photograph", PHOTOGRAPH)?)
}

fn grey(picture: &Picture) -> Plane {
    let mut grey = Picture::default();
    grey.convert_from(picture, 1);
    let values = grey.pixels.iter().map(|&p| f64::from(p) / 255.0).collect();
    Plane::new(grey.height, grey.width, values)
}
