use std::path::{Path, PathBuf};

use candle_core::Tensor;
use compute::{Backend, Cpu, Device, Products, on_device};
use data::{Batch, Tokenizer};
use mbti::Axis;
use record::{Dtype, Quantization, Trainable};
use serde_json::{Map, Value};

use crate::{
    Checkpointing, Error, Gradients, Head, LoadReport, LoraSetup, Mode, Setup, Targets, Weights,
    adapter::Adapter,
    callbacks::Taker,
    config_file::{CONFIG, NOTES, QUANTIZATION, read_config},
    decoder, encoder,
    error::Result,
    loader::Loader,
    pass::{self, Keep},
    source::Source,
    transformer::{Learns, Transformer},
    words::Words,
};

/// A model of any family, with a head for certain axes.
pub struct Network {
    pub head: Head,
    pub weights: Weights,
    /// What became of the weights of the folder that it was built from.
    pub report: LoadReport,
    /// The config.json that it was built from.
    pub(crate) config: Map<String, Value>,
    /// The folder that it was built from, whose tokenizer belongs to it.
    pub(crate) folder: PathBuf,
    /// The folder of its base model: the same, unless it was opened from an adapter.
    pub(crate) base_folder: PathBuf,
    /// Where its weights lie and where it computes.
    pub device: Device,
    pub(crate) trainable: Trainable,
    pub(crate) dtype: Dtype,
    pub(crate) lora: LoraSetup,
    pub(crate) quantization: Quantization,
    /// How linear layers multiply in a pass that learns; `f32` until it is set otherwise.
    pub products: Products,
    pub(crate) about: About,
    family: Family,
}

enum Family {
    Transformer(Box<Transformer>),
    Words(Words),
}

/// What saving has to know of a family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// The class in Transformers that reads what is saved, where there is one.
    pub(crate) architecture: Option<&'static str>,
    /// The modules of the head, which PEFT saves whole.
    pub(crate) head_modules: &'static [&'static str],
    /// Whether it reads from left to right; its classifier in Transformers needs a padding token.
    pub(crate) is_decoder: bool,
}

const TOKENIZER: &str = "tokenizer.json";
/// Builds a network to train from a model folder: the weights that are there and, unless the
/// folder already has one for these very axes, a new head drawn by the seed.
pub fn start(folder: &Path, setup: &Setup) -> Result<Network> {
    let config = read_config(folder)?;
    let head = Head { axes: setup.axes.clone() };
    let keep_head = Head::read(&config).as_ref() == Some(&head);
    build(folder, folder, config, head, keep_head, setup, None)
}

/// Opens a network that was trained, to predict with or, from an adapter, to train on: a whole
/// model, or an adapter as PEFT lays it out, whose base model its adapter_config.json names. The base is held in as many
/// bits as it was while the adapter learned.
pub fn open(folder: &Path) -> Result<Network> {
    open_on(folder, &Device::Cpu)
}

/// The same on a device.
pub fn open_on(folder: &Path, device: &Device) -> Result<Network> {
    open_held(folder, true, device)
}

/// The same to merge an adapter into its base, which is read in its own precision.
pub fn open_to_merge(folder: &Path) -> Result<Network> {
    open_held(folder, false, &Device::Cpu)
}

fn open_held(folder: &Path, quantised: bool, device: &Device) -> Result<Network> {
    let config = read_config(folder)?;
    let head = Head::read(&config).ok_or_else(|| Error::NotAClassifier { path: folder.join(CONFIG) })?;
    let dtype = match config.get("dtype").or_else(|| config.get("torch_dtype")).and_then(Value::as_str) {
        Some("bfloat16") => Dtype::Bf16,
        _ => Dtype::F32,
    };
    let mut setup = Setup { dtype, device: device.clone(), ..Setup::plain(&head.axes, 0) };
    if !Adapter::is_in(folder) {
        // To predict with, no weight of the base has to be one that learns.
        setup.trainable = Trainable::Head;
        return build(folder, folder, config, head, true, &setup, None).and_then(whole);
    }
    let adapter = Adapter::open(folder)?;
    setup.trainable = Trainable::Lora;
    setup.lora = adapter.setup();
    if quantised {
        let noted = config.get(NOTES).and_then(|notes| notes.get(QUANTIZATION)).cloned();
        setup.quantization = noted.and_then(|noted| serde_json::from_value(noted).ok()).unwrap_or_default();
    }
    let base = find_base(folder, adapter.config.base_model_name_or_path.as_deref().unwrap_or_default())?;
    build(folder, &base, config, head, true, &setup, Some(&adapter)).and_then(whole)
}

/// The folder of an adapter's base model: in the home that the adapter lies in, so that one which was moved or copied
/// reads nothing of another; else where its adapter_config.json says.
fn find_base(folder: &Path, said: &str) -> Result<PathBuf> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let said = folder.join(said);
    let name = said.file_name().unwrap_or_default();
    let models = |above: &Path| above.join("models").join(name);
    let home = folder.ancestors().filter(|above| above.ends_with("runs")).filter_map(Path::parent);
    let others = folder.ancestors();
    let is_of_a_home = said.parent().is_some_and(|parent| parent.ends_with("models"));
    let own = home.map(models).filter(|_| is_of_a_home);
    let mut places = own.chain([said.clone()]).chain(others.map(models));
    let found = places.find(|base| !name.is_empty() && base.is_dir());
    found.ok_or(Error::NoBaseModel { path: folder, base: said })
}

/// A network that was trained has every weight of its head; one drawn by chance would answer
/// with noise.
fn whole(network: Network) -> Result<Network> {
    let path = &network.folder;
    if let Some((name, found, expected)) = network.report.misshapen.first().cloned() {
        return Err(Error::Shape { path: path.clone(), name, found, expected });
    }
    match network.report.new.first().cloned() {
        Some(name) => Err(Error::MissingWeight { path: path.clone(), name }),
        None => Ok(network),
    }
}

/// Looks at every weight of a model folder as training would, by its shape and without reading
/// it, and tells what would become of them.
pub fn inspect(folder: &Path) -> Result<LoadReport> {
    // The head that it has is for the axes that it has one for.
    let axes = Head::read(&read_config(folder)?).map_or_else(|| Axis::ALL.to_vec(), |head| head.axes);
    let setup = Setup { trainable: Trainable::Head, shapes_only: true, ..Setup::plain(&axes, 0) };
    Ok(start(folder, &setup)?.report)
}

fn build(
    folder: &Path,
    base_folder: &Path,
    config: Map<String, Value>,
    head: Head,
    keep_head: bool,
    setup: &Setup,
    adapter: Option<&Adapter>,
) -> Result<Network> {
    let name = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let wrong = |reason: String| Error::Config { path: folder.join(CONFIG), reason };
    let blocks = setup.trainable != Trainable::Head;
    let learns = Learns { embeddings: setup.trainable == Trainable::All, blocks };
    let source = || Source::of_folder(base_folder);
    let (decoder, encoder) = (decoder::traits(name), encoder::traits(name));
    // The bag of words is all head: every weight of it learns, in 32 bits, on the CPU.
    let plain = Setup {
        dtype: Dtype::F32,
        trainable: Trainable::All,
        quantization: Quantization::None,
        device: Device::Cpu,
        ..setup.clone()
    };
    let (family, about, loader, setup) = if let Some(traits) = &decoder {
        let mut loader = Loader::new(Some(source()?), adapter, decoder::PREFIX, setup, keep_head);
        let built = decoder::load(&mut loader, traits, &config, &head, learns, wrong)?;
        let (architecture, head_modules) = (Some(traits.architecture), decoder::HEAD_MODULES);
        let about = About { architecture, head_modules, is_decoder: true };
        (Family::Transformer(Box::new(built)), about, loader, setup)
    } else if let Some(traits) = &encoder {
        let mut loader = Loader::new(Some(source()?), adapter, traits.prefix, setup, keep_head);
        let built = encoder::load(&mut loader, traits, &config, &head, learns, wrong)?;
        let (architecture, head_modules) = (Some(traits.architecture), traits.head_modules);
        let about = About { architecture, head_modules, is_decoder: false };
        (Family::Transformer(Box::new(built)), about, loader, setup)
    } else if name == "words" {
        let source = keep_head.then(source).transpose()?;
        let mut loader = Loader::new(source, None, "", &plain, keep_head);
        let words = Words::load(&mut loader, &head)?;
        let about = About { architecture: None, head_modules: &[], is_decoder: false };
        (Family::Words(words), about, loader, &plain)
    } else {
        return Err(Error::Family { path: folder.to_owned(), family: name.to_owned() });
    };
    let (trainable, dtype, lora, quantization) =
        (setup.trainable, setup.dtype, setup.lora.clone(), setup.quantization);
    let (weights, report) = loader.finish()?;
    let (folder, base_folder) = (folder.to_owned(), base_folder.to_owned());
    let (products, device) = (Products::default(), setup.device.clone());
    Ok(Network {
        head,
        weights,
        report,
        config,
        folder,
        base_folder,
        device,
        trainable,
        dtype,
        lora,
        quantization,
        products,
        about,
        family,
    })
}

/// Runs a computation on one of the threads that share its parts. From any other thread each of its
/// many short parallel pieces would wake them all, and sleep until they are done.
fn in_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

impl Network {
    /// Logits `[texts, outputs]` of a packed batch, in `f32`.
    pub fn forward(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        on_device!(&self.device, backend => self.forward_by(backend, batch, mode))
    }

    /// What [`forward`](Self::forward) does, by another backend than that of the device which the weights lie on, such as a
    /// [ledger](compute::Ledger) of memory.
    pub fn forward_by<B: Backend>(&self, backend: &B, batch: &Batch, mode: Mode) -> Result<Tensor> {
        in_pool(|| match &self.family {
            Family::Transformer(transformer) => {
                pass::logits(backend, transformer, &transformer.pack(batch)?, mode)
            }
            Family::Words(words) => Ok(pass::logits_of_words(backend, words, &Words::pack(batch))?),
        })
    }

    /// Forward and backward over one batch: the loss, a single number in the device's memory, with the gradients added to what
    /// `gradients` holds.
    ///
    /// The seed decides dropout. Layers may be computed again in the
    /// backward rather than kept ([`Checkpointing`], `true` for all); the result is the same to the last bit.
    pub fn learn<B: Backend>(
        &self,
        batch: &Batch,
        seed: u64,
        checkpointing: impl Into<Checkpointing>,
        targets: &Targets,
        gradients: &mut Gradients<B>,
    ) -> Result<B::Buffer> {
        self.learn_by_pieces(batch, seed, checkpointing, targets, gradients, &mut |_| Ok(()))
    }

    /// The same, with `take` called whenever the gradients of a piece of the network are complete. It may move the
    /// weights that they are of, which this pass reads no more.
    pub fn learn_by_pieces<B: Backend>(
        &self,
        batch: &Batch,
        seed: u64,
        checkpointing: impl Into<Checkpointing>,
        targets: &Targets,
        gradients: &mut Gradients<B>,
        take: &mut Taker<B>,
    ) -> Result<B::Buffer> {
        let backend = &gradients.backend().clone();
        let mode = Mode::Train { seed, products: self.products };
        let keep = Keep::ForBackward(checkpointing.into());
        in_pool(|| match &self.family {
            Family::Transformer(transformer) => {
                let packed = transformer.pack(batch)?;
                pass::learn(backend, transformer, &packed, mode, keep, targets, gradients, take)
            }
            Family::Words(words) => {
                let loss = pass::learn_words(backend, words, &Words::pack(batch), targets, gradients)?;
                take(gradients)?;
                Ok(loss)
            }
        })
    }

    /// Rows of the table of words; none for `words`, which has no such table.
    pub fn vocabulary(&self) -> Option<usize> {
        match &self.family {
            Family::Transformer(transformer) => Some(transformer.embeddings.words.held().dims().ok()?.0),
            Family::Words(_) => None,
        }
    }

    /// Room for the gradients of all parameters of a network on the CPU.
    pub fn gradients(&self) -> Result<Gradients> {
        Ok(Gradients::new(Cpu, &self.weights)?)
    }

    /// What the base model gives for every token of a packed batch, `[total, hidden]`; none for
    /// `words`, which has no such thing.
    pub fn hidden_states(&self, batch: &Batch) -> Result<Option<Tensor>> {
        match &self.family {
            Family::Transformer(transformer) => {
                let packed = transformer.pack(batch)?;
                on_device!(&self.device, backend => pass::hidden_states(backend, transformer, &packed))
                    .map(Some)
            }
            Family::Words(_) => Ok(None),
        }
    }

    /// The tokenizer that belongs to the network, and the most tokens that it reads: `wanted`,
    /// or fewer where the network has positions for fewer.
    pub fn tokenizer(&self, wanted: usize) -> std::result::Result<(Tokenizer, usize), data::Error> {
        match &self.family {
            Family::Transformer(transformer) => {
                let max_length = wanted.min(transformer.max_tokens);
                let own = || self.folder.join(TOKENIZER);
                let resolved =
                    |folder: Option<files::Enclosure>| folder.map(|it| it.resolve(TOKENIZER)).transpose();
                let found = self.companion(TOKENIZER).and_then(resolved);
                let path = found
                    .map_err(|error| data::Error::Tokenizer { path: own(), reason: error.to_string() })?
                    .unwrap_or_else(own);
                Ok((Tokenizer::from_file(&path, max_length)?, max_length))
            }
            Family::Words(_) => Ok((Tokenizer::Ngrams, wanted)),
        }
    }

    /// The folder in which a file lies that goes along with the weights: the network's own or, as not every adapter
    /// has one, its base model's. Neither need be there any more.
    pub(crate) fn companion(&self, name: &str) -> std::io::Result<Option<files::Enclosure>> {
        for folder in [&self.folder, &self.base_folder] {
            match files::Enclosure::of(folder) {
                Ok(folder) if folder.has(name) => return Ok(Some(folder)),
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether a weight of this name is the head's.
    pub fn is_in_head(&self, name: &str) -> bool {
        name.split('.').any(|part| self.about.head_modules.contains(&part))
    }

    /// A learning rate to begin with: the tutorial's for a decoder's pretrained weights, a little
    /// more for the smaller encoders, ten times that for LoRA's matrices, which begin at nothing,
    /// and far more where a linear layer alone learns.
    pub fn default_learning_rate(&self) -> f64 {
        match (&self.family, self.trainable) {
            (Family::Words(_), _) => 1e-2,
            (_, Trainable::Head) => 1e-3,
            (_, Trainable::Lora) => 2e-4,
            (_, Trainable::All) if self.about.is_decoder => 2e-5,
            (_, Trainable::All) => 5e-5,
        }
    }

    /// All notes of this program in the config.json.
    pub fn notes(&self) -> Map<String, Value> {
        self.config.get(NOTES).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// A note of this program in the config.json, such as the longest text that was trained on.
    pub fn note(&self, name: &str) -> Option<&Value> {
        self.config.get(NOTES)?.get(name)
    }
}
