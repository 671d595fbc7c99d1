from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaltoolkit import registry
from evaltoolkit.cli import main
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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the toy design; the report of a run is the real one."""
    monkeypatch.setattr(registry, "DESIGNS", (*registry.DESIGNS, ENTRY))
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
