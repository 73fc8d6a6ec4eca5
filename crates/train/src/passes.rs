//! How a step goes through the network: how many tokens at once, and which layers compute their activations again. As the
//! settings say, or as the memory of a GPU asks for.

use std::collections::HashMap;

use compute::Backend;
use data::{Encoded, pack};
use model::{Checkpointing, Network};
use record::{GradientCheckpointing, TokensPerPass, TrainConfig};

use crate::{
    Error, Inputs,
    batching::{ids_of, plan},
    error::Result,
    learner::Learner,
    memory, memory_plan,
};

/// What the plan does not know of: what cuBLAS takes for itself, kernels that are loaded late, and gaps between allocations.
const SPARE_MIB: f64 = 256.0;
/// The same of a small device's memory, as a part of it.
const SPARE_PART: f64 = 1.0 / 16.0;

/// So many tokens fill a GPU: products of fewer rows leave multiprocessors idle, or read each weight too seldom for what is
/// computed with it. Cutting a step into more passes computes nothing twice, whereas layers that compute again cost a third of
/// the work of a step; so a step is cut first, down to this, and only then are layers computed again.
const ENOUGH: u32 = 2048;
/// More tokens at once bring nothing but a larger need of memory.
const MOST: u32 = 16_384;

/// The way of a run's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passes {
    pub(crate) checkpointing: Checkpointing,
    pub(crate) tokens_per_pass: TokensPerPass,
}

/// How a run's steps go through its network. What the settings leave open is chosen on a GPU by what is free there and what the
/// largest pass needs by the plan: of the ways [in order](in_order) the first by which a step fits, the last where none does.
/// A run that is resumed keeps the tokens of its passes, `begun`, where a step still fits by them; those that it has from a
/// processor, which chooses none, it does not keep on a GPU.
///
/// Errors: the model folder can no longer be read, or the settings ask for more steps than a run can have.
pub(crate) fn chosen<B: Backend>(
    inputs: &Inputs,
    learner: &Learner<B>,
    begun: Option<TokensPerPass>,
) -> Result<Passes> {
    let config = inputs.config;
    let backend = learner.gradients.backend();
    let on_cpu = backend.device().is_cpu();
    // Smaller passes are faster on a processor, as more of them stays in its caches, and its memory is large.
    let keeps_all = on_cpu && config.gradient_checkpointing == GradientCheckpointing::Auto;
    let layers = if keeps_all { &[Checkpointing::None] } else { ways(config.gradient_checkpointing) };
    let checkpointing = layers.first().copied().unwrap_or_default();
    let as_set = Passes { checkpointing, tokens_per_pass: config.tokens_per_pass };
    let is_open = config.tokens_per_pass == TokensPerPass::Auto;
    if on_cpu || (layers.len() == 1 && !is_open) {
        return Ok(as_set);
    }
    let Some((limit, held)) = memory::limit_mib(backend).zip(memory::held_mib(backend)) else {
        return Ok(as_set);
    };
    let room = limit - held - spare_mib(limit);
    let network = memory_plan::shapes(inputs.model_folder, config)?;
    let gradients = HeldGradients {
        bytes: learner.gradients.bytes() as u64,
        by_pieces: learner.gradients.is_by_pieces(),
    };
    let mut steps = Steps::new(config, &learner.set.encoded, network, gradients);
    let begun = begun.filter(|&begun| is_open && begun != TokensPerPass::Auto);
    if let Some(begun) = begun
        && let Some(found) = steps.first_that_fits(&in_order(layers, &[begun], 0), room)?
    {
        return Ok(found);
    }
    steps.choose(layers, room)
}

/// The ways that a setting allows on a GPU, the one that keeps the most first.
pub(crate) fn ways(setting: GradientCheckpointing) -> &'static [Checkpointing] {
    match setting {
        GradientCheckpointing::None => &[Checkpointing::None],
        GradientCheckpointing::Alternate => &[Checkpointing::Alternate],
        GradientCheckpointing::All => &[Checkpointing::All],
        GradientCheckpointing::Auto => &Checkpointing::WAYS,
    }
}

/// What is to stay free of so much memory.
pub(crate) fn spare_mib(limit: f64) -> f64 {
    (limit * SPARE_PART).min(SPARE_MIB)
}

/// The least memory of which so much is left beside what is to stay free.
pub(crate) fn with_spare_mib(needed: f64) -> f64 {
    (needed / (1.0 - SPARE_PART)).min(needed + SPARE_MIB)
}

/// The setting that asks for it.
pub(crate) fn setting(checkpointing: Checkpointing) -> GradientCheckpointing {
    match checkpointing {
        Checkpointing::None => GradientCheckpointing::None,
        Checkpointing::Alternate => GradientCheckpointing::Alternate,
        Checkpointing::All => GradientCheckpointing::All,
    }
}

/// Numbers of tokens to choose from, the largest first: up to a whole step and [`MOST`], and down to the longest text, which is
/// never cut. Each is two thirds or three quarters of the one before.
fn budgets(longest: u32, step: u32) -> Vec<u32> {
    let most = step.min(MOST).max(longest);
    let between = (4..14).rev().flat_map(|power| [3 << (power - 1), 1 << power]);
    let mut all = vec![most];
    all.extend(between.filter(|&budget| longest < budget && budget < most));
    if longest < most {
        all.push(longest);
    }
    all
}

/// The ways to try, from the fastest to the one with the least memory: with enough tokens to fill a GPU as few layers computed
/// again as can be, and then as many tokens; with fewer tokens as many of them as can be, and then as few layers.
fn in_order(layers: &[Checkpointing], tokens: &[TokensPerPass], enough: u32) -> Vec<Passes> {
    let way = |&checkpointing: &Checkpointing, &tokens_per_pass: &TokensPerPass| Passes {
        checkpointing,
        tokens_per_pass,
    };
    let (full, few): (Vec<TokensPerPass>, Vec<TokensPerPass>) =
        tokens.iter().copied().partition(|tokens| tokens.tokens().is_none_or(|tokens| tokens >= enough));
    let by_layers = layers.iter().flat_map(|layers| full.iter().map(move |tokens| way(layers, tokens)));
    let by_tokens = few.iter().flat_map(|tokens| layers.iter().map(move |layers| way(layers, tokens)));
    by_layers.chain(by_tokens).collect()
}

/// Gradients that a run holds already, before its first step.
#[derive(Debug, Clone, Copy)]
struct HeldGradients {
    bytes: u64,
    /// Whether they are those of one piece of the network at a time, which do where a step is one pass.
    by_pieces: bool,
}

/// What a run's steps need, by the plan of the memory.
struct Steps<'a> {
    config: &'a TrainConfig,
    encoded: &'a Encoded,
    /// By its shapes.
    network: Network,
    gradients: HeldGradients,
    /// By the tokens of a pass.
    largest: HashMap<Option<u32>, Largest>,
}

#[derive(Debug, Clone)]
struct Largest {
    rows: Vec<u32>,
    ids: u32,
    /// Of one step at most.
    passes: usize,
}

impl<'a> Steps<'a> {
    fn new(
        config: &'a TrainConfig,
        encoded: &'a Encoded,
        network: Network,
        gradients: HeldGradients,
    ) -> Steps<'a> {
        Steps { config, encoded, network, gradients, largest: HashMap::new() }
    }

    /// The largest pass of all steps.
    fn largest(&mut self, tokens: Option<u32>) -> Result<Largest> {
        if let Some(found) = self.largest.get(&tokens) {
            return Ok(found.clone());
        }
        let plan = plan(self.encoded, self.config, tokens).map_err(Error::Progress)?;
        let ids = u32::try_from(ids_of(self.encoded, &plan.largest)).unwrap_or(u32::MAX);
        let found = Largest { rows: plan.largest, ids, passes: plan.most_passes };
        self.largest.insert(tokens, found.clone());
        Ok(found)
    }

    /// What is needed beyond what is held, in MiB.
    fn needed_mib(&mut self, way: Passes) -> Result<f64> {
        let largest = self.largest(way.tokens_per_pass.tokens())?;
        // A step of one pass is planned as one by pieces exactly where the run has gradients for that.
        let is_one = largest.passes <= 1 && (self.gradients.by_pieces || self.config.max_grad_norm > 0.0);
        let gradient_accumulation_steps = if is_one { 1 } else { 2 };
        let config = TrainConfig { gradient_accumulation_steps, ..self.config.clone() };
        let batch = pack(self.encoded, &largest.rows);
        let plan = memory_plan::planned(&self.network, &config, &batch, None, way.checkpointing)?;
        Ok(memory::mib(plan.activations + plan.gradients.saturating_sub(self.gradients.bytes)))
    }

    fn first_that_fits(&mut self, ways: &[Passes], room: f64) -> Result<Option<Passes>> {
        for &way in ways {
            if self.needed_mib(way)? <= room {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }

    /// All ways that the settings leave open.
    fn ways(&mut self, layers: &[Checkpointing]) -> Result<Vec<Passes>> {
        if self.config.tokens_per_pass != TokensPerPass::Auto {
            return Ok(in_order(layers, &[self.config.tokens_per_pass], 0));
        }
        let lengths = (0..self.encoded.len()).map(|text| self.encoded.length(text));
        let longest = u32::try_from(lengths.max().unwrap_or(0)).unwrap_or(u32::MAX).max(1);
        let step = self.largest(Some(u32::MAX))?.ids;
        let tokens: Vec<_> = budgets(longest, step).into_iter().map(TokensPerPass::Tokens).collect();
        Ok(in_order(layers, &tokens, ENOUGH.min(step)))
    }

    /// The first by which a step fits into so much memory, in MiB, or the last.
    fn choose(&mut self, layers: &[Checkpointing], room: f64) -> Result<Passes> {
        let ways = self.ways(layers)?;
        let last = ways.last().copied();
        let found = self.first_that_fits(&ways, room)?.or(last);
        let tokens_per_pass = self.config.tokens_per_pass;
        Ok(found.unwrap_or(Passes { checkpointing: Checkpointing::All, tokens_per_pass }))
    }
}

#[cfg(test)]
mod tests;
