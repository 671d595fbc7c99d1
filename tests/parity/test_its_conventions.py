"""Where the slope is coded 1 in its first period: Lopez Bernal, Cummins and Gasparrini (2017), model 4, by R 4.2.2."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
# R's IRLS stops at a relative deviance change of 1e-8.
IRLS = 2e-6


def test_the_level_differs_by_one_slope_step_and_the_slope_is_the_same() -> None:
    theirs = GOLDEN["sicily_tutorial_model4"]
    frame = pd.read_csv(FOLDER / "sicily.csv")
    frame["period"] = [f"{y}-{m:02d}" for y, m in zip(frame["year"], frame["month"], strict=True)]
    outcome = ev.Outcome("aces", kind="count", population="stdpop")
    made = ev.its(
        frame, outcome=outcome, time="period", interruption="2005-01", family="quasi-poisson", errors="model-based",
        season={"harmonics": 2},
    )  # fmt: skip
    found = {e.term: e for e in made.result.estimates if e.standing != "sensitivity"}
    slope = theirs["coef"]["I((time - 36) * smokban)"]
    assert found["slope"].estimate == pytest.approx(slope, rel=1e-4)
    assert found["slope"].std_error == pytest.approx(theirs["se"]["I((time - 36) * smokban)"], rel=IRLS)
    # The tutorial counts time from 1 and the slope from 1: its level stands one slope step before ours.
    assert found["level"].estimate == pytest.approx(theirs["coef"]["smokban"] + slope, rel=IRLS)
    for name, column in (("sine 1", "sin(2 * pi * month/12)"), ("cosine 2", "cos(4 * pi * month/12)")):
        assert found[name].estimate == pytest.approx(theirs["coef"][column], rel=1e-4)
