"""How every benchmark tells what it found: the median of the rounds and their spread."""

import statistics
from collections.abc import Sequence


def tell(what: str, values: Sequence[float]) -> float:
    """Prints the median of `values` and from where to where they go; returns the median."""
    median = statistics.median(values)
    print(f"{what}: median {median:.4f}, from {min(values):.4f} to {max(values):.4f}")
    return median
