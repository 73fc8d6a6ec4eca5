//! The CUDA backend held to the contract, on the GPU that there is: `scripts/gpu-tests.sh` runs it on the emulated one.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use compute::Cuda;

static CUDA: LazyLock<Cuda> = LazyLock::new(|| Cuda::new(0).unwrap());

compute::conforms!(*CUDA);
