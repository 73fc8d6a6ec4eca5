//! A model folder like Phi-3-mini's, with few layers and random weights.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use serde_json::json;

/// Sizes of a layer, and the tokens of a batch, in texts of equal length.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub hidden: usize,
    pub inner: usize,
    pub heads: usize,
    pub texts: usize,
    pub tokens: usize,
}

/// The same layer, small enough for every test run: what is launched does not depend on the size.
pub const SMALL: Shape = Shape { name: "small", hidden: 192, inner: 256, heads: 2, texts: 2, tokens: 24 };
/// Phi-3-mini's own, which takes minutes on an emulated GPU.
pub const REAL: Shape = Shape { name: "real", hidden: 3072, inner: 8192, heads: 32, texts: 2, tokens: 256 };

/// Few, since the embeddings are not what is counted.
pub const VOCABULARY: usize = 64;

impl Shape {
    /// The matrices of a layer, `[out, in]`, in the order of the forward pass.
    pub fn matrices(self) -> [(&'static str, usize, usize); 4] {
        [
            ("self_attn.qkv_proj", 3 * self.hidden, self.hidden),
            ("self_attn.o_proj", self.hidden, self.hidden),
            ("mlp.gate_up_proj", 2 * self.inner, self.hidden),
            ("mlp.down_proj", self.hidden, self.inner),
        ]
    }

    pub fn total(self) -> usize {
        self.texts * self.tokens
    }
}

pub fn write(folder: &Path, shape: Shape, layers: usize) {
    let config = json!({
        "model_type": "phi3",
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "max_position_embeddings": 4096,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": shape.heads,
        "pad_token_id": 0,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut tensors = HashMap::new();
    let mut add = |name: String, dims: &[usize]| {
        let values = match dims {
            [d] => Tensor::ones(*d, DType::F32, &Device::Cpu),
            dims => Tensor::randn(0f32, 0.02, dims, &Device::Cpu),
        };
        tensors.insert(name, values.unwrap().to_dtype(DType::BF16).unwrap());
    };
    add("model.embed_tokens.weight".into(), &[VOCABULARY, shape.hidden]);
    add("model.norm.weight".into(), &[shape.hidden]);
    for layer in 0..layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(name(norm), &[shape.hidden]);
        }
        for (part, rows, cols) in shape.matrices() {
            add(name(part), &[rows, cols]);
        }
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
}
