"""What the searcher hands out, and what the recorder writes of it. No Ray is started."""

import itertools
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.tune.search import Searcher

from gansearch import registry
from gansearch.config import Component, TrialConfig
from gansearch.metrics.scorer import scorer_for
from gansearch.models.base import ImageShape, Model
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir
from gansearch.run.rows import Evaluation, Start, Writer, read
from gansearch.run.space import Space
from gansearch.search.queue import finals_queue, search_queue
from gansearch.search.ray.searcher import QueueSearcher
from gansearch.search.recorder import Recorder
from gansearch.training.loop import Trainer
from tests.search.virtual import searcher_of

CALLS = itertools.count()
SPACE = Space(base=TrialConfig(), params={"optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)}, baselines=["dcgan"])


def searcher(
    path: Path, *, trials: int | None, retry_failed: bool = False, max_kimg: float = 14.4, finals: int = 0
) -> tuple[QueueSearcher, Recorder]:
    """Its queue is the search's, with completed trials to lengthen, or `finals` seeds of its first trial."""
    run = RunDir(path)
    ledger = Ledger(read(run.results)) if run.results.exists() else Ledger()
    space = SPACE.replaced(base=SPACE.base.lengthened(max_kimg))
    plan = Plan(run, space, Options(trials=trials, seed=7, time_budget=None if trials else 3600.0))
    recorder = Recorder(plan, Writer(run.results), ledger, lambda row, ledger: None)
    queue = search_queue(plan, ledger, retry_failed=retry_failed)
    if finals:
        queue = finals_queue(plan, ledger, list(ledger.values())[:1], finals)
    return searcher_of(plan, queue, recorder), recorder


def drawn(source: QueueSearcher) -> list[dict[str, Any]]:
    """All that it hands out while no trial reports."""
    configs = []
    while isinstance(config := suggested(source), dict):
        configs.append(config)
    return configs


def suggested(source: QueueSearcher) -> Any:
    """Suggests a trial, which Tune knows by the number of the call."""
    return source.suggest(str(next(CALLS)))


def ended(source: QueueSearcher, *trial_ids: str) -> None:
    """Tune says of trials that they have ended."""
    for tune_id in [one for one, trial_id in source._handed_out.items() if trial_id in trial_ids]:
        source.on_trial_complete(tune_id)


def close(recorder: Recorder) -> None:
    recorder._writer.close()


def report(recorder: Recorder, trial_id: str, kimg: float, fid: float) -> bool:
    """An evaluation of a trial; returns whether the trial goes on."""
    measures: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
    )
    return recorder.evaluation(trial_id, Evaluation(kimg=kimg, fid=fid, protocol="p", **measures))


def complete(recorder: Recorder, trial_id: str) -> None:
    """The trial comes to its full length, and the driver ends."""
    report(recorder, trial_id, 14.4, 5.0)
    recorder.end(trial_id, "completed", None)
    close(recorder)


def test_baselines_then_proposals_each_with_its_files(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=3)
    configs = drawn(source)
    assert [config["trial_id"] for config in configs] == ["0000", "0001", "0002"]
    assert all(config["cpus"] == 1 and config["reported_images"] == 0 for config in configs)
    rows = [row for row in read(tmp_path / "results.jsonl") if isinstance(row, Start)]
    assert [row.origin for row in rows] == ["baseline:dcgan", "sampled", "sampled"]
    assert rows[0].params == {"optim.g_lr": 2e-4}
    for config, row in zip(configs, rows, strict=True):
        written = json.loads((tmp_path / "trials" / row.trial_id / "config.json").read_text())
        assert config["config"].model_dump(mode="json") == written
        assert (written["optim"]["g_lr"], written["seed"]) == (row.params["optim.g_lr"], 7)
    close(recorder)


def test_a_second_driver_hands_out_what_is_unfinished_and_no_more(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=3)
    first = [suggested(source), suggested(source)]
    recorder.end(first[0]["trial_id"], "diverged", "non-finite loss", 0.1)
    close(recorder)
    source, recorder = searcher(tmp_path, trials=3)
    again = drawn(source)
    assert [config["trial_id"] for config in again] == ["0001", "0002"]
    assert again[0] == first[1]
    close(recorder)


def test_a_configuration_that_a_kill_cut_off_is_written_again(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=1)
    (first,) = drawn(source)
    close(recorder)
    (tmp_path / "trials/0000/config.json").write_text("")
    source, recorder = searcher(tmp_path, trials=1)
    assert drawn(source) == [first]
    assert (tmp_path / "trials/0000/config.json").read_text() == first["config"].to_json()
    close(recorder)


def test_failed_trials_are_retried_once_and_cost_no_new_trial(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    drawn(source)
    recorder.end("0000", "failed", "CUDA out of memory", cause="error")
    recorder.end("0001", "diverged", "non-finite loss")
    close(recorder)
    for _ in range(2):  # the second time there is nothing left to retry
        source, recorder = searcher(tmp_path, trials=3, retry_failed=True)
        drawn(source)
        for trial in [trial for trial in recorder.ledger.values() if trial.end is None]:
            recorder.end(trial.trial_id, "diverged", "non-finite loss")
        close(recorder)
    trials = Ledger(read(tmp_path / "results.jsonl"))
    assert [trial.start.parent for trial in trials.values()] == [None, None, "0000", None]
    assert trials["0002"].start.relation == "retry"
    assert trials["0002"].start.params == trials["0000"].start.params
    assert trials["0000"].end is not None
    assert trials["0000"].end.reason == "CUDA out of memory"


def test_a_lengthened_search_hands_out_longer_trials(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    drawn(source)
    complete(recorder, "0000")
    source, recorder = searcher(tmp_path, trials=3, max_kimg=28.8)
    unfinished, longer, new = drawn(source)
    assert [
        (config["trial_id"], config["continues"], config["reported_images"]) for config in (unfinished, longer, new)
    ] == [("0001", None, 0), ("0002", ("0000", 14400), 0), ("0003", None, 0)]
    for config in (unfinished, longer, new):
        written = (tmp_path / "trials" / config["trial_id"] / "config.json").read_text()
        assert config["config"].to_json() == written
        assert json.loads(written)["train"] | {"max_kimg": 28.8, "evaluations": 18} == json.loads(written)["train"]
    ledger = recorder.ledger
    assert ledger["0002"].start.params == ledger["0000"].start.params
    assert (ledger["0002"].start.origin, ledger["0002"].start.relation) == ("baseline:dcgan", "continuation")
    close(recorder)


def test_finals_are_the_same_but_for_their_seed_and_are_never_compared(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=1)
    drawn(source)
    complete(recorder, "0000")
    source, recorder = searcher(tmp_path, trials=1, finals=2)
    configs = drawn(source)
    assert [config["continues"] for config in configs] == [None, None]
    assert report(recorder, "0001", 1.6, 1e6), "at a rung, where any other trial would wait"
    searched, *finals = (json.loads((tmp_path / f"trials/000{n}/config.json").read_text()) for n in range(3))
    assert [final["seed"] for final in finals] == [8, 9]
    assert all(final | {"seed": 7} == searched for final in finals)
    assert {(trial.start.origin, trial.start.relation) for trial in list(recorder.ledger.values())[1:]} == {
        ("final", "final")
    }
    close(recorder)


def test_a_trial_that_waited_is_handed_out_again_before_a_new_one(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=7)
    for _ in range(6):
        suggested(source)
    assert report(recorder, "0000", 1.6, 5.0)
    assert not report(recorder, "0001", 1.6, 6.0)
    ended(source, "0001")
    assert recorder.ledger["0001"].status == "waiting"
    for number in range(2, 6):
        assert not report(recorder, f"000{number}", 1.6, 7.0)
        ended(source, f"000{number}")
    promoted = suggested(source)
    assert (promoted["trial_id"], promoted["reported_images"]) == ("0001", 1600)
    assert suggested(source)["trial_id"] == "0006"
    assert suggested(source) is None, "their results decide who goes on"
    for trial_id in ("0000", "0001", "0006"):
        recorder.end(trial_id, "completed", None)
        ended(source, trial_id)
    assert suggested(source) == Searcher.FINISHED
    recorder.end_waiting()
    assert {trial.status for trial in recorder.ledger.values()} == {"completed", "stopped"}
    close(recorder)


def test_without_a_number_of_trials_there_is_always_one_more(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=None)
    assert [suggested(source)["trial_id"] for _ in range(12)] == [f"{number:04d}" for number in range(12)]
    close(recorder)


def test_a_search_without_a_number_of_trials_ends_where_all_fail(tmp_path: Path) -> None:
    """They spend no GPU hours. A trial that still runs may show that not all do, and a resumed search tries again."""
    source, recorder = searcher(tmp_path, trials=None)
    running = suggested(source)["trial_id"]
    for _ in range(60):
        if isinstance(config := suggested(source), dict):
            recorder.end(config["trial_id"], "failed", "an error")
            ended(source, config["trial_id"])
    assert Counter(trial.status for trial in recorder.ledger.values()) == {"failed": 50, "running": 1}
    assert suggested(source) is None, "it waits for the trial that runs"
    assert report(recorder, running, 1.6, 50.0)
    for _ in range(60):  # more than before: one has shown that it is possible
        trial_id = suggested(source)["trial_id"]
        recorder.end(trial_id, "diverged", "non-finite loss", 1.0)
        ended(source, trial_id)
    recorder.end(running, "diverged", "non-finite loss", 1.7)
    ended(source, running)
    assert suggested(source) == Searcher.FINISHED
    close(recorder)
    assert isinstance(suggested(searcher(tmp_path, trials=None)[0]), dict)


def test_a_trial_that_a_budget_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    drawn(source)
    report(recorder, "0000", 1.6, 5.0)
    report(recorder, "0001", 1.6, 6.0)
    close(recorder)
    source, recorder = searcher(tmp_path, trials=2)
    (again,) = drawn(source)
    assert (again["trial_id"], again["reported_images"]) == ("0000", 1600)
    assert recorder.ledger["0000"].status == "running"
    assert report(recorder, "0000", 3.2, 4.0)
    close(recorder)


def test_a_budget_that_is_spent_before_a_promotion_leaves_something_to_resume(tmp_path: Path) -> None:
    """Nothing else does: all trials were proposed, and none runs."""
    source, recorder = searcher(tmp_path, trials=6)
    drawn(source)
    for number, fid in enumerate((5.0, 6.0, 7.0, 7.0, 7.0, 7.0)):
        report(recorder, f"000{number}", 1.6, fid)
    report(recorder, "0000", 14.4, 5.0)
    recorder.end("0000", "completed", None)
    close(recorder)
    source, recorder = searcher(tmp_path, trials=6)
    assert source._queue.is_empty and recorder.may_promote
    assert [config["trial_id"] for config in drawn(source)] == ["0001"]
    assert not recorder.may_promote
    close(recorder)


def test_of_two_trials_neither_stops_the_other(tmp_path: Path) -> None:
    """Nor does the second of any rung, where nothing else is to come."""
    source, recorder = searcher(tmp_path, trials=2)
    drawn(source)
    assert report(recorder, "0000", 1.6, 5.0) and not report(recorder, "0001", 1.6, 6.0)
    ended(source, "0001")
    assert suggested(source) is None, "while the other trains, more may come"
    report(recorder, "0000", 14.4, 4.0)
    recorder.end("0000", "completed", None)
    close(recorder)
    source, recorder = searcher(tmp_path, trials=2)
    assert recorder.may_promote
    assert suggested(source)["trial_id"] == "0001"
    assert recorder.ledger["0001"].decisions[-1].verdict == "goes on"
    assert suggested(source) is None
    report(recorder, "0001", 14.4, 4.5)
    recorder.end("0001", "completed", None)
    ended(source, "0001")
    assert suggested(source) == Searcher.FINISHED
    close(recorder)


def test_a_small_space_is_searched_once(tmp_path: Path) -> None:
    """Whatever the sampler prefers, no parameters are trained twice; then no new trial starts."""
    space = Space(
        base=TrialConfig(),
        params={
            "model.spectral_norm": CategoricalDistribution([False, True]),
            "optim.beta1": FloatDistribution(0.0, 0.3, step=0.1),
        },
        forbidden=[{"model.spectral_norm": True, "optim.beta1": 0.3}],
    )
    for options in ({"trials": 20}, {"trials": None, "time_budget": 60.0}):
        folder = tmp_path / str(options["trials"])
        folder.mkdir()
        plan = Plan(RunDir(folder), space, Options(**options))
        recorder = Recorder(plan, Writer(plan.run.results), Ledger(), lambda row, ledger: None)
        source = searcher_of(plan, search_queue(plan, recorder.ledger), recorder)
        while isinstance(config := suggested(source), dict):
            report(recorder, config["trial_id"], 14.4, 5.0)
            recorder.end(config["trial_id"], "completed", None)
        tried = [trial.start.params for trial in recorder.ledger.values()]
        assert len(tried) == 7 and len({trial.params_key for trial in recorder.ledger.values()}) == 7
        assert {params["optim.beta1"] for params in tried} == {0.0, 0.1, 0.2, 0.3}
        close(recorder)


def test_the_first_refusal_of_the_disk_is_kept(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    (tmp_path / "trials").write_text("in the way")
    with pytest.raises(OSError, match="trials"):
        suggested(source)
    assert recorder.fault is not None
    close(recorder)


def test_a_configuration_is_validated_once_and_handed_on_whole(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the proposal to a trainer that is ready: one validation, each component resolved once."""
    counts: Counter[str] = Counter()
    validate, build, networks = TrialConfig.model_validate.__func__, registry.build, Model.generator

    def counted_validate(cls: type[TrialConfig], *arguments: Any, **options: Any) -> TrialConfig:
        counts["validated"] += 1
        return validate(cls, *arguments, **options)

    def counted_build(kind: registry.Kind, section: Component) -> Any:
        counts[f"{kind} built"] += 1
        return build(kind, section)

    def counted_generator(self: Model, shape: ImageShape) -> Any:
        counts["networks built"] += 1
        return networks(self, shape)

    plan = Plan(RunDir(tmp_path), SPACE.replaced(base=tiny), Options(trials=3))
    recorder = Recorder(plan, Writer(plan.run.results), Ledger(), lambda row, ledger: None)
    scorer = scorer_for(tiny, torch.device("cpu"))
    source = searcher_of(plan, search_queue(plan, Ledger()), recorder)
    suggested(source)  # the baseline, whose recipe is resolved too
    monkeypatch.setattr(TrialConfig, "model_validate", classmethod(counted_validate))
    monkeypatch.setattr(registry, "build", counted_build)
    monkeypatch.setattr(Model, "generator", counted_generator)
    config = suggested(source)["config"]
    driver = {"validated": 1, "data built": 1, "model built": 1, "loss built": 1, "metrics built": 1}
    assert counts == driver, "by the driver"
    Trainer(pickle.loads(pickle.dumps(config)), torch.device("cpu"), scorer)
    assert counts - Counter(driver) == {"model built": 1, "loss built": 1, "networks built": 1}, "by the trial"
    close(recorder)
