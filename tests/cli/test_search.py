"""Wrong input of the search command line: exit code 2, one line on stderr, nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gansearch.cli.analyze import main as analyze
from gansearch.cli.doctor import cost_text
from gansearch.cli.search import main
from gansearch.errors import UserError
from gansearch.run.loaded import load
from gansearch.run.manifest import Manifest, Options, Plan
from gansearch.run.paths import RunDir
from gansearch.run.rows import End, Eval, Writer, read
from gansearch.search.find_space import find_space
from gansearch.search.planning import plan_search
from gansearch.search.ray.cluster import Cluster
from gansearch.search.run_lock import locked_run
from gansearch.search.search import Search


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, program: Callable[[Sequence[str]], int] = main) -> str:
    """Runs a command that must be refused; returns its one line."""
    before = set(Path().rglob("*"))
    try:
        code = program(arguments)
    except SystemExit as exit:  # argparse leaves this way
        code = exit.code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert code == 2
    assert len(lines) == 1, err
    assert "Traceback" not in err
    assert out == ""
    left = {path for path in set(Path().rglob("*")) - before if "cache" not in path.parts}
    assert not left
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["start", "digitz"], ["digitz", "digits"]),
        (["start", "nowhere/space.py"], ["nowhere/space.py", "no such file"]),
        (["start", "digits", "--trails", "3"], ["--trails", "--trials"]),
        (["strat", "digits"], ["strat", "start"]),
        (["start", "digits", "--trials", "0"], ["--trials", "0"]),
        (["start", "digits", "--trials", "many"], ["--trials", "many"]),
        (["start", "digits", "--max-kimg", "-1"], ["--max-kimg", "-1"]),
        (["start", "digits", "--max-kimg", "nan"], ["--max-kimg", "nan"]),
        (["start", "digits", "--gpus-per-trial", "-1"], ["--gpus-per-trial"]),
        (["start", "digits", "--time-budget", "8"], ["--time-budget", "8h"]),
        (["start", "digits", "--set", "optim.g_lrr=1"], ["optim.g_lrr", "optim.g_lr"]),
        (["start", "digits", "--set", "nothing=1"], ["nothing"]),
        (["start", "digits", "--set", "optim.g_lr"], ["path.to.option=value"]),
        (["start", "digits", "--set", "optim.g_lr=-1"], ["optim.g_lr", "domain"]),
        (["start", "digits", "--set", "optim.beta2=2"], ["optim.beta2", "less than 1"]),
        (["start", "digits", "--set", "optim.g_lr=1"], ["optim.g_lr", "domain"]),
        (["start", "digits", "--set", "train.batch=lots"], ["train.batch", "lots"]),
        (["start", "digits", "--set", "train.batch=96"], ["max_kimg", "nearest"]),
        (["start", "digits", "--set", "model.leaky_slop=0.1"], ["model.leaky_slop", "model.leaky_slope"]),
        (["start", "digits", "--set", "model.name=dcgann"], ["dcgann", "dcgan"]),
        (["start", "digits", "--set", "loss.name=hingee"], ["hingee", "hinge"]),
        (["start", "digits", "--set", "data.name=digit"], ["digit", "digits"]),
        (["start", "digits", "--set", "metrics.name=inception"], ["inception", "inception-v3-compat"]),
        (["start", "digits", "--set", "data.resolution=48"], ["48", "power of two"]),
        (["start", "digits", "--data-dir", "x"], ["data.dir"]),
        (["start", "digits", "--name", "a/b"], ["a/b"]),
        (["start", "digits", "--runs-dir", "/proc/runs"], ["/proc/runs", "--runs-dir"]),
        (["start", "digits", "--storage", "s4://bucket"], ["s4://bucket"]),
        (["start", "digits", "--set", "loss.name=hinj"], ["hinj", "hinge"]),
        (["start", "digits", "--set", "seed=3"], ["--seed"]),
        (["start", "digits", "--seed", "-1"], ["--seed", "-1"]),
        (["start", "digits", "--set", "metrics.weights=5"], ["metrics.weights", "string"]),
        (["start", "digits", "--storage", "/proc/store"], ["/proc/store", "--storage"]),
        (["start", "digits", "--or-resume"], ["--or-resume needs --name"]),
        (["start", "digits", "--address", "127.0.0.1:1"], ["127.0.0.1:1", "ray start"]),
        (["start", "digits", "--dry-run", "--address", "127.0.0.1:1"], ["127.0.0.1:1", "ray start"]),
        (["start", "digits", "--dry-run", "--gpus-per-trial", "1"], ["--gpus-per-trial 1", "the largest node"]),
        (["start", "digits", "--dry-run", "--gpus-per-trial", "2"], ["gpus_per_trial=2", "at most 1"]),
        (["start", "digits", "--dry-run", "--cpus-per-trial", "9999"], ["--cpus-per-trial 9999", "the largest node"]),
        (["start", "digits", "--dry-run", "--runs-dir", "/proc/runs"], ["/proc/runs", "--runs-dir"]),
        (["start", "digits", "--eta", "1"], ["--eta", "1", "2"]),
        (["start", "digits", "--first-rung", "10"], ["--first-rung", "10", "18 evaluations", "at most 9"]),
        (["start", "digits", "--first-rung", "0"], ["--first-rung", "0"]),
        (["doctor", "digits", "--first-rung", "10"], ["--first-rung", "10", "18 evaluations", "at most 9"]),
        (["resume", "nothing"], ["nothing"]),
        (["extend", "nothing", "--trials", "+2"], ["nothing"]),
        (["extend", "one", "--trials", "2"], ["--trials", "+N"]),
        (["extend", "one", "--trials", "+0"], ["--trials", "0"]),
        (["extend", "one", "--trials", "+few"], ["--trials", "few"]),
        (["extend", "one", "--max-kimg", "0"], ["--max-kimg", "0"]),
        (["status", "nothing"], ["nothing"]),
        (["trial", "dcgann"], ["dcgann", "dcgan"]),
        (["trial", "missing.json"], ["missing.json"]),
        (["trial", "dcgan", "--set", "train.precision=float8"], ["train.precision", "float8"]),
        (["doctor", "digitz"], ["digitz", "digits"]),
    ],
)
def test_one_line_that_says_what_and_how(
    arguments: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *arguments)
    assert all(hint in line for hint in hints), line


def test_a_folder_that_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other").mkdir()
    assert "other is no run" in refused(capsys, "resume", "other")


def test_a_name_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mine/trials/0000").mkdir(parents=True)
    for more in ([], ["--dry-run"]):
        line = refused(capsys, "start", "digits", "--name", "mine", *more)
        assert "runs/mine exists already" in line and line.endswith("gansearch resume runs/mine")


@pytest.mark.parametrize("content", ["not json", '{"optim": {"g_lr": "fast"}}', '{"optim": 3}', "[]"])
def test_a_config_that_is_none(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.json").write_text(content)
    refused(capsys, "trial", "config.json")


def test_a_config_that_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.json").write_bytes(b"\xff\xfe{")
    assert "config.json" in refused(capsys, "trial", "config.json")


def test_storage_that_holds_another_run_of_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("store/mine/0000").mkdir(parents=True)
    line = refused(capsys, "start", "digits", "--name", "mine", "--storage", "store")
    assert "store/mine" in line
    assert "another run" in line


def test_two_starts_of_one_name_leave_the_first_alone() -> None:
    """What the first has written so far could be the remains of a start that was killed, but for its lock."""
    plan = Plan(RunDir(Path("runs/mine")), find_space("digits"), Options(trials=1))
    with locked_run(plan):
        plan.run.trials.mkdir()
        with pytest.raises(UserError, match="by another process"), locked_run(plan):
            pass
        assert plan.run.trials.is_dir()
    assert not plan.run.path.exists()


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("SPACE = 1", "SPACE"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("SPACE = (", "SyntaxError"),
        ("import sys; sys.exit(7)", "SystemExit"),
        (
            "from gansearch.config import TrialConfig\nfrom gansearch.run.space import Space\n"
            "from optuna.distributions import FloatDistribution\n"
            "SPACE = Space(base=TrialConfig(), params={'optim.glr': FloatDistribution(0, 1)})",
            "optim.g_lr",
        ),
    ],
)
def test_a_space_file_with_a_fault(source: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(source)
    line = refused(capsys, "start", "mine.py")
    assert hint in line


def image_folder_search(folder: str) -> list[str]:
    return ["start", "digits", "--set", "data.name=image_folder", "--data-dir", folder]


def test_an_image_folder_that_is_missing_empty_or_holds_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert "photos" in refused(capsys, *image_folder_search("photos"))
    Path("photos").mkdir()
    assert "photos" in refused(capsys, *image_folder_search("photos"))
    Image.new("RGB", (32, 32)).save("photos/one.png")
    Path("photos/notes.txt").write_text("no image")
    assert "notes.txt" in refused(capsys, *image_folder_search("photos"))


def test_an_image_folder_without_labels_or_with_too_few_images_for_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for index in range(3):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(f"photos/{index}.png")
    assert "model.conditioning=projection" in refused(capsys, *image_folder_search("photos"))
    without = ["--set", "model.conditioning=none"]
    assert "train.batch=64" in refused(capsys, *image_folder_search("photos"), *without)


def test_weights_that_are_missing_or_have_the_wrong_hash(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["start", "digits", "--set", "metrics.weights=w.safetensors"]
    assert "w.safetensors" in refused(capsys, *settings)
    save_file({"a": torch.zeros(1)}, "w.safetensors")
    assert "metrics.weights_sha256" in refused(capsys, *settings)
    inception = ["start", "digits", "--set", "metrics.name=inception-v3-compat"]
    assert "6726825d" in refused(capsys, *inception, "--set", "metrics.weights=w.safetensors")


def test_a_full_disk(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        # Without the right to mount, a limit on file size stands in for the full disk.
        code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        pytest.importorskip("resource")
        done = run_python(code + "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);" + MAIN, "full")
        assert done.returncode == 2
        return
    try:
        line = refused(capsys, "start", "digits", "--runs-dir", str(small))
        assert str(small) in line
        assert "--runs-dir" in line
    finally:
        subprocess.run(["umount", small], check=True)


MAIN = "import sys; from gansearch.cli.search import main; sys.exit(main(sys.argv[1:]))"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, "start", "digits", "--name", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )


def test_dry_run_prints_the_plan_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "digits", "--dry-run", "--max-kimg", "10", "--set", "loss.name=wgan"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["max_kimg"] == pytest.approx(10.368)
    assert plan["rungs_kimg"] == [0.576, 1.728, 5.184, 10.368]
    assert "loss.name" not in plan["space"]["params"]
    assert plan["space"]["params"]["loss.clip"]["when"] is None
    assert "loss.penalty_weight" not in plan["space"]["params"]
    assert len(plan["space"]["base"]["model"]) == 11, "all options of dcgan, and its name"
    assert plan["space"]["base"]["loss"] == {"name": "wgan", "class_weight": 1.0, "clip": 0.01}
    assert (plan["resources"]["nodes"], plan["resources"]["cpus_per_trial"]) == (1, 1)
    assert not Path("runs").exists()


@pytest.mark.usefixtures("no_ray")
def test_dry_run_of_a_line_that_resumes_rehearses_that(
    whole: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "space.py").write_text(
        "from pathlib import Path\nfrom gansearch.run import RunDir, load\n"
        f"SPACE = load(RunDir(Path({str(whole.path)!r}))).manifest.space\n"
    )
    run = RunDir(Path("runs/run"))
    shutil.copytree(whole.path, run.path)
    line = ["start", "space.py", "--name", "run", "--or-resume", "--logger", "csv", "--dry-run", "--trials"]
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert main([*line, "3"]) == 0
    assert json.loads(capsys.readouterr().out)["options"]["trials"] == 3
    assert "runs/run was started, and would be resumed: 5 trials known" in caplog.text
    assert main([*line, "4"]) == 2
    assert "is another search than this one (trials 3 / 4)" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before, "nothing is written"
    with closing(Writer(run.results)):
        assert main([*line, "3"]) == 2
    assert "is being written by another process" in capsys.readouterr().err


def test_a_config_file_and_the_scheduling_decide_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("loss.name: hinge\noptim: {g_lr: 1e-3}\ntrain.evaluations: 12\n")
    wanted = ["--config", "mine.yaml", "--set", "loss.name=bce", "--max-kimg", "12", "--eta", "2", "--first-rung", "3"]
    assert main(["start", "digits", "--dry-run", "--storage", "store/deep", *wanted]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert not {"loss.name", "optim.g_lr"} & set(plan["space"]["params"])
    assert (plan["space"]["base"]["loss"]["name"], plan["space"]["base"]["optim"]["g_lr"]) == ("bce", 1e-3)
    assert (plan["options"]["eta"], plan["options"]["first_rung"]) == (2, 3)
    interval = plan["max_kimg"] / 12
    assert plan["rungs_kimg"] == pytest.approx([3 * interval, 6 * interval, 12 * interval])
    assert [path.name for path in Path().iterdir() if path.name != "cache"] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("options", "said", "time"),
    [
        (
            {"trials": 16},
            "cost: about 16 trials with asha, 3 of them of full length, 0.33 of a full trial each; ",
            "4 to 7 min",
        ),
        (
            {"trials": 2, "scheduler": None},
            "cost: about 2 trials without a scheduler, 2 of them of full length, 1.00 of",
            "2 min",
        ),
        (
            {"time_budget": 300.0},
            "cost within the budget: about 20 trials with asha, 3 of them of full length, ",
            "5 min",
        ),
        (
            {"time_budget": 300.0, "trials": 99},
            "cost within the budget: about 20 of 99 trials with asha, 3 of",
            "5 min",
        ),
        (
            {"time_budget": 60.0, "scheduler": None},
            "cost within the budget: about 2 trials without a scheduler, none",
            "1 min",
        ),
        (
            {"gpu_hours": 300 / 3600, "gpus_per_trial": 0.5},
            "cost within the budget: about 20 trials with asha, 3 of",
            "5 min",
        ),
    ],
)
def test_doctor_says_what_a_search_does_and_costs(options: dict[str, Any], said: str, time: str) -> None:
    """A full trial takes 100 s; of its nine evaluations the first and the third are rungs; two run at once.

    It takes 20 s until the first ones train.
    """
    gpus, changes = options.get("gpus_per_trial", 0.0), {"train.evaluations": 9}
    options = {"eta": 3, "first_rung": 1, "max_concurrent": 2, **options}
    plan = plan_search(find_space("digits"), RunDir(Path("one")), changes, 14.4, **options)
    node = {"Alive": True, "Resources": {"CPU": 8, "GPU": 2 * gpus}}
    line = cost_text(plan, Cluster.fit(plan, [node]), [100 / 9], "cpu", start=20.0)
    unit = "GPU" if gpus else "cpu"
    assert line.startswith(said) and f" {unit} hours, {time} with 2 at once" in line
    if "gpu_hours" in options:
        assert " 0.082 GPU hours" in line  # of a budget of 0.083


def test_a_trial_leaves_a_run_and_its_config_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.evaluations=2"]
    assert main(["trial", "sngan", "--out", "one", "--max-kimg", "0.256", *options]) == 0
    assert "best FID" in capsys.readouterr().out
    assert main(["trial", "one/trials/0000/config.json", "--out", "two"]) == 0
    first, second = (
        [row for row in read(Path(run, "results.jsonl")) if isinstance(row, Eval)] for run in ("one", "two")
    )
    assert [row.kimg for row in first] == [0.128, 0.256]
    assert json.loads(Path("one/search.json").read_text())["num_train"] == 1437
    assert Path("one/real.png").read_bytes() == Path("two/real.png").read_bytes()
    assert [(row.fid, row.g_loss, row.protocol) for row in first] == [
        (row.fid, row.g_loss, row.protocol) for row in second
    ]


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("resize", "lanczos", "otherwise (resize lanczos / bicubic-antialias): "),
        ("num_fake", 65, "(num_fake 65 / 64): "),
    ],
)
def test_a_run_whose_fids_were_measured_otherwise_is_not_continued(
    part: str, value: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one_trial()
    run = RunDir(Path("one"))
    manifest = Manifest.load(run)
    other = replace(manifest.protocol, **{part: value})
    manifest.model_copy(update={"protocol": other}).save(run)
    run.results.write_text(run.results.read_text().replace(manifest.protocol.hash, other.hash))
    capsys.readouterr()
    for command in (["resume", "one"], ["extend", "one", "--max-kimg", "1"]):
        assert said in refused(capsys, *command)
    assert said in refused(capsys, "finals", "one", program=analyze)


def test_fids_of_two_protocols_are_refused_by_all_who_compare_with_what_differs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_trial()
    run = RunDir(Path("one"))
    run.trial("0001").mkdir()
    run.trial_config("0001").write_text(
        run.trial_config("0000").read_text().replace('"num_fake": 64', '"num_fake": 96')
    )
    rows = run.results.read_text()
    protocol = json.loads(run.search_json.read_text())["protocol"]["hash"]
    second = rows.replace('"0000"', '"0001"').replace('"number": 0', '"number": 1').replace(protocol, "f" * 12)
    run.results.write_text(rows + second)
    capsys.readouterr()
    for command in (["resume", "one"], ["extend", "one", "--max-kimg", "1"]):
        assert "differs in metrics.num_fake 64 / 96" in refused(capsys, *command)
    for command in ("finals", "export", "rank"):
        assert "differs in metrics.num_fake 64 / 96" in refused(capsys, command, "one", program=analyze)


def test_what_cannot_be_extended(capsys: pytest.CaptureFixture[str]) -> None:
    one_trial()
    before = Path("one/search.json").read_text(), Path("one/results.jsonl").read_text()
    capsys.readouterr()
    assert "nothing to extend: give --trials +N" in refused(capsys, "extend", "one")
    assert "searches nothing" in refused(capsys, "extend", "one", "--trials", "+2")
    assert "0.064 kimg already" in refused(capsys, "extend", "one", "--max-kimg", "0.05")
    assert "127.0.0.1:1" in refused(capsys, "extend", "one", "--max-kimg", "0.128", "--address", "127.0.0.1:1")
    assert (Path("one/search.json").read_text(), Path("one/results.jsonl").read_text()) == before
    run = load(RunDir(Path("one")))
    longer = run.plan.extended(0, 0.128)
    searches = [Search(plan, lambda row, ledger: None) for plan in (run.plan, longer)]
    assert [search.is_saved for search in searches] == [True, False], "interrupted by now, it has not been extended"
    longer.amended(run.manifest).save(run.dir)
    assert searches[1].is_saved


def test_what_had_come_to_the_former_length_is_completed_not_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """Its driver was killed before it wrote that, and the search is extended: it is not judged by the new rungs."""
    one_trial()
    results = Path("one/results.jsonl")
    rows = results.read_text().splitlines(keepends=True)
    results.write_text("".join(rows[:-1]))
    assert main(["extend", "one", "--max-kimg", "0.128", "--address", "127.0.0.1:1"]) == 2
    assert [(row.status, row.kimg) for row in read(results) if isinstance(row, End)] == [("completed", 0.064)]


def test_a_search_of_which_nothing_can_go_on_is_not_lengthened(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "model.features=8", "--set", "optim.d_lr=1e30", "--set", "loss.name=wgan-gp"]
    assert main(["trial", "sngan", "--out", "one", "--max-kimg", "1", *options]) == 3
    capsys.readouterr()
    assert "no trial was completed that could go on" in refused(capsys, "extend", "one", "--max-kimg", "9")


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["nothing"], ["nothing"]),
        (["one", "--seeds", "1"], ["--seeds", "1", "2"]),
        (["one", "--seeds", "many"], ["--seeds", "many"]),
        (["one", "--top", "0"], ["--top", "0"]),
        (["one", "--time-budget", "8h"], ["--time-budget"]),
        (["one", "--address", "127.0.0.1:1"], ["127.0.0.1:1", "ray start"]),
    ],
)
def test_finals_refuse_in_one_line(arguments: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    one_trial()
    capsys.readouterr()
    line = refused(capsys, "finals", *["--top", "1", *arguments], program=analyze)
    assert all(hint in line for hint in hints), line


def one_trial(evaluations: int = 1) -> None:
    """A run `one` of a single trial."""
    options = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", f"train.evaluations={evaluations}"]
    assert main(["trial", "dcgan", "--out", "one", "--max-kimg", f"{0.064 * evaluations}", *options]) == 0


def test_a_trial_that_diverges_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "model.features=8", "--set", "optim.d_lr=1e30", "--set", "loss.name=wgan-gp"]
    assert main(["trial", "sngan", "--out", "one", "--max-kimg", "1", *options]) == 3
    assert "diverged" in capsys.readouterr().err


def test_status_of_a_trial_run_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.evaluations=1"]
    assert main(["trial", "dcgan", "--out", "one", "--max-kimg", "0.064", *options]) == 0
    capsys.readouterr()
    assert main(["status", "one", "--json"]) == 0
    (trial,) = json.loads(capsys.readouterr().out)
    assert (trial["status"], trial["kimg"]) == ("completed", 0.064)
    assert main(["status", "one", "--watch"]) == 0
    assert "1 of 1 trials ended" in capsys.readouterr().out


@pytest.mark.slow
def test_doctor_says_what_is_here_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "digits", "--set", "model.features=8"]) == 0
    out = capsys.readouterr().out
    assert "CPU cores" in out
    assert "images/s (" in out and "about 32 trials with asha, " in out


def test_doctor_misses_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "sagan32", "--data-dir", "nowhere"]) == 2
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["inception-v3-compat", "dinov2-vit-b-14"])
def test_doctor_says_what_a_start_downloads_and_fetches_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert main(["doctor", "digits", "--set", f"metrics.name={name}"]) == 0
    out, err = capsys.readouterr()
    (said,) = [line for line in out.splitlines() if "a start downloads" in line]
    assert f"the weights of {name} are not in {tmp_path / 'cache' / 'weights'}" in said
    assert "MiB from https://" in said
    assert "images/s" not in out and err == ""
    assert not (tmp_path / "cache" / "weights").exists() and not (tmp_path / "torch").exists()


def test_doctor_refuses_a_wrong_weights_file_and_missing_data(capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.pth").write_text("no weights")
    inception = ["--set", "metrics.name=inception-v3-compat"]
    assert main(["doctor", "digits", *inception, "--set", "metrics.weights=wrong.pth"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("missing: ") and "wrong.pth is not the weights file" in err and err.count("\n") == 1
    assert main(["doctor", "sagan32", *inception, "--data-dir", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["doctor", "digits", "--set", "metrics.name=nosuch:make"]) == 2
    assert "nosuch:make can't be imported" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_doctor_counts_the_cores_that_it_may_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert main(["doctor", "digits", "--set", "metrics.name=inception-v3-compat"]) == 0
    finally:
        os.sched_setaffinity(0, before)
    assert "\n1 CPU cores;" in capsys.readouterr().out
