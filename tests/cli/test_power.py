"""``evaltoolkit power``: what a study could find, before its outcomes are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.designs.test_did import sites
from tests.designs.test_its import months

SERIES = """\
version = 1
design = "interrupted-time-series"
title = "A study"
time = "month"
interruption = "2020-01"
effects = ["level"]
errors = "newey-west"

[data]
source = "months.csv"
rows = "aggregates"

[outcome]
column = "y"
role = "service-access"
smallest_effect_that_matters = 4.0
"""
PANEL = """\
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
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("power")
    months().to_csv(made / "months.csv", index=False)
    sites(16, cohorts=(6, 0), effect=3.0).to_csv(made / "sites.csv", index=False)
    (made / "series.toml").write_text(SERIES)
    (made / "panel.toml").write_text(PANEL)
    return made


def test_a_series(folder: Path, call: Call) -> None:
    code, out, err = call("power", folder / "series.toml")
    assert code == 0
    assert not err
    assert "smallest detectable" in out
    assert "of 200 simulated studies" in out
    assert "The smallest effect that matters (4.0)" in out
    assert "Only outcomes before the start were used." in out
    assert "whether exploitation itself became more or less common" in out


def test_json_is_one_document_and_the_same_each_time(folder: Path, call: Call) -> None:
    code, out, _ = call("power", folder / "series.toml", "--json")
    assert code == 0
    document = json.loads(out)
    power = document["power"]
    assert power["schema"] == "evaltoolkit.power/1"
    assert {"smallest", "power", "level", "curve", "simulated", "notes", "words", "what", "unit"} <= set(power)
    assert [point["effect"] for point in power["curve"]] == sorted(point["effect"] for point in power["curve"])
    assert call("power", folder / "series.toml", "--json")[1] == out


def test_a_panel(folder: Path, call: Call) -> None:
    code, out, _ = call("power", folder / "panel.toml")
    assert code == 0
    assert "starts that never took place, dealt out to" in out
    assert "Covariates were left out" in out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"2020-01"', '"2017-04"', "too few"), ("time =", "tome =", "the key .time. is missing"),
        ('"y"', '"why"', "'why'"), ("months.csv", "none.csv", "none.csv"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(folder: Path, call: Call, old: str, new: str, words: str) -> None:
    file = folder / "bad.toml"
    file.write_text(SERIES.replace(old, new))
    code, out, err = call("power", file)
    assert code == 2
    assert not out
    assert re.search(words, err)
    assert err.count("error[") == 1


def test_a_panel_with_too_few_periods_before(folder: Path, call: Call) -> None:
    sites(16, cohorts=(2, 0)).to_csv(folder / "early.csv", index=False)
    (folder / "early.toml").write_text(PANEL.replace("sites.csv", "early.csv"))
    code, _, err = call("power", folder / "early.toml")
    assert code == 2
    assert "before the first start" in err


def test_a_design_that_does_not_offer_it(project: Path, call: Call) -> None:
    code, out, err = call("power", "designs/toy.toml")
    assert code == 2
    assert not out
    assert "difference-in-differences or interrupted-time-series" in err
