"""A fourth design is one entry of the registry: from a design file to a PDF, with nothing else edited."""

from __future__ import annotations

from pathlib import Path

import pypdf
import pytest

from evaltoolkit import registry
from evaltoolkit.cli import main
from evaltoolkit.results import load_result
from tests.cli.conftest import DESIGN, ROWS
from tests.cli.toy import ENTRY


def test_one_entry_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "DESIGNS", (*registry.DESIGNS, ENTRY))
    (tmp_path / "designs").mkdir()
    (tmp_path / "data").mkdir()
    design = tmp_path / "designs" / "toy.toml"
    design.write_text(DESIGN)
    (tmp_path / "data" / "rows.csv").write_text(ROWS)
    assert main(["designs"]) == 0
    assert "toy" in capsys.readouterr().out
    assert main(["schema"]) == 0
    assert '"const": "toy"' in capsys.readouterr().out
    assert main(["check", str(design)]) == 0
    assert main(["run", str(design), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    folder = tmp_path / "out" / "toy"
    assert load_result(folder / "result.json").design
    assert len(pypdf.PdfReader(folder / "report.pdf").pages) >= 2
