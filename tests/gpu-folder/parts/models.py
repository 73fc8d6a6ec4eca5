"""Models with random weights, written in the layout of the Hub with nothing but Python's standard library.

Times depend on shapes and not on the values of weights, so the folder need not carry any weights.
"""

import array
import json
import math
import pathlib
import random
import struct

# All matrices are cut from this many normal numbers, each from another offset. It is a prime: no row repeats the one before.
DRAWN = 1_048_573


def minilm(small):
    """all-MiniLM-L6-v2, or a shape small enough for an emulated GPU."""
    hidden, inner, layers, heads, vocabulary = (64, 128, 2, 2, 1000) if small else (384, 1536, 6, 12, 30522)
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": inner,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "torch_dtype": "float32",
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
    }


def phi3(small, layers):
    """Phi-3-mini with `layers` of its 32 layers, or a shape small enough for an emulated GPU."""
    hidden, inner, heads, vocabulary = (64, 128, 2, 1000) if small else (3072, 8192, 32, 32064)
    return {
        "architectures": ["Phi3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "embd_pdrop": 0.0,
        "eos_token_id": vocabulary - 1,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": inner,
        "max_position_embeddings": 4096,
        "model_type": "phi3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": heads,
        "original_max_position_embeddings": 4096,
        "pad_token_id": vocabulary - 1,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": vocabulary,
    }


def qwen3(small):
    """Qwen3-0.6B, or a shape small enough for an emulated GPU."""
    hidden, inner, layers, heads, d, vocabulary = (64, 128, 2, 2, 32, 1000) if small else (1024, 3072, 28, 16, 128, 151_936)
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "head_dim": d,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": inner,
        "max_position_embeddings": 40_960,
        "max_window_layers": layers,
        "model_type": "qwen3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": heads // 2,
        "pad_token_id": vocabulary - 1,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "vocab_size": vocabulary,
    }


def shapes(config):
    """Name and shape of each tensor."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    if config["model_type"] == "qwen3":
        d = config["head_dim"]
        queries, keys = d * config["num_attention_heads"], d * config["num_key_value_heads"]
        yield "model.embed_tokens.weight", (vocabulary, hidden)
        for layer in range(config["num_hidden_layers"]):
            name = f"model.layers.{layer}."
            yield name + "input_layernorm.weight", (hidden,)
            yield name + "self_attn.q_proj.weight", (queries, hidden)
            yield name + "self_attn.k_proj.weight", (keys, hidden)
            yield name + "self_attn.v_proj.weight", (keys, hidden)
            yield name + "self_attn.q_norm.weight", (d,)
            yield name + "self_attn.k_norm.weight", (d,)
            yield name + "self_attn.o_proj.weight", (hidden, queries)
            yield name + "post_attention_layernorm.weight", (hidden,)
            yield name + "mlp.gate_proj.weight", (inner, hidden)
            yield name + "mlp.up_proj.weight", (inner, hidden)
            yield name + "mlp.down_proj.weight", (hidden, inner)
        yield "model.norm.weight", (hidden,)
        return
    if config["model_type"] == "phi3":
        yield "model.embed_tokens.weight", (vocabulary, hidden)
        for layer in range(config["num_hidden_layers"]):
            name = f"model.layers.{layer}."
            yield name + "input_layernorm.weight", (hidden,)
            yield name + "self_attn.qkv_proj.weight", (3 * hidden, hidden)
            yield name + "self_attn.o_proj.weight", (hidden, hidden)
            yield name + "post_attention_layernorm.weight", (hidden,)
            yield name + "mlp.gate_up_proj.weight", (2 * inner, hidden)
            yield name + "mlp.down_proj.weight", (hidden, inner)
        yield "model.norm.weight", (hidden,)
        return
    linear = lambda name, rows, columns: [(name + ".weight", (rows, columns)), (name + ".bias", (rows,))]
    norm = lambda name: [(name + ".weight", (hidden,)), (name + ".bias", (hidden,))]
    yield "embeddings.word_embeddings.weight", (vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)
    yield "embeddings.token_type_embeddings.weight", (config["type_vocab_size"], hidden)
    yield from norm("embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            yield from linear(f"{name}attention.self.{part}", hidden, hidden)
        yield from linear(name + "attention.output.dense", hidden, hidden)
        yield from norm(name + "attention.output.LayerNorm")
        yield from linear(name + "intermediate.dense", inner, hidden)
        yield from linear(name + "output.dense", hidden, inner)
        yield from norm(name + "output.LayerNorm")
    yield from linear("pooler.dense", hidden, hidden)


def multiplied(config):
    """Weights that every token is multiplied by."""
    per_token = lambda name, shape: len(shape) == 2 and "embed" not in name and "pooler" not in name
    return sum(math.prod(shape) for name, shape in shapes(config) if per_token(name, shape))


def flop_of_attention(config, tokens, length):
    """Of one layer forward and backward: two products forward and four backward; a causal one sees half."""
    seen = 1.0 if config["model_type"] == "bert" else 0.5
    width = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"]) * config["num_attention_heads"]
    return 12.0 * tokens * length * width * seen


def flop_of_pass(config, tokens, length, adapters):
    """Forward and backward. What is frozen has no gradient of its weights; adapters' own products are not counted."""
    products = (4.0 if adapters else 6.0) * multiplied(config) * tokens
    return products + config["num_hidden_layers"] * flop_of_attention(config, tokens, length)


def write(folder, config):
    """A folder with config.json and model.safetensors."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    halves = config["torch_dtype"] == "bfloat16"
    size, kind = (2, "BF16") if halves else (4, "F32")
    chance = random.Random(0)
    drawn = array.array("f", (chance.gauss(0.0, 0.02) for _ in range(DRAWN)))
    one = array.array("f", [1.0])
    if halves:
        # bf16 is the upper half of 32 bits.
        upper = lambda numbers: array.array("H", numbers.tobytes())[1::2]
        drawn, one = upper(drawn), upper(one)
    drawn, one = drawn.tobytes(), one.tobytes()
    tensors = list(shapes(config))
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        end = at + size * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            count = math.prod(shape)
            if len(shape) == 1:
                out.write(bytes(size * count) if name.endswith(".bias") else one * count)
                continue
            left, start = size * count, size * chance.randrange(DRAWN)
            while left:
                piece = drawn[start : start + left]
                out.write(piece)
                left, start = left - len(piece), 0
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def letters_tokenizer():
    """A tokenizer of the letters from a, for the tiny BERT of the tests."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(chr(letter) for letter in range(ord("a"), ord("z") + 1))]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": False},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {word: n for n, word in enumerate(words)}},
    }
