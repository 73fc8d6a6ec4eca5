use crate::weights::Weight;

/// A linear layer, with LoRA's matrices beside it where it has them.
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Weight>,
    pub(crate) lora: Option<Lora>,
}

/// LoRA beside a linear layer (Hu et al., arXiv 2106.09685): the layer gives
/// x Wᵀ + b + s · dropout(x) Aᵀ Bᵀ. A is `[r, in]`, B `[out, r]`, both in `f32`.
pub(crate) struct Lora {
    pub(crate) a: Weight,
    pub(crate) b: Weight,
    pub(crate) scale: f64,
    pub(crate) dropout: f32,
}

/// A normalisation over the features of a token.
pub(crate) struct Norm {
    pub(crate) weight: Weight,
    pub(crate) eps: f64,
    pub(crate) kind: NormKind,
}

pub(crate) enum NormKind {
    Layer { bias: Option<Weight> },
    RootMeanSquare,
}
