"""Every notebook in docs/ runs from its first cell to its last, and is stored without outputs."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


def test_each_design_has_a_notebook() -> None:
    assert [p.stem for p in NOTEBOOKS] == ["difference_in_differences", "interrupted_time_series", "matching"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_without_outputs(path: Path) -> None:
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert cells
    for cell in cells:
        assert cell.outputs == []
        assert cell.execution_count is None
        ast.parse(cell.source)


# Messages of the machinery that runs a notebook (event loop, debugger), none of them of the package.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning,error::FutureWarning,error::RuntimeWarning")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(DOCS)}}).execute()
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(c.execution_count for c in code)
    kinds = {kind for c in code for out in c.outputs for kind in out.get("data", {})}
    assert {"text/html", "image/png"} <= kinds  # the evaluation shows itself, and a figure is drawn
    said = [out for c in code for out in c.outputs if out.output_type == "stream" and out.name == "stderr"]
    assert not said
