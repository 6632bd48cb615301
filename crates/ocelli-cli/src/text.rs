//! Numbers, times and words as people read them.

use std::ffi::OsStr;
use std::fmt::Write as _;

/// With a comma between thousands: 61,706.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 image", "1,438 images".
pub(crate) fn counted(n: usize, thing: &str) -> String {
    format!("{} {thing}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// In binary units: 54.0 KiB.
pub(crate) fn bytes(n: u64) -> String {
    scaled(n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// In decimal units: 691.2 k.
pub(crate) fn amount(n: u64) -> String {
    scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P"])
}

/// Floating-point operations: 1.7 MFLOP.
pub(crate) fn flops(n: u64) -> String {
    scaled(n as f64, 1000.0, &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"])
}

/// Three digits or four and a unit; whole numbers below the first step.
fn scaled(mut x: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be rounded up to the next unit is written in it.
    while x >= step - 0.05 && unit + 1 < units.len() {
        x /= step;
        unit += 1;
    }
    let text = if unit == 0 { format!("{x:.0} {}", units[0]) } else { format!("{x:.1} {}", units[unit]) };
    text.trim_end().to_string()
}

/// A fraction of 1: 98.33 %.
pub(crate) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.2} %", 100.0 * fraction) } else { "–".to_string() }
}

/// A number of things that may be cut into parts, such as epochs: 12, 3.4.
pub(crate) fn parts(x: f64) -> String {
    if x.fract() == 0.0 { format!("{x:.0}") } else { format!("{x:.1}") }
}

/// How long: 850 ms, 12.3 s, 4 min 05 s, 2 h 03 min.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0} µs", s.max(0.0) * 1e6),
        s if s < 0.00995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ if whole < 48 * 3600 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// Sizes as the field writes them: 6×28×28.
pub(crate) fn sizes(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// A learning rate: plainly, or with an exponent where that would be a row of zeros.
pub(crate) fn rate(x: f64) -> String {
    if x == 0.0 || (1e-4..1e6).contains(&x.abs()) { x.to_string() } else { format!("{x:e}") }
}

/// A learning rate that was found: no more digits than are known of it.
pub(crate) fn found_rate(x: f64) -> String {
    rate(format!("{x:.1e}").parse().expect("a number that was written as one"))
}

/// A name within a line: control characters, which would end the cell or the line, are written as `\t` and the like.
pub(crate) fn in_line(name: &str) -> String {
    let each = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(each).collect()
}

/// The first twenty names, within a line.
pub(crate) fn some_in_line(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).map(|name| in_line(name)).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { shown + ", …" } else { shown }
}

/// A word as a shell takes it back.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let Some(text) = word.to_str() else { return quoted_bytes(word.as_encoded_bytes()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A word that is no text, byte by byte, as bash and zsh take it back.
fn quoted_bytes(word: &[u8]) -> String {
    let mut text = "$'".to_string();
    for &byte in word {
        match byte {
            b'\'' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, r"\x{byte:02x}").expect("text takes any text"),
        }
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_units() {
        assert_eq!(
            [count(0), count(999), count(61_706), count(1_000_000)],
            ["0", "999", "61,706", "1,000,000"]
        );
        assert_eq!(
            [bytes(17), bytes(1023), bytes(1024), bytes(55_296), bytes(1 << 30)],
            ["17 B", "1023 B", "1.0 KiB", "54.0 KiB", "1.0 GiB"]
        );
        assert_eq!([amount(999), amount(691_200), amount(999_960)], ["999", "691.2 k", "1.0 M"]);
        assert_eq!([flops(400), flops(1_701_000)], ["400 FLOP", "1.7 MFLOP"]);
        assert_eq!([percent(0.98333), percent(f64::NAN)], ["98.33 %", "–"]);
    }

    #[test]
    fn durations_have_as_much_detail_as_is_of_use() {
        let cases = [
            (0.00042, "420 µs"),
            (0.0042, "4.2 ms"),
            (0.85, "850 ms"),
            (12.34, "12.3 s"),
            (59.96, "1 min 00 s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(
            [duration(245.0), duration(7380.0), duration(180_000.0)],
            ["4 min 05 s", "2 h 03 min", "2 d 2 h"]
        );
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("runs/digits-1"), "runs/digits-1");
        assert_eq!(quoted("my photos"), "'my photos'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted_bytes(b"a\xffb 'c"), r"$'a\xffb \'c'");
    }

    #[test]
    fn rates_have_no_rows_of_zeros() {
        let texts = [rate(0.05), rate(1e30), rate(0.00005), rate(1e-4), rate(0.0)];
        assert_eq!(texts, ["0.05", "1e30", "5e-5", "0.0001", "0"]);
        assert_eq!([found_rate(3.162e-5), found_rate(0.0512), found_rate(10.0)], ["3.2e-5", "0.051", "10"]);
    }

    #[test]
    fn names_stay_within_their_line() {
        assert_eq!(in_line("a\tb\nc d"), r"a\tb\nc d");
    }
}
