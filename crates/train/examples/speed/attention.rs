//! Attention of one layer alone, forward and backward, with the heads of a model.

use std::path::Path;

use compute::{Backend, Heads, Span, Texts, on_device};
use serde_json::{Value, json};

use crate::{Case, timed};

/// Families whose tokens see those after them, too.
const ENCODERS: [&str; 5] = ["bert", "roberta", "xlm-roberta", "distilbert", "modernbert"];

pub fn measure(case: &Case, folder: &Path) -> Value {
    let config = crate::config(folder);
    let size = |name: &str| config[name].as_u64().map(|size| size as usize);
    let query = size("num_attention_heads").expect("num_attention_heads");
    let key_value = size("num_key_value_heads").unwrap_or(query);
    let d = size("head_dim").unwrap_or_else(|| size("hidden_size").expect("hidden_size") / query);
    let is_encoder = config["model_type"].as_str().is_some_and(|family| ENCODERS.contains(&family));
    let span = if is_encoder { Span::ALL } else { Span::CAUSAL };
    on_device!(case.device(), backend => run(backend, case, Heads { query, key_value, d }, span))
}

fn run<B: Backend>(backend: &B, case: &Case, heads: Heads, span: Span) -> Value {
    let offsets: Vec<u32> = (0..=case.texts).map(|text| (text * case.tokens) as u32).collect();
    let texts = Texts::new(backend, offsets.into()).expect("the texts");
    let (total, width, of_result) = (texts.total(), heads.width(), heads.query * heads.d);
    let room = |len: usize| backend.buffer(len).expect("room");
    let (in_qkv, in_result) = (total * width, total * of_result);
    let products = case.products;
    let keeps = backend.attention_keeps(total, heads);
    let (mut qkv, mut dqkv, mut kept) = (room(in_qkv), room(in_qkv), room(keeps));
    let (mut result, mut g) = (room(in_result), room(in_result));
    // Numbers between -1 and 1 in no order.
    let numbers = |len: usize| -> Vec<f32> {
        (0..len).map(|at| ((at * 7919 + at / 7) % 2003) as f32 / 1001.0 - 1.0).collect()
    };
    backend.upload(&numbers(in_qkv), B::write(&mut qkv, 0..in_qkv)).expect("numbers");
    backend.upload(&numbers(in_result), B::write(&mut g, 0..in_result)).expect("numbers");
    backend.forget_peak();
    let seconds = timed(case.times.unwrap_or(15), || {
        let values = B::read(&qkv, 0..in_qkv);
        let (to, keep) = (B::write(&mut result, 0..in_result), B::write(&mut kept, 0..keeps));
        backend.attention(to, keep, values, &texts, heads, span, None, products).expect("forward");
        let forward = [B::read(&result, 0..in_result), B::read(&kept, 0..keeps)];
        let (to, g) = (B::write(&mut dqkv, 0..in_qkv), B::read(&g, 0..in_result));
        backend
            .attention_backward(to, values, forward, g, &texts, heads, span, None, products)
            .expect("backward");
        backend.synchronise().expect("the device");
    });
    let peak = if case.device().is_cpu() { None } else { backend.peak() };
    json!({ "seconds": seconds, "device_peak_mib": peak.map(|bytes| bytes as f64 / 1048576.0) })
}
