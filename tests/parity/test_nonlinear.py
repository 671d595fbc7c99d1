"""Poisson two-way effects against R fixest, and the extended two-way model against R etwfe (linear there)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.nonlinear import NEVER, Observed, nonlinear_group_time
from evaltoolkit.kernels.nonlinear_average import average
from evaltoolkit.kernels.nonlinear_twoway import poisson_two_way, treatment_table

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

GOLDEN: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
KINDS = {"simple": "simple", "group": "group", "calendar": "calendar", "event": "dynamic"}


def wide(frame: pd.DataFrame, unit: str, column: str) -> np.ndarray:
    ordered = frame.sort_values([unit, "year"])
    return ordered[column].to_numpy(dtype=float).reshape(frame[unit].nunique(), -1)


def test_poisson_with_unit_and_period_effects_equals_fixest() -> None:
    frame = pd.read_csv(FOLDER / "castle.csv")
    entry = GOLDEN["ppml.castle"]
    golden = entry["values"][0]
    post, people = (wide(frame, "sid", c) for c in ("post", "population"))
    found = poisson_two_way(wide(frame, "sid", "homicide_c"), post[:, :, None], exposure=people)
    error = float(np.sqrt(found.scores.T @ found.scores)[0, 0])
    assert found.coefficients[0] == pytest.approx(golden["est"], rel=entry["tol"]["rel_est"])
    assert error == pytest.approx(golden["se"], rel=entry["tol"]["rel_se"])
    # fixest refers a Poisson coefficient to the normal distribution.
    assert 2 * stats.norm.sf(found.coefficients[0] / error) == pytest.approx(golden["p"], rel=1e-5)
    start = wide(frame, "sid", "effyear")[:, 0].astype(np.int64)
    table, row = treatment_table(np.where(start == 0, NEVER, start), np.arange(2000, 2011))
    assert np.array_equal(table[row][:, :, 0], post)
    shared = poisson_two_way(wide(frame, "sid", "homicide_c"), table, row, people)
    assert shared.coefficients[0] == pytest.approx(golden["est"], rel=entry["tol"]["rel_est"])


@pytest.mark.parametrize("comparison", ["notyet", "never"])
@pytest.mark.parametrize("covariates", ["none", "lpop"])
def test_the_linear_case_equals_etwfe(covariates: str, comparison: str) -> None:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    entry = GOLDEN[f"etwfe.mpdta.{covariates}.{comparison}"]
    start = wide(frame, "countyreal", "first_treat")[:, 0].astype(np.int64)
    observed = Observed(
        wide(frame, "countyreal", "lemp"), np.where(start == 0, NEVER, start), np.arange(2003, 2008),
        covariates=None if covariates == "none" else wide(frame, "countyreal", "lpop")[:, :1],
    )  # fmt: skip
    rule = Rule("never" if comparison == "never" else "not-yet")
    found = nonlinear_group_time(observed, "linear", rule)
    assert set(found.status) == {"estimated"}
    compared = 0
    for name, kind in KINDS.items():
        got = average(kind, found)  # type: ignore[arg-type]
        for golden in entry["values"][name]:
            if golden["se"] is None:  # the period before the start, zero by definition
                continue
            at = got.labels.tolist().index(golden["by"]) if name != "simple" else 0
            value, score = (
                (got.rows[at], got.row_scores[:, at]) if name != "simple" else (got.overall, got.overall_scores)
            )
            assert value == pytest.approx(golden["est"], rel=1e-8, abs=1e-10)
            # R differentiates by differences; the tolerance stored with the entry is 1e-4.
            assert np.sqrt(score @ score) == pytest.approx(golden["se"], rel=1e-7)
            compared += 1
    assert compared == sum(1 for name in KINDS for g in entry["values"][name] if g["se"] is not None)
