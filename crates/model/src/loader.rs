use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use compute::{
    Held,
    quantised::{Int8, Nf4},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};
use record::{Dtype, Quantization, Trainable};

use crate::{
    Error, LoadReport,
    adapter::Adapter,
    error::Result,
    layers::{Linear, Lora, Norm, NormKind},
    setup::Setup,
    source::Source,
    weights::{Adapted, Weight, Weights},
};

/// Takes weights out of a model folder, or makes new ones, while a network is built.
pub(crate) struct Loader<'a> {
    source: Option<Source>,
    /// LoRA's matrices and the head, where an adapter's folder is opened.
    adapter: Option<&'a Adapter>,
    /// What stands before a base model's names in a classifier, such as `bert.`; a base
    /// checkpoint has the names without it.
    prefix: &'static str,
    setup: &'a Setup,
    /// Whether the folder's own head is for the labels that are wanted.
    pub(crate) keep_head: bool,
    random: ChaCha8Rng,
    weights: Weights,
    report: LoadReport,
    used: BTreeSet<String>,
    /// The ends of names of all layers that LoRA could stand beside.
    modules: BTreeSet<String>,
}

/// How a norm works: `LayerNorm`, with or without a bias, or root mean square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormStyle {
    Layer { bias: bool },
    RootMeanSquare,
}

/// The names of buffers that old checkpoints carry and nobody needs.
const BUFFERS: [&str; 2] = ["position_ids", "rotary_emb.inv_freq"];

impl<'a> Loader<'a> {
    pub(crate) fn new(
        source: Option<Source>,
        adapter: Option<&'a Adapter>,
        prefix: &'static str,
        setup: &'a Setup,
        keep_head: bool,
    ) -> Loader<'a> {
        let random = ChaCha8Rng::seed_from_u64(u64::from(setup.seed));
        let weights = Weights { device: setup.device.clone(), ..Weights::default() };
        let report = LoadReport::default();
        let (used, modules) = (BTreeSet::new(), BTreeSet::new());
        Loader { source, adapter, prefix, setup, keep_head, random, weights, report, used, modules }
    }

    /// What is taken next belongs to another piece of the network than what was taken so far: first to the embeddings,
    /// then to each layer, then to what comes after them.
    pub(crate) fn begin_piece(&mut self) {
        self.weights.begin_piece();
    }

    /// The weights, once the network is built, and what is to be told of them.
    pub(crate) fn finish(mut self) -> Result<(Weights, LoadReport)> {
        let wanted = self.setup.trainable == Trainable::Lora && self.adapter.is_none();
        for target in self.setup.lora.target_modules.iter().filter(|_| wanted) {
            if !self.modules.iter().any(|module| is_end_of(target, module)) {
                let known = self.modules.iter().cloned().collect::<Vec<_>>().join(", ");
                return Err(Error::UnknownTarget { target: target.clone(), known });
            }
        }
        if let Some(source) = &self.source {
            let unused = source.names().filter(|name| !self.used.contains(*name));
            let unused = unused.filter(|name| !BUFFERS.iter().any(|buffer| name.ends_with(buffer)));
            self.report.unused = unused.cloned().collect();
        }
        Ok((self.weights, self.report))
    }

    /// The name under which the folder has a weight, with or without the family's prefix.
    fn stored_name(&self, name: &str) -> Option<String> {
        let source = self.source.as_ref()?;
        let base = name.strip_prefix(self.prefix).unwrap_or(name);
        // Checkpoints converted from TensorFlow long ago call the norms gamma and beta.
        let old =
            base.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let names = [name.to_owned(), base.to_owned(), format!("{}{old}", self.prefix), old];
        names.into_iter().find(|name| source.has(name))
    }

    /// The weight of this name and shape out of the folder.
    fn stored(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let stored = self.stored_name(name);
        let Some((source, stored)) = self.source.as_ref().zip(stored) else {
            let path = self.source.as_ref().map(|source| source.path.clone()).unwrap_or_default();
            return Err(Error::MissingWeight { path, name: name.to_owned() });
        };
        source.check_shape(&stored, shape)?;
        let tensor = match self.setup.shapes_only {
            // One number stands for all of a matrix, so that a model that does not fit can be looked at.
            true => {
                source.check_dtype(&stored)?;
                match shape {
                    [_, _, ..] => Tensor::zeros((), dtype, &Device::Cpu)?.broadcast_as(shape)?,
                    shape => Tensor::zeros(shape, dtype, &Device::Cpu)?,
                }
            }
            false => source.load(&stored, dtype)?,
        };
        self.used.insert(stored);
        Ok(tensor)
    }

    fn stored_dtype(&self, name: &str) -> Option<DType> {
        self.source.as_ref()?.dtype(&self.stored_name(name)?)
    }

    /// A weight of the base model.
    fn base(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<Weight> {
        let learns = self.setup.trainable == Trainable::All;
        if learns && self.setup.shapes_only {
            let tensor = self.stored(name, shape, dtype)?;
            return self.weights.learn_shape(name.to_owned(), &tensor);
        }
        if learns && dtype == DType::BF16 && self.stored_dtype(name) != Some(DType::BF16) {
            let tensor = self.stored(name, shape, DType::F32)?;
            return self.weights.learn_halved(name.to_owned(), &tensor);
        }
        let tensor = self.stored(name, shape, dtype)?;
        match self.setup.trainable {
            Trainable::All => self.weights.learn(name.to_owned(), &tensor),
            Trainable::Lora | Trainable::Head => self.weights.freeze(name.to_owned(), tensor),
        }
    }

    /// A matrix of the base model, in the precision that is set.
    pub(crate) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight> {
        let dtype = match self.setup.dtype {
            Dtype::F32 | Dtype::Bf16Mixed | Dtype::Tf32 => DType::F32,
            Dtype::Bf16 => DType::BF16,
        };
        self.base(name, &shape, dtype)
    }

    /// The matrix of a linear layer: in 4 or 8 bits where that is set. Then it is read in 32 bits, alone.
    fn layer_matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight> {
        // The dimensions are below 2²⁴ each.
        let count = shape[0] * shape[1];
        let quantise: fn(&Tensor) -> candle_core::Result<Held> = match self.setup.quantization {
            Quantization::None => return self.matrix(name, shape),
            Quantization::Nf4 => |tensor| Ok(Held::Nf4(Nf4::quantise(tensor)?.into())),
            Quantization::Int8 => |tensor| Ok(Held::Int8(Int8::quantise(tensor)?.into())),
        };
        self.weights.quantised += count;
        let tensor = self.stored(name, &shape, DType::F32)?;
        let held = match (self.setup.shapes_only, self.setup.quantization) {
            (true, Quantization::Int8) => Ok(Held::Int8(Int8::of_shape(shape[0], shape[1])?.into())),
            (true, _) => Ok(Held::Nf4(Nf4::of_shape(shape[0], shape[1])?.into())),
            (false, _) => quantise(&tensor),
        };
        let held = held.map_err(|error| self.wrong(name, &error))?;
        self.weights.freeze(name.to_owned(), held)
    }

    fn wrong(&self, name: &str, error: &candle_core::Error) -> Error {
        let path = self.source.as_ref().map(|source| source.path.clone()).unwrap_or_default();
        Error::Weights { path, reason: format!("{name}: {error}") }
    }

    /// A linear layer of the base model; LoRA's matrices come beside it where they are wanted.
    /// `module` is the part of the name that is the same in every layer of the network.
    pub(crate) fn linear(
        &mut self,
        layer: &str,
        module: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> Result<Linear> {
        let name = format!("{layer}{module}");
        let weight = self.layer_matrix(&format!("{name}.weight"), [outputs, inputs])?;
        let bias = bias.then(|| self.base(&format!("{name}.bias"), &[outputs], DType::F32)).transpose()?;
        let lora = self.lora(&name, module, [inputs, outputs])?;
        Ok(Linear { weight, bias, lora })
    }

    fn lora(&mut self, name: &str, module: &str, [inputs, outputs]: [usize; 2]) -> Result<Option<Lora>> {
        if self.setup.trainable != Trainable::Lora {
            return Ok(None);
        }
        self.modules.insert(module.to_owned());
        let lora = &self.setup.lora;
        let targets = &lora.target_modules;
        let wanted = match self.adapter {
            Some(adapter) => adapter.has(&format!("{name}.lora_A.weight")),
            None => targets.is_empty() || targets.iter().any(|target| is_end_of(target, module)),
        };
        if !wanted {
            return Ok(None);
        }
        let (rank, scale, dropout) = (lora.rank as usize, lora.scale(), lora.dropout as f32);
        let (a_name, b_name) = (format!("{name}.lora_A.weight"), format!("{name}.lora_B.weight"));
        let (a, b) = match self.adapter {
            Some(adapter) => {
                (adapter.load(&a_name, &[rank, inputs])?, adapter.load(&b_name, &[outputs, rank])?)
            }
            None if self.setup.shapes_only => {
                let zeros = |rows, cols| Tensor::zeros((rows, cols), DType::F32, &Device::Cpu);
                (zeros(rank, inputs)?, zeros(outputs, rank)?)
            }
            // As PEFT begins: A as PyTorch's nn.Linear, B at zero, so that nothing is added at first.
            None => {
                let bound = 1.0 / (inputs as f64).sqrt();
                let uniform = Uniform::new_inclusive(-bound, bound).map_err(candle_core::Error::wrap)?;
                let a = self.draw(&uniform, &[rank, inputs])?;
                (a, Tensor::zeros((outputs, rank), DType::F32, &Device::Cpu)?)
            }
        };
        let a = self.weights.learn(a_name, &a)?;
        let b = self.weights.learn(b_name, &b)?;
        let (layer, module) = (name.to_owned(), module.to_owned());
        self.weights.adapted.push(Adapted { layer, module, a: a.values()?, b: b.values()?, scale });
        Ok(Some(Lora { a, b, scale, dropout }))
    }

    /// A norm of the base model, in `f32`.
    pub(crate) fn norm(&mut self, name: &str, width: usize, eps: f64, style: NormStyle) -> Result<Norm> {
        let weight = self.base(&format!("{name}.weight"), &[width], DType::F32)?;
        let kind = match style {
            NormStyle::RootMeanSquare => NormKind::RootMeanSquare,
            NormStyle::Layer { bias } => {
                let name = format!("{name}.bias");
                let bias = bias.then(|| self.base(&name, &[width], DType::F32)).transpose()?;
                NormKind::Layer { bias }
            }
        };
        Ok(Norm { weight, eps, kind })
    }

    /// A weight of the head, which always learns and is always in `f32`: the adapter's or the
    /// folder's where it is to be kept and is there in this shape, else a new one.
    pub(crate) fn head_weight(
        &mut self,
        name: &str,
        shape: &[usize],
        keep: bool,
        new: New,
    ) -> Result<Weight> {
        let tensor = match self.kept_head_weight(name, shape, keep)? {
            Some(tensor) => tensor,
            None => {
                self.report.new.push(name.to_owned());
                match new {
                    New::Zeros => Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
                    New::Ones => Tensor::ones(shape, DType::F32, &Device::Cpu)?,
                    New::Normal(deviation) => {
                        let normal = Normal::new(0.0, deviation).map_err(candle_core::Error::wrap)?;
                        self.draw(&normal, shape)?
                    }
                }
            }
        };
        self.weights.learn(name.to_owned(), &tensor)
    }

    fn kept_head_weight(&mut self, name: &str, shape: &[usize], keep: bool) -> Result<Option<Tensor>> {
        if let Some(adapter) = self.adapter
            && adapter.has(name)
        {
            // The base's own head is replaced and not passed over.
            self.used.extend(self.stored_name(name));
            return adapter.load(name, shape).map(Some);
        }
        let (Some(stored), Some(source)) = (self.stored_name(name), &self.source) else { return Ok(None) };
        let found = source.shape(&stored)?;
        if keep && found == shape {
            return self.stored(name, shape, DType::F32).map(Some);
        }
        if found != shape {
            self.report.misshapen.push((name.to_owned(), found, shape.to_vec()));
        }
        // A head for other labels is replaced and not passed over.
        self.used.insert(stored);
        Ok(None)
    }

    /// A linear layer of the head.
    pub(crate) fn head_linear(
        &mut self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
        keep: bool,
        deviation: f64,
    ) -> Result<Linear> {
        let weight =
            self.head_weight(&format!("{name}.weight"), &[outputs, inputs], keep, New::Normal(deviation))?;
        let name = format!("{name}.bias");
        let bias = bias.then(|| self.head_weight(&name, &[outputs], keep, New::Zeros)).transpose()?;
        Ok(Linear { weight, bias, lora: None })
    }

    fn draw(&mut self, distribution: &impl Distribution<f64>, shape: &[usize]) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| distribution.sample(&mut self.random) as f32).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

/// What a new weight begins as.
pub(crate) enum New {
    Zeros,
    Ones,
    /// Drawn from a normal distribution with mean 0 and this standard deviation.
    Normal(f64),
}

/// Whether a target names a module by whole parts of its end, as PEFT has it: `q_proj` and
/// `self_attn.q_proj` both name `self_attn.q_proj`.
fn is_end_of(target: &str, module: &str) -> bool {
    module.strip_suffix(target).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_whole_parts_of_the_end_of_a_name() {
        assert!(is_end_of("q_proj", "self_attn.q_proj"));
        assert!(is_end_of("self_attn.q_proj", "self_attn.q_proj"));
        assert!(is_end_of("output.dense", "attention.output.dense"));
        assert!(!is_end_of("proj", "self_attn.q_proj"));
        assert!(!is_end_of("k_proj", "self_attn.q_proj"));
        assert!(!is_end_of("x.self_attn.q_proj", "self_attn.q_proj"));
    }
}
