//! What the numbers of any family's config.json may be.

/// No size of a model comes near it, and the product of two below it does not overflow.
pub(crate) const LARGEST: usize = 1 << 24;

/// Whether these can be probabilities of dropout.
pub(crate) fn check_dropouts(all: &[f32]) -> Result<(), String> {
    match all.iter().find(|p| !(0.0..1.0).contains(*p)) {
        Some(p) => Err(format!("a dropout probability is {p}, but must be from 0 to below 1")),
        None => Ok(()),
    }
}
