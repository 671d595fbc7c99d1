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

from evaltoolkit.kernels.balance import balance, balances, denominators, effective_size, standard_deviations
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


def close_row(found: Any, j: int, row: dict[str, Any], name: str) -> None:
    assert found.smd[j] == pytest.approx(row["Std. Mean Diff."], rel=CLOSE, abs=1e-12), name
    assert found.ecdf_mean[j] == pytest.approx(row["eCDF Mean"], rel=CLOSE, abs=1e-12), name
    assert found.ecdf_max[j] == pytest.approx(row["eCDF Max"], rel=CLOSE, abs=1e-12), name
    assert found.mean_first[j] == pytest.approx(row["Means Treated"], rel=CLOSE), name
    assert found.mean_second[j] == pytest.approx(row["Means Control"], rel=CLOSE), name
    if row["Var. Ratio"] is not None:
        assert found.variance_ratio[j] == pytest.approx(row["Var. Ratio"], rel=CLOSE), name


def test_balance_of_every_kind_of_match(golden: dict[str, Any], people: pd.DataFrame) -> None:
    """Given MatchIt's weights: nearest, exact, coarsened, full and optimal, for treated and for comparison people."""
    X, treated = table(people, golden), people["treat"].to_numpy() == 1
    names = dict(zip(["distance", *SHOWN], range(10), strict=True))
    seen = 0
    for key, entry in golden.items():
        blocks = entry if key == "balance_raw" else entry.get("balance", {}) if isinstance(entry, dict) else {}
        spread: Any = "second" if "atc" in key else "first"
        for moment, block in blocks.items():
            if block is None or moment not in {"before", "after"}:
                continue
            weights = np.array(entry["weights"]) if moment == "after" else None
            found = balance(X, treated, weights, denominators(X, treated, spread))
            for name, row in block.items():
                if name == "distance" and key not in WITH_LOGIT:
                    continue
                if name in names and row["Means Treated"] is not None:
                    close_row(found, names[name], row, f"{key} {moment} {name}")
                    seen += 1
    assert seen > 250


WITH_LOGIT = {*SETTINGS, "balance_raw", "full_ps_att", "optimal_1to1", "full_ps_att_tol1e9", "optimal_1to1_tol1e9"}


def test_overlap_and_pooled_differences_are_those_of_cobalt(golden: dict[str, Any], people: pd.DataFrame) -> None:
    X, treated = table(people, golden), people["treat"].to_numpy() == 1
    weights = np.array(golden["nearest_1to1"]["weights"])
    entry = golden["cobalt_nearest_1to1"]
    names = ["distance", *(f"race_{n[4:]}" if n.startswith("race") else n for n in SHOWN)]
    for block, spread in (("table", "first"), ("smd_pooled", "pooled")):
        found = balances(X, treated, (None, weights), denominators(X, treated, spread))  # type: ignore[arg-type]
        for j, name in enumerate(names):
            row = entry[block][name]
            for moment, b in zip(("Un", "Adj"), found, strict=True):
                assert b.smd[j] == pytest.approx(row[f"Diff.{moment}"], rel=CLOSE), name
                if block == "table":
                    assert b.ecdf_max[j] == pytest.approx(row[f"KS.{moment}"], rel=CLOSE), name
                    assert 1 - b.overlap[j] == pytest.approx(row[f"OVL.{moment}"], rel=CLOSE), name


def test_effective_sizes_of_weights(golden: dict[str, Any], people: pd.DataFrame) -> None:
    treated = people["treat"].to_numpy() == 1
    for key in ("ATE", "ATT", "ATO"):
        entry = golden["weighting"][key]
        weights = np.array(entry["weights"])
        assert effective_size(weights[treated]) == pytest.approx(entry["ess"]["treated"], rel=CLOSE)
        assert effective_size(weights[~treated]) == pytest.approx(entry["ess"]["control"], rel=CLOSE)


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


def run(people: pd.DataFrame, key: str, effect: str, outcome: Any = "re78") -> Any:
    import evaltoolkit as ev

    settings = {"caliper": None, **SETTINGS[key]}
    return ev.match(people, treated="treat", outcome=outcome, covariates=COVARIATES, effect=effect, **settings)


def logit_as_r_stops(X: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Iterate as R's glm does and stop where it stops: a relative change of the deviance below 1e-8."""
    mu, old = (t + 0.5) / 2, np.inf
    while True:
        eta = np.log(mu / (1 - mu))
        w = mu * (1 - mu)
        root = np.sqrt(w)
        beta = np.linalg.lstsq(X * root[:, None], root * (eta + (t - mu) / w), rcond=None)[0]
        mu = 1 / (1 + np.exp(-X @ beta))
        deviance = -2 * np.sum(np.where(t == 1, np.log(mu), np.log1p(-mu)))
        if abs(deviance - old) / (abs(deviance) + 0.1) < 1e-8:
            return beta, mu
        old = deviance


@pytest.mark.parametrize("key", SETTINGS)
def test_our_own_score_gives_the_same_pairs(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    m = run(people, key, "difference")
    focal = people["treat"].to_numpy() == (0 if key == "nearest_atc_replace" else 1)
    expected = {e["focal"]: e["matches"] for e in golden[key]["matches0"]}
    assert as_lists(m.sample.products["pairs"], focal) == expected
    np.testing.assert_allclose(m.sample.products["score"], golden["ps_logit"]["ps"], rtol=0, atol=CLOSE)


def test_our_own_score_is_the_maximum_that_r_stops_short_of(golden: dict[str, Any], people: pd.DataFrame) -> None:
    names = ["age", "educ", "race: hispan", "race: white", "married", "nodegree", "re74", "re75"]
    columns = [
        (people["race"] == n[6:]).to_numpy(float) if n.startswith("race") else people[n].to_numpy(float) for n in names
    ]
    X, t = np.column_stack([np.ones(len(people)), *columns]), people["treat"].to_numpy(float)
    expected = np.array(list(golden["ps_logit"]["coef"].values()))
    beta, mu = logit_as_r_stops(X, t)
    np.testing.assert_allclose(beta, expected, rtol=CLOSE)
    np.testing.assert_allclose(mu, golden["ps_logit"]["ps"], rtol=CLOSE)
    m = run(people, "nearest_1to1", "difference")
    ours = m.sample.products["score"]
    # R stops at a deviance change of 1e-8, whose square root bounds how far its coefficients are from the maximum.
    found = m.sample.products["coefficients"]
    np.testing.assert_allclose([found[n] for n in ["(Intercept)", *names]], expected, rtol=1e-6)
    gradient = np.abs(X.T @ (t - ours)) / np.abs(X).sum(axis=0)
    assert gradient.max() < 1e-12
    assert (np.abs(X.T @ (t - mu)) / np.abs(X).sum(axis=0)).max() > gradient.max()


KEYS_WITH_EFFECT = [key for key in SETTINGS if key != "nearest_atc_replace"]


@pytest.mark.parametrize("key", KEYS_WITH_EFFECT)
def test_the_effect_end_to_end(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    entry = golden[key]["effect"]
    plain, adjusted = (run(people, key, effect).result.headline for effect in ("difference", "regression"))
    assert plain.estimate == pytest.approx(entry["diff_in_means"], rel=CLOSE)
    assert adjusted.estimate == pytest.approx(entry["gcomp_interacted"]["diff"], rel=CLOSE)
    if key == "nearest_replace":
        # The file has HC1 for the regression with replacement; the two-way error is given for the difference only.
        assert plain.std_error == pytest.approx(golden[key]["effect_get_matches"]["se"], rel=CLOSE)
    else:
        assert plain.std_error == pytest.approx(entry["se"], rel=CLOSE)
        assert adjusted.std_error == pytest.approx(entry["gcomp_interacted"]["se_diff"], rel=CLOSE)


@pytest.mark.parametrize("key", ["nearest_1to1", "nearest_caliper02", "nearest_ratio2", "nearest_exact_race"])
def test_risk_difference_and_risk_ratio(golden: dict[str, Any], people: pd.DataFrame, key: str) -> None:
    """A logit with treatment alone is saturated: its g-computation is the difference in proportions."""
    import evaltoolkit as ev

    entry = golden[key]["effect"]["gcomp_logit_emp"]
    employed = people.assign(emp=(people["re78"] > 0).astype(int))
    m = run(employed, key, "difference", ev.Outcome(column="emp", kind="binary", role="wellbeing", better="higher"))
    # R stops its logit at a deviance change of 1e-8, so that its means are good to about 1e-12 only.
    assert m.result.headline.estimate == pytest.approx(entry["diff"], abs=1e-10)
    assert m.result.headline.std_error == pytest.approx(entry["se_diff"], rel=1e-7)
    ratio = next(e for e in m.result.estimates if e.kind == "percent")
    assert np.log1p(ratio.estimate / 100) == pytest.approx(entry["log_rr"], abs=1e-10)
    assert ratio.std_error / (100 + ratio.estimate) == pytest.approx(entry["se_log_rr"], rel=1e-7)


def test_ties_all_is_the_average_over_ties(golden: dict[str, Any], people: pd.DataFrame) -> None:
    import evaltoolkit as ev

    m = ev.match(
        people, treated="treat", outcome="re78", covariates=COVARIATES, replace=True, ties="all", caliper=None,
        effect="difference",
    )  # fmt: skip
    assert m.result.headline.estimate == pytest.approx(golden["abadie_imbens"]["ps_att_m1"]["est"], rel=CLOSE)
