//! What memory of a GPU a run will need, with no GPU and none of the model's weights read: its own code computes a step over
//! the shapes of the weights, by a backend that keeps account of what it asks for and does nothing else.

use std::path::Path;

use compute::{Backend, Ledger, Products};
use data::Batch;
use mbti::Type;
use model::{Checkpointing, Gradients, Mode, Network, Setup};
use record::{Dtype, TrainConfig};

use crate::{AdamW, Hyperparameters, error::Result, learner::takes_pieces, loss::targets};

/// Memory of a GPU, in bytes, as the driver counts it: each allocation is a multiple of 256. What the driver, cuBLAS and
/// candle take outside the pool that all numbers are in is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Tables that the kernels read.
    pub tables: u64,
    pub weights: u64,
    pub optimizer: u64,
    pub gradients: u64,
    /// The most that a step needs beyond these: what the forward keeps, and what operations need on the way.
    pub activations: u64,
    /// How often a step asks for memory.
    pub allocations: u64,
}

impl MemoryPlan {
    /// What there is between the steps.
    pub fn held(&self) -> u64 {
        self.tables + self.weights + self.optimizer + self.gradients
    }

    /// The most that is held at a time.
    pub fn peak(&self) -> u64 {
        self.held() + self.activations
    }
}

/// The model of a run by the shapes of its weights, as it would be on a GPU.
///
/// Errors: the folder is no model that can be trained with these settings.
pub fn shapes(model_folder: &Path, config: &TrainConfig) -> Result<Network> {
    let setup = Setup { shapes_only: true, ..Setup::of(config) };
    let mut network = model::start(model_folder, &setup)?;
    network.products = products_on_a_gpu(config.dtype);
    Ok(network)
}

/// How a GPU multiplies in this precision.
pub(crate) fn products_on_a_gpu(dtype: Dtype) -> Products {
    match dtype {
        Dtype::Bf16 | Dtype::Bf16Mixed => Products::Bf16,
        Dtype::Tf32 => Products::Tf32,
        Dtype::F32 => Products::F32,
    }
}

/// Texts of so many tokens each, all tokens different as far as the model has tokens: no others of the same lengths need more.
pub fn texts_of(network: &Network, lengths: &[u32]) -> Batch {
    let mut offsets = vec![0];
    offsets.extend(lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    }));
    let total = offsets.last().copied().unwrap_or(0);
    let vocabulary = network.vocabulary().unwrap_or(1).max(1) as u32;
    Batch {
        ids: (0..total).map(|id| id % vocabulary).collect(),
        offsets,
        rows: (0..lengths.len() as u32).collect(),
        tokens: total.into(),
    }
}

/// Steps after which nothing new is asked for: the first has no gradients of an earlier one to clear.
const STEPS: u32 = 2;

/// Passes of a step that are looked at: more than two need no more than two.
fn passes(config: &TrainConfig) -> u32 {
    config.gradient_accumulation_steps.min(2)
}

/// What a run of these settings needs whose largest micro-batch is this one, in its steps and, where texts of an evaluation
/// are given, in that.
///
/// `network` is one of [`shapes`].
pub fn planned(
    network: &Network,
    config: &TrainConfig,
    batch: &Batch,
    evaluated: Option<&Batch>,
    checkpointing: Checkpointing,
) -> Result<MemoryPlan> {
    let ledger = Ledger::default();
    let held = || ledger.memory().held.unwrap_or(0);
    let since = |before: u64| held() - before;
    let _tables = ledger.open();
    let tables = held();
    let weights = &network.weights;
    let learning =
        weights.parameters.iter().map(|parameter| ledger.hold(&parameter.var.as_tensor().clone().into()));
    let _weights: Vec<_> = learning.chain(weights.frozen.iter().map(|(_, held)| ledger.hold(held))).collect();
    let of_weights = since(tables);
    let (hyperparameters, moments) = Hyperparameters::of(config);
    let mut optimizer = AdamW::planned(&ledger, weights, hyperparameters, moments)?;
    let of_optimizer = since(tables + of_weights);
    let mut gradients = match takes_pieces(config) {
        true => Gradients::by_pieces(ledger.clone(), weights)?,
        false => Gradients::new(ledger.clone(), weights)?,
    };
    let before = held();
    let of_gradients = before - tables - of_weights - of_optimizer;
    ledger.forget_peak();

    let first = ledger.allocations();
    for _ in 0..STEPS {
        step(network, config, batch, checkpointing, &mut optimizer, &mut gradients)?;
    }
    let allocations = (ledger.allocations() - first) / u64::from(STEPS);
    let of_steps = ledger.peak().unwrap_or(before) - before;
    ledger.forget_peak();
    if let Some(batch) = evaluated {
        network.forward_by(&ledger, batch, Mode::Evaluate)?;
    }
    let of_evaluation = ledger.peak().unwrap_or(before) - before;
    let activations = of_steps.max(of_evaluation);
    Ok(MemoryPlan {
        tables,
        weights: of_weights,
        optimizer: of_optimizer,
        gradients: of_gradients,
        activations,
        allocations,
    })
}

/// One step of a run, with the same micro-batch as often as the settings say.
fn step(
    network: &Network,
    config: &TrainConfig,
    batch: &Batch,
    checkpointing: Checkpointing,
    optimizer: &mut AdamW<Ledger>,
    gradients: &mut Gradients<Ledger>,
) -> Result<()> {
    let axes = network.head.axes.len();
    let all: Vec<Type> = Type::all().collect();
    let types: Vec<Type> = all.into_iter().cycle().take(batch.len()).collect();
    let weights = vec![[1f32; 2]; axes];
    let of_group = vec![batch.len() as f64; axes];
    let targets = targets(&types, &network.head, &weights, &of_group);
    gradients.clear();
    if gradients.is_by_pieces() {
        let Some(mut step) = optimizer.by_pieces(&network.weights, 0.0) else { return Ok(()) };
        let found =
            network.learn_by_pieces(batch, 0, checkpointing, &targets, gradients, &mut |gradients| {
                step.take(gradients)
            })?;
        step.finish(&found)?;
        return Ok(());
    }
    let learn = |_| network.learn(batch, 0, checkpointing, &targets, gradients);
    let losses = (0..passes(config)).map(learn).collect::<std::result::Result<Vec<_>, _>>()?;
    optimizer.step_and_read(&network.weights, gradients, &losses, 0.0)?;
    Ok(())
}
