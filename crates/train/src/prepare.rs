//! From a run's settings and texts to what its steps work on: the network, tokens, and weights of the classes.

use compute::{Backend, Device};
use data::{Encoded, Part, Tokenizer, encode_rows};
use mbti::Type;
use model::{Network, Products, Setup};
use record::Dtype;

use crate::{
    Inputs, Progress, checkpoint, class_weights,
    error::Result,
    evaluate::ValidationSet,
    learner::{Learner, TrainingSet},
    progress::{Tell, notice},
    unreadable,
};

/// What a run has before its first step.
pub(crate) struct Ready<'a, B: Backend> {
    pub(crate) learner: Learner<'a, B>,
    pub(crate) valid: ValidationSet,
    pub(crate) max_length: usize,
    /// A hash of all tokens and types.
    pub(crate) texts: String,
}

/// Loads the model into the memory of a device.
pub(crate) fn load(inputs: &Inputs, device: &Device) -> Result<Network> {
    let config = inputs.config;
    // Said before minutes are spent on the model.
    class_weights(config.class_weights, &inputs.train.types(), &config.axes)?;
    let setup = Setup { device: device.clone(), ..Setup::of(config) };
    let mut network = model::start(inputs.model_folder, &setup)?;
    network.products = products(config.dtype, &network.device);
    Ok(network)
}

/// Makes the texts into tokens for a network that computes by this backend; `None` when it was stopped on the way.
pub(crate) fn prepare<'a, B: Backend>(
    backend: &B,
    network: Network,
    inputs: &Inputs<'a>,
    tell: &mut Tell,
) -> Result<Option<Ready<'a, B>>> {
    let config = inputs.config;
    let types = inputs.train.types();
    let weights = class_weights(config.class_weights, &types, &config.axes)?;
    let trainable = network.weights.trainable_count();
    tell(Progress::Loaded { report: &network.report, trainable })?;
    let Some((train, valid, max_length)) = encode_both(inputs, &network, tell)? else { return Ok(None) };
    let valid =
        ValidationSet { encoded: valid, types: inputs.valid.types(), authors: inputs.valid.authors() };
    let texts = fingerprint([(&train, &types), (&valid.encoded, &valid.types)])?;
    let learner = Learner::new(backend, config, network, TrainingSet { encoded: train, types, weights })?;
    Ok(Some(Ready { learner, valid, max_length, texts }))
}

/// In bf16 where the settings ask for it and the device is faster by it: a GPU always, a processor if it has
/// instructions for them. In tf32 on a GPU alone.
fn products(dtype: Dtype, device: &Device) -> Products {
    match dtype {
        Dtype::Bf16 | Dtype::Bf16Mixed if !device.is_cpu() || model::bf16_products_are_faster() => {
            Products::Bf16
        }
        Dtype::Tf32 if !device.is_cpu() => Products::Tf32,
        _ => Products::F32,
    }
}

fn encode_both(
    inputs: &Inputs,
    network: &Network,
    tell: &mut Tell,
) -> Result<Option<(Encoded, Encoded, usize)>> {
    let (tokenizer, max_length) = network.tokenizer(inputs.config.max_length as usize)?;
    let total = inputs.train.len() + inputs.valid.len();
    let mut one = |part: Part, before: usize| {
        tokenize(&tokenizer, part, max_length, |done| {
            Ok(tell(Progress::Tokenizing { done: before + done, total })?.goes_on())
        })
    };
    let Some(train) = one(inputs.train, 0)? else { return Ok(None) };
    let unreadable = tokenizer.unknown_id().and_then(|unknown| unreadable::notice_of(&train, unknown));
    let Some(valid) = one(inputs.valid, inputs.train.len())? else { return Ok(None) };
    // A run that is resumed has said so.
    if let Some(problem) = unreadable.filter(|_| inputs.resume.is_none()) {
        notice(tell, 0, problem)?;
    }
    Ok(Some((train, valid, max_length)))
}

pub(crate) fn tokenize(
    tokenizer: &Tokenizer,
    part: Part,
    max_length: usize,
    mut tell: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Encoded>> {
    let mut failed = None;
    let encoded = encode_rows(part.table, part.rows, tokenizer, max_length, |done| {
        tell(done).unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    })?;
    failed.map_or(Ok(encoded), Err)
}

/// A hash of all tokens and types, so that a run is not gone on with on other texts.
fn fingerprint(parts: [(&Encoded, &Vec<Type>); 2]) -> Result<String> {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (encoded, types) in parts {
        hash.update((encoded.len() as u64).to_le_bytes());
        encoded.visit(|bytes| hash.update(bytes))?;
        types.iter().for_each(|mbti| hash.update([mbti.index() as u8]));
    }
    Ok(checkpoint::hex(&hash.finalize()))
}
