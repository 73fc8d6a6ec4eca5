//! What is to be measured, by the words of the command line.

use std::path::Path;

use compute::Device;
use model::{Network, Products, Setup};
use record::{Dtype, Quantization, Trainable};
use train::Moments;

use crate::AXES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Dense,
    Steps,
    Optimizer,
    Attention,
    Product,
    Evaluation,
    Tokenizing,
    Parts,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub work: Work,
    pub moments: Moments,
    setup: Setup,
    pub products: Products,
    pub texts: usize,
    pub tokens: usize,
    /// How often it is timed, if it is set.
    pub times: Option<usize>,
    /// How many batches make a step.
    pub batches: usize,
    /// Whether one more is taken apart by kernels.
    pub profile: bool,
}

impl Case {
    /// The case and the words that are no options; none where something is not known.
    pub fn read(arguments: &[String]) -> Option<(Case, Vec<String>)> {
        let mut words = Vec::new();
        let (mut device, mut texts, mut tokens, mut times) = (Device::Cpu, 16, 128, None);
        let (mut batches, mut profile) = (1, false);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--device" => device = open(arguments.next()?)?,
                "--texts" => texts = arguments.next()?.parse().ok()?,
                "--tokens" => tokens = arguments.next()?.parse().ok()?,
                "--times" => times = Some(arguments.next()?.parse().ok()?),
                "--batches" => batches = arguments.next()?.parse().ok()?,
                "--profile" => profile = true,
                word if word.starts_with("--") => return None,
                word => words.push(word.to_owned()),
            }
        }
        if words.is_empty() || texts == 0 || tokens == 0 || batches == 0 {
            return None;
        }
        let name = words.remove(0);
        let mut setup = Setup { device, ..Setup::plain(&AXES, 0) };
        let (work, products, moments) = of_name(&name, &mut setup)?;
        // Texts are read, and a step is taken apart, on the processor.
        let anywhere =
            matches!(work, Work::Dense | Work::Steps | Work::Optimizer | Work::Attention | Work::Product);
        let case = Case { work, moments, setup, products, texts, tokens, times, batches, profile };
        (anywhere || case.device().is_cpu()).then_some((case, words))
    }

    pub fn device(&self) -> &Device {
        &self.setup.device
    }

    pub fn needs_texts(&self) -> bool {
        matches!(self.work, Work::Evaluation | Work::Tokenizing | Work::Parts)
    }

    pub fn needs_a_model(&self) -> bool {
        self.work != Work::Product
    }

    pub fn start(&self, model: &Path) -> Network {
        let mut network = model::start(model, &self.setup).expect("the model opens");
        network.products = self.products;
        network
    }
}

fn of_name(name: &str, setup: &mut Setup) -> Option<(Work, Products, Moments)> {
    let plain = |work| Some((work, Products::F32, Moments::F32));
    match name {
        "optimizer" => return plain(Work::Optimizer),
        "optimizer-8bit" => return Some((Work::Optimizer, Products::F32, Moments::Blocks8)),
        "attention" => return plain(Work::Attention),
        "attention-bf16" => return Some((Work::Attention, Products::Bf16, Moments::F32)),
        "product" => return plain(Work::Product),
        "product-bf16" => return Some((Work::Product, Products::Bf16, Moments::F32)),
        "product-tf32" => return Some((Work::Product, Products::Tf32, Moments::F32)),
        "evaluation" => return plain(Work::Evaluation),
        "tokenizing" => return plain(Work::Tokenizing),
        "parts" => return plain(Work::Parts),
        _ => {}
    }
    let (work, rest) = match name.strip_prefix("dense") {
        Some(rest) => (Work::Dense, rest),
        None => (Work::Steps, name.strip_prefix("steps")?),
    };
    let rest = if let Some(rest) = rest.strip_prefix("-lora") {
        setup.trainable = Trainable::Lora;
        rest
    } else if let Some(rest) = rest.strip_prefix("-nf4") {
        (setup.trainable, setup.quantization) = (Trainable::Lora, Quantization::Nf4);
        rest
    } else {
        rest
    };
    let (rest, moments) = match rest.strip_suffix("-8bit") {
        Some(rest) => (rest, Moments::Blocks8),
        None => (rest, Moments::F32),
    };
    let on_gpu = !setup.device.is_cpu();
    let products = match rest {
        "" => Products::F32,
        "-tf32" if on_gpu => Products::Tf32,
        "-bf16" if on_gpu || model::processor_multiplies_bf16() => Products::Bf16,
        "-bf16-weights" => {
            setup.dtype = Dtype::Bf16;
            if on_gpu || model::processor_multiplies_bf16() { Products::Bf16 } else { Products::F32 }
        }
        _ => return None,
    };
    Some((work, products, moments))
}

#[cfg(feature = "cuda")]
fn open(name: &str) -> Option<Device> {
    if let Some(number) = name.strip_prefix("cuda:") {
        let number = number.parse().ok()?;
        return Some(Device::Cuda(compute::Cuda::new(number).expect("the GPU opens")));
    }
    (name == "cpu").then_some(Device::Cpu)
}

#[cfg(not(feature = "cuda"))]
fn open(name: &str) -> Option<Device> {
    (name == "cpu").then_some(Device::Cpu)
}
