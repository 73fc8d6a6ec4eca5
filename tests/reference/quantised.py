"""Writes fixtures/quantised.safetensors: what bitsandbytes makes, on the CPU, of a few matrices in NF4 with double
quantisation and in int8 by rows. Needs torch, bitsandbytes and safetensors."""

import os

import bitsandbytes.functional as F
import torch
from safetensors.torch import save_file

torch.manual_seed(0)
found = {}
for name, (rows, cols) in {"square": (64, 64), "odd": (33, 70), "wide": (48, 1000)}.items():
    # As weights are: normal, with a few that are far out. In half precision, which int8 is made of there.
    values = torch.randn(rows, cols) * 0.02
    values[::7, ::11] *= 8
    values = values.half().float()
    codes, state = F.quantize_4bit(values, blocksize=64, compress_statistics=True, quant_type="nf4")
    found[f"{name}.values"] = values
    found[f"{name}.nf4_codes"] = codes.reshape(-1)
    found[f"{name}.nf4_scales"] = state.absmax.reshape(-1)
    found[f"{name}.nf4_scales_of_scales"] = state.state2.absmax.reshape(-1)
    found[f"{name}.nf4_mean"] = state.offset.reshape(1)
    found[f"{name}.nf4_values"] = F.dequantize_4bit(codes, state).float()
    codes, largest, _ = F.int8_vectorwise_quant(values.half())
    found[f"{name}.int8_codes"] = codes.view(torch.uint8)
    found[f"{name}.int8_values"] = codes.float() * (largest.float().reshape(-1, 1) / 127)
place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "quantised.safetensors")
save_file({name: tensor.contiguous() for name, tensor in found.items()}, place)
print(place, {name: tuple(tensor.shape) for name, tensor in found.items()})
