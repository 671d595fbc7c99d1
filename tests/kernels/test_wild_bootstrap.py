"""The wild cluster bootstrap beside a twin that makes every sample and fits it with dummies."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.multiplier import blocks
from evaltoolkit.kernels.small_sample_fit import clustered_fit
from evaltoolkit.kernels.wild_bootstrap import Wild, score_bootstrap, wild_cluster


def world(seed: int = 1, g: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(3 * g), 4)
    clusters = units // 3
    time = np.tile(np.arange(4), 3 * g)
    d = ((clusters < g // 2) & (time >= 2)).astype(float)
    X = np.column_stack([d, rng.normal(size=12 * g), *[(time == t).astype(float) for t in (1, 2, 3)]])
    y = 0.8 * d + rng.normal(size=g)[clusters] * (time >= 2) + rng.normal(size=12 * g)
    order = rng.permutation(12 * g)
    w = rng.uniform(0.5, 2, 12 * g)
    return {"X": X[order], "y": y[order], "clusters": clusters[order], "units": units[order], "w": w[order]}


def whole(a: dict[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([a["X"], (a["units"][:, None] == np.unique(a["units"])[None, :]).astype(float)])


def t_of(X: np.ndarray, y: np.ndarray, w: np.ndarray, clusters: np.ndarray, null: float) -> float:
    M = np.linalg.pinv(X.T @ (w[:, None] * X))
    beta = M @ X.T @ (w * y)
    e = y - X @ beta
    g = np.unique(clusters)
    scores = np.array([M[0] @ X[clusters == c].T @ (w * e)[clusters == c] for c in g])
    return float((beta[0] - null) / np.sqrt(g.size / (g.size - 1) * (scores**2).sum()))


def slow(a: dict[str, np.ndarray], v: np.ndarray, null: float, residuals: str, w: np.ndarray) -> tuple[float, Any]:
    """t of the sample and of every draw."""
    X = whole(a)
    root = np.sqrt(w)[:, None]
    beta = np.linalg.lstsq(X * root, a["y"] * root[:, 0], rcond=None)[0]
    centre = beta[0]
    fitted = X @ beta
    if residuals == "restricted":
        rest = np.linalg.lstsq(X[:, 1:] * root, (a["y"] - null * X[:, 0]) * root[:, 0], rcond=None)[0]
        fitted, centre = null * X[:, 0] + X[:, 1:] @ rest, null
    u = a["y"] - fitted
    found = [t_of(X, fitted + row[a["clusters"]] * u, w, a["clusters"], centre) for row in v]
    return t_of(X, a["y"], w, a["clusters"], null), np.array(found)


@pytest.mark.parametrize("residuals", ["restricted", "unrestricted"])
@pytest.mark.parametrize("null", [0.0, 0.7])
@pytest.mark.parametrize("weighted", [False, True])
def test_listed_signs_equal_the_twin(residuals: Any, null: float, *, weighted: bool) -> None:
    a = world()
    w = a["w"] if weighted else np.ones(a["y"].size)
    fit = clustered_fit(a["X"], a["y"], a["clusters"], w, a["units"])
    found = wild_cluster(fit, 0, Wild("rademacher", residuals=residuals, null=null))
    t, drawn = slow(a, np.array(list(itertools.product([-1.0, 1.0], repeat=7))), null, residuals, w)
    assert found.listed
    assert found.statistic == pytest.approx(t, rel=1e-9)
    assert found.p_value == pytest.approx((np.abs(drawn) >= abs(t) * (1 - 1e-7)).mean(), abs=1e-12)


@pytest.mark.parametrize("law", ["webb", "mammen", "rademacher"])
@pytest.mark.parametrize("residuals", ["restricted", "unrestricted"])
def test_random_draws_equal_the_twin(law: Any, residuals: Any) -> None:
    a = world(2, g=13)
    w = np.ones(a["y"].size)
    fit = clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"])
    found = wild_cluster(fit, 0, Wild(law, draws=199, seed=5, residuals=residuals, null=0.4))
    t, drawn = slow(a, np.concatenate(list(blocks(law, 199, 13, 5))), 0.4, residuals, w)
    assert not found.listed
    assert found.p_value == pytest.approx((1 + (np.abs(drawn) >= abs(t)).sum()) / 200, abs=1e-12)


@pytest.mark.parametrize("residuals", ["restricted", "unrestricted"])
@pytest.mark.parametrize("law", ["rademacher", "webb"])
def test_the_interval_holds_what_is_not_rejected(residuals: Any, law: Any) -> None:
    a = world(3, g=9)
    fit = clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"])
    found = wild_cluster(fit, 0, Wild(law, draws=999, residuals=residuals))
    assert found.lower < found.estimate < found.upper
    hair = 1e-6 * found.std_error
    for end, outward in ((found.lower, -1), (found.upper, 1)):
        kept = wild_cluster(fit, 0, Wild(law, 999, residuals=residuals, null=end - outward * hair)).p_value
        assert kept > 0.05
        for step in (hair, found.std_error, 5 * found.std_error):
            how = Wild(law, 999, residuals=residuals, null=end + outward * step)
            assert wild_cluster(fit, 0, how).p_value <= 0.05


def test_too_few_signs_give_no_bounds() -> None:
    """With four clusters the smallest p-value is 1/8: nothing is rejected at five per cent."""
    a = world(3, g=4)
    found = wild_cluster(clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"]), 0, Wild("rademacher"))
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert found.p_value >= 1 / 8
    assert found.draws == 8


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_ends_are_infinite_just_where_far_nulls_are_kept(seed: int, level: float) -> None:
    a = world(seed, g=5)
    fit = clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"])
    found = wild_cluster(fit, 0, Wild("rademacher", level=level))
    for end, sign in ((found.lower, -1), (found.upper, 1)):
        far = found.estimate + sign * 1e5 * found.std_error
        kept = wild_cluster(fit, 0, Wild("rademacher", null=far)).p_value > 1 - level
        assert np.isinf(end) == kept


def test_the_automatic_law() -> None:
    few, more, many = (world(1, g) for g in (8, 13, 12))
    laws = [
        wild_cluster(clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"]), 0, Wild(draws=99)).law
        for a in (few, more, many)
    ]
    assert laws == ["webb", "rademacher", "webb"]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 1e3), effect=st.floats(-9, 9))
def test_order_shift_scale_and_effect(seed: int, shift: float, scale: float, effect: float) -> None:
    """A known effect added to the outcome moves the estimate and both ends by as much."""
    a = world(1)
    order = np.random.default_rng(seed).permutation(a["y"].size)
    one = wild_cluster(clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"]), 0, Wild("rademacher"))
    moved = ((a["y"] + effect * a["X"][:, 0]) * scale + shift * a["units"])[order]
    fit = clustered_fit(a["X"][order], moved, a["clusters"][order], None, a["units"][order])
    two = wild_cluster(fit, 0, Wild("rademacher", null=effect * scale))
    assert two.p_value == pytest.approx(one.p_value, abs=1e-12)
    ends = np.array([two.lower, two.upper]) / scale - effect
    assert ends == pytest.approx([one.lower, one.upper], abs=1e-5)


def test_an_aliased_column_is_refused() -> None:
    a = world()
    fit = clustered_fit(np.column_stack([a["X"], a["X"][:, 0]]), a["y"], a["clusters"], None, a["units"])
    with pytest.raises(ValueError, match="aliased"):
        wild_cluster(fit, 5)


def test_scores_equal_the_twin() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(8, 3))
    scores -= scores.mean(axis=0)
    estimates = np.array([1.0, -4.0, 0.1])
    found = score_bootstrap(estimates, scores, Wild("rademacher"))
    se = np.sqrt((scores**2).sum(axis=0))
    drawn = []
    for signs in itertools.product([-1.0, 1.0], repeat=8):
        changed = np.array(signs)[:, None] * scores
        with np.errstate(divide="ignore", invalid="ignore"):
            t = changed.sum(axis=0) / np.sqrt(((changed - changed.mean(axis=0)) ** 2).sum(axis=0))
        drawn.append(np.abs(t))
    table = np.array(drawn)
    t = np.abs(estimates) / se
    assert found.std_error == pytest.approx(se)
    assert found.p_value == pytest.approx((table >= t * (1 - 1e-9)).mean(axis=0))
    assert found.p_adjusted == pytest.approx((table.max(axis=1)[:, None] >= t * (1 - 1e-9)).mean(axis=0))
    assert (found.p_adjusted >= found.p_value).all()
    for j in range(3):
        reach = found.upper[j] - estimates[j]
        assert (table[:, j] * se[j] <= reach * (1 + 1e-9)).mean() >= 0.95
        assert (table[:, j] * se[j] < reach * (1 - 1e-9)).mean() < 0.95
    assert found.critical_value >= max((found.upper - estimates) / se) - 1e-12


def test_scores_without_variance_have_no_p_value() -> None:
    scores = np.column_stack([np.zeros(20), np.random.default_rng(1).normal(size=20)])
    found = score_bootstrap(np.array([0.0, 1.0]), scores, Wild(draws=99))
    assert np.isnan([found.p_value[0], found.lower[0], found.std_error[0], found.p_adjusted[0]]).all()
    assert np.isfinite(found.p_value[1])
    with pytest.raises(ValueError, match="column for each"):
        score_bootstrap(np.zeros(3), scores)
