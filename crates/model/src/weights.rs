use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{DType, Device, Tensor, Var, safetensors::MmapedSafetensors};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{Error, Mode, error::Result};

/// One weight that learns.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name that Transformers gives it.
    pub name: String,
    pub var: Var,
    /// Whether weight decay applies: on matrices, not on biases and norms.
    pub decays: bool,
}

/// All weights of a network, in the order in which it was built.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    pub parameters: Vec<Parameter>,
}

impl Weights {
    /// Number of single weights.
    pub fn count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.var.elem_count()).sum()
    }
}

/// A weight inside a layer. Evaluation takes it detached, so that no graph is built and no
/// activation is kept; both share their memory with the parameter that learns.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    tracked: Tensor,
    detached: Tensor,
}

impl Weight {
    pub(crate) fn get(&self, mode: Mode) -> &Tensor {
        match mode {
            Mode::Evaluate => &self.detached,
            Mode::Train { .. } => &self.tracked,
        }
    }
}

/// Takes weights out of a safetensors file, or makes new ones, while a network is built.
pub(crate) struct Loader {
    file: Option<(PathBuf, Arc<MmapedSafetensors>)>,
    /// What stands before a base model's names in a classifier, such as `bert.`; a base
    /// checkpoint has the names without it.
    prefix: &'static str,
    random: ChaCha8Rng,
    pub(crate) weights: Weights,
}

impl Loader {
    pub(crate) fn new(file: Option<&Path>, prefix: &'static str, seed: u32) -> Result<Loader> {
        let file = file.map(|path| Ok::<_, Error>((path.to_owned(), Arc::new(map(path)?)))).transpose()?;
        let random = ChaCha8Rng::seed_from_u64(u64::from(seed));
        Ok(Loader { file, prefix, random, weights: Weights::default() })
    }

    /// Whether the file has a weight of this name, with or without the family's prefix.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored_name(name).is_some()
    }

    fn stored_name(&self, name: &str) -> Option<String> {
        let (_, file) = self.file.as_ref()?;
        let base = name.strip_prefix(self.prefix).unwrap_or(name);
        // Checkpoints converted from TensorFlow long ago call the norms gamma and beta.
        let old =
            base.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        [name.to_owned(), base.to_owned(), format!("{}{old}", self.prefix), old]
            .into_iter()
            .find(|name| file.get(name).is_ok())
    }

    /// The weight of this name and shape, as `f32` whatever it is stored as.
    pub(crate) fn load(&mut self, name: &str, shape: &[usize]) -> Result<Weight> {
        let stored = self.stored_name(name);
        let Some(((path, file), stored)) = self.file.as_ref().zip(stored) else {
            let path = self.file.as_ref().map(|(path, _)| path.clone()).unwrap_or_default();
            return Err(Error::MissingWeight { path, name: name.to_owned() });
        };
        let wrong =
            |error: candle_core::Error| Error::Weights { path: path.clone(), reason: error.to_string() };
        let found = file.get(&stored).map_err(wrong)?.shape().to_vec();
        if found != shape {
            let (path, expected) = (path.clone(), shape.to_vec());
            return Err(Error::Shape { path, name: stored, found, expected });
        }
        let tensor = file.load(&stored, &Device::Cpu).map_err(wrong)?;
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            let reason = format!("the weight {stored} is of type {dtype:?}; read are F32, F16 and BF16");
            return Err(Error::Weights { path: path.clone(), reason });
        }
        let tensor = tensor.to_dtype(DType::F32)?;
        self.add(name, tensor)
    }

    /// A new weight drawn from a normal distribution with mean 0 and this standard deviation.
    pub(crate) fn new_normal(&mut self, name: &str, shape: &[usize], deviation: f64) -> Result<Weight> {
        let normal = Normal::new(0.0, deviation).map_err(candle_core::Error::wrap)?;
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| normal.sample(&mut self.random) as f32).collect();
        self.add(name, Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    pub(crate) fn new_zeros(&mut self, name: &str, shape: &[usize]) -> Result<Weight> {
        self.add(name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?)
    }

    fn add(&mut self, name: &str, tensor: Tensor) -> Result<Weight> {
        let var = Var::from_tensor(&tensor)?;
        let tracked = var.as_tensor().clone();
        let detached = tracked.detach();
        self.weights.parameters.push(Parameter { name: name.to_owned(), var, decays: tracked.rank() >= 2 });
        Ok(Weight { tracked, detached })
    }
}

/// Maps a safetensors file into memory.
#[allow(unsafe_code)]
fn map(path: &Path) -> Result<MmapedSafetensors> {
    let file = std::fs::metadata(path);
    if file.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        let folder = path.parent().unwrap_or(path).to_owned();
        return Err(Error::Incomplete { path: folder, missing: "model.safetensors".to_owned() });
    }
    file.map_err(|error| Error::read(path, error))?;
    // SAFETY: a map is sound as long as nobody changes the file underneath. These files lie in
    // the program's own storage, are written under another name and renamed into place, and are
    // never written again; the map lives only while the weights are copied out of it.
    unsafe { MmapedSafetensors::new(path) }
        .map_err(|error| Error::Weights { path: path.to_owned(), reason: error.to_string() })
}
