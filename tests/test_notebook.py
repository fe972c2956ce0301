"""The notebook of the docs runs as it is written, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import gansearch

PAGE = Path(gansearch.__file__).parent.parent / "docs/howto/python.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_as_it_is_written(tmp_path: Path) -> None:
    notebook = nbformat.read(PAGE, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    search, frame, figure = (_outputs(notebook, text) for text in ("gs.search(", "run.trials()", "run.plot()"))
    *shown, result = search  # messages of a busy machine ("waiting for another process: ...") may stand among them
    tables = [output["data"]["text/html"] for output in shown if output.output_type == "display_data"]
    assert any("4 of 4 trials ended" in table for table in tables), shown
    assert "4 trials, best FID" in result["data"]["text/plain"]
    assert frame[0]["data"]["text/html"].count("<tr") == 5
    assert "image/png" in figure[0]["data"]
    assert (tmp_path / "runs/notebook/best/generator.safetensors").is_file()


def _outputs(notebook: nbformat.NotebookNode, text: str) -> list[nbformat.NotebookNode]:
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source]
    return cell.outputs
