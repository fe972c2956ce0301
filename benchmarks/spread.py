"""How every benchmark reports results: the median of the rounds and their spread."""

import statistics
from collections.abc import Sequence


def report(what: str, values: Sequence[float]) -> float:
    """Prints the median, the lowest and the highest of `values`; returns the median."""
    median = statistics.median(values)
    print(f"{what}: median {median:.4f}, from {min(values):.4f} to {max(values):.4f}")
    return median
