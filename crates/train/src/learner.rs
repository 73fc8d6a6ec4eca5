use data::{Encoded, pack};
use mbti::Type;
use model::{Gradients, Network};
use record::{Optim, TrainConfig};

use crate::{
    AdamW, ClassWeights, Error, Hyperparameters, Moments,
    batching::{Group, halved},
    error::Result,
    loss::{loss, total_weight},
    memory,
};

/// The texts that are learned from.
pub(crate) struct TrainingSet {
    pub(crate) encoded: Encoded,
    pub(crate) types: Vec<Type>,
    pub(crate) weights: ClassWeights,
}

impl TrainingSet {
    fn types_of(&self, rows: &[u32]) -> Vec<Type> {
        rows.iter().map(|&row| self.types[row as usize]).collect()
    }
}

/// A network and its optimizer, with the texts that they learn from.
pub(crate) struct Learner<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) network: Network,
    pub(crate) optimizer: AdamW,
    pub(crate) gradients: Gradients,
    pub(crate) set: TrainingSet,
    /// How often the micro-batches were halved for want of memory.
    pub(crate) halvings: u32,
    /// Whether it is looked before each micro-batch that there is room for it.
    pub(crate) watches_memory: bool,
    /// What of the optimizer's state the system has not given room yet, in MiB: pages of zeros
    /// count only once something is written to them, which the first step does.
    pub(crate) optimizer_to_come_mib: f64,
    /// What one more id in a micro-batch takes, in MiB, and what was held before the first.
    memory: Option<MemoryOfAnId>,
}

struct MemoryOfAnId {
    before: f64,
    an_id: f64,
    most_ids: usize,
}

/// What a step of the optimizer came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learned {
    pub(crate) loss: f64,
    /// The norm of the gradients before it is limited.
    pub(crate) norm: f64,
    pub(crate) samples: u64,
    pub(crate) tokens: u64,
}

impl<'a> Learner<'a> {
    pub(crate) fn new(
        config: &'a TrainConfig,
        mut network: Network,
        set: TrainingSet,
    ) -> Result<Learner<'a>> {
        let hyperparameters = Hyperparameters {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
        };
        let moments = match config.optim {
            Optim::Adamw => Moments::F32,
            Optim::Adamw8bit => Moments::Blocks8,
        };
        let before = memory::rss_mib();
        let optimizer = AdamW::new(&mut network.weights, hyperparameters, moments);
        let came = memory::rss_mib().zip(before).map_or(0.0, |(now, before)| (now - before).max(0.0));
        let optimizer_to_come_mib = (optimizer.state_bytes() as f64 / (1024.0 * 1024.0) - came).max(0.0);
        let gradients = network.gradients()?;
        Ok(Learner {
            config,
            network,
            optimizer,
            gradients,
            set,
            halvings: 0,
            watches_memory: true,
            optimizer_to_come_mib,
            memory: None,
        })
    }

    /// Forward and backward over the micro-batches of one group, then one move of the weights.
    /// Nothing has been moved when it fails.
    pub(crate) fn learn(&mut self, group: &Group, learning_rate: f64) -> Result<Learned> {
        let mut learned = self.sum_gradients(&halved(group, self.halvings))?;
        learned.norm = self.optimizer.step(&self.network.weights, &self.gradients, learning_rate)?;
        if !(learned.loss.is_finite() && learned.norm.is_finite()) {
            return Err(self.not_finite(group.concat()));
        }
        Ok(learned)
    }

    /// The gradients of the micro-batches, summed, of the loss of all their texts together; those of before are gone.
    pub(crate) fn sum_gradients(&mut self, group: &Group) -> Result<Learned> {
        self.gradients.clear();
        let step = self.optimizer.step + 1;
        let group_types = self.set.types_of(&group.concat());
        let group_weight = total_weight(group_types.into_iter(), &self.network.head, &self.set.weights);
        let mut learned = Learned { loss: 0.0, norm: 0.0, samples: 0, tokens: 0 };
        for (micro, rows) in group.iter().enumerate() {
            let batch = pack(&self.set.encoded, rows);
            let before = memory::rss_mib();
            self.check_room(batch.ids.len())?;
            let seed = u64::from(self.config.seed) << 32 ^ u64::from(step) << 16 ^ micro as u64;
            let (network, types) = (&self.network, self.set.types_of(rows));
            let found = network.learn(
                &batch,
                seed,
                self.config.gradient_checkpointing,
                &|logits| loss(logits, &types, &network.head, &self.set.weights, &group_weight),
                &mut self.gradients,
            );
            let found = found.map_err(|error| out_of_memory(error, step))?;
            self.note_memory(batch.ids.len(), before);
            learned.loss += f64::from(found.to_scalar::<f32>()?);
            if !learned.loss.is_finite() {
                return Err(self.not_finite(rows.clone()));
            }
            learned.samples += batch.len() as u64;
            learned.tokens += batch.tokens;
        }
        Ok(learned)
    }

    fn not_finite(&self, rows: Vec<u32>) -> Error {
        Error::LossNotFinite { step: self.optimizer.step + 1, rows, checkpoint: None }
    }

    /// On a system that gives out more memory than it has and then ends whoever uses it, running
    /// out has to be seen before: by what a micro-batch took so far, for each of its ids.
    fn check_room(&self, ids: usize) -> Result<()> {
        let Some(memory) = self.memory.as_ref().filter(|_| self.watches_memory) else { return Ok(()) };
        let wanted = memory.before + memory.an_id * ids as f64;
        if memory::limit_mib().is_some_and(|room| wanted > room) {
            return Err(Error::OutOfMemory { step: self.optimizer.step + 1 });
        }
        Ok(())
    }

    fn note_memory(&mut self, ids: usize, before: Option<f64>) {
        let (Some(peak), Some(before)) = (memory::peak_since_mib(), before) else { return };
        let before = self.memory.as_ref().map_or(before, |memory| memory.before);
        if self.memory.as_ref().is_none_or(|memory| ids > memory.most_ids) && ids > 0 {
            let an_id = (peak - before).max(0.0) / ids as f64;
            // What the optimizer's first step will take is not there at the first look.
            let to_come = if self.memory.is_none() { self.optimizer_to_come_mib } else { 0.0 };
            self.memory = Some(MemoryOfAnId { before: before + to_come, an_id, most_ids: ids });
        }
    }

    /// Whether a smaller micro-batch is possible: some pass still has more than one text.
    pub(crate) fn can_halve(&self, group: &Group) -> bool {
        halved(group, self.halvings).iter().any(|rows| rows.len() > 1)
    }
}

/// A device that has no memory left says so in words.
fn out_of_memory(error: model::Error, step: u32) -> Error {
    if error.to_string().to_lowercase().contains("out of memory") {
        return Error::OutOfMemory { step };
    }
    Error::Model(error)
}
