//! What memory this process holds and what the system could still give it, in bytes, where the system tells.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most that was held before the system's own count was set back.
static PEAK_BEFORE: AtomicU64 = AtomicU64::new(0);

/// The most memory that this process has held so far. Files that are mapped into it count while they are read.
pub fn most_held() -> Option<u64> {
    Some(peak()?.max(PEAK_BEFORE.load(Ordering::Relaxed)))
}

/// The most that was held since [`forget_peak`] was called, if the system allowed that.
pub(super) fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Lets the system count anew from what is held now.
pub(super) fn forget_peak() {
    if let Some(peak) = most_held() {
        PEAK_BEFORE.fetch_max(peak, Ordering::Relaxed);
    }
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

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
