use std::f64::consts::PI;

use serde_json::{Map, Value};

/// The frequencies of rotary position embedding that a config.json asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frequencies {
    /// `[half]`: for half of the features of a head that are turned.
    short: Vec<f32>,
    /// Those for texts with more tokens than this (longrope).
    long: Option<(usize, Vec<f32>)>,
    /// A factor on cos and sin.
    factor: f32,
}

impl Frequencies {
    /// Frequencies `[half]` for a text of so many tokens, and the factor on cos and sin.
    ///
    /// Transformers chooses between short and long by the longest text of a batch; here every
    /// text has its own, as it would have alone.
    pub(crate) fn of(&self, tokens: usize) -> (&[f32], f32) {
        match &self.long {
            Some((original, long)) if tokens > *original => (long, self.factor),
            _ => (&self.short, self.factor),
        }
    }
}

/// Reads a model's rotary settings, in the layout of Transformers 5 (`rope_parameters`, by kind
/// of layer where there are several) or in the older one (`rope_theta` and `rope_scaling`).
///
/// `layer_type` is the kind of layer, `default_theta` the base where none is given. The kinds
/// `default`, `linear`, `llama3` and `longrope` (also called `su`) are those of Transformers'
/// modeling_rope_utils.py; longrope is of Ding et al., arXiv 2402.13753.
pub(crate) fn frequencies(
    config: &Map<String, Value>,
    layer_type: &str,
    head_dim: usize,
    default_theta: f64,
) -> Result<Frequencies, String> {
    let empty = Map::new();
    let object = |name: &str| config.get(name).and_then(Value::as_object);
    let parameters = object("rope_scaling").or_else(|| object("rope_parameters")).unwrap_or(&empty);
    let parameters = parameters.get(layer_type).and_then(Value::as_object).unwrap_or(parameters);
    // What stands with the scaling counts more than what stands beside it.
    let number = |name: &str| -> Result<Option<f64>, String> {
        match parameters.get(name).filter(|value| !value.is_null()).or_else(|| config.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if number > 0.0 && number.is_finite() => Ok(Some(number)),
                _ => Err(format!("{name} of its rotary embedding is {value}, but must be a number above 0")),
            },
        }
    };
    let needed = |name: &str| number(name)?.ok_or_else(|| format!("its rotary embedding lacks {name}"));

    let theta = number("rope_theta")?.unwrap_or(default_theta);
    let dim = (head_dim as f64 * number("partial_rotary_factor")?.unwrap_or(1.0)) as usize;
    if dim == 0 || !dim.is_multiple_of(2) || dim > head_dim {
        return Err(format!("{dim} of the {head_dim} features of a head cannot be turned in pairs"));
    }
    let half = dim / 2;
    let plain: Vec<f64> = (0..half).map(|i| theta.powf(-(2.0 * i as f64) / dim as f64)).collect();
    let round = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    let kind = parameters.get("rope_type").or_else(|| parameters.get("type")).and_then(Value::as_str);
    match kind.unwrap_or("default") {
        "default" => Ok(Frequencies { short: round(&plain), long: None, factor: 1.0 }),
        "linear" => {
            let factor = needed("factor")?;
            let scaled: Vec<f64> = plain.iter().map(|frequency| frequency / factor).collect();
            Ok(Frequencies { short: round(&scaled), long: None, factor: 1.0 })
        }
        "llama3" => {
            let (factor, low, high) =
                (needed("factor")?, needed("low_freq_factor")?, needed("high_freq_factor")?);
            let original = match number("original_max_position_embeddings")? {
                Some(original) => original,
                None => needed("max_position_embeddings")?,
            };
            let scaled: Vec<f64> =
                plain.iter().map(|&frequency| llama3(frequency, factor, low, high, original)).collect();
            Ok(Frequencies { short: round(&scaled), long: None, factor: 1.0 })
        }
        "longrope" | "su" => {
            // Phi-3 has the original length beside the scaling, where it counts more.
            let original = match config.get("original_max_position_embeddings").and_then(Value::as_f64) {
                Some(original) => original,
                None => needed("original_max_position_embeddings")?,
            };
            let factor = match number("factor")? {
                Some(factor) => factor,
                None => needed("max_position_embeddings")? / original,
            };
            let usual = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() };
            let scaled = |name: &str| -> Result<Vec<f32>, String> {
                let factors = parameters.get(name).and_then(Value::as_array);
                let factors: Vec<f64> = factors.into_iter().flatten().filter_map(Value::as_f64).collect();
                if factors.len() != half || factors.iter().any(|&factor| factor <= 0.0) {
                    return Err(format!("{name} of its rotary embedding must be {half} numbers above 0"));
                }
                Ok(plain.iter().zip(factors).map(|(frequency, factor)| (frequency / factor) as f32).collect())
            };
            let long = Some((original as usize, scaled("long_factor")?));
            let factor = number("attention_factor")?.unwrap_or(usual) as f32;
            Ok(Frequencies { short: scaled("short_factor")?, long, factor })
        }
        other => Err(format!(
            "its rotary embedding is of the kind \"{other}\"; known are default, linear, llama3 and longrope"
        )),
    }
}

/// Long wavelengths are divided, short ones stay, and those between are blended.
fn llama3(frequency: f64, factor: f64, low: f64, high: f64, original: f64) -> f64 {
    let wavelength = 2.0 * PI / frequency;
    if wavelength > original / low {
        return frequency / factor;
    }
    if wavelength < original / high {
        return frequency;
    }
    let smooth = (original / wavelength - low) / (high - low);
    (1.0 - smooth) * frequency / factor + smooth * frequency
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(config: Value) -> Result<Frequencies, String> {
        frequencies(config.as_object().unwrap(), "full_attention", 8, 10_000.0)
    }

    #[test]
    fn the_old_and_the_new_layout_mean_the_same() {
        let old = json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.0}});
        let new = json!({"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}});
        let nested = json!({"rope_parameters": {
            "full_attention": {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 7.0},
        }});
        let expected = read(old).unwrap();
        assert_eq!(expected.of(1).0[0], 0.5);
        assert_eq!(read(new).unwrap(), expected);
        assert_eq!(read(nested).unwrap(), expected);
    }

    #[test]
    fn longrope_takes_its_long_factors_past_the_original_length_only() {
        let config = json!({
            "original_max_position_embeddings": 16, "max_position_embeddings": 64,
            "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 4, 8, 16]},
        });
        let found = read(config).unwrap();
        assert_eq!((found.of(16).0[0], found.of(17).0[0]), (1.0, 0.5));
        let factor = (1.0 + 4f64.ln() / 16f64.ln()).sqrt() as f32;
        assert_eq!((found.of(16).1, found.of(17).1), (factor, factor));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name() {
        for (config, named) in [
            (json!({"rope_theta": -1}), "rope_theta"),
            (json!({"partial_rotary_factor": 0.4}), "pairs"),
            (json!({"rope_scaling": {"type": "yarn", "factor": 2.0}}), "yarn"),
            (json!({"rope_scaling": {"type": "linear"}}), "factor"),
            (
                json!({"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]},
                    "original_max_position_embeddings": 4, "max_position_embeddings": 8}),
                "factor",
            ),
        ] {
            let error = read(config.clone()).unwrap_err();
            assert!(error.contains(named), "{config}: {error}");
        }
    }
}
