/// In what moments are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    F32,
    /// By blocks of 8 bits.
    Blocks8,
}

/// The numbers of one step of AdamW on one weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What the gradient is multiplied by, so that the norm of all is no larger than is wanted.
    pub clip: f32,
    pub beta1: f32,
    pub beta2: f32,
    /// 1 − β₁ and 1 − β₂ rounded from double precision, as PyTorch has them: in `f32`, 1 − 0.999 is
    /// off by 5e-5 of itself.
    pub rest1: f32,
    pub rest2: f32,
    pub step_size: f32,
    pub root_correction: f32,
    pub epsilon: f32,
    /// What weight decay leaves of the weight.
    pub keep: f32,
}
