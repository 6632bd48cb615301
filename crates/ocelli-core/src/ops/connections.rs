//! Which input channels each output channel of a convolution sees, where it is not all of them.
//!
//! Parameters hold only what is connected; the kernels multiply dense weights, with a 0 where nothing is. Between the
//! two, each connection's kh·kw taps lie I elements apart in O·kh·kw·I.

use ocelli_kernels::{Conv2d, Element};

/// How many connections there are.
pub(super) fn count(table: &[Vec<usize>]) -> usize {
    table.iter().map(Vec::len).sum()
}

/// Whether there is one row for each output, of existing inputs, none twice.
pub(super) fn check(table: &[Vec<usize>], inputs: usize, outputs: usize) -> Result<(), String> {
    if table.len() != outputs {
        let rows = table.len();
        return Err(format!(
            "its table of connections has {rows} rows for {outputs} output channels; give each channel one row"
        ));
    }
    table.iter().enumerate().try_for_each(|(output, row)| {
        check_row(row, inputs)
            .map_err(|reason| format!("its table connects output channel {output} to {reason}"))
    })
}

fn check_row(row: &[usize], inputs: usize) -> Result<(), String> {
    if row.is_empty() {
        return Err("nothing; list at least one input channel".to_string());
    }
    for (place, &input) in row.iter().enumerate() {
        if input >= inputs {
            return Err(format!("input channel {input}; they go from 0 to {}", inputs - 1));
        }
        if row[..place].contains(&input) {
            return Err(format!("input channel {input} twice; list it once"));
        }
    }
    Ok(())
}

/// Dense weights from those of the connections.
pub(super) fn expand<T: Element>(table: &[Vec<usize>], conv: &Conv2d, connected: &[T], dense: &mut [T]) {
    dense.fill(T::ZERO);
    for (start, kernel) in starts(table, conv).zip(connected.chunks_exact(conv.kernel[0] * conv.kernel[1])) {
        dense[start..].iter_mut().step_by(conv.input[2]).zip(kernel).for_each(|(to, &w)| *to = w);
    }
}

/// The connections' share of dense weights (or gradients).
pub(super) fn collect<T: Element>(table: &[Vec<usize>], conv: &Conv2d, dense: &[T], connected: &mut [T]) {
    let kernels = connected.chunks_exact_mut(conv.kernel[0] * conv.kernel[1]);
    for (start, kernel) in starts(table, conv).zip(kernels) {
        kernel.iter_mut().zip(dense[start..].iter().step_by(conv.input[2])).for_each(|(w, &from)| *w = from);
    }
}

/// Where in dense weights each connection starts.
fn starts<'a>(table: &'a [Vec<usize>], conv: &Conv2d) -> impl Iterator<Item = usize> + use<'a> {
    let filter = conv.filter_len();
    table
        .iter()
        .enumerate()
        .flat_map(move |(output, row)| row.iter().map(move |input| output * filter + input))
}
