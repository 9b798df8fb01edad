//! How much memory this process may have: what its control groups and resource limits allow, not what the machine has.
//!
//! Containers, Slurm and systemd put processes into control groups, often several levels deep; the limit of each level
//! binds all below it. Both versions are read, side by side where a system mounts both, at the places that
//! `/proc/self/mountinfo` names. A group outside what is mounted, as in a container, shows by what the
//! kernel adds up (version 1), or not at all.

use rustix::process::{Resource, getrlimit};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// From here on a number means that there is no limit: version 1 has the largest number of pages for that.
const NO_LIMIT: u64 = 1 << 62;

/// A limit of this process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// How much it may have.
    pub bytes: u64,
    /// Who says so: `cgroup v2 /job/step`, `ulimit -v`.
    pub by: String,
    /// What it has of it already.
    pub used_bytes: u64,
}

impl MemoryLimit {
    /// What is left.
    #[must_use]
    pub fn left_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.used_bytes)
    }
}

/// Returns the limit that leaves least, if there is any.
#[must_use]
pub fn limit() -> Option<MemoryLimit> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let of_groups = group_limit(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"), read);
    let status = text("/proc/self/status");
    let used = |name| super::kib_field(&status, name).unwrap_or(0);
    let group = of_groups.map(|(bytes, by)| MemoryLimit { bytes, by, used_bytes: used("VmRSS:") });
    let resource = |resource, flag: &str, name| {
        let bytes = getrlimit(resource).current?;
        Some(MemoryLimit { bytes, by: format!("ulimit {flag}"), used_bytes: used(name) })
    };
    let address_space = resource(Resource::As, "-v", "VmSize:");
    let data = resource(Resource::Data, "-d", "VmData:");
    [group, address_space, data].into_iter().flatten().min_by_key(MemoryLimit::left_bytes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A mounted hierarchy of groups that limit memory.
struct Mount {
    version: Version,
    /// The group that is at the mount point.
    root: PathBuf,
    point: PathBuf,
}

/// The lowest limit of the groups that a process is in, and the group.
fn group_limit(
    cgroup: &str,
    mountinfo: &str,
    read: impl Fn(&Path) -> Option<String>,
) -> Option<(u64, String)> {
    let mut lowest: Option<(u64, String)> = None;
    for mount in mountinfo.lines().filter_map(mount) {
        let Some(group) = cgroup.lines().find_map(|line| group(line, mount.version)) else { continue };
        for folder in visible(group, &mount.root).ancestors() {
            let at = mount.point.join(folder);
            // Without the slash that an empty folder leaves at the end.
            let name: PathBuf = mount.root.join(folder).components().collect();
            let number = match mount.version {
                Version::One => "v1",
                Version::Two => "v2",
            };
            for (bytes, beyond) in limits(mount.version, |file| read(&at.join(file))) {
                if lowest.as_ref().is_none_or(|(min, _)| bytes < *min) {
                    lowest = Some((bytes, format!("cgroup {number} {}{beyond}", name.display())));
                }
            }
        }
    }
    lowest
}

/// Reads a line of `/proc/self/mountinfo` (proc(5)).
fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let version = match name {
        "cgroup" if options.split(',').any(|option| option == "memory") => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    Some(Mount { version, root: unescaped(root), point: unescaped(point) })
}

/// Blanks and their like are octal numbers there.
fn unescaped(text: &str) -> PathBuf {
    PathBuf::from(
        text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"),
    )
}

/// Reads a line of `/proc/self/cgroup`: `4:memory:/group`, `0::/group`.
fn group(line: &str, version: Version) -> Option<&str> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    let is_it = match version {
        Version::One => controllers.split(',').any(|name| name == "memory"),
        Version::Two => number == "0" && controllers.is_empty(),
    };
    // The group may be gone already.
    is_it.then(|| group.strip_suffix(" (deleted)").unwrap_or(group))
}

/// The path of a group below a mount's root; the root itself where the group is not below it.
fn visible(group: &str, root: &Path) -> PathBuf {
    let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
    // Outside of the process's namespace a group begins with `/..`.
    let is_below = below.components().all(|part| matches!(part, Component::Normal(_)));
    if is_below { below.to_owned() } else { PathBuf::new() }
}

/// The limits of one group, given its files, and what is to be said of them.
fn limits(version: Version, read: impl Fn(&str) -> Option<String>) -> Vec<(u64, &'static str)> {
    // "max" is none, as no file is.
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|bytes| *bytes < NO_LIMIT);
    let file = |name: &str| number(&read(name)?);
    let of_all = || {
        let stat = read("memory.stat")?;
        number(stat.lines().find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?)
    };
    match version {
        Version::One => [file("memory.limit_in_bytes").zip(Some("")), of_all().zip(Some(" and above"))]
            .into_iter()
            .flatten()
            .collect(),
        // Beyond `high` a process is slowed down to a halt.
        Version::Two => {
            ["memory.max", "memory.high"].into_iter().filter_map(file).map(|bytes| (bytes, "")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n\
        36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    /// The limit where these files have these contents.
    fn found(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> Option<(u64, String)> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new("/sys/fs/cgroup").join(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        group_limit(cgroup, mountinfo, read)
    }

    fn some(bytes: u64, by: &str) -> Option<(u64, String)> {
        Some((bytes, by.to_owned()))
    }

    #[test]
    fn version_1_is_read_where_it_is_mounted() {
        let cgroup = "9:name=systemd:/x\n4:hugetlb,memory:/job\n0::/x\n";
        let limit = ("memory/job/memory.limit_in_bytes", "209715200\n");
        assert_eq!(found(cgroup, V1, &[limit]), some(200 << 20, "cgroup v1 /job"));
        for none in ["9223372036854771712\n", "9223372036854710272\n", "-1\n", ""] {
            assert_eq!(found(cgroup, V1, &[("memory/job/memory.limit_in_bytes", none)]), None, "{none}");
        }
        assert_eq!(found(cgroup, V1, &[]), None);
        assert_eq!(found(cgroup, "", &[limit]), None);
        assert_eq!(found("", V1, &[limit]), None);
    }

    #[test]
    fn version_2_is_read_where_it_is_mounted() {
        let of = |files: &[_]| found("0::/user.slice/run-1.scope\n", V2, files);
        let own = "user.slice/run-1.scope/memory.max";
        assert_eq!(of(&[(own, "1048576\n")]), some(1 << 20, "cgroup v2 /user.slice/run-1.scope"));
        assert_eq!(of(&[(own, "max\n")]), None);
        assert_eq!(
            of(&[(own, "max\n"), ("user.slice/memory.high", "4096\n")]),
            some(4096, "cgroup v2 /user.slice")
        );
        // What older kernels, and whole machines, have at the top.
        assert_eq!(of(&[("memory.max", "7\n")]), some(7, "cgroup v2 /"));
    }

    #[test]
    fn the_lowest_limit_above_a_group_binds_it() {
        // Slurm nests: job, step, task.
        let cgroup = "4:memory:/slurm/uid_1/job_2/step_0/task_0\n";
        let files = |job, step| {
            [
                ("memory/slurm/uid_1/job_2/memory.limit_in_bytes", job),
                ("memory/slurm/uid_1/job_2/step_0/memory.limit_in_bytes", step),
                ("memory/slurm/uid_1/job_2/step_0/task_0/memory.limit_in_bytes", "9223372036854771712"),
            ]
        };
        assert_eq!(found(cgroup, V1, &files("100", "200")), some(100, "cgroup v1 /slurm/uid_1/job_2"));
        assert_eq!(found(cgroup, V1, &files("200", "100")), some(100, "cgroup v1 /slurm/uid_1/job_2/step_0"));
    }

    #[test]
    fn a_containers_view_of_groups_is_understood() {
        // Version 1 without a namespace: the path is the machine's, the mount begins at the container's group.
        let mount = V1.replace("0:32 / ", "0:32 /docker/ab12 ");
        let limit = [("memory/memory.limit_in_bytes", "1000"), ("memory/inner/memory.limit_in_bytes", "900")];
        assert_eq!(found("4:memory:/docker/ab12\n", &mount, &limit), some(1000, "cgroup v1 /docker/ab12"));
        let inner = found("4:memory:/docker/ab12/inner\n", &mount, &limit);
        assert_eq!(inner, some(900, "cgroup v1 /docker/ab12/inner"));
        assert_eq!(found("4:memory:/other\n", &mount, &limit), some(1000, "cgroup v1 /docker/ab12"));
        // With one: everything begins at the container's group, and what is above is added up by the kernel.
        let all =
            [("memory/memory.stat", "cache 1\nhierarchical_memory_limit 500\nhierarchical_memsw_limit 9\n")];
        assert_eq!(found("4:memory:/\n", V1, &all), some(500, "cgroup v1 / and above"));
        assert_eq!(found("0::/\n", V2, &[("memory.max", "600")]), some(600, "cgroup v2 /"));
        assert_eq!(found("0::/../../sibling\n", V2, &[("memory.max", "600")]), some(600, "cgroup v2 /"));
        assert_eq!(
            found("0::/gone (deleted)\n", V2, &[("gone/memory.max", "5")]),
            some(5, "cgroup v2 /gone")
        );
    }

    #[test]
    fn of_both_versions_the_lower_counts() {
        let mounts = format!("{V1}41 31 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        let of = |one, two| {
            let files = [("memory/a/memory.limit_in_bytes", one), ("unified/b/memory.max", two)];
            found("4:memory:/a\n0::/b\n", &mounts, &files)
        };
        assert_eq!(of("10", "20"), some(10, "cgroup v1 /a"));
        assert_eq!(of("20", "10"), some(10, "cgroup v2 /b"));
        assert_eq!(of("9223372036854771712", "max"), None);
    }

    #[test]
    fn a_mount_point_may_have_a_blank() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup/my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found("0::/\n", mounts, &[("my groups/memory.max", "3")]), some(3, "cgroup v2 /"));
    }

    #[test]
    fn what_is_used_counts_against_a_limit() {
        let limit = MemoryLimit { bytes: 10, by: String::new(), used_bytes: 4 };
        assert_eq!(limit.left_bytes(), 6);
        assert_eq!(MemoryLimit { used_bytes: 11, ..limit }.left_bytes(), 0);
        // Whatever this machine says, it is read without a fault.
        assert!(super::limit().is_none_or(|limit| limit.bytes > 0 && !limit.by.is_empty()));
    }
}
