//! How many tokens go through the network at once, and which layers are computed again, by the memory that there is.
#![allow(clippy::unwrap_used)]

use data::encode;

use super::*;

/// A run on texts of so many letters, which have two ids more.
struct Run {
    folder: tempfile::TempDir,
    config: TrainConfig,
    encoded: Encoded,
}

impl Run {
    fn of(letters: &[usize], config: TrainConfig) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let network = memory_plan::shapes(&crate::tiny_models::tiny_bert(folder.path()), &config).unwrap();
        let texts: Vec<String> =
            letters.iter().map(|&letters| "abcdefghij".repeat(5)[..letters].into()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (tokenizer, most) = network.tokenizer(48).unwrap();
        let encoded = encode(&tokenizer, &texts, most, |_| true).unwrap().unwrap();
        Run { folder, config, encoded }
    }

    fn steps(&self) -> Steps<'_> {
        let network = memory_plan::shapes(&self.folder.path().join("tiny-bert"), &self.config).unwrap();
        let all = 4 * network.weights.trainable_count() as u64;
        let by_pieces = crate::learner::takes_pieces(&self.config);
        let bytes = if by_pieces { 4 * network.weights.largest_piece() as u64 } else { all };
        Steps::new(&self.config, &self.encoded, network, HeldGradients { bytes, by_pieces })
    }
}

fn config(batch: u32, accumulated: u32) -> TrainConfig {
    TrainConfig {
        per_device_train_batch_size: batch,
        gradient_accumulation_steps: accumulated,
        ..Default::default()
    }
}

/// 400 texts of 6 to 46 ids, 26 in the mean.
fn mixed() -> Vec<usize> {
    (0..400).map(|n| 4 + n * 7 % 41).collect()
}

fn way(checkpointing: Checkpointing, tokens: u32) -> Passes {
    Passes { checkpointing, tokens_per_pass: TokensPerPass::Tokens(tokens) }
}

#[test]
fn what_is_needed_with_what_stays_free_is_the_least_memory_that_leaves_it() {
    for needed in [0.1, 7.5, 1000.0, 3839.9, 3840.1, 80_000.0] {
        let least = with_spare_mib(needed);
        assert!((least - spare_mib(least) - needed).abs() < 1e-9 * needed, "{needed}: {least}");
    }
}

#[test]
fn the_tokens_to_choose_from_begin_at_a_step_or_the_most_and_end_at_the_longest_text() {
    assert_eq!(
        budgets(300, 100_000),
        [16_384, 12_288, 8192, 6144, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 300]
    );
    assert_eq!(budgets(40, 100), [100, 96, 64, 48, 40]);
    assert_eq!(budgets(40, 40), [40]);
    // A text is never cut, so that it is the least even where it is longer than brings anything.
    assert_eq!(budgets(20_000, 100_000), [20_000]);
    for (longest, step) in [(1, 1), (1, 16), (17, 5000), (4096, 16_384), (16_384, 16_385)] {
        let all = budgets(longest, step);
        assert!(all.is_sorted_by(|more, less| more > less), "{all:?}");
        assert_eq!((all.last(), all[0] <= MOST.max(longest)), (Some(&longest), true));
    }
}

#[test]
fn a_step_is_cut_before_layers_are_computed_again_down_to_enough_tokens_and_then_after() {
    use Checkpointing::{All, Alternate, None};
    let tokens = [4096, 2048, 1024].map(TokensPerPass::Tokens);
    let expected = [
        way(None, 4096),
        way(None, 2048),
        way(Alternate, 4096),
        way(Alternate, 2048),
        way(All, 4096),
        way(All, 2048),
        way(None, 1024),
        way(Alternate, 1024),
        way(All, 1024),
    ];
    assert_eq!(in_order(&Checkpointing::WAYS, &tokens, 2048), expected);
}

#[test]
fn what_is_chosen_fits_and_is_never_a_later_way_with_more_memory() {
    for (name, config) in [
        ("clipped", config(64, 4)),
        ("one batch", config(256, 1)),
        ("by pieces", TrainConfig { max_grad_norm: 0.0, ..config(256, 1) }),
        ("by tokens", TrainConfig { max_tokens_per_batch: Some(3000), ..config(1, 2) }),
        ("every layer", TrainConfig { gradient_checkpointing: GradientCheckpointing::All, ..config(64, 4) }),
    ] {
        let run = Run::of(&mixed(), config);
        let mut steps = run.steps();
        let layers = match run.config.gradient_checkpointing {
            GradientCheckpointing::All => &[Checkpointing::All][..],
            _ => &Checkpointing::WAYS,
        };
        let ways = steps.ways(layers).unwrap();
        let needs: Vec<f64> = ways.iter().map(|&way| steps.needed_mib(way).unwrap()).collect();
        let (least, most) =
            needs.iter().fold((f64::MAX, 0f64), |(least, most), &need| (least.min(need), most.max(need)));
        assert!(least < most / 3.0, "{name}: {least} to {most}");
        let mut before: Option<(usize, Passes)> = None;
        for part in 0..=12 {
            let room = least * 0.9 + (most - least * 0.9) * f64::from(part) / 12.0;
            let found = steps.choose(layers, room).unwrap();
            let place = ways.iter().position(|&way| way == found).unwrap();
            assert!(
                needs[place] <= room || room < least && place == ways.len() - 1,
                "{name}, {room}: {found:?}"
            );
            if let Some((earlier, less)) = before {
                assert!(place <= earlier, "{name}: {found:?} with more memory, {less:?} with less");
                let more_tokens = found.tokens_per_pass.tokens() >= less.tokens_per_pass.tokens();
                assert!(
                    more_tokens || found.checkpointing != less.checkpointing,
                    "{name}: {found:?} {less:?}"
                );
            }
            before = Some((place, found));
        }
        assert_eq!(before.unwrap().0, 0, "{name}: with memory for all, the first");
    }
}

#[test]
fn a_step_with_enough_tokens_is_cut_rather_than_computed_again_and_a_small_one_is_not() {
    let run = Run::of(&mixed(), config(64, 4));
    let mut steps = run.steps();
    let whole = steps.largest(Some(u32::MAX)).unwrap().ids;
    assert!((3 * ENOUGH..MOST).contains(&whole), "{whole}");
    let room = steps.needed_mib(way(Checkpointing::None, 2048)).unwrap();
    // All layers of the whole step would need less than it has in one pass.
    assert_eq!(steps.choose(&Checkpointing::WAYS, room).unwrap(), way(Checkpointing::None, 2048));
    // A little less, and layers are computed again rather than that a pass would not fill the GPU.
    let found = steps.choose(&Checkpointing::WAYS, room * 0.99).unwrap();
    assert!(found.checkpointing != Checkpointing::None, "{found:?}");
    assert!(found.tokens_per_pass.tokens().unwrap() >= ENOUGH, "{found:?}");

    // A step with fewer tokens than are enough stays whole, and has its layers computed again.
    let run = Run::of(&mixed(), config(8, 2));
    let mut steps = run.steps();
    let whole = steps.largest(Some(u32::MAX)).unwrap().ids;
    assert!(whole < ENOUGH);
    let kept = steps.needed_mib(way(Checkpointing::None, whole)).unwrap();
    assert_eq!(steps.choose(&Checkpointing::WAYS, kept).unwrap(), way(Checkpointing::None, whole));
    let again = steps.needed_mib(way(Checkpointing::All, whole)).unwrap();
    assert!(again < kept);
    let found = steps.choose(&Checkpointing::WAYS, again).unwrap();
    assert_eq!(found.tokens_per_pass, TokensPerPass::Tokens(whole), "{found:?}");
}

#[test]
fn a_long_text_among_short_ones_is_the_least_that_a_pass_has_room_for() {
    let mut letters = vec![4; 100];
    letters[50] = 46;
    let run = Run::of(&letters, config(4, 4));
    let mut steps = run.steps();
    let alone = steps.needed_mib(way(Checkpointing::All, 48)).unwrap();
    assert_eq!(steps.largest(Some(48)).unwrap().ids, 48);
    let found = steps.choose(&Checkpointing::WAYS, alone).unwrap();
    assert_eq!(found.tokens_per_pass, TokensPerPass::Tokens(48));
    assert!(steps.needed_mib(found).unwrap() <= alone, "{found:?}");
    // With less than the longest text needs there is nothing better: the run will say that memory ran out.
    assert_eq!(steps.choose(&Checkpointing::WAYS, 0.0).unwrap(), way(Checkpointing::All, 48));
}

#[test]
fn a_number_that_is_set_is_kept_and_only_the_layers_are_chosen() {
    let set = TrainConfig { tokens_per_pass: TokensPerPass::Tokens(512), ..config(64, 4) };
    let run = Run::of(&mixed(), set);
    let mut steps = run.steps();
    let ways = steps.ways(&Checkpointing::WAYS).unwrap();
    assert_eq!(ways, Checkpointing::WAYS.map(|layers| way(layers, 512)));
    let room = steps.needed_mib(ways[1]).unwrap();
    assert_eq!(steps.choose(&Checkpointing::WAYS, room).unwrap(), ways[1]);
}

#[test]
fn gradients_that_add_up_count_where_a_step_by_pieces_is_cut() {
    let run = Run::of(&mixed(), TrainConfig { max_grad_norm: 0.0, ..config(256, 1) });
    let clipped = Run::of(&mixed(), config(256, 1));
    let (mut by_pieces, mut whole) = (run.steps(), clipped.steps());
    let cut = way(Checkpointing::None, 2048);
    let come = memory::mib(whole.gradients.bytes - by_pieces.gradients.bytes);
    let (by_pieces, whole) = (by_pieces.needed_mib(cut).unwrap(), whole.needed_mib(cut).unwrap());
    assert!((by_pieces - whole - come).abs() < 0.05 * whole, "{by_pieces}, {whole} and {come} of gradients");
}
