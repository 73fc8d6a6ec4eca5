use compute::Backend;
use data::{Batch, Encoded, pack};
use mbti::Type;
use model::{Checkpointing, Gradients, Network, Taker};
use record::{TrainConfig, Trainable};

use crate::{
    AdamW, ClassWeights, Error, Hyperparameters,
    adamw::Read,
    batching::{Group, halved},
    error::Result,
    loss::{targets, total_weight},
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
pub(crate) struct Learner<'a, B: Backend> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) network: Network,
    pub(crate) optimizer: AdamW<B>,
    /// With room for one piece of the network at a time where a step has one micro-batch and clips nothing.
    pub(crate) gradients: Gradients<B>,
    pub(crate) set: TrainingSet,
    /// Which layers compute their activations again; none until it is set otherwise.
    pub(crate) checkpointing: Checkpointing,
    /// How many ids at most go through the network at once; none where a pass is a batch of the settings.
    pub(crate) tokens_per_pass: Option<u32>,
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

/// Micro-batches whose gradients were summed. A device may still be computing their losses.
struct Summed<B: Backend> {
    losses: Vec<B::Buffer>,
    samples: u64,
    tokens: u64,
}

impl<B: Backend> Summed<B> {
    /// With what was read after the step; none where something was not finite.
    fn learned(&self, read: &Read) -> Option<Learned> {
        let loss = read.losses.iter().map(|&loss| f64::from(loss)).sum();
        let Summed { samples, tokens, .. } = *self;
        read.is_finite().then_some(Learned { loss, norm: read.norm, samples, tokens })
    }
}

fn not_finite(step: u32, rows: Vec<u32>) -> Error {
    Error::LossNotFinite { step, rows, checkpoint: None }
}

impl<'a, B: Backend> Learner<'a, B> {
    pub(crate) fn new(
        backend: &B,
        config: &'a TrainConfig,
        mut network: Network,
        set: TrainingSet,
    ) -> Result<Learner<'a, B>> {
        let (hyperparameters, moments) = Hyperparameters::of(config);
        let before = memory::held_mib(backend);
        let mut optimizer = AdamW::on(backend, &mut network.weights, hyperparameters, moments)?;
        if config.trainable != Trainable::Head {
            let in_head = |name: &str| network.is_in_head(name);
            optimizer.multiply_rate(&network.weights, in_head, config.head_learning_rate_multiplier);
        }
        let came = memory::held_mib(backend).zip(before).map_or(0.0, |(now, before)| (now - before).max(0.0));
        let optimizer_to_come_mib = (optimizer.state_bytes() as f64 / (1024.0 * 1024.0) - came).max(0.0);
        let gradients = match takes_pieces(config) {
            true => Gradients::by_pieces(backend.clone(), &network.weights)?,
            false => Gradients::new(backend.clone(), &network.weights)?,
        };
        Ok(Learner {
            config,
            network,
            optimizer,
            gradients,
            set,
            checkpointing: Checkpointing::None,
            tokens_per_pass: None,
            halvings: 0,
            watches_memory: true,
            optimizer_to_come_mib,
            memory: None,
        })
    }

    /// Forward and backward over the micro-batches of one group, and one move of the weights. When it fails the weights
    /// are as they were, unless the loss or a gradient was not finite or memory ran out within a step by pieces.
    pub(crate) fn learn(&mut self, group: &Group, learning_rate: f64) -> Result<Learned> {
        let group = halved(group, self.halvings);
        self.make_room(group.len())?;
        if let ([rows], true) = (&group[..], self.gradients.is_by_pieces()) {
            return self.learn_by_pieces(rows, learning_rate);
        }
        let number = self.optimizer.step + 1;
        let summed = self.sum(&group, &mut |_| Ok(()))?;
        let Learner { network, optimizer, gradients, .. } = self;
        let read = optimizer.step_and_read(&network.weights, gradients, &summed.losses, learning_rate)?;
        summed.learned(&read).ok_or_else(|| {
            // The micro-batch whose loss it is, else all of them: a gradient belongs to their sum.
            let micro = read.losses.iter().position(|loss| !loss.is_finite());
            not_finite(
                number,
                micro.and_then(|micro| group.get(micro).cloned()).unwrap_or_else(|| group.concat()),
            )
        })
    }

    /// Where a batch is cut into several passes, their gradients add up: with room for all.
    pub(crate) fn make_room(&mut self, passes: usize) -> Result<()> {
        if passes > 1 && self.gradients.is_by_pieces() {
            let (backend, step) = (self.gradients.backend().clone(), self.optimizer.step + 1);
            let all = Gradients::new(backend, &self.network.weights);
            self.gradients = all.map_err(|error| out_of_memory(error.into(), step))?;
        }
        Ok(())
    }

    /// One micro-batch, with each piece of the network moved as soon as its gradients are there.
    fn learn_by_pieces(&mut self, rows: &[u32], learning_rate: f64) -> Result<Learned> {
        let batch = pack(&self.set.encoded, rows);
        let number = self.optimizer.step + 1;
        self.check_room(batch.ids.len())?;
        let before = memory::held_mib(self.gradients.backend());
        let weight = self.weight_of(rows);
        let Learner { config, network, optimizer, gradients, set, checkpointing, .. } = self;
        let Some(mut step) = optimizer.by_pieces(&network.weights, learning_rate) else {
            return Err(candle_core::Error::Msg("a step by pieces clips nothing".into()).into());
        };
        gradients.clear();
        let pass = Pass { config, network, set, checkpointing: *checkpointing, step: number };
        let found = pass.learn(&batch, rows, 0, &weight, gradients, &mut |gradients| step.take(gradients));
        let loss = match found {
            Err(Error::OutOfMemory { step: number }) if step.has_moved() => {
                return Err(Error::OutOfMemoryInStep { step: number });
            }
            other => other?,
        };
        let read = step.finish(&loss)?;
        self.note_memory(batch.ids.len(), before);
        let summed = Summed::<B> { losses: Vec::new(), samples: batch.len() as u64, tokens: batch.tokens };
        summed.learned(&read).ok_or_else(|| not_finite(number, rows.to_vec()))
    }

    /// Forward and backward over one micro-batch whose gradients nobody keeps, to their end. Returns its tokens.
    pub(crate) fn rehearse(&mut self, rows: &[u32]) -> Result<u64> {
        let by_pieces = self.gradients.is_by_pieces();
        let summed = self.sum(&vec![rows.to_vec()], &mut |gradients| {
            if by_pieces {
                gradients.clear();
            }
            Ok(())
        })?;
        self.gradients.backend().synchronise()?;
        Ok(summed.tokens)
    }

    /// The gradients of the micro-batches, summed, of the loss of all their texts together; those of before are gone.
    fn sum(&mut self, group: &Group, take: &mut Taker<B>) -> Result<Summed<B>> {
        self.gradients.clear();
        let step = self.optimizer.step + 1;
        let group_weight = self.weight_of(&group.concat());
        let mut summed = Summed { losses: Vec::new(), samples: 0, tokens: 0 };
        for (micro, rows) in group.iter().enumerate() {
            let batch = pack(&self.set.encoded, rows);
            let before = memory::held_mib(self.gradients.backend());
            self.check_room(batch.ids.len())?;
            let Learner { config, network, gradients, set, checkpointing, .. } = self;
            let pass = Pass { config, network, set, checkpointing: *checkpointing, step };
            summed.losses.push(pass.learn(&batch, rows, micro, &group_weight, gradients, take)?);
            self.note_memory(batch.ids.len(), before);
            summed.samples += batch.len() as u64;
            summed.tokens += batch.tokens;
        }
        Ok(summed)
    }

    fn weight_of(&self, rows: &[u32]) -> Vec<f64> {
        total_weight(self.set.types_of(rows).into_iter(), &self.network.head, &self.set.weights)
    }

    /// On a system that gives out more memory than it has and then ends whoever uses it, running
    /// out has to be seen before: by what a micro-batch took so far, for each of its ids.
    fn check_room(&self, ids: usize) -> Result<()> {
        let Some(memory) = self.memory.as_ref().filter(|_| self.watches_memory) else { return Ok(()) };
        let wanted = memory.before + memory.an_id * ids as f64;
        if memory::limit_mib(self.gradients.backend()).is_some_and(|room| wanted > room) {
            return Err(Error::OutOfMemory { step: self.optimizer.step + 1 });
        }
        Ok(())
    }

    fn note_memory(&mut self, ids: usize, before: Option<f64>) {
        let (Some(peak), Some(before)) = (memory::peak_since_mib(self.gradients.backend()), before) else {
            return;
        };
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

/// Whether a run's steps take the gradients a piece of the network at a time: with one micro-batch a step, nothing has
/// to be added up, and where nothing is clipped, the norm of all gradients is not needed before the first of them.
pub(crate) fn takes_pieces(config: &TrainConfig) -> bool {
    config.gradient_accumulation_steps == 1 && config.max_grad_norm == 0.0
}

/// What forward and backward over a micro-batch read.
struct Pass<'a> {
    config: &'a TrainConfig,
    network: &'a Network,
    set: &'a TrainingSet,
    checkpointing: Checkpointing,
    /// Number of the optimizer's step.
    step: u32,
}

impl Pass<'_> {
    /// The loss, a single number on the device, which may still be computing it.
    fn learn<B: Backend>(
        &self,
        batch: &Batch,
        rows: &[u32],
        micro: usize,
        group_weight: &[f64],
        gradients: &mut Gradients<B>,
        take: &mut Taker<B>,
    ) -> Result<B::Buffer> {
        let Pass { config, network, set, checkpointing, step } = *self;
        let seed = u64::from(config.seed) << 32 ^ u64::from(step) << 16 ^ micro as u64;
        let targets = targets(&set.types_of(rows), &network.head, &set.weights, group_weight);
        let found = network.learn_by_pieces(batch, seed, checkpointing, &targets, gradients, take);
        found.map_err(|error| out_of_memory(error, step))
    }
}

fn out_of_memory(error: model::Error, step: u32) -> Error {
    if memory::has_run_out(&error) {
        return Error::OutOfMemory { step };
    }
    Error::Model(error)
}
