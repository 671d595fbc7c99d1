"""Many series at once equal each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from evaltoolkit.kernels.autoregression import marginal_ar1, mixture
from evaltoolkit.kernels.autoregression_batch import marginal_ar1_batch, marginal_ar1_each, newey_west_batch
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.newey_west import newey_west

STEPS = {"no gaps": np.arange(30), "gaps": np.concatenate([np.arange(11), np.arange(14, 22), [25, 26, 29, 30, 31]])}
CONTRASTS = np.array([[0.0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 7]])


def world(steps: np.ndarray, series: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    late = (steps >= 15).astype(float)
    X = np.column_stack([np.ones(steps.size), steps, late, (steps - 15) * late])
    noise = np.cumsum(rng.normal(size=(series, steps.size)), axis=1) * rng.uniform(0, 1, (series, 1))
    return X, 40 + rng.normal(size=(series, 4)) @ X.T + noise + rng.normal(size=(series, steps.size))


@pytest.mark.parametrize("name", STEPS)
def test_integrated_over_the_autocorrelation(name: str) -> None:
    steps = STEPS[name]
    X, Y = world(steps)
    found = marginal_ar1_batch(Y, X, steps, CONTRASTS, 0.9)
    for s in (0, 1, 17, 255, 256, 299):  # both sides of a block's end
        fit = marginal_ar1(X, Y[s], steps)
        one = mixture(fit, fit.coefficients @ CONTRASTS.T, CONTRASTS)
        # The two sum in another order; orthonormal columns leave about 12 digits.
        assert found.estimate[s] == pytest.approx(one.mean, rel=1e-9, abs=1e-10)
        assert found.std_error[s] == pytest.approx(one.spread, rel=1e-9)
        assert found.low[s] == pytest.approx(one.quantile(0.05), rel=1e-9, abs=1e-10)
        assert found.high[s] == pytest.approx(one.quantile(0.95), rel=1e-9, abs=1e-10)
        assert found.p_value[s] == pytest.approx(one.p_value(), rel=1e-7)
        assert found.autocorrelation is not None
        assert found.autocorrelation[s] == pytest.approx(fit.mean_rho, abs=1e-10)
    assert found.df == steps.size - 4


@pytest.mark.parametrize("name", STEPS)
def test_each_with_a_design_of_its_own(name: str) -> None:
    steps = STEPS[name]
    X, Y = world(steps)
    root = np.sqrt(np.random.default_rng(7).uniform(0.5, 9, Y.shape))
    found = marginal_ar1_each(root * Y, root[:, :, None] * X, steps, CONTRASTS)
    for s in (0, 254, 256, 299):
        fit = marginal_ar1(root[s][:, None] * X, root[s] * Y[s], steps)
        one = mixture(fit, fit.coefficients @ CONTRASTS.T, CONTRASTS)
        assert found.estimate[s] == pytest.approx(one.mean, rel=1e-9, abs=1e-10)
        assert found.std_error[s] == pytest.approx(one.spread, rel=1e-9)
        assert found.low[s] == pytest.approx(one.quantile(0.025), rel=1e-9, abs=1e-10)
        assert found.p_value[s] == pytest.approx(one.p_value(), rel=1e-7)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("lags", [0, 3, 99])
def test_newey_west(name: str, lags: int) -> None:
    steps = STEPS[name]
    X, Y = world(steps, 3)
    found = newey_west_batch(Y, X, steps, CONTRASTS, lags=lags)
    for s in range(3):
        fit = least_squares(X, Y[s])
        V = newey_west(fit.scores, fit.bread, lags, steps)
        assert found.estimate[s] == pytest.approx(CONTRASTS @ fit.coefficients, rel=1e-9)
        assert found.std_error[s] == pytest.approx(np.sqrt(np.diag(CONTRASTS @ V @ CONTRASTS.T)), rel=1e-8)


def test_a_series_without_error_is_not_a_number() -> None:
    steps = STEPS["no gaps"]
    X, Y = world(steps, 2)
    Y[1] = X @ [1.0, 2, 3, 4]
    found = marginal_ar1_batch(Y, X, steps, CONTRASTS)
    assert np.isfinite(found.low[0]).all()
    assert np.isnan(found.low[1]).all()
