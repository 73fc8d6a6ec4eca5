//! For tests alone: models beside Transformers, PyTorch and PEFT, on cases that tests/reference has recorded.
#![allow(clippy::unwrap_used)]

mod case;

use compute::Device;

pub use case::{Case, Learned, cases, on_host};

/// The device that is tested: the CPU, or what MBTI_TEST_DEVICE names in a build for GPUs.
#[cfg(not(feature = "cuda"))]
pub fn device() -> Device {
    Device::Cpu
}

/// The device that is tested: the CPU, or what MBTI_TEST_DEVICE names in a build for GPUs.
#[cfg(feature = "cuda")]
pub fn device() -> Device {
    use std::sync::LazyLock;

    static DEVICE: LazyLock<Device> = LazyLock::new(|| match std::env::var("MBTI_TEST_DEVICE").as_deref() {
        Ok("cuda:0") => Device::Cuda(compute::Cuda::new(0).unwrap()),
        _ => Device::Cpu,
    });
    DEVICE.clone()
}
