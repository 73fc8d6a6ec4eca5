//! What memory this process holds and what the system could still give it, where the system tells.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most that was held before the system's own count was set back, in KiB.
static PEAK_BEFORE: AtomicU64 = AtomicU64::new(0);

/// The most memory that this process has held so far, in MiB. Files that are mapped into it count
/// while they are read, such as a model's weights while it is loaded.
pub fn peak_rss_mib() -> Option<f64> {
    Some(own("VmHWM:")?.max(PEAK_BEFORE.load(Ordering::Relaxed) as f64 / 1024.0))
}

/// The most that was held since [`forget_peak`] was called, where the system let it.
pub(crate) fn peak_since_mib() -> Option<f64> {
    own("VmHWM:")
}

/// Lets the system count anew from what is held now.
pub(crate) fn forget_peak() {
    if let Some(peak) = peak_rss_mib() {
        PEAK_BEFORE.fetch_max((peak * 1024.0) as u64, Ordering::Relaxed);
    }
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

/// The memory that this process holds now, in MiB.
pub fn rss_mib() -> Option<f64> {
    own("VmRSS:")
}

/// The most that this process may come to hold, in MiB: what it has now and what the system can
/// still give, within the limit of its control group and `MBTI_MEMORY_LIMIT_MIB`.
pub fn limit_mib() -> Option<f64> {
    let now = rss_mib()?;
    let system = field("/proc/meminfo", "MemAvailable:").map(|available| now + available);
    let group = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let group = group.map(|(most, current)| now + (most - current).max(0.0) / (1024.0 * 1024.0));
    let set = std::env::var("MBTI_MEMORY_LIMIT_MIB").ok().and_then(|text| text.parse().ok());
    [system, group, set].into_iter().flatten().reduce(f64::min)
}

fn own(name: &str) -> Option<f64> {
    field("/proc/self/status", name)
}

/// A field of one of the kernel's tables, given in kB, in MiB.
fn field(path: &str, name: &str) -> Option<f64> {
    let table = std::fs::read_to_string(path).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn number(path: &str) -> Option<f64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
