"""The best generator as files, and back to the images that were scored."""

import hashlib
import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from gansearch.analysis.finals import finalists, judge
from gansearch.cli.trial import run_trial
from gansearch.config import TrialConfig
from gansearch.data.base import to_uint8
from gansearch.errors import UserError
from gansearch.export import Exported, export, load_generator, measure
from gansearch.metrics.scorer import scorer_for
from gansearch.run.loaded import load
from gansearch.run.paths import RunDir
from gansearch.run.protocol import Floor, Protocol
from gansearch.run.rows import Start, Writer, to_json
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer


@pytest.fixture(scope="module")
def run(tiny: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of one trial, as `trial` leaves it."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    config = check(tiny.override({"model.attention_at": 8, "model.spectral_norm": True, "seed": 3}))
    assert run_trial(config, run, "recipe:dcgan") == 0
    return run


def test_what_is_exported_makes_the_images_that_were_scored(run: RunDir) -> None:
    best = load(run).ledger["0000"].best
    assert best is not None
    assert export(load(run)) == run.best
    loaded = load_generator(run.best)
    scored = to_uint8(loaded.sample(64, seed=loaded.config.metrics.seed))
    assert scorer_for(loaded.config, torch.device("cpu")).fid([scored]) == pytest.approx(best.fid, rel=1e-6)
    content = json.loads((run.best / "config.json").read_text())
    assert (content["run"], content["trial_id"], content["channels"]) == ("tiny", "0000", 1)
    assert (content["fid"], content["kimg"]) == (best.fid, best.kimg)
    assert content["protocol"]["hash"] == best.protocol


def test_it_is_the_trainer_s_average_bit_by_bit(run: RunDir, tmp_path: Path) -> None:
    loaded = load_generator(export(load(run), "0000", tmp_path))
    trainer = Trainer(loaded.config, torch.device("cpu"))
    trainer.restore(CheckpointDir(run.trial("0000")))
    trainer._ema.model.load_state_dict(trainer._best)
    z = torch.randn(4, loaded.z_dim, generator=torch.Generator().manual_seed(5))
    images = loaded.sample(4, seed=5)
    torch.testing.assert_close(images, trainer._ema.model(z), rtol=0, atol=1e-6)
    assert all(torch.equal(value, trainer._best[name]) for name, value in loaded.module.state_dict().items())
    assert images.shape == (4, 1, 16, 16) and images.dtype == torch.float32 and images.abs().max() <= 1
    assert torch.equal(images, loaded.sample(4, seed=5)) and not torch.equal(images, loaded.sample(4, seed=6))
    assert not loaded.module.training and not images.requires_grad


def test_measured_by_as_many_images_it_has_the_fid_of_the_search(run: RunDir, tmp_path: Path) -> None:
    folder = export(load(run), out=tmp_path)
    best = load(run).ledger["0000"].best
    assert best is not None
    scores, floor = measure(folder, 64)
    assert scores.fid == pytest.approx(best.fid, rel=1e-6) and scores.protocol.hash == best.protocol
    assert floor == Floor(**json.loads(run.search_json.read_text())["floor"])
    told = json.loads((folder / "scores.json").read_text())
    assert (told["fid"], told["images"], told["fid_infinity"], told["kid"]) == (scores.fid, 64, None, None)
    assert (told["run"], told["trial_id"]) == ("tiny", "0000")
    assert told["protocol"] == json.loads((folder / "config.json").read_text())["protocol"]
    assert told["floor"] == {"split": "test", "images": 64, "fid": floor.fid}
    export(load(run), out=tmp_path)
    assert not (folder / "scores.json").exists()  # they could be another trial's


def test_more_images_make_another_protocol_and_a_line(run: RunDir, tmp_path: Path) -> None:
    folder = export(load(run), out=tmp_path)
    scores, _ = measure(folder, 300)
    told = json.loads((folder / "scores.json").read_text())
    before = Protocol.from_dict(
        {k: v for k, v in json.loads(run.search_json.read_text())["protocol"].items() if k != "hash"}
    )
    assert scores.protocol.difference(before) == "num_fake 300 / 64"
    assert told["protocol"]["hash"] == scores.protocol.hash != before.hash
    assert told["fid_infinity"]["fid"] == scores.fid_infinity.fid
    assert told["fid_infinity"]["points"][-1] == [300, pytest.approx(scores.fid)]


def test_scored_images_come_from_one_seed(run: RunDir, tmp_path: Path) -> None:
    loaded = load_generator(export(load(run), out=tmp_path))
    batches = list(loaded.scored(300))
    assert [len(batch) for batch in batches] == [256, 44] and batches[0].dtype == torch.uint8
    expected = to_uint8(loaded.sample(300, seed=loaded.config.metrics.seed))
    assert (torch.cat(batches).int() - expected.int()).abs().max() <= 1


def _edited(run: RunDir, folder: Path, **changes: object) -> Path:
    """An export whose config.json says something else."""
    path = export(load(run), out=folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_a_generator_that_no_memory_holds_is_refused(run: RunDir, tmp_path: Path) -> None:
    trial = json.loads((export(load(run), out=tmp_path) / "config.json").read_text())["trial"]
    trial["model"]["features"], trial["data"]["resolution"] = 4096, 1024
    with pytest.raises(UserError, match=r"weights of model\.name=dcgan with 1 channels take .* GiB"):
        load_generator(_edited(run, tmp_path, trial=trial))
    with pytest.raises(UserError, match="these weights are not of this dcgan"):
        load_generator(_edited(run, tmp_path, channels=2**62))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9, "gansearch": "9.1"}, r"gansearch 9\.1 wrote it, format 9, and this one reads 1: use that one"),
        ({"format": None, "sha256": None}, "an earlier gansearch wrote it, without a format number: export it again"),
        ({"sha256": None}, r"sha256: Field required\)"),
    ],
)
def test_an_export_of_another_format_names_its_version(
    change: dict[str, object], said: str, run: RunDir, tmp_path: Path
) -> None:
    path = _edited(run, tmp_path, **change) / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with pytest.raises(UserError, match=said) as caught:
        load_generator(tmp_path)
    assert "\n" not in str(caught.value) and "--set" not in str(caught.value)


def test_a_file_of_the_right_hash_that_holds_no_weights_is_one_line(run: RunDir, tmp_path: Path) -> None:
    _edited(run, tmp_path, sha256=hashlib.sha256(b"no weights").hexdigest())
    (tmp_path / "generator.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"generator\.safetensors holds no weights \(.*bring back") as caught:
        load_generator(tmp_path)
    assert "\n" not in str(caught.value)
    checkpoints = CheckpointDir(tmp_path / "trial")
    about = CheckpointDir(run.trial("0000")).best()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gansearch.training.checkpoint.save_safetensors", lambda weights: b"no weights")
        checkpoints.save({}, {}, about)
    with pytest.raises(UserError, match=r"best\.safetensors below .* holds no weights"):
        checkpoints.best()


def test_other_data_or_none_are_refused(run: RunDir, tmp_path: Path) -> None:
    exported = json.loads((export(load(run), out=tmp_path) / "config.json").read_text())
    protocol = Protocol.from_record(exported["protocol"])
    for changes, says in [
        (
            {"protocol": replace(protocol, data="0" * 64).to_record()},
            r"differently \(data 000000000000\.\.\. / .*restore",
        ),
        ({"protocol": replace(protocol, seed=5).to_record()}, r"differently \(seed 5 / 0\)"),
        ({"protocol": {"hash": "x"}}, r"holds no exported generator \(protocol: .*name a folder"),
        ({"floor": {"fid": -1}}, r"holds no exported generator \(floor.*name a folder"),
        ({"trial": None}, r"holds no exported generator \(trial.*name a folder"),
    ]:
        with pytest.raises(UserError, match=says) as caught:
            measure(_edited(run, tmp_path, **changes), 64)
        assert "\n" not in str(caught.value)
    gone = {"name": "image_folder", "resolution": 16, "dir": str(tmp_path / "gone")}
    with pytest.raises(UserError, match="gone"):
        measure(_edited(run, tmp_path, trial=exported["trial"] | {"data": gone}), 64)
    assert not (tmp_path / "scores.json").exists()


def test_a_generator_of_nan_is_not_scored(run: RunDir, tmp_path: Path) -> None:
    loaded = load_generator(export(load(run), out=tmp_path))
    next(loaded.module.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="images that are not finite"):
        next(loaded.scored(4))


def test_scores_that_can_t_be_written_are_refused(run: RunDir, tmp_path: Path) -> None:
    export(load(run), out=tmp_path)
    (tmp_path / "scores.json").mkdir()
    with pytest.raises(UserError, match=r"can't write to .*: name another --out"):
        measure(tmp_path, 64)


def test_the_samples_are_a_picture(run: RunDir, tmp_path: Path) -> None:
    with Image.open(export(load(run), out=tmp_path) / "samples.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width >= 8 * 66 and picture.height == 8 * 66 + 24
        assert len(set(picture.convert("L").tobytes())) > 16
    with Image.open(tmp_path / "real.png") as picture:
        assert picture.height == 10 * 66 + 24  # a row for each class
    run.real.rename(tmp_path / "kept.png")
    (tmp_path / "real.png").unlink()
    assert not (export(load(run), out=tmp_path) / "real.png").exists()
    (tmp_path / "kept.png").rename(run.real)


def test_loading_needs_nothing_of_the_run(run: RunDir, tmp_path: Path) -> None:
    expected = load_generator(export(load(run))).sample(2)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in ("generator.safetensors", "config.json"):
        (moved / file).write_bytes((run.best / file).read_bytes())
    assert torch.equal(load_generator(str(moved)).sample(2), expected)


def test_what_can_t_be_exported_is_refused(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown trial '0042'; did you mean 0000"):
        export(load(run), "42")
    started = RunDir(tmp_path / "started")
    started.trials.mkdir(parents=True)
    started.search_json.write_bytes(run.search_json.read_bytes())
    row = Start(trial_id="0000", number=0, params={}, origin="sampled", seed=0)
    started.results.write_text(to_json(row) + "\n")
    with pytest.raises(UserError, match="no trial has an FID yet"):
        export(load(started))
    with pytest.raises(UserError, match=r"no checkpoint under .*0000: it was removed, or the trial has not reached"):
        export(load(started), "0000")
    assert not started.best.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't write to .*: name another --out"):
        export(load(run), out=tmp_path / "file" / "out")


def test_of_the_winners_finals_the_one_nearest_to_the_mean_is_exported(run: RunDir, tmp_path: Path) -> None:
    copy = RunDir(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    searched = load(copy).ledger["0000"]
    assert searched.best is not None and searched.end is not None
    with closing(Writer(copy.results)) as writer:
        for number, fid in ((1, 5.0), (2, 9.0), (3, 7.5)):
            own = {"trial_id": f"{number:04d}", "number": number}
            writer.append(Start(**own, params={}, origin="final", seed=number, parent="0000", relation="final"))
            writer.append(replace(searched.evals[-1], **own, fid=fid))
            writer.append(replace(searched.end, **own, best_fid=fid, best_kimg=searched.kimg))
            shutil.copytree(copy.trial("0000"), copy.trial(f"{number:04d}"))
    loaded = load(copy)
    judge(loaded, finalists(loaded.ledger, 1), 3).save(copy)
    loaded = load(copy)
    assert Exported.load(export(loaded)).trial_id == "0003"
    card = (copy.best / "README.md").read_text()
    assert "# run, trial 0003" in card and "trial 0000: mean FID 7.17 of 3 seeds, 95 % interval " in card
    assert str(copy.trial_config("0003")) in card
    with closing(Writer(copy.results)) as writer:
        own = {"trial_id": "0004", "number": 4}
        writer.append(Start(**own, params={}, origin="final", seed=4, parent="0000", relation="final"))
        writer.append(replace(searched.end, **own, status="diverged", best_fid=None, best_kimg=None))
    judge(load(copy), finalists(loaded.ledger, 1), 4).save(copy)
    export(load(copy))
    counted = "mean FID 7.62 of 4 seeds (1 diverged and counted as the highest FID of all), 95 % interval "
    assert counted in (copy.best / "README.md").read_text()
    assert Exported.load(export(loaded, lowest=True)).trial_id == "0001"
    assert Exported.load(export(loaded, "0")).trial_id == "0000"


def test_a_folder_that_holds_no_generator_is_refused(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no exported generator .*name a folder of `export`"):
        load_generator(tmp_path)
    export(load(run), out=tmp_path)
    weights = tmp_path / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match="holds no exported generator"):
        load_generator(tmp_path)


def test_a_conditional_generator_draws_the_classes_it_is_asked_for(
    tiny: TrialConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = RunDir(tmp_path_factory.mktemp("runs") / "conditional")
    assert run_trial(check(tiny.override({"model.conditioning": "projection"})), run, "replay") == 0
    loaded = load_generator(export(load(run)))
    assert loaded.classes == tuple("0123456789")
    twos, threes = (loaded.sample(5, labels=[label] * 5) for label in (2, 3))
    assert twos.shape == (5, 1, 16, 16) and not torch.equal(twos, threes)
    assert torch.equal(loaded.sample(5), loaded.sample(5, labels=[0, 1, 2, 3, 4]))
    with Image.open(run.best / "samples.png") as picture:
        assert picture.height == 10 * 66 + 24  # a row for each class
    for labels in ([0, 10], [-1, 0], [0]):
        with pytest.raises(UserError, match="labels: give 2 numbers from 0 to 9"):
            loaded.sample(2, labels=labels)
    best = load(run).ledger["0000"].best
    scores, _ = measure(run.best, 64)
    assert best is not None and scores.fid == pytest.approx(best.fid, rel=1e-6)
    with pytest.raises(UserError, match="other classes than the generator: bring back"):
        measure(_edited(run, run.best, classes=list("abcdefghij")), 64)


def test_labels_for_a_generator_that_takes_none_are_refused(run: RunDir) -> None:
    with pytest.raises(UserError, match="takes no labels: leave them out"):
        load_generator(export(load(run))).sample(2, labels=[0, 1])


def test_a_full_disk_is_one_line_and_leaves_nothing(run: RunDir, full_disk: Path) -> None:
    for out in (full_disk, full_disk / "deep" / "out"):
        with pytest.raises(UserError, match=rf"can't write to {out} \(.*No space left on device\): name another --out"):
            export(load(run), out=out)
        assert [path.name for path in full_disk.iterdir()] == ["old"]


def test_an_export_that_fails_leaves_the_one_before(run: RunDir, tmp_path: Path, full_disk: Path) -> None:
    before = export(load(run), out=tmp_path / "out")
    (full_disk / "old").unlink()
    kept = {path.name: path.read_bytes() for path in before.iterdir() if path.stat().st_size < 20_000}
    for name, content in kept.items():
        (full_disk / name).write_bytes(content)
    with pytest.raises(UserError, match="No space left"):
        export(load(run), out=full_disk)
    assert {path.name: path.read_bytes() for path in full_disk.iterdir()} == kept


@pytest.mark.parametrize("out", ["/dev/full", "/dev/null", "/proc/out"])
def test_what_is_no_folder_is_refused(out: str, run: RunDir) -> None:
    with pytest.raises(UserError, match=rf"can't write to {out} \(.*\): name another --out"):
        export(load(run), out=Path(out))
    assert Path("/dev/full").is_char_device()


def test_weights_with_a_changed_byte_are_refused(run: RunDir, tmp_path: Path) -> None:
    weights = export(load(run), out=tmp_path) / "generator.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"generator\.safetensors is damaged\): export it again"):
        load_generator(tmp_path)


def test_the_one_before_is_exported_where_the_newest_checkpoint_is_damaged(
    run: RunDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = RunDir(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    names = sorted(path.name for path in copy.trial("0000").glob("checkpoint_*"))
    assert len(names) == 2
    best = [copy.trial("0000") / name / "best.safetensors" for name in names]
    best[1].write_bytes(best[1].read_bytes()[:100])
    exported = Exported.load(export(load(copy)))
    fids = {row.kimg: row.fid for row in load(copy).ledger["0000"].evals}
    assert exported.kimg in list(fids)[:2] and exported.fid == fids[exported.kimg]
    assert f"{best[1]} is damaged: {names[0]} is used instead" in caplog.text
    best[0].unlink()
    with pytest.raises(
        UserError, match=rf"{best[1]} is damaged; {best[0]} is missing, and no other checkpoint is left"
    ):
        export(load(copy))
    content = json.loads((copy.trial("0000") / names[1] / "checkpoint.json").read_text())
    (copy.trial("0000") / names[1] / "checkpoint.json").write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(UserError, match=r"format 99; this one reads format 2: go on with that version"):
        export(load(copy))
