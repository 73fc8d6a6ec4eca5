use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// A scalar 0 whose backward gives x the stored gradient `grad`, `[..]` of x's own shape: from it
/// the backward pass of one piece of a network begins where that of the piece above has ended.
pub fn inject(x: &Tensor, grad: Tensor) -> Result<Tensor> {
    x.apply_op1(Inject { grad: grad.detach() })
}

struct Inject {
    grad: Tensor,
}

impl CustomOp1 for Inject {
    fn name(&self) -> &'static str {
        "inject"
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), ().into()))
    }

    fn bwd(&self, _x: &Tensor, _result: &Tensor, _grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.grad.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::gradient_check::random;
    use candle_core::Var;

    #[test]
    fn a_backward_in_two_pieces_gives_exactly_what_one_gives() {
        let x = Var::from_tensor(&random(&[3, 4], 1)).unwrap();
        let f = |x: &Tensor| x.sqr().unwrap().exp().unwrap();
        let g = |y: &Tensor| (y.sin().unwrap() * y).unwrap().sum_all().unwrap();
        let whole = g(&f(&x)).backward().unwrap();

        let middle = Var::from_tensor(&f(&x.detach())).unwrap();
        let mut upper = g(&middle).backward().unwrap();
        let lower = inject(&f(&x), upper.remove(&middle).unwrap()).unwrap().backward().unwrap();
        let values = |t: &Tensor| t.to_vec2::<f32>().unwrap();
        assert_eq!(values(lower.get(&x).unwrap()), values(whole.get(&x).unwrap()));
    }
}
