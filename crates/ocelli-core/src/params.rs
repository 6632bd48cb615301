//! The parameters of a network: one aligned arena with a table of names.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocelli_kernels::Element;
use ocelli_kernels::random::Key;

use crate::arena::{ALIGNMENT, AlignedBuffer};
use crate::init::{Fan, Init};
use crate::tensor::{to_channels_first, to_channels_last};
use crate::{Error, Role, Shape, Tensor};

/// What an op says of one of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name within the layer: "weight", "bias", ….
    pub name: &'static str,
    /// Its shape in the field's order: O×I for linear, O×I/groups×kh×kw for convolution.
    pub shape: Shape,
    /// What it is for: decides weight decay and whether it is trained.
    pub role: Role,
    /// How it starts.
    pub init: Init,
    /// Inputs and outputs of one unit, for initialisers that scale by them.
    pub fan: Fan,
}

impl ParamSpec {
    /// Whether it can start as it says.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.init.check().map_err(|error| error.to_string())?;
        match self.init == Init::Identity && self.shape.sizes().len() < 2 {
            true => Err(format!(
                "init identity hands inputs on, which its {} does not see; give that another init",
                self.name
            )),
            false => Ok(()),
        }
    }
}

/// One line of the table of names.
#[derive(Clone, Debug)]
pub struct ParamEntry {
    /// `layer.weight`, as PyTorch names it.
    pub name: String,
    /// What the op said of it.
    pub spec: ParamSpec,
    /// Where it stands in the arena, in elements.
    pub range: Range<usize>,
}

/// Where every parameter stands. Gradients and optimiser slots share this layout.
#[derive(Clone, Debug, Default)]
pub struct ParamLayout {
    entries: Vec<ParamEntry>,
    len: usize,
}

impl ParamLayout {
    pub(crate) fn push(&mut self, layer: &str, spec: ParamSpec) -> usize {
        // A step that suits any element type: 64 bytes are 16 f32 or 8 f64.
        let align = ALIGNMENT / 4;
        let range = self.len..self.len + spec.shape.len();
        self.len = range.end.next_multiple_of(align);
        self.entries.push(ParamEntry { name: format!("{layer}.{}", spec.name), spec, range });
        self.entries.len() - 1
    }

    /// The parameters in the order of their layers.
    pub fn entries(&self) -> &[ParamEntry] {
        &self.entries
    }

    /// Elements of an arena with this layout, padding for alignment included.
    pub fn arena_len(&self) -> usize {
        self.len
    }

    /// How many numbers the network has that training sets, running statistics and fixed prototypes not counted.
    pub fn trainable(&self) -> usize {
        self.entries.iter().filter(|e| e.spec.role.trainable()).map(|e| e.range.len()).sum()
    }

    /// The entry of that name.
    pub fn find(&self, name: &str) -> Option<&ParamEntry> {
        self.entries.iter().find(|e| e.name == name)
    }
}

/// The parameters themselves, or anything with their layout (gradients, optimiser slots).
#[derive(Debug)]
pub struct Params<T> {
    layout: Arc<ParamLayout>,
    data: AlignedBuffer<T>,
    /// See [`Params::stamp`].
    stamp: u64,
}

/// A number that nothing else has had.
fn next_stamp() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<T: Element> Params<T> {
    /// All zeros.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn zeroed(layout: &Arc<ParamLayout>) -> Result<Params<T>, Error> {
        let data = AlignedBuffer::zeroed(layout.arena_len(), "the parameters")?;
        Ok(Params { layout: Arc::clone(layout), data, stamp: next_stamp() })
    }

    /// Each parameter as its initialiser says; the same seed gives the same bits.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn initialised(layout: &Arc<ParamLayout>, seed: u64) -> Result<Params<T>, Error> {
        const PURPOSE: u64 = u64::from_be_bytes(*b"INIT    ");
        let mut params = Params::zeroed(layout)?;
        for (index, entry) in layout.entries().iter().enumerate() {
            let spec = &entry.spec;
            let key = Key::new(seed, &[PURPOSE, index as u64]);
            // In place, in the field's order, which is that of the random numbers; then to the order in memory.
            let values = &mut params.data[entry.range.clone()];
            spec.init.fill(spec.fan, spec.shape.sizes(), key, values)?;
            let (_, channels, inner) = blocks(spec.shape);
            if channels > 1 && inner > 1 {
                let mut filter = AlignedBuffer::zeroed(channels * inner, "a filter")?;
                for values in values.chunks_exact_mut(channels * inner) {
                    filter.copy_from_slice(values);
                    to_channels_last(1, channels, inner, &filter, values);
                }
            }
        }
        Ok(params)
    }

    /// Where each stands.
    pub fn layout(&self) -> &Arc<ParamLayout> {
        &self.layout
    }

    /// The arena, as it lies in memory.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The arena, to be changed.
    pub fn data_mut(&mut self) -> &mut [T] {
        self.stamp = next_stamp();
        &mut self.data
    }

    /// A number that changes whenever the values may have, and that no other parameters have: what was made from these
    /// values is still right where it is the same.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// One parameter in the field's order (convolution weights O×I×kh×kw): borrowed where it lies so in memory.
    ///
    /// # Errors
    /// [`Error::Memory`] where it has to be converted and there is no room for that.
    pub fn in_field_order(&self, entry: &ParamEntry) -> Result<Cow<'_, [T]>, Error> {
        let from = &self.data[entry.range.clone()];
        let (count, channels, inner) = blocks(entry.spec.shape);
        if channels == 1 || inner == 1 {
            return Ok(Cow::Borrowed(from));
        }
        let bytes = from.len() as u128 * T::BYTES as u128;
        let mut data = Vec::new();
        let room = data.try_reserve_exact(from.len());
        room.map_err(|_| Error::Memory { what: "a copy of a parameter", bytes })?;
        data.resize(from.len(), T::ZERO);
        to_channels_first(count, channels, inner, from, &mut data);
        Ok(Cow::Owned(data))
    }

    /// A copy of one parameter in the field's order, for a look at it.
    ///
    /// # Panics
    /// If there is no room for a copy; [`Params::in_field_order`] says so with an error, and mostly needs none.
    pub fn get(&self, entry: &ParamEntry) -> Tensor<T> {
        let values = self.in_field_order(entry).unwrap_or_else(|error| panic!("{error}"));
        Tensor::new(entry.spec.shape, values.into_owned())
    }

    /// Sets one parameter from the field's order.
    ///
    /// # Panics
    /// If `values` has another length than the parameter.
    pub fn set(&mut self, entry: &ParamEntry, values: &[T]) {
        let (range, (count, channels, inner)) = (entry.range.clone(), blocks(entry.spec.shape));
        to_channels_last(count, channels, inner, values, &mut self.data_mut()[range]);
    }

    /// A copy.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn try_clone(&self) -> Result<Params<T>, Error> {
        let mut copy = Params::zeroed(&self.layout)?;
        copy.data.copy_from_slice(&self.data);
        Ok(copy)
    }
}

/// A parameter of four sizes lies channels last (O·kh·kw·I); others as they are written.
fn blocks(shape: Shape) -> (usize, usize, usize) {
    match *shape.sizes() {
        [outputs, inputs, height, width] => (outputs, inputs, height * width),
        _ => (1, 1, shape.len()),
    }
}
