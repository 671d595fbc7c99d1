"""``evaltoolkit compare`` and ``ev.compare``: every reasonable analysis of one study."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import evaltoolkit as ev
from evaltoolkit.cli import main
from evaltoolkit.designs.did.design import DIFFERENCE_IN_DIFFERENCES
from evaltoolkit.designs.did.options import Options
from tests.designs.test_did import rate, run, sites

ROOT = Path(__file__).parents[2]
STUDY = """\
version = 1
design = "difference-in-differences"
title = "A study"
unit = "site"
time = "quarter"
first_treated = "start"
covariates = ["x"]

[data]
source = "sites.csv"
rows = "aggregates"

[outcome]
column = "y"
role = "wellbeing"
better = "higher"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("compare")
    sites(16, cohorts=(6, 0), effect=3.0).to_csv(folder / "sites.csv", index=False)
    file = folder / "study.toml"
    file.write_text(STUDY)
    return file, call(str(file), "--out", str(folder / "out"))


def call(*arguments: str) -> Any:
    from evaltoolkit.cli.app import app

    return CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=True)


def test_the_command_writes_table_figure_and_json(done: tuple[Path, Any]) -> None:
    file, outcome = done
    assert outcome.exit_code == 0, outcome.output
    folder = file.parent / "out" / "study-compare"
    stored = json.loads((folder / "compare.json").read_text())
    assert stored["schema"] == "evaltoolkit.compare/1"
    own = [a for a in stored["analyses"] if a["own"]]
    assert len(own) == 1
    assert own[0]["estimate"] == pytest.approx(ev.evaluate(file).result.headline.estimate)
    labels = [a["label"] for a in stored["analyses"]]
    assert len(labels) == len(set(labels)) >= 12
    assert all((a["estimate"] is None) == bool(a["reason"]) for a in stored["analyses"])
    assert (folder / "specification-curve.svg").read_text().startswith("<?xml")
    assert "the study's own" in outcome.output


def test_json_is_one_document_and_the_same_bytes_again(done: tuple[Path, Any]) -> None:
    file, _ = done
    again = file.parent / "again"
    said = subprocess.run(
        [sys.executable, "-m", "evaltoolkit", "compare", str(file), "--out", str(again), "--json", "--quiet"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    document = json.loads(said.stdout)
    assert said.stderr == ""
    assert (document["command"], document["exit_code"], document["problems"]) == ("compare", 0, [])
    names = {"compare.json", "specification-curve.svg", "manifest.json"}
    assert {Path(name).name for name in document["files"]} == names
    assert document["comparison"] == json.loads((again / "study-compare" / "compare.json").read_text())
    for name in names:
        first = file.parent / "out" / "study-compare" / name
        assert (again / "study-compare" / name).read_bytes() == first.read_bytes()


BAD: dict[str, tuple[Callable[[str], str | None], str]] = {
    "no such file": (lambda text: None, "there is no design file"),
    "not TOML": (lambda text: "d,y", "not TOML"),
    "unknown key": (lambda text: text.replace("unit =", "unot ="), "unot"),
    "no such column": (lambda text: text.replace('"y"', '"why"'), "'why'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_nothing_is_written(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = BAD[case]
    (tmp_path / "designs").mkdir()
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    sites(8, cohorts=(6, 0)).to_csv(tmp_path / "designs" / "sites.csv", index=False)
    file, text = tmp_path / "designs" / "study.toml", change(STUDY)
    if text is not None:
        file.write_text(text)
    before = set(tmp_path.rglob("*"))
    assert main(["compare", str(file), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("error[E-") == 1
    assert set(tmp_path.rglob("*")) == before


def test_each_analysis_is_the_study_with_its_settings() -> None:
    frame = sites(16, cohorts=(6, 0), effect=3.0)
    found = run(frame, outcome=rate()).compare()
    assert any("Poisson" in a.label for a in found.analyses)
    changed = [a for a in found.analyses if not a.own and a.estimate is not None]
    for one in changed[::4]:
        settings = {k: v for k, v in one.changes.items() if v is not None and k != "adjust"}
        again = run(frame, outcome=rate(), **settings).result.headline
        assert again.estimate == pytest.approx(one.estimate.estimate, rel=1e-9), one.label
    assert len(found.tidy()) == len(found.analyses)
    assert isinstance(found.tidy(), pd.DataFrame)
    assert "does not show" in found.summary()


def test_alternatives_differ_and_fit_the_outcome() -> None:
    e = run(sites(16, cohorts=(6, 0)), covariates=["x"])
    listed = DIFFERENCE_IN_DIFFERENCES.alternatives(e.study, Options(**e.study.settings), e.sample)
    assert len({json.dumps(dict(a.settings), sort_keys=True, default=str) for a in listed}) == len(listed) >= 12
    assert not any("Poisson" in a.label for a in listed)
    assert dict(listed[0].settings) == dict(e.study.settings)


def test_a_design_without_alternatives_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "designs/toy.toml"]) == 2
    err = capsys.readouterr().err
    assert "no alternatives to compare" in err
    assert "difference-in-differences or" in err
