//! Linear layers, with LoRA beside them where they have it.

use candle_core::Result;
use compute::{Backend, In, LowRank, Matrix, Out, Thin, Turned};

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

/// Room for what LoRA of each of some layers has in its midst of `rows` rows.
pub(super) fn lows<B: Backend>(backend: &B, layers: &[(&Linear, Mode)], rows: usize) -> Result<Lows<B>> {
    let low = |(layer, _): &(&Linear, Mode)| {
        let Some(lora) = &layer.lora else { return Ok(None) };
        Matrix::new(backend, rows, lora.a.held().dims()?.0).map(Some)
    };
    layers.iter().map(low).collect()
}

/// What makes it of x: s · dropout(x) Aᵀ, scaled here, where it is the least work.
pub(super) fn thin<'out, 'a, B: Backend>(
    layers: &[(&'a Linear, Mode)],
    lows: &'out mut Lows<B>,
) -> Vec<Thin<'out, 'a, B>> {
    let of = |((layer, mode), low): (&(&'a Linear, Mode), &'out mut Option<Matrix<B>>)| {
        let (lora, low) = (layer.lora.as_ref()?, low.as_mut()?);
        let (scale, dropout) = (lora.scale as f32, mode.dropout(lora.dropout));
        let (out, products) = (low.all_mut().values, mode.products());
        Some(Thin { out, a: lora.a.held(), scale, dropout, products })
    };
    layers.iter().zip(lows).filter_map(of).collect()
}

/// The same of an x that is there.
pub(super) fn lows_of<B: Backend>(backend: &B, layers: &[(&Linear, Mode)], x: In<B>) -> Result<Lows<B>> {
    let mut lows = lows(backend, layers, x.shape().0)?;
    thin(layers, &mut lows).into_iter().try_for_each(|thin| thin.of(backend, x))?;
    Ok(lows)
}

/// `out = x wᵀ`, without the bias and what LoRA adds, which go into whatever comes next: see [`added`]. x `[n, in]`, out
/// `[n, out]`.
pub(super) fn forward<B: Backend>(
    backend: &B,
    layer: &Linear,
    x: In<B>,
    out: Out<B>,
    mode: Mode,
) -> Result<()> {
    backend.product_held(out, x, layer.weight.held(), false, 1.0, false, mode.products())
}

/// What LoRA adds to the result of a layer, s · dropout(x) Aᵀ Bᵀ, by what the forward has given.
pub(super) fn added<'a, B: Backend>(
    layer: &'a Linear,
    low: Option<&'a Matrix<B>>,
    mode: Mode,
) -> Option<LowRank<'a, B>> {
    let (lora, low) = (layer.lora.as_ref()?, low?);
    Some(LowRank { low: low.all(), weight: lora.b.held(), turned: false, products: mode.products() })
}

/// With the gradient g of the result that of x into dx, or added to it, where it is wanted, but for what comes through LoRA:
/// see [`added_back`]; and that of what LoRA has in its midst, s g B `[n, r]`.
pub(super) fn backward_input<B: Backend>(
    backend: &B,
    layer: &Linear,
    g: In<B>,
    dx: Option<(&mut Matrix<B>, bool)>,
    mode: Mode,
) -> Result<Option<Matrix<B>>> {
    let products = mode.products();
    if let Some((dx, add)) = dx {
        backend.product_held(dx.all_mut(), g, layer.weight.held(), true, 1.0, add, products)?;
    }
    let Some(lora) = &layer.lora else { return Ok(None) };
    let (rank, _) = lora.a.held().dims()?;
    let mut low = Matrix::new(backend, g.shape().0, rank)?;
    let scale = lora.scale as f32;
    backend.product_held(low.all_mut(), g, lora.b.held(), true, scale, false, products)?;
    Ok(Some(low))
}

/// The part of the gradient of x that comes through LoRA, to be added to dx: s g B A, by what [`backward_input`] has given.
/// Where it goes through dropout, it is added here.
pub(super) fn added_back<'a, B: Backend>(
    backend: &B,
    layer: &'a Linear,
    to_low: Option<&'a Matrix<B>>,
    mode: Mode,
    dx: &mut Matrix<B>,
) -> Result<Option<LowRank<'a, B>>> {
    let (Some(lora), Some(low)) = (&layer.lora, to_low) else { return Ok(None) };
    let (weight, products) = (lora.a.held(), mode.products());
    let Some(dropout) = mode.dropout(lora.dropout) else {
        return Ok(Some(LowRank { low: low.all(), weight, turned: true, products }));
    };
    let mut through = Matrix::new(backend, dx.rows, dx.cols)?;
    backend.product_held(through.all_mut(), low.all(), weight, true, 1.0, false, products)?;
    backend.drop_in_place(through.all_mut().values, dropout)?;
    backend.add(dx.all_mut().values, through.all().values)?;
    Ok(None)
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
    if let Some(place) = layer.weight.place() {
        let (out, add) = gradients.sum_matrix(place)?;
        backend.product(out, g.turned(), x, 1.0, add, products)?;
    }
    if let (Some(lora), [Some(low), Some(to_low)]) = (&layer.lora, lows) {
        with_dropped(backend, x, lora.dropout, mode, |x| {
            let [to_b, to_a] = gradients.sums([lora.b.place(), lora.a.place()])?;
            let of_b = Turned { out: to_b, a: g, b: low.all() };
            let of_a = Turned { out: to_a, a: to_low.all(), b: x };
            backend.turned_products(of_b, of_a, products)
        })?;
    }
    if let Some(place) = layer.bias.as_ref().and_then(|bias| bias.place()) {
        backend.column_sums(gradients.sum(place)?, g)?;
    }
    Ok(())
}

/// What layers give for the same x `[n, in]`, beside one another in rows of `width` features, with what LoRA has in its
/// midst, `lows`. What LoRA adds to a single layer without a bias is left to whatever comes next.
pub(super) fn side_by_side<B: Backend>(
    backend: &B,
    layers: &[(&Linear, Mode)],
    x: In<B>,
    lows: &Lows<B>,
    width: usize,
) -> Result<Matrix<B>> {
    let mut out = Matrix::new(backend, x.shape().0, width)?;
    let mut from = 0;
    for ((layer, mode), low) in layers.iter().zip(lows) {
        let columns = from..from + layer.weight.held().dims()?.0;
        forward(backend, layer, x, out.columns_mut(columns.clone()), *mode)?;
        if !is_left(layers)
            && let Some(added) = added(layer, low.as_ref(), *mode)
        {
            added.add_to(backend, out.columns_mut(columns.clone()))?;
        }
        if let Some(bias) = &layer.bias {
            backend.add_bias(out.columns_mut(columns.clone()), &bias.values()?)?;
        }
        from = columns.end;
    }
    Ok(out)
}

fn is_left(layers: &[(&Linear, Mode)]) -> bool {
    matches!(layers, [(layer, _)] if layer.bias.is_none())
}

/// What LoRA adds to what [`side_by_side`] gives, if that was left.
pub(super) fn left<'a, B: Backend>(
    layers: &[(&'a Linear, Mode)],
    lows: &'a Lows<B>,
) -> Option<LowRank<'a, B>> {
    let (layer, mode) = layers.first().filter(|_| is_left(layers))?;
    added(layer, lows.first().and_then(Option::as_ref), *mode)
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

    /// The gradient of x into dx, or added to it, where it is wanted, and those of what LoRA has in its midst. What comes
    /// through LoRA of a single layer is left: see [`left`](Self::left).
    pub(super) fn backward(&self, backend: &B, mut dx: Option<(&mut Matrix<B>, bool)>) -> Result<Lows<B>> {
        let mut lows = Vec::with_capacity(self.layers.len());
        for (place, (layer, mode, g)) in self.parts()?.into_iter().enumerate() {
            let to = dx.as_mut().map(|(dx, add)| (&mut **dx, *add || place > 0));
            let low = backward_input(backend, layer, g, to, mode)?;
            if let Some((dx, _)) = dx.as_mut().filter(|_| self.layers.len() > 1)
                && let Some(added) = added_back(backend, layer, low.as_ref(), mode, dx)?
            {
                added.add_to(backend, dx.all_mut())?;
            }
            lows.push(low);
        }
        Ok(lows)
    }

    /// What is still to be added to the gradient of x after [`backward`](Self::backward).
    pub(super) fn left<'b>(
        &self,
        backend: &B,
        to_lows: &'b Lows<B>,
        dx: &mut Matrix<B>,
    ) -> Result<Option<LowRank<'b, B>>>
    where
        'a: 'b,
    {
        match (self.layers, &to_lows[..]) {
            ([(layer, mode)], [low]) => added_back(backend, layer, low.as_ref(), *mode, dx),
            _ => Ok(None),
        }
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
