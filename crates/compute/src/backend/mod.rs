//! The contract that a device fulfils.

mod matrix;
mod shapes;

use std::{borrow::Cow, ops::Range};

use candle_core::{Device, Result, Tensor, bail};

pub use self::{
    matrix::{In, LowRank, Matrix, Out, Place, Thin},
    shapes::{Angles, Dropout, Grouped, Heads, NormKind, NormOf, Pool, Products, Span, Texts, grouped},
};
use crate::{Activation, Held, Moments, Step, cpu::adamw::State as HostState};

/// Memory of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What can still be asked for; none where the device does not tell.
    pub free: Option<u64>,
    /// What this process holds there.
    pub held: Option<u64>,
}

/// Parts of the sum that a norm's weights get as gradients.
pub struct NormGradients<'a, B: Backend> {
    pub weight: Option<Sum<'a, B>>,
    pub bias: Option<Sum<'a, B>>,
}

/// A gradient that is summed: written where nothing is in it yet, else added to.
pub struct Sum<'a, B: Backend> {
    pub values: B::Mut<'a>,
    pub add: bool,
}

/// A product of factors `[k, m]` and `[k, n]`, `[m, n]`: out = aᵀ b, or out += aᵀ b, where it is wanted.
pub struct Turned<'out, 'a, 'b, B: Backend> {
    pub out: Option<Sum<'out, B>>,
    pub a: In<'a, B>,
    pub b: In<'b, B>,
}

/// What is done to the result of a block's last layer: dropout(x + low wᵀ + bias) + residual.
pub struct Closing<'a, B: Backend> {
    pub added: Option<LowRank<'a, B>>,
    /// `[d]`
    pub bias: Option<&'a Tensor>,
    pub dropout: Option<Dropout>,
    pub residual: B::Ref<'a>,
}

/// What was brought into a device's memory: the lists of ids, and those of numbers.
pub type Brought<B> = (Vec<<B as Backend>::Ids>, Vec<<B as Backend>::Buffer>);

/// What a transformer and its head compute, on one device, forward and backward.
///
/// Activations are `f32` in buffers of the device; weights are candle's tensors there, in the
/// precision that they are held in. Matrices are row by row, n rows of d numbers; a batch is packed: the tokens of all
/// texts one after another. Results are the same on each call and do not depend on the number of threads. All methods
/// may return before the work is done, in order; what reads a result on the host waits for it.
///
/// [`conformance`](crate::conformance) holds each of them to plain arithmetic in double precision.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Numbers in the device's memory, which is used again after they are dropped.
    type Buffer: Send + Sync;
    /// Some of a buffer's numbers, to read.
    type Ref<'a>: Copy + Send + Sync;
    /// Some of a buffer's numbers, to write.
    type Mut<'a>: Send;
    /// Ids or offsets in the device's memory.
    type Ids: Clone + Send + Sync;
    /// What AdamW keeps of one weight.
    type State: Send + Sync;
    /// Sums of squares that the device may still be computing.
    type Sums: Send + Sync;

    /// candle's device, which the weights' tensors lie on.
    fn device(&self) -> &Device;

    /// What there is of memory.
    fn memory(&self) -> Memory;

    /// The most bytes that this process has held since [`forget_peak`](Self::forget_peak), if the device counts them.
    fn peak(&self) -> Option<u64>;

    /// Starts the count of [`peak`](Self::peak) anew from what is held now, if the device allows it.
    fn forget_peak(&self);

    /// Waits until all that was asked for is done.
    fn synchronise(&self) -> Result<()>;

    /// So many numbers, whatever they are: for a result that is written whole.
    fn buffer(&self, len: usize) -> Result<Self::Buffer>;

    /// Says that products with this weight will read what is written to a buffer next. A device may keep it in the form that
    /// they read beside the numbers, and not have each of them convert it.
    fn read_by(&self, _buffer: &mut Self::Buffer, _weight: &Held, _products: Products) -> Result<()> {
        Ok(())
    }

    /// Says that no more products will read a buffer's numbers, which stay: the form that [`read_by`](Self::read_by) had the
    /// device keep beside them need not take memory.
    fn read_by_no_more(&self, _buffer: &mut Self::Buffer) {}

    fn read(buffer: &Self::Buffer, range: Range<usize>) -> Self::Ref<'_>;

    fn write(buffer: &mut Self::Buffer, range: Range<usize>) -> Self::Mut<'_>;

    /// Cuts into the first `at` numbers and the others.
    fn split<'a>(values: Self::Mut<'a>, at: usize) -> (Self::Mut<'a>, Self::Mut<'a>);

    fn len(values: Self::Ref<'_>) -> usize;

    fn len_mut(values: &Self::Mut<'_>) -> usize;

    /// Ids in the device's memory.
    fn ids(&self, ids: &[u32]) -> Result<Self::Ids>;

    /// Several lists of ids and of numbers in new memory of the device, each in its order. A device that is apart from the
    /// host gets all of them by one transfer, since what a transfer costs is mostly that it begins.
    fn bring(&self, ids: &[&[u32]], numbers: &[&[f32]]) -> Result<Brought<Self>>;

    /// Numbers of the host's into the device's memory, as many as there are places.
    fn upload(&self, from: &[f32], to: Self::Mut<'_>) -> Result<()>;

    /// The numbers, on the host.
    fn download(&self, from: Self::Ref<'_>) -> Result<Vec<f32>>;

    /// A tensor of candle's on the device with a matrix's numbers.
    fn to_tensor(&self, x: &Matrix<Self>) -> Result<Tensor>;

    /// A matrix with the numbers of a tensor in `f32` on the device.
    fn to_matrix(&self, tensor: &Tensor) -> Result<Matrix<Self>>;

    /// out = x, for parts of the same shape.
    fn copy(&self, out: Out<Self>, x: In<Self>) -> Result<()>;

    /// All numbers zero.
    fn clear(&self, out: Self::Mut<'_>) -> Result<()>;

    /// out += x, number by number.
    fn add(&self, out: Self::Mut<'_>, x: Self::Ref<'_>) -> Result<()>;

    /// out = s a b, or out += s a b with `add`; out `[m, n]`, a `[m, k]`, b `[k, n]`, either turned or not.
    fn product(
        &self,
        out: Out<Self>,
        a: In<Self>,
        b: In<Self>,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()>;

    /// Two products that have nothing to do with one another, such as the gradients of LoRA's matrices.
    fn turned_products(&self, first: Turned<Self>, second: Turned<Self>, products: Products) -> Result<()> {
        turned_product(self, first, products)?;
        turned_product(self, second, products)
    }

    /// out = s x wᵀ, or out += s x wᵀ with `add`, for a weight w `[out, in]` however it is held, which is read part by
    /// part; x `[n, in]`, out `[n, out]`. With `turned` s x w, the way of a gradient: x `[n, out]`, out `[n, in]`.
    ///
    /// The numbers of a weight in 4 or 8 bits are those that it has in `f32`. With [`Products::Bf16`] a device may round
    /// these and x to the nearest bf16, both or none of them; sums are in `f32`.
    #[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
    fn product_held(
        &self,
        out: Out<Self>,
        x: In<Self>,
        weight: &Held,
        turned: bool,
        scale: f32,
        add: bool,
        products: Products,
    ) -> Result<()>;

    /// The norm of every row, x and y `[n, d]`, and products of y with thin matrices. See [`NormKind`] and [`Thin`].
    fn norm(&self, norm: NormOf, y: Self::Mut<'_>, x: Self::Ref<'_>, thin: Vec<Thin<Self>>) -> Result<()>;

    /// With the gradient g of y, to which something may have to be added first: dx = ∂x, or dx += ∂x, and those of w and b
    /// where they are wanted. With h = g w, and r = 1 / √(σ² + ε) or 1 / √(mean(x²) + ε):
    /// ∂x = r (h − mean(h) − x̂ mean(h x̂)) or r (h − x̂ mean(h x̂)) with x̂ = x r, ∂w = Σ g x̂, ∂b = Σ g. With `again` g becomes
    /// y, which the layers after the norm read for their weights, and which need not be kept that way.
    #[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
    fn norm_backward(
        &self,
        norm: NormOf,
        dx: Sum<Self>,
        x: Self::Ref<'_>,
        g: Self::Mut<'_>,
        added: Option<LowRank<Self>>,
        again: bool,
        gradients: NormGradients<Self>,
    ) -> Result<()>;

    /// Turns the first `heads · d` features of every row by its angles, in place, after adding to the rows what may have to
    /// be: of each pair of features i and
    /// i + half, y₁ = x₁ cos − x₂ sin, y₂ = x₂ cos + x₁ sin (Su et al., arXiv 2104.09864, in the form of Transformers); with
    /// `back` by the negative angles, the way of a gradient.
    fn rotate(
        &self,
        x: Out<Self>,
        added: Option<LowRank<Self>>,
        angles: &Angles<Self>,
        heads: usize,
        d: usize,
        back: bool,
    ) -> Result<()>;

    /// Numbers that attention keeps for its backward.
    fn attention_keeps(&self, tokens: usize, heads: Heads) -> usize;

    /// Softmax attention within each text (Vaswani et al., arXiv 1706.03762): qkv `[total, (query + 2 key_value) d]`, out
    /// `[total, query · d]`. For each text and head P = softmax(q kᵀ / √d) over the keys in the span; the result is
    /// dropout(P) v. Keys outside the span are left out rather than masked.
    ///
    /// With products in bf16 a device may round q, k, v and P where they are factors, as it does in
    /// [`product`](Self::product), and compute the softmax and all sums in `f32`; otherwise, or where it has no such
    /// products for these heads, it computes in `f32`. The CPU always does.
    #[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
    fn attention(
        &self,
        out: Self::Mut<'_>,
        kept: Self::Mut<'_>,
        qkv: Self::Ref<'_>,
        texts: &Texts<Self>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        products: Products,
    ) -> Result<()>;

    /// The gradient of qkv into dqkv, with the result of the forward, what it has kept, and the gradient g of the result.
    /// With the mask m: ∂v = (m P)ᵀ g, ∂P = m (g vᵀ), ∂S = P (∂P − Σ ∂P P) over a row, ∂q = ∂S k / √d, ∂k = ∂Sᵀ q / √d.
    /// With products in bf16 g and ∂S may be rounded, too; the forward may have been by others.
    #[expect(clippy::too_many_arguments, reason = "each is one operand of the formula")]
    fn attention_backward(
        &self,
        dqkv: Self::Mut<'_>,
        qkv: Self::Ref<'_>,
        forward: [Self::Ref<'_>; 2],
        g: Self::Ref<'_>,
        texts: &Texts<Self>,
        heads: Heads,
        span: Span,
        dropout: Option<Dropout>,
        products: Products,
    ) -> Result<()>;

    /// y = f(u) for u `[n, d]`, or, `gated`, y = f(a) b for u `[n, 2 d]` with a and b beside one another, after adding to u
    /// what may have to be.
    fn activation(
        &self,
        activation: Activation,
        gated: bool,
        y: Self::Mut<'_>,
        u: Self::Mut<'_>,
        added: Option<LowRank<Self>>,
        d: usize,
    ) -> Result<()>;

    /// With the gradient of y in `g`, to which something may have to be added first: u becomes its own gradient, and g
    /// becomes y, which the layer after it reads for its weights, so that no more than u has to be kept. ∂u = g f′(u); gated
    /// ∂a = g b f′(a), ∂b = g f(a).
    fn activation_backward(
        &self,
        activation: Activation,
        gated: bool,
        u: Self::Mut<'_>,
        g: Self::Mut<'_>,
        added: Option<LowRank<Self>>,
        d: usize,
    ) -> Result<()>;

    /// Adds a bias `[cols]` to every row.
    fn add_bias(&self, x: Out<Self>, bias: &Tensor) -> Result<()>;

    /// The sum of every column of g, a bias's gradient.
    fn column_sums(&self, sum: Sum<Self>, g: In<Self>) -> Result<()>;

    /// Closes a block, for x and the residual `[n, d]`: see [`Closing`].
    fn close(&self, x: Self::Mut<'_>, closing: Closing<Self>, d: usize) -> Result<()>;

    /// The same, and y `[n, d]` becomes the norm of x, with thin products of it: the same numbers as of [`norm`](Self::norm).
    fn close_and_norm(
        &self,
        x: Self::Mut<'_>,
        closing: Closing<Self>,
        norm: NormOf,
        y: Self::Mut<'_>,
        thin: Vec<Thin<Self>>,
    ) -> Result<()>;

    /// x = dropout(y): each number is 0 with probability p, else multiplied by 1 / (1 − p) (Srivastava et al., JMLR 15,
    /// 2014), as seed and place decide, so that a backward makes the same mask again.
    fn drop(&self, x: Self::Mut<'_>, y: Self::Ref<'_>, dropout: Dropout) -> Result<()>;

    /// The same in place.
    fn drop_in_place(&self, x: Self::Mut<'_>, dropout: Dropout) -> Result<()>;

    /// Rows of a table `[_, d]` by their ids into x `[ids, d]`, or added to it.
    fn gather(&self, x: Self::Mut<'_>, table: &Held, ids: &Self::Ids, add: bool) -> Result<()>;

    /// The same of a matrix.
    fn gather_rows(&self, out: Self::Mut<'_>, x: In<Self>, ids: &Self::Ids) -> Result<()>;

    /// Adds the row of g of each token to the row of the table's gradient that the token has.
    fn scatter(&self, sum: Out<Self>, grouped: &Grouped<Self>, g: Self::Ref<'_>) -> Result<()>;

    /// Clears some rows of a matrix.
    fn clear_rows(&self, x: Out<Self>, ids: &Self::Ids) -> Result<()>;

    /// One row of each text, for x `[total, d]` and out `[texts, d]`: see [`Pool`]. A text of no token has zeros.
    fn pool(&self, out: Self::Mut<'_>, x: Self::Ref<'_>, texts: &Texts<Self>, pool: Pool) -> Result<()>;

    /// The gradient of x into dx `[total, d]`, all of which is written, by that of the result, g `[texts, d]`: the row of each
    /// token is that of its text, multiplied by what the token counts in it, or zeros where it does not.
    fn pool_backward(
        &self,
        dx: Self::Mut<'_>,
        g: Self::Ref<'_>,
        texts: &Texts<Self>,
        pool: Pool,
    ) -> Result<()>;

    /// Weighted cross-entropy: `loss`, a single number, becomes Σ w log(1 + e^−m), and the logits become their own gradient.
    ///
    /// targets `[texts, axes]` have the weight w of each text in an axis, positive where class 1 is right and negative where
    /// class 0 is; with s = ±1 for that, the margin m by which the right class is ahead is, for one logit an axis, `[texts,
    /// axes]`, m = s l (PyTorch's `binary_cross_entropy_with_logits`), and for two, `[texts, axes, 2]`, m = s (l₁ − l₀)
    /// (`cross_entropy`). ∂l = −s w σ(−m), and ∂l₁ = −s w σ(−m), ∂l₀ = −∂l₁.
    fn cross_entropy(&self, loss: Self::Mut<'_>, logits: Self::Mut<'_>, targets: Self::Ref<'_>)
    -> Result<()>;

    /// Σ x² of each matrix, in double precision; of some of its rows where they are given. The host does not wait for a
    /// device that computes them.
    fn sums_of_squares(&self, all: &[(In<Self>, Option<&Self::Ids>)]) -> Result<Self::Sums>;

    /// The values of sums, and single numbers, such as losses. The host waits once for all.
    fn read_sums(&self, sums: &[Self::Sums], scalars: &[Self::Ref<'_>]) -> Result<(Vec<Vec<f64>>, Vec<f32>)>;

    /// What AdamW keeps of a weight of so many numbers: moments of nothing yet, and, of a weight in bf16, what each of its
    /// numbers lacks of its 32 bits (see [`halves`](crate::halves)).
    fn state(&self, count: usize, moments: Moments, remainder: Vec<i16>) -> Result<Self::State>;

    /// Bytes of the device's memory that a state takes.
    fn state_bytes(state: &Self::State) -> usize;

    /// A state as plain vectors on the host, the same on every device; borrowed if it already lies there. It is what a
    /// checkpoint stores.
    fn state_to_host<'a>(&self, state: &'a Self::State) -> Result<Cow<'a, HostState>>;

    /// The inverse of [`state_to_host`](Self::state_to_host), bit for bit.
    fn state_from_host(&self, state: HostState) -> Result<Self::State>;

    /// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101) on a weight in `f32` or bf16, in place, by its gradient
    /// g: g′ = clip · g, m = β₁ m + (1 − β₁) g′, v = β₂ v + (1 − β₂) g′², w = keep · w − step_size · m / (√v · correction + ε).
    /// Moments in 8 bits are those of Dettmers et al. (arXiv 2110.02861), in blocks of 256.
    fn adamw(
        &self,
        weight: &Tensor,
        gradient: Self::Ref<'_>,
        state: &mut Self::State,
        step: &Step,
    ) -> Result<()>;
}

fn turned_product<B: Backend>(backend: &B, product: Turned<B>, products: Products) -> Result<()> {
    let Turned { out, a, b } = product;
    let Some(out) = out else { return Ok(()) };
    backend.product(Out::rows(out.values, b.shape().1), a.turned(), b, 1.0, out.add, products)
}

/// Whether cross-entropy has two logits for each target, and not one. An error where it has neither.
pub(crate) fn has_two_logits(logits: usize, targets: usize) -> Result<bool> {
    if logits != targets && logits != 2 * targets {
        bail!("{logits} logits are neither one nor two for each of {targets} targets");
    }
    Ok(logits != targets)
}

/// Words of 32 bits, of a multiple of which each list begins that a device is [brought](Backend::bring) together with others:
/// as far as pieces of its memory are apart.
pub(crate) const ALIGNED: usize = 64;

/// An operand has as many numbers as the operation asks for.
pub(crate) fn same(found: usize, wanted: usize) -> Result<()> {
    if found != wanted {
        bail!("an operand has {found} numbers where {wanted} are wanted");
    }
    Ok(())
}
