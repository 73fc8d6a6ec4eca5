use std::fmt;

use candle_core::DeviceLocation;

use crate::Backend;

/// A device that a network computes on. What is generic over [`Backend`] is entered by
/// [`on_device!`](crate::on_device), so that another device is another variant here and nothing elsewhere.
#[derive(Clone, Default)]
pub enum Device {
    #[default]
    Cpu,
    #[cfg(feature = "cuda")]
    Cuda(crate::Cuda),
}

/// Runs an expression with `$backend` as a reference to the [`Backend`](crate::Backend) of a
/// [`Device`](crate::Device).
#[cfg(not(feature = "cuda"))]
#[macro_export]
macro_rules! on_device {
    ($device:expr, $backend:ident => $body:expr) => {
        match $device {
            $crate::Device::Cpu => {
                let $backend = &$crate::Cpu;
                $body
            }
        }
    };
}

/// Runs an expression with `$backend` as a reference to the [`Backend`](crate::Backend) of a
/// [`Device`](crate::Device).
#[cfg(feature = "cuda")]
#[macro_export]
macro_rules! on_device {
    ($device:expr, $backend:ident => $body:expr) => {
        match $device {
            $crate::Device::Cpu => {
                let $backend = &$crate::Cpu;
                $body
            }
            $crate::Device::Cuda($backend) => $body,
        }
    };
}

impl Device {
    /// candle's device, which the weights' tensors lie on.
    pub fn candle(&self) -> &candle_core::Device {
        on_device!(self, backend => backend.device())
    }

    pub fn is_cpu(&self) -> bool {
        matches!(self, Device::Cpu)
    }

    /// What its maker calls a GPU, where its driver still tells; none for the CPU.
    pub fn name(&self) -> Option<String> {
        match self {
            Device::Cpu => None,
            #[cfg(feature = "cuda")]
            Device::Cuda(cuda) => cuda.name(),
        }
    }
}

/// As the settings name it: `cpu`, `cuda:0`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.candle().location() {
            DeviceLocation::Cpu => f.write_str("cpu"),
            DeviceLocation::Cuda { gpu_id } => write!(f, "cuda:{gpu_id}"),
            DeviceLocation::Metal { gpu_id } => write!(f, "metal:{gpu_id}"),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        self.candle().same_device(other.candle())
    }
}
