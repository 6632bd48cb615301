//! Which network is taken where none is asked for.

use ocelli_core::Shape;

use super::{Architecture, Wanted};

/// Images, and the network for them.
struct Rule {
    /// Up to this many pixels on the shorter side.
    side: usize,
    /// Grey pictures, or all.
    grey: bool,
    /// Up to so many images to train on.
    images: usize,
    net: &'static str,
    /// The network where the time does not allow so many passes over the images.
    quick: (f64, &'static str),
}

const ANY: usize = usize::MAX;

/// The first one that fits decides.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { side: 19,  grey: false, images: ANY,   net: "digits",      quick: (0.0, "digits") },
    Rule { side: 48,  grey: true,  images: ANY,   net: "mnist",       quick: (1.0, "lenet") },
    Rule { side: 48,  grey: false, images: ANY,   net: "resnet9",     quick: (1.0, "cifar4") },
    Rule { side: ANY, grey: false, images: 5_000, net: "dragonfly-s", quick: (0.0, "dragonfly-s") },
    Rule { side: ANY, grey: false, images: ANY,   net: "dragonfly",   quick: (5.0, "dragonfly-s") },
];

/// Operations a second that a core is expected to do in training: what a processor with 8 lanes reaches, so that better
/// ones have some passes more.
const RATE: f64 = 5e10;

/// The network that is taken for so many images of this shape (C×H×W) where none is asked for, to be trained in so many seconds of
/// cores, if they are limited.
///
/// Drawings of up to 19 pixels get the one for the embedded digits; grey pictures up to 48 that for MNIST, colour ones that
/// for CIFAR-10; everything larger is a photograph. A smaller one is taken where time would end before the images were seen
/// a few times. It depends on nothing else, and not on how fast the machine is.
pub fn automatic(shape: [usize; 3], images: usize, core_seconds: Option<f64>) -> &'static Architecture {
    let [channels, height, width] = shape;
    let side = height.min(width);
    let fits = |rule: &&Rule| side <= rule.side && (channels == 1 || !rule.grey) && images <= rule.images;
    let rule = RULES.iter().find(fits).unwrap_or(RULES.last().expect("there are rules"));
    let find = |name| Architecture::find(name).expect("invariant: rules name networks that are there");
    let net = find(rule.net);
    let (least, quick) = rule.quick;
    let late = core_seconds.is_some_and(|seconds| {
        // Forward and two gradients, of two operations a multiply-add.
        let pass = 6.0 * macs(net, shape) * images as f64;
        seconds * RATE < least * pass
    });
    if late { find(quick) } else { net }
}

/// Multiply-adds of an image, forward; 0 where the network does not take it, which whoever builds it will be told.
fn macs(net: &Architecture, shape: [usize; 3]) -> f64 {
    let wanted = Wanted { input: Shape::from(shape), classes: 10, widths: Vec::new() };
    let graph = net.build(&wanted);
    graph.map_or(0.0, |graph| graph.nodes().iter().map(|node| node.signature().macs as f64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_get_the_network_of_their_kind() {
        let cases = [
            ([1, 8, 8], 1_437, "digits"),
            ([3, 12, 300], 100, "digits"),
            ([1, 28, 28], 60_000, "mnist"),
            ([1, 48, 48], 10, "mnist"),
            ([3, 28, 28], 60_000, "resnet9"),
            ([3, 32, 32], 50_000, "resnet9"),
            ([3, 64, 64], 100_000, "dragonfly"),
            ([1, 49, 49], 10_000, "dragonfly"),
            ([3, 128, 128], 30_000, "dragonfly"),
            ([3, 128, 128], 5_000, "dragonfly-s"),
            ([3, 1024, 768], 5_001, "dragonfly"),
        ];
        for (shape, images, net) in cases {
            assert_eq!(automatic(shape, images, None).name, net, "{images} of {shape:?}");
        }
    }

    #[test]
    fn where_time_is_short_a_smaller_network_is_taken() {
        let hour = 2.0 * 3600.0;
        for (shape, images, seconds, net) in [
            ([3, 128, 128], 30_000, hour, "dragonfly"),
            ([3, 128, 128], 30_000, hour / 12.0, "dragonfly-s"),
            ([3, 128, 128], 1_000_000, hour, "dragonfly-s"),
            ([3, 32, 32], 50_000, hour, "resnet9"),
            ([3, 32, 32], 50_000, 60.0, "cifar4"),
            ([1, 28, 28], 60_000, hour, "mnist"),
            ([1, 28, 28], 60_000, 20.0, "lenet"),
            ([1, 8, 8], 1_437, 1.0, "digits"),
        ] {
            assert_eq!(
                automatic(shape, images, Some(seconds)).name,
                net,
                "{images} of {shape:?}, {seconds} s"
            );
        }
    }

    #[test]
    fn a_network_takes_the_smallest_images_that_it_is_chosen_for() {
        for (channels, time) in [(1, None), (3, None), (1, Some(1e-3)), (3, Some(1e-3))] {
            for side in [4, 19, 20, 48, 49] {
                for images in [10, usize::MAX] {
                    let net = automatic([channels, side, side], images, time);
                    let wanted =
                        Wanted { input: [channels, side, side].into(), classes: 2, widths: Vec::new() };
                    assert!(net.build(&wanted).is_ok(), "{} of {channels}×{side}×{side}", net.name);
                }
            }
        }
    }
}
