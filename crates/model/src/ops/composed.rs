//! The operations of the head and the loss out of candle's own differentiable ones, for devices that our custom operations
//! have no kernels for. They work on a row a text, so that what they lack in speed is nothing beside the layers. All
//! tensors are in `f32`.

use candle_core::{D, Result, Tensor};
use compute::{Activation, Dropout, cpu::rows::drop_all};

/// See [`super::linear`]; sums and factors are in `f32`.
pub(super) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    b.map_or(Ok(y.clone()), |b| y.broadcast_add(b))
}

/// See [`super::layer_norm`].
pub(super) fn layer_norm(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let y = rms_norm(&centred, w, eps)?;
    b.map_or(Ok(y.clone()), |b| y.broadcast_add(b))
}

/// See [`super::rms_norm`].
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&deviation)?.broadcast_mul(w)
}

/// See [`super::mean`]: a product with the matrix `[texts, total]` of what each token counts in each text.
pub(super) fn mean(x: &Tensor, offsets: &[u32]) -> Result<Tensor> {
    let (total, _) = x.dims2()?;
    let texts = offsets.len().saturating_sub(1);
    let mut shares = vec![0f32; texts * total];
    for (range, shares) in offsets.windows(2).zip(shares.chunks_mut(total.max(1))) {
        let tokens = &mut shares[range[0] as usize..range[1] as usize];
        let share = 1.0 / tokens.len().max(1) as f32;
        tokens.fill(share);
    }
    Tensor::from_vec(shares, (texts, total), x.device())?.matmul(x)
}

/// See [`super::dropout`]: the mask is that of the CPU, so that a seed drops the same numbers everywhere.
pub(super) fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    let mut mask = vec![1f32; x.elem_count()];
    drop_all(&mut mask, Some(dropout));
    x * Tensor::from_vec(mask, x.shape(), x.device())?
}

/// See [`super::activate`].
pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Silu => x.silu(),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        Mode,
        ops::{
            self,
            gradient_check::{check, random},
        },
    };
    use candle_core::Var;
    use compute::Products;

    /// Values and gradients of both are the same but for rounding, and the gradients those of finite differences.
    fn same(
        inputs: &[Tensor],
        composed: impl Fn(&[Tensor]) -> Result<Tensor>,
        ours: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) {
        check(inputs, &composed);
        let learned = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>| -> Vec<Vec<f32>> {
            let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
            let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
            let y = f(&tensors).unwrap();
            let grads = (&y * random(y.dims(), 99)).unwrap().sum_all().unwrap().backward().unwrap();
            let of_vars = vars.iter().map(|var| grads.get(var).unwrap().clone());
            let all = std::iter::once(y.clone()).chain(of_vars);
            all.map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
        };
        for (found, exact) in learned(&composed).iter().zip(learned(&ours)) {
            let largest = exact.iter().fold(1f32, |most, x| most.max(x.abs()));
            let off = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(off <= 4e-6 * largest, "off by {off} of {largest}");
        }
    }

    #[test]
    fn each_composed_operation_is_that_of_our_own_with_its_gradients() {
        let (x, w, b) = (random(&[5, 9], 1), random(&[9], 2), random(&[9], 3));
        let all = [x.clone(), w.clone(), b];
        same(
            &all,
            |v| layer_norm(&v[0], &v[1], Some(&v[2]), 1e-5),
            |v| ops::layer_norm(&v[0], &v[1], Some(&v[2]), 1e-5),
        );
        same(
            &all[..2],
            |v| layer_norm(&v[0], &v[1], None, 1e-5),
            |v| ops::layer_norm(&v[0], &v[1], None, 1e-5),
        );
        same(&all[..2], |v| rms_norm(&v[0], &v[1], 1e-6), |v| ops::rms_norm(&v[0], &v[1], 1e-6));
        let (matrix, bias) = (random(&[4, 9], 4), random(&[4], 5));
        let layer = [x.clone(), matrix, bias];
        same(
            &layer,
            |v| linear(&v[0], &v[1], Some(&v[2])),
            |v| ops::linear(&v[0], &v[1], Some(&v[2]), Products::F32),
        );
        same(&layer[..2], |v| linear(&v[0], &v[1], None), |v| ops::linear(&v[0], &v[1], None, Products::F32));
        let x = &all[..1];
        let offsets = [0, 2, 2, 5];
        same(x, |v| mean(&v[0], &offsets), |v| ops::mean(&v[0], offsets.into()));
        let mode = Mode::train(7);
        same(x, |v| dropout(&v[0], mode.dropout(0.4).unwrap()), |v| ops::dropout(&v[0], 0.4, mode));
        // Away from 0, where relu has no derivative.
        let far = (&x[0] * 3.0).unwrap();
        let far = [(&far + (far.sign().unwrap() * 0.05).unwrap()).unwrap()];
        for activation in
            [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Relu, Activation::Tanh]
        {
            same(&far, |v| activate(&v[0], activation), |v| ops::activate(&v[0], activation));
        }
    }
}
