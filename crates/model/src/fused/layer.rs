//! Linear layers and norms on slices, whose weights' gradients go straight to where they are summed.

use std::ops::Deref;

use candle_core::{CpuStorage, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use crate::{
    kernels::{Products, View, ViewMut, buffer, product_in},
    layers,
    ops::{math::sum_of_parts, norms},
    timing::timed,
    weights::Weight,
};

/// The elements of a tensor in `f32`, for as long as they are read.
pub(super) struct Values<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    from: usize,
    to: usize,
}

impl<'a> Values<'a> {
    pub(super) fn of(tensor: &'a Tensor) -> Result<Values<'a>> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((from, to))) => {
                Ok(Values { storage: Box::new(storage), from, to })
            }
            _ => bail!("a block as one operation reads contiguous f32 on the CPU"),
        }
    }

    pub(super) fn slice(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.from..self.to],
            _ => &[],
        }
    }
}

/// `out = x wᵀ`, without the bias, which goes into whatever comes next. x `[n, in]`, out `[n, out]`.
pub(super) fn forward(products: Products, layer: &layers::Linear, x: View, out: &mut ViewMut) -> Result<()> {
    let weight = Values::of(layer.weight.values())?;
    let w = View::new(weight.slice(), layer.weight.values().dim(1)?);
    product_in(products, out, x, w.turned(), false)
}

/// With the gradient g of the result: ∂w = gᵀ x and ∂b = 1ᵀ g to where they are summed.
pub(super) fn backward_weights(products: Products, layer: &layers::Linear, x: View, g: View) -> Result<()> {
    if let Some(sum) = layer.weight.gradient() {
        let shape = layer.weight.values().shape();
        let columns = shape.dims2()?.1;
        sum.put(shape, |dw, add| product_in(products, &mut ViewMut::new(dw, columns), g.turned(), x, add))?;
    }
    if let Some((bias, sum)) = layer.bias.as_ref().and_then(|bias| Some((bias, bias.gradient()?))) {
        sum.put(bias.values().shape(), |db, add| {
            timed("biases and residuals", || column_sums(g, db, add));
            Ok(())
        })?;
    }
    Ok(())
}

/// `dx = g w`, or `dx += g w` with `add`.
pub(super) fn backward_input(
    products: Products,
    layer: &layers::Linear,
    g: View,
    dx: &mut ViewMut,
    add: bool,
) -> Result<()> {
    let weight = Values::of(layer.weight.values())?;
    let w = View::new(weight.slice(), layer.weight.values().dim(1)?);
    product_in(products, dx, g, w, add)
}

/// Columns that one task sums.
const COLUMNS: usize = 64;

/// The sum of every column of g, each from the first row to the last.
fn column_sums(g: View, sums: &mut [f32], add: bool) {
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(piece, sums)| {
        if !add {
            sums.fill(0.0);
        }
        let g = g.columns(piece * COLUMNS..piece * COLUMNS + sums.len());
        add_rows(sums, g);
    });
}

crate::vectorised! {
    fn add_rows<'a>(sums: &'a mut [f32], g: View<'a>) {
        for row in 0..g.row_count() {
            sums.iter_mut().zip(g.row(row)).for_each(|(sum, g)| *sum += g);
        }
    }
}

/// A norm with its weights at hand.
pub(super) struct Norm<'a> {
    norm: &'a layers::Norm,
    weight: Values<'a>,
    bias: Option<(&'a Weight, Values<'a>)>,
}

impl<'a> Norm<'a> {
    pub(super) fn of(norm: &'a layers::Norm) -> Result<Norm<'a>> {
        let bias = match &norm.kind {
            layers::NormKind::Layer { bias: Some(bias) } => Some((bias, Values::of(bias.values())?)),
            layers::NormKind::Layer { bias: None } | layers::NormKind::RootMeanSquare => None,
        };
        Ok(Norm { norm, weight: Values::of(norm.weight.values())?, bias })
    }

    pub(super) fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (w, eps) = (self.weight.slice(), self.norm.eps as f32);
        timed("norms", || match (&self.norm.kind, &self.bias) {
            (layers::NormKind::RootMeanSquare, _) => norms::rms_norm_forward(x, w, eps, y),
            (_, Some((_, b))) => norms::layer_norm_forward(x, w, b.slice(), eps, y),
            (_, None) => norms::layer_norm_forward(x, w, &vec![0.0; w.len()], eps, y),
        });
    }

    /// The gradient of x into dx; those of the weights to where they are summed.
    pub(super) fn backward(&self, x: &[f32], g: &[f32], dx: &mut [f32]) -> Result<()> {
        let (w, eps) = (self.weight.slice(), self.norm.eps as f32);
        let parts = timed("norms", || match &self.norm.kind {
            layers::NormKind::RootMeanSquare => norms::rms_norm_backward(x, w, g, eps, dx),
            layers::NormKind::Layer { .. } => norms::layer_norm_backward(x, w, g, eps, dx),
        });
        let put = |weight: &Weight, from: usize| {
            let Some(sum) = weight.gradient() else { return Ok(()) };
            sum.put(weight.values().shape(), |values, add| {
                sum_of_parts(&parts, from, values, add);
                Ok(())
            })
        };
        put(&self.norm.weight, 0)?;
        match &self.bias {
            Some((bias, _)) => put(bias, w.len()),
            None => Ok(()),
        }
    }
}

/// A new buffer with the norm of x.
pub(super) fn normed(norm: &Norm, x: &[f32]) -> crate::kernels::Buffer {
    let mut y = buffer(x.len());
    norm.forward(x, &mut y);
    y
}
