"""Pairs, weights, balance and effects against MatchIt 4.7.2 (R) on lalonde, for the settings that are offered.

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

from evaltoolkit.kernels.balance import balance, effective_size, standard_deviations
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.pairing import Pairs, Rule, matching_weights, pair_nearest
from evaltoolkit.kernels.sandwich import clustered, clustered_two_ways, heteroskedastic

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "matching_golden.json").exists(), reason="reference values are not here")

# The file prints 15 digits; 1e-8 leaves room for another order of summation and nothing more.
CLOSE = 1e-8
SETTINGS: dict[str, dict[str, Any]] = {
    "nearest_1to1": {},
    "nearest_caliper02": {"caliper": 0.2},
    "nearest_replace": {"replace": True},
    "nearest_ratio2": {"ratio": 2},
    "nearest_exact_race": {"exact": ["race"]},
    "nearest_atc_replace": {"replace": True, "estimand": "ATC"},
}
COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
SHOWN = ["age", "educ", "raceblack", "racehispan", "racewhite", "married", "nodegree", "re74", "re75"]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / "matching_golden.json").read_text())
    return read


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "lalonde.csv")


def paired(golden: dict[str, Any], people: pd.DataFrame, key: str) -> tuple[Pairs, np.ndarray]:
    setting = SETTINGS[key]
    ps = np.array(golden["ps_logit"]["ps"])
    focal = people["treat"].to_numpy() == (0 if setting.get("estimand") == "ATC" else 1)
    strata = pd.factorize(people["race"])[0].astype(np.int64) if "exact" in setting else None
    caliper = setting["caliper"] * ps.std(ddof=1) if "caliper" in setting else None
    rule = Rule(
        ratio=setting.get("ratio", 1), caliper=caliper, replace=setting.get("replace", False),
        order="smallest" if setting.get("estimand") == "ATC" else "largest",
    )  # fmt: skip
    return pair_nearest(ps, focal, rule, strata), focal


def as_lists(pairs: Pairs, focal: np.ndarray) -> dict[int, list[int]]:
    lists: dict[int, list[int]] = {int(i): [] for i in np.flatnonzero(focal)}
    for i, j in zip(pairs.focal.tolist(), pairs.match.tolist(), strict=True):
        lists[i].append(j)
    return lists


@pytest.mark.parametrize("key", SETTINGS)
def test_every_pair_is_the_same(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    pairs, focal = paired(golden, people, key)
    assert as_lists(pairs, focal) == {e["focal"]: e["matches"] for e in golden[key]["matches0"]}


@pytest.mark.parametrize("key", SETTINGS)
def test_weights_and_sample_sizes(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    pairs, focal = paired(golden, people, key)
    weights = matching_weights(pairs, focal)
    np.testing.assert_allclose(weights, golden[key]["weights"], rtol=CLOSE, atol=0)
    treated = people["treat"].to_numpy() == 1
    for name, group in (("Treated", treated), ("Control", ~treated)):
        sizes = {part: row[name] for part, row in golden[key]["sample_sizes"].items()}
        assert (group & (weights > 0)).sum() == sizes["Matched"]
        assert (group & (weights == 0)).sum() == sizes["Unmatched"]
        assert effective_size(weights[group]) == pytest.approx(sizes["Matched (ESS)"], rel=CLOSE)


def table(people: pd.DataFrame, golden: dict[str, Any]) -> np.ndarray:
    columns = [np.array(golden["ps_logit"]["ps"])]
    for name in SHOWN:
        columns.append(
            (people["race"] == name[4:]).to_numpy(float) if name.startswith("race") else people[name].to_numpy(float)
        )
    return np.column_stack(columns)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("key", SETTINGS)
def test_balance(golden: dict[str, Any], people: pd.DataFrame, key: str, moment: str) -> None:
    pairs, focal = paired(golden, people, key)
    treated = people["treat"].to_numpy() == 1
    X = table(people, golden)
    weights = matching_weights(pairs, focal) if moment == "after" else None
    found = balance(X, treated, weights, standard_deviations(X[focal]))
    for j, name in enumerate(["distance", *SHOWN]):
        row = golden[key]["balance"][moment][name]
        assert found.smd[j] == pytest.approx(row["Std. Mean Diff."], rel=CLOSE, abs=1e-12), name
        assert found.ecdf_mean[j] == pytest.approx(row["eCDF Mean"], rel=CLOSE, abs=1e-12), name
        assert found.ecdf_max[j] == pytest.approx(row["eCDF Max"], rel=CLOSE, abs=1e-12), name
        assert found.mean_first[j] == pytest.approx(row["Means Treated"], rel=CLOSE), name
        if row["Var. Ratio"] is not None:
            assert found.variance_ratio[j] == pytest.approx(row["Var. Ratio"], rel=CLOSE), name


def test_two_way_and_hc1_errors_of_the_difference_with_replacement(
    golden: dict[str, Any], people: pd.DataFrame
) -> None:
    pairs, focal = paired(golden, people, "nearest_replace")
    y = people["re78"].to_numpy(float)
    weights = matching_weights(pairs, focal)
    used = weights > 0
    plain = least_squares(np.column_stack([np.ones(used.sum()), focal[used]]), y[used], weights[used])
    hc1 = heteroskedastic(plain.scores, plain.bread)
    expected = golden["nearest_replace"]["effect"]
    assert plain.coefficients[1] == pytest.approx(expected["diff_in_means"], rel=CLOSE)
    assert np.sqrt(hc1.matrix[1, 1]) == pytest.approx(expected["se"], rel=CLOSE)
    unit = np.concatenate([pairs.focal, pairs.match])
    pair = np.concatenate([pairs.focal, pairs.focal])
    t = np.repeat([1.0, 0.0], pairs.focal.size)
    stacked = least_squares(np.column_stack([np.ones(unit.size), t]), y[unit])
    both = clustered_two_ways(stacked.scores, stacked.bread, pair, unit)
    expected = golden["nearest_replace"]["effect_get_matches"]
    assert stacked.coefficients[1] == pytest.approx(expected["est"], rel=CLOSE)
    assert np.sqrt(both.matrix[1, 1]) == pytest.approx(expected["se"], rel=CLOSE)


@pytest.mark.parametrize("key", ["nearest_1to1", "nearest_caliper02", "nearest_ratio2", "nearest_exact_race"])
def test_pair_clustered_error_of_the_difference(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    pairs, focal = paired(golden, people, key)
    weights = matching_weights(pairs, focal)
    used = weights > 0
    pair = np.arange(focal.size)
    pair[pairs.match] = pairs.focal
    y = people["re78"].to_numpy(float)
    fit = least_squares(np.column_stack([np.ones(used.sum()), focal[used]]), y[used], weights[used])
    v = clustered(fit.scores, fit.bread, pair[used])
    assert fit.coefficients[1] == pytest.approx(golden[key]["effect"]["diff_in_means"], rel=CLOSE)
    assert np.sqrt(v.matrix[1, 1]) == pytest.approx(golden[key]["effect"]["se"], rel=CLOSE)
