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
        Err(bad_setting(name, text, &format!("what it takes ({reason})")))
    }
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
}
