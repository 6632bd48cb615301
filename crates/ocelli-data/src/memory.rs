//! How much memory is free.

use std::fs::read_to_string;

/// Bytes that this process can still take without others being moved out, where the system tells: what Linux calls
/// available, or less where a control group sets a limit.
pub fn available() -> Option<u64> {
    let machine = meminfo(&read_to_string("/proc/meminfo").ok()?)?;
    let number = |path: &str| read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current");
    // Files that were read count as used, until others need the room.
    let files = || inactive_files(&read_to_string("/sys/fs/cgroup/memory.stat").ok()?);
    Some(match (limit, used) {
        (Some(limit), Some(used)) => {
            machine.min(limit.saturating_sub(used.saturating_sub(files().unwrap_or(0))))
        }
        _ => machine,
    })
}

fn inactive_files(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_available_memory_is_read() {
        assert_eq!(meminfo("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(meminfo("MemTotal: 9 kB\n"), None);
        assert_eq!(inactive_files("active_file 3\ninactive_file 4096\n"), Some(4096));
        assert_eq!(inactive_files("active_file 3\n"), None);
    }
}
