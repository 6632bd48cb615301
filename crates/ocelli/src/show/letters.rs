//! Letters of 5×8 pixels, for captions in pictures.

use ocelli_data::Picture;

/// Columns that a letter takes, with the gap to the next.
pub(super) const ADVANCE: usize = 6;

/// Rows of a line of text.
pub(super) const LINE: usize = 8;

/// Writes `text` into a picture of three channels, its upper left corner at (`left`, `top`), in as many letters as fit into
/// `width`. What is no ASCII is a question mark; a text that is too long ends in a point.
pub(super) fn write(picture: &mut Picture, text: &str, [left, top]: [usize; 2], width: usize, ink: [u8; 3]) {
    let most = width / ADVANCE;
    let cut = text.chars().count() > most;
    for (i, letter) in text.chars().take(most).enumerate() {
        let letter = if cut && i + 1 == most { '.' } else { letter };
        for (x, y) in dots(letter) {
            let at = (top + y) * picture.width + left + i * ADVANCE + x;
            if let Some(pixel) = picture.pixels.as_chunks_mut::<3>().0.get_mut(at) {
                *pixel = ink;
            }
        }
    }
}

/// The columns and rows that a letter inks.
fn dots(letter: char) -> impl Iterator<Item = (usize, usize)> {
    let index = (letter as usize).checked_sub(0x20).filter(|&i| i < LETTERS.len());
    let bits = LETTERS[index.unwrap_or('?' as usize - 0x20)];
    // The first of five bytes is the leftmost column, and the lowest bit of each the uppermost row.
    (0..5).flat_map(move |x| (0..8).filter(move |y| bits >> (8 * (4 - x) + y) & 1 == 1).map(move |y| (x, y)))
}

/// From the blank to the tilde, as character displays have them.
#[rustfmt::skip]
const LETTERS: [u64; 95] = [
    0x0000000000, 0x00005F0000, 0x0007000700, 0x147F147F14, 0x242A7F2A12,
    0x2313086462, 0x3649562050, 0x0008070300, 0x001C224100, 0x0041221C00,
    0x2A1C7F1C2A, 0x08083E0808, 0x0080703000, 0x0808080808, 0x0000606000,
    0x2010080402, 0x3E5149453E, 0x00427F4000, 0x7249494946, 0x2141494D33,
    0x1814127F10, 0x2745454539, 0x3C4A494931, 0x4121110907, 0x3649494936,
    0x464949291E, 0x0000140000, 0x0040340000, 0x0008142241, 0x1414141414,
    0x0041221408, 0x0201590906, 0x3E415D594E, 0x7C1211127C, 0x7F49494936,
    0x3E41414122, 0x7F4141413E, 0x7F49494941, 0x7F09090901, 0x3E41415173,
    0x7F0808087F, 0x00417F4100, 0x2040413F01, 0x7F08142241, 0x7F40404040,
    0x7F021C027F, 0x7F0408107F, 0x3E4141413E, 0x7F09090906, 0x3E4151215E,
    0x7F09192946, 0x2649494932, 0x03017F0103, 0x3F4040403F, 0x1F2040201F,
    0x3F4038403F, 0x6314081463, 0x0304780403, 0x6159494D43, 0x007F414141,
    0x0204081020, 0x004141417F, 0x0402010204, 0x4040404040, 0x0003070800,
    0x2054547840, 0x7F28444438, 0x3844444428, 0x384444287F, 0x3854545418,
    0x00087E0902, 0x18A4A49C78, 0x7F08040478, 0x00447D4000, 0x2040403D00,
    0x7F10284400, 0x00417F4000, 0x7C04780478, 0x7C08040478, 0x3844444438,
    0xFC18242418, 0x18242418FC, 0x7C08040408, 0x4854545424, 0x04043F4424,
    0x3C4040207C, 0x1C2040201C, 0x3C4030403C, 0x4428102844, 0x4C9090907C,
    0x4464544C44, 0x0008364100, 0x0000770000, 0x0041360800, 0x0201020402,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, width: usize) -> Vec<String> {
        let mut picture = Picture { pixels: vec![0; 30 * 8 * 3], height: 8, width: 30, channels: 3 };
        write(&mut picture, text, [0, 0], width, [255; 3]);
        let row = |y: usize| {
            (0..30).map(|x| if picture.pixels[(y * 30 + x) * 3] > 0 { '#' } else { ' ' }).collect()
        };
        (0..8).map(row).collect()
    }

    #[test]
    fn letters_stand_upright_and_beside_each_other() {
        let rows: Vec<String> = drawn("LT", 30).iter().map(|row| row.trim_end().to_string()).collect();
        let want = [
            "#     #####",
            "#     # # #",
            "#       #",
            "#       #",
            "#       #",
            "#       #",
            "#####   #",
            "",
        ];
        assert_eq!(rows, want);
    }

    #[test]
    fn what_does_not_fit_ends_in_a_point_and_what_is_no_ascii_is_a_question_mark() {
        assert_eq!(drawn("abcdef", 18), drawn("ab.", 18));
        assert_eq!(drawn("é", 30), drawn("?", 30));
        assert_eq!(drawn("abc", 5), drawn("", 5));
    }
}
