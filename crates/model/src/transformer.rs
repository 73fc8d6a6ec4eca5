use std::{ops::Range, sync::Arc};

use candle_core::{Tensor, Var};
use data::Batch;

use crate::{
    Error, Mode,
    block::Block,
    callbacks::{Loss, Take},
    classifier::{Classifier, Pool},
    embeddings::Embeddings,
    error::Result,
    fused,
    layers::Norm,
    ops::{Rotation, inject},
    packed::Packed,
    rope_config::Frequencies,
};

/// A transformer with a head for classification; `decoder.rs` and `encoder.rs` build it for each
/// family out of its config.json.
pub(crate) struct Transformer {
    pub(crate) embeddings: Arc<Embeddings>,
    pub(crate) blocks: Vec<Arc<Block>>,
    /// After the last block, in families that norm first.
    pub(crate) final_norm: Option<Norm>,
    pub(crate) classifier: Classifier,
    /// The rotary embeddings that blocks refer to by their places here.
    pub(crate) frequencies: Vec<Frequencies>,
    /// The most tokens that a text may have.
    pub(crate) max_tokens: usize,
    /// Whether the embeddings learn, or anything in a block does.
    pub(crate) learns: Learns,
}

/// Which pieces of a transformer have weights that learn; the head always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Learns {
    pub(crate) embeddings: bool,
    pub(crate) blocks: bool,
}

/// The place of the embeddings and of the head among the seeds of dropout; blocks count from 1.
const EMBEDDINGS: u64 = 0;
const CLASSIFIER: u64 = u64::MAX;

impl Transformer {
    fn pack(&self, batch: &Batch) -> Result<Packed> {
        let offsets: Arc<[u32]> = batch.offsets.as_slice().into();
        if offsets.windows(2).any(|range| range[0] >= range[1]) {
            return Err(Error::NoTokens);
        }
        let rotation = |frequencies: &Frequencies| Rotation::new(&offsets, |tokens| frequencies.of(tokens));
        let rotations = self.frequencies.iter().map(rotation).collect();
        Ok(Packed { ids: batch.ids.as_slice().into(), offsets, rotations })
    }

    fn embed(&self, packed: &Packed, mode: Mode) -> Result<Tensor> {
        if fused::embeddings_fit(&self.embeddings) {
            return Ok(fused::embed(&self.embeddings, packed, mode)?);
        }
        self.embeddings.forward(packed, mode)
    }

    /// What some of the blocks make of x `[total, hidden]`.
    fn blocks(&self, places: Range<usize>, x: &Tensor, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let blocks: Vec<(&Arc<Block>, Mode)> =
            places.map(|place| (&self.blocks[place], mode.at(1 + place as u64))).collect();
        let fits = |block: &Block| fused::fits(block, x);
        blocks.chunk_by(|a, b| fits(a.0) == fits(b.0)).try_fold(x.clone(), |x, blocks| {
            if blocks.first().is_some_and(|(block, _)| fits(block)) {
                return Ok(fused::blocks(blocks, &x, packed)?);
            }
            blocks.iter().try_fold(x, |x, (block, mode)| block.forward(&x, packed, *mode))
        })
    }

    /// Logits `[texts, outputs]` out of what the last block gives.
    fn head(&self, x: &Tensor, packed: &Packed, mode: Mode) -> Result<Tensor> {
        let pool = self.classifier.pool;
        let normed = |x: Tensor| match &self.final_norm {
            Some(norm) => norm.forward(&x, mode),
            None => Ok(x),
        };
        // A norm works on each token alone, so that only the tokens that are read need one.
        let pooled = match pool {
            Pool::Mean => pool.of(&normed(x.clone())?, packed)?,
            Pool::First | Pool::Last => normed(pool.of(x, packed)?)?,
        };
        self.classifier.forward(&pooled, mode.at(CLASSIFIER))
    }

    /// Logits `[texts, outputs]`.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        let packed = self.pack(batch)?;
        let x = self.embed(&packed, mode.at(EMBEDDINGS))?;
        let x = self.blocks(0..self.blocks.len(), &x, &packed, mode)?;
        self.head(&x, &packed, mode)
    }

    /// What the base model gives for every token, `[total, hidden]`, without a graph.
    pub(crate) fn hidden_states(&self, batch: &Batch) -> Result<Tensor> {
        let (packed, mode) = (self.pack(batch)?, Mode::Evaluate);
        let x = self.embed(&packed, mode)?;
        let x = self.blocks(0..self.blocks.len(), &x, &packed, mode)?;
        match &self.final_norm {
            Some(norm) => norm.forward(&x, mode),
            None => Ok(x),
        }
    }

    /// Forward and backward with gradient checkpointing: the first pass keeps only what goes into
    /// each block; then, from the head down, each piece is run again on its input with a graph,
    /// is given the gradient of its result, and gives its weights' gradients to `take` and the
    /// gradient of its input to the piece below. One block's activations exist at a time.
    pub(crate) fn learn_in_pieces(
        &self,
        batch: &Batch,
        [rehearse, train]: [Mode; 2],
        loss: &Loss,
        take: &mut Take,
    ) -> Result<Tensor> {
        let packed = self.pack(batch)?;
        let mut inputs = vec![self.embed(&packed, rehearse.at(EMBEDDINGS))?];
        for place in 0..self.blocks.len() {
            let x = self.blocks(place..place + 1, &inputs[place], &packed, rehearse)?;
            inputs.push(x);
        }
        let below = |place: usize| self.learns.embeddings || (self.learns.blocks && place > 0);

        let Some(last) = inputs.pop() else { return Err(candle_core::Error::Msg("no input".into()).into()) };
        let (x, var) = leaf(&last, below(self.blocks.len()))?;
        drop(last);
        let found = loss(&self.head(&x, &packed, train)?)?;
        let mut grads = found.backward()?;
        let mut grad = var.and_then(|var| grads.remove(&var));
        take(grads)?;

        for place in (0..self.blocks.len()).rev() {
            let (Some(input), Some(above)) = (inputs.pop(), grad.take()) else { break };
            let (x, var) = leaf(&input, below(place))?;
            drop(input);
            let y = self.blocks(place..place + 1, &x, &packed, train)?;
            let mut grads = inject(&y, above)?.backward()?;
            grad = var.and_then(|var| grads.remove(&var));
            take(grads)?;
        }
        if let Some(above) = grad
            && self.learns.embeddings
        {
            let y = self.embed(&packed, train.at(EMBEDDINGS))?;
            take(inject(&y, above)?.backward()?)?;
        }
        Ok(found.detach())
    }
}

/// The input of a piece: as a leaf of the graph where its gradient is wanted for what is below.
fn leaf(x: &Tensor, wanted: bool) -> Result<(Tensor, Option<Var>)> {
    if !wanted {
        return Ok((x.clone(), None));
    }
    let var = Var::from_tensor(x)?;
    Ok((var.as_tensor().clone(), Some(var)))
}
