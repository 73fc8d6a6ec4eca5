"""Writes a model folder in the real shape of microsoft/Phi-3-mini-4k-instruct: 3.8 billion weights in bf16, drawn at
random, in shards as on the Hub, with the tokenizer that is given.

    phi3.py FOLDER TOKENIZER_JSON

It needs 7.7 GB of disk, and numpy.
"""

import json
import os
import shutil
import struct
import sys

import numpy as np

HIDDEN, INNER, LAYERS, HEADS, VOCAB = 3072, 8192, 32, 32, 32064
SHARD = 4 << 30

config = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "embd_pdrop": 0.0,
    "eos_token_id": 32000,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": INNER,
    "max_position_embeddings": 4096,
    "model_type": "phi3",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": HEADS,
    "original_max_position_embeddings": 4096,
    "pad_token_id": 32000,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": VOCAB,
}


def shapes():
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", (HIDDEN,)
        yield name + "self_attn.qkv_proj.weight", (3 * HIDDEN, HIDDEN)
        yield name + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield name + "post_attention_layernorm.weight", (HIDDEN,)
        yield name + "mlp.gate_up_proj.weight", (2 * INNER, HIDDEN)
        yield name + "mlp.down_proj.weight", (HIDDEN, INNER)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def in_shards(tensors):
    shard, size = [], 0
    for name, shape in tensors:
        count = 2 * int(np.prod(shape))
        if shard and size + count > SHARD:
            yield shard
            shard, size = [], 0
        shard.append((name, shape, count))
        size += count
    yield shard


def main():
    folder, tokenizer = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(0)
    # The upper halves of normal numbers; each tensor begins somewhere else in them.
    drawn = (random.standard_normal(1 << 25, dtype=np.float32) * 0.02).view(np.uint32) >> 16
    drawn = drawn.astype(np.uint16)
    one = np.uint16(0x3F80)
    shards = list(in_shards(shapes()))
    where, total = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, count in shard:
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + count]}
            where[name] = file
            at += count
        total += at
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(folder, file), "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name, shape, count in shard:
                left, start = count // 2, int(random.integers(1 << 25))
                if len(shape) == 1:
                    np.full(shape, one).tofile(out)
                    continue
                while left:
                    piece = drawn[start : start + left]
                    piece.tofile(out)
                    left -= len(piece)
                    start = 0
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
        json.dump({"metadata": {"total_size": total}, "weight_map": where}, out)
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config, out, indent=2)
    shutil.copy(tokenizer, os.path.join(folder, "tokenizer.json"))
    print(f"{total / 1e9:.2f} GB of weights in {len(shards)} shards in {folder}")


main()
