"""Errors of an interrupted time series against R 4.2.2 (nlme, stats, MASS, sandwich) and Prais-Winsten by its formula.

Entries that the reference marks as lying at a boundary are not asserted; they must be flagged here too.
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
from evaltoolkit.kernels.arma import arma_regression
from evaltoolkit.kernels.arma_process import Orders
from evaltoolkit.kernels.prais_winsten import prais_winsten

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")

GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
# Closed forms.
CLOSE = 1e-8
# nlme's search stops where the likelihood is flat to about 1e-12, which leaves 1e-6 of a coefficient of the errors.
SEARCHED = 5e-6
# R's Hessian is made of differences with steps of 1e-3.
HESSIAN = 2e-3

PROP99 = ("prop99_ca_1989", "prop99_ca_1982_1989", "prop99_ca_1982_1989_sub1975_1995")
SICILY = "sicily_rate_linear_fourier2"


def settings(block: str) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """Return data, the call, and the names of the terms in the order of the reference."""
    if block == SICILY:
        frame = pd.read_csv(FOLDER / "sicily.csv")
        frame = frame.assign(period=[f"{y}-{m:02d}" for y, m in zip(frame["year"], frame["month"], strict=True)])
        outcome = ev.Outcome(column="aces", kind="rate", population="stdpop", per=1e5)
        call = {"outcome": outcome, "time": "period", "interruption": "2005-01", "season": {"harmonics": 2}}
        waves = ["sine 1", "cosine 1", "sine 2", "cosine 2"]
        return frame, call, ["intercept", "trend", "level", "slope", *waves]
    frame = pd.read_csv(FOLDER / "prop99.csv")
    frame = frame[frame["State"] == "California"]
    if "sub" in block:
        frame = frame[frame["Year"].between(1975, 1995)]
    starts = [1989] if block == "prop99_ca_1989" else [1982, 1989]
    call = {"outcome": "PacksPerCapita", "time": "Year", "interruption": starts}
    if len(starts) == 1:
        return frame, call, ["intercept", "trend", "level", "slope"]
    return frame, call, ["intercept", "trend", *(f"{e} ({s})" for s in starts for e in ("level", "slope"))]


def estimated(block: str, **changes: Any) -> tuple[Any, list[Any]]:
    frame, call, terms = settings(block)
    made = ev.its(frame, **call, **changes)
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    return made, [rows[t] for t in terms]


def matrix(block: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made, _ = estimated(block, errors="ols")
    products = made.sample.products
    frame, _, _ = settings(block)
    y = frame["aces"] / frame["stdpop"] * 1e5 if block == SICILY else frame["PacksPerCapita"]
    return products["design"], y.to_numpy(float), products["steps"]


@pytest.mark.parametrize("rho", ["regress", "tscorr"])
@pytest.mark.parametrize("block", [*PROP99, SICILY])
def test_prais_winsten(block: str, rho: str) -> None:
    golden = GOLDEN[block]["fit"][f"prais_{rho}"]
    _, rows = estimated(block, errors="prais-winsten", error_model={"rho": rho})
    table = golden["ols"]
    for e, name in zip(rows, table["coef"], strict=True):
        assert e.estimate == pytest.approx(table["coef"][name], rel=CLOSE)
        assert e.std_error == pytest.approx(table["se"][name], rel=CLOSE)
        assert e.p_value == pytest.approx(table["p"][name], rel=1e-6, abs=1e-12)
        assert e.conf_low == pytest.approx(table["ci_low"][name], rel=1e-7)
        assert e.conf_high == pytest.approx(table["ci_high"][name], rel=1e-7)
        assert e.df == table["df"]
    _, robust = estimated(block, errors="prais-winsten", error_model={"rho": rho, "robust": True})
    for e, error in zip(robust, golden["robust_se"].values(), strict=True):
        assert e.std_error == pytest.approx(error, rel=CLOSE)
    X, y, steps = matrix(block)
    fit = prais_winsten(X, y, steps, rho)  # type: ignore[arg-type]
    assert fit.rho == pytest.approx(golden["rho"], abs=1e-9)
    assert fit.rounds == golden["iterations"]
    w = fit.whitened
    assert float((np.diff(w) ** 2).sum() / (w @ w)) == pytest.approx(golden["dw_transformed"], rel=CLOSE)


def likelihood_entries(kind: str) -> list[tuple[str, str]]:
    return (
        [(block, key) for block in ("prop99_ca_1989", SICILY) for key in GOLDEN[block]["fit"][kind]] if GOLDEN else []
    )


@pytest.mark.parametrize(("block", "key"), likelihood_entries("gls"))
def test_generalized_least_squares(block: str, key: str) -> None:
    golden = GOLDEN[block]["fit"]["gls"][key]
    p, q, how = golden["p"], golden["q"], golden["method"].lower()
    X, y, steps = matrix(block)
    fit = arma_regression(X, y, steps, Orders(p, q), how)
    if golden["boundary"]:
        # The reference flags any coefficient above .99; here it is the slowest part of the autoregression.
        phi = np.array([v for name, v in golden["arma"].items() if name.startswith("Phi")])
        assert fit.boundary == (np.abs(np.roots([1.0, *-phi])).max() > 0.99)
        return
    assert not fit.boundary
    assert fit.coefficients == pytest.approx(list(golden["coef"].values()), rel=SEARCHED)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(list(golden["se"].values()), rel=SEARCHED)
    assert fit.parameters == pytest.approx(list(golden["arma"].values()), abs=SEARCHED)
    assert fit.log_likelihood == pytest.approx(golden["loglik"], rel=CLOSE)
    size = len(y) if how == "ml" else len(y) - X.shape[1]
    free = X.shape[1] + p + q + 1
    assert -2 * fit.log_likelihood + 2 * free == pytest.approx(golden["aic"], rel=CLOSE)
    assert -2 * fit.log_likelihood + np.log(size) * free == pytest.approx(golden["bic"], rel=CLOSE)


@pytest.mark.parametrize(
    ("errors", "key"), [("gls", "arma10_ML"), ("arma", "arma11_ML"), ("arima", "ar1"), ("gls", "arma10_REML")]
)
def test_they_reach_the_report(errors: str, key: str) -> None:
    golden = GOLDEN["prop99_ca_1989"]["fit"]["arima" if errors == "arima" else "gls"][key]
    model = {"likelihood": golden["method"].lower()} if errors != "arima" else None
    made, rows = estimated("prop99_ca_1989", errors=errors, error_model=model)
    assert ("at the boundary" in made.result.headline.inference) == golden.get("boundary", False)
    persistence = {d.name: d for d in made.result.diagnostics}.get("persistence")
    if golden.get("boundary", False):
        assert persistence is not None
        assert persistence.verdict == "caution"
        assert "edge" in persistence.text
        assert any("edge" in limit for limit in made.result.statements.limits)
        return
    for e, name in zip(rows, ("(Intercept)", "t", "level1", "slope1"), strict=True):
        name = "intercept" if errors == "arima" and name == "(Intercept)" else name
        assert e.estimate == pytest.approx(golden["coef"][name], rel=SEARCHED)
        assert e.std_error == pytest.approx(golden["se"][name], rel=SEARCHED)
        assert e.df == (None if errors == "arima" else 27)


@pytest.mark.parametrize(("block", "key"), likelihood_entries("arima"))
def test_arima(block: str, key: str) -> None:
    golden = GOLDEN[block]["fit"]["arima"][key]
    X, y, steps = matrix(block)
    (p, d, q), (sp, sd, sq) = golden["order"], golden["seasonal"]
    fit = arma_regression(X, y, steps, Orders(p, q, sp, sq, golden["period"], d, sd), "ml")
    r = fit.parameters.size
    values, errors = list(golden["coef"].values()), list(golden["se"].values())
    assert [*fit.parameters, *fit.coefficients] == pytest.approx(values, rel=SEARCHED)
    assert fit.parameter_errors == pytest.approx(errors[:r], rel=HESSIAN)
    assert np.sqrt(np.diag(fit.by_hessian)) == pytest.approx(errors[r:], rel=2e-5)  # a flatter direction
    assert fit.sigma2 == pytest.approx(golden["sigma2"], rel=SEARCHED)
    assert fit.log_likelihood == pytest.approx(golden["loglik"], rel=CLOSE)
    assert -2 * fit.log_likelihood + 2 * (len(values) + 1) == pytest.approx(golden["aic"], rel=CLOSE)
    e = fit.whitened - fit.whitened.mean()
    n, total = e.size, float(e @ e)
    ljung_box = n * (n + 2) * sum((float(e[lag:] @ e[:-lag]) / total) ** 2 / (n - lag) for lag in range(1, 13))
    assert ljung_box == pytest.approx(golden["ljung_box_12"], rel=1e-4)  # residuals where R's search stopped


@pytest.mark.parametrize("block", [*PROP99, SICILY])
def test_the_lags_that_a_series_suggests(block: str) -> None:
    golden = GOLDEN[block]["fit"]
    width = golden["bwNeweyWest_auto_lag_prewhite0"]
    made, rows = estimated(block, errors="newey-west", lags="newey-west-automatic")
    assert f"{int(width)} lags (automatic bandwidth {width:.2f} by Newey and West)" in made.result.headline.inference
    table = golden["newey_west"].get(str(int(width)))
    if table is not None:
        for e, error in zip(rows, table["tab"]["se"].values(), strict=True):
            assert e.std_error == pytest.approx(error, rel=CLOSE)


COUNTS: dict[str, dict[str, Any]] = {
    "sicily_m1_level": {"effects": ["level"]},
    "sicily_m3_level_fourier2": {"effects": ["level"], "season": {"harmonics": 2}},
    "sicily_m4_level_slope_fourier2": {"effects": ["level", "slope"], "season": {"harmonics": 2}},
}


def counted(block: str, **changes: Any) -> tuple[Any, list[Any]]:
    if block == "prop99_ca_poisson_rounded":
        frame, call, terms = settings("prop99_ca_1989")
        frame = frame.assign(PacksPerCapita=frame["PacksPerCapita"].round())
        call = {**call, "outcome": ev.Outcome(column="PacksPerCapita", kind="count")}
    else:
        frame, call, terms = settings(SICILY)
        call = {**call, "outcome": ev.Outcome(column="aces", kind="count", population="stdpop"), "season": None}
        call |= COUNTS[block]
        terms = [t for t in terms if t != "slope" or "slope" in COUNTS[block]["effects"]][
            : 8 if "season" in call else 3
        ]
        if call["season"] is None:
            terms = terms[:3]
    made = ev.its(frame, **call, **changes)
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    return made, [rows[t] for t in terms]


@pytest.mark.parametrize("block", ["prop99_ca_poisson_rounded", *COUNTS])
def test_negative_binomial(block: str) -> None:
    golden = GOLDEN[block].get("fit", GOLDEN[block])["negbin"]
    made, rows = counted(block, family="negative-binomial", errors="model-based")
    for e, name in zip(rows, golden["coef"], strict=True):
        assert e.estimate == pytest.approx(golden["coef"][name], rel=CLOSE)
        assert e.std_error == pytest.approx(golden["se"][name], rel=CLOSE)
    text = next(m.text for m in made.result.statements.methods if m.title == "Standard errors")
    if golden["se_theta"] is None:  # no more spread than chance: R's theta runs off to 2e10
        assert "infinite" in text
    else:
        theta = {p.name: p for p in made.sample.products["error_parameters"]}["theta"]
        assert theta.value == pytest.approx(golden["theta"], rel=CLOSE)
        assert theta.std_error == pytest.approx(golden["se_theta"], rel=CLOSE)


@pytest.mark.parametrize("block", ["prop99_ca_poisson_rounded", *COUNTS])
def test_sandwich_errors_of_counts(block: str) -> None:
    golden = GOLDEN[block].get("fit", GOLDEN[block])
    n_over_df = None
    for lag, table in golden["hac"].items():
        made, rows = counted(block, family="poisson", errors="newey-west", lags=int(lag))
        n_over_df = made.result.headline.n_obs / made.result.headline.df
        for e, name in zip(rows, table["se_adjusted"], strict=True):
            assert e.std_error == pytest.approx(table["se_adjusted"][name], rel=1e-6)
            assert e.std_error / np.sqrt(n_over_df) == pytest.approx(table["se_unadjusted"][name], rel=1e-6)
    _, rows = counted(block, family="poisson", errors="newey-west", lags=0)
    assert n_over_df is not None
    for e, error in zip(rows, golden["robust_hc0_se"].values(), strict=True):
        assert e.std_error / np.sqrt(n_over_df) == pytest.approx(error, rel=1e-6)
