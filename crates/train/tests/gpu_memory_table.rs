//! How many tokens of a pass each way of training Phi-3-mini leaves room for on cards of each size: the tables of
//! `docs/gpu-memory.md`, which are held to the plan of the memory. `MBTI_TEST_WRITE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use model::{Checkpointing, Network};
use record::{Dtype, Optim, Quantization, TrainConfig, Trainable};
use serde_json::{Map, Value, json};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gpu-memory.md");
const BEGIN: &str = "<!-- tables: begin -->\n";
const END: &str = "<!-- tables: end -->\n";

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Sizes of cards, in GiB.
const CARDS: [u32; 7] = [6, 8, 12, 16, 24, 48, 80];
/// What of a card no run can have, in GiB: the driver's context, loaded kernels, cuBLAS's workspace, and gaps between
/// allocations.
const RESERVED: f64 = 0.75;
/// Tokens of a text.
const TEXT: u32 = 256;
/// The most tokens of a pass that are tried.
const MOST: u32 = 65_536;

/// A folder with the weights of Phi-3-mini by their names and shapes, in a file that has nothing in it and takes no room.
fn phi3_mini(folder: &Path) -> PathBuf {
    let (hidden, inner, layers, vocabulary) = (3072, 8192, 32, 32_064);
    let config = json!({
        "model_type": "phi3", "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": inner,
        "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": layers,
        "num_key_value_heads": 32, "pad_token_id": 32_000, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "torch_dtype": "bfloat16", "vocab_size": vocabulary,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut header = Map::new();
    let mut end = 0u64;
    let mut add = |name: String, shape: &[u64]| {
        let begin = end;
        end += 2 * shape.iter().product::<u64>();
        header.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [begin, end] }));
    };
    add("model.embed_tokens.weight".into(), &[vocabulary, hidden]);
    add("model.norm.weight".into(), &[hidden]);
    for layer in 0..layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        add(name("input_layernorm"), &[hidden]);
        add(name("post_attention_layernorm"), &[hidden]);
        add(name("self_attn.qkv_proj"), &[3 * hidden, hidden]);
        add(name("self_attn.o_proj"), &[hidden, hidden]);
        add(name("mlp.gate_up_proj"), &[2 * inner, hidden]);
        add(name("mlp.down_proj"), &[hidden, inner]);
    }
    let header = Value::Object(header).to_string();
    let path = folder.join("model.safetensors");
    let mut begin = (header.len() as u64).to_le_bytes().to_vec();
    begin.extend(header.as_bytes());
    std::fs::write(&path, &begin).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(begin.len() as u64 + end).unwrap();
    folder.to_owned()
}

/// The ways of training, by what the settings are called.
fn ways() -> [(&'static str, TrainConfig); 6] {
    let full = TrainConfig { max_grad_norm: 0.0, ..Default::default() };
    let few = TrainConfig { dtype: Dtype::Bf16, optim: Optim::Adamw8bit, ..full.clone() };
    let clipped = TrainConfig { max_grad_norm: 1.0, ..few.clone() };
    let lora = TrainConfig { dtype: Dtype::Bf16, trainable: Trainable::Lora, ..Default::default() };
    let int8 = TrainConfig { quantization: Quantization::Int8, ..lora.clone() };
    let nf4 = TrainConfig { quantization: Quantization::Nf4, ..lora.clone() };
    [
        ("full, `f32`, no clipping", full),
        ("full, `bf16`, `adamw_8bit`", clipped),
        ("full, `bf16`, `adamw_8bit`, no clipping", few),
        ("LoRA, `bf16`", lora),
        ("LoRA, `int8`", int8),
        ("LoRA, `nf4`", nf4),
    ]
}

/// What a run needs with so many tokens in a pass, in GiB.
fn needed(network: &Network, config: &TrainConfig, tokens: u32, checkpointing: Checkpointing) -> f64 {
    let texts = |tokens: u32| train::texts_of(network, &vec![TEXT; (tokens / TEXT) as usize]);
    let (batch, evaluated) = (texts(tokens), texts(2048));
    let plan = train::planned(network, config, &batch, Some(&evaluated), checkpointing).unwrap();
    plan.peak() as f64 / GIB
}

/// The most tokens of a pass that fit into a card, in whole texts; 0 where not one text does.
fn most_tokens(network: &Network, config: &TrainConfig, card: u32) -> u32 {
    let fits =
        |texts: u32| needed(network, config, texts * TEXT, Checkpointing::All) + RESERVED <= f64::from(card);
    let (mut low, mut high) = (0, MOST / TEXT + 1);
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low * TEXT
}

fn in_thousands(tokens: u32) -> String {
    match tokens {
        0 => "–".to_owned(),
        MOST.. => format!("{},{:03} +", MOST / 1000, MOST % 1000),
        1000.. => format!("{},{:03}", tokens / 1000, tokens % 1000),
        few => few.to_string(),
    }
}

fn tables(networks: &[(&str, TrainConfig, Network)]) -> String {
    let mut text = String::from("\n| what learns |");
    CARDS.iter().for_each(|card| write!(text, " {card} GB |").unwrap());
    text += "\n| --- |";
    CARDS.iter().for_each(|_| text += " ---: |");
    for (name, config, network) in networks {
        write!(text, "\n| {name} |").unwrap();
        for card in CARDS {
            write!(text, " {} |", in_thousands(most_tokens(network, config, card))).unwrap();
        }
    }
    text += "\n\nWhat is needed, in GiB, with so many tokens in a pass, by the layers that are computed again:\n\n\
             | what learns | 2,048: none | every other | all | 8,192: none | every other | all |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: |";
    for (name, config, network) in networks {
        write!(text, "\n| {name} |").unwrap();
        for tokens in [2048, 8192] {
            for checkpointing in Checkpointing::WAYS {
                write!(text, " {:.2} |", needed(network, config, tokens, checkpointing)).unwrap();
            }
        }
    }
    text + "\n\n"
}

#[test]
fn the_tables_of_what_fits_into_a_card_are_those_of_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let folder = phi3_mini(folder.path());
    let networks = ways().map(|(name, config)| {
        let network = train::shapes(&folder, &config).unwrap();
        (name, config, network)
    });
    let found = tables(&networks);
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let (before, rest) = docs.split_once(BEGIN).unwrap();
    let (said, after) = rest.split_once(END).unwrap();
    if std::env::var_os("MBTI_TEST_WRITE").is_some() {
        std::fs::write(DOCS, format!("{before}{BEGIN}{found}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(said, found, "docs/gpu-memory.md; MBTI_TEST_WRITE=1 writes it");
}

/// The goals of the project, each as the settings that a user has who wants no more than that.
#[test]
fn phi3_mini_is_trained_in_full_in_24_gb_and_by_lora_over_4_bits_in_6_and_8() {
    let folder = tempfile::tempdir().unwrap();
    let folder = phi3_mini(folder.path());
    let [.., full, _, _, nf4] = ways();
    for ((name, config), card, tokens) in [(full, 24, 2048), (nf4.clone(), 6, 2048), (nf4, 8, 8192)] {
        let network = train::shapes(&folder, &config).unwrap();
        let found = needed(&network, &config, tokens, Checkpointing::All);
        println!("{name}: {found:.2} GiB of {card} with {tokens} tokens in a pass");
        assert!(found + RESERVED <= f64::from(card), "{name}: {found} GiB with {tokens} tokens");
    }
}
