//! The 1,797 handwritten digits that are built in.
//!
//! E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
//! Repository, doi:10.24432/C50P49, CC BY 4.0; see `assets/README.md`.

use std::sync::Arc;

use super::{Format, Parts, idx};
use crate::DataError;

pub(super) const FORMAT: Format = Format {
    name: "digits",
    holds: "\"digits\" (built in: 1,797 handwritten digits of 8×8)",
    // Not as paths, for which a slash at the end makes no difference: `digits/` is a folder.
    recognises: |spec| spec.as_os_str() == "digits",
    open: |_, _| open(),
};

const IMAGES: &[u8] = include_bytes!("../../assets/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../assets/digits-labels-idx1-ubyte.gz");

/// Full ink in the original.
const INK: u32 = 16;

fn open() -> Result<Parts, DataError> {
    let mut images = idx::parse("digits", IMAGES)?;
    for value in &mut images.bytes {
        *value = ((u32::from(*value).min(INK) * 255 + INK / 2) / INK) as u8;
    }
    let labels = idx::labels(&idx::parse("digits", LABELS)?)?;
    let all = idx::join(images, labels, 10)?;
    // A fifth: a tenth would be 18 images of a class, too few to tell networks apart.
    Ok(Parts {
        name: "digits".to_owned(),
        train: Arc::new(all),
        val: None,
        test: None,
        held_out: 0.2,
        notes: Vec::new(),
    })
}
