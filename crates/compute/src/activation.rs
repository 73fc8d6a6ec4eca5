use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::math::{exp, normal_cdf, sigmoid, tanh};

/// The function between the two linear layers of a feed-forward block, or after a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x) by the error function (Hendrycks and Gimpel, arXiv 1606.08415): PyTorch's `gelu`.
    Gelu,
    /// Its approximation x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2: PyTorch's
    /// `gelu(approximate="tanh")`, Transformers' `gelu_new` and `gelu_pytorch_tanh`.
    GeluTanh,
    /// x σ(x) (Elfwing et al., arXiv 1702.03118): `silu`, also called swish.
    Silu,
    /// max(x, 0).
    Relu,
    Tanh,
}

/// 1 / √(2π)
const DENSITY: f32 = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
/// √(2/π)
const TANH_SCALE: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const TANH_CUBIC: f32 = 0.044_715;

impl Activation {
    /// The activation by the name that a config.json gives it.
    pub fn by_name(name: &str) -> Option<Activation> {
        Some(match name {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            _ => return None,
        })
    }

    /// Calls `f` with the function of this activation: its value and its derivative at x. The
    /// choice is made once and not for every element, so that the loop can be vectorised.
    #[inline(always)]
    pub fn with<R>(self, f: impl WithFunction<R>) -> R {
        match self {
            Activation::Gelu => {
                f.call(|x| x * normal_cdf(x), |x| normal_cdf(x) + x * DENSITY * exp(-0.5 * x * x))
            }
            Activation::GeluTanh => f.call(
                |x| 0.5 * x * (1.0 + tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x))),
                |x| {
                    let t = tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x));
                    let inner = TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * x * x);
                    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
                },
            ),
            Activation::Silu => f.call(
                |x| x * sigmoid(x),
                |x| {
                    let s = sigmoid(x);
                    s * (1.0 + x * (1.0 - s))
                },
            ),
            Activation::Relu => f.call(|x| x.max(0.0), |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Activation::Tanh => f.call(tanh, |x| {
                let t = tanh(x);
                1.0 - t * t
            }),
        }
    }
}

/// Code that is compiled once for every activation.
pub trait WithFunction<R> {
    fn call(self, value: impl Fn(f32) -> f32 + Sync, derivative: impl Fn(f32) -> f32 + Sync) -> R;
}
