//! Every family against the forward pass of candle-transformers, a second oracle beside
//! Transformers, on the committed cases of tests/families_equal_transformers.rs: for encoders the
//! last hidden states of all tokens, for decoders the logits, with our head in the place of theirs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

// A case can do more than this needs.
#[allow(dead_code)]
use std::collections::BTreeSet;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{
    bert, distilbert, llama, mistral, modernbert, phi3, qwen2, qwen3, xlm_roberta,
};
use model::{LoadReport, Mode, Setup};
use parity::cases;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The cases that candle-transformers 0.11 has no model for, and why.
const SKIPPED: [(&str, &str); 3] = [
    ("llama-bias", "candle's llama has no biases, and hidden_size / heads is its only head_dim"),
    ("phi3-longrope-short", "candle multiplies by the factors of longrope, and scales neither cos nor sin"),
    ("phi3-longrope-long", "the same, and candle's first positions have the short factors in long texts too"),
];

/// Settings that both networks are given otherwise than the case has them, and why: what candle
/// lacks is left out, so that all else of the case can be compared.
const CHANGED: [(&str, &str, &str, &str); 5] = [
    ("distilbert", "activation", r#""relu""#, "candle's gelu is the approximation by tanh"),
    ("qwen2", "layer_types", "null", "candle's window is that of all layers"),
    ("qwen2", "max_window_layers", "0", "the same: every layer has the window"),
    ("phi3", "sliding_window", "null", "candle has no window"),
    ("phi3-partial", "rope_scaling", "null", "candle's longrope is another, as in what is skipped"),
];

/// A config.json as candle's types want it, which are older than Transformers 5.
fn for_candle(config: &Value) -> Value {
    let mut old = config.clone();
    for (name, place) in [
        ("rope_theta", "/rope_parameters/rope_theta"),
        ("global_rope_theta", "/rope_parameters/full_attention/rope_theta"),
        ("local_rope_theta", "/rope_parameters/sliding_attention/rope_theta"),
        ("layer_norm_eps", "/norm_eps"),
    ] {
        if let Some(value) = config.pointer(place) {
            old[name] = value.clone();
        }
    }
    old["position_embedding_type"] = "absolute".into();
    // The token itself counts in Transformers' windows, and does not in candle's.
    if let Some(window) = config["sliding_window"].as_u64() {
        old["sliding_window"] = (window - 1).into();
    }
    // Else the embeddings would be taken in the place of our head.
    old["tie_word_embeddings"] = false.into();
    old
}

fn read<T: DeserializeOwned>(config: Value) -> T {
    serde_json::from_value(config).unwrap()
}

/// What a model of candle's makes of the tokens `[1, length]` of one text: hidden states
/// `[1, length, hidden]`, or the last token's logits. Decoders are built anew for each text, since
/// most of them keep the keys of what they have read.
type Oracle = Box<dyn FnMut(&Tensor) -> Result<Tensor>>;

fn oracle(config: Value, weights: VarBuilder<'static>) -> Result<Oracle> {
    let family = config["model_type"].as_str().unwrap().to_owned();
    Ok(match family.as_str() {
        "bert" => {
            let model = bert::BertModel::load(weights.pp("bert"), &read(config))?;
            Box::new(move |ids| model.forward(ids, &ids.zeros_like()?, None))
        }
        "roberta" | "xlm-roberta" => {
            let model = xlm_roberta::XLMRobertaModel::new(&read(config), weights.pp("roberta"))?;
            Box::new(move |ids| model.forward(ids, &ids.ones_like()?, &ids.zeros_like()?, None, None, None))
        }
        "distilbert" => {
            let model = distilbert::DistilBertModel::load(weights.pp("distilbert"), &read(config))?;
            // Its mask says what is not to be seen.
            Box::new(move |ids| model.forward(ids, &ids.zeros_like()?))
        }
        "modernbert" => {
            let model = modernbert::ModernBert::load(weights, &read(config))?;
            Box::new(move |ids| model.forward(ids, &ids.ones_like()?))
        }
        "llama" => {
            let config = read::<llama::LlamaConfig>(config).into_config(false);
            let mut cache = llama::Cache::new(false, DType::F32, &config, &Device::Cpu)?;
            let model = llama::Llama::load(weights, &config)?;
            Box::new(move |ids| model.forward(ids, 0, &mut cache))
        }
        "mistral" => {
            let config = read(config);
            Box::new(move |ids| mistral::Model::new(&config, weights.clone())?.forward(ids, 0))
        }
        "qwen2" => {
            let config = read(config);
            Box::new(move |ids| qwen2::ModelForCausalLM::new(&config, weights.clone())?.forward(ids, 0))
        }
        "qwen3" => {
            let config = read(config);
            Box::new(move |ids| qwen3::ModelForCausalLM::new(&config, weights.clone())?.forward(ids, 0))
        }
        "phi3" => {
            let config = read(config);
            Box::new(move |ids| phi3::Model::new(&config, weights.clone())?.forward(ids, 0))
        }
        other => panic!("{other} is not known here"),
    })
}

/// The largest difference; a NaN counts as the largest.
fn difference(a: &Tensor, b: &Tensor) -> f32 {
    let apart = (a - b).unwrap().abs().unwrap().to_vec1::<f32>().unwrap();
    apart.into_iter().max_by(f32::total_cmp).unwrap()
}

#[test]
fn hidden_states_of_encoders_and_logits_of_decoders_equal_those_of_candle_transformers() {
    let mut families = BTreeSet::new();
    for case in cases() {
        let name = case.name.trim_end_matches("-J-P").trim_end_matches("-all");
        if let Some((_, why)) = SKIPPED.iter().find(|(skipped, _)| *skipped == name) {
            println!("{:<24} skipped: {why}", case.name);
            continue;
        }
        let (theirs, ours) = (case.folder.join("model"), tempfile::tempdir().unwrap());
        let mut config: Value =
            serde_json::from_slice(&std::fs::read(theirs.join("config.json")).unwrap()).unwrap();
        for (_, key, value, _) in CHANGED.iter().filter(|(changed, ..)| *changed == name) {
            config[*key] = serde_json::from_str(value).unwrap();
        }
        std::fs::write(ours.path().join("config.json"), config.to_string()).unwrap();
        let file = "model.safetensors";
        std::fs::copy(theirs.join(file), ours.path().join(file)).unwrap();
        let network = model::start(ours.path(), &Setup::plain(&case.axes, 0)).unwrap();
        assert_eq!(network.report, LoadReport::default(), "{}", case.name);

        let mut weights = candle_core::safetensors::load(theirs.join(file), &Device::Cpu).unwrap();
        let score = weights.remove("score.weight");
        let found = match &score {
            Some(score) => {
                // candle's decoders have an output for each word: ours are the first of them.
                let words = config["vocab_size"].as_u64().unwrap() as usize;
                let head = score.pad_with_zeros(0, 0, words - score.dim(0).unwrap()).unwrap();
                weights.insert("lm_head.weight".to_owned(), head);
                network.forward(&case.batch, Mode::Evaluate).unwrap()
            }
            None => network.hidden_states(&case.batch).unwrap().unwrap(),
        };
        let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        let mut oracle = oracle(for_candle(&config), weights).unwrap();

        let mut worst = 0f32;
        for (text, range) in case.batch.offsets.windows(2).enumerate() {
            let (from, to) = (range[0] as usize, range[1] as usize);
            let ids = Tensor::new(&case.batch.ids[from..to], &Device::Cpu).unwrap();
            let expected = oracle(&ids.unsqueeze(0).unwrap()).unwrap();
            let expected = expected.narrow(D::Minus1, 0, found.dim(1).unwrap()).unwrap();
            let rows = if score.is_some() { (text, 1) } else { (from, to - from) };
            let found = found.narrow(0, rows.0, rows.1).unwrap();
            let off = difference(&found.flatten_all().unwrap(), &expected.flatten_all().unwrap());
            assert!(off < 1e-4, "{}: text {text} differs by {off}", case.name);
            worst = worst.max(off);
        }
        println!("{:<24} differs by at most {worst:.1e}", case.name);
        families.insert(config["model_type"].as_str().unwrap().to_owned());
    }
    assert!(families.len() >= 10, "only these were compared: {families:?}");
}
