from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import evaltoolkit.report
from evaltoolkit import registry
from evaltoolkit.cli import main
from evaltoolkit.cli.files import write_text
from evaltoolkit.results import Result, to_json
from tests.cli.toy import ENTRY

DESIGN = """version = 1
design = "toy"
title = "Screening"
treated = "d"
covariates = ["x"]

[data]
source = "../data/rows.csv"

[outcome]
column = "y"
"""
ROWS = "d,y,x\n" + "".join(f"{i % 2},{i},{i * i}\n" for i in range(40))

Call = Callable[..., tuple[int, str, str]]


def write_json_only(result: Result, folder: Path, formats: tuple[str, ...]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "result.json", to_json(result))
    return [folder / "result.json"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the toy design; the report is its JSON, so that no PDF is made in every test."""
    monkeypatch.setattr(registry, "DESIGNS", (*registry.DESIGNS, ENTRY))
    monkeypatch.setattr(evaltoolkit.report, "write_report", write_json_only, raising=False)
    root = tmp_path / "study"
    (root / "designs").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "designs" / "toy.toml").write_text(DESIGN)
    (root / "data" / "rows.csv").write_text(ROWS)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in args])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return code, said.out, said.err

    return run
