//! The error codes of the CUDA driver, with the names and texts by which `cuGetErrorName` and `cuGetErrorString` know
//! them (CUDA Driver API, "Data types used by CUDA driver", enum `CUresult`), and what leads to them.

use crate::{
    fault::{Fault, FaultKind},
    memory, ptx,
};

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// What a driver call returns when it does not succeed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Code { $($variant = $number,)* }

        impl Code {
            /// The code with this number, where there is one.
            pub fn from_number(number: i32) -> Option<Code> {
                match number { $($number => Some(Code::$variant),)* _ => None }
            }

            /// NVIDIA's name of the code and its text, both ended by a zero byte.
            pub(crate) fn texts(self) -> (&'static std::ffi::CStr, &'static std::ffi::CStr) {
                match self { $(Code::$variant => ($name, $text),)* }
            }

            /// Every code, for the tests.
            #[cfg(test)]
            const ALL: &[Code] = &[$(Code::$variant),*];
        }
    };
}

codes! {
    InvalidValue = 1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument";
    OutOfMemory = 2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory";
    NotInitialized = 3, c"CUDA_ERROR_NOT_INITIALIZED", c"initialization error";
    DeviceUnavailable = 46, c"CUDA_ERROR_DEVICE_UNAVAILABLE", c"CUDA-capable device(s) is/are busy or unavailable";
    NoDevice = 100, c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected";
    InvalidDevice = 101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal";
    InvalidImage = 200, c"CUDA_ERROR_INVALID_IMAGE", c"device kernel image is invalid";
    InvalidContext = 201, c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context";
    NoBinaryForGpu = 209, c"CUDA_ERROR_NO_BINARY_FOR_GPU", c"no kernel image is available for execution on the device";
    InvalidPtx = 218, c"CUDA_ERROR_INVALID_PTX", c"a PTX JIT compilation failed";
    UnsupportedPtxVersion = 222, c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", c"the provided PTX was compiled with an unsupported toolchain.";
    FileNotFound = 301, c"CUDA_ERROR_FILE_NOT_FOUND", c"file not found";
    InvalidHandle = 400, c"CUDA_ERROR_INVALID_HANDLE", c"invalid resource handle";
    NotFound = 500, c"CUDA_ERROR_NOT_FOUND", c"named symbol not found";
    NotReady = 600, c"CUDA_ERROR_NOT_READY", c"device not ready";
    IllegalAddress = 700, c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered";
    LaunchOutOfResources = 701, c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", c"too many resources requested for launch";
    LaunchTimeout = 702, c"CUDA_ERROR_LAUNCH_TIMEOUT", c"the launch timed out and was terminated";
    HostMemoryAlreadyRegistered = 712, c"CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", c"part or all of the requested memory range is already mapped";
    HostMemoryNotRegistered = 713, c"CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", c"pointer does not correspond to a registered memory region";
    IllegalInstruction = 715, c"CUDA_ERROR_ILLEGAL_INSTRUCTION", c"an illegal instruction was encountered";
    MisalignedAddress = 716, c"CUDA_ERROR_MISALIGNED_ADDRESS", c"misaligned address";
    LaunchFailed = 719, c"CUDA_ERROR_LAUNCH_FAILED", c"unspecified launch failure";
    NotSupported = 801, c"CUDA_ERROR_NOT_SUPPORTED", c"operation not supported";
    Unknown = 999, c"CUDA_ERROR_UNKNOWN", c"unknown error";
}

/// What keeps a call from succeeding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kernel did something wrong, or its launch is not possible.
    #[error(transparent)]
    Kernel(#[from] Box<Fault>),
    /// A copy, fill, product or series of random numbers that is not within one allocation.
    #[error(transparent)]
    Range(#[from] memory::Error),
    /// A copy within the device whose source and target overlap.
    #[error("a copy of {bytes} bytes from {from:#x} to {to:#x}, which overlap")]
    Overlap { from: u64, to: u64, bytes: u64 },
    /// Less memory is free than is asked for.
    #[error("{wanted} bytes are asked for and {free} are free")]
    OutOfMemory { wanted: u64, free: u64 },
    /// A handle that the driver never gave, that belongs to something else, or that was destroyed.
    #[error("{handle:#x} is no {what}")]
    UnknownHandle { what: &'static str, handle: u64 },
    /// A pointer that must not be NULL.
    #[error("{argument} is NULL")]
    Null { argument: &'static str },
    /// Any other argument that the function does not take.
    #[error("{0}")]
    Argument(String),
    /// A pointer to host memory that was not allocated, or not registered, as pinned.
    #[error("{address:#x} is no pinned memory of the host")]
    NotPinned { address: u64 },
    /// Host memory that is pinned already.
    #[error("host memory at {address:#x} is pinned already")]
    PinnedAlready { address: u64 },
    /// `cuInit` was not called.
    #[error("cuInit was not called")]
    NotInitialized,
    /// The calling thread has no context, or one that was destroyed.
    #[error("the thread has no context")]
    NoContext,
    /// The machine has no device.
    #[error("there is no device")]
    NoDevice,
    /// A device that is not there.
    #[error("there is no device {0}")]
    InvalidDevice(i32),
    /// A device that the settings let answer nothing about itself.
    #[error("device {0} answers nothing")]
    Silent(i32),
    /// A module that is no PTX: only PTX can be executed.
    #[error("the image of a module is no PTX text")]
    Image,
    /// PTX that is wrong or not emulated.
    #[error(transparent)]
    Ptx(#[from] ptx::Error),
    /// PTX of a version that came after the driver.
    #[error("PTX {0} is newer than the driver, which knows CUDA {1}")]
    PtxVersion(String, i32),
    /// PTX for a newer device.
    #[error("PTX for {target} cannot run on a device of compute capability {}.{}", .capability.0, .capability.1)]
    Target { target: String, capability: (i32, i32) },
    /// A name that the module does not have.
    #[error("the module has no {what} «{name}»")]
    NotFound { what: &'static str, name: String },
    /// A file that cannot be read.
    #[error("{path} cannot be read: {why}")]
    File { path: String, why: String },
    /// What was asked about is still under way.
    #[error("not ready")]
    NotReady,
    /// The device was lost, as the settings want it.
    #[error("the device is lost, as EMULATED_GPU_LOSE has it")]
    Lost(Code),
    /// An earlier fault has left the device unusable.
    #[error("an earlier fault has left the device unusable")]
    Broken(Code),
    /// Something that is not emulated.
    #[error("{0} is not emulated")]
    Unsupported(String),
    /// A panic of this crate.
    #[error("the emulated GPU failed in {function}, which is a fault of its own")]
    Internal { function: &'static str },
}

/// The result of what the driver does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The code that the function returns.
    pub fn code(&self) -> Code {
        match self {
            Error::Kernel(fault) => fault_code(&fault.kind),
            Error::Range(_) | Error::Overlap { .. } | Error::Null { .. } | Error::Argument(_) => {
                Code::InvalidValue
            }
            Error::OutOfMemory { .. } => Code::OutOfMemory,
            Error::UnknownHandle { what: "context", .. } | Error::NoContext => Code::InvalidContext,
            Error::UnknownHandle { .. } => Code::InvalidHandle,
            Error::NotPinned { .. } => Code::HostMemoryNotRegistered,
            Error::PinnedAlready { .. } => Code::HostMemoryAlreadyRegistered,
            Error::NotInitialized => Code::NotInitialized,
            Error::NoDevice => Code::NoDevice,
            Error::InvalidDevice(_) => Code::InvalidDevice,
            Error::Silent(_) => Code::Unknown,
            Error::Image => Code::InvalidImage,
            Error::Ptx(_) => Code::InvalidPtx,
            Error::PtxVersion(..) => Code::UnsupportedPtxVersion,
            Error::Target { .. } => Code::NoBinaryForGpu,
            Error::NotFound { .. } => Code::NotFound,
            Error::File { .. } => Code::FileNotFound,
            Error::NotReady => Code::NotReady,
            Error::Lost(code) | Error::Broken(code) => *code,
            Error::Unsupported(_) => Code::NotSupported,
            Error::Internal { .. } => Code::Unknown,
        }
    }

    /// Whether the report lists it: what only a program with a fault, or one that this crate cannot serve, meets.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Error::OutOfMemory { .. }
                | Error::NoDevice
                | Error::InvalidDevice(_)
                | Error::Silent(_)
                | Error::PtxVersion(..)
                | Error::Target { .. }
                | Error::NotFound { .. }
                | Error::File { .. }
                | Error::NotReady
                | Error::Broken(_)
        )
    }

    /// Whether the device is of no use after it, as on real hardware after a fault in a kernel.
    pub fn breaks_the_device(&self) -> bool {
        match self {
            Error::Kernel(fault) => !is_refusal(&fault.kind),
            Error::Lost(_) => true,
            _ => false,
        }
    }

    /// The name of the kind: of the fault's in a kernel, else of the variant.
    pub fn kind(&self) -> String {
        let text = match self {
            Error::Kernel(fault) => format!("{:?}", fault.kind),
            Error::Range(error) => format!("{error:?}"),
            other => format!("{other:?}"),
        };
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }
}

/// Whether the launch was not begun at all, so that the device stays as it was.
fn is_refusal(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::EmptyLaunch { .. }
            | FaultKind::LaunchTooLarge { .. }
            | FaultKind::LaunchBounds { .. }
            | FaultKind::SharedMemoryTooLarge { .. }
            | FaultKind::TooManyRegisters { .. }
            | FaultKind::Parameters { .. }
    )
}

/// The code by which a device tells of a fault. What a device would let pass (a race, memory that nobody has written)
/// is a failed launch here.
fn fault_code(kind: &FaultKind) -> Code {
    match kind {
        FaultKind::LaunchBounds { .. } | FaultKind::TooManyRegisters { .. } => Code::LaunchOutOfResources,
        kind if is_refusal(kind) => Code::InvalidValue,
        FaultKind::OutOfBounds { .. }
        | FaultKind::NoAllocation { .. }
        | FaultKind::UseAfterFree { .. }
        | FaultKind::ReadOnly { .. } => Code::IllegalAddress,
        FaultKind::Misaligned { .. } => Code::MisalignedAddress,
        FaultKind::InstructionLimit { .. } => Code::LaunchTimeout,
        _ => Code::LaunchFailed,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_code_is_found_by_its_number_and_has_nvidias_kind_of_name() {
        for &code in Code::ALL {
            assert_eq!(Code::from_number(code as i32), Some(code));
            let (name, text) = code.texts();
            assert!(name.to_str().unwrap().starts_with("CUDA_ERROR_"), "{name:?}");
            assert!(!text.is_empty());
        }
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(7), None);
    }

    #[test]
    fn the_codes_that_programs_look_for_have_cudas_numbers() {
        let numbers = [
            (Code::OutOfMemory, 2),
            (Code::InvalidHandle, 400),
            (Code::NotFound, 500),
            (Code::IllegalAddress, 700),
            (Code::LaunchOutOfResources, 701),
            (Code::MisalignedAddress, 716),
            (Code::LaunchFailed, 719),
        ];
        for (code, number) in numbers {
            assert_eq!(code as i32, number);
        }
    }

    #[test]
    fn a_launch_that_is_refused_leaves_the_device_usable_and_a_fault_in_a_kernel_does_not() {
        let error = |kind| Error::from(Box::new(Fault { kernel: "k".into(), at: None, kind }));
        let refused = error(FaultKind::LaunchBounds { threads: 512, bound: 256 });
        assert_eq!((refused.code(), refused.breaks_the_device()), (Code::LaunchOutOfResources, false));
        let trapped = error(FaultKind::Trap { message: String::new() });
        assert_eq!((trapped.code(), trapped.breaks_the_device()), (Code::LaunchFailed, true));
        assert_eq!(trapped.kind(), "Trap");
    }
}
