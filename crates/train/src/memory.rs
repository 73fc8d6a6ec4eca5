//! What memory a run holds on its device and what the device could still give it, in MiB, where the device tells.

use compute::Backend;

const MIB: f64 = 1024.0 * 1024.0;

/// The most memory that this process has held so far on the host, whatever device it computes on. Files that are mapped
/// into it count while they are read, such as a model's weights while it is loaded.
pub fn peak_rss_mib() -> Option<f64> {
    compute::cpu::most_held().map(mib)
}

/// The most memory that this process has held on the device that it computes on; on one other than the CPU since the
/// count was last begun anew.
pub(crate) fn peak_mib<B: Backend>(backend: &B) -> Option<f64> {
    if backend.device().is_cpu() { peak_rss_mib() } else { peak_since_mib(backend) }
}

/// The memory that this process holds on the device now.
pub fn held_mib<B: Backend>(backend: &B) -> Option<f64> {
    backend.memory().held.map(mib)
}

/// The most that was held there since [`Backend::forget_peak`] was called.
pub(crate) fn peak_since_mib<B: Backend>(backend: &B) -> Option<f64> {
    backend.peak().map(mib)
}

/// The most that this process may come to hold there: what it has now and what the device can still give, within
/// `MBTI_MEMORY_LIMIT_MIB`.
pub fn limit_mib<B: Backend>(backend: &B) -> Option<f64> {
    let memory = backend.memory();
    let held = memory.held?;
    let device = memory.free.map(|free| mib(held + free));
    let set = std::env::var("MBTI_MEMORY_LIMIT_MIB").ok().and_then(|text| text.parse().ok());
    [device, set].into_iter().flatten().reduce(f64::min)
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

/// Whether this is a device that has no memory left, which says so in words.
pub(crate) fn has_run_out(error: &model::Error) -> bool {
    is_out_of_memory(&error.to_string())
}

/// Whether the words of an error are those of a device, or of a library of its, that has no memory left.
pub(crate) fn is_out_of_memory(text: &str) -> bool {
    let text = text.to_lowercase().replace('_', " ");
    ["out of memory", "status alloc failed", "status allocation failed"]
        .iter()
        .any(|words| text.contains(words))
}
