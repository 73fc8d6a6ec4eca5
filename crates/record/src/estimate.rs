use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{GradientCheckpointing, UsedDevice};

/// What a run will need. Memory in MiB, times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Estimate {
    /// Whether two measured steps have gone into it; before them there are no times.
    pub measured: bool,
    pub weights_mib: f64,
    pub gradients_mib: f64,
    pub optimizer_mib: f64,
    /// Of the largest batch of the run.
    pub activations_mib: f64,
    /// The program itself, the texts and the tokenizer.
    pub rest_mib: f64,
    /// The most that the process is expected to hold.
    pub peak_mib: f64,
    /// Memory that the system can still give, with what the process has; null where it does not tell.
    pub available_mib: Option<f64>,
    pub total_steps: u32,
    /// Tokens that will be learned from, every pass counted.
    pub tokens: u64,
    pub training_seconds: Option<f64>,
    /// All evaluations and checkpoints together.
    pub evaluation_seconds: Option<f64>,
    /// Which layers will compute their activations again; missing in an estimate of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub checkpointing: Option<GradientCheckpointing>,
    /// How many tokens at most will go through the network at once, if not a batch of the settings; missing in an estimate
    /// of an older version, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub tokens_per_pass: Option<u32>,
}

impl Estimate {
    /// The same for so many runs alike, one after another: their memory is that of one.
    #[must_use]
    pub fn repeated(self, times: u32) -> Estimate {
        let all = |seconds: f64| seconds * f64::from(times);
        Estimate {
            total_steps: self.total_steps.saturating_mul(times),
            tokens: self.tokens.saturating_mul(u64::from(times)),
            training_seconds: self.training_seconds.map(all),
            evaluation_seconds: self.evaluation_seconds.map(all),
            ..self
        }
    }
}

/// What a run will need, and on which device, as chosen for its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RunEstimate {
    pub estimate: Estimate,
    pub used_device: UsedDevice,
}
