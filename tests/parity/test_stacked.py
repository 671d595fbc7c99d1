"""Stacked difference-in-differences on mpdta against Python diff-diff 3.13.0."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import group_time
from evaltoolkit.kernels.stacked import Window, stacked

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_mpdta_golden.json").exists(), reason="reference values are not here")

PERIODS = np.arange(2003, 2008)


def mpdta() -> tuple[np.ndarray, np.ndarray]:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    start = frame.groupby("countyreal")["first_treat"].first().to_numpy()
    y = frame.pivot(index="countyreal", columns="year", values="lemp").to_numpy(dtype=np.float64)
    return y, np.where(start == 0, NEVER, start).astype(np.int64)


def test_one_period_before_and_none_after() -> None:
    golden = json.loads((FOLDER / "did_mpdta_golden.json").read_text())["other_estimators"]
    estimate, se = golden["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff stacked(1,0)"]["overall"]
    y, start = mpdta()
    found = stacked(y, start, PERIODS, Window(1, 0))
    assert found.overall == pytest.approx(estimate, abs=1e-12)
    assert np.sqrt(found.overall_scores @ found.overall_scores) == pytest.approx(se, abs=1e-12)


def test_average_of_r_did_cells() -> None:
    """The estimand: R did's not-yet-treated effects in the period of the start, weighted by the cohorts' counties."""
    table = json.loads((FOLDER / "did_mpdta_golden.json").read_text())["callaway_santanna"]
    cells = table["dr|notyet|none|universal"]["attgt"]
    y, start = mpdta()
    counts = {g: int((start == g).sum()) for g in (2004, 2006, 2007)}
    expected = sum(n * cells[f"{g},{g}"][0] for g, n in counts.items()) / sum(counts.values())
    assert stacked(y, start, PERIODS, Window(1, 0)).overall == pytest.approx(expected, abs=1e-9)


def test_never_treated_window() -> None:
    """With never-treated units alone, each event time averages the cells of the cohorts that have the window."""
    y, start = mpdta()
    found = stacked(y, start, PERIODS, Window(1, 1, "never"))
    assert found.cohort.tolist() == [2004, 2006]
    assert found.trimmed.tolist() == [2007]
    cells = group_time(y, start, PERIODS, np.ones((500, 1, 1)), Rule("never"))
    for e, value in zip(found.event_time.tolist(), found.effects, strict=True):
        parts = [cells.att[(cells.cohort == g) & (cells.event_time == e)][0] for g in (2004, 2006)]
        assert value == pytest.approx((20 * parts[0] + 40 * parts[1]) / 60, abs=1e-12)
