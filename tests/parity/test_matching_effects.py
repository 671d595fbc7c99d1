"""Effects after every way of matching in the reference file, from its own weights and sets: means, ratios and errors.

The file states the R calls: lm or glm (quasibinomial) on the matched data, ``sandwich::vcovCL`` (HC1, by subclass) or
``vcovHC`` (HC1), g-computation averaged over the treated, delta-method errors.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.kernels.g_computation import Family, outcome_model, standardize
from evaltoolkit.kernels.sandwich import clustered, heteroskedastic

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
FILE = FOLDER / "matching_golden.json"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
SPECS = [key for key, entry in GOLDEN.items() if isinstance(entry, dict) and "effect" in entry]

# The file prints 15 digits; sums in another order.
CLOSE = 1e-8
# R stops its logit at a relative change of 1e-8 in the deviance.
LOGIT = 1e-7
COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "lalonde.csv").assign(employed=lambda d: (d["re78"] > 0).astype(int))


def clusters(entry: dict[str, Any]) -> np.ndarray | None:
    """Return the subclass that R clustered by, by row; None where it did not."""
    if "vcovCL" not in entry["effect"]["note"]:
        return None
    if "subclass" in entry:
        return np.asarray(pd.factorize(np.array(entry["subclass"], dtype=object))[0], dtype=np.int64)
    found = np.full(len(entry["weights"]), -1, dtype=np.int64)
    for pair in entry["matches0"]:
        found[[pair["focal"], *pair["matches"]]] = pair["focal"]
    return found


def told(people: pd.DataFrame, entry: dict[str, Any], outcome: str, family: Family, *, adjusted: bool) -> Any:
    """Return means without and with treatment, and their covariance."""
    race = pd.get_dummies(people["race"], drop_first=True)
    X = np.column_stack([people[[c for c in COVARIATES if c != "race"]], race]).astype(float)
    X = (X - X.mean(axis=0)) / X.std(axis=0) if adjusted else X[:, :0]
    t, w = people["treat"].to_numpy(float), np.array(entry["weights"], dtype=float)

    def design(a: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(a.size), a, X, a[:, None] * X])

    used, target = w > 0, (w > 0) & (t == 1)
    fit = outcome_model(design(t)[used], people[outcome].to_numpy(float)[used], w[used], family)
    found = standardize(fit, design(0 * t)[target], design(0 * t + 1)[target], w[target])
    groups = clusters(entry)
    v = heteroskedastic(fit.scores, fit.bread) if groups is None else clustered(fit.scores, fit.bread, groups[used])
    return found.means, found.slopes @ v.matrix @ found.slopes.T


@pytest.mark.parametrize("key", SPECS)
def test_difference_in_means(people: pd.DataFrame, key: str) -> None:
    expected = GOLDEN[key]["effect"]
    means, v = told(people, GOLDEN[key], "re78", "gaussian", adjusted=False)
    assert means[1] - means[0] == pytest.approx(expected["diff_in_means"], rel=CLOSE)
    assert np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]) == pytest.approx(expected["se"], rel=CLOSE)


@pytest.mark.parametrize("key", [key for key in SPECS if "gcomp_interacted" in GOLDEN[key]["effect"]])
def test_interacted_regression(people: pd.DataFrame, key: str) -> None:
    expected = GOLDEN[key]["effect"]["gcomp_interacted"]
    means, v = told(people, GOLDEN[key], "re78", "gaussian", adjusted=True)
    assert means == pytest.approx([expected["mean0"], expected["mean1"]], rel=CLOSE)
    assert np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]) == pytest.approx(expected["se_diff"], rel=CLOSE)


@pytest.mark.parametrize("key", SPECS)
def test_logit_with_ratios(people: pd.DataFrame, key: str) -> None:
    expected = GOLDEN[key]["effect"]["gcomp_logit_emp"]
    means, v = told(people, GOLDEN[key], "employed", "binomial", adjusted=False)
    assert means == pytest.approx([expected["mean0"], expected["mean1"]], rel=LOGIT)
    sides = np.array([-1.0, 1.0])
    slopes = {"diff": sides, "log_rr": sides / means, "log_or": sides / (means * (1 - means))}
    values = {"diff": means, "log_rr": np.log(means), "log_or": np.log(means / (1 - means))}
    for name, slope in slopes.items():
        assert sides @ values[name] == pytest.approx(expected[name], rel=LOGIT, abs=1e-9)
        assert np.sqrt(slope @ v @ slope) == pytest.approx(expected[f"se_{name}"], rel=LOGIT)


# Methods whose sets are unique, so that the whole way from data to error is the same.
WHOLE = {
    "nearest_1to1": {},
    "nearest_ratio2": {"ratio": 2},
    "subclass6_att": {"method": "subclass", "subclasses": 6},
    "cem_default": {"method": "coarsened-exact"},
    "exact_race_married_nodegree": {"method": "exact", "covariates": ["race", "married", "nodegree"]},
}


@pytest.mark.parametrize("key", WHOLE)
def test_from_the_data_to_the_error(people: pd.DataFrame, key: str) -> None:
    settings = {"covariates": COVARIATES, "caliper": None, "rows": "aggregates"} | WHOLE[key]
    result = ev.match(people, treated="treat", outcome="re78", effect="difference", **settings).result
    expected = GOLDEN[key]["effect"]
    assert result.headline.estimate == pytest.approx(expected["diff_in_means"], rel=CLOSE)
    assert result.headline.std_error == pytest.approx(expected["se"], rel=CLOSE)
    if "gcomp_interacted" in expected:
        other = next(e for e in result.estimates if e.kind == "variant")
        assert other.estimate == pytest.approx(expected["gcomp_interacted"]["diff"], rel=CLOSE)
        assert other.std_error == pytest.approx(expected["gcomp_interacted"]["se_diff"], rel=CLOSE)


def test_a_dozen_strata_do_not_carry_an_adjusted_model(people: pd.DataFrame) -> None:
    """By stratum the error of the adjusted effect would be 313, half of what people say; so it is not by stratum."""
    settings = {"covariates": ["race", "married", "nodegree"], "method": "exact", "rows": "aggregates"}
    result = ev.match(people, treated="treat", outcome="re78", effect="regression", **settings).result
    assert result.headline.inference.startswith("HC1")
    assert result.headline.std_error > 600
    errors = next(m for m in result.statements.methods if m.title == "Standard errors").text
    assert "too few to group by" in errors
