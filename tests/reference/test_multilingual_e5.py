"""What scripts/multilingual_e5.py makes of a file of weights, checked on a small one that is written here."""
import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import multilingual_e5 as e5  # noqa: E402

SIZES = {"hidden": 32, "layers": 1, "heads": 2, "inner": 64, "vocabulary": 5, "positions": 8, "types": 2}


def packed(weights):
    """Q4_0 by its definition (GGML): a scale, and of 32 weights the first 16 in the low halves of 16 bytes."""
    out = b""
    for block in weights.reshape(-1, 32):
        out += struct.pack("<e", 0.5)
        out += bytes(int(low) + 8 | (int(high) + 8) << 4 for low, high in zip(block[:16], block[16:]))
    return out


def file_of(matrices, vectors):
    """A file of weights: matrices of whole numbers from -8 to 7, which are halved by their scale, and vectors."""
    kinds = [(name, packed(value)) for name, value in matrices.items()]
    kinds += [(name, np.asarray(value, "<f4").tobytes()) for name, value in vectors.items()]
    head = struct.pack("<4sI", b"E5S1", 1) + struct.pack("<7i", *SIZES.values()) + struct.pack("<fi", 1e-12, 0)
    pieces = b"piece"
    head += struct.pack("<5iQ", 1, 0, 0, 0, 0, len(pieces)) + struct.pack("<2I", 0, len(pieces)) + struct.pack("<f", 0.0) + pieces
    head += struct.pack("<iI", 0, 3) + b"abc" + struct.pack("<i", len(kinds))
    places = sum(2 + len(name) + struct.calcsize("<BIQQ") for name, _ in kinds)
    at, table, body = len(head) + places, b"", b""
    for name, data in kinds:
        table += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, at + len(body), len(data))
        body += data
    return head + table + body


class MultilingualE5(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(1)
        hidden, inner = SIZES["hidden"], SIZES["inner"]
        shapes = {"emb.word": (SIZES["vocabulary"], hidden), "l0.fi.w": (inner, hidden), "l0.fo.w": (hidden, inner)}
        shapes |= {f"l0.{name}.w": (hidden, hidden) for name in ("q", "k", "v", "ao")}
        self.matrices = {name: random.integers(-8, 8, shape) for name, shape in shapes.items()}
        lengths = {"emb.pos": SIZES["positions"] * hidden, "emb.type": hidden, "l0.fi.b": inner}
        lengths |= {name: hidden for name in ("emb.ln.w", "emb.ln.b", "l0.aln.w", "l0.aln.b", "l0.oln.w", "l0.oln.b")}
        lengths |= {f"l0.{name}.b": hidden for name in ("q", "k", "v", "ao", "fo")}
        self.vectors = {name: random.integers(-64, 64, length) / 32 for name, length in lengths.items()}
        self.data = file_of(self.matrices, self.vectors)

    def test_every_weight_is_the_one_that_was_packed_under_its_name_in_transformers(self):
        sizes, found = e5.weights(self.data)
        self.assertEqual({name: sizes[name] for name in SIZES}, SIZES)
        self.assertEqual(len(found), 5 + 6 * 2 + 2 * 2)
        layer = "encoder.layer.0."
        for name, short in (
            ("embeddings.word_embeddings.weight", "emb.word"),
            (layer + "attention.self.query.weight", "l0.q.w"),
            (layer + "attention.output.dense.weight", "l0.ao.w"),
            (layer + "intermediate.dense.weight", "l0.fi.w"),
            (layer + "output.dense.weight", "l0.fo.w"),
        ):
            np.testing.assert_array_equal(found[name], self.matrices[short] / 2, name)
        np.testing.assert_array_equal(found[layer + "output.LayerNorm.bias"], self.vectors["l0.oln.b"])
        np.testing.assert_array_equal(found["embeddings.token_type_embeddings.weight"], [self.vectors["emb.type"]] * 2)

    def test_what_is_saved_has_its_header_and_its_bytes_where_safetensors_has_them(self):
        _, found = e5.weights(self.data)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            e5.save_safetensors(found, path)
            data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        head = json.loads(data[8 : 8 + length])
        self.assertEqual(length % 8, 0)
        for name, tensor in found.items():
            begin, end = head[name]["data_offsets"]
            saved = np.frombuffer(data[8 + length + begin : 8 + length + end], "<f2").reshape(head[name]["shape"])
            np.testing.assert_array_equal(saved, tensor, name)
        self.assertEqual(max(about["data_offsets"][1] for name, about in head.items() if name in found), len(data) - 8 - length)

    def test_another_file_is_refused(self):
        with self.assertRaises(SystemExit):
            e5.weights(b"GGUF" + self.data[4:])


if __name__ == "__main__":
    unittest.main()
