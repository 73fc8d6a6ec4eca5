use compute::Device;
use mbti::Axis;
use record::{Dtype, Quantization, TrainConfig, Trainable};

/// How a network is built to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The axes that the head is for.
    pub axes: Vec<Axis>,
    /// Decides new weights.
    pub seed: u32,
    pub dtype: Dtype,
    pub trainable: Trainable,
    /// In how many bits the matrices of linear layers are held, which are frozen then.
    pub quantization: Quantization,
    /// Read only where `trainable` says LoRA.
    pub lora: LoraSetup,
    /// Where the network's weights lie and where it computes; the bag of words always is on the CPU.
    pub device: Device,
    /// Whether the folder's weights are looked at by their shapes and stand for zeros.
    pub shapes_only: bool,
}

/// What LoRA is set to, under PEFT's names.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraSetup {
    pub rank: u32,
    pub alpha: f64,
    pub dropout: f64,
    /// Ends of names of the layers that it stands beside; empty for all linear layers.
    pub target_modules: Vec<String>,
    /// Whether what it adds is divided by √rank rather than by the rank.
    pub use_rslora: bool,
}

impl LoraSetup {
    /// What the product of its matrices is multiplied by.
    pub(crate) fn scale(&self) -> f64 {
        let rank = f64::from(self.rank.max(1));
        self.alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

impl Default for LoraSetup {
    fn default() -> Self {
        LoraSetup { rank: 8, alpha: 16.0, dropout: 0.0, target_modules: Vec::new(), use_rslora: false }
    }
}

impl Setup {
    /// Every weight learns, in 32 bits.
    pub fn plain(axes: &[Axis], seed: u32) -> Setup {
        let (axes, lora) = (axes.to_vec(), LoraSetup::default());
        let (dtype, trainable, quantization) = (Dtype::F32, Trainable::All, Quantization::None);
        Setup { axes, seed, dtype, trainable, quantization, lora, device: Device::Cpu, shapes_only: false }
    }

    /// What a run's settings ask for, on the CPU.
    pub fn of(config: &TrainConfig) -> Setup {
        Setup {
            axes: config.axes.clone(),
            seed: config.seed,
            // Products in bf16 read weights in 32 bits. There is no tf32 on a CPU, whose 32 bits are more.
            dtype: if config.dtype == Dtype::Bf16 { Dtype::Bf16 } else { Dtype::F32 },
            trainable: config.trainable,
            quantization: config.quantization,
            device: Device::Cpu,
            shapes_only: false,
            lora: LoraSetup {
                rank: config.lora_rank,
                alpha: config.lora_alpha,
                dropout: config.lora_dropout,
                target_modules: config.lora_target_modules.clone(),
                use_rslora: config.use_rslora,
            },
        }
    }
}
