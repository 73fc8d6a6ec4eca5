use data::{Encoded, epoch_order};
use record::TrainConfig;

/// The texts of one optimizer step, cut into the micro-batches of one pass each.
pub(crate) type Group = Vec<Vec<u32>>;

/// The groups of one epoch, in an order that the seed decides; the last one may be smaller.
pub(crate) fn groups(encoded: &Encoded, config: &TrainConfig, epoch: u32) -> Vec<Group> {
    let order = epoch_order(encoded.len(), config.seed, epoch);
    let passes: Vec<Vec<u32>> = match config.max_tokens_per_batch {
        None => {
            let size = config.per_device_train_batch_size as usize;
            order.chunks(size).map(<[u32]>::to_vec).collect()
        }
        Some(budget) => within(encoded, order.into_iter(), budget as usize),
    };
    let accumulated = config.gradient_accumulation_steps as usize;
    passes.chunks(accumulated).map(<[Vec<u32>]>::to_vec).collect()
}

/// Texts in this order, cut so that no piece has more than `budget` ids unless a single text has.
pub(crate) fn within(encoded: &Encoded, rows: impl Iterator<Item = u32>, budget: usize) -> Vec<Vec<u32>> {
    let mut pieces: Vec<Vec<u32>> = Vec::new();
    let mut room = 0;
    for row in rows {
        let ids = encoded.length(row as usize);
        match pieces.last_mut() {
            Some(last) if ids <= room => last.push(row),
            _ => {
                pieces.push(vec![row]);
                room = budget;
            }
        }
        room = room.saturating_sub(ids);
    }
    pieces
}

/// The micro-batches of a group after they were halved so many times: the same texts in the same
/// order, in smaller pieces.
pub(crate) fn halved(group: &Group, halvings: u32) -> Group {
    let pieces = 1usize << halvings.min(31);
    group
        .iter()
        .flat_map(|rows| rows.chunks(rows.len().div_ceil(pieces).max(1)).map(<[u32]>::to_vec))
        .collect()
}

/// What a run is going to do, known before its first step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) total_steps: u32,
    /// Tokens that are learned from until the end of each step, from step 0: `[total_steps + 1]`.
    pub(crate) tokens_until: Vec<u64>,
    /// The micro-batch with the most ids.
    pub(crate) largest: Vec<u32>,
}

/// Where the typical micro-batches stand among all, by their numbers of ids.
const TYPICAL: [f64; 6] = [0.5, 0.25, 0.75, 0.1, 0.9, 0.6];

/// Micro-batches of the first epoch that together are like all of them, the most usual first.
pub(crate) fn typical(encoded: &Encoded, config: &TrainConfig) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = groups(encoded, config, 0).concat();
    all.sort_by_cached_key(|rows| rows.iter().map(|&row| encoded.length(row as usize)).sum::<usize>());
    let at = |quantile: f64| all.get((quantile * all.len() as f64) as usize).cloned();
    TYPICAL.into_iter().filter_map(at).collect()
}

/// Walks through all epochs that the settings ask for.
pub(crate) fn plan(encoded: &Encoded, config: &TrainConfig) -> Plan {
    let mut plan = Plan { total_steps: 0, tokens_until: vec![0], largest: Vec::new() };
    let (mut most, mut tokens, mut epoch) = (0, 0u64, 0u32);
    loop {
        let groups = groups(encoded, config, epoch);
        let left = config.num_train_epochs - f64::from(epoch);
        let wanted = match config.max_steps {
            Some(steps) => (steps - plan.total_steps) as usize,
            // The part of an epoch that is asked for, and at least one step in all.
            None if epoch == 0 => ((left.min(1.0) * groups.len() as f64).ceil() as usize).max(1),
            None => (left.min(1.0) * groups.len() as f64).ceil().max(0.0) as usize,
        };
        for group in groups.iter().take(wanted) {
            for rows in group {
                tokens += rows.iter().map(|&row| u64::from(encoded.tokens(row as usize))).sum::<u64>();
                let ids: usize = rows.iter().map(|&row| encoded.length(row as usize)).sum();
                if ids > most {
                    (most, plan.largest) = (ids, rows.clone());
                }
            }
            plan.tokens_until.push(tokens);
        }
        plan.total_steps += wanted.min(groups.len()) as u32;
        epoch += 1;
        let done = match config.max_steps {
            Some(steps) => plan.total_steps >= steps,
            None => f64::from(epoch) >= config.num_train_epochs,
        };
        if done || groups.is_empty() {
            return plan;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use data::{Tokenizer, encode};
    use proptest::prelude::*;

    fn encoded(lengths: &[usize]) -> Encoded {
        // Single letters have no n-grams of characters: one id a word, and one a pair.
        let texts: Vec<String> = lengths
            .iter()
            .map(|&n| {
                (0..n).map(|i| char::from(b'a' + (i % 26) as u8).to_string()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        encode(&Tokenizer::Ngrams, &texts, 99, |_| true).unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn an_epoch_has_every_text_once_whatever_the_batches_and_no_batch_passes_its_budget(
            lengths in proptest::collection::vec(1usize..20, 1..60), budget in proptest::option::of(4u32..60),
            batch in 1u32..9, accumulated in 1u32..5, halvings in 0u32..4,
        ) {
            let encoded = encoded(&lengths);
            let config = TrainConfig {
                max_tokens_per_batch: budget, per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulated, ..Default::default()
            };
            let groups = groups(&encoded, &config, 3);
            let mut all: Vec<u32> = groups.iter().flatten().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len() as u32).collect::<Vec<_>>());
            for rows in groups.iter().flatten() {
                let ids: usize = rows.iter().map(|&row| encoded.length(row as usize)).sum();
                match budget {
                    Some(budget) => prop_assert!(ids <= budget as usize || rows.len() == 1),
                    None => prop_assert!(rows.len() <= batch as usize),
                }
            }
            for group in &groups {
                let cut = halved(group, halvings);
                prop_assert_eq!(cut.concat(), group.concat());
                prop_assert!(cut.iter().all(|rows| !rows.is_empty()));
            }
        }
    }

    #[test]
    fn a_plan_counts_steps_and_tokens_of_all_epochs_and_part_of_the_last_one() {
        let encoded = encoded(&[1; 10]);
        let config =
            TrainConfig { num_train_epochs: 2.5, per_device_train_batch_size: 4, ..Default::default() };
        let found = plan(&encoded, &config);
        assert_eq!((found.total_steps, found.tokens_until.last()), (8, Some(&28)));
        assert_eq!(found.largest.len(), 4);
        let config = TrainConfig { max_steps: Some(5), ..config };
        assert_eq!(plan(&encoded, &config).tokens_until, [0, 4, 8, 10, 14, 18]);
    }
}
