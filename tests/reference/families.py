#!/usr/bin/env python3
"""Writes the fixtures of the tests of all families: for each case a tiny random model by Transformers
with its tokenizer, a LoRA adapter by PEFT, and what they compute.

    .venv/bin/python tests/reference/families.py                       # the committed fixtures
    .venv/bin/python tests/reference/families.py --out DIR [--seed N] [--big] [--only CASE ...]

The committed fixtures have one of the two kinds of axes for each case (one axis, J-P: two labels, weighted
cross-entropy; all four: multi-label, weighted binary cross-entropy on each axis, averaged); --out
writes both kinds. A case's folder holds

    model/, lora/           as Transformers and PEFT save them; lora/ has a head of its own
    case.json               the texts as ids and as words, their classes, the weights of the classes
    expected.safetensors    logits, loss, gradient.NAME, losses (of ten AdamW steps, each before its step);
                            bf16.*: the same for the model loaded in bf16, whose gradients move f32 weights
                            that are rounded into it after each step, but of the gradients only
                            bf16.gradient_distance, how far all of them together are from those in f32,
                            relative to these; lora.*: the same for the adapter

Dropout is off, as masks cannot be compared. Texts are padded on the right to one batch.
"""
import argparse
import copy
import json
import pathlib
import random
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.utils import logging

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "families"
AXES = {
    "J-P": (["J", "P"], "single_label_classification", [[0.6, 0.4]]),
    "all": (["I", "S", "T", "P"], "multi_label_classification", [[0.7, 1.3], [2.0, 0.5], [1.0, 1.5], [0.6, 0.4]]),
}
LEARNING_RATE, WEIGHT_DECAY, STEPS = 1e-3, 0.01, 10

# What LoRA adapts (endings of names), and the head, which is trained whole and saved with the adapter.
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
BERT = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
LORA = {
    "phi3": (["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], ["score"]),
    "llama": (LLAMA, ["score"]),
    "mistral": (LLAMA, ["score"]),
    "qwen2": (LLAMA, ["score"]),
    "qwen3": (LLAMA, ["score"]),
    "bert": (BERT, ["pooler", "classifier"]),
    "roberta": (BERT, ["classifier"]),
    "xlm-roberta": (BERT, ["classifier"]),
    "distilbert": (["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"], ["pre_classifier", "classifier"]),
    "modernbert": (["attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"], ["head", "classifier"]),
}
ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert", "modernbert")


def cases(big):
    """Name: (family, its configuration, lengths of the texts, what is special)."""
    hidden, inner, layers, heads, groups, vocab = (48, 80, 4, 6, 3, 97) if big else (16, 24, 2, 4, 2, 40)
    window, odd = (7, 10) if big else (5, 6)
    decoder = {
        "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "max_position_embeddings": 64, "initializer_range": 0.3, "use_cache": False,
    }
    grouped = {**decoder, "num_key_value_heads": groups}
    alternating = 4 if big else 3
    # Heads of 8: enough numbers for a rotation to have several speeds.
    wide = {**decoder, "num_attention_heads": hidden // 8}
    grouped_wide = {**wide, "num_key_value_heads": 2 if big else 1}
    longrope = {
        "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 12,
        "short_factor": [1.0 + 0.15 * i for i in range(4)], "long_factor": [1.5 + 1.7 * i for i in range(4)],
    }
    phi3_longrope = {
        **wide, "max_position_embeddings": 48, "original_max_position_embeddings": 12, "rope_parameters": longrope,
    }
    # Phi-4-mini turns 3/4 of a head: 6 numbers of 8, at 3 speeds.
    partial = {
        **longrope, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 32,
        "short_factor": [1.0, 1.2, 1.7], "long_factor": [2.0, 3.0, 5.0],
    }
    llama3 = {
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    default = {"rope_type": "default", "rope_theta": 1000.0}
    encoder = {
        "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "max_position_embeddings": 48, "initializer_range": 0.3,
    }
    bert = {**encoder, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    modernbert = {**encoder, "num_hidden_layers": alternating, "local_attention": 6 if big else 4}
    short, long = ([1, 4, 7, 9, 12], [13, 14, 16, 19, 23])
    some = [1, 3, 6, 9, 13] if not big else [1, 2, 6, 11, 18, 25, 30]
    texts = [3, 4, 6, 9, 13] if not big else [3, 5, 6, 11, 18, 25, 30]
    return {
        "phi3": ("phi3", {**decoder, "sliding_window": window}, some, "sliding window shorter than some texts"),
        "phi3-longrope-short": ("phi3", phi3_longrope, short, "LongRoPE, short factors: no text over 12 tokens"),
        "phi3-longrope-long": (
            "phi3", phi3_longrope, long,
            "LongRoPE, long factors: every text over 12 tokens; config.json as Phi-3-mini-128k has it",
        ),
        "phi3-partial": (
            "phi3",
            {
                **grouped_wide, "tie_word_embeddings": True, "rope_parameters": partial,
                "original_max_position_embeddings": 32, "sliding_window": 100,
            },
            some, "3/4 of a head turned, grouped heads, tied embeddings; config.json as Phi-4-mini has it",
        ),
        "llama": (
            "llama", {**grouped_wide, "max_position_embeddings": 128, "rope_parameters": llama3}, some,
            "grouped heads, llama3 RoPE; config.json as Llama-3.2-1B has it",
        ),
        "llama-bias": (
            "llama",
            {**decoder, "attention_bias": True, "mlp_bias": True, "head_dim": odd, "rope_parameters": default}, some,
            "biases everywhere, head_dim is not hidden/heads",
        ),
        "mistral": (
            "mistral", {**grouped, "sliding_window": window - 1, "head_dim": odd, "rope_parameters": default}, some,
            "sliding window, grouped heads, head_dim is not hidden/heads",
        ),
        "qwen2": (
            "qwen2",
            {
                **grouped, "num_hidden_layers": alternating, "use_sliding_window": True, "sliding_window": window - 1,
                "max_window_layers": 1, "rope_parameters": default,
            },
            some, "the first layer sees everything, the others have a sliding window",
        ),
        "qwen3": (
            "qwen3", {**grouped, "head_dim": odd, "rope_parameters": default}, some,
            "norms of queries and keys, grouped heads, head_dim is not hidden/heads",
        ),
        "bert": ("bert", {**bert, "type_vocab_size": 2}, texts, "pooler with tanh"),
        "roberta": ("roberta", {**bert, "type_vocab_size": 1}, texts, "positions begin at the pad id + 1, pad id is 1"),
        "xlm-roberta": ("xlm-roberta", {**bert, "type_vocab_size": 1}, texts, "as roberta"),
        "distilbert": (
            "distilbert",
            {
                "vocab_size": vocab, "dim": hidden, "hidden_dim": inner, "n_layers": layers, "n_heads": heads,
                "max_position_embeddings": 48, "initializer_range": 0.3, "dropout": 0.0, "attention_dropout": 0.0,
                "seq_classif_dropout": 0.0,
            },
            texts, "no pooler, a pre_classifier with relu",
        ),
        "modernbert": (
            "modernbert", {**modernbert, "global_attn_every_n_layers": 3, "classifier_pooling": "cls"}, texts,
            "layers: global, local, local; first token",
        ),
        "modernbert-mean": (
            "modernbert",
            {
                **modernbert, "global_attn_every_n_layers": 2, "classifier_pooling": "mean",
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 1600.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                },
            },
            texts, "layers: global, local, global; mean of the tokens; config.json as ModernBERT-base has it",
        ),
    }


def specials_of(family):
    if family in ("roberta", "xlm-roberta"):
        return ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def word_of(family, i):
    return chr(ord("!") + i - 4) if family == "qwen2" else f"w{i}"


def tokenizer_of(family, vocab):
    """Words w4, w5, ... For qwen2, AutoTokenizer always takes Qwen2Tokenizer, so there each character is a word."""
    words = specials_of(family) + [word_of(family, i) for i in range(4, vocab)]
    if family == "qwen2":
        return Qwen2Tokenizer(
            vocab={word: i for i, word in enumerate(words)}, merges=[], pad_token="[PAD]", unk_token="[UNK]",
            eos_token="[SEP]",
        )
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if family in ENCODERS:
        around = [(word, words.index(word)) for word in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=around
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )


def loss_of(logits, axes, classes):
    classes = torch.tensor(classes)
    weights = AXES[axes][2]
    if axes == "J-P":
        return torch.nn.functional.cross_entropy(logits, classes[:, 3], weight=torch.tensor(weights[0]))
    losses = []
    for axis, weight in enumerate(weights):
        target = classes[:, axis]
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, axis], target.float(), reduction="none")
        each_weight = torch.tensor(weight)[target]
        losses.append((each * each_weight).sum() / each_weight.sum())
    return torch.stack(losses).mean()


def gradients_of(model, forward):
    """The logits, the loss, and the gradient of everything trained, all of which must be there."""
    logits, loss = forward(model)
    loss.backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, f"{name} has no gradient"
            gradients[name] = parameter.grad.float().clone()
    model.zero_grad()
    return logits.detach(), loss.detach().reshape(1), gradients


def train(model, forward, masters=None):
    """Ten AdamW steps; the loss before each. `masters` are f32 copies that a bf16 model is rounded from."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    moved = masters or trained
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in moved.values() if p.dim() >= 2], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in moved.values() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE, eps=1e-8,
    )
    losses = []
    for _ in range(STEPS):
        model.zero_grad()
        _, loss = forward(model)
        losses.append(loss.item())
        loss.backward()
        if masters:
            for name, parameter in trained.items():
                masters[name].grad = parameter.grad.float()
        torch.nn.utils.clip_grad_norm_(moved.values(), 1.0)
        optimizer.step()
        if masters:
            with torch.no_grad():
                for name, parameter in trained.items():
                    parameter.copy_(masters[name])
    return torch.tensor(losses)


def hangs_on_rounding(model, forward, losses):
    """Whether the reference's own losses part from one another when its weights are moved by a rounding.

    An element whose gradient is rounding alone moves by up to a learning rate in a direction that rounding decides,
    and now and then the next gradient hangs on that very element. Of such a case nothing can be learned about whoever
    is compared.
    """
    noise = torch.Generator().manual_seed(0)
    for _ in range(8):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in moved.parameters():
                parameter.mul_(1 + 2e-7 * torch.randn(parameter.shape, generator=noise))
        if (train(moved, forward) - losses).abs().max() > 1e-4:
            return True
    return False


def write_older_config(path, name):
    """Configurations on the Hub are older than Transformers 5 and name RoPE's settings otherwise."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    if name == "modernbert-mean":
        config["global_rope_theta"] = rope["full_attention"]["rope_theta"]
        config["local_rope_theta"] = rope["sliding_attention"]["rope_theta"]
        config["global_attn_every_n_layers"] = 2
        del config["layer_types"]
    else:
        config["rope_theta"] = rope.pop("rope_theta")
        if name == "llama":
            config["rope_scaling"] = rope
        else:
            config["rope_scaling"] = {
                "type": rope["rope_type"], "short_factor": rope["short_factor"], "long_factor": rope["long_factor"]
            }
            if rope["partial_rotary_factor"] != 1.0:
                config["partial_rotary_factor"] = rope["partial_rotary_factor"]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write(name, axes, folder, seed, big, attempt=0):
    family, settings, lengths, note = cases(big)[name]
    number = seed * 1000 + list(cases(big)).index(name) + attempt * 1_000_000_007
    torch.manual_seed(number)
    draw = random.Random(number)
    letters, problem, weights = AXES[axes]
    specials = specials_of(family)
    pad, cls, sep = (specials.index(word) for word in ("[PAD]", "[CLS]", "[SEP]"))

    vocab = settings["vocab_size"]
    texts = []
    for length in lengths:
        ends = 2 if family in ENCODERS else 0
        words = [draw.randrange(4, vocab) for _ in range(length - ends)]
        texts.append([cls, *words, sep] if ends else words)
    draw.shuffle(texts)
    classes = []
    while not classes or any(len(set(axis)) == 1 for axis in zip(*classes)):
        classes = [[draw.randrange(2) for _ in range(4)] for _ in texts]

    ids = {"bos_token_id": cls, "eos_token_id": sep, "pad_token_id": pad}
    if family == "modernbert":
        ids |= {"cls_token_id": cls, "sep_token_id": sep}
    config = AutoConfig.for_model(family, **settings, **ids)
    config.id2label = dict(enumerate(letters))
    config.label2id = {letter: i for i, letter in enumerate(letters)}
    config.num_labels = len(letters)
    config.problem_type = problem
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    # Norms and biases begin at 1 and 0, where a mistake in them would not show.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.eval()

    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder / "model")
    tokenizer_of(family, vocab).save_pretrained(folder / "model")
    if name in ("phi3-longrope-long", "phi3-partial", "llama", "modernbert-mean"):
        write_older_config(folder / "model" / "config.json", name)

    longest = max(map(len, texts))
    batch = torch.tensor([text + [pad] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])

    def forward(model):
        logits = model(input_ids=batch, attention_mask=mask).logits.float()
        return logits, loss_of(logits, axes, classes)

    def load(dtype):
        loaded, info = AutoModelForSequenceClassification.from_pretrained(
            folder / "model", dtype=dtype, attn_implementation="eager", output_loading_info=True
        )
        assert not any(info.values()), info
        return loaded.eval()

    expected = {}
    logits, loss, gradients = gradients_of(model, forward)
    assert torch.equal(forward(load(torch.float32))[0], logits), f"{name} is not saved as it was"
    expected |= {"logits": logits, "loss": loss}
    expected |= {f"gradient.{key}": gradient for key, gradient in gradients.items()}
    # A text must not depend on what it is padded to.
    alone = torch.cat([model(input_ids=torch.tensor([text])).logits for text in texts])
    apart = (alone - logits).abs().max().item()
    assert apart < 1e-3, f"{name} depends on padding by {apart}"
    if apart > 1e-5:
        print(f"{name}-{axes}: its logits hang on rounding by {apart:.1e}; another model is drawn", file=sys.stderr)
        return write(name, axes, folder, seed, big, attempt + 1)
    masters = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    first = copy.deepcopy(model)
    expected["losses"] = train(model, forward)
    if hangs_on_rounding(first, forward, expected["losses"]):
        print(f"{name}-{axes}: PyTorch's own steps hang on rounding; another model is drawn", file=sys.stderr)
        return write(name, axes, folder, seed, big, attempt + 1)

    model = load(torch.bfloat16)
    logits, loss, rounded = gradients_of(model, forward)
    expected |= {"bf16.logits": logits, "bf16.loss": loss}
    whole = sum(gradient.square().sum() for gradient in gradients.values())
    apart = sum((rounded[key] - gradient).square().sum() for key, gradient in gradients.items())
    expected["bf16.gradient_distance"] = (apart / whole).sqrt().reshape(1)
    expected["bf16.losses"] = train(model, forward, masters)

    adapted, head = LORA[family]
    lora = LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=6, lora_dropout=0.0, target_modules=adapted, modules_to_save=list(head),
        use_rslora=name in ("phi3-partial", "mistral", "xlm-roberta", "modernbert"),
    )
    model = get_peft_model(load(torch.float32), lora).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
            elif parameter.requires_grad and "lora_A" not in key:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder / "lora", save_embedding_layers=False)
    (folder / "lora" / "README.md").unlink()
    path = folder / "lora" / "adapter_config.json"
    adapter = json.loads(path.read_text())
    adapter["base_model_name_or_path"] = "model"
    adapter["target_modules"] = sorted(adapter["target_modules"])
    path.write_text(json.dumps(adapter, indent=2, sort_keys=True) + "\n")
    logits, loss, gradients = gradients_of(model, forward)
    gradients = get_peft_model_state_dict(model, state_dict=gradients, save_embedding_layers=False)
    assert gradients.keys() == load_file(folder / "lora" / "adapter_model.safetensors").keys()
    expected |= {"lora.logits": logits, "lora.loss": loss}
    expected |= {f"lora.gradient.{key}": gradient for key, gradient in gradients.items()}
    first = copy.deepcopy(model)
    expected["lora.losses"] = train(model, forward)
    if hangs_on_rounding(first, forward, expected["lora.losses"]):
        print(f"{name}-{axes}: PyTorch's own steps of LoRA hang on rounding; another model is drawn", file=sys.stderr)
        return write(name, axes, folder, seed, big, attempt + 1)

    save_file({key: tensor.contiguous() for key, tensor in expected.items()}, folder / "expected.safetensors")
    space = "" if family == "qwen2" else " "
    sentences = [space.join(word_of(family, i) for i in text if i >= 4) for text in texts]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert tokenizer(sentences)["input_ids"] == texts, f"the tokenizer of {name} does not give its texts"
    case = {
        "family": family, "axes": axes, "texts": texts, "sentences": sentences, "classes": classes, "weights": weights,
        "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "note": note,
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in case.items())
    (folder / "case.json").write_text("{\n" + lines + "\n}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--only", nargs="*", metavar="CASE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for number, name in enumerate(cases(arguments.big)):
        if arguments.only and name not in arguments.only:
            continue
        for axes in AXES if arguments.out else [list(AXES)[number % 2]]:
            folder = (arguments.out or FIXTURES) / f"{name}-{axes}"
            write(name, axes, folder, arguments.seed, arguments.big)
            print(folder)


if __name__ == "__main__":
    main()
