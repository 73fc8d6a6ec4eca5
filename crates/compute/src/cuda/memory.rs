//! What there is of the device's memory.
#![allow(unsafe_code)]

use std::sync::Arc;

use candle_core::{
    Result,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaContext, result, sys},
    },
};

use crate::Memory;

/// Lets the driver keep memory that was freed, as the next step asks for the same again; it is given to whoever else asks
/// in this process, and counts as free for us.
pub(super) fn keep_what_is_freed(context: &Arc<CudaContext>) -> Result<()> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    set_in_pool(context, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX)
}

/// The most bytes that were used since [`forget_peak`].
pub(super) fn peak(context: &CudaContext) -> Option<u64> {
    of_pool(context, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

/// Lets the driver count anew from what is used now.
pub(super) fn forget_peak(context: &CudaContext) {
    if context.has_async_alloc() {
        // The driver takes nothing but 0 here. One that refuses it goes on counting from before, which is no smaller.
        set_in_pool(context, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0).ok();
    }
}

fn set_in_pool(context: &CudaContext, attribute: sys::CUmemPool_attribute, value: u64) -> Result<()> {
    context.bind_to_thread().w()?;
    // SAFETY: the pool is the device's own, and the attribute is a number of 64 bits, which is there for the call.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device()).w()?;
        result::mem_pool::set_attribute(pool, attribute, std::ptr::from_ref(&value).cast_mut().cast()).w()
    }
}

/// A number that the device's pool tells.
fn of_pool(context: &CudaContext, attribute: sys::CUmemPool_attribute) -> Option<u64> {
    if !context.has_async_alloc() {
        return None;
    }
    context.bind_to_thread().ok()?;
    let mut value = 0u64;
    // SAFETY: as above.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device()).ok()?;
        result::mem_pool::get_attribute(pool, attribute, std::ptr::from_mut(&mut value).cast()).ok()?;
    }
    Some(value)
}

/// Free and held bytes: what the pool has reserved and does not use is free.
pub(super) fn memory(context: &CudaContext) -> Memory {
    let used = of_pool(context, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    let reserved = of_pool(context, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    let free = context.mem_get_info().ok().map(|(free, _)| free as u64);
    let idle = reserved.zip(used).map_or(0, |(reserved, used)| reserved.saturating_sub(used));
    Memory { free: free.map(|free| free + idle), held: used }
}
