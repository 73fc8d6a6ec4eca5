//! What a pass that learns is given by whoever asks for it.

use crate::Gradients;

/// Takes the gradients of a piece of the network, which are complete: the head's first, then each layer's from the last
/// down, then those of the embeddings. Where there is room for one piece at a time, it has to
/// [clear](Gradients::clear) them.
pub type Taker<'a, B> = dyn FnMut(&mut Gradients<B>) -> candle_core::Result<()> + Send + 'a;
