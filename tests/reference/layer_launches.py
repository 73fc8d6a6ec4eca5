"""What PyTorch does in one layer of Phi-3 with PEFT's LoRA on all linear layers and bf16 weights: how many of its operations
start a kernel, forward and backward, for the table in docs/gpu.md.

Counted from the operations that autograd hands to the device, on the CPU: each one that makes new numbers is at least one
kernel on a GPU, views and allocations are none, and attention counts as one of each, as the fused kernels have it. The
number does not depend on the sizes.

    python tests/reference/layer_launches.py
"""

from collections import Counter

import peft
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Phi3Config, Phi3ForSequenceClassification

# Views of memory that is there, and memory with nothing in it yet.
NO_KERNEL = {
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "empty", "empty_like", "empty_strided",
    "expand", "lift_fresh", "new_empty", "new_empty_strided", "permute", "reshape", "select", "slice", "split",
    "split_with_sizes", "squeeze", "t", "transpose", "unsqueeze", "view",
}


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        if name not in NO_KERNEL:
            self.operations[name] += 1
        return function(*arguments, **(keywords or {}))


def counted(layers):
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, num_labels=2, attn_implementation="sdpa",
    )
    model = Phi3ForSequenceClassification(config).to(torch.bfloat16)
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear")
    model = peft.get_peft_model(model, lora).train()
    ids = torch.randint(3, 64, (2, 16))
    with Count() as forward:
        loss = model(input_ids=ids, labels=torch.tensor([0, 1])).loss
    with Count() as backward:
        loss.backward()
    return forward.operations, backward.operations


def main():
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    for name, one, two in zip(["forward", "backward"], counted(1), counted(2)):
        of_a_layer = two - one
        print(f"{name}: {sum(of_a_layer.values())}")
        print("  " + ", ".join(f"{name} {count}" for name, count in sorted(of_a_layer.items())))


main()
