"""What chaos has done and found, as lines."""

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.chaos.check import Verdict

_LONGEST = 100  # characters of a command line


@dataclass
class Outcome:
    """What was killed, and what is wrong after it.

    Attributes:
        killed: How often each kind of fault struck.
        wrong: What should not be, one line each.
        rounds: How many searches were run to their end.
    """

    killed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rounds: int = 0
    joined: int = 0
    hung: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    left_behind: list[str] = field(default_factory=list)

    def add(self, name: str, verdict: Verdict, most_repeated: int) -> None:
        """Takes account of a search that has ended, and whose faults may repeat so many intervals."""
        self.failed += len(verdict.failed)
        self.lost += len(verdict.lost)
        self.doubled += len(verdict.doubled)
        self.repeated += verdict.repeated
        self.wrong += [f"{name}: {fault}" for fault in verdict.faults(most_repeated)]

    def lines(self) -> list[str]:
        killed = ", ".join(f"{kind} {count}" for kind, count in sorted(self.killed.items()))
        return [
            f"searches {self.rounds}; struck {self.killed.total()}: {killed or 'nothing'}; nodes joined {self.joined}",
            f"trials failed {self.failed}; rows lost {self.lost}, doubled {self.doubled}; intervals repeated "
            f"{self.repeated}; hung {self.hung}; processes left behind {len(self.left_behind)}",
            *self.wrong,
            *(f"left behind: {name[:_LONGEST]}" for name in self.left_behind),
        ]
