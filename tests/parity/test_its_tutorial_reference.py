"""Lopez Bernal's tutorial model, and changes sought in California before 1989."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import evaltoolkit as ev
from evaltoolkit.kernels.count_regression import poisson

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")

GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
CLOSE = 1e-8
# R's glm stops at a relative change of the deviance of 1e-8: dispersion and errors to about 2e-6.
GLM = 5e-6
BLOCKS = set(GOLDEN) - {"meta"}


def sicily(**changes: Any) -> Any:
    frame = pd.read_csv(FOLDER / "sicily.csv")
    frame = frame.assign(period=[f"{y}-{m:02d}" for y, m in zip(frame["year"], frame["month"], strict=True)])
    outcome = ev.Outcome(column="aces", kind="count", population="stdpop")
    settings = {"time": "period", "interruption": "2005-01", "season": {"harmonics": 2}, "family": "quasi-poisson"}
    return ev.its(frame, outcome=outcome, errors="model-based", **(settings | changes))


def deviance(made: Any) -> float:
    frame = pd.read_csv(FOLDER / "sicily.csv")
    y = frame["aces"].to_numpy(float)
    fit = poisson(made.sample.products["design"], y[None, :], np.log(frame["stdpop"].to_numpy(float)))
    return float(2 * (special.xlogy(y, y / fit.expected[0]) - (y - fit.expected[0])).sum())


def test_the_tutorial() -> None:
    """Its slope is 1 in the first month after the ban and 0 here, and its time begins at 1: two coefficients move."""
    golden = GOLDEN["sicily_tutorial_model4"]
    made, plain = sicily(), sicily(effects=["level"])
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    same = {
        "trend": "time", "slope": "I((time - 36) * smokban)", "sine 1": "sin(2 * pi * month/12)",
        "cosine 1": "cos(2 * pi * month/12)", "sine 2": "sin(4 * pi * month/12)", "cosine 2": "cos(4 * pi * month/12)",
    }  # fmt: skip
    for mine, theirs in same.items():
        assert rows[mine].estimate == pytest.approx(golden["coef"][theirs], rel=GLM)
        assert rows[mine].std_error == pytest.approx(golden["se"][theirs], rel=GLM)
    moved = golden["coef"]["smokban"] + golden["coef"]["I((time - 36) * smokban)"]
    assert rows["level"].estimate == pytest.approx(moved, rel=GLM)
    assert rows["intercept"].estimate == pytest.approx(golden["coef"]["(Intercept)"] + golden["coef"]["time"], rel=GLM)
    dispersion = {d.name: d for d in made.result.diagnostics}["dispersion"].value
    assert dispersion == pytest.approx(golden["dispersion"], rel=GLM)
    f = (deviance(plain) - deviance(made)) / dispersion
    assert f == pytest.approx(golden["anova_F"], rel=1e-4)  # a difference of two deviances
    assert stats.f.sf(f, 1, 51) == pytest.approx(golden["anova_p"], rel=1e-4)


def test_the_published_model() -> None:
    golden = GOLDEN["sicily_tutorial_model4"]
    made = sicily(effects=["level"])
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    level = rows["level"]
    ends = np.exp(level.estimate + np.array([0, -1, 1]) * stats.norm.ppf(0.975) * level.std_error)
    assert ends == pytest.approx(list(golden["model3_smokban_RR"].values()), rel=GLM)
    assert np.exp(12 * rows["trend"].estimate) == pytest.approx(golden["model3_trend_per_year"], rel=GLM)
    assert {d.name: d for d in made.result.diagnostics}["dispersion"].value == pytest.approx(
        golden["model3_dispersion"], rel=GLM
    )


@pytest.mark.parametrize("i", range(len(GOLDEN.get("prop99_ca_placebo_pre", []))))
def test_dates_before_the_law(i: int) -> None:
    golden = GOLDEN["prop99_ca_placebo_pre"][i]
    frame = pd.read_csv(FOLDER / "prop99.csv")
    early = frame[(frame["State"] == "California") & (frame["Year"] < 1989)]
    start = int(early["Year"].min()) + golden["T0"]
    made = ev.its(early, outcome="PacksPerCapita", time="Year", interruption=start, errors="newey-west", lags=1)
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    assert rows["level"].estimate == pytest.approx(golden["level"], rel=CLOSE)
    assert rows["slope"].estimate == pytest.approx(golden["slope"], rel=CLOSE)
    assert rows["level"].std_error == pytest.approx(golden["se"], rel=CLOSE)
    assert rows["slope"].std_error == pytest.approx(golden["slope_se"], rel=CLOSE)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_every_block_is_compared_somewhere(block: str) -> None:
    """The name of a block stands in a parity test, so that a new block cannot be passed over."""
    here = Path(__file__).parent
    assert any(block in file.read_text(encoding="utf-8") for file in here.glob("test_*.py"))
