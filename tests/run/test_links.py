"""Links in a run's folder: those that lead out of it are refused, the folder itself may be one."""

from pathlib import Path

import pytest

from gansearch.errors import UserError
from gansearch.run.links import require_no_links
from gansearch.run.paths import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with one trial, in a folder that is reached through a link."""
    (tmp_path / "disk" / "run" / "trials" / "0000" / "samples").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    return RunDir(tmp_path / "runs" / "run")


def test_a_link_within_the_run_is_fine_and_so_is_the_run_as_a_link(run: RunDir) -> None:
    (run.path / "best").symlink_to("trials/0000")
    (run.path / "latest").symlink_to(run.trials / "0000")
    require_no_links(run, trials=True)
    require_no_links(RunDir(run.path.parent / "none"), trials=True)


@pytest.mark.parametrize("name", ["search.json", "trials", "trials/0001", "ray/tune"])
@pytest.mark.parametrize("target", ["..", "/etc/hostname", "/nowhere/at/all", "../run2"])
def test_a_link_out_of_the_run_is_refused(name: str, target: str, run: RunDir) -> None:
    link = run.path / name
    link.parent.mkdir(exist_ok=True)
    run.trials.rename(run.path / "aside") if name == "trials" else None
    link.symlink_to(Path(target) if target.startswith("/") else run.path / target)
    with pytest.raises(UserError, match=f"{link} is a link out of the run"):
        require_no_links(run)


@pytest.mark.parametrize("name", ["trials/0000/config.json", "trials/0000/checkpoint_000000064"])
def test_trials_are_looked_into_before_they_are_trained(name: str, run: RunDir) -> None:
    (run.path / name).symlink_to("/nowhere")
    require_no_links(run)
    with pytest.raises(UserError, match=f"{name} is a link out of the run"):
        require_no_links(run, trials=True)
