"""Many sites against R 4.2.2 (sandwich, metafor, nlme): 39 states around 1989."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.designs.its.site_regressions import random_effects
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.newey_west import newey_west

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
CLOSE = 1e-8  # closed forms printed with 15 digits
# nlme and statsmodels stop their searches at different points of a flat likelihood.
SEARCH = 1e-4
OWN = "one regression, site intercepts, errors clustered by site"
MIXED = "mixed model, random intercepts and trends"


@pytest.fixture(scope="module")
def states() -> Any:
    frame = pd.read_csv(FOLDER / "prop99.csv")
    return ev.its(frame, outcome="PacksPerCapita", time="Year", interruption=1989, unit="State",
                  errors="newey-west", lags=1)  # fmt: skip


@pytest.mark.parametrize(("what", "place"), [("level", 0), ("slope", 1)])
def test_every_state_by_its_own_model(states: Any, what: str, place: int) -> None:
    golden, found = GOLDEN["prop99_sites_meta"][what], states.sample.products
    assert list(found["sites"]) == golden["site"]
    assert found["changes"][:, place] == pytest.approx(np.array(golden["yi"]), rel=CLOSE)
    errors = np.sqrt(found["change_covariance"][:, place, place])
    assert errors == pytest.approx(np.array(golden["sei"]), rel=CLOSE)


@pytest.mark.parametrize("what", ["level", "slope"])
def test_states_pooled(states: Any, what: str) -> None:
    golden = GOLDEN["prop99_sites_meta"][what]["REML_HKSJ"]
    row = next(e for e in states.result.estimates if e.term == what)
    # metafor stops the search for the variance between sites at 1e-5.
    assert [row.estimate, row.std_error] == pytest.approx([golden["est"], golden["se"]], rel=2e-5)
    assert [row.conf_low, row.conf_high] == pytest.approx(golden["ci"], rel=2e-5)
    assert row.df == 38


def test_one_regression_with_site_intercepts(states: Any) -> None:
    golden = GOLDEN["prop99_pooled_fe"]
    rows = {e.term: e for e in states.result.estimates}
    for theirs, mine in (("t", "trend"), ("level1", "level"), ("slope1", "slope")):
        row = rows[f"{mine}: {OWN}"]
        assert row.estimate == pytest.approx(golden["coef"][theirs], rel=CLOSE)
        assert row.std_error == pytest.approx(golden["cluster_se_CR1"][theirs], rel=CLOSE)


def test_the_mixed_model(states: Any) -> None:
    golden = GOLDEN["prop99_mixed"]["ri_slope_t"]
    rows = {e.term: e for e in states.result.estimates}
    for theirs, mine in (("t", "trend"), ("level1", "level"), ("slope1", "slope")):
        row = rows[f"{mine}: {MIXED}"]
        assert row.estimate == pytest.approx(golden["coef"][theirs], rel=SEARCH)
        assert row.std_error == pytest.approx(golden["se"][theirs], rel=SEARCH)


@pytest.fixture(scope="module")
def stacked_states() -> tuple[Any, Any, Any, Any]:
    """Return columns (trend, level, slope), outcome, codes and years of all states in one table."""
    frame = pd.read_csv(FOLDER / "prop99.csv").sort_values(["State", "Year"])
    year = frame["Year"].to_numpy()
    late = (year >= 1989).astype(np.float64)
    columns = np.column_stack([year - 1970.0, late, late * (year - 1989)])
    return columns, frame["PacksPerCapita"].to_numpy(), pd.factorize(frame["State"])[0], year


def test_newey_west_within_states(stacked_states: tuple[Any, Any, Any, Any]) -> None:
    columns, y, codes, year = stacked_states
    golden, n, size = GOLDEN["prop99_pooled_fe"], y.size, np.bincount(codes)
    inside = [v - (np.bincount(codes, weights=v) / size)[codes] for v in (*columns.T, y)]
    fit = least_squares(np.column_stack(inside[:3]), inside[3])
    # Periods of different states are never neighbours; R counts the 39 intercepts as coefficients.
    found = newey_west(fit.scores, fit.bread, 1, (year + 1000 * codes).astype(np.int64)) * (n - 3) / (n - 3 - 39)
    for j, name in enumerate(("t", "level1", "slope1")):
        assert fit.coefficients[j] == pytest.approx(golden["coef"][name], rel=CLOSE)
        assert np.sqrt(found[j, j]) == pytest.approx(golden["nw_lag1_within"][name], rel=CLOSE)


def test_random_intercepts_alone(stacked_states: tuple[Any, Any, Any, Any]) -> None:
    columns, y, codes, _ = stacked_states
    golden, X = GOLDEN["prop99_mixed"]["ri"], np.column_stack([np.ones(y.size), columns])
    found = random_effects(X, y, codes, X[:, :1])
    assert found is not None
    for j, name in enumerate(("(Intercept)", "t", "level1", "slope1")):
        assert found[0][j] == pytest.approx(golden["coef"][name], rel=SEARCH)
        assert np.sqrt(found[1][j, j]) == pytest.approx(golden["se"][name], rel=2 * SEARCH)
