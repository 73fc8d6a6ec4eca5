//! The state of AdamW as one safetensors file.
//!
//! For each parameter NAME it holds `NAME.first` and `NAME.second`, in f32 or as codes in u8, both
//! of the parameter's shape; with codes `NAME.first_scale` and `NAME.second_scale`, f32, one number
//! a block of 256; and for a weight in bf16 `NAME.remainder`, i16. The metadata are `step`,
//! `moments` (f32 or blocks8), and `checksum`, over the step and the content in the order of the
//! parameters, so that a damaged file is no more taken than one of another model.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use compute::Backend;
use model::Weights;
use safetensors::{
    SafeTensorError,
    tensor::{Metadata, TensorInfo},
};

use super::{
    AdamW, Moments, State,
    on_host::{OnHost, Part, Tensor, parts, slots},
};
use crate::{Error, error::Result};

/// Bytes that are read at once; a multiple of 8.
const CHUNK: usize = 1 << 20;

/// Writes the state beside its place, renames it there and waits until it is on the disk. No more
/// than the state of one parameter is in memory a second time.
pub fn save_state<B: Backend>(optimizer: &AdamW<B>, weights: &Weights, path: &Path) -> Result<()> {
    let host = OnHost::of(optimizer);
    let parts = parts(optimizer, weights);
    let mut checksum = Checksum::new(optimizer.step);
    parts.iter().for_each(|(_, part)| checksum.add(&host.bytes(part)));
    let metadata = HashMap::from([
        ("step".to_owned(), optimizer.step.to_string()),
        ("moments".to_owned(), name_of(optimizer.moments).to_owned()),
        ("checksum".to_owned(), checksum.text()),
    ]);
    let failed = |source| Error::WriteState { path: path.to_owned(), source };
    let views = parts.into_iter().map(|(name, part)| (name, Tensor { part, host: &host }));
    let written = safetensors::serialize_to_file(views, Some(metadata), path);
    if let Some(error) = host.failure() {
        std::fs::remove_file(path).ok();
        return Err(error.into());
    }
    written.map_err(|error| match error {
        SafeTensorError::IoError(source) => failed(source),
        other => failed(std::io::Error::other(other.to_string())),
    })?;
    // Opened for writing, since Windows syncs no file that is open for reading only.
    OpenOptions::new().write(true).open(path).and_then(|file| file.sync_all()).map_err(failed)
}

/// Reads the state into an optimizer that was made for these weights with these moments. The file
/// is read twice, so that the optimizer is as it was when anything in it is wrong.
pub fn load_state<B: Backend>(optimizer: &mut AdamW<B>, weights: &Weights, path: &Path) -> Result<()> {
    let wrong = |reason: String| Error::BadState { path: path.to_owned(), reason };
    let unreadable = |error: std::io::Error| wrong(error.to_string());
    let mut file = File::open(path).map_err(unreadable)?;
    let (begin, header) = model::read_header(&mut file).map_err(wrong)?;
    let noted = |name: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(name));
    let step =
        noted("step").and_then(|step| step.parse().ok()).ok_or_else(|| wrong("it has no step".into()))?;
    let wanted = name_of(optimizer.moments);
    match noted("moments") {
        Some(moments) if moments == wanted => (),
        other => {
            let found = other.map_or("no kind", String::as_str);
            return Err(wrong(format!("its moments are {found}, and those of this run {wanted}")));
        }
    }
    let places = find(&parts(optimizer, weights), &header).map_err(wrong)?;
    let mut checksum = Checksum::new(step);
    for (from, to) in &places {
        read(&mut file, begin + from, to - from, |_, bytes| checksum.add(bytes)).map_err(unreadable)?;
    }
    if noted("checksum") != Some(&checksum.text()) {
        return Err(wrong("its checksum is not that of its content, so that it is damaged".into()));
    }
    let mut places = places.into_iter();
    for (state, kind) in optimizer.states.iter_mut().zip(&optimizer.kinds) {
        let remainder = vec![0; if kind.halved { kind.count } else { 0 }];
        let mut host = State::new(kind.count, kind.moments, remainder);
        for (mut values, (from, to)) in slots(&mut host).into_iter().zip(&mut places) {
            read(&mut file, begin + from, to - from, |place, bytes| values.put(place, bytes))
                .map_err(unreadable)?;
        }
        *state = optimizer.backend.state_from_host(host)?;
    }
    optimizer.step = step;
    Ok(())
}

fn name_of(moments: Moments) -> &'static str {
    match moments {
        Moments::F32 => "f32",
        Moments::Blocks8 => "blocks8",
    }
}

/// Where in the data each part lies.
fn find(parts: &[(String, Part)], header: &Metadata) -> std::result::Result<Vec<(u64, u64)>, String> {
    let mut surplus = header.tensors();
    let place = |(name, part): &(String, Part)| {
        let TensorInfo { dtype, shape, data_offsets } =
            surplus.remove(name).ok_or_else(|| format!("it has no {name}"))?;
        if (*dtype, shape) != (part.dtype, &part.shape) {
            let (wanted, expected) = (part.dtype, &part.shape);
            return Err(format!(
                "{name} is {dtype} of the shape {shape:?} and should be {wanted} of {expected:?}"
            ));
        }
        Ok((data_offsets.0 as u64, data_offsets.1 as u64))
    };
    let places = parts.iter().map(place).collect::<std::result::Result<_, _>>()?;
    match surplus.keys().min() {
        Some(name) => Err(format!("it has {name}, which this run has not")),
        None => Ok(places),
    }
}

/// Hands on so many bytes of a file from this place on, in pieces with the place of each among them.
fn read(file: &mut File, from: u64, count: u64, mut take: impl FnMut(usize, &[u8])) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(from))?;
    let mut buffer = vec![0; CHUNK.min(count as usize)];
    let (mut place, count) = (0, count as usize);
    while place < count {
        let piece = &mut buffer[..CHUNK.min(count - place)];
        file.read_exact(piece)?;
        take(place, piece);
        place += piece.len();
    }
    Ok(())
}

/// FNV-1a (Fowler, Noll and Vo) on words of 64 bits in place of bytes: each word that changes
/// alone changes it.
struct Checksum(u64);

impl Checksum {
    fn new(step: u32) -> Checksum {
        let mut checksum = Checksum(0xcbf2_9ce4_8422_2325);
        checksum.word(u64::from(step));
        checksum
    }

    /// Bytes of one tensor, or a multiple of 8 of them. The last word is filled up with zeros.
    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::{DType, Device, Tensor, Var};
    use model::Parameter;

    use crate::{Gradients, Hyperparameters};

    /// A matrix in `f32` whose moments are in 8 bits where that is asked for, one in bf16, and a bias.
    fn weights() -> Weights {
        let parameter = |name: &str, shape: &[usize], dtype| Parameter {
            name: name.into(),
            var: Var::ones(shape, dtype, &Device::Cpu).unwrap(),
            decays: shape.len() > 1,
            remainder: None,
        };
        vec![
            parameter("matrix", &[67, 71], DType::F32),
            parameter("halved", &[6, 9], DType::BF16),
            parameter("bias", &[5], DType::F32),
        ]
        .into()
    }

    fn trained(weights: &mut Weights, moments: Moments, steps: usize) -> AdamW {
        let mut optimizer = AdamW::new(weights, Hyperparameters::default(), moments);
        step(&mut optimizer, weights, 0..steps);
        optimizer
    }

    fn step(optimizer: &mut AdamW, weights: &Weights, steps: std::ops::Range<usize>) {
        for step in steps {
            let mut gradients = Gradients::new(compute::Cpu, weights).unwrap();
            for (place, parameter) in weights.parameters.iter().enumerate() {
                let count = parameter.var.elem_count();
                let values = (0..count).map(|n| ((n * 37 + step * 11) % 101) as f32 / 101.0 - 0.4).collect();
                let gradient = Tensor::from_vec(values, parameter.var.shape(), &Device::Cpu).unwrap();
                gradients.add_tensor(place, &gradient).unwrap();
            }
            optimizer.step(weights, &gradients, 1e-3).unwrap();
        }
    }

    #[test]
    fn a_run_that_goes_on_from_a_saved_state_ends_as_one_that_never_stopped_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        for moments in [Moments::F32, Moments::Blocks8] {
            let mut weights = weights();
            let mut optimizer = trained(&mut weights, moments, 7);
            save_state(&optimizer, &weights, &path).unwrap();
            let mut loaded = AdamW::new(&mut weights.clone(), optimizer.hyperparameters, moments);
            load_state(&mut loaded, &weights, &path).unwrap();
            assert_eq!((loaded.step, &loaded.states), (7, &optimizer.states));

            let copy = |w: &Weights| -> Weights {
                let copy = |p: &Parameter| Parameter {
                    var: Var::from_tensor(&p.var.copy().unwrap()).unwrap(),
                    ..p.clone()
                };
                w.parameters.iter().map(copy).collect::<Vec<_>>().into()
            };
            let other = copy(&weights);
            step(&mut optimizer, &weights, 7..10);
            step(&mut loaded, &other, 7..10);
            assert_eq!(optimizer.states, loaded.states);
            for (one, other) in weights.parameters.iter().zip(&other.parameters) {
                let values = |p: &Parameter| {
                    let values = p.var.to_dtype(DType::F32).unwrap();
                    values.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                };
                assert_eq!(values(one), values(other));
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_or_has_one_bit_turned_is_an_error_and_the_optimizer_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        let mut weights = weights();
        let optimizer = trained(&mut weights, Moments::Blocks8, 3);
        save_state(&optimizer, &weights, &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut untouched = trained(&mut weights, Moments::Blocks8, 0);
        let before = untouched.states.clone();
        let mut refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = load_state(&mut untouched, &weights, &path).unwrap_err();
            assert!(matches!(error, Error::BadState { .. }) && untouched.step == 0);
            assert_eq!(untouched.states, before);
        };
        for length in (0..whole.len()).step_by(101).chain([7, 8, 9, whole.len() - 1]) {
            refused(&whole[..length]);
        }
        refused(&[&whole[..], &[0]].concat());
        let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
        // Every bit of the header, and one of every few bytes of the data.
        let bits = (0..header * 8).chain((header * 8..whole.len() * 8).step_by(331));
        for bit in bits {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused(&bytes);
        }
    }

    #[test]
    fn the_state_of_another_model_is_refused_by_the_name_of_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        let mut weights = weights();
        let optimizer = trained(&mut weights, Moments::Blocks8, 1);
        save_state(&optimizer, &weights, &path).unwrap();
        let refused = |mut other: Weights, moments: Moments| {
            let mut optimizer = AdamW::new(&mut other, Hyperparameters::default(), moments);
            let error = load_state(&mut optimizer, &other, &path).unwrap_err();
            assert_eq!(error.problem().code, record::ProblemCode::CannotRead);
            error.problem().params["reason"].clone()
        };
        let changed = |change: &dyn Fn(&mut Vec<Parameter>)| {
            let mut other = self::weights();
            change(&mut other.parameters);
            other
        };
        let vector = |count: usize, dtype| Var::zeros(count, dtype, &Device::Cpu).unwrap();
        assert_eq!(
            refused(self::weights(), Moments::F32),
            "its moments are blocks8, and those of this run f32"
        );
        let renamed = changed(&|parameters| parameters[2].name = "other".into());
        assert_eq!(refused(renamed, Moments::Blocks8), "it has no other.first");
        let longer = changed(&|parameters| parameters[2].var = vector(6, DType::F32));
        assert_eq!(
            refused(longer, Moments::Blocks8),
            "bias.first is F32 of the shape [5] and should be F32 of [6]"
        );
        let fewer = changed(&|parameters| parameters.truncate(2));
        assert_eq!(refused(fewer, Moments::Blocks8), "it has bias.first, which this run has not");
        let halved = changed(&|parameters| parameters[2].var = vector(5, DType::BF16));
        assert_eq!(refused(halved, Moments::Blocks8), "it has no bias.remainder");
        let missing = load_state(
            &mut AdamW::new(&mut weights, Hyperparameters::default(), Moments::Blocks8),
            &weights,
            &folder.path().join("missing"),
        );
        assert!(matches!(missing, Err(Error::BadState { .. })));
        let nowhere = save_state(&optimizer, &weights, &folder.path().join("no/such/folder"));
        assert!(matches!(nowhere, Err(Error::WriteState { .. })));
    }
}
