"""Decompositions beside regressions on dummies and loops over pairs of units."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.bacon import DecompositionError, bacon
from evaltoolkit.kernels.bacon_groups import group_means, groups, two_way_residuals
from evaltoolkit.kernels.cohorts import NEVER

PERIODS = np.array([2000, 2001, 2002, 2004, 2005, 2007])
STARTS = np.array([2000, 2002, 2003, 2005, 2009, NEVER])  # always; with a gap before; after the last period; never


def world(seed: int = 0, n: int = 24, holes: float = 0.0, p: int = 0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = STARTS[np.arange(n) % 6]
    y = rng.normal(size=(n, 6)) + rng.normal(size=(n, 1)) + np.arange(6)
    y = np.where(rng.random((n, 6)) < holes, np.nan, y)
    x = rng.normal(size=(n, 6, p)) + 0.5 * (start[:, None] <= PERIODS)[:, :, None]
    return y, start, rng.uniform(0.5, 2, size=n), x


def by_dummies(y: np.ndarray, start: np.ndarray, w: np.ndarray, x: np.ndarray | None = None) -> float:
    """The coefficient of treatment with a dummy for every unit and period."""
    unit, period = np.nonzero(np.isfinite(y))
    columns = [(PERIODS[period] >= start[unit]).astype(float)]
    if x is not None:
        columns += list(x[unit, period].T)
    columns += [(unit == i).astype(float) for i in range(len(y))] + [(period == t).astype(float) for t in range(1, 6)]
    root = np.sqrt(w[unit])
    X = np.column_stack(columns) * root[:, None]
    return float(np.linalg.lstsq(X, y[unit, period] * root, rcond=1e-11)[0][0])


def slow(y: np.ndarray, start: np.ndarray, w: np.ndarray) -> dict[tuple[int, int], list[float]]:
    """Weight and contribution of every comparison, before scaling, from a loop over pairs of units."""
    seen = np.isfinite(y)
    mass = (seen * w[:, None])[seen.sum(axis=1) > 1].sum(axis=0)
    start = np.where(start > PERIODS[-1], NEVER, np.maximum(start, PERIODS[0]))
    found: dict[tuple[int, int], list[float]] = {}
    for i, j in combinations(range(len(y)), 2):
        i, j = (i, j) if start[i] <= start[j] else (j, i)
        both = seen[i] & seen[j]
        if start[i] == start[j] or both.sum() < 2:
            continue
        share = np.where(both, w[i] * w[j] / mass, 0.0)
        gap = np.where(both, y[i] - y[j], 0.0)
        early, late = start[i] > PERIODS, start[j] <= PERIODS
        middle = ~early & ~late
        for treated, compared, other in ((i, j, early), (j, i, late)):
            weight = share[middle].sum() * share[other].sum() / share.sum()
            row = found.setdefault((int(start[treated]), int(start[compared])), [0.0, 0.0])
            if weight > 0:
                effect = np.average(gap[middle], weights=share[middle]) - np.average(gap[other], weights=share[other])
                row[0] += weight
                row[1] += weight * effect
    return {key: row for key, row in found.items() if row[0] > 0}


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_slow_twin(seed: int, holes: float) -> None:
    y, start, w, _ = world(seed, holes=holes)
    found = bacon(y, start, PERIODS, w)
    assert found.coefficient == pytest.approx(by_dummies(y, start, w), abs=1e-10)
    assert found.weight.sum() == pytest.approx(1, abs=1e-12)
    assert found.contribution.sum() == pytest.approx(found.coefficient, abs=1e-12)
    expected = slow(y, start, w)
    rows = [i for i, kind in enumerate(found.kind) if kind != "remainder"]
    assert {(int(found.treated[i]), int(found.comparison[i])) for i in rows} == set(expected)
    unit, period = np.nonzero(np.isfinite(y))
    d = (start[:, None] <= PERIODS).astype(float)
    left = two_way_residuals(d[:, :, None], np.isfinite(y), w)[:, :, 0]
    variance = float((w[unit] * left[unit, period] ** 2).sum())
    for i in rows:
        weight, contribution = expected[int(found.treated[i]), int(found.comparison[i])]
        assert found.weight[i] == pytest.approx(weight / variance, abs=1e-11)
        assert found.contribution[i] == pytest.approx(contribution / variance, abs=1e-11)
    assert ("remainder" in found.kind) == (holes > 0)


def test_kinds() -> None:
    y, start, _, _ = world()
    found = bacon(y, start, PERIODS)
    kinds = {
        (k, m): kind for k, m, kind in zip(found.treated.tolist(), found.comparison.tolist(), found.kind, strict=True)
    }
    assert kinds[2002, NEVER] == "treated-never"
    assert kinds[2002, 2000] == "later-always"
    assert kinds[2002, 2005] == "earlier-later"
    assert kinds[2005, 2002] == "later-earlier"
    assert (2000, NEVER) not in kinds
    assert 2009 not in found.comparison  # starts after the last period: never treated here


@pytest.mark.parametrize("holes", [0.0, 0.25])
def test_with_covariates(holes: float) -> None:
    y, start, w, x = world(5, n=36, holes=holes, p=2)
    found = bacon(y, start, PERIODS, w, x)
    assert found.coefficient == pytest.approx(by_dummies(y, start, w, x), abs=1e-10)
    assert found.weight.sum() == pytest.approx(1, abs=1e-12)
    assert found.contribution.sum() == pytest.approx(found.coefficient, abs=1e-12)
    assert ("remainder" in found.kind) == (holes > 0)
    assert found.totals()["within"][0] > 0


def test_covariates_of_the_cohort_only_leave_nothing_within() -> None:
    y, start, _, _ = world(6, n=36)
    x = np.random.default_rng(1).normal(size=(6, 6))[np.minimum(np.arange(36) % 6, 4)][:, :, None]
    found = bacon(y, start, PERIODS, covariates=x)
    assert "within" not in found.kind or abs(found.totals()["within"][0]) < 1e-12
    assert found.coefficient == pytest.approx(by_dummies(y, start, np.ones(36), x), abs=1e-10)


def test_a_covariate_missing_is_an_observation_missing() -> None:
    y, start, w, x = world(7, n=36, p=1)
    gone = x.copy()
    gone[3, 2, 0] = np.nan
    holes = np.where(np.isnan(gone[:, :, 0]), np.nan, y)
    assert bacon(y, start, PERIODS, w, gone).coefficient == bacon(holes, start, PERIODS, w, x).coefficient


def test_no_two_units_share_two_periods() -> None:
    """Three units seen in periods 1-2, 2-3 and 1-3: no comparison of two exists, and all is remainder."""
    y = np.array([[1.0, 3, np.nan], [np.nan, 2, 7], [4, np.nan, 5]])
    found = bacon(y, np.array([2, 3, NEVER]), np.array([1, 2, 3]))
    assert found.kind == ("remainder",)
    assert found.weight.tolist() == [1.0]
    assert found.contribution[0] == found.coefficient


@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_weights_stand_for_units(holes: float) -> None:
    y, start, _, x = world(8, holes=holes, p=1)
    twice = np.repeat(np.arange(24), np.where(np.arange(24) < 10, 2, 1))
    w = np.where(np.arange(24) < 10, 2.0, 1.0)
    for cov in (None, x):
        one = bacon(y, start, PERIODS, w, cov)
        two = bacon(y[twice], start[twice], PERIODS, None, None if cov is None else cov[twice])
        assert one.kind == two.kind
        assert one.weight == pytest.approx(two.weight, abs=1e-12)
        assert one.contribution == pytest.approx(two.contribution, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.15, 0.4]), scale=st.floats(0.1, 100))
def test_sums_and_invariances(seed: int, holes: float, scale: float) -> None:
    y, start, w, _ = world(seed, n=30, holes=holes)
    found = bacon(y, start, PERIODS, w)
    assert found.weight.sum() == pytest.approx(1, abs=1e-10)
    assert found.contribution.sum() == pytest.approx(found.coefficient, abs=1e-10)
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    moved = scale * (y + 1e5 * rng.normal(size=(30, 1)) + 1e3 * rng.normal(size=6))
    again = bacon(moved[order], start[order], PERIODS, w[order])
    assert again.kind == found.kind
    assert again.weight == pytest.approx(found.weight, abs=1e-9)
    assert again.coefficient == pytest.approx(scale * found.coefficient, abs=1e-8 * scale)
    # Unit effects reach the remainder: two units' shared periods do not say how their levels differ elsewhere.
    pairs = np.array([kind != "remainder" for kind in found.kind])
    assert again.contribution[pairs] == pytest.approx(scale * found.contribution[pairs], abs=1e-8 * scale)


def test_units_seen_once_count_nowhere() -> None:
    y, start, w, _ = world(9, holes=0.2)
    once = np.full((1, 6), np.nan)
    once[0, 3] = 100.0
    more = bacon(np.vstack([y, once]), np.append(start, 2002), PERIODS, np.append(w, 5.0))
    assert more.contribution.tolist() == bacon(y, start, PERIODS, w).contribution.tolist()


def test_errors() -> None:
    y, start, _, x = world(p=1)
    for nobody in (np.full(24, NEVER), np.full(24, 2002)):
        with pytest.raises(DecompositionError, match="no-variation"):
            bacon(y, nobody, PERIODS)
    with pytest.raises(DecompositionError, match="no-variation"):
        bacon(np.full((24, 6), np.nan), start, PERIODS)
    treated = (start[:, None] <= PERIODS).astype(float)[:, :, None]
    with pytest.raises(DecompositionError, match="no-variation"):
        bacon(y, start, PERIODS, covariates=treated)
    constant = np.broadcast_to(np.random.default_rng(0).normal(size=(24, 1, 1)), (24, 6, 1))
    with pytest.raises(DecompositionError) as caught:
        bacon(y, start, PERIODS, covariates=np.concatenate([x, constant], axis=2))
    assert (caught.value.why, caught.value.column) == ("collinear", 1)


def test_groups_and_their_means() -> None:
    y, start, w, _ = world(10, holes=0.3)
    found = groups(np.isfinite(y), start, PERIODS, w)
    used = np.isfinite(y).sum(axis=1) > 1
    assert (found.code >= 0).tolist() == used.tolist()
    means = group_means(found, y, w)
    for g in range(found.size.size):
        mine = found.code == g
        assert found.size[g] == pytest.approx(w[mine].sum())
        assert (np.isfinite(y[mine]) == found.observed[g]).all()
    # Differences over time between two groups are those of plain means.
    a, b = np.flatnonzero(found.observed[:, :2].all(axis=1))[:2]

    def plain(g: int, t: int) -> float:
        return float(np.average(y[found.code == g, t], weights=w[found.code == g]))

    direct = plain(a, 1) - plain(a, 0) - plain(b, 1) + plain(b, 0)
    assert means[a, 1] - means[a, 0] - means[b, 1] + means[b, 0] == pytest.approx(direct, abs=1e-12)
