use std::{ops::Range, sync::Arc};

use candle_core::{Device, Result, Tensor, bail};
use compute::{Backend, Cpu, Grouped, In, Out, Sum};

use crate::Weights;

/// The gradients of all parameters in one piece of a device's memory, each in a place of its own, in `f32`. It is
/// allocated once; micro-batches add up in it until it is [cleared](Self::clear).
///
/// Made [by pieces](Self::by_pieces) it has room for one piece of the network at a time, such as a layer, and all pieces
/// have the same room.
pub struct Gradients<B: Backend = Cpu> {
    backend: B,
    memory: B::Buffer,
    /// Numbers that there is room for.
    len: usize,
    /// Numbers at the beginning of the memory that are of more than one piece.
    shared: usize,
    /// The piece that has something in it, where there is room for one.
    held: Option<usize>,
    /// In the order of the parameters.
    places: Vec<Place>,
}

struct Place {
    range: Range<usize>,
    /// Which piece of the network it is of; all are of the first where there is room for all.
    piece: usize,
    dims: Vec<usize>,
    /// Numbers in a row, of a matrix.
    width: usize,
    /// Whether something was put in since it was cleared.
    holds: bool,
    /// The rows in which the memory may be other than zero, in order; none where any may. Of a large table few rows have
    /// a gradient, and to clear, sum and look at the others each time would cost more than these.
    rows: Option<Arc<[u32]>>,
}

impl<B: Backend> Gradients<B> {
    /// Room for the gradients of these parameters, with nothing in it.
    pub fn new(backend: B, weights: &Weights) -> Result<Gradients<B>> {
        Gradients::laid_out(backend, weights, &[])
    }

    /// Room for the gradients of one piece of the network at a time: of the largest. Whoever lets a network
    /// [learn](crate::Network::learn_by_pieces) into it takes them when a piece is complete, and clears it.
    pub fn by_pieces(backend: B, weights: &Weights) -> Result<Gradients<B>> {
        let starts: Vec<usize> = weights.pieces.iter().skip(1).map(|piece| piece.first).collect();
        Gradients::laid_out(backend, weights, &starts)
    }

    /// At each of these parameters the memory begins anew.
    fn laid_out(backend: B, weights: &Weights, starts: &[usize]) -> Result<Gradients<B>> {
        let (mut end, mut piece) = (0, 0);
        let mut lengths = vec![0];
        let mut places = Vec::with_capacity(weights.parameters.len());
        for (number, parameter) in weights.parameters.iter().enumerate() {
            // A piece may have no parameter.
            while starts.get(piece).is_some_and(|&start| start <= number) {
                (end, piece) = (0, piece + 1);
                lengths.push(0);
            }
            let start = end;
            end += parameter.var.elem_count();
            lengths[piece] = end;
            let dims = parameter.var.dims().to_vec();
            let width = dims.last().copied().unwrap_or(1);
            places.push(Place { range: start..end, piece, dims, width, holds: false, rows: None });
        }
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let (len, shared) = (lengths[0], lengths.get(1).copied().unwrap_or(0));
        Ok(Gradients { memory: backend.buffer(len)?, backend, len, shared, held: None, places })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.len * size_of::<f32>()
    }

    /// Whether there is room for one piece of the network at a time.
    pub fn is_by_pieces(&self) -> bool {
        self.shared > 0
    }

    /// Forgets what was put in.
    pub fn clear(&mut self) {
        self.held = None;
        self.places.iter_mut().for_each(|place| place.holds = false);
    }

    /// Sees to it that nothing of another piece is overwritten that nobody has taken.
    fn enter(&mut self, parameter: usize) -> Result<()> {
        let piece = self.places[parameter].piece;
        match self.held.replace(piece) {
            Some(held) if held != piece => {
                self.held = Some(held);
                bail!(
                    "the gradients of piece {held} of the network were not taken before those of piece {piece}"
                )
            }
            _ => Ok(()),
        }
    }

    /// Where the gradient of a parameter is to be summed; whoever takes it writes or adds to all of it.
    pub(crate) fn sum(&mut self, parameter: usize) -> Result<Sum<'_, B>> {
        self.enter(parameter)?;
        let place = &mut self.places[parameter];
        place.rows = None;
        let add = std::mem::replace(&mut place.holds, true);
        Ok(Sum { values: B::write(&mut self.memory, place.range.clone()), add })
    }

    /// The same of two of a piece, where they are wanted.
    pub(crate) fn sums(&mut self, [first, second]: [Option<usize>; 2]) -> Result<[Option<Sum<'_, B>>; 2]> {
        let (Some(a), Some(b)) = (first, second) else {
            // A sum of one of them, or of none.
            let swap = first.is_none();
            let one = first.or(second).map(|parameter| self.sum(parameter)).transpose()?;
            return Ok(if swap { [None, one] } else { [one, None] });
        };
        self.enter(a)?;
        self.enter(b)?;
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
        Ok(if turned { [second, first] } else { [first, second] })
    }

    /// The same as a matrix.
    pub(crate) fn sum_matrix(&mut self, parameter: usize) -> Result<(Out<'_, B>, bool)> {
        let width = self.places[parameter].width;
        let sum = self.sum(parameter)?;
        Ok((Out::rows(sum.values, width), sum.add))
    }

    /// Adds the rows of g, one of each token, to those of a table's gradient.
    pub(crate) fn add_rows(&mut self, parameter: usize, grouped: &Grouped<B>, g: B::Ref<'_>) -> Result<()> {
        self.enter(parameter)?;
        let Gradients { backend, memory, places, shared, .. } = self;
        let place = &mut places[parameter];
        let width = place.width;
        let range = place.range.clone();
        match (place.holds, place.rows.take()) {
            // What is in other rows stays beside it.
            (true, None) => place.rows = None,
            (true, Some(before)) => {
                let mut rows = [&before[..], &grouped.rows[..]].concat();
                rows.sort_unstable();
                rows.dedup();
                place.rows = Some(rows.into());
            }
            (false, before) => {
                // Until this is done, nobody knows what stands where.
                match before {
                    Some(before) => {
                        let table = Out::rows(B::write(memory, range.clone()), width);
                        // Often the same rows, as those of positions are, and then on the device already.
                        match before == grouped.rows {
                            true => backend.clear_rows(table, &grouped.on_device)?,
                            false => backend.clear_rows(table, &backend.ids(&before)?)?,
                        }
                        // Other pieces have written there since.
                        let shared = range.start..range.end.min(*shared);
                        if !shared.is_empty() {
                            backend.clear(B::write(memory, shared))?;
                        }
                    }
                    None => backend.clear(B::write(memory, range.clone()))?,
                }
                place.rows = Some(grouped.rows.clone());
                place.holds = true;
            }
        }
        backend.scatter(Out::rows(B::write(memory, range), width), grouped, g)
    }

    /// Adds a gradient that is a tensor on the device.
    pub fn add_tensor(&mut self, parameter: usize, gradient: &Tensor) -> Result<()> {
        let gradient = gradient.to_dtype(candle_core::DType::F32)?.flatten_all()?.unsqueeze(0)?;
        let gradient = self.backend.to_matrix(&gradient)?;
        let backend = self.backend.clone();
        let sum = self.sum(parameter)?;
        let values = gradient.all().contiguous()?;
        match sum.add {
            true => backend.add(sum.values, values),
            false => backend.copy(Out::rows(sum.values, gradient.cols), In::rows(values, gradient.cols)),
        }
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
        Ok(self.norm_and(&[])?.0)
    }

    /// The same and single numbers, such as losses, for which the host waits once.
    pub fn norm_and(&self, numbers: &[B::Buffer]) -> Result<(f64, Vec<f32>)> {
        read_norm(&self.backend, vec![self.squares()?], numbers)
    }

    /// Starts the squares of the gradients that there are.
    pub fn squares(&self) -> Result<Squares<B>> {
        let held = || self.places.iter().enumerate().filter(|(_, place)| place.holds);
        // Those of all tables at once.
        let rows: Vec<&[u32]> = held().filter_map(|(_, place)| place.rows.as_deref()).collect();
        let rows = if rows.is_empty() { Vec::new() } else { self.backend.bring(&rows, &[])?.0 };
        let mut rows = rows.iter();
        let values = |place: &Place| In::rows(B::read(&self.memory, place.range.clone()), place.width);
        let all: Vec<_> =
            held().map(|(_, place)| (values(place), place.rows.as_ref().and_then(|_| rows.next()))).collect();
        let sums = self.backend.sums_of_squares(&all)?;
        Ok(Squares { parameters: held().map(|(parameter, _)| parameter).collect(), sums })
    }

    pub fn backend(&self) -> &B {
        &self.backend
    }
}

/// The squares of the norms of some parameters' gradients, which the device may still be computing.
pub struct Squares<B: Backend> {
    parameters: Vec<usize>,
    sums: B::Sums,
}

impl<B: Backend> Squares<B> {
    /// The parameters that had a gradient, in their order.
    pub fn parameters(&self) -> &[usize] {
        &self.parameters
    }
}

/// The Euclidean norm over gradients whose squares were taken one after another, and single numbers; the host waits once. It is
/// summed in the order of the parameters, in whatever order they were taken.
pub fn read_norm<B: Backend>(
    backend: &B,
    all: Vec<Squares<B>>,
    numbers: &[B::Buffer],
) -> Result<(f64, Vec<f32>)> {
    let (parameters, sums): (Vec<_>, Vec<_>) =
        all.into_iter().map(|squares| (squares.parameters, squares.sums)).unzip();
    let numbers: Vec<_> = numbers.iter().map(|number| B::read(number, 0..1)).collect();
    let (sums, numbers) = backend.read_sums(&sums, &numbers)?;
    let mut squares: Vec<(usize, f64)> = parameters.concat().into_iter().zip(sums.concat()).collect();
    squares.sort_by_key(|&(parameter, _)| parameter);
    Ok((squares.iter().map(|(_, squares)| squares).sum::<f64>().sqrt(), numbers))
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
    fn pieces_share_the_memory_of_the_largest_and_see_nothing_of_one_another() {
        let mut weights = Weights::default();
        for (n, shapes) in [&[&[6, 2][..], &[3]][..], &[&[2, 2], &[3]], &[], &[&[8]]].into_iter().enumerate()
        {
            weights.begin_piece();
            for (place, &shape) in shapes.iter().enumerate() {
                let var = Var::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
                weights.learn(format!("piece{n}.{place}"), var.as_tensor()).unwrap();
            }
        }
        assert_eq!((weights.largest_piece(), weights.trainable_count()), (15, 30));
        let mut gradients = Gradients::by_pieces(Cpu, &weights).unwrap();
        assert_eq!((gradients.bytes(), gradients.is_by_pieces()), (60, true));
        assert!(!Gradients::new(Cpu, &weights).unwrap().is_by_pieces());
        let full = |value: f32, shape: &[usize]| Tensor::full(value, shape, &Device::Cpu).unwrap();
        let table = |gradients: &mut Gradients, row: u32| -> Vec<f32> {
            gradients.add_rows(0, &Grouped::new(&Cpu, &[row]).unwrap(), &[1.0; 2]).unwrap();
            let table = gradients.get(0).unwrap().unwrap().flatten_all().unwrap();
            table.to_vec1::<f32>().unwrap()
        };
        for row in [1, 4, 5] {
            // The last piece is over the first four rows of the table, which are clean again for it afterwards.
            let expected: Vec<f32> = (0..12).map(|at| if at / 2 == row { 1.0 } else { 0.0 }).collect();
            assert_eq!(table(&mut gradients, row), expected);
            assert_eq!(gradients.squares().unwrap().parameters(), [0]);
            assert_eq!(gradients.norm().unwrap(), 2f64.sqrt());
            assert!(gradients.add_tensor(4, &full(7.0, &[8])).is_err(), "the table's were not taken");
            gradients.add_tensor(1, &full(2.0, &[3])).unwrap();
            gradients.clear();
            gradients.add_tensor(4, &full(7.0, &[8])).unwrap();
            assert!(gradients.sum(2).is_err() && gradients.get(0).unwrap().is_none());
            gradients.clear();
            gradients.add_tensor(2, &full(3.0, &[2, 2])).unwrap();
            gradients.add_tensor(3, &full(4.0, &[3])).unwrap();
            assert_eq!(gradients.norm().unwrap(), 84f64.sqrt());
            gradients.clear();
        }
    }

    #[test]
    fn of_a_table_the_rows_that_were_put_in_are_there_and_those_of_before_are_cleared() {
        let mut gradients = gradients(&[&[1], &[5, 2]]);
        let add = |gradients: &mut Gradients, rows: &[u32]| {
            let grouped = Grouped::new(&Cpu, rows).unwrap();
            gradients.add_rows(1, &grouped, &vec![1.0; 2 * rows.len()]).unwrap();
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
        let outside = Grouped::new(&Cpu, &[1, 9]).unwrap();
        assert!(gradients.add_rows(1, &outside, &[1.0; 4]).is_err());
        gradients.clear();
        add(&mut gradients, &[3]);
        assert_eq!(first(&gradients), [0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
