//! GPUs and the engine for them. `mbti` starts without CUDA's libraries, which `mbti-cuda`, the same program built with
//! CUDA, cannot; so `mbti` finds the libraries, asks `mbti-cuda` in a child process what there is, and lets it take its
//! own place where a run is to use a GPU.
//!
//!     system: what Linux shows → libraries: where CUDA's lie → probe: ask mbti-cuda → find → choose → start

mod access_list;
mod choose;
#[cfg(not(feature = "cuda"))]
mod find;
#[cfg(not(feature = "cuda"))]
mod group;
#[cfg(not(feature = "cuda"))]
mod libraries;
#[cfg(not(feature = "cuda"))]
mod lineage;
#[cfg(feature = "cuda")]
mod listed;
#[cfg(not(feature = "cuda"))]
mod places;
#[cfg(not(feature = "cuda"))]
mod probe;
#[cfg_attr(feature = "cuda", allow(dead_code, reason = "a build with CUDA looks for no libraries"))]
mod safe;
#[cfg(all(test, unix, not(feature = "cuda")))]
#[allow(clippy::unwrap_used)]
mod scripted;
mod start;
mod system;

use record::DeviceInfo;

pub use choose::{Chosen, Wanted, choose};
#[cfg(not(feature = "cuda"))]
pub use find::find;
#[cfg(not(feature = "cuda"))]
pub use group::end_remembered;
#[cfg(feature = "cuda")]
pub use listed::find;
pub use start::{Engine, can_start, chosen_before, replace};

/// The GPUs, and what is to be started to use one; none where this program can itself.
#[derive(Debug)]
pub struct Found {
    pub gpus: Vec<DeviceInfo>,
    pub engine: Option<Engine>,
}
