use super::math::mix;

/// Whether a forward pass learns. Dropout happens only in training, and is decided by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Evaluate,
    /// The seed is another one for each forward pass.
    Train {
        seed: u64,
    },
    /// What training computes, its dropout included, but with no graph kept: for the first pass
    /// of gradient checkpointing.
    Rehearse {
        seed: u64,
    },
}

impl Mode {
    /// The mode for one place in the network, so that no two places drop the same elements.
    #[must_use]
    pub fn at(self, place: u64) -> Mode {
        let seed_at = |seed: u64| mix(seed ^ mix(place));
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train { seed } => Mode::Train { seed: seed_at(seed) },
            Mode::Rehearse { seed } => Mode::Rehearse { seed: seed_at(seed) },
        }
    }

    /// Probability and seed of dropout, where it happens.
    pub(crate) fn dropout(self, p: f32) -> Option<(f32, u64)> {
        match self {
            Mode::Train { seed } | Mode::Rehearse { seed } if p > 0.0 => Some((p, seed)),
            Mode::Evaluate | Mode::Train { .. } | Mode::Rehearse { .. } => None,
        }
    }

    /// Whether a graph is kept for a backward pass.
    pub(crate) fn tracks(self) -> bool {
        matches!(self, Mode::Train { .. })
    }
}
