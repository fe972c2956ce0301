"""The finals of a run as a table."""

from collections.abc import Iterable
from typing import TextIO

from gansearch.analysis.table import Table
from gansearch.analysis.text import differing, short_names, value_text
from gansearch.run.finals import Finalist, Finals
from gansearch.text import MISSING, fid_text

_NUMBERS = ("mean FID", "95 % interval", "seeds", "better than next", "in the search")


def write_finals(
    finals: Finals, paths: Iterable[str], file: TextIO | None = None, *, wide: bool = False, hint: str = ""
) -> None:
    """Writes finals as a table, to stdout by default, and below it which are ties, diverged or missing.

    Args:
        finals: The finals.
        paths: The parameters of the space. The table has those that differ.
        file: Where to write.
        wide: Leaves out no column for lack of room.
        hint: The command that shows what is left out.
    """
    differ = differing(paths, [one.params for one in finals.finalists])
    names = short_names(differ)
    columns = ("place", "trial", *_NUMBERS, "origin", *names.values())
    table = Table(columns, {"place", *_NUMBERS, *names.values()}, hint=hint)
    places = [one.place for one in finals.finalists]
    ties = sorted({place for place in places if place is not None and places.count(place) > 1})
    for one in finals.finalists:
        table.add(
            MISSING if one.place is None else f"{one.place} tie" if one.place in ties else str(one.place),
            one.trial_id,
            fid_text(one.mean),
            MISSING if one.interval is None else " to ".join(map(fid_text, one.interval)),
            _seeds_text(one),
            MISSING if one.better_than_next is None else f"{one.better_than_next:.0%}",
            fid_text(one.searched_fid),
            one.origin,
            *(value_text(one.params[path]) if path in one.params else MISSING for path in differ),
            style="bold" if one is finals.winner else "",
        )
    for place in ties:
        ids = ", ".join(one.trial_id for one in finals.finalists if one.place == place)
        table.notes.append(f"a tie for place {place}: {ids} (no significant difference; Games-Howell test, 5 %)")
    for one in finals.finalists:
        if one.diverged:
            table.notes.append(
                f"{one.trial_id}: {one.diverged} of its finals diverged and count as the highest FID at any evaluation"
            )
        if one.missing:
            table.notes.append(f"{one.trial_id}: {one.missing} of its finals gave no FID")
    table.write(file, wide=wide)


def _seeds_text(one: Finalist) -> str:
    total = one.counted + one.missing
    return str(total) if len(one.fids) == total else f"{len(one.fids)} of {total}"
