//! One pass over a network, forward and backward, on any device.
//!
//! The forward writes a tape of what the backward needs; the backward reads it from its end, last layer first, and puts
//! the gradient of each weight to where it is summed. There is no graph, and so no rule of one: what learns gets a
//! gradient whatever is frozen below it, and what is frozen costs nothing.

mod block;
mod embed;
mod head;
mod kept;
mod linear;
mod norm;
mod packed;
#[cfg(test)]
mod tests;
mod words;

use candle_core::Tensor;
use compute::{Backend, Matrix};

pub(crate) use self::words::{learn as learn_words, logits as logits_of_words};
use self::{block::Pass, kept::Kept, packed::OnDevice};
use crate::{
    Checkpointing, Gradients, Mode, Targets,
    callbacks::Taker,
    error::Result,
    packed::Packed,
    transformer::{CLASSIFIER, EMBEDDINGS, Transformer},
};

/// What a forward keeps for its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// What each block reads and, of blocks that do not compute it again, all that their backward needs.
    ForBackward(Checkpointing),
    /// Nothing, as there is no backward.
    Nothing,
}

/// What a forward has kept, block by block from the lowest, and its result.
struct Tape<B: Backend> {
    /// The embeddings before their norm.
    sums: Option<Matrix<B>>,
    blocks: Vec<(Matrix<B>, Option<Kept<B>>)>,
    /// What the last block gives, `[total, hidden]`.
    output: Matrix<B>,
}

fn block_at<'a, B: Backend>(
    backend: &'a B,
    transformer: &'a Transformer,
    batch: &'a OnDevice<B>,
    place: usize,
    mode: Mode,
) -> Pass<'a, B> {
    Pass { backend, block: &transformer.blocks[place], batch, mode: mode.at(1 + place as u64) }
}

fn forward<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    batch: &OnDevice<B>,
    mode: Mode,
    keep: Keep,
) -> Result<Tape<B>> {
    let (mut x, sums) = embed::forward(backend, &transformer.embeddings, batch, mode.at(EMBEDDINGS))?;
    let mut blocks = Vec::new();
    let mut normed = None;
    for place in 0..transformer.blocks.len() {
        let pass = |place| block_at(backend, transformer, batch, place, mode);
        let next = (place + 1 < transformer.blocks.len()).then(|| pass(place + 1));
        let given = pass(place).forward(&x, normed, next.as_ref())?;
        let (read, kept) = (std::mem::replace(&mut x, given.result), given.kept);
        normed = given.normed;
        if let Keep::ForBackward(checkpointing) = keep {
            let is_kept = checkpointing.keeps(place, transformer.blocks.len());
            blocks.push((read, Some(kept).filter(|_| is_kept)));
        }
    }
    let sums = sums.filter(|_| keep != Keep::Nothing);
    Ok(Tape { sums, blocks, output: x })
}

/// Logits `[texts, outputs]`.
pub(crate) fn logits<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
    mode: Mode,
) -> Result<Tensor> {
    let batch = OnDevice::new(backend, packed)?;
    let tape = forward(backend, transformer, &batch, mode, Keep::Nothing)?;
    let (logits, _) = head::forward(backend, transformer, tape.output, &batch, mode.at(CLASSIFIER))?;
    Ok(backend.to_tensor(&logits)?)
}

/// What the base model gives for every token, `[total, hidden]`.
pub(crate) fn hidden_states<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
) -> Result<Tensor> {
    let batch = OnDevice::new(backend, packed)?;
    let tape = forward(backend, transformer, &batch, Mode::Evaluate, Keep::Nothing)?;
    Ok(backend.to_tensor(&head::after_blocks(backend, transformer, tape.output)?)?)
}

/// Forward and backward: the loss, a single number, and the gradients of all parameters added to where they are summed. `take`
/// is called whenever those of a piece of the network are complete; nothing that comes later reads its weights.
#[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
pub(crate) fn learn<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
    mode: Mode,
    keep: Keep,
    targets: &Targets,
    gradients: &mut Gradients<B>,
    take: &mut Taker<B>,
) -> Result<B::Buffer> {
    let learns = transformer.learns;
    let below = |place: usize| learns.embeddings || (learns.blocks && place > 0);
    let count = transformer.blocks.len();
    let keep = if below(count) { keep } else { Keep::Nothing };
    let (batch, targets) = OnDevice::to_learn(backend, packed, targets, learns.embeddings)?;
    let Tape { sums, mut blocks, output } = forward(backend, transformer, &batch, mode, keep)?;
    let head_mode = mode.at(CLASSIFIER);
    let (mut logits, kept) = head::forward(backend, transformer, output, &batch, head_mode)?;
    let loss = cross_entropy(backend, &mut logits, &targets)?;
    let (wanted, g) = (below(count), &logits);
    let mut grad = head::backward(backend, transformer, kept, g, &batch, head_mode, wanted, gradients)?;
    drop(logits);
    take(gradients)?;
    for place in (0..count).rev() {
        let (Some((read, kept)), Some(above)) = (blocks.pop(), grad.take()) else { break };
        let pass = block_at(backend, transformer, &batch, place, mode);
        let kept = match kept {
            Some(kept) => kept,
            None => pass.forward(&read, None, None)?.kept,
        };
        grad = pass.backward(&read, kept, above, below(place), gradients)?;
        take(gradients)?;
    }
    if let Some(grad) = grad.filter(|_| learns.embeddings) {
        let mode = mode.at(EMBEDDINGS);
        embed::backward(backend, &transformer.embeddings, &batch, sums.as_ref(), grad, gradients, mode)?;
        take(gradients)?;
    }
    Ok(loss)
}

/// The loss of logits, a single number; the logits become their gradient.
fn cross_entropy<B: Backend>(
    backend: &B,
    logits: &mut Matrix<B>,
    targets: &Matrix<B>,
) -> candle_core::Result<B::Buffer> {
    let mut loss = backend.buffer(1)?;
    let to = B::write(&mut loss, 0..1);
    backend.cross_entropy(to, logits.all_mut().values, targets.all().values)?;
    Ok(loss)
}
