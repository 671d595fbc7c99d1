"""Weights of two-way regressions beside regressions of cell indicators on dummies, and robustness beside a search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.event_weights import (
    REFERENCE,
    Dynamics,
    StaticWeights,
    WeightsError,
    event_study_weights,
    robustness,
    static_weights,
)

PERIODS = np.array([1, 2, 3, 5, 6, 7])
STARTS = np.array([3, 4, 6, 9, NEVER])  # 4 was not a period; 9 comes after the last


def world(seed: int = 0, n: int = 25, holes: float = 0.0, *, always: bool = False) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = STARTS[np.arange(n) % 5]
    if always:
        start = np.where(start == 9, -1, start)
    return start, rng.random((n, 6)) >= holes, rng.uniform(0.5, 2, size=n)


def with_effects(target: np.ndarray, regressors: np.ndarray, seen: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Coefficients of regressors, (n, T, q), beside a dummy for every unit and period."""
    unit, period = np.nonzero(seen)
    columns = list(regressors[unit, period].T)
    columns += [(unit == i).astype(float) for i in range(len(seen))] + [
        (period == t).astype(float) for t in range(1, 6)
    ]
    root = np.sqrt(w[unit])
    X = np.column_stack(columns) * root[:, None]
    found = np.linalg.lstsq(X, target[unit, period] * root, rcond=1e-11)[0]
    return np.asarray(found[: regressors.shape[2]])


def dummies(start: np.ndarray, labels: np.ndarray, ends: tuple[int, int] | None) -> np.ndarray:
    clock = np.where(start > 7, 10_000, PERIODS[:, None] - np.minimum(start, 100)).T
    if ends is not None:
        clock = np.where(clock < 10_000, np.clip(clock, *ends), clock)
    return (clock[:, :, None] == labels).astype(float)


@pytest.mark.parametrize("holes", [0.0, 0.25])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("dynamics", [Dynamics(), Dynamics((-2, -1)), Dynamics((-1,), (-3, 2))])
def test_event_study_equals_the_slow_twin(dynamics: Dynamics, holes: float, *, always: bool) -> None:
    start, seen, w = world(1, holes=holes, always=always)
    found = event_study_weights(start, PERIODS, dynamics, seen, w)
    X = dummies(start, found.labels, dynamics.ends)
    assert not set(found.labels.tolist()) & set(dynamics.reference)
    for k in range(found.cohort.size):
        cell = (start == found.cohort[k])[:, None] & (found.period[k] == PERIODS)
        assert found.weight[:, k] == pytest.approx(with_effects(cell.astype(float), X, seen, w), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), holes=st.sampled_from([0.0, 0.2]), bins=st.booleans())
def test_what_event_study_weights_sum_to(seed: int, holes: float, bins: bool) -> None:  # noqa: FBT001
    start, seen, w = world(seed, 40, holes)
    found = event_study_weights(start, PERIODS, Dynamics((-1,), (-3, 2) if bins else None), seen, w)
    own = found.own().astype(float)
    assert found.weight @ own.T == pytest.approx(np.eye(found.labels.size), abs=1e-10)
    assert found.weight[:, found.place == REFERENCE].sum(axis=1) == pytest.approx(-1, abs=1e-10)
    assert found.weight @ np.ones(found.cohort.size) == pytest.approx(0, abs=1e-10)


def test_equal_dynamics_are_not_contaminated() -> None:
    start, seen, w = world(2, 40)
    found = event_study_weights(start, PERIODS, None, seen, w)
    path = np.where(found.event_time >= 0, 1.0 + found.event_time, 0.0)
    own, other = found.parts(path)
    assert own + other == pytest.approx(np.where(found.labels >= 0, 1.0 + found.labels, 0.0), abs=1e-10)
    apart = path * np.where(found.cohort == 3, 2.0, 1.0)
    assert np.abs((found.weight @ apart)[found.labels < 0]).max() > 0.01  # leads that are none
    assert (found.foreign() > 0.01).all()


def test_one_cohort_is_clean() -> None:
    start = np.array([3, 3, NEVER, NEVER, NEVER])
    found = event_study_weights(start, PERIODS)
    assert found.weight[found.own()] == pytest.approx(1)
    reference = found.place == REFERENCE
    assert np.where(found.own() | reference, 0.0, found.weight) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("holes", [0.0, 0.25])
@pytest.mark.parametrize("always", [False, True])
def test_static_equals_the_slow_twin(holes: float, *, always: bool) -> None:
    start, seen, w = world(3, holes=holes, always=always)
    found = static_weights(start, PERIODS, seen, w)
    D = (start[:, None] <= PERIODS).astype(float)
    for k in range(found.cohort.size):
        cell = (start == found.cohort[k])[:, None] & (found.period[k] == PERIODS)
        assert found.weight[k] == pytest.approx(with_effects(cell.astype(float), D[:, :, None], seen, w)[0], abs=1e-10)
    assert found.weight[found.treated].sum() == pytest.approx(1, abs=1e-12)
    for g in np.unique(found.cohort):
        assert found.weight[found.cohort == g].sum() == pytest.approx(0, abs=1e-12)
    mass = np.array([w[(start == g) & seen[:, np.flatnonzero(t == PERIODS)[0]]].sum()
                     for g, t in zip(found.cohort, found.period, strict=True)])  # fmt: skip
    assert found.share == pytest.approx(np.where(found.treated, mass, 0) / mass[found.treated].sum(), abs=1e-12)


def smallest_spread(found: StaticWeights, coefficient: float, *, opposite: bool) -> float:
    """Minimise the variance of effects subject to the coefficient by a general optimiser."""
    share, weight = found.share[found.treated], found.weight[found.treated]

    def variance(x: np.ndarray) -> float:
        return float(share @ x**2 - (share @ x) ** 2)

    rules: list[dict[str, Any]] = [{"type": "eq", "fun": lambda x: weight @ x - coefficient}]
    if not opposite:
        rules.append({"type": "eq", "fun": lambda x: share @ x})
    bounds = [(None, 0.0)] * weight.size if opposite else None
    first = -(weight < 0).astype(float) if opposite else weight / share - 1
    run = optimize.minimize(
        variance, first, constraints=rules, bounds=bounds, method="SLSQP", options={"maxiter": 2000, "ftol": 1e-15}
    )
    assert run.success
    return float(np.sqrt(run.fun))


@pytest.mark.parametrize("seed", range(5))
def test_robustness_equals_a_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = np.array([2, 3, 5, 6])[rng.integers(0, 4, 12)]
    start[0] = NEVER
    found = static_weights(start, PERIODS, weights=rng.uniform(0.5, 2, 12))
    assert found.n_negative > 0
    assert found.negative == pytest.approx(found.weight[found.treated & (found.weight < 0)].sum())
    got = robustness(found, 0.7)
    assert got.zero == pytest.approx(smallest_spread(found, 0.7, opposite=False), rel=1e-5)
    assert got.opposite == pytest.approx(smallest_spread(found, 0.7, opposite=True), rel=1e-4)
    assert robustness(found, -0.7) == got


def test_without_negative_weights_the_sign_cannot_turn() -> None:
    found = static_weights(np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]))
    got = robustness(found, 1.0)
    assert got.opposite is None
    assert got.zero == float("inf")  # a single cell: its effect is the coefficient


def test_weights_stand_for_units() -> None:
    start, seen, _ = world(4, 10, 0.2)
    twice = np.repeat(np.arange(10), np.where(np.arange(10) < 4, 2, 1))
    w = np.where(np.arange(10) < 4, 2.0, 1.0)
    one, two = static_weights(start, PERIODS, seen, w), static_weights(start[twice], PERIODS, seen[twice])
    assert one.weight == pytest.approx(two.weight, abs=1e-12)
    assert one.share == pytest.approx(two.share, abs=1e-12)
    order = np.random.default_rng(0).permutation(10)
    assert static_weights(start[order], PERIODS, seen[order], w[order]).weight == pytest.approx(one.weight, abs=1e-12)


def test_errors() -> None:
    start = np.array([2, 3, 5, 6, 6])
    with pytest.raises(WeightsError) as caught:
        event_study_weights(start, PERIODS)
    assert caught.value.why == "collinear"
    event_study_weights(start, PERIODS, Dynamics((-1, -5)))
    for nobody in (np.full(4, NEVER), np.full(4, 3)):
        with pytest.raises(WeightsError, match="no-variation"):
            static_weights(nobody, PERIODS)
    with pytest.raises(WeightsError, match="no-variation"):
        event_study_weights(np.full(4, NEVER), PERIODS)
