"""Writes the report of a run: one page that stands alone and loads nothing from elsewhere."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import gansearch
from gansearch.analysis.rank import rank
from gansearch.analysis.report.answer import answer, interval_text
from gansearch.analysis.report.chart import TEMPLATE
from gansearch.analysis.report.groups import Group, groups
from gansearch.analysis.report.method import measuring, protocol, searched, searching
from gansearch.analysis.report.trials import failures, trial_table
from gansearch.analysis.runs import State, state_of
from gansearch.cache import atomic_write
from gansearch.errors import UserError, one_line
from gansearch.logs import visible_lines
from gansearch.program import command
from gansearch.run.finals import Finals
from gansearch.run.links import require_no_links
from gansearch.run.loaded import Run
from gansearch.text import MISSING, fid_text

_HERE = Path(__file__).parent
_STATES = {"running": "still running", "finished": "finished", "interrupted": "interrupted"}


def write_report(run: Run, out: Path | None = None, networks: str | None = None) -> Path:
    """Writes the report of a run and returns its path, by default `report/index.html` of the run.

    A run that is still going, or in which nothing has an FID, has a report as well: it says so.

    Args:
        run: The run. Its files are read only.
        out: The file to write.
        networks: A summary of the best generator's networks, as `trial --describe` prints it. Without one the page
            gives the command.

    Raises:
        UserError: The file can't be written.
    """
    if out is None:
        require_no_links(run.dir)
    path = out or run.dir.report
    html = render(run, networks)
    try:
        atomic_write(path, lambda staging: staging.write_text(html, encoding="utf-8"))
    except OSError as error:
        other = f"`{command('report', run.dir.path)}` writes elsewhere with --out"
        raise UserError(f"can't write {path} ({one_line(error)}): {other}") from None
    return path


def render(run: Run, networks: str | None = None) -> str:
    """Returns the report of a run as HTML, with the arguments of `write_report`.

    Every text of the run is escaped: a name that looks like HTML stays text, and a character that would turn or hide
    what stands beside it is written out.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=lambda value: visible_lines(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The page's own scripts and style, which hold nothing of the run.
    own = {
        "css": _own("page.css"),
        "charts_js": _own("charts.js"),
        "table_js": _own("table.js"),
        "plotly": Markup(get_plotlyjs()),
    }
    return environment.get_template("page.html").render(**_content(run, networks), **own)


def _own(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _content(run: Run, networks: str | None) -> dict[str, Any]:
    """Returns what the template shows, by name."""
    ranked = rank(run)
    found, sections = answer(run), groups(run, networks)
    state = state_of(run)
    table = trial_table(ranked, list(run.manifest.space.params))
    return {
        "name": run.manifest.name,
        "path": run.dir.path,
        "version": gansearch.__version__,
        "state": state,
        "state_text": _STATES[state],
        "counts": _counts(run),
        "continue_command": _continue_command(run, state),
        "started": _minute(datetime.fromisoformat(run.manifest.created)),
        "written": _minute(datetime.now(UTC)),
        "sections": _titles(sections, finals=run.finals is not None),
        "answer": found,
        "finalists": [] if run.finals is None else _finalists(run.finals),
        "groups": sections,
        "table": table,
        "measuring": measuring(run),
        "protocol": protocol(run),
        "searching": searching(run),
        "searched": searched(run),
        "failures": failures(ranked),
        "left_out": run.left_out,
        "data": {
            "table": {**table._asdict(), "winner": found.trial_id if found else None},
            "template": TEMPLATE,
            "figures": {
                chart.name: {"data": chart.data, "layout": chart.layout} for group in sections for chart in group.charts
            },
        },
    }


def _continue_command(run: Run, state: State) -> str | None:
    """Returns the command that continues a search, or else its finals; None where nothing was interrupted."""
    has_open_final = any(trial.is_final and trial.end is None for trial in run.ledger.values())
    if state == "running" or (state == "finished" and not has_open_final):
        return None
    return command("resume" if state == "interrupted" else "finals", run.dir.path, *run.plan.search_flags)


def _counts(run: Run) -> str:
    count = Counter(trial.status for trial in run.ledger.values())
    total = len(run.ledger)
    parts = ", ".join(f"{number} {status}" for status, number in count.most_common())
    return f"{total} trial{'' if total == 1 else 's'}{': ' if parts else ''}{parts}"


def _minute(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _titles(sections: list[Group], *, finals: bool) -> list[tuple[str, str]]:
    return [
        ("answer", "The answer"),
        *([("finals", "Finals")] if finals else []),
        *((group.id, group.title) for group in sections),
        ("trials", "All trials"),
        ("method", "How it was measured"),
        ("failures", "What failed"),
    ]


def _finalists(finals: Finals) -> list[list[str]]:
    places = [one.place for one in finals.finalists]
    return [
        [
            MISSING if one.place is None else f"{one.place} (tie)" if places.count(one.place) > 1 else str(one.place),
            one.trial_id,
            fid_text(one.mean),
            interval_text(one),
            ", ".join([*map(fid_text, sorted(one.fids)), *["diverged"] * one.diverged, *["missing"] * one.missing]),
            fid_text(one.searched_fid),
            MISSING if one.better_than_next is None else f"{one.better_than_next:.0%}",
            one.origin,
        ]
        for one in finals.finalists
    ]
