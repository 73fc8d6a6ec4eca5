//! One pass over a network, forward and backward, on any device.
//!
//! The forward writes a tape of what the backward needs; the backward reads it from its end, last layer first, and puts
//! the gradient of each weight to where it is summed. There is no graph, and so no rule of one: what learns gets a
//! gradient whatever is frozen below it, and what is frozen costs nothing. Head and loss alone are candle's, on the rows
//! that the head reads.

mod block;
mod embed;
mod head;
mod kept;
mod linear;
mod norm;
mod packed;
#[cfg(test)]
mod tests;

use candle_core::Tensor;
use compute::{Backend, Matrix};

use self::{block::Pass, kept::Kept, packed::OnDevice};
use crate::{
    Checkpointing, Gradients, Mode,
    callbacks::{Loss, Taker},
    error::Result,
    packed::Packed,
    transformer::{CLASSIFIER, EMBEDDINGS, Transformer},
    weights::Parameter,
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
    batch: OnDevice<B>,
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
    packed: &Packed,
    mode: Mode,
    keep: Keep,
) -> Result<Tape<B>> {
    let batch = OnDevice::new(backend, packed)?;
    let (mut x, sums) = embed::forward(backend, &transformer.embeddings, &batch, mode.at(EMBEDDINGS))?;
    let mut blocks = Vec::new();
    let mut normed = None;
    for place in 0..transformer.blocks.len() {
        let pass = |place| block_at(backend, transformer, &batch, place, mode);
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
    Ok(Tape { batch, sums, blocks, output: x })
}

/// Logits `[texts, outputs]`.
pub(crate) fn logits<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
    mode: Mode,
) -> Result<Tensor> {
    let tape = forward(backend, transformer, packed, mode, Keep::Nothing)?;
    head::forward(backend, transformer, &tape.output, packed, mode.at(CLASSIFIER))
}

/// What the last block gives for every token, `[total, hidden]`.
pub(crate) fn hidden_states<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
) -> Result<Tensor> {
    let tape = forward(backend, transformer, packed, Mode::Evaluate, Keep::Nothing)?;
    Ok(backend.to_tensor(&tape.output)?)
}

/// Forward and backward: the loss, and the gradients of all parameters added to where they are summed. `take` is called
/// whenever those of a piece of the network are complete; nothing that comes later reads its weights.
#[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
pub(crate) fn learn<B: Backend>(
    backend: &B,
    transformer: &Transformer,
    packed: &Packed,
    mode: Mode,
    keep: Keep,
    loss: &Loss,
    parameters: &[Parameter],
    gradients: &mut Gradients<B>,
    take: &mut Taker<B>,
) -> Result<Tensor> {
    let learns = transformer.learns;
    let below = |place: usize| learns.embeddings || (learns.blocks && place > 0);
    let count = transformer.blocks.len();
    let keep = if below(count) { keep } else { Keep::Nothing };
    let Tape { batch, sums, mut blocks, output } = forward(backend, transformer, packed, mode, keep)?;
    let head_mode = mode.at(CLASSIFIER);
    let (found, mut grad) = head::learn(
        backend,
        transformer,
        output,
        packed,
        head_mode,
        below(count),
        loss,
        parameters,
        gradients,
    )?;
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
    Ok(found)
}
