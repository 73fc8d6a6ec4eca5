use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A training step asks for the same buffers again and again; from the system each would come as
/// pages of zeros, which cost more than the arithmetic that they are for.
static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), kept: 0, lent: 0, asked: 0, most: 0 });

/// Memory that was given back, the largest last. No more is kept than was asked for at once at some
/// time, however much the sizes differ.
struct Pool {
    free: Vec<Vec<f32>>,
    /// Numbers that there is room for in what is free, and in what is lent.
    kept: usize,
    lent: usize,
    /// Numbers that were asked for and not given back, and the most of them at once.
    asked: usize,
    most: usize,
}

/// The smallest size that is worth keeping.
const LEAST: usize = 4096;

impl Pool {
    /// The smallest that is large enough.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let place = self.free.partition_point(|values| values.capacity() < len);
        let found = (place < self.free.len()).then(|| self.free.remove(place));
        self.kept -= found.as_ref().map_or(0, Vec::capacity);
        found
    }

    fn lend(&mut self, values: &Vec<f32>, len: usize) {
        self.lent += values.capacity();
        self.asked += len;
        self.most = self.most.max(self.asked);
        self.shrink();
    }

    fn give_back(&mut self, values: Vec<f32>, len: usize) {
        self.lent -= values.capacity().min(self.lent);
        self.asked -= len.min(self.asked);
        self.kept += values.capacity();
        let place = self.free.partition_point(|other| other.capacity() < values.capacity());
        self.free.insert(place, values);
        self.shrink();
    }

    /// Frees the smallest, which are the least useful, until no more is held than was needed.
    fn shrink(&mut self) {
        while self.kept + self.lent > self.most && !self.free.is_empty() {
            self.kept -= self.free.remove(0).capacity();
        }
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A little more, so that a batch of nearly the same size finds what this one has given back.
fn rounded(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
}

/// Numbers in memory that is used again after it is dropped.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Never made shorter: what grew again would have to be filled again.
    values: Vec<f32>,
    len: usize,
}

/// A buffer of so many numbers, whatever they are: it is for a result that is written whole.
pub fn buffer(len: usize) -> Buffer {
    if len < LEAST {
        return Buffer { values: vec![0.0; len], len };
    }
    let found = pool().take(len);
    let mut values = found.unwrap_or_else(|| Vec::with_capacity(rounded(len)));
    if values.len() < len {
        values.resize(len, 0.0);
    }
    pool().lend(&values, len);
    Buffer { values, len }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.values.capacity() >= LEAST {
            pool().give_back(std::mem::take(&mut self.values), self.len);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_was_lent_at_once() {
        let mut pool = Pool { free: Vec::new(), kept: 0, lent: 0, asked: 0, most: 0 };
        let mut lend = |lengths: &[usize]| {
            let all: Vec<(Vec<f32>, usize)> = lengths
                .iter()
                .map(|&len| {
                    let mut values = pool.take(len).unwrap_or_else(|| Vec::with_capacity(len));
                    values.resize(len, 0.0);
                    pool.lend(&values, len);
                    (values, len)
                })
                .collect();
            all.into_iter().for_each(|(values, len)| pool.give_back(values, len));
            (pool.kept, pool.most, pool.lent, pool.asked)
        };
        assert_eq!(lend(&[1000]), (1000, 1000, 0, 0));
        assert_eq!(lend(&[10]), (1000, 1000, 0, 0), "a large one serves for less");
        assert_eq!(lend(&[3000]), (3000, 3000, 0, 0), "and is freed when a larger one is there");
        let (kept, most, ..) = lend(&[2000, 2000]);
        assert!(kept <= most && most == 4000, "{kept} {most}");
        for _ in 0..3 {
            let (kept, most, ..) = lend(&[10, 20, 30, 40, 500, 900, 2000]);
            assert!(kept <= most && most == 4000, "{kept} {most}");
        }
    }

    #[test]
    fn a_buffer_has_the_length_that_was_asked_for_whatever_was_given_back_before() {
        for len in [0, 1, LEAST - 1, LEAST, 3 * LEAST, 2 * LEAST, 3 * LEAST + 1, LEAST] {
            let (mut one, two) = (buffer(len), buffer(len));
            assert_eq!((one.len(), two.len()), (len, len));
            one.fill(7.0);
            assert!(one.iter().all(|&x| x == 7.0));
        }
    }
}
