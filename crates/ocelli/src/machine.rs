//! Facts about the process and the machine.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The most memory that this process has had resident, in bytes, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    status_field("VmHWM:")
}

/// The memory that this process has resident now, in bytes, where the system tells.
pub fn resident_memory_bytes() -> Option<u64> {
    status_field("VmRSS:")
}

fn status_field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The processor's name, where the system tells.
pub fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// A cache for data of the first core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// 1 for the nearest.
    pub level: u32,
    /// Its size.
    pub bytes: u64,
    /// How many cores share it.
    pub cores: usize,
}

/// The caches for data, nearest first; none where the system does not tell.
pub fn caches() -> Vec<Cache> {
    let folder = |index: u32| PathBuf::from(format!("/sys/devices/system/cpu/cpu0/cache/index{index}"));
    let mut caches: Vec<Cache> = (0..16).filter_map(|index| cache(&folder(index))).collect();
    caches.sort_by_key(|cache| cache.level);
    caches
}

fn cache(folder: &Path) -> Option<Cache> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    if read("type")?.trim() == "Instruction" {
        return None;
    }
    let cores = read("shared_cpu_list").and_then(|list| listed(list.trim())).unwrap_or(1);
    Some(Cache { level: read("level")?.trim().parse().ok()?, bytes: size(read("size")?.trim())?, cores })
}

/// 32K, 8M.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, ""),
    };
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => 0,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// How many a list such as `0-3,8` names.
fn listed(list: &str) -> Option<usize> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(count).sum()
}

/// The time now in UTC, ISO 8601 to the second.
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    iso_8601(seconds)
}

/// Days to date by Howard Hinnant's "chrono-compatible low-level date algorithms".
fn iso_8601(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lists_are_read_as_the_system_writes_them() {
        assert_eq!(
            [size("32K"), size("8M"), size("512"), size("x")],
            [Some(32768), Some(8 << 20), Some(512), None]
        );
        assert_eq!([listed("0"), listed("0-3,8"), listed("3-0"), listed("")], [Some(1), Some(5), None, None]);
    }

    #[test]
    fn dates_are_right_across_leap_years() {
        assert_eq!(iso_8601(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso_8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso_8601(1_735_689_599), "2024-12-31T23:59:59Z");
    }
}
