//! Settings that are one of a few words.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// An enum of unit variants whose names in text are their own in snake case, with a list of all
/// of them and their names, so that a wrong word can be answered with the right ones.
macro_rules! choices {
    ($(#[$about:meta])* $type:ident { $($(#[$meaning:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, TS)]
        #[ts(export)]
        pub enum $type {
            $($(#[$meaning])* #[serde(rename = $name)] $variant),+
        }

        impl $type {
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }
    };
}

choices! {
    /// How the learning rate goes on after its warmup, as Transformers' schedulers of these names.
    LrSchedulerType {
        /// Down a straight line to 0 after the last step.
        #[default]
        Linear = "linear",
        /// Down half a wave of the cosine to 0.
        Cosine = "cosine",
        /// Always the same, without a warmup.
        Constant = "constant",
        ConstantWithWarmup = "constant_with_warmup",
    }
}

choices! {
    Optim {
        /// AdamW (Loshchilov and Hutter, arXiv 1711.05101) with its two moments in 32 bits.
        #[default]
        Adamw = "adamw",
        /// The same with both moments in 8 bits (Dettmers et al., arXiv 2110.02861).
        Adamw8bit = "adamw_8bit",
    }
}

choices! {
    /// What is held out whole when a part of the data is.
    SplitBy {
        /// Authors, so that none stands on both sides; single texts where none is named.
        #[default]
        Author = "author",
        /// Single texts, as the tutorial does, which flatters the metrics: a model can recognise
        /// an author's other texts.
        Text = "text",
    }
}

choices! {
    /// What a model is judged by. All but the loss are by axis.
    Metric {
        /// The class-weighted loss that was trained on.
        #[default]
        Loss = "loss",
        Accuracy = "accuracy",
        F1 = "f1",
        MacroF1 = "macro_f1",
        BalancedAccuracy = "balanced_accuracy",
        Mcc = "mcc",
        RocAuc = "roc_auc",
        LogLoss = "log_loss",
        ExpectedCalibrationError = "expected_calibration_error",
    }
}

impl Metric {
    pub fn greater_is_better(self) -> bool {
        !matches!(self, Metric::Loss | Metric::LogLoss | Metric::ExpectedCalibrationError)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_are_those_that_serde_writes() {
        for &metric in Metric::ALL {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{}\"", metric.name()));
        }
        assert_eq!(serde_json::from_str::<Optim>("\"adamw_8bit\"").unwrap(), Optim::Adamw8bit);
    }
}
