use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};

use super::{
    add_into::add_storage,
    element::slice,
    linear::{add_bias, gradient_of_w, gradient_of_x, product, wide_gradient},
};
use compute::Products;

/// A frozen linear layer with what LoRA adds (Hu et al., arXiv 2106.09685): `x wᵀ + bias + low bᵀ`.
///
/// Shapes: x `[n, in]`, w `[out, in]` and the result `[n, out]` in one precision; bias `[out]`,
/// low `[n, r]` and b `[out, r]` in `f32`. With the gradient g of the result: ∂x = g w, ∂low = g b,
/// ∂b = gᵀ low. The weight and its bias are captured and get none. As one operation it keeps
/// neither the layer's own result nor what is added to it.
pub fn adapted(
    x: &Tensor,
    low: &Tensor,
    b: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    products: Products,
) -> Result<Tensor> {
    let (w, bias) = (w.detach(), bias.map(Tensor::detach));
    x.contiguous()?.apply_op3(&low.contiguous()?, b, Adapted { w, bias, products })
}

struct Adapted {
    w: Tensor,
    bias: Option<Tensor>,
    products: Products,
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "adapted-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        low: &CpuStorage,
        low_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (w, w_layout) = self.w.storage_and_layout();
        let Storage::Cpu(w) = &*w else { bail!("only the CPU is supported") };
        let (mut y, shape) = product((x, x_layout), (w, w_layout), self.products)?;
        if let Some(bias) = &self.bias {
            let (bias, layout) = bias.storage_and_layout();
            let Storage::Cpu(bias) = &*bias else { bail!("only the CPU is supported") };
            add_bias(&mut y, slice(bias, layout)?)?;
        }
        let (added, added_shape) = product((low, low_layout), (b, b_layout), self.products)?;
        if added_shape != shape {
            bail!("LoRA gives {added_shape:?} beside a layer that gives {shape:?}");
        }
        let all = 0..shape.elem_count();
        add_storage(&mut y, all, added.as_slice::<f32>()?)?;
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        low: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = wide_gradient(grad)?;
        let dx = x.track_op().then(|| gradient_of_x(&grad, &self.w, x.dtype(), self.products)).transpose()?;
        let dlow = low.track_op().then(|| gradient_of_x(&grad, b, DType::F32, self.products)).transpose()?;
        let db = b.track_op().then(|| gradient_of_w(low, &grad, DType::F32, self.products)).transpose()?;
        Ok((dx, dlow, db))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::{
        gradient_check::{check, check_bf16, random},
        linear,
    };

    fn inputs() -> [Tensor; 3] {
        [random(&[5, 7], 1), random(&[5, 2], 2), random(&[3, 2], 3)]
    }

    #[test]
    fn the_result_is_that_of_the_layer_and_of_lora_by_themselves() {
        let ([x, low, b], w, bias) = (inputs(), random(&[3, 7], 4), random(&[3], 5));
        let plain = (linear(&x, &w, Some(&bias), Products::F32).unwrap()
            + linear(&low, &b, None, Products::F32).unwrap())
        .unwrap();
        let found = adapted(&x, &low, &b, &w, Some(&bias), Products::F32).unwrap();
        let off = (found - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(off < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let (w, bias) = (random(&[3, 7], 4), random(&[3], 5));
        check(&inputs(), |v| adapted(&v[0], &v[1], &v[2], &w, Some(&bias), Products::F32));
        let halved = |v: &[Tensor]| {
            let w = w.to_dtype(DType::BF16)?.to_dtype(v[0].dtype())?;
            adapted(&v[0], &v[1], &v[2], &w, None, Products::F32)
        };
        check_bf16(&inputs(), &[true, false, false], halved);
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error_and_no_panic() {
        let ([x, low, b], w) = (inputs(), random(&[4, 7], 4));
        assert!(adapted(&x, &low, &b, &w, None, Products::F32).is_err());
    }
}
