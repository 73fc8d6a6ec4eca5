//! What a cross-validation found, for people to read.

use mbti::Axis;
use record::{CrossValidation, FoldFigures, FoldProgress, FoldSpread, Metric, SplitBy, TrainConfig};

use crate::{
    error::Result,
    evaluate,
    print::{self, number, or_dash},
};

/// The metrics of single folds that are shown.
const SHOWN: [Metric; 4] = [Metric::Accuracy, Metric::BalancedAccuracy, Metric::RocAuc, Metric::LogLoss];

/// The judgement on all folds together, and then the folds and how far they lie apart.
pub fn cross_validation(found: &CrossValidation, config: &TrainConfig) -> Result<()> {
    let CrossValidation { run, pooled, folds, by_text, by_author } = found;
    let apart = match config.split_by {
        SplitBy::Author if pooled.model.by_author.is_some() => "its author",
        _ => "this text",
    };
    print::line(&format!(
        "Run {run}, a cross-validation in {} folds: {} judged once, each by a model that learned nothing of {apart}.",
        folds.len(),
        evaluate::texts(pooled.texts)
    ))?;
    if config.load_best_model_at_end || config.early_stopping_patience > 0 {
        print::line(
            "Which evaluation was the best, or the last, was chosen in each fold by the texts that judge it, which \
             flatters a little. --load-best-model-at-end=false without early stopping takes that away.",
        )?;
    }
    evaluate::show_judged(pooled, *run)?;
    levels("texts", by_text, folds.iter().map(|fold| (fold.fold, &fold.by_text)).collect())?;
    let of_authors: Option<Vec<_>> =
        folds.iter().map(|fold| Some((fold.fold, fold.by_author.as_ref()?))).collect();
    if let (Some(spread), Some(of_authors)) = (by_author, of_authors) {
        levels("authors", spread, of_authors)?;
    }
    Ok(())
}

/// Each fold by itself.
fn levels(units: &str, spread: &FoldSpread, folds: Vec<(u32, &FoldFigures)>) -> Result<()> {
    print::heading(&format!("The folds by themselves, by {units}:"))?;
    let mut header = vec!["axis".to_owned(), "metric".to_owned(), "mean ± deviation".to_owned()];
    header.extend(folds.iter().map(|(fold, figures)| format!("fold {fold} ({})", figures.units)));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut rows = Vec::new();
    for (&axis, of_axis) in spread {
        for metric in SHOWN {
            let Some(spread) = of_axis.get(&metric) else { continue };
            let deviation = or_dash(spread.standard_deviation.map(|deviation| format!("{deviation:.3}")));
            let mut row = vec![axis.name().to_owned(), metric.name().to_owned()];
            row.push(format!("{} ± {deviation}", number(Some(spread.mean))));
            row.extend(folds.iter().map(|(_, figures)| number(of(figures, axis, metric))));
            rows.push(row);
        }
    }
    print::table(&header, &rows)
}

fn of(figures: &FoldFigures, axis: Axis, metric: Metric) -> Option<f64> {
    figures.axes.get(&axis)?.get(metric)
}

/// Where the folds of a cross-validation stand.
pub fn folds(folds: &[FoldProgress], of: u32) -> Result<()> {
    for fold in folds {
        let total = or_dash(fold.total_steps.map(|total| total.to_string()));
        print::line(&format!(
            "fold {} of {of}: run {}, {}, steps {}/{total}",
            fold.fold,
            fold.run,
            fold.status.name(),
            fold.step
        ))?;
    }
    Ok(())
}
