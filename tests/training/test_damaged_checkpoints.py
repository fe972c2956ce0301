"""Damaged checkpoints: whatever happens to a file, the state of the newest whole checkpoint is read, or none."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansearch import logs
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.paths import join
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer
from gansearch.training.storage import Storage

from .test_checkpoint import CPU, FILES, assert_whole, save

NEWEST, BEFORE = "checkpoint_000001280", "checkpoint_000000640"
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    for images in (640, 1280):
        save(CheckpointDir(folder), images)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def _said_anew() -> Iterator[None]:
    logs.warn_once.cache_clear()
    yield


def cut(content: bytes, place: float) -> bytes:
    return content[: int(place * len(content))]


def flip(content: bytes, place: float, by: int) -> bytes:
    at = int(place * len(content))
    return content[:at] + bytes([content[at] ^ by]) + content[at + 1 :]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(FILES),
    place=st.floats(0, 1, exclude_max=True),
    by=st.integers(0, 255) | st.none(),
    gone=st.booleans(),
)
def test_any_damage_of_one_file_leads_to_the_one_before(
    file: str, place: float, by: int | None, gone: bool, copy: Path
) -> None:
    """A cut, a changed byte or a loss anywhere: the state is exactly that of the checkpoint before."""
    path = copy / NEWEST / file
    content = path.read_bytes()
    damaged = cut(content, place) if by is None else flip(content, place, by)
    try:
        path.unlink() if gone else path.write_bytes(damaged)
        expected = 1280 if damaged == content and not gone else 640
        found = CheckpointDir(copy).last(CPU)
        assert found is not None and found[0]["shown"] == expected and (found[1]["w"] == expected).all()
        _, about = CheckpointDir(copy).best()
        assert about.images == (1280 if file == "last.pt" else expected), "the generator needs no last.pt"
    except UserError as error:  # the one byte that may say something else is that of the format
        assert "this one reads format" in str(error) and json.loads(damaged)["format"] != 2
    finally:
        path.write_bytes(content)


STRANGE: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "no JSON": lambda path: path.write_text("{"),
    "a list": lambda path: path.write_text("[]"),
    "nothing in it": lambda path: path.write_text("{}"),
    "null": lambda path: path.write_text("null"),
    "endless": lambda path: path.write_text("[" * 100_000),
    "NaN": lambda path: path.write_text('{"format": NaN, "sha256": {"checkpoint.json": NaN}}'),
    "another's": lambda path: path.write_bytes((path.parents[1] / BEFORE / path.name).read_bytes()),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("file", FILES)
def test_whatever_lies_in_place_of_a_file_is_no_checkpoint(
    file: str, damage: Damage, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(copy / NEWEST / file)
    checkpoints = CheckpointDir(copy)
    found = checkpoints.last(CPU)
    if file == "checkpoint.json" and damage is STRANGE["another's"]:  # whole, with hashes of other files
        file = "last.pt"
    assert found is not None and found[0]["shown"] == 640
    assert caplog.text.count("\n") == 1
    assert f"{copy / NEWEST / file} " in caplog.text and f": {BEFORE} is used instead" in caplog.text
    save(checkpoints, 1280)  # the interval again
    assert assert_whole(checkpoints) == 1280


@pytest.mark.parametrize(
    "change",
    [
        {"best_fid": float("nan")},
        {"best_kimg": -1e300},
        {"images": "many"},
        {"sha256": []},
        {"sha256": {}},
        {"format": 2.0},
    ],
    ids=str,
)
def test_an_edited_checkpoint_json_is_damaged(change: dict, copy: Path) -> None:
    about = copy / NEWEST / "checkpoint.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | change))
    assert assert_whole(CheckpointDir(copy)) == 640


def test_the_layout_of_checkpoint_json_does_not_matter(copy: Path) -> None:
    about = copy / NEWEST / "checkpoint.json"
    about.write_text(json.dumps(json.loads(about.read_text()), indent=2, sort_keys=True))
    assert assert_whole(CheckpointDir(copy)) == 1280


def test_where_all_are_damaged_it_says_so(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (NEWEST, BEFORE):
        (copy / name / "best.safetensors").write_bytes(b"")
    assert CheckpointDir(copy).last(CPU) is None
    assert f"{copy / BEFORE}/best.safetensors is damaged: no other checkpoint is left" in caplog.text
    with pytest.raises(
        UserError, match=rf"{NEWEST}/best.safetensors is damaged; .*{BEFORE}/best.safetensors is"
    ) as told:
        CheckpointDir(copy).best()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("file", FILES)
def test_an_object_store_too(file: str, bucket: str) -> None:
    root = join(bucket, file, "0001")
    checkpoints, storage = CheckpointDir(root), Storage(root)
    for images in (640, 1280):
        save(checkpoints, images)
    content = storage.read(f"{NEWEST}/{file}")
    storage.write(f"{NEWEST}/{file}", flip(content, 0.5, 1))
    found = checkpoints.last(CPU)
    assert found is not None and found[0]["shown"] == 640
    save(checkpoints, 1280)
    assert assert_whole(checkpoints) == 1280


def _edit(folder: Path, change: Callable[[dict], object]) -> None:
    about = folder / "checkpoint.json"
    content = json.loads(about.read_text())
    change(content)
    about.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda content: content.update(format=3, gansearch="9.1"),
            r"gansearch 9\.1, format 3; this one reads format 2",
        ),
        (lambda content: content.update(format=3, gansearch="\033[2J"), r"gansearch \\x1b\[2J, format 3"),
        (
            lambda content: [content.pop(key) for key in ("format", "gansearch", "sha256")],
            "an earlier gansearch, format 1; this one",
        ),
    ],
    ids=["later", "a strange version", "before formats had numbers"],
)
def test_another_format_is_no_damage(change: Callable[[dict], object], said: str, copy: Path) -> None:
    """The one before is not tried, nor a new start: nothing is wrong with the checkpoint."""
    _edit(copy / NEWEST, change)
    for read in (lambda: CheckpointDir(copy).last(CPU), CheckpointDir(copy).best, CheckpointDir(copy).require_format):
        with pytest.raises(UserError, match=rf"{NEWEST}/checkpoint.json was written by {said}") as told:
            read()
        assert "\n" not in str(told.value)


def test_another_torch_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.2.3")
        for trial in ("0000", "0001"):
            save(CheckpointDir(tmp_path / trial), 640)
    for trial in ("0000", "0001"):
        assert assert_whole(CheckpointDir(tmp_path / trial)) == 640
    assert caplog.text.count("a checkpoint was written with torch 1.2.3, and this is torch") == 1


def test_a_trial_goes_on_from_the_one_before_as_if_nothing_had_been(tiny: TrialConfig, tmp_path: Path) -> None:
    """Bit by bit, the best generator included."""
    trainer, checkpoints = Trainer(check(tiny), CPU), CheckpointDir(tmp_path)
    for _ in range(3):
        trainer.train_until_evaluation()
        trainer.save(checkpoints)
    fids = [row.fid for row in trainer.evaluations]
    newest = tmp_path / "checkpoint_000000480"
    last = (newest / "last.pt").read_bytes()
    (newest / "last.pt").write_bytes(last[:1000])
    again = Trainer(check(tiny), CPU)
    assert again.restore(checkpoints) and [row.fid for row in again.evaluations] == fids[:2]
    assert checkpoints.best()[1].best_fid == min(fids), "its file is whole"
    again.train_until_evaluation()
    again.save(checkpoints)
    assert [row.fid for row in again.evaluations] == fids
    weights, about = checkpoints.best()
    assert about.best_fid == min(fids)
    assert all(torch.equal(weights[name], value) for name, value in trainer._best.items())


def _swapped(trainer: Trainer) -> None:
    """Two weights of one shape in another order: an optimiser would take one for the other."""
    modules = trainer._state.D._modules
    first = next(iter(modules))
    modules[first] = modules.pop(first)


def test_a_checkpoint_that_would_load_as_something_else_is_refused(tiny: TrialConfig, tmp_path: Path) -> None:
    trainer = Trainer(check(tiny), CPU)
    trainer.train_until_evaluation()
    for number, damage in enumerate(
        [
            _swapped,
            lambda trainer: setattr(trainer, "_best", {"other": torch.zeros(1)}),
            lambda trainer: trainer._state.G.double(),
        ]
    ):
        other = Trainer(check(tiny), CPU)
        other.train_until_evaluation()
        damage(other)
        other.save(CheckpointDir(tmp_path / str(number)))
        fresh = Trainer(check(tiny), CPU)
        with pytest.raises(UserError, match="has other networks or another kind of device than this trial: go on with"):
            fresh.restore(CheckpointDir(tmp_path / str(number)))
        assert fresh.shown == 0 and fresh.evaluations == []
