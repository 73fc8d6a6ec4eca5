use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Which weights learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum Trainable {
    /// Every weight.
    #[default]
    All,
    /// The head, and a pair of small matrices beside each chosen linear layer
    /// (Hu et al., arXiv 2106.09685); the base model stays as it is.
    Lora,
    /// The head alone.
    Head,
}

impl Trainable {
    pub const ALL: [Trainable; 3] = [Trainable::All, Trainable::Lora, Trainable::Head];

    pub fn name(self) -> &'static str {
        match self {
            Trainable::All => "all",
            Trainable::Lora => "lora",
            Trainable::Head => "head",
        }
    }
}
