//! Which network is taken where none is asked for.

use super::Architecture;

/// Images, and the network for them.
struct Rule {
    /// Up to this many pixels on the shorter side.
    side: usize,
    /// Grey pictures, or all.
    grey: bool,
    /// Up to so many images to train on.
    images: usize,
    net: &'static str,
}

const ANY: usize = usize::MAX;

/// The first one that fits decides.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { side: 19,  grey: false, images: ANY,   net: "digits" },
    Rule { side: 48,  grey: true,  images: ANY,   net: "mnist" },
    Rule { side: 48,  grey: false, images: ANY,   net: "resnet9" },
    Rule { side: ANY, grey: false, images: 5_000, net: "dragonfly-s" },
    Rule { side: ANY, grey: false, images: ANY,   net: "dragonfly" },
];

/// The network that is taken for so many images of this shape (C×H×W) where none is asked for.
///
/// Drawings of up to 19 pixels get the one for the embedded digits; grey pictures up to 48 that for MNIST, colour ones that
/// for CIFAR-10; everything larger is a photograph.
pub fn automatic([channels, height, width]: [usize; 3], images: usize) -> &'static Architecture {
    let side = height.min(width);
    let fits = |rule: &&Rule| side <= rule.side && (channels == 1 || !rule.grey) && images <= rule.images;
    let rule = RULES.iter().find(fits).unwrap_or(RULES.last().expect("there are rules"));
    Architecture::find(rule.net).expect("invariant: rules name networks that are there")
}

#[cfg(test)]
mod tests {
    use super::super::Wanted;
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
            assert_eq!(automatic(shape, images).name, net, "{images} of {shape:?}");
        }
    }

    #[test]
    fn a_network_takes_the_smallest_images_that_it_is_chosen_for() {
        for channels in [1, 3] {
            for side in [4, 19, 20, 48, 49] {
                for images in [10, usize::MAX] {
                    let net = automatic([channels, side, side], images);
                    let wanted =
                        Wanted { input: [channels, side, side].into(), classes: 2, widths: Vec::new() };
                    assert!(net.build(&wanted).is_ok(), "{} of {channels}×{side}×{side}", net.name);
                }
            }
        }
    }
}
