//! Drawing: what figures and pages are made of.
//!
//! A [`Sheet`] is a figure: rows of panels, each a [`Plot`], a [`Raster`] (an image) or [`Bars`]. It becomes an SVG drawing that
//! follows its reader's choice of light or dark and needs nothing else. [`Page`](html::Page) is a growing HTML text.

mod bars;
pub(crate) mod html;
pub(crate) mod number;
pub(crate) mod picture;
mod plot;
mod raster;
pub(crate) mod scale;
mod sheet;
mod words;

pub(crate) use bars::Bars;
pub(crate) use plot::{COLORS, Mark, Plot};
pub(crate) use raster::Raster;
pub(crate) use sheet::{Drawing, Panel, Sheet, width_of};
pub(crate) use words::Words;

/// How the parts of drawings look: inside every drawing that stands alone, and once in a page that shows several.
pub(crate) const STYLE: &str = include_str!("style.css");
