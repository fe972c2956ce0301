"""How numbers and parameters are written in tables, lines and plots."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gansearch.run.protocol import Floor
from gansearch.run.rows import Relation

MISSING = "-"
_RELATIONS: dict[Relation, str] = {"retry": "retry of", "continuation": "continues", "final": "of"}


def fid_text(fid: float | None) -> str:
    if fid is None:
        return MISSING
    return f"{fid:.2f}" if abs(fid) >= 1 else f"{fid:.4f}"


def kimg_text(kimg: float | None) -> str:
    """Without the noise of binary fractions: 19.2, not 19.200000000000003."""
    return MISSING if kimg is None else f"{round(kimg, 3):.12g}"


def value_text(value: Any) -> str:
    """A parameter's value in three digits; booleans as in JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def params_text(params: Mapping[str, Any]) -> str:
    """All parameters on one line, by section: `loss wgan clip=0.01; optim g_lr=0.0012 d_steps=1`."""
    sections: dict[str, list[str]] = {}
    for path, value in params.items():
        section, _, key = path.rpartition(".")
        words = sections.setdefault(section, [])
        if key == "name":
            words.insert(0, value_text(value))
        else:
            words.append(f"{key}={value_text(value)}")
    return "; ".join(" ".join([*([section] if section else []), *words]) for section, words in sections.items())


def aligned(header: Sequence[str], cells: Sequence[Sequence[str]], right: Collection[str]) -> list[str]:
    """The header and each row as a line; columns two spaces apart, those named in `right` right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, line, widths, strict=True)
        ).rstrip()
        for line in [header, *cells]
    ]


def origin_text(origin: str, parent: str | None, relation: Relation | None) -> str:
    """By whom a trial was proposed, and which earlier one it comes from."""
    return origin if relation is None else f"{origin} ({_RELATIONS[relation]} {parent})"


def flat_text(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def floor_text(floor: Floor) -> str:
    """What a perfect generator would score."""
    return f"floor: real {floor.split} images score {fid_text(floor.fid)} ({floor.images} images)"


def share_text(share: float) -> str:
    """What evaluations cost, as a share of the trials' time."""
    return f"FID and artifacts took {share:.1%} of the trials' time"
