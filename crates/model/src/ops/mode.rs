use compute::{Dropout, Products, math::mix};

/// Whether a forward pass learns. Dropout happens only in training, and is decided by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Evaluate,
    /// The seed is another one for each forward pass.
    Train {
        seed: u64,
        products: Products,
    },
}

impl Mode {
    /// A pass that learns, with all products in `f32`.
    pub fn train(seed: u64) -> Mode {
        Mode::Train { seed, products: Products::F32 }
    }

    /// The mode for one place in the network, so that no two places drop the same elements.
    #[must_use]
    pub fn at(self, place: u64) -> Mode {
        let seed_at = |seed: u64| mix(seed ^ mix(place));
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train { seed, products } => Mode::Train { seed: seed_at(seed), products },
        }
    }

    /// Dropout with this probability, where it happens.
    pub(crate) fn dropout(self, p: f32) -> Option<Dropout> {
        match self {
            Mode::Train { seed, .. } if p > 0.0 => Some(Dropout { p, seed }),
            Mode::Evaluate | Mode::Train { .. } => None,
        }
    }

    /// How linear layers multiply. What is evaluated is computed in `f32`, as a prediction is.
    pub(crate) fn products(self) -> Products {
        match self {
            Mode::Evaluate => Products::F32,
            Mode::Train { products, .. } => products,
        }
    }

    /// The same with all products in `f32`.
    #[must_use]
    pub(crate) fn in_f32(self) -> Mode {
        match self {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train { seed, .. } => Mode::train(seed),
        }
    }

    /// Whether a graph is kept for a backward pass.
    #[cfg(test)]
    pub(crate) fn tracks(self) -> bool {
        matches!(self, Mode::Train { .. })
    }
}
