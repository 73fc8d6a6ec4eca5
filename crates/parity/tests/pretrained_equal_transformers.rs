//! Real pretrained weights against Transformers: what tests/reference/pretrained.py has written.
//! `make parity` makes its folders and runs this; without them there is nothing to compare.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use data::{Batch, Encoded, encode, pack};
use mbti::Axis;
use model::{Mode, Network, Setup};

fn folder(variable: &str) -> PathBuf {
    PathBuf::from(
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run make parity")),
    )
}

/// The texts of a case as one packed batch, by our tokenizer, whose ids must be the reference's.
fn batch(network: &Network, case: &Path) -> Batch {
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(case.join("texts.json")).unwrap()).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (tokenizer, max_length) = network.tokenizer(512).unwrap();
    let encoded: Encoded = encode(&tokenizer, &texts, max_length, |_| true).unwrap().unwrap();
    let expected = expected(case);
    for text in 0..texts.len() {
        let ids: Vec<u32> = expected[&format!("ids.{text}")]
            .to_vec1::<i64>()
            .unwrap()
            .into_iter()
            .map(|id| id as u32)
            .collect();
        assert_eq!(encoded.ids(text), ids, "{}", texts[text]);
    }
    pack(&encoded, &(0..texts.len() as u32).collect::<Vec<_>>())
}

fn expected(case: &Path) -> std::collections::HashMap<String, Tensor> {
    candle_core::safetensors::load(case.join("expected.safetensors"), &Device::Cpu).unwrap()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn sentence_embeddings_of_minilm_equal_those_of_transformers() {
    let case = folder("MBTI_PRETRAINED").join("minilm");
    let network = model::start(&folder("MBTI_MINILM"), &Setup::plain(&Axis::ALL, 0)).unwrap();
    let batch = batch(&network, &case);
    let hidden = network.hidden_states(&batch).unwrap().unwrap();
    let mean = model::ops::mean(&hidden, batch.offsets.as_slice().into()).unwrap();
    let norm = mean.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
    let off = difference(&mean.broadcast_div(&norm).unwrap(), &expected(&case)["embeddings"]);
    println!("all-MiniLM-L6-v2: sentence embeddings differ by at most {off:.1e}");
    assert!(off < 1e-4);
}

#[test]
fn logits_of_smollm2_equal_those_of_transformers() {
    let case = folder("MBTI_PRETRAINED").join("smollm2");
    let network = model::open(&case.join("model")).unwrap();
    assert_eq!(network.report, model::LoadReport::default());
    let batch = batch(&network, &case);
    let off = difference(&network.forward(&batch, Mode::Evaluate).unwrap(), &expected(&case)["logits"]);
    println!("SmolLM2-135M: logits differ by at most {off:.1e}");
    assert!(off < 1e-4);
}
