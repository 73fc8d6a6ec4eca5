//! Which GPUs there are, as the driver lists them. Nothing is opened for good, and no kernel is loaded.
#![allow(unsafe_code)]

use candle_core::cuda_backend::cudarc::driver::{
    CudaContext,
    result::{self, DriverError},
    sys::{self, CUdevice_attribute_enum as Attribute, CUresult},
};

use super::device::LEAST_CAPABILITY;

/// The oldest CUDA version of a driver that runs us: 13.0, as `cuDriverGetVersion` writes it.
const LEAST_VERSION: i32 = 13000;

/// Why the driver lists no GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the driver finds no GPU")]
    NoDevice,
    /// Another error of the driver, by its name in CUDA, such as CUDA_ERROR_SYSTEM_NOT_READY.
    #[error("{call} answers {name}")]
    Driver { call: &'static str, name: String },
}

/// Why a GPU that is listed cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The driver's CUDA version, such as 12.2.
    #[error("the driver supports CUDA {cuda}, and CUDA 13.0 is needed")]
    OldDriver { cuda: String },
    /// The card's compute capability, such as 7.5.
    #[error("compute capability {capability} is below 8.0")]
    OldCard { capability: String },
    /// It does not answer what it is asked, or no context can be made on it, as while another program has it for itself.
    #[error("{call} answers {name}")]
    Driver { call: &'static str, name: String },
}

/// One GPU. Its place in the list is its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Empty where the card does not answer.
    pub name: String,
    /// All of its memory, in bytes; none where the card does not answer.
    pub total: Option<u64>,
    /// What is free of it, in bytes; none where no context could be made to ask.
    pub free: Option<u64>,
    pub unfit: Option<Unfit>,
}

/// All GPUs, in the driver's order, which is that of `cuda:0`, `cuda:1`. `CUDA_VISIBLE_DEVICES` holds here too.
pub fn list() -> Result<Vec<Gpu>, ListError> {
    result::init().map_err(not_begun)?;
    let cuda = driver_version()?;
    let count = result::device::get_count().map_err(failed("cuDeviceGetCount"))?;
    if count == 0 {
        return Err(ListError::NoDevice);
    }
    Ok((0..count).map(|number| look_at(number, cuda)).collect())
}

/// A query that failed: the call, and the name of its error.
struct Failed(&'static str, String);

impl From<Failed> for ListError {
    fn from(Failed(call, name): Failed) -> ListError {
        ListError::Driver { call, name }
    }
}

impl From<Failed> for Unfit {
    fn from(Failed(call, name): Failed) -> Unfit {
        Unfit::Driver { call, name }
    }
}

/// The CUDA version that the driver supports, a thousand times the major number and ten times the minor one.
fn driver_version() -> Result<i32, ListError> {
    let mut version = 0;
    // SAFETY: the driver writes one number, whose place is there for the call.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map_err(failed("cuDriverGetVersion"))?;
    Ok(version)
}

/// One GPU. Where it does not answer it is listed with the reason, and hides no other.
fn look_at(number: i32, cuda: i32) -> Gpu {
    let (name, total, capability) = match queries(number) {
        Ok(found) => found,
        Err(why) => return Gpu { name: String::new(), total: None, free: None, unfit: Some(why.into()) },
    };
    let (free, unfit) = match unfit(cuda, capability) {
        Some(unfit) => (None, Some(unfit)),
        None => free_memory(number).map_or_else(|why| (None, Some(why.into())), |free| (Some(free), None)),
    };
    Gpu { name, total: Some(total), free, unfit }
}

/// The name of a card, its bytes of memory, and its compute capability.
fn queries(number: i32) -> Result<(String, u64, (i32, i32)), Failed> {
    let device = result::device::get(number).map_err(failed("cuDeviceGet"))?;
    let name = result::device::get_name(device).map_err(failed("cuDeviceGetName"))?;
    // SAFETY: `device` is one that the driver has just given.
    let (total, major, minor) = unsafe {
        let attribute =
            |which| result::device::get_attribute(device, which).map_err(failed("cuDeviceGetAttribute"));
        (
            result::device::total_mem(device).map_err(failed("cuDeviceTotalMem"))?,
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        )
    };
    Ok((name, total as u64, (major, minor)))
}

/// What the versions alone forbid.
fn unfit(cuda: i32, capability: (i32, i32)) -> Option<Unfit> {
    if cuda < LEAST_VERSION {
        return Some(Unfit::OldDriver { cuda: format!("{}.{}", cuda / 1000, cuda % 1000 / 10) });
    }
    let (major, minor) = capability;
    (capability < LEAST_CAPABILITY).then(|| Unfit::OldCard { capability: format!("{major}.{minor}") })
}

/// Bytes that are free. Only a context can ask, which also shows that one can be made.
fn free_memory(number: i32) -> Result<u64, Failed> {
    // The driver counts from 0.
    let context =
        CudaContext::new(number.unsigned_abs() as usize).map_err(failed("cuDevicePrimaryCtxRetain"))?;
    let (free, _) = context.mem_get_info().map_err(failed("cuMemGetInfo"))?;
    Ok(free as u64)
}

fn not_begun(error: DriverError) -> ListError {
    match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => ListError::NoDevice,
        _ => failed("cuInit")(error).into(),
    }
}

fn failed(call: &'static str) -> impl Fn(DriverError) -> Failed {
    move |error| {
        let name = error.error_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|_| format!("error {}", error.0 as u32));
        Failed(call, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_before_cuda_13_and_a_card_before_ampere_are_unfit_and_the_driver_goes_first() {
        let old_driver = |cuda: &str| Some(Unfit::OldDriver { cuda: cuda.to_owned() });
        assert_eq!(unfit(12020, (9, 0)), old_driver("12.2"));
        assert_eq!(unfit(12990, (7, 5)), old_driver("12.99"));
        assert_eq!(unfit(13000, (7, 5)), Some(Unfit::OldCard { capability: "7.5".to_owned() }));
        for capability in [(8, 0), (8, 9), (12, 0)] {
            assert_eq!(unfit(13000, capability), None);
        }
    }
}
