"""Interrupted time series against R 4.2.2 (stats, sandwich, lmtest): California's Proposition 99 and Sicily's ban.

The reference file states its conventions under ``meta``; entries at a boundary are not of settings offered here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")

GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
# Closed forms printed with 15 digits; the squares in a covariance lose a few of them.
CLOSE = 1e-8
# R's IRLS stops at a relative deviance change of 1e-8, ours at 1e-12: coefficients agree to about 1e-7.
IRLS = 2e-7


@pytest.fixture(scope="module")
def california() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "prop99.csv")
    return frame[frame["State"] == "California"].rename(columns={"PacksPerCapita": "packs"})


@pytest.fixture(scope="module")
def sicily() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "sicily.csv")
    return frame.assign(period=[f"{y}-{m:02d}" for y, m in zip(frame["year"], frame["month"], strict=True)])


def prop99(frame: pd.DataFrame, **changes: Any) -> Any:
    settings = {"outcome": "packs", "time": "Year", "interruption": 1989, "errors": "ols"}
    return ev.its(frame, **(settings | changes))


def rows(result: Any) -> dict[str, Any]:
    return {e.term: e for e in result.estimates if e.standing != "sensitivity"}


def same_row(found: Any, table: dict[str, Any], name: str, close: float = CLOSE) -> None:
    assert found.estimate == pytest.approx(table["coef"][name], rel=close)
    assert found.std_error == pytest.approx(table["se"][name], rel=close)
    assert found.p_value == pytest.approx(table["p"][name], rel=100 * close, abs=1e-12)
    assert found.conf_low == pytest.approx(table["ci_low"][name], rel=10 * close)
    assert found.conf_high == pytest.approx(table["ci_high"][name], rel=10 * close)


TERMS = {"intercept": "(Intercept)", "trend": "t", "level": "level1", "slope": "slope1"}


def test_ordinary_least_squares(california: pd.DataFrame) -> None:
    found = rows(prop99(california).result)
    for mine, theirs in TERMS.items():
        same_row(found[mine], GOLDEN["prop99_ca_1989"]["fit"]["ols"], theirs)


@pytest.mark.parametrize("lag", [0, 1, 2, 3, 6, 12])
def test_newey_west_and_effects(lag: int, california: pd.DataFrame) -> None:
    golden = GOLDEN["prop99_ca_1989"]["fit"]["newey_west"][str(lag)]
    found = rows(prop99(california, errors="newey-west", lags=lag).result)
    for mine, theirs in TERMS.items():
        same_row(found[mine], golden["tab"], theirs)
    for mine, theirs in (
        ("average", "average"), ("cumulative", "cumulative"), ("first period", "first"), ("last period", "last"),
    ):  # fmt: skip
        e, g = found[mine], golden["effect"][theirs]
        assert [e.estimate, e.std_error, e.conf_low, e.conf_high] == pytest.approx(
            [g["estimate"], g["se"], g["ci_low"], g["ci_high"]], rel=CLOSE
        )
        assert e.p_value == pytest.approx(g["p"], rel=1e-6)


def test_the_headline_is_the_average(california: pd.DataFrame) -> None:
    golden = GOLDEN["prop99_ca_1989"]["fit"]["newey_west"]["1"]["effect"]["average"]
    h = prop99(california, errors="newey-west", lags=1).result.headline
    assert h.estimate == pytest.approx(golden["estimate"], rel=CLOSE)


def test_the_rules_of_lags(california: pd.DataFrame) -> None:
    golden = GOLDEN["prop99_ca_1989"]["fit"]["lag_rules"]
    for rule, name in (("newey-west", "floor_4_n100_2_9"), ("stock-watson", "floor_0_75_n_third")):
        h = prop99(california, errors="newey-west", lags=rule).result.headline
        assert f"{golden[name]} lags" in h.inference


@pytest.mark.parametrize("block", ["prop99_ca_1982_1989", "prop99_ca_1982_1989_sub1975_1995"])
def test_two_interruptions(block: str, california: pd.DataFrame) -> None:
    golden = GOLDEN[block]
    frame = california if "sub" not in block else california[california["Year"].between(1975, 1995)]
    first = int(frame["Year"].min())
    starts = [first + int(t) for t in golden["T0"]]
    for lag, table in golden["fit"]["newey_west"].items():
        found = rows(prop99(frame, interruption=starts, errors="newey-west", lags=int(lag)).result)
        for i, start in enumerate(starts, start=1):
            same_row(found[f"level ({start})"], table["tab"], f"level{i}")
            same_row(found[f"slope ({start})"], table["tab"], f"slope{i}")


def test_residuals(california: pd.DataFrame) -> None:
    golden = GOLDEN["prop99_ca_1989"]["fit"]["diagnostics"]
    result = prop99(california).result
    tests = next(t for t in result.tables if t.key == "residual_tests")
    found = {(row[0], row[2]): (row[3], row[4]) for row in tests.rows}
    assert found["Durbin-Watson", None][0] == pytest.approx(golden["durbin_watson"]["stat"], rel=CLOSE)
    for name, block in (("Breusch-Godfrey", "breusch_godfrey_chisq"), ("Ljung-Box", "ljung_box")):
        for lag in ("1", "6"):
            stat, p = found[name, int(lag)]
            assert stat == pytest.approx(golden[block][lag]["stat"], rel=CLOSE)
            assert p == pytest.approx(golden[block][lag]["p"], rel=1e-6)
    acf = next(t for t in result.tables if t.key == "autocorrelations")
    assert [row[1] for row in acf.rows] == pytest.approx(golden["acf"], rel=CLOSE)


COUNTS: dict[str, dict[str, Any]] = {
    "sicily_m1_level": {"effects": ["level"]},
    "sicily_m3_level_fourier2": {"effects": ["level"], "season": {"harmonics": 2}},
    "sicily_m4_level_slope_fourier2": {"effects": ["level", "slope"], "season": {"harmonics": 2}},
}
COUNT_TERMS = {
    "intercept": ("(Intercept)",), "trend": ("t",), "level": ("level1",), "slope": ("slope1",),
    "sine 1": ("sin1",), "cosine 1": ("cos1",), "sine 2": ("sin2",), "cosine 2": ("cos2",),
}  # fmt: skip


def counts(block: str, sicily: pd.DataFrame, california: pd.DataFrame, **changes: Any) -> tuple[Any, dict[str, Any]]:
    if block == "prop99_ca_poisson_rounded":
        frame = california.assign(packs=california["packs"].round())
        outcome = ev.Outcome(column="packs", kind="count")
        made = prop99(frame, outcome=outcome, **changes)
        return made, GOLDEN[block]
    outcome = ev.Outcome(column="aces", kind="count", population="stdpop")
    settings = {"outcome": outcome, "time": "period", "interruption": "2005-01", **COUNTS[block], **changes}
    return ev.its(sicily, **settings), GOLDEN[block]["fit"]


BLOCKS = ["prop99_ca_poisson_rounded", *COUNTS]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("family", ["poisson", "quasi-poisson"])
def test_counts_by_their_own_model(block: str, family: str, sicily: pd.DataFrame, california: pd.DataFrame) -> None:
    made, golden = counts(block, sicily, california, family=family, errors="model-based")
    found, table = rows(made.result), golden["poisson" if family == "poisson" else "quasi"]
    for mine, theirs in COUNT_TERMS.items():
        for name in theirs:
            if mine in found and name in table["coef"]:
                same_row(found[mine], table, name, close=IRLS)
    assert {"trend", "level"} <= set(found)
    dispersion = next(d for d in made.result.diagnostics if d.name == "dispersion")
    assert dispersion.value == pytest.approx(golden["pearson_dispersion"], rel=IRLS)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("errors", ["model-based", "newey-west"])
def test_effects_on_counts(block: str, errors: str, sicily: pd.DataFrame, california: pd.DataFrame) -> None:
    """Estimates and errors; intervals use t with n - k degrees of freedom here, and 1.96 in the reference."""
    changes: dict[str, Any] = {"lags": 1} if errors == "newey-west" else {}
    made, golden = counts(block, sicily, california, family="quasi-poisson", errors=errors, **changes)
    effect = golden["quasi_effect_on_counts" if errors == "model-based" else "hac_effect_lag1"]
    found = rows(made.result)
    ratio, total = found["rate-ratio"], found["cumulative"]
    assert np.log(ratio.estimate) == pytest.approx(effect["log_ratio"], rel=10 * IRLS)
    assert ratio.std_error / ratio.estimate == pytest.approx(effect["log_ratio_se"], rel=10 * IRLS)
    assert total.estimate == pytest.approx(effect["cumulative"], rel=10 * IRLS)
    assert total.std_error == pytest.approx(effect["se"], rel=10 * IRLS)
    assert found["relative change"].estimate == pytest.approx(effect["pct_change"], rel=10 * IRLS)
    reach = stats.t.ppf(0.975, made.result.headline.df) * effect["log_ratio_se"]
    assert np.log(ratio.conf_high) == pytest.approx(effect["log_ratio"] + reach, rel=1e-5)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("lag", [1, 3])
def test_autocorrelated_counts(block: str, lag: int, sicily: pd.DataFrame, california: pd.DataFrame) -> None:
    made, golden = counts(block, sicily, california, family="poisson", errors="newey-west", lags=lag)
    found, errors = rows(made.result), golden["hac"][str(lag)]["se_adjusted"]
    assert found["trend"].std_error == pytest.approx(errors["t"], rel=10 * IRLS)
    assert found["level"].std_error == pytest.approx(errors["level1"], rel=10 * IRLS)


@pytest.mark.parametrize("block", BLOCKS)
def test_fitted_and_expected(block: str, sicily: pd.DataFrame, california: pd.DataFrame) -> None:
    made, golden = counts(block, sicily, california, family="poisson", errors="model-based")
    drawn = next(f for f in made.result.figures if f.key == "series")
    at = {c.key: i for i, c in enumerate(drawn.columns)}
    fitted = [row[at["fitted"]] for row in drawn.rows]
    expected = [row[at["expected"]] for row in drawn.rows if row[at["expected"]] is not None]
    assert fitted[:5] == pytest.approx(golden["fitted_head"][:5], rel=IRLS)
    assert expected[:5] == pytest.approx(golden["counterfactual_post_head"][:5], rel=IRLS)


def test_a_rate_by_linear_regression(sicily: pd.DataFrame) -> None:
    golden = GOLDEN["sicily_rate_linear_fourier2"]["fit"]
    outcome = ev.Outcome(column="aces", kind="rate", population="stdpop", per=1e5)
    settings = {"outcome": outcome, "time": "period", "interruption": "2005-01", "season": {"harmonics": 2}}
    plain = rows(ev.its(sicily, errors="ols", **settings).result)
    for name in ("trend", "level", "slope"):
        same_row(plain[name], golden["ols"], TERMS[name])
    for lag, block in golden["newey_west"].items():
        found = rows(ev.its(sicily, errors="newey-west", lags=int(lag), **settings).result)
        for name in ("trend", "level", "slope"):
            same_row(found[name], block["tab"], TERMS[name])


def test_published_rate_ratio(sicily: pd.DataFrame) -> None:
    """Lopez Bernal et al. (2017), model 3: 0.885 (0.839 to 0.933), as printed."""
    made, _ = counts("sicily_m3_level_fourier2", sicily, sicily, family="poisson", errors="model-based")
    level = rows(made.result)["level"]
    assert np.round(np.exp(level.estimate), 3) == 0.885
