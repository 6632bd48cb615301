//! Pictures on their way into networks: read, decoded and prepared on threads of their own, in their order.
//!
//! What a [`Loader`](ocelli_data::Loader) is for training, a feed is for measuring and predicting: nothing is varied,
//! several networks may want each picture in their own way, in several views, and a picture that cannot be read costs
//! nothing but itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ocelli_data::{DataError, Dataset, Picture, Preprocess, Preprocessor, View};

use crate::Error;

/// Pictures that can be read by number, from several threads at once.
pub trait Pictures: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads picture `i` into `picture`, whose memory is reused.
    ///
    /// # Errors
    /// A picture that cannot be read; the error names it.
    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError>;

    /// What picture `i` is called in messages and results.
    fn name_of(&self, i: usize) -> String;
}

/// The pictures of a data set, without their labels.
#[derive(Clone)]
pub struct OfDataset(pub Arc<dyn Dataset>);

impl Pictures for OfDataset {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        self.0.read(i, picture)
    }

    fn name_of(&self, i: usize) -> String {
        self.0.name_of(i)
    }
}

/// What a feed makes of pictures.
#[derive(Clone)]
pub(crate) struct FeedOptions {
    /// How pictures become inputs, in each of these ways.
    pub(crate) ways: Vec<Preprocess>,
    /// Which views of each picture are taken.
    pub(crate) views: Vec<View>,
    /// Pictures per batch, at least 1.
    pub(crate) batch: usize,
    /// Threads that read ahead; with 0 the caller's does, when it asks.
    pub(crate) threads: usize,
    /// Whether to look if pictures are negatives of what the first way expects.
    pub(crate) judges_inversion: bool,
}

/// Some pictures as networks take them.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// Which pictures these are: those that could be read.
    pub(crate) pictures: Vec<u32>,
    /// For each way, the views of each picture one after another, H·W·C each.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// For each picture, whether it looks like a negative; false where nobody looked.
    pub(crate) inverted: Vec<bool>,
    /// The pictures that could not be read.
    pub(crate) failures: Vec<(u32, DataError)>,
}

/// Yields batches of pictures in their order, whatever the number of threads.
pub(crate) struct Feed {
    source: Source,
    next: usize,
    batches: usize,
    current: Fed,
}

enum Source {
    Inline(Box<Preparer>),
    /// Each makes every n-th batch.
    Threads(Vec<Worker>, Arc<AtomicBool>),
}

/// The most bytes of inputs that wait to be taken; fewer threads read ahead where batches are large.
const MOST_WAITING: usize = 512 << 20;

/// Batches that a thread has under way at once: one that it makes, and one that waits.
const AHEAD: usize = 2;

/// Of so many threads those whose batches, of so many bytes each, may wait.
fn affordable(threads: usize, batch_bytes: usize) -> usize {
    threads.min((MOST_WAITING / batch_bytes.saturating_mul(AHEAD).max(1)).max(1))
}

/// The bytes of the batches that a feed for an engine of so many threads has at once, with samples of `sample` numbers: those
/// of its threads, and the one at hand.
pub(crate) fn waiting_bytes(sample: usize, batch: usize, threads: usize) -> u64 {
    let bytes = sample.saturating_mul(batch).saturating_mul(size_of::<f32>());
    let batches = if threads > 1 { AHEAD * affordable(threads, bytes) + 1 } else { 1 };
    (bytes as u64).saturating_mul(batches as u64)
}

impl Feed {
    /// A feed of `pictures`.
    ///
    /// # Errors
    /// Preprocessing that cannot be done, more than 2³²−1 pictures, or threads that cannot be started.
    pub(crate) fn new(pictures: Arc<dyn Pictures>, options: &FeedOptions) -> Result<Feed, Error> {
        if u32::try_from(pictures.len()).is_err() {
            return Err(Error::Limit(format!(
                "{} pictures are too many: take at most 2³²−1",
                pictures.len()
            )));
        }
        let preparer = Preparer::new(pictures, options)?;
        let batches = preparer.pictures.len().div_ceil(preparer.batch);
        let threads = affordable(options.threads, preparer.batch_bytes());
        let stop = Arc::clone(&preparer.stop);
        let source = match threads.min(batches) {
            0 => Source::Inline(Box::new(preparer)),
            threads => Source::Threads(start(&preparer, threads)?, stop),
        };
        Ok(Feed { source, next: 0, batches, current: Fed::default() })
    }

    /// The next batch, or `None` after the last. It stays in the feed, which uses its memory again.
    pub(crate) fn next_batch(&mut self) -> Option<&mut Fed> {
        if self.next == self.batches {
            return None;
        }
        match &mut self.source {
            Source::Inline(preparer) => preparer.prepare(self.next, &mut self.current),
            Source::Threads(workers, _) => {
                let count = workers.len();
                let fed = workers[self.next % count].receive();
                let last = std::mem::replace(&mut self.current, fed);
                if let Some(before) = self.next.checked_sub(1) {
                    workers[before % count].give_back(last);
                }
            }
        }
        self.next += 1;
        Some(&mut self.current)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let Source::Threads(workers, stop) = &mut self.source else { return };
        stop.store(true, Ordering::Relaxed);
        // All channels first, so that the threads end side by side.
        workers.iter_mut().for_each(|worker| (worker.ready, worker.used) = (None, None));
        for thread in workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // Its panic, if any, is no longer anybody's result.
            let _ = thread.join();
        }
    }
}

/// Makes any batch on demand.
#[derive(Clone)]
struct Preparer {
    pictures: Arc<dyn Pictures>,
    ways: Vec<(Preprocess, Preprocessor)>,
    views: Vec<View>,
    batch: usize,
    judges_inversion: bool,
    picture: Picture,
    /// Set when nobody waits for batches any more.
    stop: Arc<AtomicBool>,
}

impl Preparer {
    fn new(pictures: Arc<dyn Pictures>, options: &FeedOptions) -> Result<Preparer, Error> {
        let way = |way: &Preprocess| Ok((way.clone(), Preprocessor::new(way)?));
        Ok(Preparer {
            pictures,
            ways: options.ways.iter().map(way).collect::<Result<_, DataError>>()?,
            views: options.views.clone(),
            batch: options.batch.max(1),
            judges_inversion: options.judges_inversion,
            picture: Picture::default(),
            stop: Arc::default(),
        })
    }

    fn batch_bytes(&self) -> usize {
        let input = |(way, _): &(Preprocess, Preprocessor)| way.input_shape().iter().product::<usize>();
        let picture = self.ways.iter().map(input).sum::<usize>().saturating_mul(self.views.len());
        picture.saturating_mul(self.batch).saturating_mul(size_of::<f32>())
    }

    /// Makes batch `n`; what `fed` held goes, and its memory stays.
    fn prepare(&mut self, n: usize, fed: &mut Fed) {
        let first = n * self.batch;
        let last = (first + self.batch).min(self.pictures.len());
        fed.pictures.clear();
        fed.inverted.clear();
        fed.failures.clear();
        fed.inputs.resize_with(self.ways.len(), Vec::new);
        let sizes =
            self.ways.iter().map(|(way, _)| self.views.len() * way.input_shape().iter().product::<usize>());
        for (input, size) in fed.inputs.iter_mut().zip(sizes) {
            input.resize((last - first) * size, 0.0);
        }
        for i in first..last {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.add(i, fed);
        }
        // Room was made for all, and some may not be there.
        for input in &mut fed.inputs {
            input.truncate(input.len() / (last - first) * fed.pictures.len());
        }
    }

    fn add(&mut self, i: usize, fed: &mut Fed) {
        if let Err(error) = self.pictures.read(i, &mut self.picture) {
            fed.failures.push((i as u32, error));
            return;
        }
        for ((way, preprocessor), input) in self.ways.iter_mut().zip(&mut fed.inputs) {
            let size = way.input_shape().iter().product::<usize>();
            let place = fed.pictures.len() * self.views.len() * size;
            for (&view, out) in self.views.iter().zip(input[place..].chunks_exact_mut(size)) {
                preprocessor.view(&self.picture, view, out);
            }
        }
        let negative = self.judges_inversion
            && self.ways.first().is_some_and(|(way, _)| way.looks_inverted(&self.picture));
        fed.inverted.push(negative);
        fed.pictures.push(i as u32);
    }
}

struct Worker {
    /// Both ends are dropped first to let the thread go.
    ready: Option<Receiver<Fed>>,
    used: Option<SyncSender<Fed>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the system gives too few threads, those that run end when nobody takes their first batch.
fn start(preparer: &Preparer, threads: usize) -> Result<Vec<Worker>, Error> {
    let worker = |first| {
        Worker::start(preparer.clone(), first, threads).map_err(|e| {
            Error::Limit(format!("the system gave no more threads to read pictures with: {e}; ask for fewer"))
        })
    };
    (0..threads).map(worker).collect()
}

impl Worker {
    fn start(mut preparer: Preparer, first: usize, step: usize) -> std::io::Result<Worker> {
        let (send, ready) = sync_channel(AHEAD - 1);
        let (used, recycled) = sync_channel::<Fed>(AHEAD);
        let batches = preparer.pictures.len().div_ceil(preparer.batch);
        let work = move || {
            for n in (first..batches).step_by(step) {
                let mut fed = recycled.try_recv().unwrap_or_default();
                preparer.prepare(n, &mut fed);
                if send.send(fed).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("ocelli-feed-{first}")).spawn(work)?;
        Ok(Worker { ready: Some(ready), used: Some(used), thread: Some(thread) })
    }

    /// The thread's next batch. A panic of its thread goes on in the caller's.
    fn receive(&mut self) -> Fed {
        if let Some(Ok(fed)) = self.ready.as_ref().map(Receiver::recv) {
            return fed;
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("a thread of a feed makes every batch that is its"),
        }
    }

    fn give_back(&self, fed: Fed) {
        if let Some(used) = &self.used {
            // A thread that is done takes none back.
            let _ = used.try_send(fed);
        }
    }
}
