"""Runs to write reports of, and what a page says as a browser would see it."""

import json
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from gansearch.analysis.report.write import render
from gansearch.run import RunDir, load
from gansearch.run.finals import FINALS_VERSION, Finalist, Finals
from gansearch.run.paths import GIF, attention_file, samples_file
from gansearch.run.rows import End, Row

from .synthetic_run import PROTOCOL, evaluation, make_run, start

HOSTILE = "<script>alert(1)</script>&<b>"


class Page(HTMLParser):
    """What a browser would see: the elements, the texts, and the data of the scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._inside = ""
        self._data = ""
        self.feed(html)
        self.data = json.loads(self._data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self._data += data
        elif not self._inside:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(run: RunDir, networks: str | None = None) -> Page:
    return Page(render(load(run), networks))


def completed(number: int, fid: float, kimg: float = 57.6) -> list[Row]:
    end = End(
        trial_id=f"{number:04d}",
        number=number,
        status="completed",
        best_fid=fid,
        best_kimg=kimg,
        kimg=kimg,
        reason=None,
    )
    return [evaluation(number, kimg, fid), end]


def with_finals(folder: Path) -> RunDir:
    """Trial 1 has the lowest FID of the search; by the finals, the trials 2 to 5, the baseline 0 is better."""
    params = [{"loss.name": "bce"}, {"loss.name": "hinge"}]
    rows = [start(0, params[0], origin="baseline:dcgan"), *completed(0, 30.0), start(1, params[1]), *completed(1, 20.0)]
    fids = {2: 30.5, 3: 31.5, 4: 41.0, 5: 39.0}
    for number, fid in fids.items():
        parent = 0 if number < 4 else 1
        rows += [start(number, params[parent], origin="final", parent=f"{parent:04d}", relation="final")]
        rows += completed(number, fid)
    run = make_run(folder, rows)
    finalists = [
        Finalist(
            place=place,
            trial_id=trial_id,
            origin=origin,
            searched_fid=searched,
            params=params[int(trial_id)],
            trials=trials,
            fids=tuple(fids[int(trial)] for trial in trials),
            diverged=0,
            missing=0,
            mean=mean,
            interval=(mean - 5, mean + 5),
            better_than_next=0.97 if place == 1 else None,
        )
        for place, trial_id, origin, searched, trials, mean in (
            (1, "0000", "baseline:dcgan", 30.0, ("0002", "0003"), 31.0),
            (2, "0001", "sampled", 20.0, ("0004", "0005"), 40.0),
        )
    ]
    Finals(
        version=FINALS_VERSION,
        protocol=PROTOCOL.hash,
        max_kimg=57.6,
        seeds=2,
        num_searched=2,
        finalists=tuple(finalists),
    ).save(run)
    return run


def with_images(run: RunDir) -> None:
    """Gives each trial grids at all its evaluations, an animation and attention maps, and the run real images."""
    for trial in load(run).ledger.values():
        folder = run.trial(trial.trial_id)
        for row in trial.evals:
            for name in (samples_file(row.images), attention_file(row.images, "G"), attention_file(row.images, "D")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (40, 50), 128).save(folder / name)
        if trial.evals:
            frames = [Image.new("L", (40, 50), shade) for shade in (0, 255)]
            frames[0].save(folder / GIF, save_all=True, append_images=frames[1:], duration=200, loop=0)
            (folder / "config.json").write_text("{}")
    Image.new("L", (40, 50), 0).save(run.real)
