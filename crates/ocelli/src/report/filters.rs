//! The filters of the first layer as pictures.

use super::html::{Page, text};
use super::number::{count, significant};
use super::picture::data_uri;
use super::{Filters, Picture, Report};

/// Pictures at most; more say nothing more.
const PICTURES: usize = 256;

/// One picture per filter: grey for one channel, colour for three, one grey picture per channel otherwise.
pub(super) fn filters(page: &mut Page, report: &Report) {
    let Some(filters) = &report.filters else { return };
    let Some(largest) = largest(filters) else {
        writeln!(
            page,
            "<p class=\"note warning\">Not shown: {}×{}×{}×{} weights were announced, and there are {}.</p>",
            filters.count,
            filters.height,
            filters.width,
            filters.channels,
            filters.values.len(),
        );
        return;
    };
    let planes = if matches!(filters.channels, 1 | 3) { 1 } else { filters.channels };
    let total = filters.count.saturating_mul(planes);
    writeln!(
        page,
        "<p>Layer <b>{}</b>: {} filters of {}×{} pixels, {}.</p>",
        text(&filters.layer),
        count(filters.count as u64),
        filters.height,
        filters.width,
        match filters.channels {
            1 => "one channel".to_owned(),
            3 => "red, green and blue".to_owned(),
            n => format!("{n} channels, one picture each"),
        },
    );
    legend(page, filters, largest);
    writeln!(page, "<ul class=\"filters\">");
    for index in 0..total.min(PICTURES) {
        let (filter, plane) = (index / planes, index % planes);
        let name = if planes == 1 {
            format!("Filter {} of {}", filter + 1, filters.count)
        } else {
            format!("Filter {} of {}, channel {}", filter + 1, filters.count, plane + 1)
        };
        if let Some(uri) = data_uri(&tile(filters, filter, plane, largest)) {
            writeln!(page, "<li><img src=\"{uri}\" alt=\"{name}\" title=\"{name}\"></li>");
        }
    }
    writeln!(page, "</ul>");
    if total > PICTURES {
        writeln!(page, "<p class=\"note\">The first {PICTURES} of {} pictures.</p>", count(total as u64));
    }
}

/// The largest magnitude, or `None` where sizes and weights contradict each other.
fn largest(filters: &Filters) -> Option<f32> {
    let sizes = [filters.height, filters.width, filters.channels];
    let weights = sizes.iter().try_fold(filters.count, |product, &size| product.checked_mul(size))?;
    if weights == 0 || weights != filters.values.len() {
        return None;
    }
    Some(filters.values.iter().filter(|v| v.is_finite()).fold(0.0, |most, v| v.abs().max(most)))
}

fn legend(page: &mut Page, filters: &Filters, largest: f32) {
    let end = significant(f64::from(largest), 3);
    if filters.channels == 3 {
        writeln!(
            page,
            "<p class=\"note\">A channel at +{end} is fully lit, at −{end} dark; zero is mid-grey. All filters share this scale.</p>"
        );
    } else {
        writeln!(
            page,
            "<p class=\"ramp\"><span>−{end}</span><span class=\"greys\" role=\"img\" \
             aria-label=\"black is negative, mid-grey zero, white positive\"></span><span>+{end}</span> \
             <small>all filters share this scale</small></p>"
        );
    }
    let broken = filters.values.iter().filter(|v| !v.is_finite()).count();
    if broken > 0 {
        writeln!(
            page,
            "<p class=\"note warning\">{} weights are not finite; they are shown as zero.</p>",
            count(broken as u64)
        );
    }
}

/// One filter, or one channel of it, with zero at mid-grey.
fn tile(filters: &Filters, filter: usize, plane: usize, largest: f32) -> Picture {
    let all = filters.channels;
    let (first, channels) = if all == 3 { (0, 3) } else { (plane, 1) };
    let weights = &filters.values[filter * filters.height * filters.width * all..];
    let pixels = weights[..filters.height * filters.width * all]
        .chunks_exact(all)
        .flat_map(|pixel| &pixel[first..first + channels])
        .map(|&weight| level(weight, largest))
        .collect();
    Picture { width: filters.width, height: filters.height, channels, pixels }
}

fn level(weight: f32, largest: f32) -> u8 {
    let place = if weight.is_finite() && largest > 0.0 { weight / largest } else { 0.0 };
    (127.5 + 127.5 * place).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_mid_grey_and_the_largest_magnitude_an_end() {
        assert_eq!([-2.0, 0.0, 2.0, f32::NAN].map(|w| level(w, 2.0)), [0, 128, 255, 128]);
        assert_eq!(level(0.0, 0.0), 128);
    }

    #[test]
    fn channels_other_than_one_and_three_are_taken_apart() {
        let values = vec![1.0, -1.0, 1.0, -1.0];
        let filters =
            Filters { layer: "conv1".to_owned(), count: 1, height: 1, width: 2, channels: 2, values };
        assert_eq!(tile(&filters, 0, 0, 1.0).pixels, [255, 255]);
        assert_eq!(tile(&filters, 0, 1, 1.0).pixels, [0, 0]);
    }

    #[test]
    fn weights_that_contradict_their_sizes_are_refused() {
        let filters = Filters { count: usize::MAX, height: 2, width: 2, channels: 1, ..Filters::default() };
        assert_eq!(largest(&filters), None);
    }
}
