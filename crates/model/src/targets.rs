/// What the loss compares the logits of a batch with: the weight of each text in each axis, `[texts, axes]`, positive where
/// class 1 is right and negative where class 0 is. The loss is the sum of what [`Backend`](compute::Backend::cross_entropy)
/// makes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    pub values: Vec<f32>,
    pub axes: usize,
}
