//! Batches, prepared ahead on threads of their own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::augment::{Draw, Images, Mixer};
use crate::error::reserve;
use crate::{Augment, DataError, Dataset, Epoch, Mix, Picture, Preprocess, Preprocessor, Sampler};

/// Images as a network takes them, and their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// N·H·W·C.
    pub images: Vec<f32>,
    /// N classes; of mixed images those of the image that each was before.
    pub labels: Vec<u32>,
    /// N rows of a share per class, which add up to 1, where images were mixed ([`Mix`]).
    pub targets: Option<Vec<f32>>,
    /// Which N images of the data set these are.
    pub indices: Vec<u32>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
    /// Its number within the epoch, from 0.
    pub number: usize,
}

impl Batch {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// How a [`Loader`] works, and what it loads.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Threads that prepare batches; with 0 the caller's does, when it asks.
    pub threads: usize,
    /// Batches that each thread prepares ahead, at least 1.
    pub prefetch: usize,
    /// How images are varied.
    pub augment: Augment,
    /// How the images of a batch are mixed with each other.
    pub mix: Mix,
    /// Chooses the variations.
    pub seed: u64,
    /// The epochs to load: `0..1` is one pass.
    pub epochs: Range<u64>,
    /// The batch of the first epoch to begin at.
    pub first_batch: usize,
}

impl Default for LoaderOptions {
    /// One pass on the caller's thread, unvaried.
    fn default() -> LoaderOptions {
        LoaderOptions {
            threads: 0,
            prefetch: 2,
            augment: Augment::NONE,
            mix: Mix::NONE,
            seed: 0,
            epochs: 0..1,
            first_batch: 0,
        }
    }
}

/// Yields the batches of a data set in the order of a [`Sampler`]. Neither order nor bits depend on the
/// number of threads or on where it began.
pub struct Loader {
    source: Source,
    /// The number of the next batch, counted from the first one loaded.
    next: u64,
    /// The last batch yielded.
    current: Batch,
    /// How long callers waited for batches.
    waited: Duration,
}

enum Source {
    Inline(Box<Preparer>),
    Threads(Workers),
}

impl Loader {
    /// Loads `dataset`, whose images become inputs by `preprocess`.
    ///
    /// # Errors
    /// [`DataError::Setting`] for preprocessing, augmentation, a thread count or a first batch that
    /// cannot work, and where the sampler was made for a set of another size.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        preprocess: &Preprocess,
        sampler: Sampler,
        options: LoaderOptions,
    ) -> Result<Loader, DataError> {
        let preparer = Preparer::new(dataset, preprocess, sampler, &options)?;
        // Taken here once, so that a batch that cannot fit is an error and not the end of the process.
        let current = Batch { images: reserve("a batch", preparer.room())?, ..Batch::default() };
        let source = match options.threads {
            0 => Source::Inline(Box::new(preparer)),
            threads => Source::Threads(Workers::start(&preparer, threads, options.prefetch.max(1))?),
        };
        Ok(Loader { source, next: 0, current, waited: Duration::ZERO })
    }

    /// The next batch, or `None` after the last. It stays in the loader, which uses its memory again.
    ///
    /// # Errors
    /// Those of reading an image of this batch; the next call goes on with the next batch.
    pub fn next_batch(&mut self) -> Option<Result<&Batch, DataError>> {
        let start = Instant::now();
        let result = match &mut self.source {
            Source::Inline(preparer) => preparer.prepare(self.next, &mut self.current),
            Source::Threads(workers) => workers.receive(self.next, &mut self.current),
        };
        self.waited += start.elapsed();
        let result = result?;
        self.next += 1;
        Some(result.map(|()| &self.current))
    }

    /// The batch that [`Loader::next_batch`] gave last; an empty one before the first.
    pub fn current(&self) -> &Batch {
        &self.current
    }

    /// How long all calls of [`Loader::next_batch`] took: the time in which nothing was done with batches. Without threads of the
    /// loader's own it is what preparing them takes.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

/// Makes any batch on demand.
#[derive(Clone)]
struct Preparer {
    dataset: Arc<dyn Dataset>,
    preprocessor: Preprocessor,
    mixer: Option<Mixer>,
    sampler: Sampler,
    seed: u64,
    epochs: Range<u64>,
    first_batch: usize,
    /// The order of the epoch with this number, if one was computed.
    order: (Option<u64>, Epoch),
    picture: Picture,
    /// Set when nobody waits for batches any more.
    stop: Arc<AtomicBool>,
}

impl Preparer {
    fn new(
        dataset: Arc<dyn Dataset>,
        preprocess: &Preprocess,
        sampler: Sampler,
        options: &LoaderOptions,
    ) -> Result<Preparer, DataError> {
        if sampler.len() != dataset.len() {
            let rule = format!("the data set has {} images", dataset.len());
            return Err(DataError::setting("number of images of the sampler", sampler.len(), rule));
        }
        if options.first_batch > 0 && options.first_batch >= sampler.batches() {
            let rule = format!("an epoch has {} batches", sampler.batches());
            return Err(DataError::setting("first batch", options.first_batch, rule));
        }
        options.mix.check()?;
        Ok(Preparer {
            mixer: options.mix.is_on().then(|| Mixer::new(options.mix)),
            preprocessor: Preprocessor::new(preprocess)?.with_augment(&options.augment)?,
            dataset,
            sampler,
            seed: options.seed,
            epochs: options.epochs.clone(),
            first_batch: options.first_batch,
            order: (None, Epoch::default()),
            picture: Picture::default(),
            stop: Arc::default(),
        })
    }

    /// The inputs' values of the largest batch.
    fn room(&self) -> usize {
        let images = self.sampler.batch().min(self.sampler.len());
        images.saturating_mul(self.preprocessor.input_shape().iter().product())
    }

    /// Epoch and batch of the `n`-th batch from the start.
    fn position(&self, n: u64) -> Option<(u64, usize)> {
        let batches = self.sampler.batches() as u64;
        let n = n + self.first_batch as u64;
        let epoch = self.epochs.start.checked_add(n.checked_div(batches)?)?;
        (epoch < self.epochs.end).then_some((epoch, (n % batches) as usize))
    }

    /// Makes the `n`-th batch from the start, if there is one. After an error `batch` is incomplete.
    fn prepare(&mut self, n: u64, batch: &mut Batch) -> Option<Result<(), DataError>> {
        let (epoch, number) = self.position(n)?;
        if self.order.0 != Some(epoch) {
            self.sampler.epoch_into(epoch, &mut self.order.1);
            self.order.0 = Some(epoch);
        }
        (batch.epoch, batch.number) = (epoch, number);
        batch.indices.clear();
        batch.indices.extend_from_slice(self.order.1.batch(number));
        batch.labels.clear();
        batch.labels.extend(batch.indices.iter().map(|&i| self.dataset.label(i as usize)));
        batch.indices.iter().for_each(|&i| self.dataset.prefetch(i as usize));
        let size = self.preprocessor.input_shape().iter().product::<usize>();
        // Room for a whole batch, though this may be the short last one.
        batch.images.reserve_exact(self.room().saturating_sub(batch.images.len()));
        batch.images.resize(batch.indices.len() * size, 0.0);
        for (&i, out) in batch.indices.iter().zip(batch.images.chunks_exact_mut(size)) {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Err(error) = self.dataset.read(i as usize, &mut self.picture) {
                return Some(Err(error));
            }
            self.preprocessor.apply_augmented(&self.picture, Draw { seed: self.seed, epoch, sample: i }, out);
        }
        self.mix(batch);
        Some(Ok(()))
    }

    /// Mixes the images of a batch that is otherwise complete.
    fn mix(&mut self, batch: &mut Batch) {
        let Some(mixer) = &mut self.mixer else {
            batch.targets = None;
            return;
        };
        let [channels, height, width] = self.preprocessor.input_shape();
        let targets = batch.targets.get_or_insert_default();
        targets.resize(batch.labels.len() * self.dataset.classes().len(), 0.0);
        let Batch { images, labels, .. } = batch;
        let images = Images { images, shape: [height, width, channels], labels, targets };
        mixer.apply(self.seed, batch.epoch, batch.number as u64, images);
    }
}

/// Threads that each make every n-th batch, so that the order needs no agreement.
struct Workers {
    workers: Vec<Worker>,
    stop: Arc<AtomicBool>,
}

struct Worker {
    /// Both ends are dropped first to let the thread go.
    ready: Option<Receiver<(Batch, Result<(), DataError>)>>,
    used: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    fn start(preparer: &Preparer, threads: usize, prefetch: usize) -> Result<Workers, DataError> {
        let mut all = Workers { workers: Vec::new(), stop: preparer.stop.clone() };
        for first in 0..threads {
            let worker =
                Worker::start(preparer.clone(), first as u64, threads as u64, prefetch).map_err(|e| {
                    DataError::setting("threads", threads, format!("the system gave no more: {e}"))
                })?;
            all.workers.push(worker);
        }
        Ok(all)
    }

    /// Takes the `n`-th batch and gives back the memory of the last one.
    fn receive(&mut self, n: u64, batch: &mut Batch) -> Option<Result<(), DataError>> {
        let maker = |n: u64| (n % self.workers.len() as u64) as usize;
        let (now, before) = (maker(n), n.checked_sub(1).map(maker));
        let (next, result) = self.workers[now].receive()?;
        let last = std::mem::replace(batch, next);
        if let Some(used) = before.and_then(|w| self.workers[w].used.as_ref()) {
            // A thread that is done takes none back.
            let _ = used.try_send(last);
        }
        Some(result)
    }
}

impl Worker {
    fn start(mut preparer: Preparer, first: u64, step: u64, prefetch: usize) -> std::io::Result<Worker> {
        let (send, ready) = sync_channel(prefetch);
        let (used, recycled) = sync_channel::<Batch>(prefetch + 1);
        let work = move || {
            // No more than are ready and one that is prepared; the caller returns what it has seen.
            let mut allowed = prefetch + 1;
            for n in (first..).step_by(step as usize) {
                let recycled = match recycled.try_recv() {
                    Ok(batch) => Ok(batch),
                    Err(_) if allowed > 0 => {
                        allowed -= 1;
                        Ok(Batch::default())
                    }
                    Err(_) => recycled.recv(),
                };
                let Ok(mut batch) = recycled else { return };
                let Some(result) = preparer.prepare(n, &mut batch) else { return };
                if send.send((batch, result)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("ocelli-load-{first}")).spawn(work)?;
        Ok(Worker { ready: Some(ready), used: Some(used), thread: Some(thread) })
    }

    /// The thread's next batch; `None` when it is done. A panic of its thread goes on in the caller's.
    fn receive(&mut self) -> Option<(Batch, Result<(), DataError>)> {
        if let Ok(next) = self.ready.as_ref()?.recv() {
            return Some(next);
        }
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in &mut self.workers {
            worker.ready = None;
            worker.used = None;
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // Its panic, if any, is no longer anybody's result.
            let _ = thread.join();
        }
    }
}
