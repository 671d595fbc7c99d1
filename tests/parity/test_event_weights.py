"""Weights put published cohort effects together again into the two-way coefficients that R fixest reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.event_weights import Dynamics, event_study_weights, robustness, static_weights
from evaltoolkit.kernels.group_time import group_time

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

CLOSE = 1e-9  # the sums of estimates that R prints with 15 digits


def golden(name: str) -> Any:
    entries = json.loads((FOLDER / "did_golden.json").read_text())["entries"]
    return next(e["values"] for e in entries if e["id"] == name)


def panel(file: str, unit: str, cohort: str, outcome: str) -> tuple[Any, ...]:
    frame = pd.read_csv(FOLDER / file)
    start = frame.groupby(unit)[cohort].first().to_numpy()
    y = frame.pivot(index=unit, columns="year", values=outcome).to_numpy(dtype=np.float64)
    return y, np.where(start == 0, NEVER, start).astype(np.int64), np.sort(frame.year.unique()), frame


def mpdta_effects(cohort: np.ndarray, period: np.ndarray) -> np.ndarray:
    """R did's effects with the last period before the start as base: those of Sun and Abraham's regression."""
    cells = json.loads((FOLDER / "did_mpdta_golden.json").read_text())["callaway_santanna"]
    table = cells["dr|never|none|universal"]["attgt"]
    return np.array([table[f"{g},{t}"][0] for g, t in zip(cohort, period, strict=True)])


def test_event_study_of_mpdta() -> None:
    _, start, periods, _ = panel("mpdta.csv", "countyreal", "first_treat", "lemp")
    found = event_study_weights(start, periods)
    expected = {int(r["term"].split("::")[1]): r["est"] for r in golden("event.mpdta")}
    assert found.labels.tolist() == sorted(expected)
    got = found.weight @ mpdta_effects(found.cohort, found.period)
    assert got == pytest.approx([expected[e] for e in sorted(expected)], abs=CLOSE)


def test_static_coefficient_of_mpdta() -> None:
    _, start, periods, _ = panel("mpdta.csv", "countyreal", "first_treat", "lemp")
    found = static_weights(start, periods)
    coefficient = golden("twfe.mpdta.cr2_state")[0]["est"]
    assert found.weight @ mpdta_effects(found.cohort, found.period) == pytest.approx(coefficient, abs=CLOSE)
    # By hand: 20 counties start in 2004, 40 in 2006, 131 in 2007, 309 never; only 2004 in 2007 has 1 - 4/5 - 191/500 +
    # 291/2500 below zero.
    assert found.n_negative == 1
    left = {2004: 1 - 4 / 5, 2006: 1 - 2 / 5, 2007: 1 - 1 / 5}
    treated = {2004: 20, 2005: 20, 2006: 60, 2007: 191}
    size = {2004: 20, 2006: 40, 2007: 131}
    cells = [(g, t) for g in size for t in treated if t >= g]
    raw = np.array([size[g] * (left[g] - treated[t] / 500 + 291 / 2500) for g, t in cells])
    assert found.weight[found.treated] == pytest.approx(raw / raw.sum(), abs=1e-12)
    got = robustness(found, coefficient)
    assert got.opposite is not None
    assert got.opposite > got.zero


@pytest.mark.parametrize("kind", ["event", "static"])
def test_weighted_castle(kind: str) -> None:
    y, start, periods, frame = panel("castle.csv", "sid", "effyear", "l_homicide")
    w = frame.groupby("sid").popwt.first().to_numpy(dtype=np.float64)
    rule = Rule("never", base_period="universal")
    effects = group_time(y, start, periods, np.ones((y.shape[0], 1, 1)), rule, weights=w)
    table = dict(zip(zip(effects.cohort.tolist(), effects.period.tolist(), strict=True), effects.att, strict=True))
    if kind == "static":
        static = static_weights(start, periods, weights=w)
        got = sum(
            v * table[g, t]
            for g, t, v in zip(static.cohort.tolist(), static.period.tolist(), static.weight, strict=True)
        )
        assert got == pytest.approx(golden("twfe.castle.w")[0]["est"], abs=CLOSE)
        return
    found = event_study_weights(start, periods, Dynamics(), weights=w)
    values = np.array([table[g, t] for g, t in zip(found.cohort.tolist(), found.period.tolist(), strict=True)])
    expected = {int(r["term"].split("::")[1]): r["est"] for r in golden("event.castle")}
    assert found.labels.tolist() == sorted(expected)
    assert found.weight @ values == pytest.approx([expected[e] for e in sorted(expected)], abs=CLOSE)
