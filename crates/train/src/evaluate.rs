use std::collections::BTreeMap;

use data::{Encoded, pack};
use mbti::Type;
use model::{Mode, Network};
use record::Evaluation;

use crate::{
    ClassWeights, axis_metrics,
    error::Result,
    loss::{loss, total_weight},
};

/// Tokens that one forward pass of an evaluation may hold, which bounds its memory.
const TOKENS_AT_ONCE: usize = 2048;

/// Judges a network on texts that it did not learn from. `go_on` is asked between batches, and
/// `None` comes back when it says no.
pub fn evaluate(
    network: &Network,
    encoded: &Encoded,
    types: &[Type],
    weights: &ClassWeights,
    step: u32,
    mut go_on: impl FnMut() -> Result<bool>,
) -> Result<Option<Evaluation>> {
    let head = &network.head;
    let group_weight = total_weight(types.iter().copied(), head, weights);
    let mut predicted: Vec<Vec<bool>> = Vec::with_capacity(types.len());
    let mut sum = 0.0;
    for rows in batches(encoded) {
        let batch = pack(encoded, &rows);
        let logits = network.forward(&batch, Mode::Evaluate)?;
        let types: Vec<Type> = rows.iter().map(|&row| types[row as usize]).collect();
        sum += f64::from(loss(&logits, &types, head, weights, &group_weight)?.to_scalar::<f32>()?);
        for logits in logits.to_vec2::<f32>()? {
            predicted.push(head.probabilities(&logits).into_iter().map(|p| p > 0.5).collect());
        }
        if !go_on()? {
            return Ok(None);
        }
    }
    let axes: BTreeMap<_, _> = head
        .axes
        .iter()
        .enumerate()
        .map(|(place, &axis)| {
            let pairs = types.iter().zip(&predicted).map(|(mbti, row)| (mbti.class(axis), row[place]));
            (axis, axis_metrics(pairs))
        })
        .collect();
    Ok(Some(Evaluation { step, loss: sum.is_finite().then_some(sum), axes }))
}

/// All texts in order, cut so that no piece has more than [`TOKENS_AT_ONCE`] unless a single
/// text has.
fn batches(encoded: &Encoded) -> Vec<Vec<u32>> {
    let mut batches: Vec<Vec<u32>> = Vec::new();
    let mut room = 0;
    for row in 0..encoded.len() {
        let tokens = encoded.ids(row).len();
        match batches.last_mut() {
            Some(last) if tokens <= room => last.push(row as u32),
            _ => {
                batches.push(vec![row as u32]);
                room = TOKENS_AT_ONCE;
            }
        }
        room = room.saturating_sub(tokens);
    }
    batches
}
