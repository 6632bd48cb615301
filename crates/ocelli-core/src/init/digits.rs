//! Stylised bitmaps of the ten digits: the codes of LeNet-5's output units.

/// Digits that there are bitmaps of.
pub(crate) const DIGITS: usize = 10;

/// Pixels of a bitmap: 12 rows of 7, as LeNet-5 has 84 units before its output.
pub(crate) const BITMAP_LEN: usize = ROWS.len() * WIDTH;

const WIDTH: usize = 7;

/// The digits side by side, a space between them.
const ROWS: [&str; 12] = [
    "..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.",
    ".##.##. ..###.. ##...## ##...## ...###. ####### .##..## ####### ##...## ##...##",
    "##...## .####.. ##...## .....## ..####. ##..... ##..... .....## ##...## ##...##",
    "##...## ...##.. .....## .....## .##.##. ##..... ##..... .....## ##...## ##...##",
    "##...## ...##.. .....## .....## .##.##. ######. ##..... ....##. ##...## ##...##",
    "##...## ...##.. ....##. ..####. ##..##. ##...## ######. ....##. .#####. ##...##",
    "##...## ...##.. ...##.. ..####. ##..##. .....## ##...## ...##.. .#####. .######",
    "##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##",
    "##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##",
    "##...## ...##.. ##..... .....## ....##. .....## ##...## ..##... ##...## .....##",
    ".##.##. .###### ####### ##...## ....##. ##...## ##...## ..##... ##...## ##..##.",
    "..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..",
];

/// Whether a pixel of a digit's bitmap is ink, pixels counted row by row.
pub(super) fn is_ink(digit: usize, pixel: usize) -> bool {
    ROWS[pixel / WIDTH].as_bytes()[digit * (WIDTH + 1) + pixel % WIDTH] == b'#'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_hold_ten_bitmaps_and_every_two_differ_in_many_pixels() {
        for row in ROWS {
            assert_eq!(row.len(), DIGITS * (WIDTH + 1) - 1, "{row}");
            assert!(row.bytes().skip(WIDTH).step_by(WIDTH + 1).all(|gap| gap == b' '), "{row}");
        }
        for digit in 0..DIGITS {
            for other in 0..digit {
                let apart = (0..BITMAP_LEN).filter(|&p| is_ink(digit, p) != is_ink(other, p)).count();
                assert!(apart >= 8, "{other} and {digit} differ in {apart} pixels");
            }
        }
    }
}
