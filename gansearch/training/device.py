"""The device that a trial trains on."""

import torch


def best_device() -> torch.device:
    """Returns a GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device) -> str:
    return "float32"
