//! Memory that is not a kernel's to touch, and values that it must not use.

use crate::{
    arrays, assert_all,
    common::{
        Arg::{I32, Pointer},
        Gpu, floats,
    },
    faults, xy, y,
};
use emulated_gpu::fault::{Access, FaultKind, Space};

#[test]
fn an_index_one_too_large_leaves_the_allocation() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&floats(1, 100)), gpu.room::<f32>(100));
        gpu.try_launch("one_too_many", [1, 1, 1], [128, 1, 1], 0, &[Pointer(x), Pointer(y), I32(100)])
    };
    for kind in faults(false, "one_too_many", launch) {
        // The first byte past the end is in no allocation.
        assert!(matches!(kind, FaultKind::NoAllocation { access: Access::Read, size: 4, .. }), "{kind:?}");
    }
}

#[test]
fn a_vector_over_the_end_of_an_allocation_is_out_of_bounds() {
    let launch = |gpu: &mut Gpu| {
        let y = gpu.room::<u8>(24);
        gpu.try_launch("misaligned_uint4", [1, 1, 1], [2, 1, 1], 0, &[Pointer(y), I32(0)])
    };
    assert_all!(
        faults(false, "misaligned_uint4", launch),
        FaultKind::OutOfBounds { access: Access::Write, space: Space::Global, address, size: 16, extent }
            if *address == extent.start + 16 && extent.end - extent.start == 24
    );
}

#[test]
fn misaligned_vectors_are_found() {
    assert_all!(
        faults(false, "misaligned_float4", xy("misaligned_float4", 32)),
        FaultKind::Misaligned { access: Access::Read, space: Space::Global, size: 16, alignment: 16, .. }
    );
    assert_all!(
        faults(false, "misaligned_float2", xy("misaligned_float2", 32)),
        FaultKind::Misaligned { access: Access::Read, size: 8, alignment: 8, .. }
    );
    let uint4 = |gpu: &mut Gpu| {
        let y = arrays(gpu)[1];
        gpu.try_launch("misaligned_uint4", [1, 1, 1], [32, 1, 1], 0, &[Pointer(y), I32(1)])
    };
    assert_all!(
        faults(false, "misaligned_uint4", uint4),
        FaultKind::Misaligned { access: Access::Write, size: 16, alignment: 16, .. }
    );
}

#[test]
fn shared_memory_that_nobody_has_written_is_found() {
    assert_all!(
        faults(false, "uninitialised", y("uninitialised", 64)),
        FaultKind::UninitialisedRead { address: 128..256, size: 4 }
    );
}

#[test]
fn an_atomic_on_shared_memory_that_nobody_has_written_is_found() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32; 64]), gpu.room::<i32>(1));
        gpu.try_launch("counter_without_a_zero", [1, 1, 1], [64, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "counter_without_a_zero", launch), FaultKind::UninitialisedRead { .. });
}

#[test]
fn memory_that_was_freed_is_known_as_such() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        gpu.driver.free(gpu.context, x).unwrap();
        gpu.try_launch("copy", [1, 1, 1], [64, 1, 1], 0, &[Pointer(x), Pointer(y), I32(64)])
    };
    assert_all!(faults(false, "copy", launch), FaultKind::UseAfterFree { access: Access::Read, .. });
}

#[test]
fn addresses_that_are_no_device_memory_are_found() {
    for address in [0, 4096, 0xffff_ffff_ffff_fff0] {
        let launch = |gpu: &mut Gpu| {
            let y = arrays(gpu)[1];
            gpu.try_launch("copy", [1, 1, 1], [4, 1, 1], 0, &[Pointer(address), Pointer(y), I32(4)])
        };
        assert_all!(faults(false, "copy", launch), FaultKind::NoAllocation { access: Access::Read, .. });
    }
}

#[test]
fn memory_of_the_host_is_no_device_memory() {
    let host = [1.0f32; 64];
    let address = host.as_ptr() as u64;
    let launch = |gpu: &mut Gpu| {
        let y = arrays(gpu)[1];
        gpu.try_launch("copy", [1, 1, 1], [64, 1, 1], 0, &[Pointer(address), Pointer(y), I32(64)])
    };
    assert_all!(faults(false, "copy", launch), FaultKind::NoAllocation { access: Access::Read, .. });
}

#[test]
fn a_grid_that_is_too_large_is_found() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("unchecked", [5, 1, 1], [128, 1, 1], 0, &args)
    };
    assert_all!(faults(false, "unchecked", launch), FaultKind::NoAllocation { .. });
}

#[test]
fn too_little_dynamic_shared_memory_is_found() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("dynamic_shared", [1, 1, 1], [256, 1, 1], 512, &args)
    };
    assert_all!(
        faults(false, "dynamic_shared", launch),
        FaultKind::OutOfBounds { access: Access::Write, space: Space::Shared, .. }
    );
}

#[test]
fn constant_memory_is_not_written() {
    let launch = |gpu: &mut Gpu| {
        let (table, size) = gpu.driver.global(gpu.module, "table").unwrap();
        assert_eq!(size, 16);
        gpu.try_launch("read_only", [1, 1, 1], [4, 1, 1], 0, &[Pointer(table)])
    };
    assert_all!(faults(false, "read_only", launch), FaultKind::ReadOnly { access: Access::Write, .. });
}

#[test]
fn a_row_too_far_is_found() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        let args = [Pointer(x), Pointer(y), I32(16), I32(32)];
        gpu.try_launch("row_below", [1, 2, 1], [32, 8, 1], 0, &args)
    };
    assert_all!(faults(false, "row_below", launch), FaultKind::NoAllocation { access: Access::Read, .. });
}

#[test]
fn an_index_of_32_bits_that_overflows_is_found() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        let args = [Pointer(x), Pointer(y), I32(50_000), I32(50_000)];
        gpu.try_launch("index_overflow", [1, 1, 1], [32, 1, 1], 0, &args)
    };
    assert_all!(
        faults(false, "index_overflow", launch),
        FaultKind::NoAllocation { access: Access::Read, .. }
    );
}

#[test]
fn a_misaligned_row_of_ldmatrix_is_found() {
    assert_all!(
        faults(false, "misaligned_ldmatrix", y("misaligned_ldmatrix", 32)),
        FaultKind::Misaligned { space: Space::Shared, size: 16, alignment: 16, .. }
    );
}

#[test]
fn an_assertion_that_fails_is_reported_with_its_text() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32, 2, -3, 4]), gpu.room::<i32>(4));
        gpu.try_launch("asserted", [1, 1, 1], [4, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "asserted", launch), FaultKind::Trap { message } if message.contains("x[threadIdx.x] >= 0"));
}

#[test]
fn a_division_by_zero_is_found() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32, 2, 0, 4]), gpu.room::<i32>(4));
        gpu.try_launch("division", [1, 1, 1], [4, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "division", launch), FaultKind::DivisionByZero);
}
