"""Prints outcomes as a table, and ours against each of the others."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.search_against_vanilla.compare import ratio_of_medians, shares
from benchmarks.search_against_vanilla.outcome import Outcome, Side

BySide = Mapping[Side, Mapping[int, Outcome]]
"""Outcomes by side and seed."""


def line(outcome: Outcome) -> str:
    """Returns one outcome as a line, for the progress."""
    return (
        f"seed {outcome.seed}, {outcome.side}: FID {outcome.fid:.2f} after {outcome.course[-1].seconds:.0f} of "
        f"{outcome.wall:.0f} s, anew {_number(outcome.anew)}, {outcome.begun} trials begun, {outcome.full} full"
    )


def table(outcomes: BySide) -> str:
    """Returns the lowest FID of each side by seed, medians of all else, and the comparisons."""
    sides = list(outcomes)
    seeds = sorted({seed for found in outcomes.values() for seed in found})
    lines = [_row("lowest FID", sides)]
    for seed in seeds:
        lines.append(
            _row(f"seed {seed}", [f"{found[seed].fid:.2f}" if seed in found else "" for found in outcomes.values()])
        )

    def medians(name: str, value: Callable[[Outcome], float | None], digits: int) -> str:
        cells = []
        for found in outcomes.values():
            values = [number for outcome in found.values() if (number := value(outcome)) is not None]
            cells.append(_number(median(values) if values else None, digits))
        return _row(name, cells)

    lines += [
        medians("median", lambda outcome: outcome.fid, 2),
        medians("  the winner on new z", lambda outcome: outcome.anew, 2),
        medians("  trials begun", lambda outcome: outcome.begun, 0),
        medians("  of full length", lambda outcome: outcome.full, 0),
        medians("  seconds in all", lambda outcome: outcome.wall, 0),
    ]
    if "ours" in outcomes:
        lines += [_against(side, outcomes) for side in sides if side != "ours"]
    return "\n".join(lines)


def _against(side: Side, outcomes: BySide) -> str:
    """Returns what came out of the seeds that ours and another side have in common."""
    seeds = sorted(outcomes["ours"].keys() & outcomes[side].keys())
    if not seeds:
        return f"{side}: no seed in common with ours yet"
    ours, theirs = ([outcomes[one][seed] for seed in seeds] for one in ("ours", side))
    lowest = ratio_of_medians([outcome.fid for outcome in theirs], [outcome.fid for outcome in ours])
    lines = [f"{side} / ours, {len(seeds)} seeds: {lowest}"]
    both_anew = [(their.anew, mine.anew) for their, mine in zip(theirs, ours, strict=True) if their.anew and mine.anew]
    if both_anew:
        lines.append(f"  on new z, {len(both_anew)} seeds: {ratio_of_medians(*zip(*both_anew, strict=True))}")
    times = shares(ours, theirs)
    spread = f"{_share(min(times))} to {_share(max(times))}"
    lines.append(
        f"  when ours had the last FID of {side}, as a share of the budget: {_share(median(times))} ({spread})"
    )
    return "\n".join(lines)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:24}" + "".join(f"{cell:>10}" for cell in cells)


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"
