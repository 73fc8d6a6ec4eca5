use data::{Encoded, epoch_order};
use record::{MAX_STEPS, Problem, TrainConfig, bad_setting};

/// The texts of one optimizer step, cut into the micro-batches of one pass each.
pub(crate) type Group = Vec<Vec<u32>>;

/// The groups of one epoch, in an order that the seed decides; the last one may be smaller.
///
/// With a budget, each group's texts are packed, in their order, into as few passes of at most so many ids as there can be:
/// which texts a group has is the same for every budget.
pub(crate) fn groups(
    encoded: &Encoded,
    config: &TrainConfig,
    tokens_per_pass: Option<u32>,
    epoch: u32,
) -> Vec<Group> {
    let order = epoch_order(encoded.len(), config.seed, epoch);
    let batches: Vec<Vec<u32>> = match config.max_tokens_per_batch {
        None => {
            let size = config.per_device_train_batch_size as usize;
            order.chunks(size).map(<[u32]>::to_vec).collect()
        }
        Some(budget) => within(encoded, order.into_iter(), budget as usize),
    };
    let accumulated = config.gradient_accumulation_steps as usize;
    let groups = batches.chunks(accumulated);
    match tokens_per_pass {
        None => groups.map(<[Vec<u32>]>::to_vec).collect(),
        Some(budget) => {
            groups.map(|group| within(encoded, group.iter().flatten().copied(), budget as usize)).collect()
        }
    }
}

/// How many ids these texts have together.
pub(crate) fn ids_of(encoded: &Encoded, rows: &[u32]) -> usize {
    rows.iter().map(|&row| encoded.length(row as usize)).sum()
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
    /// Tokens that are learned from until the end of each step that was walked through, from step 0. These are all
    /// steps but of a run that is longer than [`WALKED`].
    walked: Vec<u64>,
    /// The micro-batch with the most ids of those that were walked through.
    pub(crate) largest: Vec<u32>,
    /// The most micro-batches of a step.
    pub(crate) most_passes: usize,
}

/// So many texts, counted as often as they are learned from, a plan looks at one by one; what comes after them is like
/// them. Whole epochs are walked through, and one at the least.
const WALKED: usize = 10_000_000;

impl Plan {
    /// Tokens that are learned from until the end of a step.
    pub(crate) fn tokens_until(&self, step: u32) -> u64 {
        if let Some(tokens) = self.walked.get(step as usize) {
            return *tokens;
        }
        let steps = self.walked.len().saturating_sub(1).max(1) as f64;
        let tokens = self.walked.last().map_or(0.0, |&tokens| tokens as f64);
        (tokens * f64::from(step) / steps) as u64
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens_until(self.total_steps)
    }
}

/// Where the typical micro-batches stand among all, by their numbers of ids.
const TYPICAL: [f64; 6] = [0.5, 0.25, 0.75, 0.1, 0.9, 0.6];

/// Micro-batches of the first epoch that together are like all of them, the most usual first.
pub(crate) fn typical(
    encoded: &Encoded,
    config: &TrainConfig,
    tokens_per_pass: Option<u32>,
) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = groups(encoded, config, tokens_per_pass, 0).concat();
    all.sort_by_cached_key(|rows| ids_of(encoded, rows));
    let at = |quantile: f64| all.get((quantile * all.len() as f64) as usize).cloned();
    TYPICAL.into_iter().filter_map(at).collect()
}

/// What the settings ask for. Refused where it is more steps than a run can have.
pub(crate) fn plan(
    encoded: &Encoded,
    config: &TrainConfig,
    tokens_per_pass: Option<u32>,
) -> Result<Plan, Problem> {
    plan_by(encoded, config, tokens_per_pass, WALKED)
}

fn plan_by(
    encoded: &Encoded,
    config: &TrainConfig,
    tokens_per_pass: Option<u32>,
    most_walked: usize,
) -> Result<Plan, Problem> {
    let epochs = config.epochs(encoded.len());
    let mut plan = Plan { total_steps: 0, walked: vec![0], largest: Vec::new(), most_passes: 0 };
    let (mut most, mut tokens, mut epoch, mut steps) = (0, 0u64, 0u32, 0usize);
    loop {
        let groups = groups(encoded, config, tokens_per_pass, epoch);
        let left = epochs - f64::from(epoch);
        let wanted = match config.max_steps {
            Some(all) => (all as usize).saturating_sub(steps),
            // The part of an epoch that is asked for, and at least one step in all.
            None if epoch == 0 => ((left.min(1.0) * groups.len() as f64).ceil() as usize).max(1),
            None => (left.min(1.0) * groups.len() as f64).ceil().max(0.0) as usize,
        };
        for group in groups.iter().take(wanted) {
            plan.most_passes = plan.most_passes.max(group.len());
            for rows in group {
                tokens += rows.iter().map(|&row| u64::from(encoded.tokens(row as usize))).sum::<u64>();
                let ids = ids_of(encoded, rows);
                if ids > most {
                    (most, plan.largest) = (ids, rows.clone());
                }
            }
            plan.walked.push(tokens);
        }
        steps += wanted.min(groups.len());
        epoch += 1;
        let is_done = match config.max_steps {
            Some(all) => steps >= all as usize,
            None => f64::from(epoch) >= epochs,
        };
        let walked = encoded.len().saturating_mul(epoch as usize);
        if is_done || groups.is_empty() {
            break;
        }
        if walked >= most_walked {
            // So far these were whole epochs, and so are all but the last of those to come.
            let an_epoch = steps as f64 / f64::from(epoch);
            steps = match config.max_steps {
                Some(all) => all as usize,
                None => (an_epoch * epochs).ceil() as usize,
            };
            break;
        }
    }
    plan.total_steps = u32::try_from(steps).ok().filter(|&steps| steps <= MAX_STEPS).ok_or_else(|| {
        let allowed = format!("so few that there are at most {MAX_STEPS} steps, and these are {steps}");
        bad_setting("num_train_epochs", epochs, &allowed)
    })?;
    Ok(plan)
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
            batch in 1u32..9, accumulated in 1u32..5, halvings in 0u32..4, at_once in 1u32..90,
        ) {
            let encoded = encoded(&lengths);
            let config = TrainConfig {
                max_tokens_per_batch: budget, per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulated, ..Default::default()
            };
            let packed = groups(&encoded, &config, Some(at_once), 3);
            let groups = groups(&encoded, &config, None, 3);
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
            for group in groups.iter().chain(&packed) {
                let cut = halved(group, halvings);
                prop_assert_eq!(cut.concat(), group.concat());
                prop_assert!(cut.iter().all(|rows| !rows.is_empty()));
            }
        }

        #[test]
        fn a_step_has_the_same_texts_in_the_same_order_for_every_budget_in_as_few_passes_as_it_allows(
            lengths in proptest::collection::vec(1usize..20, 1..60), filled in proptest::option::of(4u32..60),
            batch in 1u32..9, accumulated in 1u32..5, at_once in 1u32..90,
        ) {
            let encoded = encoded(&lengths);
            let config = TrainConfig {
                max_tokens_per_batch: filled, per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulated, ..Default::default()
            };
            let ids = |rows: &[u32]| rows.iter().map(|&row| encoded.length(row as usize)).sum::<usize>();
            let budget = at_once as usize;
            let [as_set, packed] = [None, Some(at_once)].map(|at_once| groups(&encoded, &config, at_once, 2));
            prop_assert_eq!(as_set.len(), packed.len());
            for (as_set, packed) in as_set.iter().zip(&packed) {
                prop_assert_eq!(as_set.concat(), packed.concat());
                for rows in packed {
                    prop_assert!(!rows.is_empty() && (ids(rows) <= budget || rows.len() == 1));
                }
                // No pass has room for the first text of the next one, so that no other cut has fewer.
                for pair in packed.windows(2) {
                    prop_assert!(ids(&pair[0]) + ids(&pair[1][..1]) > budget);
                }
            }
            let [as_set, packed] = [None, Some(at_once)].map(|at_once| plan(&encoded, &config, at_once).unwrap());
            prop_assert_eq!((as_set.total_steps, &as_set.walked), (packed.total_steps, &packed.walked));
            prop_assert!(ids(&packed.largest) <= budget.max(lengths.iter().map(|n| 2 * n).max().unwrap_or(0)));
            // With room for everything a step is one pass.
            prop_assert_eq!(plan(&encoded, &config, Some(u32::MAX)).unwrap().most_passes, 1);
        }
    }

    #[test]
    fn a_plan_counts_steps_and_tokens_of_all_epochs_and_part_of_the_last_one() {
        let encoded = encoded(&[1; 10]);
        let config =
            TrainConfig { num_train_epochs: Some(2.5), per_device_train_batch_size: 4, ..Default::default() };
        let found = plan(&encoded, &config, None).unwrap();
        assert_eq!((found.total_steps, found.tokens()), (8, 28));
        assert_eq!((found.largest.len(), found.most_passes), (4, 1));
        let config = TrainConfig { max_steps: Some(5), ..config };
        assert_eq!(plan(&encoded, &config, None).unwrap().walked, [0, 4, 8, 10, 14, 18]);
    }

    #[test]
    fn a_long_run_is_planned_by_its_first_epochs_with_the_same_number_of_steps() {
        let encoded = encoded(&[1; 10]);
        for (epochs, max_steps) in [(40.0, None), (39.5, None), (1.0, Some(120)), (1.0, Some(119))] {
            let config = TrainConfig {
                num_train_epochs: Some(epochs),
                max_steps,
                per_device_train_batch_size: 4,
                ..Default::default()
            };
            let [whole, short] = [WALKED, 50].map(|most| plan_by(&encoded, &config, None, most).unwrap());
            assert_eq!((short.total_steps, short.walked.len()), (whole.total_steps, 16));
            assert_eq!(short.tokens_until(15), whole.tokens_until(15));
            assert!(short.tokens().abs_diff(whole.tokens()) <= 4, "{} {}", short.tokens(), whole.tokens());
        }
    }

    #[test]
    fn more_steps_than_a_run_can_have_are_refused_and_the_most_are_planned_at_once() {
        let encoded = encoded(&[1; 20_000]);
        let config = TrainConfig {
            num_train_epochs: Some(1000.0),
            per_device_train_batch_size: 1,
            ..Default::default()
        };
        let problem = plan(&encoded, &config, None).unwrap_err();
        assert_eq!(problem.params["name"], "num_train_epochs");
        assert!(problem.message.contains("these are 20000000"), "{}", problem.message);
        // Each step would have all the texts.
        let config = TrainConfig {
            max_steps: Some(MAX_STEPS),
            per_device_train_batch_size: 65_536,
            gradient_accumulation_steps: 65_536,
            ..config
        };
        let found = plan(&encoded, &config, None).unwrap();
        assert_eq!((found.total_steps, found.tokens()), (MAX_STEPS, u64::from(MAX_STEPS) * 20_000));
    }
}
