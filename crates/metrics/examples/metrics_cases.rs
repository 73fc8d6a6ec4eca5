//! Made-up judgements with what this crate makes of them, one case a line as JSON, for
//! tests/reference/metrics_parity.py to hold to scikit-learn. Arguments: the seed, and the number
//! of cases.
#![allow(clippy::unwrap_used)]

use mbti::{Axis, Type};
use metrics::{
    Judged, axis_metrics,
    parity::{
        Platt, Points, Sample, Units, assess_with, by_author, by_text, calibrating, fit_platt, halves,
        resample, units,
    },
    probability,
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use record::Calibration;
use serde_json::{Value, json};

/// Every so many cases have intervals, from so many resamples; they take scikit-learn long.
const INTERVALS_EVERY: u64 = 25;
const RESAMPLES: u32 = 40;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap());
    let (seed, count) = (arguments.next().unwrap(), arguments.next().unwrap());
    for number in 0..count {
        println!("{}", case(seed, number));
    }
}

fn case(seed: u64, number: u64) -> Value {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    let texts = size(&mut random);
    let axes: Vec<Axis> = {
        let wanted = random.random_range(1..=4);
        let mut axes: Vec<Axis> = Axis::ALL.sample(&mut random, wanted).copied().collect();
        axes.sort();
        axes
    };
    let authors = authors(&mut random, texts);
    let types = types(&mut random, &authors);
    let logits = logits(&mut random, &axes, &types);
    let judged = Judged { axes: &axes, logits: &logits, types: &types, authors: &authors };
    let resamples = if number.is_multiple_of(INTERVALS_EVERY) { RESAMPLES } else { 0 };
    let case_seed = random.random::<u32>().into();
    let assessment = assess_with(&judged, 1, case_seed, resamples);

    let units = units(&authors, texts);
    let (by_text, by_author) = (by_text(&judged, &units), by_author(&judged, &units));
    let fitted: Vec<Vec<bool>> =
        by_author.axes.iter().map(|axis| halves(&axis.classes, axis.axis.index(), case_seed)).collect();
    let platt: Vec<Option<Vec<f64>>> = (by_text.axes.iter().zip(&fitted).enumerate())
        .map(|(index, (axis, fitted))| {
            Some(platt(&by_text, index, &units, fitted, assessment.calibration.get(&axis.axis)?))
        })
        .collect();
    let (classes, probabilities) = classes_and_probabilities(&mut random);
    json!({
        "classes": classes,
        "probabilities": probabilities,
        "metrics": axis_metrics(&classes, &probabilities),
        "axes": axes,
        "logits": logits,
        "types": types,
        "authors": authors,
        "seed": case_seed,
        "resamples": resamples,
        "counts": (0..resamples).map(|number| resample(case_seed, number, units.count)).collect::<Vec<_>>(),
        "units": units.of_text,
        "text_probabilities": probabilities_of(&by_text),
        "author_probabilities": probabilities_of(&by_author),
        "fitted": fitted,
        "calibrating": calibrating(units.count, case_seed),
        "platt": platt,
        "assessment": assessment,
    })
}

fn probabilities_of(sample: &Sample) -> Vec<Vec<f64>> {
    let of_axis = |logits: &Vec<f64>| logits.iter().map(|&logit| probability(logit, 1.0)).collect();
    sample.axes.iter().map(|axis| of_axis(&axis.logits)).collect()
}

/// The probabilities of the Platt scaling of the fitted half at the logits of the band.
fn platt(
    sample: &Sample,
    index: usize,
    units: &Units,
    fitted: &[bool],
    calibration: &Calibration,
) -> Vec<f64> {
    let axis = &sample.axes[index];
    let chosen: Vec<usize> = (0..sample.units.len()).filter(|&text| fitted[units.of_text[text]]).collect();
    let logits: Vec<f64> = chosen.iter().map(|&text| axis.logits[text]).collect();
    let classes: Vec<bool> = chosen.iter().map(|&text| axis.classes[text]).collect();
    let points = Points::new(&logits, &classes, &vec![0; chosen.len()]);
    let platt = fit_platt(&points, &[1], Platt::default()).unwrap();
    calibration.band.logits.iter().map(|&logit| points.probability(platt, logit)).collect()
}

fn size(random: &mut ChaCha8Rng) -> usize {
    match random.random_range(0..10) {
        0 => random.random_range(0..4),
        1..5 => random.random_range(4..60),
        _ => random.random_range(60..=300),
    }
}

/// No authors, all, or some, in numbers with gaps.
fn authors(random: &mut ChaCha8Rng, texts: usize) -> Vec<Option<u32>> {
    let named = *[0.0, 0.7, 1.0, 1.0].choose(random).unwrap();
    let count = random.random_range(1..40u32);
    (0..texts).map(|_| random.random_bool(named).then(|| 3 * random.random_range(0..count))).collect()
}

/// Types of an author are mostly one; some axes have one class only.
fn types(random: &mut ChaCha8Rng, authors: &[Option<u32>]) -> Vec<Type> {
    let shares: [f64; 4] =
        std::array::from_fn(|_| *[0.0, 0.05, 0.2, 0.4, 0.5, 0.5, 0.7, 1.0].choose(random).unwrap());
    let faithful = *[0.5, 0.9, 1.0].choose(random).unwrap();
    let drawn = |random: &mut ChaCha8Rng| Type::from_classes(shares.map(|share| random.random_bool(share)));
    let of_authors: Vec<Type> = (0..120).map(|_| drawn(random)).collect();
    authors
        .iter()
        .map(|author| match author {
            Some(author) if random.random_bool(faithful) => of_authors[*author as usize],
            _ => drawn(random),
        })
        .collect()
}

/// Logits of every kind: telling much, little, or the opposite; too large, tied, extreme, equal.
fn logits(random: &mut ChaCha8Rng, axes: &[Axis], types: &[Type]) -> Vec<f64> {
    let kinds: Vec<(f64, f64, f64)> = axes
        .iter()
        .map(|_| {
            let signal = *[-1.0, 0.0, 0.3, 1.0, 4.0].choose(random).unwrap();
            let scale = *[0.0, 0.1, 1.0, 1.0, 1.0, 5.0, 200.0].choose(random).unwrap();
            let grain = *[0.0, 0.0, 0.0, 0.5, 2.0].choose(random).unwrap();
            (signal, scale, grain)
        })
        .collect();
    types
        .iter()
        .flat_map(|mbti| axes.iter().zip(&kinds).map(move |(axis, kind)| (mbti.class(*axis), kind)))
        .map(|(class, &(signal, scale, grain))| {
            let noise = (0..4).map(|_| random.random::<f64>()).sum::<f64>() - 2.0;
            let logit = scale * (if class { signal } else { -signal } + 1.7 * noise);
            if grain > 0.0 { (logit / grain).round() * grain } else { logit }
        })
        .collect()
}

/// Classes and probabilities among which 0, 1, one half and the edges of bins are common.
fn classes_and_probabilities(random: &mut ChaCha8Rng) -> (Vec<bool>, Vec<f64>) {
    let count = size(random);
    let share = *[0.0, 0.1, 0.5, 0.5, 0.9, 1.0].choose(random).unwrap();
    let odd = *[0.0, 0.2, 1.0].choose(random).unwrap();
    let probability = |random: &mut ChaCha8Rng| {
        if !random.random_bool(odd) {
            return random.random::<f64>();
        }
        match random.random_range(0..6) {
            0 => 0.0,
            1 => 1.0,
            2 => 0.5,
            3 => 1e-300,
            _ => f64::from(random.random_range(0..=15u8)) / 15.0,
        }
    };
    (0..count).map(|_| (random.random_bool(share), probability(random))).unzip()
}
