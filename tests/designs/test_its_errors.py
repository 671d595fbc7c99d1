"""Every kind of errors and family, from Python and from a design file: numbers, names, words, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.cli.explain import topics
from evaltoolkit.designs.its.dependence import ERROR_WORDS
from evaltoolkit.kernels.arma import arma_regression
from evaltoolkit.kernels.arma_process import Orders
from evaltoolkit.kernels.autoregression import marginal_ar1, mixture
from evaltoolkit.kernels.autoregression_wide import marginal_ar2
from evaltoolkit.kernels.count_regression import negative_binomial
from evaltoolkit.kernels.exact_counts import exact_level


def months(n: int = 48, mean: float = 20.0) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    t = np.arange(n)
    wave = np.convolve(rng.normal(size=n + 2), [0.5, 0.3, 0.2], "valid")
    late = t >= n // 2
    return pd.DataFrame({
        "month": pd.period_range("2019-01", periods=n, freq="M").astype(str),
        "y": mean + 0.1 * t + 3 * late + wave,
        "calls": rng.poisson(mean * np.exp(0.3 * late + 0.2 * wave)),
        "youth": rng.integers(900, 1100, n),
    })  # fmt: skip


def run(**changes: Any) -> Any:
    settings = {"outcome": "y", "time": "month", "interruption": "2021-01", **changes}
    return ev.its(settings.pop("frame", months()), **settings)


def calls(**changes: Any) -> Any:
    outcome = ev.Outcome(column="calls", kind="count", population="youth")
    return run(**{"outcome": outcome, "family": "poisson", **changes})


GAUSSIAN: list[tuple[dict[str, Any], str, str]] = [
    ({"errors": "marginal-ar1"}, "marginal AR(1), mixture of t(44)", "averaged over its strength"),
    ({"errors": "marginal-ar2"}, "marginal AR(2), mixture of t(44)", "second-order autoregression"),
    ({"errors": "marginal-seasonal-ar", "error_model": {"cycle": 12}}, "marginal AR(1)(1)12, mixture", "seasonal"),
    ({"errors": "newey-west"}, "Newey-West, 3 lags, t(44)", "Newey-West with 3 lags"),
    ({"errors": "newey-west", "lags": "andrews"}, "by Andrews", "automatic bandwidth"),
    ({"errors": "prais-winsten"}, "Prais-Winsten, rho by regress, t(44)", "Prais-Winsten (autocorrelation"),
    ({"errors": "prais-winsten", "error_model": {"rho": "tscorr", "robust": True}}, "rho by tscorr, robust", "Prais"),
    ({"errors": "gls"}, "GLS AR(1), REML, t(44)", "generalized least squares, GLS AR(1)"),
    ({"errors": "gls", "error_model": {"order": 2, "likelihood": "ml"}}, "GLS AR(2), ML, t(44)", "GLS AR(2)"),
    ({"errors": "arma"}, "GLS ARMA(1,1), REML, t(44)", "ARMA errors"),
    ({"errors": "arima"}, "ARIMA(1,0,0), ML, normal", "ARIMA"),
    ({"errors": "arima", "error_model": {"order": [0, 1, 1]}}, "ARIMA(0,1,1), ML, normal", "ARIMA(0,1,1)"),
    ({"errors": "ols"}, "ordinary least squares, t(44)", "ordinary least squares"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "name", "words"), GAUSSIAN)
def test_errors_of_a_measure(changes: dict[str, Any], name: str, words: str) -> None:
    result = run(**changes).result
    assert name in result.headline.inference
    assert any(words in line for line in result.statements.approach)
    method = next(m for m in result.statements.methods if m.title == "Standard errors")
    assert len(method.text) > 40
    assert result.headline.conf_low < result.headline.estimate < result.headline.conf_high


COUNTS = [
    (family, changes)
    for family in ("poisson", "quasi-poisson", "negative-binomial")
    for changes in (
        {"errors": "marginal-ar1"}, {"errors": "marginal-ar2"},
        {"errors": "marginal-seasonal-ar", "error_model": {"cycle": 12}}, {"errors": "newey-west"},
        {"errors": "model-based"},
    )
]  # fmt: skip


@pytest.mark.parametrize(("family", "changes"), COUNTS)
def test_errors_of_counts(family: str, changes: dict[str, Any]) -> None:
    result = calls(family=family, **changes).result
    h = result.headline
    assert h.conf_low < h.estimate < h.conf_high
    assert family.replace("-", " ").split()[-1] in h.estimator.lower().replace("-", " ")
    text = next(m.text for m in result.statements.methods if m.title == "Standard errors")
    assert ("theta" in text) == (family == "negative-binomial")


def test_the_numbers_are_those_of_the_kernels() -> None:
    made = run(errors="ols")
    X, steps = made.sample.products["design"], made.sample.products["steps"]
    y, pick = months()["y"].to_numpy(), np.array([[0.0, 0, 1, 0]])
    for name, kernel in (("marginal-ar1", marginal_ar1), ("marginal-ar2", marginal_ar2)):
        fit = kernel(X, y, steps)
        level = {e.term: e for e in run(errors=name).result.estimates if e.standing == "exploratory"}["level"]
        found = mixture(fit, fit.coefficients @ pick.T, pick)
        assert level.estimate == pytest.approx(found.mean[0], rel=1e-9)
        assert level.conf_low == pytest.approx(found.quantile(0.025)[0], rel=1e-9)
        assert level.conf_high == pytest.approx(found.quantile(0.975)[0], rel=1e-9)
    seasonal = {"order": [1, 0], "seasonal": [1, 0], "cycle": 12}
    arma = arma_regression(X, y, steps, Orders(1, 0, 1, 0, 12), "reml")
    rows = {e.term: e for e in run(errors="arma", error_model=seasonal).result.estimates if e.standing == "exploratory"}
    assert rows["slope"].std_error == pytest.approx(float(np.sqrt(arma.covariance[3, 3])), rel=1e-9)


def test_differencing_leaves_the_changes() -> None:
    """Without an intercept in the differences, the level and slope are those of a regression of differences."""
    made = run(errors="arima", error_model={"order": [1, 1, 0]})
    rows = {e.term: e for e in made.result.estimates if e.standing == "exploratory"}
    X, y = made.sample.products["design"], months()["y"].to_numpy()
    fit = arma_regression(np.diff(X[:, 1:], axis=0), np.diff(y), np.arange(47), Orders(1), "ml")
    assert [rows[n].estimate for n in ("trend", "level", "slope")] == pytest.approx(fit.coefficients.tolist(), rel=1e-7)
    text = next(m.text for m in made.result.statements.methods if m.title == "Standard errors")
    assert "no intercept" in text


def test_theta_of_the_negative_binomial() -> None:
    made = calls(family="negative-binomial", errors="model-based")
    frame = months()
    fit = negative_binomial(
        made.sample.products["design"], frame["calls"].to_numpy(float), np.log(frame["youth"].to_numpy(float))
    )
    theta = made.sample.products["error_parameters"][0]
    assert (theta.name, theta.value) == ("theta", pytest.approx(fit.theta, rel=1e-8))


def test_exact_intervals_for_few_events() -> None:
    frame = months(mean=0.5)
    made = calls(frame=frame, effects=["level"], errors="exact")
    y, t = frame["calls"].to_numpy(), np.arange(48)
    law = exact_level(y, t, t >= 24, frame["youth"].to_numpy(float))
    h = made.result.headline
    assert [np.log(h.conf_low), np.log(h.conf_high)] == pytest.approx(list(law.interval(0.95)), rel=1e-8)
    assert h.p_value == pytest.approx(law.p_value(), rel=1e-8)
    assert h.inference == "exact, conditional on total and trend"
    rows = {e.term: e for e in made.result.estimates if e.standing != "sensitivity"}
    for name in ("average difference", "cumulative", "first period", "last period", "relative change"):
        e = rows[name]
        assert e.conf_low < e.estimate < e.conf_high
        assert (e.conf_low > 0) == (h.conf_low > 1)  # differences agree with the ratio on direction
        assert e.p_value == h.p_value
    check = {d.name: d for d in made.result.diagnostics}["small-counts"]
    assert check.verdict == "pass"
    text = repr(made.result.statements)
    assert f"{int(y.sum())} events" not in text  # a small total stays out of the words
    other = {d.name: d for d in calls(frame=frame, effects=["level"], errors="model-based").result.diagnostics}
    assert other["small-counts"].verdict == "caution"
    assert "small-counts" not in {d.name for d in calls().result.diagnostics}


def test_a_walk_is_flagged_at_the_boundary() -> None:
    frame = months()
    frame["y"] = 50 + np.cumsum(np.random.default_rng(5).normal(size=48)) * 3
    made = run(frame=frame, errors="prais-winsten", effects=["level"])
    rho = made.sample.products["error_parameters"][0].value
    flagged = "at the boundary" in made.result.headline.inference
    assert flagged == (abs(rho) > 0.99)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"errors": "gls", "error_model": {"order": [1, 1]}}, "order for errors = 'gls' is p"),
    ({"errors": "arma", "error_model": {"order": 2}}, "[p, q]"),
    ({"errors": "ols", "error_model": {"order": 1}}, "leave it out with 'ols'"),
    ({"errors": "prais-winsten", "error_model": {"order": 1}}, "rho and robust only"),
    ({"errors": "gls", "error_model": {"rho": "tscorr"}}, "'prais-winsten'"),
    ({"errors": "arima", "error_model": {"likelihood": "reml"}}, "plain likelihood"),
    ({"errors": "arma", "error_model": {"order": [0, 0]}}, "all orders are 0"),
    ({"errors": "arma", "error_model": {"seasonal": [1, 0]}}, "seasonal and cycle belong together"),
    ({"errors": "gls", "error_model": {"order": -1}}, "0 or more"),
    ({"errors": "marginal-seasonal-ar"}, "needs error_model"),
    ({"errors": "exact"}, "family = 'poisson'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), BAD)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.EvaluationError) as caught:
        run(**changes)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["ols", "gls", "arma", "arima", "prais-winsten"])
def test_counts_refuse_errors_of_measures(name: str) -> None:
    with pytest.raises(errors.EvaluationError, match="is for family = 'gaussian'"):
        calls(errors=name)


def test_differences_need_every_period() -> None:
    frame = months().drop(index=7)
    with pytest.raises(errors.OptionError, match="a value for every period"):
        run(frame=frame, errors="arima", error_model={"order": [0, 1, 1]})


def test_every_kind_of_errors_is_explained() -> None:
    assert set(ERROR_WORDS) <= set(topics())
    assert {"poisson", "quasi-poisson", "negative-binomial"} <= set(topics())


def test_from_a_design_file(tmp_path: Path) -> None:
    months().to_csv(tmp_path / "calls.csv", index=False)
    (tmp_path / "calls.toml").write_text(
        """
version = 1
design = "interrupted-time-series"
title = "Calls"
question = "Did calls change?"
program = "The line"
time = "month"
interruption = "2021-01"
errors = "arma"
error_model = { order = [1, 1], likelihood = "ml" }

[data]
source = "calls.csv"

[outcome]
column = "y"
label = "Calls"
kind = "continuous"
role = "service-access"
better = "higher"
"""
    )
    made = ev.evaluate(tmp_path / "calls.toml")
    assert "GLS ARMA(1,1), ML" in made.result.headline.inference
    python = run(errors="arma", error_model={"order": [1, 1], "likelihood": "ml"})
    assert made.result.headline.estimate == pytest.approx(python.result.headline.estimate, rel=1e-10)
