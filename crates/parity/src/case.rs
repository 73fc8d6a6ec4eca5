//! One case that tests/reference/families.py has written: a model folder, texts, and what
//! Transformers, PyTorch and PEFT make of them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use compute::{Backend, on_device};
use data::Batch;
use mbti::{Axis, Type};
use model::{Checkpointing, Network, Setup};
use record::{Dtype, Quantization, Trainable};
use serde_json::Value;
use train::{AdamW, ClassWeights, Gradients, Hyperparameters, Moments};

use crate::device;

pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub axes: Vec<Axis>,
    pub batch: Batch,
    types: Vec<Type>,
    weights: ClassWeights,
    learning_rate: f64,
    pub expected: HashMap<String, Tensor>,
}

/// The committed cases, or those of the folder that MBTI_PARITY names. Where the tests run on another machine than they
/// were built on, the committed ones lie in the folder that MBTI_TEST_FIXTURES names.
pub fn cases() -> Vec<Case> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/fixtures");
    let committed = std::env::var_os("MBTI_TEST_FIXTURES").map_or(checkout, PathBuf::from).join("families");
    let folder = std::env::var_os("MBTI_PARITY").map_or(committed, PathBuf::from);
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("case.json").exists());
    folders.sort();
    assert!(folders.len() >= 15, "there are only {} cases in {}", folders.len(), folder.display());
    folders.iter().map(|folder| Case::read(folder)).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// What one pass came to, on the host.
pub struct Learned {
    pub loss: f64,
    /// By the places of the parameters; none for what has none.
    gradients: Vec<Option<Tensor>>,
}

impl Learned {
    pub fn gradient(&self, place: usize) -> Option<Tensor> {
        self.gradients.get(place)?.clone()
    }
}

/// A tensor in the host's memory, wherever it was computed.
pub fn on_host(tensor: &Tensor) -> Tensor {
    tensor.to_device(&Device::Cpu).unwrap()
}

impl Case {
    fn read(folder: &Path) -> Case {
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        let mut batch = Batch { ids: vec![], offsets: vec![0], rows: vec![], tokens: 0 };
        for (row, text) in case["texts"].as_array().unwrap().iter().enumerate() {
            batch.ids.extend(numbers(text).into_iter().map(|id| id as u32));
            batch.offsets.push(batch.ids.len() as u32);
            batch.rows.push(row as u32);
        }
        let class =
            |text: &Value| Type::from_classes(<[f64; 4]>::try_from(numbers(text)).unwrap().map(|c| c == 1.0));
        let pair = |pair: &Value| <[f64; 2]>::try_from(numbers(pair)).unwrap().map(|weight| weight as f32);
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            axes: if case["axes"] == "all" { Axis::ALL.to_vec() } else { vec![Axis::JudgingPerceiving] },
            batch,
            types: case["classes"].as_array().unwrap().iter().map(class).collect(),
            weights: case["weights"].as_array().unwrap().iter().map(pair).collect(),
            learning_rate: case["learning_rate"].as_f64().unwrap(),
            expected: candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)
                .unwrap(),
        }
    }

    pub fn start(&self, dtype: Dtype, trainable: Trainable) -> Network {
        let setup = Setup { dtype, trainable, device: device(), ..Setup::plain(&self.axes, 0) };
        model::start(&self.folder.join("model"), &setup).unwrap()
    }

    /// Every weight learns, in 32 bits, on the device that is tested.
    pub fn plain(&self) -> Setup {
        Setup { device: device(), ..Setup::plain(&self.axes, 0) }
    }

    /// LoRA that begins anew beside a base in so many bits, out of this folder.
    pub fn start_quantised(&self, folder: &Path, quantization: Quantization) -> Network {
        let trainable = Trainable::Lora;
        let setup = Setup { quantization, trainable, device: device(), ..Setup::plain(&self.axes, 0) };
        model::start(folder, &setup).unwrap()
    }

    /// The model with the adapter that PEFT has saved for this case, which is given the
    /// config.json with the labels that our own adapters have.
    pub fn open_adapter(&self) -> Network {
        let place = tempfile::tempdir().unwrap();
        let base = self.folder.join("model");
        std::fs::copy(
            self.folder.join("lora/adapter_model.safetensors"),
            place.path().join("adapter_model.safetensors"),
        )
        .unwrap();
        std::fs::copy(base.join("config.json"), place.path().join("config.json")).unwrap();
        let text = std::fs::read(self.folder.join("lora/adapter_config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["base_model_name_or_path"] = base.display().to_string().into();
        std::fs::write(place.path().join("adapter_config.json"), config.to_string()).unwrap();
        model::open_on(place.path(), &device()).unwrap()
    }

    fn group_weight(&self) -> Vec<f64> {
        let weight = |(place, axis): (usize, &Axis)| {
            self.types.iter().map(|mbti| f64::from(self.weights[place][usize::from(mbti.class(*axis))])).sum()
        };
        self.axes.iter().enumerate().map(weight).collect()
    }

    /// Loss and gradients of the case's texts as one batch; dropout is zero by the case's config.
    pub fn learn(&self, network: &Network, checkpointing: impl Into<Checkpointing>) -> Learned {
        let checkpointing = checkpointing.into();
        on_device!(&network.device, backend => self.learn_on(backend, network, checkpointing))
    }

    fn learn_on<B: Backend>(&self, backend: &B, network: &Network, checkpointing: Checkpointing) -> Learned {
        let mut gradients = Gradients::new(backend.clone(), &network.weights).unwrap();
        let loss = self.learn_into(network, checkpointing, &mut gradients);
        let gradient = |place| gradients.get(place).unwrap().map(|it| on_host(&it));
        Learned { loss, gradients: (0..network.weights.parameters.len()).map(gradient).collect() }
    }

    fn learn_into<B: Backend>(
        &self,
        network: &Network,
        checkpointing: Checkpointing,
        sums: &mut Gradients<B>,
    ) -> f64 {
        let group = self.group_weight();
        let targets = train::targets(&self.types, &network.head, &self.weights, &group);
        let loss = network.learn(&self.batch, 1, checkpointing, &targets, sums).unwrap();
        f64::from(sums.backend().download(B::read(&loss, 0..1)).unwrap()[0])
    }

    /// The losses before each of ten AdamW steps.
    pub fn ten_losses(&self, network: &mut Network, checkpointing: impl Into<Checkpointing>) -> Vec<f64> {
        let checkpointing = checkpointing.into();
        on_device!(&network.device.clone(), backend => self.ten_losses_on(backend, network, checkpointing))
    }

    fn ten_losses_on<B: Backend>(
        &self,
        backend: &B,
        network: &mut Network,
        checkpointing: Checkpointing,
    ) -> Vec<f64> {
        let (hyperparameters, moments) = (Hyperparameters::default(), Moments::F32);
        let mut optimizer = AdamW::on(backend, &mut network.weights, hyperparameters, moments).unwrap();
        let step = |_| {
            let mut gradients = Gradients::new(backend.clone(), &network.weights).unwrap();
            let loss = self.learn_into(network, checkpointing, &mut gradients);
            optimizer.step(&network.weights, &gradients, self.learning_rate).unwrap();
            loss
        };
        (0..10).map(step).collect()
    }

    pub fn expected_losses(&self, name: &str) -> Vec<f64> {
        self.expected[name].to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
    }
}
