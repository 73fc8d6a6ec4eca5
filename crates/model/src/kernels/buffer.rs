use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Memory that was given back, the largest last. A training step asks for the same few sizes again
/// and again; from the system each would come as pages of zeros, which cost more than the
/// arithmetic that they are for.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// How many are kept at most: more than one step holds at once.
const KEPT: usize = 256;

/// The smallest size that is worth keeping.
const LEAST: usize = 4096;

fn free() -> MutexGuard<'static, Vec<Vec<f32>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers in memory that is used again after it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<f32>);

/// A buffer of so many numbers, whatever they are: it is for a result that is written whole.
pub(crate) fn buffer(len: usize) -> Buffer {
    if len < LEAST {
        return Buffer(vec![0.0; len]);
    }
    let found = {
        let mut free = free();
        let place = free.partition_point(|values| values.capacity() < len);
        // One that is far too large would be missing where it is needed.
        let fits = free.get(place).is_some_and(|values| values.capacity() / 2 <= len);
        fits.then(|| free.remove(place))
    };
    let mut values = found.unwrap_or_else(|| Vec::with_capacity(len + len / 8));
    values.resize(len, 0.0);
    Buffer(values)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() < LEAST {
            return;
        }
        let values = std::mem::take(&mut self.0);
        let mut free = free();
        let place = free.partition_point(|other| other.capacity() < values.capacity());
        free.insert(place, values);
        if free.len() > KEPT {
            free.remove(0);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
