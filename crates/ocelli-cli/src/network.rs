//! Networks on the command line: their names, and what is odd about one.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use ocelli::Error;
use ocelli::arch::{ARCHITECTURES, Architecture, Wanted};
use ocelli::io::Network;
use ocelli::train::NetSpec;
use ocelli_core::{Graph, Shape};

use crate::console::Console;
use crate::failure::Failure;

/// What asks for the network that suits the images.
pub(crate) const AUTOMATIC: &str = "auto";

/// "A network by name", with all the names.
pub(crate) fn named_networks() -> String {
    let names: Vec<&str> = ARCHITECTURES.iter().map(|network| network.name).collect();
    format!("A network by name ({})", names.join(", "))
}

/// Takes any text, and offers the names of networks to those who complete a command.
#[derive(Clone)]
pub(crate) struct NetName;

impl TypedValueParser for NetName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            ARCHITECTURES.iter().map(|network| PossibleValue::new(network.name).help(network.about)),
        ))
    }
}

/// A network for images of this shape and so many classes: by name, where images are its own unless something else is asked for,
/// or from a file, which says itself what its input is.
///
/// # Errors
/// A network that does not fit, with the names of those that do, and `--input` beside a file.
pub(crate) fn built(spec: &NetSpec, input: Option<[usize; 3]>, classes: usize) -> Result<Network, Failure> {
    let own = match spec {
        NetSpec::Named { name, .. } => Architecture::find(name)?.input,
        NetSpec::File(path) if input.is_some() => {
            let path = path.display();
            return Err(Failure::usage(format!("{path} says itself what its input is; leave --input out")));
        }
        NetSpec::File(_) => [1, 1, 1],
    };
    let input = input.unwrap_or(own);
    Ok(spec.build(input, classes).map_err(|e| naming_those_that_fit(e, spec, input, classes))?)
}

/// Warns of layers whose output nobody reads: they cost time and change nothing.
pub(crate) fn warn_of_unread(graph: &Graph, console: Console) {
    for name in unread(graph) {
        console.warn(format!(
            "no layer reads '{name}', and it is not the output, so it has no effect; read it with from, or take it out"
        ));
    }
}

/// Layers that neither another layer reads nor the output is.
fn unread(graph: &Graph) -> Vec<&str> {
    let output = graph.output().ok();
    let read = |value| graph.nodes().iter().any(|node| node.inputs().contains(&value));
    let values = graph.values().filter(|&value| Some(value) != output && !read(value));
    values.map(|value| graph.node(value)).filter(|node| node.op().is_some()).map(|node| node.name()).collect()
}

/// An error about a network by name that does not fit the images, with the names of those that do.
pub(crate) fn naming_those_that_fit(error: Error, net: &NetSpec, input: [usize; 3], classes: usize) -> Error {
    let (Error::Usage(text), NetSpec::Named { name, .. }) = (&error, net) else { return error };
    if !text.starts_with(&format!("network '{name}'")) {
        return error;
    }
    let wanted = Wanted { input: Shape::from(input), classes, widths: Vec::new() };
    let fit: Vec<&str> = ARCHITECTURES
        .iter()
        .filter(|network| network.name != name && network.build(&wanted).is_ok())
        .map(|network| network.name)
        .collect();
    if fit.is_empty() {
        return error;
    }
    let size = crate::text::sizes(&input);
    Error::Usage(format!("{text}\n  networks that take images of {size}: --net {}", fit.join(", --net ")))
}
