//! How much memory is free.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Bytes that this process can still take without others being moved out, where the system tells: what Linux calls
/// available, or less where one of the control groups that it is in sets a limit.
pub fn available() -> Option<u64> {
    let machine = meminfo(&read_to_string("/proc/meminfo").ok()?)?;
    let groups = groups(&read_to_string("/proc/self/cgroup").unwrap_or_default());
    Some(groups.iter().filter_map(|(version, folder)| version.left(folder)).fold(machine, u64::min))
}

/// The versions of control groups, which call things differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// Where the groups are, the one that all are in.
    fn root(self) -> &'static Path {
        Path::new(match self {
            Version::One => "/sys/fs/cgroup/memory",
            Version::Two => "/sys/fs/cgroup",
        })
    }

    /// Bytes that the group at `folder` may still take, if it has a limit.
    fn left(self, folder: &Path) -> Option<u64> {
        let number = |file: &str| read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        let (limit, used, files) = match self {
            Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
            Version::Two => ("memory.max", "memory.current", "inactive_file "),
        };
        let (limit, used) = (number(limit)?, number(used)?);
        // Files that were read count as used, until others need the room.
        let files = read_to_string(folder.join("memory.stat")).ok().and_then(|stat| value(&stat, files));
        Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
    }
}

/// The groups that a process is in and those around them, by what `/proc/self/cgroup` says.
fn groups(text: &str) -> Vec<(Version, PathBuf)> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match controllers {
            "" => Version::Two,
            list if list.split(',').any(|controller| controller == "memory") => Version::One,
            _ => return None,
        };
        let group = version.root().join(path.trim_start_matches('/'));
        Some((version, group.components().collect()))
    };
    let around = |(version, group): (Version, PathBuf)| {
        let folders: Vec<PathBuf> = group.ancestors().map(Path::to_path_buf).collect();
        folders
            .into_iter()
            .filter(move |f| f.starts_with(version.root()))
            .map(move |folder| (version, folder))
    };
    text.lines().filter_map(group).flat_map(around).collect()
}

/// What a line that begins like this says.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
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
        assert_eq!(value("active_file 3\ninactive_file 4096\n", "inactive_file "), Some(4096));
        assert_eq!(value("active_file 3\n", "inactive_file "), None);
    }

    #[test]
    fn a_process_is_in_its_groups_and_in_those_around_them() {
        let found = |text: &str| -> Vec<String> {
            groups(text).iter().map(|(version, path)| format!("{version:?} {}", path.display())).collect()
        };
        let job = ["Two /sys/fs/cgroup/slurm/job_1", "Two /sys/fs/cgroup/slurm", "Two /sys/fs/cgroup"];
        assert_eq!(found("0::/slurm/job_1\n"), job);
        assert_eq!(found("0::/\n"), ["Two /sys/fs/cgroup"]);
        let first = "12:cpu,cpuacct:/a\n4:memory:/box\n0::/\n";
        let all = ["One /sys/fs/cgroup/memory/box", "One /sys/fs/cgroup/memory", "Two /sys/fs/cgroup"];
        assert_eq!(found(first), all);
        assert_eq!(found("nonsense\n\n"), [""; 0]);
    }

    #[test]
    fn what_a_group_has_left_is_its_limit_without_what_cannot_be_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(Version::Two.left(folder.path()), None);
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(Version::Two.left(folder.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(Version::Two.left(folder.path()), Some(300));
        write("memory.stat", "inactive_file 200\n");
        assert_eq!((Version::Two.left(folder.path()), Version::One.left(folder.path())), (Some(500), None));
    }
}
