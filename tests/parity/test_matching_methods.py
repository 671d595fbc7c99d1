"""Every method of matching against MatchIt 4.7.2 (R) on lalonde, from the stored score and through the front door.

The reference file states for every entry the R call that made it.
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
from evaltoolkit.kernels.distances import pair_nearest_points, straightened
from evaltoolkit.kernels.grouping import coarsened, same_values, set_weights, subclasses
from evaltoolkit.kernels.optimal import full_match, pair_optimal
from evaltoolkit.kernels.pairing import Constraints, Rule, matching_weights, pair_nearest

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "matching_golden.json").exists(), reason="reference values are not here")

# The file prints 15 digits; 1e-8 leaves room for another order of summation and nothing more.
CLOSE = 1e-8
COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
LEVELS = ("black", "hispan", "white")
ON = ["age", "educ", "re74", "re75"]
PAIRED: dict[str, dict[str, Any]] = {
    "nearest_mahalanobis": {"distance": "mahalanobis"},
    "nearest_mahvars_pscaliper": {"distance": "mahalanobis", "match_on": ON, "caliper": 0.25},
    "nearest_caliper_ps_age": {"caliper": 0.2, "calipers": {"age": 3}},
    "nearest_discard_both": {"caliper": None, "common_support": "both"},
    "optimal_1to1_tol1e9": {"method": "optimal"},
}
GROUPED: dict[str, dict[str, Any]] = {
    "subclass6_att": {"method": "subclass"},
    "exact_race_married_nodegree": {"method": "exact", "exact": ["race", "married", "nodegree"]},
    "cem_default": {"method": "coarsened-exact"},
    "full_ps_att_tol1e9": {"method": "full"},
}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / "matching_golden.json").read_text())
    return read


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "lalonde.csv")


def run(people: pd.DataFrame, **changes: Any) -> Any:
    settings = {"covariates": COVARIATES, "effect": "difference", **changes}
    return ev.match(people, treated="treat", outcome="re78", **settings)


def partners(pairs: Any, treated: np.ndarray) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {int(i): [] for i in np.flatnonzero(treated)}
    for i, j in zip(pairs.focal.tolist(), pairs.match.tolist(), strict=True):
        found[i].append(j)
    return found


def expected_partners(entry: dict[str, Any]) -> dict[int, list[int]]:
    return {e["focal"]: e["matches"] for e in entry["matches0"]}


@pytest.mark.parametrize("key", [key for key in PAIRED if not key.startswith("optimal")])
def test_every_pair_is_the_same_through_the_front_door(golden: Any, people: pd.DataFrame, key: str) -> None:
    pairs = run(people, **PAIRED[key]).sample.products["pairs"]
    assert partners(pairs, people["treat"].to_numpy() == 1) == expected_partners(golden[key])


@pytest.mark.parametrize("key", [*PAIRED, *GROUPED])
def test_weights_sizes_and_difference(golden: Any, people: pd.DataFrame, key: str) -> None:
    entry = golden[key]
    m = run(people, **(PAIRED | GROUPED)[key])
    weights = m.sample.products["weights"]
    np.testing.assert_allclose(weights, entry["weights"], rtol=CLOSE, atol=1e-12)
    treated = people["treat"].to_numpy() == 1
    for name, group in (("Treated", treated), ("Control", ~treated)):
        assert (group & (weights > 0)).sum() == entry["sample_sizes"]["Matched"][name]
    if "effect" in entry:
        assert m.result.headline.estimate == pytest.approx(entry["effect"]["diff_in_means"], rel=CLOSE)
        if key != "full_ps_att_tol1e9":  # which of equally good sets somebody is in is not unique, and errors follow it
            assert m.result.headline.std_error == pytest.approx(entry["effect"]["se"], rel=CLOSE)


@pytest.mark.parametrize("key", ["subclass6_att", "cem_default", "full_ps_att_tol1e9"])
def test_regression_averages_over_the_treated(golden: Any, people: pd.DataFrame, key: str) -> None:
    entry = golden[key]["effect"]["gcomp_interacted"]
    found = run(people, **GROUPED[key], effect="regression").result.headline
    assert found.estimate == pytest.approx(entry["diff"], rel=CLOSE)


def score_of(golden: Any) -> np.ndarray:
    return np.array(golden["ps_logit"]["ps"])


def all_levels(people: pd.DataFrame) -> np.ndarray:
    levels = [(people["race"] == level).to_numpy() / np.sqrt(2) for level in LEVELS]
    numbers = [people[name].to_numpy(float) for name in ("married", "nodegree", "re74", "re75")]
    return np.column_stack([people["age"], people["educ"], *levels, *numbers]).astype(float)


def test_pairs_from_the_stored_score(golden: Any, people: pd.DataFrame) -> None:
    ps, treated = score_of(golden), people["treat"].to_numpy() == 1
    found = {
        "nearest_mahalanobis": pair_nearest_points(
            straightened(all_levels(people), treated), treated, Rule(order="data")
        ),
        "nearest_mahvars_pscaliper": pair_nearest_points(
            straightened(people[ON].to_numpy(float), treated), treated, Rule(), turn=ps,
            constraints=Constraints(ps[:, None], np.array([0.25 * ps.std(ddof=1)])),
        ),
        "nearest_caliper_ps_age": pair_nearest(
            ps, treated, Rule(caliper=0.2 * ps.std(ddof=1)),
            constraints=Constraints(people[["age"]].to_numpy(float), np.array([3.0])),
        ),
    }  # fmt: skip
    for key, pairs in found.items():
        assert partners(pairs, treated) == expected_partners(golden[key]), key


def test_strata_from_the_stored_score(golden: Any, people: pd.DataFrame) -> None:
    ps, treated = score_of(golden), people["treat"].to_numpy() == 1
    sets, cuts = subclasses(ps, treated, 6)
    np.testing.assert_allclose(cuts, golden["subclass6_att"]["cutpoints"], rtol=CLOSE)
    assert (sets + 1).tolist() == [int(s) for s in golden["subclass6_att"]["subclass"]]
    numbers = [coarsened(people[c].to_numpy(float)) for c in COVARIATES if c != "race"]
    cem = same_values([people["race"].to_numpy(), *numbers], treated)
    np.testing.assert_allclose(set_weights(cem, treated), golden["cem_default"]["weights"], rtol=CLOSE)


def test_the_optimum_is_reached(golden: Any, people: pd.DataFrame) -> None:
    """R's solvers stop short of it at their default tolerance; the stored optimum is from scipy's solvers."""
    ps, treated = score_of(golden), people["treat"].to_numpy() == 1
    pairs = pair_optimal(ps, treated)
    total = np.abs(ps[pairs.focal] - ps[pairs.match]).sum()
    assert total == pytest.approx(golden["exact_optima"]["pair_1to1"], abs=1e-10)
    assert total < golden["optimal_1to1"]["total_abs_ps_distance"]
    np.testing.assert_array_equal(
        matching_weights(pairs, treated) > 0, np.array(golden["optimal_1to1_tol1e9"]["weights"]) > 0
    )
    full = full_match(ps, treated)
    assert full.total == pytest.approx(golden["exact_optima"]["full_edge_cover"], abs=1e-10)
    assert full.total < golden["full_ps_att"]["total_abs_ps_distance"]


def test_matching_everybody_both_ways_is_the_average_effect(golden: Any, people: pd.DataFrame) -> None:
    m = run(people, replace=True, ties="average", caliper=None, estimand="ATE")
    assert m.result.headline.estimate == pytest.approx(golden["abadie_imbens"]["ps_ate_m1"]["est"], rel=CLOSE)
