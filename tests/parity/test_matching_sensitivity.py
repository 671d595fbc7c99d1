"""Abadie-Imbens errors, Rosenbaum bounds and omitted-covariate values on lalonde against R packages and formulae.

The reference file states for every entry the call or the formula that made it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.abadie_imbens import abadie_imbens, arm_predictions, conditional_variances
from evaltoolkit.kernels.omitted_variables import e_value, moments, regression, robustness_value
from evaltoolkit.kernels.pairing import Pairs, Rule, pair_nearest
from evaltoolkit.kernels.rosenbaum import sign_bound, signed_rank, signed_rank_bound

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "matching_golden.json").exists(), reason="reference values are not here")

# The file prints 15 digits; 1e-8 leaves room for another order of summation and nothing more.
CLOSE = 1e-8


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / "matching_golden.json").read_text())
    return read


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "lalonde.csv")


def covariates(people: pd.DataFrame) -> np.ndarray:
    columns = [people["age"], people["educ"], people["race"] == "black", people["race"] == "hispan"]
    return np.column_stack([*columns, *(people[c] for c in ("married", "nodegree", "re74", "re75"))]).astype(float)


def both_ways(score: np.ndarray, treated: np.ndarray) -> Pairs:
    rule = Rule(replace=True, ties="average")
    a, b = pair_nearest(score, treated, rule), pair_nearest(score, ~treated, rule)
    return Pairs(*(np.concatenate([getattr(a, k), getattr(b, k)]) for k in ("focal", "match", "weight")))


@pytest.mark.parametrize("key", ["ps_att_m1", "ps_ate_m1", "ps_att_m1_varcalc1"])
def test_matching_on_the_score_with_replacement(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    score, y = np.array(golden["ps_logit"]["ps"]), people["re78"].to_numpy(float)
    treated = people["treat"].to_numpy() == 1
    if key == "ps_ate_m1":
        pairs = both_ways(score, treated)
    else:
        pairs = pair_nearest(score, treated, Rule(replace=True, ties="average"))
    variances = conditional_variances(score, y, treated, 1) if key.endswith("varcalc1") else None
    found = abadie_imbens(y, treated, pairs, variances)
    assert found.estimate == pytest.approx(golden["abadie_imbens"][key]["est"], rel=CLOSE)
    assert found.std_error == pytest.approx(golden["abadie_imbens"][key]["ai_se"], rel=CLOSE)


def test_bias_adjusted_mahalanobis_matching(golden: dict[str, Any], people: pd.DataFrame) -> None:
    X, y, treated = covariates(people), people["re78"].to_numpy(float), people["treat"].to_numpy() == 1
    Z = X @ np.linalg.cholesky(np.linalg.inv(np.cov(X.T)))
    focal, match, weight = [], [], []
    for i in np.flatnonzero(treated):
        distance = np.where(treated, np.inf, ((Z - Z[i]) ** 2).sum(axis=1))
        # Equal distances differ in the last digits after the change of coordinates.
        near = np.flatnonzero(distance <= distance.min() + 1e-9)
        focal += [i] * near.size
        match += near.tolist()
        weight += [1 / near.size] * near.size
    pairs = Pairs(np.array(focal), np.array(match), np.array(weight))
    expected = golden["abadie_imbens"]["mah_att_m1_biasadj"]
    plain = abadie_imbens(y, treated, pairs)
    found = abadie_imbens(y, treated, pairs, predicted=arm_predictions(X, y, treated, pairs))
    assert plain.estimate == pytest.approx(expected["est_noadj"], rel=CLOSE)
    assert found.estimate == pytest.approx(expected["est"], rel=CLOSE)
    assert found.std_error == pytest.approx(expected["ai_se"], rel=CLOSE)


def pair_rows(golden: dict[str, Any], key: str) -> tuple[np.ndarray, np.ndarray]:
    made = [(e["focal"], e["matches"][0]) for e in golden[key]["matches0"] if e["matches"]]
    return np.array([a for a, _ in made]), np.array([b for _, b in made])


@pytest.mark.parametrize(
    ("key", "entry", "direction"),
    [
        ("nearest_1to1", "signed_rank_greater", "greater"),
        ("nearest_1to1", "signed_rank_less", "less"),
        ("nearest_caliper02", "caliper02_greater", "greater"),
    ],
)
def test_signed_rank_bounds(golden: dict[str, Any], people: pd.DataFrame, key: str, entry: str, direction: Any) -> None:
    a, b = pair_rows(golden, key)
    y = people["re78"].to_numpy(float)
    found, expected = signed_rank(y[a] - y[b]), golden["rosenbaum"][entry]
    # The file counts T for its own direction.
    statistic = found.statistic if direction == "greater" else found.ranks.sum() - found.statistic
    assert statistic in (expected["T"], found.ranks.sum() - expected["T"])
    assert found.zeros == expected["n_zero"]
    for row in expected["bounds"]:
        assert signed_rank_bound(found, row["gamma"], direction) == pytest.approx(row["p_upper"], rel=CLOSE)
        assert signed_rank_bound(found, 1 / row["gamma"], direction) == pytest.approx(row["p_lower"], rel=CLOSE)


def test_yes_no_bounds(golden: dict[str, Any], people: pd.DataFrame) -> None:
    a, b = pair_rows(golden, "nearest_1to1")
    employed = people["re78"].to_numpy() > 0
    more, less = int((employed[a] & ~employed[b]).sum()), int((~employed[a] & employed[b]).sum())
    expected = golden["rosenbaum"]["binary"]
    assert (more, less) == (expected["discordant_treated_only"], expected["discordant_control_only"])
    for row in expected["bounds"]:
        assert sign_bound(more, less, row["gamma"]) == pytest.approx(row["p_upper"], rel=CLOSE)
        assert sign_bound(more, less, 1 / row["gamma"]) == pytest.approx(row["p_lower"], rel=CLOSE)


def test_robustness_values(golden: dict[str, Any], people: pd.DataFrame) -> None:
    y, t = people["re78"].to_numpy(float), people["treat"].to_numpy(float)
    found, expected = regression(moments(y, t, covariates(people), np.ones(t.size))), golden["sensemakr_formula"]
    ratio = found.estimate / found.std_error
    assert ratio == pytest.approx(expected["t"], rel=CLOSE)
    assert found.df == expected["dof"]
    assert found.partial_r2 == pytest.approx(expected["partial_r2"], rel=CLOSE)
    assert robustness_value(ratio, found.df) == pytest.approx(expected["rv_q1"], rel=CLOSE)
    # Cancellation: the value is the small difference of two numbers a hundred times as large.
    close = pytest.approx(expected["rv_q1_alpha05"], rel=1e-6)
    assert robustness_value(ratio, found.df, alpha=0.05) == close


def test_e_values(golden: dict[str, Any]) -> None:
    for row in golden["evalue_formula"]:
        assert e_value(row["rr"]) == pytest.approx(row["evalue"], rel=CLOSE)
