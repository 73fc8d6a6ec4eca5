use app::evaluations::LearnedFrom;
use data::Part;
use record::{DataSet, Overlap, Run};

use super::watch::Watch;
use crate::error::Result;

/// What the texts of a data set share with those that a run learned from, and of each text whether it does: [texts].
pub fn overlap(
    run: &Run,
    learned: &LearnedFrom,
    (part, data_set): (Part, &DataSet),
    watch: &mut Watch,
) -> Result<(Overlap, Vec<bool>)> {
    let own = learned.data_set.id == data_set.id;
    let mut overlaps = vec![false; part.len()];
    if own {
        mark(&mut overlaps, &learned.split.train);
    }
    let training = overlaps.clone();
    let rest: Vec<u32> = part.rows.iter().copied().filter(|&row| !training[row as usize]).collect();
    let train = Part { table: &learned.table, rows: &learned.split.train };
    let total = train.len() + rest.len();
    let found = data::shared(train, Part { rows: &rest, ..part }, |done| watch.tell(done, total), |_, _| ())?;
    let found = found.ok_or(data::Error::Stopped)?;
    let mut overlap = Overlap {
        texts: 0,
        training_texts: training.iter().filter(|&&training| training).count() as i64,
        exact_duplicates: 0,
        near_duplicates: 0,
        texts_of_shared_authors: 0,
        validation_texts: validation(run, learned, data_set, part.len(), own),
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
    Ok((overlap, overlaps))
}

fn mark(marks: &mut [bool], rows: &[u32]) {
    for &row in rows {
        if let Some(mark) = marks.get_mut(row as usize) {
            *mark = true;
        }
    }
}

/// How many of the texts the run was validated with.
fn validation(run: &Run, learned: &LearnedFrom, data_set: &DataSet, texts: usize, own: bool) -> i64 {
    match &run.config.valid {
        None if own => learned.split.valid.len() as i64,
        // One that came later than the run is another of the same name.
        Some(name) if name.eq_ignore_ascii_case(&data_set.name) && data_set.created_at <= run.created_at => {
            texts as i64
        }
        _ => 0,
    }
}
