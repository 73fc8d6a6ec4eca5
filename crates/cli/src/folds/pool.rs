//! The answers of all folds of a cross-validation, judged together.

use std::collections::{BTreeMap, HashMap};

use data::TextLogits;
use mbti::{Axis, Type};
use metrics::Judged;
use record::{CrossValidation, FoldFigures, FoldJudgement, Run, SplitBy};
use train::{AnswersOf, fold_answers_path};

use crate::{
    Context,
    error::{Error, Result},
    evaluate,
};

/// The judgement on the answers of all folds, which are finished, by their numbers.
///
/// Errors: answers are missing or damaged, or the folds are not of the same texts.
pub fn pool(context: &Context, whole: &Run, folds: &[Run]) -> Result<CrossValidation> {
    let answers = folds.iter().map(|fold| Answers::read(context, fold)).collect::<Result<Vec<_>>>()?;
    let texts = in_order(whole, &answers)?;
    let places = || texts.iter().map(|(_, &place)| place);
    let mut numbers = HashMap::new();
    let types: Vec<Type> = places().map(|(fold, row)| answers[fold].model.labels.types[row]).collect();
    let authors: Vec<Option<u32>> = places()
        .map(|(fold, row)| {
            let author = answers[fold].model.labels.author(row)?;
            let next = numbers.len() as u32;
            Some(*numbers.entry(author).or_insert(next))
        })
        .collect();
    let axes = &answers.first().ok_or(Error::NoAnswers { run: whole.id, fold: 1 })?.model.axes;
    let model = logits_of(places(), answers.iter().map(|found| Some(&found.model)), axes);
    // A fold without a bag of words beside it leaves nothing to compare with.
    let words = logits_of(places(), answers.iter().map(|found| found.words.as_ref()), axes);
    let judged = |logits| Judged { axes, logits, types: &types, authors: &authors };
    let model = model.ok_or(Error::NoAnswers { run: whole.id, fold: 1 })?;
    let seed = u64::from(whole.config.seed);
    let pooled = evaluate::beside_words(&judged(&model[..]), words.as_deref().map(judged).as_ref(), seed);
    let folds = folds.iter().map(of_fold).collect::<Result<Vec<_>>>()?;
    let by_text: Vec<&FoldFigures> = folds.iter().map(|fold| &fold.by_text).collect();
    let by_author: Option<Vec<&FoldFigures>> = folds.iter().map(|fold| fold.by_author.as_ref()).collect();
    Ok(CrossValidation {
        run: whole.id,
        pooled,
        by_text: metrics::spread_of_folds(&by_text),
        by_author: by_author.map(|folds| metrics::spread_of_folds(&folds)),
        folds,
    })
}

/// What was said of the validation texts of one fold.
struct Answers {
    /// The rows of these texts in the data set, in the order of the answers.
    rows: Vec<u32>,
    /// How many texts there are beside these, which the fold learned from.
    others: usize,
    model: TextLogits,
    words: Option<TextLogits>,
}

impl Answers {
    fn read(context: &Context, fold: &Run) -> Result<Answers> {
        let missing = || Error::NoAnswers { run: fold.id, fold: fold.config.fold.unwrap_or(0) };
        let folder = context.home.run_folder(fold.id);
        let split = app::evaluations::split_of(&context.home, fold.id).ok_or_else(missing)?;
        let read = |of| data::read_logits(&fold_answers_path(&folder, of)).map_err(|_| missing());
        let model = read(AnswersOf::Model)?;
        let words = fold.baseline.as_ref().map(|_| read(AnswersOf::Words)).transpose()?;
        let is_of = |found: &TextLogits| found.labels.len() == split.valid.len() && found.axes == model.axes;
        if !is_of(&model) || !words.as_ref().is_none_or(is_of) {
            return Err(missing());
        }
        Ok(Answers { rows: split.valid, others: split.train.len(), model, words })
    }
}

/// By the row of each text in the data set: the fold that judged it, and its place among the answers of that fold.
type Places = BTreeMap<u32, (usize, usize)>;

/// The order of the data set, in which no order of the folds is left.
///
/// Errors: some text was not judged exactly once, or an author in two folds who was to be kept together.
fn in_order(whole: &Run, answers: &[Answers]) -> Result<Places> {
    let differ = || Error::FoldsDiffer { run: whole.id };
    let (mut places, mut fold_of) = (Places::new(), HashMap::new());
    for (fold, found) in answers.iter().enumerate() {
        for (place, &row) in found.rows.iter().enumerate() {
            if places.insert(row, (fold, place)).is_some() {
                return Err(differ());
            }
            let author =
                found.model.labels.author(place).filter(|_| whole.config.split_by == SplitBy::Author);
            if author.is_some_and(|author| *fold_of.entry(author).or_insert(fold) != fold) {
                return Err(differ());
            }
        }
    }
    let is_whole = |found: &Answers| found.rows.len() + found.others == places.len();
    if answers.iter().all(is_whole) { Ok(places) } else { Err(differ()) }
}

/// The answers by their places, `[texts, axes]`; none where a fold has none.
fn logits_of<'a>(
    places: impl Iterator<Item = (usize, usize)>,
    folds: impl Iterator<Item = Option<&'a TextLogits>>,
    axes: &[Axis],
) -> Option<Vec<f64>> {
    let folds = folds.collect::<Option<Vec<&TextLogits>>>()?;
    let count = axes.len();
    Some(places.flat_map(|(fold, place)| folds[fold].logits[place * count..][..count].to_vec()).collect())
}

fn of_fold(fold: &Run) -> Result<FoldJudgement> {
    let number = fold.config.fold.unwrap_or(0);
    let found = fold.assessment.as_ref().ok_or(Error::NoAnswers { run: fold.id, fold: number })?;
    Ok(FoldJudgement {
        fold: number,
        run: fold.id,
        by_text: FoldFigures::from(&found.by_text),
        by_author: found.by_author.as_ref().map(FoldFigures::from),
    })
}
