use app::evaluations;
use mbti::Type;
use metrics::Judged;
use record::RunComparison;

use super::logits_of_rows;
use crate::{
    Context,
    error::{Error, Result},
};

/// Compares two runs on a data set that both were evaluated on, by the texts that neither of them learned from; and
/// whether each of them learned from all.
pub fn compare(
    context: &Context,
    runs: [i64; 2],
    data: &str,
    seed: u64,
) -> Result<(RunComparison, [bool; 2])> {
    if runs[0] == runs[1] {
        return Err(Error::SameRun { run: runs[0] });
    }
    let (home, runtime) = (&context.home, &context.runtime);
    let both = runtime.block_on(evaluations::both(home, runs, data))?;
    let overlap_known = both.iter().all(|(found, _)| found.overlap.is_some());
    let [(_, first), (found, second)] = &both;
    let name = found.data.clone();
    let overlaps = first.overlaps.iter().zip(&second.overlaps);
    let kept: Vec<usize> = overlaps
        .enumerate()
        .filter(|(_, (first, second))| !**first && !**second)
        .map(|(row, _)| row)
        .collect();
    let types: Vec<Type> = kept.iter().map(|&row| first.labels.types[row]).collect();
    let authors: Vec<Option<u32>> = kept.iter().map(|&row| first.labels.authors[row]).collect();
    let [one, other] =
        [first, second].map(|of| logits_of_rows(&of.logits, of.axes.len(), kept.iter().copied()));
    let judged = |axes, logits| Judged { axes, logits, types: &types, authors: &authors };
    let found = metrics::compare(&judged(&first.axes[..], &one[..]), &judged(&second.axes, &other), seed);
    let left_out = (first.labels.len() - kept.len()) as i64;
    let knew_all = [first, second].map(|of| of.overlaps.iter().all(|&overlaps| overlaps));
    let [first, second] = runs;
    Ok((RunComparison { first, second, data: name, left_out, overlap_known, found }, knew_all))
}
