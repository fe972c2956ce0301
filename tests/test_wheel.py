"""The wheel, installed elsewhere, is complete: programs, spaces, weights."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_runs_the_default_search_from_an_empty_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist"]
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "-C", SOURCE, "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (SOURCE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((SOURCE / name).read_bytes())
    subprocess.run([*build, str(source)], cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "dist").glob("gansearch-*.whl")
    # Another environment, that borrows the dependencies installed here; editable installations do not come along.
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    here = sysconfig.get_path("purelib")
    (site,) = (tmp_path / "env/lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(here)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "GANSEARCH_CACHE": str(tmp_path / "cache")}
    few = ["--set", "train.evaluations=2", "--max-kimg", "0.256"]
    small = ["--trials", "1", "--set", "model.features=8", *few, "--name", "run"]
    for arguments in (["gansearch", "start", "digits", *small], ["gansearch-analyze", "rank", "run"]):
        program = tmp_path / "env/bin" / arguments[0]
        done = subprocess.run(
            [program, *arguments[1:]], cwd=empty, env=environment, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stderr
        assert "0000" in done.stdout
    where = subprocess.run(
        [python, "-c", "import gansearch; print(gansearch.__file__)"], cwd=empty, capture_output=True, text=True
    )
    assert str(tmp_path) in where.stdout
    assert {path.name for path in empty.iterdir()} == {"runs"}
