use std::ops::Range;

use candle_core::{Device, Result, Tensor, backprop::GradStore};
use compute::{Backend, Cpu, In, Matrix, Out, Sum};

use crate::{Parameter, Weights};

/// The gradients of all parameters in one piece of a device's memory, each in a place of its own, in `f32`. It is
/// allocated once; micro-batches add up in it until it is [cleared](Self::clear).
pub struct Gradients<B: Backend = Cpu> {
    backend: B,
    memory: B::Buffer,
    /// In the order of the parameters.
    places: Vec<Place>,
}

struct Place {
    range: Range<usize>,
    dims: Vec<usize>,
    /// Numbers in a row, of a matrix.
    width: usize,
    /// Whether something was put in since it was cleared.
    holds: bool,
    /// The rows in which the memory may be other than zero, in order; none where any may. Of a large table few rows have
    /// a gradient, and to clear, sum and look at the others each time would cost more than these.
    rows: Option<Vec<u32>>,
}

impl<B: Backend> Gradients<B> {
    /// Room for the gradients of these parameters, with nothing in it.
    pub fn new(backend: B, weights: &Weights) -> Result<Gradients<B>> {
        let mut end = 0;
        let places = weights.parameters.iter().map(|parameter| {
            let start = end;
            end += parameter.var.elem_count();
            let dims = parameter.var.dims().to_vec();
            let width = dims.last().copied().unwrap_or(1);
            Place { range: start..end, dims, width, holds: false, rows: None }
        });
        let places = places.collect();
        Ok(Gradients { memory: backend.buffer(end)?, backend, places })
    }

    /// Bytes that all of them take.
    pub fn bytes(&self) -> usize {
        self.places.last().map_or(0, |place| place.range.end) * size_of::<f32>()
    }

    /// Forgets what was put in.
    pub fn clear(&mut self) {
        self.places.iter_mut().for_each(|place| place.holds = false);
    }

    /// Where the gradient of a parameter is to be summed; whoever takes it writes or adds to all of it.
    pub(crate) fn sum(&mut self, parameter: usize) -> Sum<'_, B> {
        let place = &mut self.places[parameter];
        place.rows = None;
        let add = std::mem::replace(&mut place.holds, true);
        Sum { values: B::write(&mut self.memory, place.range.clone()), add }
    }

    /// The same of two, where they are wanted.
    pub(crate) fn sums(&mut self, [first, second]: [Option<usize>; 2]) -> [Option<Sum<'_, B>>; 2] {
        let (Some(a), Some(b)) = (first, second) else {
            // A sum of one of them, or of none.
            let swap = first.is_none();
            let one = first.or(second).map(|parameter| self.sum(parameter));
            return if swap { [None, one] } else { [one, None] };
        };
        let turned = b < a;
        let (low, high) = if turned { (b, a) } else { (a, b) };
        let adds = [low, high].map(|parameter| {
            let place = &mut self.places[parameter];
            place.rows = None;
            std::mem::replace(&mut place.holds, true)
        });
        let [from, to] = [low, high].map(|parameter| self.places[parameter].range.clone());
        let all = B::write(&mut self.memory, from.start..to.end);
        let (first, rest) = B::split(all, from.len());
        let (_, second) = B::split(rest, to.start - from.end);
        let sums = [Sum { values: first, add: adds[0] }, Sum { values: second, add: adds[1] }];
        let [first, second] = sums.map(Some);
        if turned { [second, first] } else { [first, second] }
    }

    /// The same as a matrix.
    pub(crate) fn sum_matrix(&mut self, parameter: usize) -> (Out<'_, B>, bool) {
        let width = self.places[parameter].width;
        let sum = self.sum(parameter);
        (Out::rows(sum.values, width), sum.add)
    }

    /// Adds the rows of g to those of a table's gradient that are named.
    pub(crate) fn add_rows(
        &mut self,
        parameter: usize,
        ids: &[u32],
        on_device: &B::Ids,
        g: B::Ref<'_>,
    ) -> Result<()> {
        let Gradients { backend, memory, places } = self;
        let place = &mut places[parameter];
        let width = place.width;
        let mut rows: Vec<u32> = ids.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let range = place.range.clone();
        match (place.holds, place.rows.take()) {
            // What is in other rows stays beside it.
            (true, None) => place.rows = None,
            (true, Some(before)) => {
                rows.extend(before);
                rows.sort_unstable();
                rows.dedup();
                place.rows = Some(rows);
            }
            (false, before) => {
                // Until this is done, nobody knows what stands where.
                match before {
                    Some(before) => {
                        let table = Out::rows(B::write(memory, range.clone()), width);
                        backend.clear_rows(table, &backend.ids(&before)?)?;
                    }
                    None => backend.clear(B::write(memory, range.clone()))?,
                }
                place.rows = Some(rows);
                place.holds = true;
            }
        }
        backend.scatter(Out::rows(B::write(memory, range), width), on_device, g)
    }

    /// Adds a gradient that candle has made.
    pub fn add_tensor(&mut self, parameter: usize, gradient: &Tensor) -> Result<()> {
        let gradient = gradient.to_dtype(candle_core::DType::F32)?.flatten_all()?.unsqueeze(0)?;
        let gradient = self.backend.to_matrix(&gradient)?;
        let backend = self.backend.clone();
        let sum = self.sum(parameter);
        let values = gradient.all().contiguous()?;
        match sum.add {
            true => backend.add(sum.values, values),
            false => backend.copy(Out::rows(sum.values, gradient.cols), In::rows(values, gradient.cols)),
        }
    }

    /// The same of all parameters that it has one of.
    pub fn add_store(&mut self, parameters: &[Parameter], mut grads: GradStore) -> Result<()> {
        for (place, parameter) in parameters.iter().enumerate() {
            if let Some(gradient) = grads.remove(parameter.var.as_tensor()) {
                self.add_tensor(place, &gradient)?;
            }
        }
        Ok(())
    }

    /// The gradient of a parameter, if there is one.
    pub fn values(&self, parameter: usize) -> Option<B::Ref<'_>> {
        let place = self.places.get(parameter).filter(|place| place.holds)?;
        Some(B::read(&self.memory, place.range.clone()))
    }

    /// The same as a tensor on the host, of the parameter's shape.
    pub fn get(&self, parameter: usize) -> Result<Option<Tensor>> {
        let Some(values) = self.values(parameter) else { return Ok(None) };
        let values = self.backend.download(values)?;
        Tensor::from_vec(values, &self.places[parameter].dims[..], &Device::Cpu).map(Some)
    }

    /// The Euclidean norm over all parameters together.
    pub fn norm(&self) -> Result<f64> {
        let mut squares = 0.0;
        for (place, values) in
            self.places.iter().enumerate().filter_map(|(n, place)| Some((place, self.values(n)?)))
        {
            let rows = place.rows.as_ref().map(|rows| self.backend.ids(rows)).transpose()?;
            squares += self.backend.sum_of_squares(In::rows(values, place.width), rows.as_ref())?;
        }
        Ok(squares.sqrt())
    }

    pub fn backend(&self) -> &B {
        &self.backend
    }
}

/// A matrix of zeros.
pub(crate) fn zeros<B: Backend>(backend: &B, rows: usize, cols: usize) -> Result<Matrix<B>> {
    let mut matrix = Matrix::new(backend, rows, cols)?;
    backend.clear(matrix.all_mut().values)?;
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::Var;

    fn gradients(shapes: &[&[usize]]) -> Gradients {
        let mut weights = Weights::default();
        for (n, &shape) in shapes.iter().enumerate() {
            let var = Var::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
            weights.learn(format!("w{n}"), var.as_tensor()).unwrap();
        }
        Gradients::new(Cpu, &weights).unwrap()
    }

    #[test]
    fn what_is_put_in_adds_up_until_it_is_cleared_and_old_memory_does_not_show() {
        let mut gradients = gradients(&[&[2, 3], &[4]]);
        let put = |gradients: &mut Gradients, value: f32| {
            let tensor = Tensor::full(value, (2, 3), &Device::Cpu).unwrap();
            gradients.add_tensor(0, &tensor).unwrap();
        };
        assert_eq!((gradients.bytes(), gradients.get(0).unwrap().is_some()), (40, false));
        for _ in 0..2 {
            gradients.clear();
            put(&mut gradients, 1.0);
            put(&mut gradients, 2.0);
            assert_eq!(gradients.get(0).unwrap().unwrap().to_vec2::<f32>().unwrap(), [[3.0; 3]; 2]);
            assert!(gradients.get(1).unwrap().is_none());
            assert!((gradients.norm().unwrap() - 54f64.sqrt()).abs() < 1e-9);
        }
    }

    #[test]
    fn of_a_table_the_rows_that_were_put_in_are_there_and_those_of_before_are_cleared() {
        let mut gradients = gradients(&[&[1], &[5, 2]]);
        let add = |gradients: &mut Gradients, rows: &[u32]| {
            let ids = Cpu.ids(rows).unwrap();
            gradients.add_rows(1, rows, &ids, &vec![1.0; 2 * rows.len()]).unwrap();
        };
        let first = |gradients: &Gradients| -> Vec<f32> {
            gradients.get(1).unwrap().unwrap().to_vec2::<f32>().unwrap().iter().map(|row| row[0]).collect()
        };
        add(&mut gradients, &[3, 1, 3]);
        add(&mut gradients, &[1, 0]);
        assert_eq!(first(&gradients), [1.0, 2.0, 0.0, 2.0, 0.0]);
        assert!((gradients.norm().unwrap() - 18f64.sqrt()).abs() < 1e-9);
        gradients.clear();
        add(&mut gradients, &[4]);
        assert_eq!(first(&gradients), [0.0, 0.0, 0.0, 0.0, 1.0]);
        // Where something else is put in as well, any row may be other than zero, also later.
        gradients.add_tensor(1, &Tensor::full(1f32, (5, 2), &Device::Cpu).unwrap()).unwrap();
        add(&mut gradients, &[0]);
        assert_eq!(first(&gradients), [2.0, 1.0, 1.0, 1.0, 2.0]);
        gradients.clear();
        add(&mut gradients, &[2]);
        assert_eq!(first(&gradients), [0.0, 0.0, 1.0, 0.0, 0.0]);
        // An id that is in no row is an error, and what it has left is not taken for anything later.
        let ids = Cpu.ids(&[1, 9]).unwrap();
        assert!(gradients.add_rows(1, &[1, 9], &ids, &[1.0; 4]).is_err());
        gradients.clear();
        add(&mut gradients, &[3]);
        assert_eq!(first(&gradients), [0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
