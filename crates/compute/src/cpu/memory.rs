//! What memory this process holds and what the system could still give it, in bytes, where the system tells.

/// The memory that this process holds now.
pub fn rss() -> Option<u64> {
    field("/proc/self/status", "VmRSS:")
}

/// What the system can still give, within the limit of this process's control group.
pub(super) fn free() -> Option<u64> {
    let system = field("/proc/meminfo", "MemAvailable:");
    let group = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let group = group.map(|(most, current)| most.saturating_sub(current));
    [system, group].into_iter().flatten().min()
}

/// A field of one of the kernel's tables, which are in kB.
pub fn field(path: &str, name: &str) -> Option<u64> {
    let table = std::fs::read_to_string(path).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
