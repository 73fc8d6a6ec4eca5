//! Streams, events, frees and losses without kernels: fills and copies are work enough.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    memory,
    rand::{Distribution, Series},
    settings::Loss,
    vm::Order,
};

/// A machine with a context on its first device.
pub(crate) struct Gpu {
    pub driver: Driver,
    pub context: Handle,
    pub legacy: StreamKey,
}

pub(crate) fn gpu(settings: Settings) -> Gpu {
    let mut driver = Driver::new(settings);
    driver.initialise().unwrap();
    let context = driver.retain_primary(0).unwrap();
    let legacy = driver.stream(context, 0).unwrap();
    Gpu { driver, context, legacy }
}

fn deferred() -> Gpu {
    gpu(Settings { deferred: true, ..Settings::default() })
}

impl Gpu {
    fn stream(&mut self) -> StreamKey {
        let handle = self.driver.create_stream(self.context, 1, 0).unwrap();
        self.driver.stream(self.context, handle).unwrap()
    }

    fn byte(&self, address: u64) -> u8 {
        self.driver.memory(0).bytes(address, 1).unwrap()[0]
    }

    fn fill(&mut self, stream: StreamKey, address: u64, byte: u8) {
        self.driver.fill(stream, address, &[byte], 1).unwrap();
    }
}

#[test]
fn deferred_work_waits_until_its_stream_is_synchronised_with() {
    let mut gpu = deferred();
    let (one, other) = (gpu.stream(), gpu.stream());
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    gpu.fill(one, address, 1);
    gpu.fill(other, address + 1, 2);
    assert_eq!((gpu.byte(address), gpu.byte(address + 1)), (255, 255));
    gpu.driver.synchronise_stream(other).unwrap();
    assert_eq!((gpu.byte(address), gpu.byte(address + 1)), (255, 2));
    gpu.driver.synchronise(gpu.context).unwrap();
    assert_eq!(gpu.byte(address), 1);
}

#[test]
fn work_that_is_not_deferred_is_done_when_the_call_returns() {
    let mut gpu = gpu(Settings::default());
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    let legacy = gpu.legacy;
    gpu.fill(legacy, address, 9);
    assert_eq!(gpu.byte(address), 9);
}

#[test]
fn an_event_orders_two_streams_and_without_it_they_are_not() {
    for ordered in [true, false] {
        let mut gpu = deferred();
        let (first, second) = (gpu.stream(), gpu.stream());
        let address = gpu.driver.allocate(gpu.context, 8).unwrap();
        gpu.fill(first, address, 7);
        if ordered {
            let event = gpu.driver.create_event(gpu.context, 0).unwrap();
            gpu.driver.record(event, first).unwrap();
            gpu.driver.wait(second, event).unwrap();
        }
        gpu.driver.copy(second, address + 1, address, 1, None).unwrap();
        gpu.driver.synchronise_stream(second).unwrap();
        assert_eq!(gpu.byte(address + 1), if ordered { 7 } else { 255 });
    }
}

#[test]
fn an_event_stands_for_what_was_recorded_before_it_and_not_after() {
    let mut gpu = deferred();
    let stream = gpu.stream();
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    let event = gpu.driver.create_event(gpu.context, 0).unwrap();
    gpu.driver.synchronise_event(event).unwrap();
    gpu.fill(stream, address, 1);
    gpu.driver.record(event, stream).unwrap();
    gpu.fill(stream, address, 2);
    assert_eq!(gpu.driver.query_event(event), Err(Error::NotReady));
    assert_eq!(gpu.driver.query_event(event), Ok(()));
    assert_eq!(gpu.byte(address), 1);
    assert_eq!(gpu.driver.query_stream(stream), Err(Error::NotReady));
    assert_eq!(gpu.driver.query_stream(stream), Ok(()));
    assert_eq!(gpu.byte(address), 2);
}

#[test]
fn the_default_stream_is_ordered_with_blocking_streams_alone() {
    for (flags, wanted) in [(0, 5), (1, 255)] {
        let mut gpu = deferred();
        let handle = gpu.driver.create_stream(gpu.context, flags, 0).unwrap();
        let stream = gpu.driver.stream(gpu.context, handle).unwrap();
        let address = gpu.driver.allocate(gpu.context, 8).unwrap();
        gpu.fill(stream, address, 5);
        let legacy = gpu.legacy;
        gpu.driver.copy(legacy, address + 1, address, 1, None).unwrap();
        assert_eq!(gpu.driver.read(legacy, address + 1, 1).unwrap(), [wanted]);
    }
}

#[test]
fn work_of_a_stream_that_is_gone_is_done_and_waited_for() {
    let mut gpu = deferred();
    let handle = gpu.driver.create_stream(gpu.context, 0, 0).unwrap();
    let stream = gpu.driver.stream(gpu.context, handle).unwrap();
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    gpu.fill(stream, address, 5);
    gpu.driver.destroy_stream(gpu.context, handle).unwrap();
    assert_eq!(gpu.byte(address), 255);
    let legacy = gpu.legacy;
    assert_eq!(gpu.driver.read(legacy, address, 1).unwrap(), [5], "it blocked with the default stream");
    let unordered = gpu.stream();
    gpu.fill(unordered, address + 1, 6);
    let StreamKey::Created(_, handle) = unordered else { unreachable!() };
    gpu.driver.destroy_stream(gpu.context, handle).unwrap();
    gpu.driver.synchronise(gpu.context).unwrap();
    assert_eq!(gpu.byte(address + 1), 6);
}

#[test]
fn threads_have_default_streams_of_their_own() {
    let mut gpu = deferred();
    let mine = gpu.driver.stream(gpu.context, 2).unwrap();
    let context = gpu.context;
    let theirs =
        std::thread::scope(|scope| scope.spawn(|| gpu.driver.stream(context, 2).unwrap()).join().unwrap());
    assert_ne!(mine, theirs);
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    gpu.fill(mine, address, 3);
    gpu.driver.synchronise_stream(theirs).unwrap();
    assert_eq!(gpu.byte(address), 255, "nothing orders them");
}

#[test]
fn streams_without_an_order_are_synchronised_in_the_order_of_the_settings() {
    for (order, last) in [(Order::Forward, 2), (Order::Reversed, 1)] {
        let mut gpu = gpu(Settings { deferred: true, order, ..Settings::default() });
        let (one, other) = (gpu.stream(), gpu.stream());
        let address = gpu.driver.allocate(gpu.context, 8).unwrap();
        gpu.fill(one, address, 1);
        gpu.fill(other, address, 2);
        gpu.driver.synchronise(gpu.context).unwrap();
        assert_eq!(gpu.byte(address), last);
    }
}

#[test]
fn pageable_memory_is_taken_at_the_call_and_pinned_memory_when_the_copy_is_done() {
    let mut gpu = deferred();
    let stream = gpu.stream();
    let address = gpu.driver.allocate(gpu.context, 8).unwrap();
    let pinned = gpu.driver.host.allocate(8).unwrap();
    let back = gpu.driver.host.allocate(8).unwrap();
    gpu.driver.upload(stream, address, Source::Pinned { address: pinned, bytes: 8 }).unwrap();
    // SAFETY: both blocks are of 8 bytes and there until the driver goes.
    #[allow(unsafe_code)]
    let to = unsafe {
        (pinned as *mut [u8; 8]).write([6; 8]);
        Target::new(back, 8)
    };
    gpu.driver.download(stream, address, to).unwrap();
    let mut read = [0; 8];
    gpu.driver.host.read(back, &mut read).unwrap();
    assert_eq!(read, [255; 8], "the copy to pinned memory still waits");
    gpu.driver.synchronise_stream(stream).unwrap();
    gpu.driver.host.read(back, &mut read).unwrap();
    assert_eq!(read, [6; 8], "what was written after the call was copied");
    gpu.driver.upload(stream, address, Source::Taken(vec![1; 8])).unwrap();
    assert_eq!(gpu.driver.read(stream, address, 8).unwrap(), [1; 8]);
}

#[test]
fn memory_freed_in_a_stream_is_free_for_what_follows_and_there_for_what_came_before() {
    let mut gpu = gpu(Settings { deferred: true, memory: 4096, ..Settings::default() });
    let stream = gpu.stream();
    let address = gpu.driver.allocate(gpu.context, 4096).unwrap();
    gpu.fill(stream, address, 4);
    gpu.driver.free_in(stream, address).unwrap();
    assert_eq!(gpu.driver.memory_info(gpu.context), Ok((4096, 4096)));
    let next = gpu.driver.allocate(gpu.context, 4096).unwrap();
    assert_ne!(next, address);
    let late = gpu.driver.fill(stream, address, &[1], 1);
    assert!(matches!(late, Err(Error::Range(memory::Error::UseAfterFree { .. }))), "{late:?}");
    gpu.driver.synchronise(gpu.context).unwrap();
    assert_eq!(gpu.driver.counters.peak_memory, 4096);
}

#[test]
fn a_full_memory_is_an_answer_and_no_fault() {
    let mut gpu = gpu(Settings { memory: 1 << 20, ..Settings::default() });
    gpu.driver.allocate(gpu.context, 1 << 19).unwrap();
    let error = gpu.driver.allocate(gpu.context, (1 << 19) + 1).unwrap_err();
    assert_eq!(error, Error::OutOfMemory { wanted: (1 << 19) + 1, free: 1 << 19 });
    assert!(!error.is_fault() && error.code() == Code::OutOfMemory);
    gpu.driver.allocate(gpu.context, 1 << 19).unwrap();
}

#[test]
fn copies_and_fills_that_leave_their_allocation_are_refused_with_nothing_done() {
    let mut gpu = gpu(Settings::default());
    let legacy = gpu.legacy;
    let address = gpu.driver.allocate(gpu.context, 16).unwrap();
    let other = gpu.driver.allocate(gpu.context, 16).unwrap();
    let refused = [
        gpu.driver.upload(legacy, address + 9, Source::Taken(vec![0; 8])).unwrap_err(),
        gpu.driver.fill(legacy, address, &[0; 4], 5).unwrap_err(),
        gpu.driver.copy(legacy, address, other + 1, 16, None).unwrap_err(),
        gpu.driver.read(legacy, address, 17).unwrap_err(),
        gpu.driver.fill(legacy, 64, &[0], 1).unwrap_err(),
        gpu.driver.fill(legacy, address + 2, &[0; 4], 1).unwrap_err(),
        gpu.driver.fill(legacy, address, &[0; 4], u64::MAX).unwrap_err(),
    ];
    for error in refused {
        assert!(error.code() == Code::InvalidValue && error.is_fault(), "{error}");
    }
    assert_eq!(gpu.driver.memory(0).bytes(address, 16).unwrap(), [255; 16]);
    let overlap = gpu.driver.copy(legacy, address + 4, address, 8, None);
    assert_eq!(overlap, Err(Error::Overlap { from: address, to: address + 4, bytes: 8 }));
    gpu.driver.copy(legacy, address + 8, address, 8, None).unwrap();
}

#[test]
fn handles_that_were_never_given_or_are_gone_are_told_by_name() {
    let mut gpu = gpu(Settings::default());
    let unknown =
        |what| move |error: Error| matches!(error, Error::UnknownHandle { what: w, .. } if w == what);
    assert!(gpu.driver.stream(gpu.context, 77).is_err_and(unknown("stream")));
    assert!(gpu.driver.synchronise_event(77).is_err_and(unknown("event")));
    assert!(gpu.driver.function(77, "k").is_err_and(unknown("module")));
    let event = gpu.driver.create_event(gpu.context, 0).unwrap();
    assert!(gpu.driver.stream(gpu.context, event).is_err_and(unknown("stream")), "an event is no stream");
    gpu.driver.destroy_event(event).unwrap();
    assert!(gpu.driver.destroy_event(event).is_err_and(unknown("event")));
    let stream = gpu.driver.create_stream(gpu.context, 0, 0).unwrap();
    gpu.driver.destroy_stream(gpu.context, stream).unwrap();
    let error = gpu.driver.destroy_stream(gpu.context, stream).unwrap_err();
    assert_eq!(error.code(), Code::InvalidHandle);
    assert!(gpu.driver.destroy_stream(gpu.context, 0).is_err(), "the default stream cannot be destroyed");
    assert_eq!(gpu.driver.device_of(1).unwrap_err().code(), Code::InvalidContext);
}

#[test]
fn a_device_that_is_lost_fails_at_that_launch_and_ever_after() {
    let lose = Some(Loss { launch: 2, code: Code::DeviceUnavailable });
    let mut gpu = gpu(Settings { lose, ..Settings::default() });
    let address = gpu.driver.allocate(gpu.context, 64).unwrap();
    let generator = gpu.driver.create_generator(gpu.context).unwrap();
    let series = Series::new("uniform", address, 4, false, Distribution::Uniform);
    gpu.driver.draw(gpu.context, generator, series).unwrap();
    let lost = gpu.driver.draw(gpu.context, generator, series);
    assert_eq!(lost, Err(Error::Lost(Code::DeviceUnavailable)));
    assert_eq!(gpu.driver.allocate(gpu.context, 4), Err(Error::Broken(Code::DeviceUnavailable)));
    assert_eq!(
        gpu.driver.synchronise_stream(gpu.legacy).and_then(|()| gpu.driver.usable(0)).unwrap_err().code()
            as i32,
        46
    );
}

#[test]
fn the_primary_context_ends_with_its_last_user_and_its_memory_with_it() {
    let mut gpu = gpu(Settings::default());
    assert_eq!(gpu.driver.retain_primary(0), Ok(gpu.context));
    gpu.driver.allocate(gpu.context, 1000).unwrap();
    gpu.driver.release_primary(0).unwrap();
    assert!(gpu.driver.device_of(gpu.context).is_ok());
    gpu.driver.release_primary(0).unwrap();
    assert_eq!(gpu.driver.device_of(gpu.context).unwrap_err().code(), Code::InvalidContext);
    assert_eq!(gpu.driver.memory(0).free(), gpu.driver.memory(0).total());
    assert_eq!(gpu.driver.release_primary(0), Err(Error::NoContext));
}

#[test]
fn devices_have_memory_of_their_own_and_copies_go_between_them() {
    let mut gpu = gpu(Settings { devices: vec!["a".into(), "b".into()], ..Settings::default() });
    let second = gpu.driver.retain_primary(1).unwrap();
    let there = gpu.driver.stream(second, 0).unwrap();
    let (from, to) = (gpu.driver.allocate(gpu.context, 4).unwrap(), gpu.driver.allocate(second, 4).unwrap());
    let legacy = gpu.legacy;
    gpu.driver.fill(legacy, from, &[8], 4).unwrap();
    assert!(gpu.driver.fill(legacy, to, &[8], 4).is_err(), "it is not this device's");
    gpu.driver.copy(there, to, from, 4, Some(gpu.context)).unwrap();
    assert_eq!(gpu.driver.read(there, to, 4).unwrap(), [8; 4]);
}

#[test]
fn transfers_and_synchronisations_are_counted() {
    let mut gpu = gpu(Settings::default());
    let legacy = gpu.legacy;
    let address = gpu.driver.allocate(gpu.context, 64).unwrap();
    gpu.driver.upload(legacy, address, Source::Taken(vec![0; 12])).unwrap();
    gpu.driver.copy(legacy, address + 32, address, 10, None).unwrap();
    gpu.driver.fill(legacy, address, &[0; 4], 3).unwrap();
    gpu.driver.read(legacy, address, 5).unwrap();
    let counters = gpu.driver.counters();
    let bytes =
        [counters.uploads, counters.copies, counters.fills, counters.downloads].map(|c| (c.count, c.bytes));
    assert_eq!(bytes, [(1, 12), (1, 10), (1, 12), (1, 5)]);
    assert_eq!((counters.synchronisations, counters.allocations), (1, 1));
}
