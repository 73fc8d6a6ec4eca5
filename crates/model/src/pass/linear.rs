//! Linear layers, with LoRA beside them where they have it.

use candle_core::Result;
use compute::{Backend, In, Matrix, Out};

use crate::{Gradients, Mode, layers::Linear};

/// What LoRA's backward needs of the forward: s · dropout(x) Aᵀ `[n, r]`, of each of some layers.
pub(super) type Lows<B> = Vec<Option<Matrix<B>>>;

/// Calls `f` with dropout(x).
fn with_dropped<B: Backend>(
    backend: &B,
    x: In<B>,
    p: f32,
    mode: Mode,
    f: impl FnOnce(In<B>) -> Result<()>,
) -> Result<()> {
    let Some(dropout) = mode.dropout(p) else { return f(x) };
    let (rows, cols) = x.shape();
    let mut dropped = Matrix::new(backend, rows, cols)?;
    backend.drop(dropped.all_mut().values, x.contiguous()?, dropout)?;
    f(dropped.all())
}

/// `out = x wᵀ`, and with LoRA + s · dropout(x) Aᵀ Bᵀ, without the bias, which goes into whatever comes next. x `[n, in]`,
/// out `[n, out]`.
pub(super) fn forward<B: Backend>(
    backend: &B,
    layer: &Linear,
    x: In<B>,
    mut out: Part<'_, B>,
    mode: Mode,
) -> Result<Option<Matrix<B>>> {
    let products = mode.products();
    backend.product_held(out.part(), x, layer.weight.held(), false, 1.0, false, products)?;
    let Some(lora) = &layer.lora else { return Ok(None) };
    let (rank, _) = lora.a.held().dims()?;
    let mut low = Matrix::new(backend, x.shape().0, rank)?;
    // Scaled here, where it is the least work.
    let scale = lora.scale as f32;
    with_dropped(backend, x, lora.dropout, mode, |x| {
        backend.product_held(low.all_mut(), x, lora.a.held(), false, scale, false, products)
    })?;
    backend.product_held(out.part(), low.all(), lora.b.held(), false, 1.0, true, products)?;
    Ok(Some(low))
}

/// Columns of a matrix that are written more than once.
pub(super) struct Part<'a, B: Backend> {
    pub(super) matrix: &'a mut Matrix<B>,
    pub(super) columns: std::ops::Range<usize>,
}

impl<'a, B: Backend> Part<'a, B> {
    pub(super) fn all(matrix: &'a mut Matrix<B>) -> Part<'a, B> {
        let columns = 0..matrix.cols;
        Part { matrix, columns }
    }

    fn part(&mut self) -> Out<'_, B> {
        self.matrix.columns_mut(self.columns.clone())
    }
}

/// With the gradient g of the result that of x into dx, or added to it, where it is wanted; and that of what LoRA has in
/// its midst, s g B `[n, r]`.
pub(super) fn backward_input<B: Backend>(
    backend: &B,
    layer: &Linear,
    g: In<B>,
    dx: Option<(&mut Matrix<B>, bool)>,
    mode: Mode,
) -> Result<Option<Matrix<B>>> {
    let products = mode.products();
    let mut wanted = None;
    if let Some((dx, add)) = dx {
        backend.product_held(dx.all_mut(), g, layer.weight.held(), true, 1.0, add, products)?;
        wanted = Some(dx);
    }
    let Some(lora) = &layer.lora else { return Ok(None) };
    let (rank, inputs) = lora.a.held().dims()?;
    let n = g.shape().0;
    let mut low = Matrix::new(backend, n, rank)?;
    let scale = lora.scale as f32;
    backend.product_held(low.all_mut(), g, lora.b.held(), true, scale, false, products)?;
    if let Some(dx) = wanted {
        match mode.dropout(lora.dropout) {
            None => {
                backend.product_held(dx.all_mut(), low.all(), lora.a.held(), true, 1.0, true, products)?;
            }
            Some(dropout) => {
                let mut through = Matrix::new(backend, n, inputs)?;
                let out = through.all_mut();
                backend.product_held(out, low.all(), lora.a.held(), true, 1.0, false, products)?;
                backend.drop_in_place(through.all_mut().values, dropout)?;
                backend.add(dx.all_mut().values, through.all().values)?;
            }
        }
    }
    Ok(Some(low))
}

/// With the gradient g of the result those of the weights: ∂w = gᵀ x, ∂b = 1ᵀ g, and of LoRA's matrices ∂B = gᵀ low and
/// ∂A = (s g B)ᵀ dropout(x), with what the forward and [`backward_input`] have given of these.
pub(super) fn backward_weights<B: Backend>(
    backend: &B,
    layer: &Linear,
    x: In<B>,
    g: In<B>,
    lows: [Option<&Matrix<B>>; 2],
    gradients: &mut Gradients<B>,
    mode: Mode,
) -> Result<()> {
    let products = mode.products();
    let mut product = |place: Option<usize>, a: In<B>, b: In<B>| -> Result<()> {
        let Some(place) = place else { return Ok(()) };
        let (out, add) = gradients.sum_matrix(place)?;
        backend.product(out, a, b, 1.0, add, products)
    };
    product(layer.weight.place(), g.turned(), x)?;
    if let (Some(lora), [Some(low), Some(to_low)]) = (&layer.lora, lows) {
        product(lora.b.place(), g.turned(), low.all())?;
        with_dropped(backend, x, lora.dropout, mode, |x| product(lora.a.place(), to_low.all().turned(), x))?;
    }
    if let Some(place) = layer.bias.as_ref().and_then(|bias| bias.place()) {
        backend.column_sums(gradients.sum(place)?, g)?;
    }
    Ok(())
}

/// What layers give for the same x `[n, in]`, beside one another in rows of `width` features.
pub(super) fn side_by_side<B: Backend>(
    backend: &B,
    layers: &[(&Linear, Mode)],
    x: In<B>,
    width: usize,
) -> Result<(Matrix<B>, Lows<B>)> {
    let mut out = Matrix::new(backend, x.shape().0, width)?;
    let (mut from, mut lows) = (0, Vec::with_capacity(layers.len()));
    for (layer, mode) in layers {
        let columns = from..from + layer.weight.held().dims()?.0;
        let part = Part { matrix: &mut out, columns: columns.clone() };
        lows.push(forward(backend, layer, x, part, *mode)?);
        if let Some(bias) = &layer.bias {
            backend.add_bias(out.columns_mut(columns.clone()), &bias.values()?)?;
        }
        from = columns.end;
    }
    Ok((out, lows))
}

/// Layers that read the same x, on their way back.
pub(super) struct Inputs<'a, B: Backend> {
    pub(super) layers: &'a [(&'a Linear, Mode)],
    /// The gradient of what they gave, beside one another.
    pub(super) g: In<'a, B>,
    pub(super) lows: &'a Lows<B>,
}

impl<'a, B: Backend> Inputs<'a, B> {
    /// The layers, each with its part of g.
    fn parts(&self) -> Result<Vec<(&'a Linear, Mode, In<'a, B>)>> {
        let mut from = 0;
        let part = |(layer, mode): &(&'a Linear, Mode)| {
            let columns = from..from + layer.weight.held().dims()?.0;
            from = columns.end;
            Ok((*layer, *mode, self.g.columns(columns)))
        };
        self.layers.iter().map(part).collect()
    }

    /// The gradient of x into dx, or added to it, where it is wanted, and those of what LoRA has in its midst.
    pub(super) fn backward(&self, backend: &B, mut dx: Option<(&mut Matrix<B>, bool)>) -> Result<Lows<B>> {
        let parts = self.parts()?.into_iter().enumerate();
        let of = |(place, (layer, mode, g))| {
            let dx = dx.as_mut().map(|(dx, add)| (&mut **dx, *add || place > 0));
            backward_input(backend, layer, g, dx, mode)
        };
        parts.map(of).collect()
    }

    /// The gradients of their weights.
    pub(super) fn backward_weights(
        &self,
        backend: &B,
        x: In<B>,
        to_lows: &Lows<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        for (place, (layer, mode, g)) in self.parts()?.into_iter().enumerate() {
            let lows = [self.lows, to_lows].map(|lows| lows.get(place).and_then(Option::as_ref));
            backward_weights(backend, layer, x, g, lows, gradients, mode)?;
        }
        Ok(())
    }
}
