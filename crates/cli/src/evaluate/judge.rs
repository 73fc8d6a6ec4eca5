use std::{collections::BTreeMap, path::Path, time::Instant};

use app::evaluations::{self, LearnedFrom};
use data::{Part, TextLogits};
use mbti::Axis;
use metrics::Judged;
use record::{JudgedTexts, Problem, Run, RunEvaluation};
use train::{Inputs, Progress, Wish};

use super::{logits_of_rows, overlap::overlap, watch::Watch};
use crate::{Context, error::Result, models};

/// Logits `[texts, axes]` of all texts of a data set.
struct Answers {
    axes: Vec<Axis>,
    logits: Vec<f64>,
}

/// Judges a run on a data set and keeps what was found.
pub fn judge(context: &Context, run: i64, data: &str, for_the_window: bool) -> Result<RunEvaluation> {
    let begin = Instant::now();
    let (home, runtime) = (&context.home, &context.runtime);
    let (run, folder) = runtime.block_on(evaluations::ready(home, run))?;
    let (table, data_set) = runtime.block_on(app::data_sets::open(home, data))?;
    let learned = runtime.block_on(evaluations::learned_from(home, &run))?;
    let rows = table.rows();
    let part = Part { table: &table, rows: &rows };
    let mut watch = Watch::new(context, for_the_window);

    let texts = data::fingerprint(part, |done| watch.tell(done, part.len()))?.ok_or(data::Error::Stopped)?;
    if data_set.fingerprint.is_none() {
        // It is from an older version. What cannot be written down now can be another time.
        runtime.block_on(home.store.set_fingerprint(data_set.id, &texts)).ok();
    }
    let (model, temperatures) = of_the_model(&folder, run.id, part, &mut watch)?;
    let words = match &learned {
        Some(learned) => of_the_words(context, &run, learned, part, &mut watch)?,
        None => None,
    };
    let overlapping =
        learned.as_ref().map(|learned| overlap(learned, (part, &data_set), &mut watch)).transpose()?;
    watch.end();

    let seed = u64::from(run.config.seed);
    let calibrated = calibrated(&model, &temperatures);
    let judged = |part| judged_texts(part, &calibrated, words.as_ref(), seed);
    let (overlap, overlaps) =
        overlapping.map_or((None, vec![false; part.len()]), |(overlap, overlaps)| (Some(overlap), overlaps));
    let unseen: Vec<u32> = rows.iter().copied().filter(|&row| !overlaps[row as usize]).collect();
    let some_overlap = !unseen.is_empty() && unseen.len() < rows.len();
    let found = RunEvaluation {
        run: run.id,
        data: data_set.name,
        made_up: data_set.made_up,
        texts: texts.clone(),
        // Told by the history.
        created_at: String::new(),
        seconds: begin.elapsed().as_secs_f64(),
        temperatures,
        overlap,
        all: judged(part),
        unseen: some_overlap.then(|| judged(Part { rows: &unseen, ..part })),
    };
    let labels = table.labels.clone();
    let logits = TextLogits { texts, labels, overlaps, axes: model.axes, logits: model.logits };
    Ok(runtime.block_on(evaluations::keep(home, found, &logits))?)
}

/// What the run's model says of the texts, and its temperatures. It reads of each text what it read in training.
fn of_the_model(
    folder: &Path,
    run: i64,
    part: Part,
    watch: &mut Watch,
) -> Result<(Answers, BTreeMap<Axis, f64>)> {
    let loaded = predict::load(folder, run)?;
    let encoded = data::encode_rows(part.table, part.rows, &loaded.tokenizer, loaded.max_length, |done| {
        watch.tell(done, part.len())
    })?;
    let encoded = encoded.ok_or(data::Error::Stopped)?;
    let logits = train::answer_all(&loaded.network, &encoded, |done| Ok(watch.tell(done, part.len())))?;
    let logits = logits.ok_or(data::Error::Stopped)?;
    Ok((Answers { axes: loaded.network.head.axes.clone(), logits }, loaded.temperatures()))
}

/// What the bag of words says of the texts, which learns once more from the texts that the run learned from; none where
/// the run is itself of the bag of words, or had none beside it.
fn of_the_words(
    context: &Context,
    run: &Run,
    learned: &LearnedFrom,
    part: Part,
    watch: &mut Watch,
) -> Result<Option<Answers>> {
    let folder = models::built_in_words(context)?;
    let Some(folder) = folder.filter(|_| run.baseline.is_some()) else { return Ok(None) };
    let inputs = Inputs {
        run: run.id,
        config: &run.config,
        model_folder: &folder,
        run_folder: &context.home.run_folder(run.id),
        words_folder: None,
        train: learned.train(),
        valid: part,
        made_up: run.made_up,
        resume: None,
    };
    let (mut done, mut total) = (0, part.len());
    let mut listen = |progress: Progress| -> std::result::Result<Wish, Problem> {
        if let Progress::Baseline { done: steps, total: of } = progress {
            (done, total) = (steps as usize, of as usize);
        }
        Ok(if watch.tell(done, total) { Wish::GoOn } else { Wish::StopNow })
    };
    let logits = train::words_answers(&inputs, &folder, &mut listen)?.ok_or(data::Error::Stopped)?;
    Ok(Some(Answers { axes: run.config.axes.clone(), logits }))
}

/// The logits as the run's own calibration has them, which is how `predict` makes probabilities of them.
fn calibrated(model: &Answers, temperatures: &BTreeMap<Axis, f64>) -> Answers {
    let temperature = |axis: &Axis| temperatures.get(axis).copied().filter(|&temperature| temperature > 0.0);
    let of_axes: Vec<f64> = model.axes.iter().map(|axis| temperature(axis).unwrap_or(1.0)).collect();
    let logits =
        model.logits.iter().zip(of_axes.iter().cycle()).map(|(logit, temperature)| logit / temperature);
    Answers { axes: model.axes.clone(), logits: logits.collect() }
}

/// The judgement on some of the texts, whose rows are their places among the answers.
fn judged_texts(part: Part, model: &Answers, words: Option<&Answers>, seed: u64) -> JudgedTexts {
    let (types, authors) = (part.types(), part.authors());
    let rows = || part.rows.iter().map(|&row| row as usize);
    let of = |answers: &Answers| logits_of_rows(&answers.logits, answers.axes.len(), rows());
    let (model_logits, words_logits) = (of(model), words.map(of));
    let judged = |axes, logits| Judged { axes, logits, types: &types, authors: &authors };
    let model = judged(&model.axes[..], &model_logits[..]);
    let words = words.zip(words_logits.as_ref()).map(|(words, logits)| judged(&words.axes, logits));
    beside_words(&model, words.as_ref(), seed)
}

/// The judgement of a model beside that of the bag of words, where there is one, on the same texts.
pub fn beside_words(model: &Judged, words: Option<&Judged>, seed: u64) -> JudgedTexts {
    JudgedTexts {
        texts: model.types.len() as i64,
        model: metrics::judge(model, seed),
        words: words.map(|words| metrics::judge(words, seed)),
        beside_words: words.map(|words| metrics::compare(model, words, seed)),
    }
}
