//! Orders in which blocks and warps run.

use super::Order;

/// The numbers below a length, in an order.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    length: u64,
    /// The number at position p is first + step · p, modulo the length. Every step that has no divisor in common with
    /// the length meets each number once.
    first: u64,
    step: u64,
}

impl Sequence {
    pub fn new(order: Order, length: u64) -> Sequence {
        match order {
            _ if length < 2 => Sequence { length: 1, first: 0, step: 0 },
            Order::Forward => Sequence { length, first: 0, step: 1 },
            Order::Reversed => Sequence { length, first: length - 1, step: length - 1 },
            Order::Random(seed) => {
                let mut state = seed;
                let first = random(&mut state) % length;
                let mut step = 1 + random(&mut state) % (length - 1);
                while divisor(step, length) != 1 {
                    step = 1 + step % (length - 1);
                }
                Sequence { length, first, step }
            }
        }
    }

    /// The number at a position.
    pub fn at(&self, position: u64) -> u64 {
        let product = u128::from(self.step) * u128::from(position) + u128::from(self.first);
        (product % u128::from(self.length)) as u64
    }
}

/// The order of a block's warps: of random ones every block has its own.
pub fn of_block(order: Order, block: u64) -> Order {
    match order {
        Order::Random(seed) => {
            Order::Random(seed ^ block.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        }
        same => same,
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_meets_each_number_once() {
        for length in [1, 2, 3, 7, 12, 30, 64, 1000] {
            for order in [Order::Forward, Order::Reversed, Order::Random(1), Order::Random(77)] {
                let sequence = Sequence::new(order, length);
                let mut met: Vec<u64> = (0..length).map(|position| sequence.at(position)).collect();
                met.sort_unstable();
                assert_eq!(met, (0..length).collect::<Vec<_>>(), "{order:?} of {length}");
            }
        }
    }

    #[test]
    fn the_last_comes_first_when_reversed() {
        let sequence = Sequence::new(Order::Reversed, 4);
        assert_eq!([0, 1, 2, 3].map(|position| sequence.at(position)), [3, 2, 1, 0]);
    }

    #[test]
    fn blocks_shuffle_their_warps_differently() {
        let orders: Vec<Vec<u64>> = (0..8)
            .map(|block| Sequence::new(of_block(Order::Random(5), block), 8))
            .map(|sequence| (0..8).map(|position| sequence.at(position)).collect())
            .collect();
        assert!(orders.iter().any(|order| *order != orders[0]));
    }
}
