//! How much memory is taken, and the most that was.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The driver gives memory out in multiples of so many bytes.
const GRANULE: u64 = 256;

/// What is taken now, the most that was taken at a time, and how often something was.
#[derive(Debug, Default)]
pub(super) struct Account {
    held: AtomicU64,
    peak: AtomicU64,
    taken: AtomicU64,
}

impl Account {
    pub(super) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// How often memory was taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    pub(super) fn forget_peak(&self) {
        self.peak.store(self.held(), Relaxed);
    }
}

/// Memory that is taken until this is dropped.
#[derive(Debug)]
pub struct Room {
    account: Arc<Account>,
    bytes: u64,
}

impl Room {
    /// Room for so many numbers of `T`; an allocation of none is one of a single number.
    pub(super) fn of<T>(account: &Arc<Account>, len: usize) -> Room {
        let bytes = (len.max(1) as u64).saturating_mul(size_of::<T>() as u64);
        let bytes = bytes.div_ceil(GRANULE).saturating_mul(GRANULE);
        let held = account.held.fetch_add(bytes, Relaxed).saturating_add(bytes);
        account.peak.fetch_max(held, Relaxed);
        account.taken.fetch_add(1, Relaxed);
        Room { account: account.clone(), bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_counts_by_whole_granules_until_it_is_dropped_and_the_most_is_remembered() {
        let account = Arc::new(Account::default());
        let one = Room::of::<f32>(&account, 64);
        let other = Room::of::<f32>(&account, 65);
        assert_eq!((account.held(), account.peak(), account.taken()), (768, 768, 2));
        drop(other);
        let none = Room::of::<u8>(&account, 0);
        assert_eq!((account.held(), account.peak(), account.taken()), (512, 768, 3));
        account.forget_peak();
        drop((one, none));
        assert_eq!((account.held(), account.peak()), (0, 512));
    }
}
