"""Decompositions of two-way coefficients against R bacondecomp 0.1.3 and, on mpdta, diff-diff 3.13."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.bacon import bacon
from evaltoolkit.kernels.cohorts import NEVER

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

CLOSE = 1e-10


def golden(name: str) -> Any:
    entries = json.loads((FOLDER / "did_golden.json").read_text())["entries"]
    return next(e["values"] for e in entries if e["id"] == name)


def castle() -> tuple[Any, ...]:
    frame = pd.read_csv(FOLDER / "castle.csv")
    start = frame.groupby("sid").effyear.first().to_numpy()
    periods = np.sort(frame.year.unique())

    def wide(name: str) -> np.ndarray:
        return frame.pivot(index="sid", columns="year", values=name).to_numpy(dtype=np.float64)

    covariates = np.stack([wide("l_income"), wide("l_prisoner")], axis=2)
    return wide("l_homicide"), np.where(start == 0, NEVER, start).astype(np.int64), periods, covariates


def name(start: int) -> str:
    return "never" if start == NEVER else str(start)


def test_castle() -> None:
    y, start, periods, _ = castle()
    expected, found = golden("bacon.castle"), bacon(y, start, periods)
    assert found.coefficient == pytest.approx(expected["twfe"], abs=CLOSE)
    pairs = {(p["treated"], p["untreated"]): p for p in expected["pairs"]}
    assert len(found.kind) == len(pairs)
    for k, m, weight, estimate in zip(found.treated, found.comparison, found.weight, found.estimate, strict=True):
        assert weight == pytest.approx(pairs[name(k), name(m)]["weight"], abs=CLOSE)
        assert estimate == pytest.approx(pairs[name(k), name(m)]["est"], abs=CLOSE)
    words = {
        "Earlier vs Later Treated": "earlier-later",
        "Later vs Earlier Treated": "later-earlier",
        "Treated vs Untreated": "treated-never",
    }
    totals = found.totals()
    assert len(totals) == 3
    for row in expected["by_type"]:
        assert totals[words[row["type"]]] == pytest.approx((row["weight"], row["avg_est"]), abs=CLOSE)  # type: ignore[index]


def test_weighted_castle() -> None:
    """R fixest's weighted coefficient; bacondecomp takes no weights."""
    y, start, periods, _ = castle()
    w = pd.read_csv(FOLDER / "castle.csv").groupby("sid").popwt.first().to_numpy(dtype=np.float64)
    found = bacon(y, start, periods, w)
    assert found.coefficient == pytest.approx(golden("twfe.castle.w")[0]["est"], abs=CLOSE)
    assert found.contribution.sum() == pytest.approx(found.coefficient, abs=CLOSE)
    assert "remainder" not in found.kind


def test_castle_with_covariates() -> None:
    y, start, periods, x = castle()
    expected, found = golden("bacon.castle.x"), bacon(y, start, periods, covariates=x)
    assert found.coefficient == pytest.approx(expected["twfe"], abs=CLOSE)
    omega, within = found.totals()["within"]
    assert (omega, within) == pytest.approx((expected["Omega"], expected["beta_hat_w"]), abs=CLOSE)
    pairs = {(p["treated"], p["untreated"]): p for p in expected["pairs"]}
    rows = [i for i, kind in enumerate(found.kind) if kind != "within"]
    assert len(rows) == len(pairs)
    for i in rows:
        row = pairs[name(found.treated[i]), name(found.comparison[i])]
        assert found.weight[i] / (1 - omega) == pytest.approx(row["weight"], abs=CLOSE)
        assert found.estimate[i] == pytest.approx(row["est"], abs=CLOSE)


def test_mpdta() -> None:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    small = json.loads((FOLDER / "did_mpdta_golden.json").read_text())["other_estimators"]
    expected = small["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff Bacon"]
    y = frame.pivot(index="countyreal", columns="year", values="lemp").to_numpy()
    start = frame.groupby("countyreal").first_treat.first().to_numpy()
    found = bacon(y, np.where(start == 0, NEVER, start), np.sort(frame.year.unique()))
    assert found.coefficient == pytest.approx(expected["twfe_estimate"], abs=CLOSE)
    kinds = {
        "earlier-later": "earlier_vs_later",
        "later-earlier": "later_vs_earlier",
        "treated-never": "treated_vs_never",
    }
    assert set(found.totals()) == set(kinds)
    for kind, (weight, estimate) in found.totals().items():
        assert weight == pytest.approx(expected[f"total_weight_{kinds[kind]}"], abs=CLOSE)
        assert estimate == pytest.approx(expected[f"weighted_avg_{kinds[kind]}"], abs=CLOSE)
