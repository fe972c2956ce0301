"""What the tests of commands share."""

import pytest

from gansearch.errors import UserError
from gansearch.run import RunDir
from tests.cli.edited_run import make_whole_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A small search that is over, with finals, to be copied."""
    return make_whole_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends a command where it would start Ray: all that can be refused is refused before."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise UserError("Ray would start here")

    monkeypatch.setattr("ray.init", refuse)
