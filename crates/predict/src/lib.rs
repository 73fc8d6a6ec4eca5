//! A model folder and a text to probabilities per axis and a type.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use data::{Batch, Tokenizer, encode_one};
use mbti::{Axis, Letter};
use model::{Device, Mode, Network};
use record::{
    AnswerSets, AxisPrediction, Calibration, Prediction, PredictionSets, Problem, ProblemCode, WhyRefused,
};
use serde_json::Value;

/// Texts are read up to so many tokens where the model does not say on how many it was trained.
const DEFAULT_MAX_LENGTH: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no text. Type or paste a few sentences.")]
    EmptyText,
    #[error(
        "The calibration in {} cannot be read: {source}. Train the model again, or take the file from a copy.",
        path.join("config.json").display()
    )]
    Calibration { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error("Arithmetic failed: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Error {
    pub fn problem(&self) -> Problem {
        match self {
            Error::EmptyText => Problem::new(ProblemCode::EmptyText, self),
            Error::Calibration { path, source } => Problem::new(ProblemCode::BadModelFile, self)
                .with("path", path.join("config.json").display())
                .with("reason", source),
            Error::Data(error) => error.problem(),
            Error::Model(error) => error.problem(),
            Error::Candle(_) => Problem::new(ProblemCode::Internal, self),
        }
    }
}

/// A trained model in memory.
pub struct Loaded {
    pub network: Network,
    pub tokenizer: Tokenizer,
    /// Tokens of a text that are read, as in training.
    pub max_length: usize,
    /// What the validation texts told of its probabilities; empty for a model that was not judged.
    calibration: BTreeMap<Axis, Calibration>,
    /// The thresholds of its sets of answers; none for a model that was not judged so.
    sets: Option<PredictionSets>,
    /// Name of the model that the run started from.
    model: String,
    run: i64,
}

/// Loads a model folder that a run has written. It answers on the CPU: for a text at a time a GPU is no faster.
pub fn load(folder: &Path, run: i64) -> Result<Loaded, Error> {
    load_on(folder, run, &Device::Cpu)
}

/// The same on a device.
pub fn load_on(folder: &Path, run: i64, device: &Device) -> Result<Loaded, Error> {
    let network = model::open_on(folder, device)?;
    let wanted =
        network.note("max_length").and_then(Value::as_u64).map_or(DEFAULT_MAX_LENGTH, |n| n as usize);
    let (tokenizer, max_length) = network.tokenizer(wanted)?;
    let model = network.note("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    // A run that has not ended has none; one that cannot be read would leave the model surer of
    // itself than it was found to be, without a word.
    let unreadable = |source| Error::Calibration { path: folder.to_owned(), source };
    let calibration = match network.note("calibration") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(note) => serde_json::from_value(note.clone()).map_err(unreadable)?,
    };
    let sets = match network.note("sets") {
        None => None,
        Some(note) => serde_json::from_value(note.clone()).map_err(unreadable)?,
    };
    Ok(Loaded { network, tokenizer, max_length, calibration, sets, model, run })
}

impl Loaded {
    /// What the logits of each axis are divided by before they become probabilities; an axis is absent that was not
    /// calibrated.
    pub fn temperatures(&self) -> BTreeMap<Axis, f64> {
        self.calibration.iter().map(|(&axis, found)| (axis, found.temperature)).collect()
    }
}

/// The likelier letter of an axis, from the log odds of its second one.
fn judged(axis: Axis, logit: f64, calibration: Option<&Calibration>) -> AxisPrediction {
    let temperature = calibration.map_or(1.0, |calibration| calibration.temperature);
    let second = metrics::probability(logit, temperature);
    let class = usize::from(second > 0.5);
    let of_class = |probability: f64| if class == 1 { probability } else { 1.0 - probability };
    let why = calibration.and_then(|calibration| calibration.refused).map(|refused| refused.why);
    let mut probability = of_class(second);
    let interval = calibration.map(|calibration| {
        let between = |second| {
            let ends = metrics::interval(&calibration.band, logit, second).map(of_class);
            [ends[0].min(ends[1]), ends[0].max(ends[1])]
        };
        if let Some(WhyRefused::NothingTold | WhyRefused::OutOfRange) = why {
            // No temperature makes a probability of this logit: it says no more than the validation
            // texts do. What is no number widens nothing.
            probability = probability.min(between(f64::NAN)[1].max(0.5));
        }
        between(of_class(probability))
    });
    let unsure =
        why == Some(WhyRefused::NothingTold) || interval.is_some_and(|[low, high]| low <= 0.5 && 0.5 <= high);
    AxisPrediction {
        letter: axis.letters()[class],
        probability,
        interval,
        unsure,
        refused: why,
        limited: calibration.is_some_and(|calibration| calibration.at_limit),
    }
}

/// The sets of answers to a text. `logits`: of the second letters, by axis.
fn answer_sets(sets: &PredictionSets, axes: &[Axis], logits: &[f64]) -> AnswerSets {
    let letter = |axis: Axis, second: bool| axis.letters()[usize::from(second)];
    let letters = |(&axis, &logit): (&Axis, &f64)| -> Option<(Axis, Vec<Letter>)> {
        let found = metrics::answers(sets.axes.get(&axis)?.threshold, &[logit]);
        Some((axis, found.into_iter().flatten().map(|second| letter(axis, second)).collect()))
    };
    let name = |classes: &Vec<bool>| -> String {
        let of = |axis| axes.iter().zip(classes).find(|(learned, _)| **learned == axis);
        Axis::ALL
            .map(|axis| of(axis).map_or('-', |(_, &second)| letter(axis, second).as_char()))
            .iter()
            .collect()
    };
    let types = sets.types.map(|types| metrics::answers(types.threshold, logits)).unwrap_or_default();
    AnswerSets {
        coverage: sets.coverage,
        calibration_units: sets.calibration_units,
        least_units: sets.least_units,
        axes: axes.iter().zip(logits).filter_map(letters).collect(),
        types: types.iter().map(name).collect(),
    }
}

/// Judges one text.
pub fn predict(loaded: &Loaded, text: &str) -> Result<Prediction, Error> {
    let begin = Instant::now();
    if text.chars().all(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::EmptyText);
    }
    let one = encode_one(&loaded.tokenizer, text, loaded.max_length)?;
    let (tokens, truncated) = (one.tokens, one.truncated);
    let offsets = vec![0, one.ids.len() as u32];
    let batch = Batch { ids: one.ids, offsets, rows: vec![0], tokens: u64::from(tokens) };
    let logits = loaded.network.forward(&batch, Mode::Evaluate)?.squeeze(0)?.to_vec1::<f32>()?;
    let head = &loaded.network.head;
    let log_odds = head.log_odds(&logits);
    let axes: BTreeMap<Axis, AxisPrediction> = head
        .axes
        .iter()
        .zip(&log_odds)
        .map(|(&axis, &logit)| (axis, judged(axis, logit, loaded.calibration.get(&axis))))
        .collect();
    let letter = |axis: Axis| axes.get(&axis).map_or('-', |found| found.letter.as_char());
    Ok(Prediction {
        mbti: Axis::ALL.into_iter().map(letter).collect(),
        axes,
        sets: loaded.sets.as_ref().map(|sets| answer_sets(sets, &head.axes, &log_odds)),
        model: loaded.model.clone(),
        run: loaded.run,
        milliseconds: begin.elapsed().as_secs_f64() * 1000.0,
        tokens,
        truncated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Estimated, RefusedTemperature, SetThreshold, UncertaintyBand};

    const AXIS: Axis = Axis::JudgingPerceiving;

    fn calibration(temperature: f64, [lower, upper]: [f64; 2]) -> Calibration {
        Calibration {
            temperature,
            at_limit: false,
            refused: None,
            fitted_texts: 10,
            judged_texts: 10,
            log_loss: None,
            calibrated_log_loss: None,
            expected_calibration_error: None,
            calibrated_expected_calibration_error: None,
            band: UncertaintyBand { logits: vec![-9.0, 9.0], lower: vec![lower; 2], upper: vec![upper; 2] },
        }
    }

    fn is_close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn without_a_calibration_the_probability_is_the_networks_own_and_nothing_is_said_of_doubt() {
        for (logit, class) in [(0.1, 1), (-0.1, 0)] {
            let found = judged(AXIS, logit, None);
            assert_eq!(found.letter, AXIS.letters()[class]);
            assert!(is_close(found.probability, 1.0 / (1.0 + (-0.1f64).exp())));
            assert_eq!((found.interval, found.unsure), (None, false));
            assert_eq!((found.refused, found.limited), (None, false));
        }
    }

    #[test]
    fn the_temperature_divides_the_logit() {
        let found = judged(AXIS, 3.0, Some(&calibration(2.0, [0.7, 0.9])));
        assert!(is_close(found.probability, 1.0 / (1.0 + (-1.5f64).exp())));
    }

    #[test]
    fn the_interval_is_that_of_the_letter_which_is_shown() {
        // The same band for both: of class 1 it says 10 to 30 %, which is 70 to 90 % of class 0.
        let found = judged(AXIS, -1.5, Some(&calibration(1.0, [0.1, 0.3])));
        let [low, high] = found.interval.unwrap_or_default();
        assert_eq!(found.letter, AXIS.letters()[0]);
        assert!(is_close(low, 0.7) && is_close(high, 0.9) && !found.unsure);
        assert!(low <= found.probability && found.probability <= high);
    }

    #[test]
    fn an_interval_that_holds_one_half_is_doubt_on_either_side() {
        for logit in [-0.3, 0.3] {
            assert!(judged(AXIS, logit, Some(&calibration(1.0, [0.4, 0.6]))).unsure);
        }
        assert!(!judged(AXIS, 0.3, Some(&calibration(1.0, [0.51, 0.6]))).unsure);
    }

    fn refused(why: WhyRefused, band: [f64; 2]) -> Calibration {
        let refused = Some(RefusedTemperature { temperature: 0.1, why });
        Calibration { refused, ..calibration(1.0, band) }
    }

    #[test]
    fn where_nothing_is_told_no_letter_is_surer_than_the_validation_texts_allow() {
        for (logit, class) in [(6.0, 1), (-6.0, 0)] {
            let found = judged(AXIS, logit, Some(&refused(WhyRefused::NothingTold, [0.4, 0.6])));
            assert_eq!(found.letter, AXIS.letters()[class]);
            assert!(is_close(found.probability, 0.6) && found.unsure, "{found:?}");
            assert!(found.interval.is_some_and(|[low, high]| is_close(low, 0.4) && is_close(high, 0.6)));
        }
        // The letters' shares may be known where the text tells nothing: still either may be right.
        let found = judged(AXIS, 0.1, Some(&refused(WhyRefused::NothingTold, [0.8, 0.9])));
        assert!(found.unsure);
        // Of the rarer letter there is no more than an even chance.
        let found = judged(AXIS, -6.0, Some(&refused(WhyRefused::NothingTold, [0.8, 0.9])));
        assert_eq!((found.letter, found.probability), (AXIS.letters()[0], 0.5));
    }

    #[test]
    fn where_1_is_as_good_as_any_temperature_the_probability_is_the_networks_own() {
        let found = judged(AXIS, 3.0, Some(&refused(WhyRefused::NoBetter, [0.7, 0.9])));
        assert!(is_close(found.probability, 1.0 / (1.0 + (-3f64).exp())) && !found.unsure);
    }

    #[test]
    fn a_prediction_says_why_no_temperature_is_applied_and_whether_the_fitted_one_was_at_its_limit() {
        for why in [WhyRefused::NothingTold, WhyRefused::OutOfRange, WhyRefused::NoBetter] {
            let found = judged(AXIS, 3.0, Some(&refused(why, [0.7, 0.9])));
            assert_eq!((found.refused, found.limited), (Some(why), false));
        }
        let at_limit = Calibration { at_limit: true, ..calibration(100.0, [0.4, 0.6]) };
        let found = judged(AXIS, 3.0, Some(&at_limit));
        assert_eq!((found.refused, found.limited), (None, true));
    }

    fn sets(of_axis: f64, of_types: Option<f64>) -> PredictionSets {
        let set = |threshold| SetThreshold { threshold, coverage: Estimated::default(), mean_size: None };
        PredictionSets {
            coverage: 0.9,
            calibration_units: 20,
            judged_units: 20,
            least_units: 11,
            axes: [(Axis::ExtraversionIntroversion, set(of_axis)), (AXIS, set(of_axis))].into(),
            types: of_types.map(set),
        }
    }

    #[test]
    fn a_set_names_its_letters_and_types_the_likeliest_first() {
        let axes = [AXIS, Axis::ExtraversionIntroversion];
        let logits = [2.0, -0.5];
        let found = answer_sets(&sets(1.0, Some(1.2)), &axes, &logits);
        // −ln σ(±2) is 0.13 and 2.13, −ln σ(±0.5) is 0.47 and 0.97.
        assert_eq!(found.axes[&AXIS], [Letter::P]);
        assert_eq!(found.axes[&Axis::ExtraversionIntroversion], [Letter::E, Letter::I]);
        assert_eq!(found.types, ["E--P", "I--P"]);
        let nothing = PredictionSets { axes: BTreeMap::new(), types: None, ..sets(0.0, None) };
        let found = answer_sets(&nothing, &axes, &logits);
        assert!(found.axes.is_empty() && found.types.is_empty());
    }
}
