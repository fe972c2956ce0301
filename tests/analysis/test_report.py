"""The report as a file: what it says, what it survives, and that no name of a run becomes HTML."""

import base64
import io
import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from PIL import Image

from gansearch.analysis.info.common_rung import common_rung
from gansearch.analysis.info.parameters import param_info
from gansearch.analysis.rank import rank
from gansearch.analysis.report.images import picture
from gansearch.analysis.report.parameter_charts import parameter_chart
from gansearch.analysis.report.write import render, write_report
from gansearch.cli.analyze import main
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run import RunDir, load
from gansearch.run.rows import End, Row, Writer
from gansearch.text import fid_text

from .report_page import HOSTILE, Page, completed, page, with_finals, with_images
from .synthetic_run import FLOOR, damage, evaluation, make_run, make_search, start


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = make_search(tmp_path_factory.mktemp("report") / "demo", floor=FLOOR)
    with_images(run)
    return run


@pytest.fixture(scope="module")
def shown(search: RunDir) -> Page:
    return page(search, networks="G: 12,345 parameters")


def test_without_finals_the_lowest_fid_wins_and_the_page_says_that_one_seed_decides(
    search: RunDir, shown: Page
) -> None:
    best = load(search).ledger.best
    assert best is not None and best.best is not None
    assert f"Trial {best.trial_id} leads so far (sampled). Its FID is the lowest FID of one training, at" in shown.text
    assert f"FID {fid_text(best.best.fid)} Trial" in shown.text
    assert "One seed decides: this is the lowest of 15 trials" in shown.text
    for command in (f"trial {search.trial_config(best.trial_id)}", f"export {search.path}", f"finals {search.path}"):
        assert f"gansearch {command}" in shown.text
    assert "real test images score 0.2900 (360 images)" in shown.text


def test_the_winner_is_compared_with_the_best_baseline(search: RunDir, shown: Page) -> None:
    run = load(search)
    baseline, best = run.ledger["0000"].best, run.winner
    assert baseline is not None and best is not None and best.best is not None
    words = f"dcgan (trial 0000): FID {fid_text(baseline.fid)} against {fid_text(best.best.fid)} of the winner"
    assert f"{words}: {fid_text(baseline.fid - best.best.fid)} lower" in shown.text


def test_a_baseline_that_ended_early_is_compared_at_its_length(tmp_path: Path) -> None:
    rows = [start(0, origin="baseline:dcgan"), *completed(0, 90.0, 6.4), start(1, {"optim.g_lr": 1e-3})]
    rows += [evaluation(1, 6.4, 80.0), evaluation(1, 57.6, 20.0)]
    text = page(make_run(tmp_path / "run", rows)).text
    assert "completed at 6.4 kimg with FID 90.00; the winner had 80.00 there, and came to 20.00" in text


def test_with_finals_their_mean_decides_and_the_final_nearest_to_it_is_exported(tmp_path: Path) -> None:
    run = with_finals(tmp_path / "run")
    with_images(run)
    found = page(run)
    assert "FID 31.00 Trial 0000 wins (baseline:dcgan). Its FID is the mean of 2 finals" in found.text
    assert "95 % interval 26.00 to 36.00" in found.text
    assert "1 of 2 finalists; its mean is the lower one with probability 0.97" in found.text
    assert "the winner is itself a baseline, dcgan (trial 0000)" in found.text
    assert f"trial {run.trial_config('0002')}" in found.text and "One seed decides" not in found.text
    assert found.data["table"]["winner"] == load(run).winner.trial_id == "0000"
    assert "Trial 0000, by its final 0002: FID 30.50" in found.text


def test_the_best_baseline_is_that_of_the_finals(tmp_path: Path) -> None:
    run = with_finals(tmp_path / "run")
    run.results.write_text(run.results.read_text().replace('"origin": "sampled"', '"origin": "baseline:sngan"'))
    assert load(run).ledger.best.trial_id == "0001", "the other one had the lower FID in the search"
    assert "the winner is itself a baseline, dcgan (trial 0000)" in page(run).text


def test_finals_that_the_search_has_outrun_do_not_decide(tmp_path: Path) -> None:
    run = with_finals(tmp_path / "run")
    content = json.loads(run.finals.read_text())
    run.finals.write_text(json.dumps(content | {"num_searched": 1}))
    text = page(run).text
    assert "finals.json is void" in text and "Trial 0001 leads so far" in text


def test_a_final_with_an_fid_below_0_has_an_axis_of_its_own(tmp_path: Path) -> None:
    run = with_finals(tmp_path / "run")
    rows = [start(0), evaluation(0, 6.4, 80.0), *completed(0, 1.0)]
    for number in (1, 2):
        rows += [start(number, origin="final", parent="0000", relation="final"), *completed(number, -0.1)]
    other = make_run(tmp_path / "other", rows, floor=FLOOR)
    content = json.loads(run.finals.read_text())
    content["finalists"] = [content["finalists"][0] | {"trials": ["0001", "0002"], "fids": [-0.1, -0.1], "mean": -0.1}]
    other.finals.write_text(json.dumps(content))
    axes = {name: figure["layout"]["yaxis"] for name, figure in page(other).data["figures"].items()}
    assert "type" not in axes["winner"] and axes["curves"]["type"] == "log"


def test_ties_are_named(tmp_path: Path) -> None:
    run = with_finals(tmp_path / "run")
    content = json.loads(run.finals.read_text())
    content["finalists"][1]["place"] = 1
    run.finals.write_text(json.dumps(content))
    text = page(run).text
    assert "1 of 2 finalists, a tie with 0001: no test tells them apart" in text and "1 (tie)" in text


def test_the_table_has_the_ranking_with_every_trial_and_parameter(search: RunDir, shown: Page) -> None:
    table, ranked = shown.data["table"], rank(load(search))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    assert [row["trial"] for row in rows] == [row.trial_id for row in ranked]
    assert [row["min FID"] for row in rows] == [fid_text(row.best_fid) for row in ranked]
    assert {row["status"] for row in rows} == set(table["statuses"]) == {row.status for row in ranked}
    assert set(load(search).manifest.space.params) <= set(table["columns"])
    assert {"optim.g_lr", "min FID"} <= set(table["numbers"]) and "loss.name" not in table["numbers"]
    diverged = rows[-1]
    assert (diverged["reason"], diverged["rank"], diverged["checkpoint"]) == (
        "the generator's loss is not finite",
        *"--",
    )


def test_a_missing_checkpoint_is_ranked_and_marked(tmp_path: Path) -> None:
    run = make_search(tmp_path / "run")
    winner = load(run).winner
    assert winner is not None
    shutil.rmtree(run.trial(winner.trial_id))
    found = page(run)
    table = found.data["table"]
    first = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert (first["trial"], first["checkpoint"]) == (winner.trial_id, "missing: not exportable")
    assert f"The checkpoint of trial {winner.trial_id} is missing: its generator can't be exported." in found.text
    assert "gansearch export" not in found.text and "No grids of samples are there for trials" in found.text


def test_how_it_was_measured_and_what_failed(search: RunDir, shown: Page) -> None:
    manifest = load(search).manifest
    words = [
        "between 1,024 generated and 1,437 real images of the split train",
        "digits-classifier",
        manifest.fingerprint,
    ]
    words += [
        manifest.protocol.hash,
        manifest.protocol.data,
        "rungs at 6.4, 19.2, 57.6 kimg",
        manifest.versions["torch"],
    ]
    words += ["optim.g_lr 0.0001 to 0.004, log always", "the generator's loss is not finite"]
    for word in words:
        assert word in shown.text


def test_failures_are_grouped_by_reason_and_say_what_they_share(tmp_path: Path) -> None:
    rows: list[Row] = []
    for number in range(12):
        rows.append(start(number, {"loss.name": "wgan" if number < 4 else "bce"}))
        if number < 4:
            own = {"trial_id": f"{number:04d}", "number": number, "kimg": float(number), "best_fid": None}
            rows.append(End(**own, status="diverged", best_kimg=None, reason=f"non-finite loss at {number}.5 kimg"))
        else:
            rows += completed(number, 50.0 + number)
    text = page(make_run(tmp_path / "run", rows)).text
    assert "4 diverged non-finite loss at … kimg 0000, 0001, 0002, 0003 loss.name = wgan in 4 of 4" in text


def test_all_images_have_a_text_and_all_charts_their_numbers(search: RunDir, shown: Page) -> None:
    images = shown.all("img")
    assert len(images) >= 1 + 5 + 2 + 2 + 1
    assert all(image["alt"] and str(image["src"]).startswith("data:image/") for image in images)
    assert "Grid of real images" in str(images[0]["alt"])
    charts = [one for one in shown.all("div") if "data-chart" in one]
    assert {one["data-chart"] for one in charts} == set(shown.data["figures"])
    assert all(one["role"] == "img" and one["aria-label"] for one in charts)
    best = load(search).winner
    (curves,) = (one["aria-label"] for one in charts if one["data-chart"] == "curves")
    assert best is not None and best.best is not None
    assert f"trial {best.trial_id}, comes to {fid_text(best.best.fid)}" in str(curves)
    assert "G: 12,345 parameters" in shown.text


def test_the_file_is_one_and_names_no_other(search: RunDir, tmp_path: Path) -> None:
    path = write_report(load(search))
    assert path == search.report and [file.name for file in path.parent.iterdir()] == ["index.html"]
    html = path.read_text()
    assert html.count("plotly.js v") == 1
    found = Page(html)
    assert not found.all("link")[1:] and all("src" not in one for one in found.all("script"))
    assert all(str(one["href"]).startswith("#") for one in found.all("a"))
    assert write_report(load(search), tmp_path / "other" / "page.html").read_text()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="writes elsewhere with --out"):
        write_report(load(search), tmp_path / "file" / "page.html")


def test_a_script_in_any_name_stays_text(tmp_path: Path) -> None:
    params = {"loss.name": CategoricalDistribution([HOSTILE, "bce"]), "optim.g_lr": FloatDistribution(1e-4, 1e-2)}
    rows: list[Row] = []
    for number in range(4):
        rows.append(
            start(number, {"loss.name": HOSTILE, "optim.g_lr": 1e-3 * (number + 1)}, origin=f"baseline:{HOSTILE}")
        )
        rows += completed(number, 50.0 + number)
    rows.append(start(4, {"loss.name": "bce", "optim.g_lr": 1e-3}, origin=HOSTILE))
    rows.append(
        End(trial_id="0004", number=4, status="failed", best_fid=None, best_kimg=None, kimg=0.0, reason=HOSTILE)
    )
    run = make_run(tmp_path / "run", rows, params=params)
    damage(run, name=HOSTILE, git_commit=HOSTILE, versions={"python": HOSTILE})
    html = render(load(run), networks=HOSTILE)
    assert not re.search(r"<script>alert|<b>", html)
    found = Page(html)
    assert len(found.all("script")) == 4 and not found.all("b")
    assert found.text.count(HOSTILE) >= 8
    data = json.dumps(found.data["figures"])
    assert "alert(1)" in data and "<script" not in data, "plotly takes HTML out of texts, and shows what is escaped"


def test_a_run_that_is_going_says_so_and_one_that_was_interrupted_how_to_go_on(tmp_path: Path) -> None:
    run = make_search(tmp_path / "run", trials=4)
    text = page(run).text
    assert "interrupted 4 trials" in text and f"Continue it with gansearch resume {run.path}" in text
    with closing(Writer(run.results)):
        text = page(run).text
    assert "still running 4 trials" in text and "leads so far" in text and "resume" not in text


def test_finals_that_were_interrupted_are_continued_by_finals(tmp_path: Path) -> None:
    final = start(1, origin="final", parent="0000", relation="final")
    run = make_run(tmp_path / "run", [start(0), *completed(0, 30.0), final], trials=1)
    text = page(run).text
    assert f"Continue it with gansearch finals {run.path}" in text and "finished 2 trials" in text
    with closing(Writer(run.results)):
        assert "Continue it" not in page(run).text
    half = make_run(tmp_path / "half", [start(0), *completed(0, 30.0), final], trials=2)
    assert f"Continue it with gansearch resume {half.path}" in page(half).text


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_few_trials_have_a_report(tmp_path: Path, trials: int) -> None:
    found = page(make_search(tmp_path / "run", trials))
    assert "leads so far" in found.text and "curves" in found.data["figures"]


def test_a_run_that_searches_nothing_has_no_section_on_parameters(tmp_path: Path) -> None:
    found = page(make_run(tmp_path / "run", [start(0), *completed(0, 30.0)], params={}, trials=1))
    assert "The run searches nothing" in found.text and "The parameters" not in found.text


def test_nothing_evaluated_and_all_diverged(tmp_path: Path) -> None:
    nothing = page(make_run(tmp_path / "nothing", []))
    assert "There is no winner: no trial has an FID" in nothing.text and "No trial diverged" in nothing.text
    own = {"best_fid": None, "best_kimg": None, "kimg": 0.5, "reason": "non-finite loss at 0.5 kimg"}
    rows = [start(0), start(1)]
    rows += [End(trial_id=f"{number:04d}", number=number, status="diverged", **own) for number in (0, 1)]
    diverged = page(make_run(tmp_path / "diverged", rows))
    assert "There is no winner" in diverged.text and diverged.data["figures"] == {}
    assert "2 diverged non-finite loss at 0.5 kimg 0000, 0001" in diverged.text


def test_some_diverged_beside_others(tmp_path: Path) -> None:
    rows: list[Row] = [start(0, {"optim.g_lr": 1e-3}), *completed(0, 30.0), start(1, {"optim.g_lr": 2e-3})]
    rows += [End(trial_id="0001", number=1, status="diverged", best_fid=None, best_kimg=None, kimg=1.0, reason="NaN")]
    found = page(make_run(tmp_path / "run", rows))
    assert "1 diverged before" in found.text
    assert any("x" in str(trace.get("marker")) for trace in found.data["figures"]["parameter-0"]["data"])


def test_where_trials_diverged_boxes_and_medians_end_at_the_top(tmp_path: Path) -> None:
    rows: list[Row] = []
    lost = {"status": "diverged", "best_fid": None, "best_kimg": None, "kimg": 1.0, "reason": "NaN"}
    for number in range(48):
        rows.append(start(number, {"optim.g_lr": 8e-5 * (number + 2), "loss.name": ["bce", "wgan"][number % 2]}))
        end = End(trial_id=f"{number:04d}", number=number, **lost)
        rows += [end] if number % 2 and number > 20 else completed(number, 30.0 + number)
    run = load(make_run(tmp_path / "run", rows))
    rung, space = common_rung(run), run.manifest.space
    boxes = [trace for trace in parameter_chart(param_info(rung, space, "loss.name"), rung, 0).data if "q3" in trace]
    info = param_info(rung, space, "optim.g_lr")
    *lines, _, broken, _, _ = parameter_chart(info, rung, 1).data
    assert [box["x"] for box in boxes] == [[0.0], [2.0]] and boxes[1]["q3"] == [broken["y"][0]]
    assert [len(line["y"]) for line in lines] == 3 * [len(info.trend.x)] and max(lines[2]["y"]) == broken["y"][0]


def test_long_choices_are_short_along_an_axis_and_whole_in_a_hover_text(tmp_path: Path) -> None:
    names = ["mine:" + "VeryLongName" * 10, "mine:" + "OtherLongName" * 10]
    rows: list[Row] = []
    for number in range(4):
        rows += [start(number, {"loss.name": names[number % 2]}), *completed(number, 30.0 + number)]
    run = make_run(tmp_path / "run", rows, params={"loss.name": CategoricalDistribution(names)})
    chart = page(run).data["figures"]["parameter-0"]
    labels = [text.split("<br>") for text in chart["layout"]["xaxis"]["ticktext"]]
    assert all(len(lines) == 4 and max(map(len, lines)) <= 22 for lines in labels) and labels[0] != labels[1]
    texts = [text for trace in chart["data"] for text in trace.get("customdata", ())]
    assert {text.partition("<br>")[0] for text in texts} == set(names)


def test_baselines_are_marked_by_name_in_the_charts_of_parameters(tmp_path: Path) -> None:
    rows: list[Row] = [start(0, {"optim.g_lr": 2e-4}, origin="baseline:dcgan<b>"), *completed(0, 30.0)]
    rows += [start(1, {"optim.g_lr": 1e-3}), *completed(1, 20.0), start(2, {"optim.g_lr": 2e-3}), *completed(2, 40.0)]
    figures = page(make_run(tmp_path / "run", rows)).data["figures"]
    points, alone = figures["parameter-0"]["data"], figures["progress"]["data"][1]
    marks = {trace["marker"]["symbol"]: (trace["y"], trace["text"]) for trace in points if "marker" in trace}
    assert marks["diamond-open"] == ([30.0], ["dcgan&lt;b&gt;"]) and marks["star"][0] == [20.0]
    assert marks["circle"][0] == [40.0]
    assert "markers" in alone["mode"]
    assert alone["text"][0] == "baseline dcgan&lt;b&gt; alone<br>FID 30.00<br>0.000806 hours of trials"


def test_rows_of_an_unknown_version_are_left_out(tmp_path: Path) -> None:
    run = make_search(tmp_path / "run", trials=4)
    before = page(run).data["table"]
    with run.results.open("a") as file:
        file.write('{"event": "thought", "trial_id": "0009", "number": 9, "time": "2030-01-01T00:00:00+00:00"}\n')
    found = page(run)
    assert found.data["table"] == before
    assert "results.jsonl: left out what is no whole row (line " in found.text


def test_images_in_an_object_store_are_said_to_be_there(tmp_path: Path) -> None:
    run = make_search(tmp_path / "run", trials=4, storage="s3://bucket/gans")
    found = page(run)
    assert "The images lie in s3://bucket/gans/run, where this page does not reach." in found.text
    assert not found.all("img")


def test_large_images_are_embedded_small(tmp_path: Path) -> None:
    noise = Image.effect_noise((1100, 1100), 90)
    noise.save(tmp_path / "large.png")
    frames = [Image.effect_noise((700, 700), 90) for _ in range(7)]
    frames[0].save(tmp_path / "large.gif", save_all=True, append_images=frames[1:], duration=100)
    still, moving = (picture(tmp_path / name, "alt", "caption") for name in ("large.png", "large.gif"))
    assert still and (still.width, still.height) == (1024, 1024)
    assert len(still.source) < (tmp_path / "large.png").stat().st_size
    assert moving and moving.width == 560 and len(moving.source) < (tmp_path / "large.gif").stat().st_size / 2
    with Image.open(io.BytesIO(base64.b64decode(moving.source.partition(",")[2]))) as animation:
        assert animation.n_frames == 7


@pytest.mark.parametrize("name", ["small.png", "small.gif"])
@pytest.mark.parametrize("keeps", [0.0, 0.5, None], ids=["empty", "cut", "gone"])
def test_a_damaged_image_is_left_out(tmp_path: Path, name: str, keeps: float | None) -> None:
    path = tmp_path / name
    frames = [Image.effect_noise((60, 60), 90) for _ in range(3)]
    frames[0].save(path, **({"save_all": True, "append_images": frames[1:]} if name.endswith("gif") else {}))
    assert picture(path, "alt", "caption") is not None
    content = path.read_bytes()
    path.unlink() if keeps is None else path.write_bytes(content[: int(keeps * len(content))])
    assert picture(path, "alt", "caption") is None


def test_the_command_writes_the_page_and_prints_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_search(tmp_path / "run", trials=3)
    assert main(["report", str(run.path)]) == 0
    assert capsys.readouterr().out == f"{run.report}\n"
    assert "trial" in page(run).text
    empty = make_run(tmp_path / "empty", [])
    assert main(["report", str(empty.path), "--out", str(tmp_path / "page.html")]) == 3
    assert "There is no winner" in (tmp_path / "page.html").read_text() and not empty.report.exists()


def test_the_command_describes_the_networks_of_the_best_generator(tmp_path: Path) -> None:
    run = make_search(tmp_path / "run", trials=2)
    best = load(run).winner
    assert best is not None
    run.trial_config(best.trial_id).write_text(TrialConfig().model_dump_json())
    assert main(["report", str(run.path)]) == 0
    html = run.report.read_text()
    assert "G and D, layer by layer" in html and "ConvTranspose2d" in html
    run.trial_config(best.trial_id).write_text("{")
    assert main(["report", str(run.path)]) == 0
    assert "--describe" in run.report.read_text()
