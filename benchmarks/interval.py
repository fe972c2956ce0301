"""A measured value and how sure it is."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A value and the 95 % interval of it; without an interval (nan) where there is one observation only."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        interval = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{interval}"
