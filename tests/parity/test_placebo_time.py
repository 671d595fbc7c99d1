"""Starts moved to before the real ones repeat the leads that R did 2.5.1 reports."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import group_time
from evaltoolkit.kernels.placebo_time import placebo_panel

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

CLOSE = 1e-8


@pytest.mark.parametrize(("setting", "covariates"), [("none", 0), ("lpop", 1)])
def test_one_period_earlier_on_mpdta(setting: str, covariates: int) -> None:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    cells = json.loads((FOLDER / "did_mpdta_golden.json").read_text())["callaway_santanna"]
    expected = cells[f"dr|never|{setting}|varying"]["attgt"]
    y = frame.pivot(index="countyreal", columns="year", values="lemp").to_numpy()
    first = frame.groupby("countyreal")[["first_treat", "lpop"]].first()
    start = np.where(first["first_treat"] == 0, NEVER, first["first_treat"]).astype(np.int64)
    moved = placebo_panel(y, start, np.sort(frame.year.unique()), 1)
    assert moved.lost.tolist() == [2004]
    design = np.column_stack([np.ones(500), first["lpop"]])[moved.units, None, : 1 + covariates]
    found = group_time(moved.outcome, moved.start, moved.periods, design, Rule("never"))
    checked = 0
    for k, (g, t) in enumerate(zip(found.cohort.tolist(), found.period.tolist(), strict=True)):
        # The cohort that really starts a period later, up to the last period before that.
        estimate, se = expected[f"{g + 1},{t}"]
        assert found.att[k] == pytest.approx(estimate, abs=CLOSE)
        assert np.sqrt(found.scores[:, k] @ found.scores[:, k]) == pytest.approx(se, abs=CLOSE)
        checked += t >= g
    assert checked == 2
