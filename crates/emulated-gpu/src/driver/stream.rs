//! Streams and events: what has to be executed before what.
//!
//! Work of one stream is executed in order. The legacy default stream waits for all work that was issued before in
//! streams that block with it, and they wait for it (CUDA Programming Guide, "Implicit Synchronization"). Events order
//! streams. Everything else is unordered, and where work is deferred it is executed as late as it may be: a
//! synchronisation that is missing shows.

use std::time::Instant;

use super::{Driver, Error, Handle, Result, Work, WorkId, thread_number};

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKey {
    /// The default stream of a context.
    Legacy(Handle),
    /// A thread's own default stream: context and number of the thread.
    PerThread(Handle, u64),
    /// One that `cuStreamCreate` made: its context and its handle.
    Created(Handle, Handle),
}

/// `CU_STREAM_LEGACY`.
const LEGACY: Handle = 1;
/// `CU_STREAM_PER_THREAD`.
const PER_THREAD: Handle = 2;

impl StreamKey {
    /// The context that the stream belongs to.
    pub(crate) fn context(self) -> Handle {
        match self {
            StreamKey::Legacy(context)
            | StreamKey::PerThread(context, _)
            | StreamKey::Created(context, _) => context,
        }
    }
}

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Whether it is ordered with the legacy default stream.
    blocking: bool,
    pub(super) flags: u32,
    pub(super) priority: i32,
    /// The work that was issued last.
    last: Option<WorkId>,
    /// Work of other streams that the next work waits for.
    waits: Vec<WorkId>,
}

/// An event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) context: Handle,
    timing: bool,
    /// The work by which it was recorded last.
    recorded: Option<WorkId>,
    /// When that was executed.
    time: Option<Instant>,
}

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;
/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: u32 = 2;

impl Driver {
    /// Makes a stream.
    pub fn create_stream(&mut self, context: Handle, flags: u32, priority: i32) -> Result<Handle> {
        if flags & !NON_BLOCKING != 0 {
            return Err(Error::Argument(format!("{flags:#x} are no flags of a stream")));
        }
        let handle = self.handle();
        let blocking = flags & NON_BLOCKING == 0;
        let stream =
            Stream { blocking, flags, priority: priority.clamp(-5, 0), last: None, waits: Vec::new() };
        self.streams.insert(StreamKey::Created(context, handle), stream);
        Ok(handle)
    }

    /// The stream that a handle stands for when the calling thread uses it.
    pub fn stream(&mut self, context: Handle, handle: Handle) -> Result<StreamKey> {
        let key = match handle {
            0 | LEGACY => StreamKey::Legacy(context),
            PER_THREAD => StreamKey::PerThread(context, thread_number()),
            _ => {
                // A stream may be used while another context of the thread's is current, as its handle names it alone.
                let mut keys =
                    self.streams.keys().filter(|key| matches!(key, StreamKey::Created(_, h) if *h == handle));
                return keys.next().copied().ok_or(Error::UnknownHandle { what: "stream", handle });
            }
        };
        let new = Stream { blocking: true, flags: 0, priority: 0, last: None, waits: Vec::new() };
        self.streams.entry(key).or_insert(new);
        Ok(key)
    }

    pub(super) fn stream_state(&self, key: StreamKey) -> Result<&Stream> {
        self.streams.get(&key).ok_or(Error::UnknownHandle { what: "stream", handle: 0 })
    }

    /// Ends a stream. What it was given is still to be executed, and whoever waited for the stream waits for that.
    pub fn destroy_stream(&mut self, context: Handle, handle: Handle) -> Result<()> {
        let key = self.stream(context, handle)?;
        if !matches!(key, StreamKey::Created(..)) {
            return Err(Error::UnknownHandle { what: "stream that can be destroyed", handle });
        }
        let legacy = self.stream(key.context(), LEGACY)?;
        if let Some(gone) = self.streams.remove(&key)
            && gone.blocking
            && let Some(legacy) = self.streams.get_mut(&legacy)
        {
            legacy.waits.extend(gone.last);
        }
        Ok(())
    }

    /// What the work `id`, issued to a stream now, has to wait for.
    pub(super) fn follow(&mut self, key: StreamKey, id: WorkId) -> Vec<WorkId> {
        let context = key.context();
        let mut after = Vec::new();
        let blocking = self.streams.get(&key).is_some_and(|stream| stream.blocking);
        if blocking {
            let legacy = matches!(key, StreamKey::Legacy(_));
            for (other, stream) in &self.streams {
                let ordered = other.context() == context
                    && if legacy { stream.blocking } else { matches!(other, StreamKey::Legacy(_)) };
                if ordered && *other != key {
                    after.extend(stream.last);
                }
            }
        }
        if let Some(stream) = self.streams.get_mut(&key) {
            after.append(&mut stream.waits);
            after.extend(stream.last.replace(id));
        }
        after.retain(|id| self.pending.contains_key(id));
        after
    }

    /// Waits for all work of a stream.
    pub fn synchronise_stream(&mut self, key: StreamKey) -> Result<()> {
        self.counters.synchronisations += 1;
        self.synchronise_quietly(key)
    }

    /// The same where the program did not ask for it.
    pub(super) fn synchronise_quietly(&mut self, key: StreamKey) -> Result<()> {
        let mut wanted = self.stream_state(key)?.last.into_iter().collect::<Vec<_>>();
        // The legacy stream stands for every stream that blocks with it.
        if matches!(key, StreamKey::Legacy(_)) {
            let context = key.context();
            let others = self.streams.iter().filter(|(other, s)| other.context() == context && s.blocking);
            wanted.extend(others.filter_map(|(_, stream)| stream.last));
        }
        // What the stream was told to wait for belongs to what it waits for.
        wanted.extend(self.stream_state(key)?.waits.iter().copied());
        self.complete(wanted)
    }

    /// Waits for all work of a context, stream by stream in the order that the settings have for what is unordered.
    pub fn synchronise(&mut self, context: Handle) -> Result<()> {
        self.counters.synchronisations += 1;
        self.synchronise_all_quietly(context)
    }

    pub(super) fn synchronise_all_quietly(&mut self, context: Handle) -> Result<()> {
        let device = self.device_of(context)?;
        let mut ends: Vec<WorkId> = self
            .streams
            .iter()
            .filter(|(key, _)| key.context() == context)
            .filter_map(|(_, s)| s.last)
            .collect();
        match self.settings.order {
            crate::vm::Order::Forward => {}
            crate::vm::Order::Reversed => ends.reverse(),
            crate::vm::Order::Random(seed) => ends.sort_by_key(|id| crate::scrambled(seed ^ id)),
        }
        for end in ends {
            self.complete([end])?;
        }
        // Streams that are gone may have left work.
        let rest: Vec<WorkId> =
            self.pending.iter().filter(|(_, queued)| queued.device == device).map(|(&id, _)| id).collect();
        self.complete(rest)
    }

    /// Whether all work of a stream is done. What is not is done now, so that whoever asks again finds it done.
    pub fn query_stream(&mut self, key: StreamKey) -> Result<()> {
        let open = self.stream_state(key)?.last.is_some_and(|id| self.pending.contains_key(&id));
        self.synchronise_quietly(key)?;
        if open { Err(Error::NotReady) } else { Ok(()) }
    }

    /// Makes an event.
    pub fn create_event(&mut self, context: Handle, flags: u32) -> Result<Handle> {
        if flags & !7 != 0 {
            return Err(Error::Argument(format!("{flags:#x} are no flags of an event")));
        }
        let handle = self.handle();
        let timing = flags & DISABLE_TIMING == 0;
        self.events.insert(handle, Event { context, timing, recorded: None, time: None });
        Ok(handle)
    }

    fn event(&self, handle: Handle) -> Result<&Event> {
        self.events.get(&handle).ok_or(Error::UnknownHandle { what: "event", handle })
    }

    /// Ends an event. Whoever waits for what it has recorded still does.
    pub fn destroy_event(&mut self, handle: Handle) -> Result<()> {
        self.events.remove(&handle).map(drop).ok_or(Error::UnknownHandle { what: "event", handle })
    }

    /// Records an event in a stream.
    pub fn record(&mut self, event: Handle, stream: StreamKey) -> Result<()> {
        if self.event(event)?.context != stream.context() {
            return Err(Error::UnknownHandle { what: "event of the stream's context", handle: event });
        }
        // The event is pointed at the work first, which may be executed before `issue` returns.
        let id = self.issued;
        if let Some(event) = self.events.get_mut(&event) {
            event.recorded = Some(id);
            event.time = None;
        }
        self.issue(stream, Work::Mark { event }).map(drop)
    }

    /// The mark of an event was reached.
    pub(super) fn mark(&mut self, event: Handle) {
        if let Some(event) = self.events.get_mut(&event) {
            event.time = Some(Instant::now());
        }
    }

    /// Has the next work of a stream wait for what an event has recorded. One that has recorded nothing is passed over.
    pub fn wait(&mut self, stream: StreamKey, event: Handle) -> Result<()> {
        let recorded = self.event(event)?.recorded;
        let recorded = recorded.filter(|id| self.pending.contains_key(id));
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.waits.extend(recorded);
        }
        Ok(())
    }

    /// Waits for what an event has recorded.
    pub fn synchronise_event(&mut self, event: Handle) -> Result<()> {
        self.counters.synchronisations += 1;
        let recorded = self.event(event)?.recorded;
        self.complete(recorded)
    }

    /// Whether what an event has recorded is done, as [`Driver::query_stream`] tells it of a stream.
    pub fn query_event(&mut self, event: Handle) -> Result<()> {
        let recorded = self.event(event)?.recorded;
        let open = recorded.is_some_and(|id| self.pending.contains_key(&id));
        self.complete(recorded)?;
        if open { Err(Error::NotReady) } else { Ok(()) }
    }

    /// Milliseconds between two events, by the clock of the host.
    pub fn elapsed(&self, start: Handle, end: Handle) -> Result<f32> {
        let time = |handle| {
            let event = self.event(handle)?;
            if !event.timing || event.recorded.is_none() {
                return Err(Error::UnknownHandle { what: "recorded event that keeps the time", handle });
            }
            event.time.ok_or(Error::NotReady)
        };
        let (start, end) = (time(start)?, time(end)?);
        let later = end.saturating_duration_since(start).as_secs_f32();
        Ok((later - start.saturating_duration_since(end).as_secs_f32()) * 1e3)
    }
}
