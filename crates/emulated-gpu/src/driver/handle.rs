//! Numbers by which things are known.

/// What a context, stream, event, module or function is known by outside. It is never dereferenced.
pub type Handle = u64;

/// The number of a piece of work, in the order in which the program issued it.
pub type WorkId = u64;
