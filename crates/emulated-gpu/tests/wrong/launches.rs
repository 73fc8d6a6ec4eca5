//! Launches that are refused, what a fault leaves behind, and the order of streams.

use crate::{
    arrays, assert_all,
    common::{
        Arg::{F32, I32, Pointer},
        Gpu, WRONG,
    },
    faults, xy, y,
};
use emulated_gpu::{
    driver::{Code, Error},
    fault::FaultKind,
    settings::{Loss, Settings},
};

#[test]
fn a_block_of_too_many_threads_is_refused() {
    assert_all!(
        faults(false, "any_block", y("any_block", 2048)),
        FaultKind::LaunchTooLarge { block: [2048, 1, 1], .. }
    );
    assert_all!(
        faults(false, "any_block", y("any_block", 0)),
        FaultKind::EmptyLaunch { block: [0, 1, 1], .. }
    );
}

#[test]
fn a_block_past_its_launch_bounds_is_refused() {
    assert_all!(
        faults(false, "bounded", y("bounded", 128)),
        FaultKind::LaunchBounds { threads: 128, bound: 64 }
    );
}

#[test]
fn too_much_dynamic_shared_memory_is_refused_until_the_kernel_asks_for_it() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("dynamic_shared", [1, 1, 1], [256, 1, 1], 64 << 10, &args)
    };
    assert_all!(
        faults(false, "dynamic_shared", launch),
        FaultKind::SharedMemoryTooLarge { wanted: 65536, limit: 49152 }
    );
    let mut gpu = Gpu::new(Settings::default(), WRONG);
    let function = gpu.driver.function(gpu.module, "dynamic_shared").unwrap();
    assert!(gpu.driver.set_dynamic_shared(function, 200 << 10).is_err(), "more than the device has");
    gpu.driver.set_dynamic_shared(function, 64 << 10).unwrap();
    launch(&mut gpu).unwrap();
}

#[test]
fn parameters_of_another_size_are_refused() {
    let launch = |gpu: &mut Gpu| gpu.try_launch("any_block", [1, 1, 1], [1, 1, 1], 0, &[F32(1.0)]);
    assert_all!(faults(false, "any_block", launch), FaultKind::Parameters { given: 4, wanted: 8 });
}

#[test]
fn a_fault_leaves_the_device_unusable_and_a_refusal_does_not() {
    let mut gpu = Gpu::new(Settings::default(), WRONG);
    assert_eq!(y("bounded", 128)(&mut gpu).unwrap_err().code(), Code::LaunchOutOfResources);
    assert_eq!(y("any_block", 2048)(&mut gpu).unwrap_err().code(), Code::InvalidValue);
    y("any_block", 32)(&mut gpu).unwrap();
    let [x, _] = arrays(&mut gpu);
    assert_eq!(xy("misaligned_float4", 32)(&mut gpu).unwrap_err().code(), Code::MisalignedAddress);
    let later = [
        gpu.driver.allocate(gpu.context, 4).unwrap_err(),
        gpu.driver.free(gpu.context, x).unwrap_err(),
        gpu.driver.read(gpu.stream, x, 4).unwrap_err(),
        gpu.try_launch("any_block", [1, 1, 1], [1, 1, 1], 0, &[Pointer(x)]).unwrap_err(),
    ];
    for error in later {
        assert_eq!(error, Error::Broken(Code::MisalignedAddress));
    }
}

#[test]
fn a_fault_of_deferred_work_is_found_at_the_synchronisation() {
    let mut gpu = Gpu::new(Settings { deferred: true, ..Settings::default() }, WRONG);
    xy("misaligned_float4", 32)(&mut gpu).unwrap();
    let error = gpu.driver.synchronise(gpu.context).unwrap_err();
    assert_eq!((error.code(), error.kind()), (Code::MisalignedAddress, "Misaligned".to_owned()));
    // What is refused at the call is refused there.
    let mut gpu = Gpu::new(Settings { deferred: true, ..Settings::default() }, WRONG);
    assert!(y("bounded", 128)(&mut gpu).is_err());
}

/// Copies `x` to `y` in one stream and `y` to `z` in another; returns the first number of `z`.
fn copied_through_two_streams(deferred: bool, with_event: bool) -> f32 {
    let mut gpu = Gpu::new(Settings { deferred, ..Settings::default() }, WRONG);
    let [first, second] = [0; 2].map(|_| {
        let handle = gpu.driver.create_stream(gpu.context, 1, 0).unwrap();
        gpu.driver.stream(gpu.context, handle).unwrap()
    });
    let (x, [y, z]) = (gpu.upload(&[7f32; 64]), [0; 2].map(|_| gpu.room::<f32>(64)));
    gpu.driver.synchronise(gpu.context).unwrap();
    gpu.stream = first;
    gpu.launch("copy", 1, 64, &[Pointer(x), Pointer(y), I32(64)]);
    if with_event {
        let event = gpu.driver.create_event(gpu.context, 0).unwrap();
        gpu.driver.record(event, first).unwrap();
        gpu.driver.wait(second, event).unwrap();
    }
    gpu.stream = second;
    gpu.launch("copy", 1, 64, &[Pointer(y), Pointer(z), I32(64)]);
    gpu.download::<f32>(z, 1)[0]
}

#[test]
fn a_missing_event_between_streams_shows_when_work_is_deferred() {
    assert_eq!(copied_through_two_streams(true, true), 7.0);
    assert!(copied_through_two_streams(true, false).is_nan());
    assert_eq!(copied_through_two_streams(false, false), 7.0, "which is why it is not found otherwise");
}

#[test]
fn the_device_is_lost_at_the_launch_that_the_settings_name() {
    let lose = Some(Loss { launch: 3, code: Code::LaunchFailed });
    for deferred in [false, true] {
        let mut gpu = Gpu::new(Settings { lose, deferred, ..Settings::default() }, WRONG);
        let y = gpu.room::<f32>(32);
        let mut launch = || gpu.try_launch("any_block", [1, 1, 1], [32, 1, 1], 0, &[Pointer(y)]);
        assert_eq!((launch(), launch()), (Ok(()), Ok(())));
        assert_eq!(launch(), Err(Error::Lost(Code::LaunchFailed)));
        assert_eq!(launch(), Err(Error::Broken(Code::LaunchFailed)));
        assert_eq!(gpu.driver.read(gpu.stream, y, 4), Err(Error::Broken(Code::LaunchFailed)));
    }
}
