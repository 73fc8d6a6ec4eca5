use serde::{Deserialize, Deserializer, Serialize, de::Error};
use ts_rs::TS;

/// Which layers compute their activations again in the backward pass rather than keep them (Chen et al., arXiv 1604.06174):
/// less memory, more time, and the same gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum GradientCheckpointing {
    /// On a GPU as few as leave the run within the memory that is free, on a processor none.
    #[default]
    Auto,
    None,
    /// Every other layer.
    Alternate,
    All,
}

impl GradientCheckpointing {
    pub const ALL: [GradientCheckpointing; 4] = [
        GradientCheckpointing::Auto,
        GradientCheckpointing::None,
        GradientCheckpointing::Alternate,
        GradientCheckpointing::All,
    ];

    pub fn name(self) -> &'static str {
        match self {
            GradientCheckpointing::Auto => "auto",
            GradientCheckpointing::None => "none",
            GradientCheckpointing::Alternate => "alternate",
            GradientCheckpointing::All => "all",
        }
    }
}

/// By its name, or as older versions wrote it: true for all layers and false for none.
impl<'de> Deserialize<'de> for GradientCheckpointing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Whether(bool),
            Which(String),
        }
        let expected = "auto, none, alternate or all, or true or false";
        match Said::deserialize(deserializer).map_err(|_| D::Error::custom(format!("it is {expected}")))? {
            Said::Whether(true) => Ok(GradientCheckpointing::All),
            Said::Whether(false) => Ok(GradientCheckpointing::None),
            Said::Which(name) => GradientCheckpointing::ALL
                .into_iter()
                .find(|way| way.name() == name)
                .ok_or_else(|| D::Error::custom(format!("`{name}` is none of {expected}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TrainConfig;

    #[test]
    fn a_run_and_a_file_of_an_older_version_mean_all_by_true_and_none_by_false() {
        for (old, now) in [("true", GradientCheckpointing::All), ("false", GradientCheckpointing::None)] {
            let config: TrainConfig =
                serde_json::from_str(&format!("{{\"gradient_checkpointing\": {old}}}")).unwrap();
            assert_eq!(config.gradient_checkpointing, now);
            let mut config = TrainConfig::default();
            config.set("gradient_checkpointing", old).unwrap();
            assert_eq!(config.gradient_checkpointing, now);
        }
    }

    #[test]
    fn each_way_is_read_by_the_name_that_it_is_written_by_and_nothing_else_is() {
        for way in GradientCheckpointing::ALL {
            let written = serde_json::to_value(way).unwrap();
            assert_eq!(written, way.name());
            assert_eq!(serde_json::from_value::<GradientCheckpointing>(written).unwrap(), way);
        }
        for wrong in ["\"some\"", "1", "null"] {
            let error = serde_json::from_str::<GradientCheckpointing>(wrong).unwrap_err().to_string();
            assert!(error.contains("auto, none, alternate or all"), "{error}");
        }
    }
}
