use app::evaluations::LearnedFrom;
use data::{Part, Shared};
use record::{DataSet, Overlap};

use super::watch::Watch;
use crate::error::Result;

/// What the texts of a data set share with those that a run learned from, and of each text whether it does: [texts].
pub fn overlap(
    learned: &LearnedFrom,
    (part, data_set): (Part, &DataSet),
    watch: &mut Watch,
) -> Result<(Overlap, Vec<bool>)> {
    let mut overlaps = vec![false; part.len()];
    let fingerprint = learned.data_set.fingerprint.as_deref();
    if learned.data_set.id == data_set.id
        || fingerprint.is_some() && fingerprint == data_set.fingerprint.as_deref()
    {
        mark(&mut overlaps, &learned.split.train);
    }
    let training = overlaps.clone();
    let rest = unmarked(part.rows, &overlaps);
    let found = shared(learned.train(), Part { rows: &rest, ..part }, watch)?;
    let mut overlap = Overlap {
        texts: 0,
        training_texts: training.iter().filter(|&&training| training).count() as i64,
        exact_duplicates: 0,
        near_duplicates: 0,
        texts_of_shared_authors: 0,
        validation_texts: 0,
    };
    for (&row, shared) in rest.iter().zip(found) {
        let kind = match (shared.twin, shared.author) {
            (Some(twin), _) if twin.exact => &mut overlap.exact_duplicates,
            (Some(_), _) => &mut overlap.near_duplicates,
            (None, true) => &mut overlap.texts_of_shared_authors,
            (None, false) => continue,
        };
        *kind += 1;
        mark(&mut overlaps, &[row]);
    }
    overlap.texts = overlaps.iter().filter(|&&overlaps| overlaps).count() as i64;
    if let Some(valid) = learned.valid() {
        let rest = unmarked(part.rows, &overlaps);
        let found = shared(valid, Part { rows: &rest, ..part }, watch)?;
        let is_exact = |shared: &&Shared| shared.twin.is_some_and(|twin| twin.exact);
        overlap.validation_texts = found.iter().filter(is_exact).count() as i64;
    }
    Ok((overlap, overlaps))
}

fn mark(marks: &mut [bool], rows: &[u32]) {
    for &row in rows {
        if let Some(mark) = marks.get_mut(row as usize) {
            *mark = true;
        }
    }
}

fn unmarked(rows: &[u32], marks: &[bool]) -> Vec<u32> {
    rows.iter().copied().filter(|&row| !marks.get(row as usize).copied().unwrap_or(false)).collect()
}

/// What each of some texts shares with others.
fn shared(others: Part, part: Part, watch: &mut Watch) -> Result<Vec<Shared>> {
    let total = others.len() + part.len();
    let found = data::shared(others, part, |done| watch.tell(done, total), |_, _| ())?;
    Ok(found.ok_or(data::Error::Stopped)?)
}
