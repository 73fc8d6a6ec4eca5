use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::Encoded;

/// Texts packed one after another, without padding: the ids of text `i` are
/// `ids[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// All ids, `[total]`.
    pub ids: Vec<u32>,
    /// Cumulative lengths, `[texts + 1]`, from 0 to `total`.
    pub offsets: Vec<u32>,
    /// Which texts these are, `[texts]`.
    pub rows: Vec<u32>,
    /// Real tokens in it, for throughput.
    pub tokens: u64,
}

impl Batch {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Packs the texts with these places.
pub fn pack(encoded: &Encoded, rows: &[u32]) -> Batch {
    let mut batch = Batch { ids: Vec::new(), offsets: vec![0], rows: rows.to_vec(), tokens: 0 };
    for &row in rows {
        batch.ids.extend_from_slice(encoded.ids(row as usize));
        batch.offsets.push(batch.ids.len() as u32);
        batch.tokens += u64::from(encoded.tokens(row as usize));
    }
    batch
}

/// The order of the texts in one epoch: another one each epoch, decided by the seed alone.
pub fn epoch_order(texts: usize, seed: u32, epoch: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..texts as u32).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(u64::from(seed) << 32 | u64::from(epoch)));
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Tokenizer, encode};

    #[test]
    fn a_batch_holds_its_texts_one_after_another_without_padding() {
        let encoded = encode(&Tokenizer::Ngrams, &["one two", "", "three"], 9, |_| true).unwrap().unwrap();
        let batch = pack(&encoded, &[2, 0, 1]);
        assert_eq!(batch.len(), 3);
        for (place, &row) in batch.rows.iter().enumerate() {
            let range = batch.offsets[place] as usize..batch.offsets[place + 1] as usize;
            assert_eq!(&batch.ids[range], encoded.ids(row as usize));
        }
        assert_eq!(batch.tokens, 3);
    }

    #[test]
    fn an_epoch_has_every_text_once_in_an_order_of_its_own() {
        let (first, second) = (epoch_order(50, 3, 0), epoch_order(50, 3, 1));
        assert_ne!(first, second);
        assert_eq!(first, epoch_order(50, 3, 0));
        let mut sorted = second;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
