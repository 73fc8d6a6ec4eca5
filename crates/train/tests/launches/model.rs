//! A model folder like Phi-3-mini's, with few layers and weights that are made up fast.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use half::bf16;
use serde_json::{Map, Value, json};

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

/// The numbers of a tensor, in bf16: those of a vector are one, those of a matrix between 1/64 and 1/32 with either sign, by
/// a linear congruential generator, as normal ones would take a minute.
fn numbers(dims: &[usize], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 48) as u16
    };
    let of = |number: u16| if dims.len() == 1 { 0x3f80 } else { 0x3c80 | number & 0x807f };
    (0..dims.iter().product()).flat_map(|_| bf16::from_bits(of(next())).to_le_bytes()).collect()
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
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, shape.hidden]),
        ("model.norm.weight".to_owned(), vec![shape.hidden]),
    ];
    for layer in 0..layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        tensors.extend(
            ["input_layernorm", "post_attention_layernorm"].map(|norm| (name(norm), vec![shape.hidden])),
        );
        tensors.extend(shape.matrices().map(|(part, rows, cols)| (name(part), vec![rows, cols])));
    }
    write_tensors(&folder.join("model.safetensors"), &tensors);
}

/// A file of safetensors: the length of its header, the header, and the numbers one after another.
fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>)]) {
    let (mut header, mut from) = (Map::new(), 0);
    for (name, dims) in tensors {
        let to = from + 2 * dims.iter().product::<usize>();
        let place = json!({ "dtype": "BF16", "shape": dims, "data_offsets": [from, to] });
        header.insert(name.clone(), place);
        from = to;
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (seed, (_, dims)) in tensors.iter().enumerate() {
        file.write_all(&numbers(dims, seed as u64)).unwrap();
    }
    file.flush().unwrap();
}
