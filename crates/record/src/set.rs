use serde_json::{Map, Value};

use crate::{Problem, TrainConfig, config::bad_setting};

impl TrainConfig {
    /// These settings with others laid over them, as JSON by their names or by those that they had
    /// in older versions.
    pub fn overlaid(&self, said: Map<String, Value>) -> Result<TrainConfig, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        for (name, value) in said {
            all[current(&name)] = value;
        }
        serde_json::from_value(all)
    }

    /// Gives the setting of this name the value that a text says, as on a command line: a number,
    /// `true` or `false`, a word, or several words with commas between.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let name = current(name);
        let text = match (name, text.trim()) {
            ("axes", "all") => "E-I,N-S,F-T,J-P",
            (_, text) => text,
        };
        let words = || text.split(',').map(|word| Value::from(word.trim())).collect::<Vec<_>>();
        let readings =
            [serde_json::from_str(text).ok(), Some(Value::from(text)), Some(Value::Array(words()))];
        let mut reasons = Vec::new();
        for value in readings.into_iter().flatten() {
            match self.overlaid(Map::from_iter([(name.to_owned(), value)])) {
                Ok(config) => {
                    config.check()?;
                    *self = config;
                    return Ok(());
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        // A value of the wrong kind was not what was meant, where another reading is of the right one.
        let of_its_kind = reasons.iter().find(|reason| !reason.starts_with("invalid type"));
        let reason = of_its_kind.or(reasons.first()).cloned().unwrap_or_default();
        Err(match reason.strip_prefix("unknown field") {
            Some(_) => unknown_setting(name, text, &allowed(&reason)),
            None => bad_setting(name, text, &allowed(&reason)),
        })
    }
}

/// What a setting may be, out of the reason for which serde or the type of the setting refused a value.
fn allowed(reason: &str) -> String {
    if let Some((_, allowed)) = reason.split_once("allowed are ") {
        return allowed.to_owned();
    }
    let Some((_, expected)) = reason.rsplit_once(", expected ") else { return reason.to_owned() };
    match expected {
        "f64" | "f32" => "a number".to_owned(),
        "u8" | "u32" | "u64" | "usize" => "a whole number, 0 or above".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "words with commas between".to_owned(),
        "a string" => "a word".to_owned(),
        names => names.trim_start_matches("one of ").replace(" or ", ", ").replace('`', ""),
    }
}

/// A setting that is none.
fn unknown_setting(name: &str, value: &str, allowed: &str) -> Problem {
    let message = format!("There is no setting {name}. `mbti train --help` lists all of them.");
    Problem { message, ..bad_setting(name, value, allowed) }
}

/// The name that a setting has now, by that one or by the one of older versions.
fn current(name: &str) -> &str {
    match name {
        "epochs" => "num_train_epochs",
        "batch_size" => "per_device_train_batch_size",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ClassWeighting, GradientCheckpointing, Optim};
    use mbti::Axis;

    #[test]
    fn a_setting_takes_numbers_words_and_lists() {
        let mut config = TrainConfig::default();
        for (name, text) in [
            ("learning_rate", "5e-5"),
            ("seed", "3"),
            ("optim", "adamw_8bit"),
            ("axes", "J-P,E-I"),
            ("class_weights", "0.6,0.4"),
            ("gradient_checkpointing", "true"),
            ("batch_size", "4"),
            ("lora_target_modules", "q_proj"),
        ] {
            config.set(name, text).unwrap();
        }
        assert_eq!((config.learning_rate, config.seed, config.optim), (Some(5e-5), 3, Optim::Adamw8bit));
        assert_eq!(config.axes, [Axis::JudgingPerceiving, Axis::ExtraversionIntroversion]);
        assert_eq!(config.class_weights, ClassWeighting::Given([0.6, 0.4]));
        assert_eq!(config.gradient_checkpointing, GradientCheckpointing::All);
        assert_eq!(config.per_device_train_batch_size, 4);
        assert_eq!(config.lora_target_modules, ["q_proj"]);
    }

    #[test]
    fn a_wrong_name_or_value_is_refused_and_changes_nothing() {
        let mut config = TrainConfig::default();
        for (name, text) in [("lerning_rate", "1"), ("seed", "x"), ("learning_rate", "-1"), ("optim", "sgd")]
        {
            let problem = config.set(name, text).unwrap_err();
            assert_eq!(problem.params["name"], name);
        }
        assert_eq!(config, TrainConfig::default());
    }

    #[test]
    fn a_value_that_is_refused_is_answered_with_those_that_are_allowed() {
        for (name, text, allowed) in [
            ("device", "gpu", "auto, cpu, cuda:0, cuda:1 …"),
            ("dtype", "f16", "f32, bf16, bf16_mixed, tf32"),
            ("optim", "sgd", "adamw, adamw_8bit"),
            ("class_weights", "heavy", "balanced, none, or two numbers above 0 such as 0.6,0.4"),
            ("tokens_per_pass", "many", "auto, none, or a whole number from 4 to 16777216"),
            ("seed", "x", "a whole number, 0 or above"),
            ("seed", "-1", "a whole number, 0 or above"),
            ("learning_rate", "x", "a number"),
            ("load_best_model_at_end", "maybe", "true or false"),
            ("max_length", "2", "a whole number from 4 to 1048576"),
        ] {
            let problem = TrainConfig::default().set(name, text).unwrap_err();
            assert_eq!(problem.params["allowed"], allowed, "{name}");
            let message = format!("{name} cannot be {text}. Allowed: {allowed}. Change it and start again.");
            assert_eq!(problem.message, message);
        }
        let problem = TrainConfig::default().set("lerning_rate", "1").unwrap_err();
        assert_eq!(
            problem.message,
            "There is no setting lerning_rate. `mbti train --help` lists all of them."
        );
    }
}
