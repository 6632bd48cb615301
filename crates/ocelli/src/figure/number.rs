//! Numbers as people read them: thousands separated, units with their prefix, no digits that say nothing.

/// Stands where there is no value.
pub(crate) const NOTHING: &str = "–";

/// `61706` → `61,706`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `833_040` → `833 k`: three significant digits and an SI prefix.
pub(crate) fn si(value: u64) -> String {
    let mut scaled = value as f64;
    for prefix in ["", "k", "M", "G", "T"] {
        // 999.5 would be rounded to a four-digit 1000.
        if scaled < 999.5 {
            let decimals =
                if prefix.is_empty() || scaled >= 99.95 { 0 } else { 1 + usize::from(scaled < 9.995) };
            return format!("{scaled:.decimals$}{}{prefix}", if prefix.is_empty() { "" } else { "\u{a0}" });
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.0}\u{a0}P")
}

/// `0.98421` → `98.42%`, with `decimals` digits.
pub(crate) fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() { format!("{:.decimals$}%", fraction * 100.0) } else { not_finite(fraction) }
}

/// `digits` significant digits; very small and very large values with an exponent.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding to `digits`: 9.9996 is 10.00, not 9.9996.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} writes an exponent");
    let exponent: i32 = exponent.parse().expect("{:e} writes a decimal exponent");
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{mantissa}e{exponent}")
    }
}

/// `4354.2` → `1 h 12 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1}\u{a0}s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    if days > 0 {
        format!("{days}\u{a0}d {hours}\u{a0}h")
    } else if hours > 0 {
        format!("{hours}\u{a0}h {minutes}\u{a0}min")
    } else {
        format!("{minutes}\u{a0}min {}\u{a0}s", whole % 60)
    }
}

/// As many decimals as it takes to tell ticks apart.
pub(crate) fn tick(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // The ticks of a logarithmic axis are their own steps.
    let step = step.min(value.abs());
    let exponent = |value: f64| (value.abs().log10() + 1e-9).floor();
    if value.abs() < 1e-3 || value.abs() >= 1e5 {
        let decimals = (exponent(value) - exponent(step)).clamp(0.0, 6.0) as usize;
        return format!("{value:.decimals$e}");
    }
    let decimals = (-exponent(step)).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The tick of a logarithmic axis: a power of ten, and written as one where it is very large or small.
pub(crate) fn power_tick(value: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let exponent = value.log10().round();
    if exponent.abs() <= 3.0 {
        return tick(value, value);
    }
    let digits = format!("{:.0}", exponent.abs());
    let digits = digits.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]);
    let sign = if exponent < 0.0 { "⁻" } else { "" };
    format!("10{sign}{}", digits.collect::<String>())
}

/// As [`tick`], in percent.
pub(crate) fn percent_tick(value: f64, step: f64) -> String {
    let decimals = (-((step * 100.0).log10() + 1e-9).floor()).clamp(0.0, 4.0) as usize;
    percent(value, decimals)
}

/// What `show` makes of the value, or the sign for none.
pub(crate) fn or_nothing(value: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), show)
}

fn not_finite(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value > 0.0 {
        "∞".to_owned()
    } else {
        "−∞".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(
            [0, 999, 1000, 61_706, 1_234_567].map(count),
            ["0", "999", "1,000", "61,706", "1,234,567"]
        );
    }

    #[test]
    fn prefixes_keep_three_digits() {
        let shown = [0, 999, 1000, 9_994, 9_996, 416_520, 999_600, 25_557_032, u64::MAX].map(si);
        let want = ["0", "999", "1.00 k", "9.99 k", "10.0 k", "417 k", "1.00 M", "25.6 M", "18447 P"];
        assert_eq!(shown, want.map(|w| w.replace(' ', "\u{a0}")));
    }

    #[test]
    fn significant_digits_survive_rounding_up() {
        let shown = [9.9996, 0.012_345, 123_456.0, 0.000_012_34, 0.0, -2.5].map(|v| significant(v, 4));
        assert_eq!(shown, ["10.00", "0.01235", "123456", "1.234e-5", "0", "-2.500"]);
        assert_eq!(significant(f64::NAN, 4), "NaN");
        assert_eq!(significant(f64::NEG_INFINITY, 4), "−∞");
    }

    #[test]
    fn durations_use_the_two_units_that_matter() {
        let shown = [0.04, 59.9, 59.96, 3599.0, 4354.2, 90_000.0].map(|s| duration(s).replace('\u{a0}', " "));
        assert_eq!(shown, ["0.0 s", "59.9 s", "1 min 0 s", "59 min 59 s", "1 h 12 min", "1 d 1 h"]);
        assert_eq!(duration(f64::NAN), NOTHING);
    }

    #[test]
    fn ticks_show_the_digits_that_differ() {
        assert_eq!([0.0, 0.5, 1.0].map(|v| tick(v, 0.5)), ["0", "0.5", "1"]);
        assert_eq!([0.001, 0.1, 10.0].map(|v| tick(v, 0.009)), ["0.001", "0.1", "10"]);
        assert_eq!(tick(0.0001, 0.0009), "1e-4");
        assert_eq!([1e-4, 1.5e-4, 2e-4].map(|v| tick(v, 5e-5)), ["1.0e-4", "1.5e-4", "2.0e-4"]);
        assert_eq!([5e5, 1e6, 1.5e6].map(|v| tick(v, 5e5)), ["5e5", "1.0e6", "1.5e6"]);
        assert_eq!(tick(20.0, 10.0), "20");
        assert_eq!([1e-3, 1.0, 1e3].map(power_tick), ["0.001", "1", "1000"]);
        assert_eq!([1e-4, 1e4, 1e12].map(power_tick), ["10⁻⁴", "10⁴", "10¹²"]);
        assert_eq!([0.95, 1.0].map(|v| percent_tick(v, 0.05)), ["95%", "100%"]);
        assert_eq!(percent_tick(0.985, 0.005), "98.5%");
    }
}
