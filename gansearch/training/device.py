"""The device that a trial trains on, and the precision that is fastest there."""

from typing import Literal

import torch


def best_device() -> torch.device:
    """Returns a GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device) -> Literal["float32", "bf16"]:
    """Returns bf16 where the device has arithmetic units for it, else float32: emulated, bf16 is slower."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # the function is newer than torch 2.6
        return "float32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
