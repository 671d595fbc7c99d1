"""Local-projection difference-in-differences beside regressions with dummies, and beside what it must equal."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import stacked_types
from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import group_time_study
from evaltoolkit.kernels.local_projection import (
    EVERY,
    Horizons,
    ProjectionError,
    local_projection,
    local_projection_points,
)
from evaltoolkit.kernels.local_projection_covariates import CovariateError, adjusted_points, adjusted_projection

PERIODS = np.array([1, 2, 3, 4, 5, 6, 8])  # 7 was not observed
STARTS = np.array([3, 4, 6, 7, NEVER])
RULES = [
    Horizons(3, 2, w, c, b, f)
    for w, c, b, f in itertools.product(("variance", "equal"), ("never", "not-yet"), (1, 2, EVERY), (False, True))
]


def world(seed: int = 1, n: int = 60, holes: float = 0.0, k: int = 0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = STARTS[rng.permutation(np.arange(n) % 5)]
    x = rng.normal(size=(n, 7, k)) + 0.3 * (start < 6)[:, None, None]
    y = rng.normal(size=(n, 1)) + rng.normal(size=7).cumsum() + rng.normal(size=(n, 7)) + 0.5 * x.sum(axis=2)
    y = y + (start[:, None] <= PERIODS) * (1 + 0.3 * (PERIODS - np.minimum(start, 10)[:, None]))
    y[rng.random(y.shape) < holes] = np.nan
    return y, start, rng.integers(0, 15, n), rng.uniform(0.5, 2, n), x


def rows_of(y: np.ndarray, start: np.ndarray, rule: Horizons, offsets: list[int], x: np.ndarray) -> list[Any]:
    """Rows in so many words: unit, time, newly treated, long difference, covariates in the period before."""
    value = {int(p): y[:, k] for k, p in enumerate(PERIODS)}
    found = []
    reach = rule.after if rule.fixed else max([0, *offsets])
    for t in sorted(set(PERIODS[1:].tolist()) | {int(g) for g in start if 1 < g <= 8}):
        before = [p for p in PERIODS.tolist() if p < t]
        before = before if rule.base == EVERY else before[-rule.base :]
        needed = [t + o for o in offsets] + ([t + o for o in range(rule.after + 1)] if rule.fixed else [])
        if (rule.base != EVERY and len(before) < rule.base) or any(p not in value for p in needed):
            continue
        for i in range(len(y)):
            clean = start[i] == NEVER if rule.comparison == "never" else start[i] > t + reach
            if start[i] != t and not clean:
                continue
            past = np.array([value[p][i] for p in before])
            past = past[np.isfinite(past)] if rule.base == EVERY else past
            here = np.array([value[p][i] for p in needed])
            if not past.size or not np.isfinite(past).all() or not np.isfinite(here).all():
                continue
            gain = np.mean([value[t + o][i] for o in offsets]) - past.mean()
            found.append((i, t, start[i] == t, gain, x[i, [p for p in range(7) if PERIODS[p] < t][-1]]))
    return found


def regression(rows: list[Any], w: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Coefficient and clustered error of the regression with period dummies."""
    unit, time = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    D, gain = np.array([float(r[2]) for r in rows]), np.array([r[3] for r in rows])
    X = np.column_stack([D, *[time == t for t in np.unique(time)], *np.array([r[4] for r in rows]).T]).astype(float)
    weight = w[unit]
    bread = np.linalg.inv(X.T @ (X * weight[:, None]))
    b = bread @ X.T @ (weight * gain)
    labels, codes = np.unique(clusters[unit], return_inverse=True)
    sums = np.zeros((labels.size, X.shape[1]))
    np.add.at(sums, codes, X * (weight * (gain - X @ b))[:, None])
    V = bread @ sums.T @ sums @ bread * labels.size / (labels.size - 1) * (len(D) - 1) / (len(D) - X.shape[1])
    return float(b[0]), float(np.sqrt(V[0, 0]))


def adjustment(rows: list[Any], w: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Mean residual of the treated from a regression among comparison rows, and its error from stacked moments."""
    times = {t for t in {r[1] for r in rows} if any(r[1] == t and not r[2] for r in rows)}
    kept = [r for r in rows if r[1] in times]
    unit, time = np.array([r[0] for r in kept]), np.array([r[1] for r in kept])
    D, gain = np.array([float(r[2]) for r in kept]), np.array([r[3] for r in kept])
    X = np.column_stack([*[time == t for t in sorted(times)], *np.array([r[4] for r in kept]).T]).astype(float)
    weight = w[unit]

    def moments(theta: np.ndarray) -> np.ndarray:
        e = gain - X @ theta[1:]
        return np.asarray(np.column_stack([weight * D * (e - theta[0]), X * (weight * (1 - D) * e)[:, None]]))

    free = D == 0
    coefficients = np.linalg.lstsq(
        X[free] * np.sqrt(weight[free])[:, None], gain[free] * np.sqrt(weight[free]), rcond=None
    )[0]
    point = np.average((gain - X @ coefficients)[~free], weights=weight[~free])
    theta = np.array([point, *coefficients])
    jacobian = np.stack(
        [(moments(theta + h).sum(axis=0) - moments(theta - h).sum(axis=0)) / 2e-4 for h in 1e-4 * np.eye(theta.size)]
    ).T
    sums = np.zeros((int(clusters.max()) + 1, theta.size))
    np.add.at(sums, clusters[unit], moments(theta))
    inverse = np.linalg.inv(jacobian)
    return float(point), float(np.sqrt((inverse @ sums.T @ sums @ inverse.T)[0, 0]))


def check(
    rule: Horizons, found: Any, y: np.ndarray, start: np.ndarray, x: np.ndarray, w: np.ndarray, c: np.ndarray
) -> None:
    slow = regression if rule.weighting == "variance" else adjustment
    goals = {h: [h] for h in [*range(-rule.before, -1), *range(rule.after + 1)]}
    assert found.horizon.tolist() == list(goals)
    for k, offsets in enumerate(goals.values()):
        rows = rows_of(y, start, rule, offsets, x)
        point, error = slow(rows, w, c)
        assert found.effects[k] == pytest.approx(point, abs=1e-9)
        assert np.sqrt((found.scores[:, k] ** 2).sum()) == pytest.approx(error, rel=1e-8)
        assert found.n_treated[k] == sum(r[2] for r in rows)
        assert found.n_comparison[k] == sum(not r[2] for r in rows)
        assert found.n_clusters[k] == len({int(c[r[0]]) for r in rows})
    for k, offsets in enumerate(([*range(rule.after + 1)], [*range(-rule.before, -1)])):
        point, error = slow(rows_of(y, start, rule, offsets, x), w, c)
        assert found.pooled[k] == pytest.approx(point, abs=1e-9)
        assert np.sqrt((found.pooled_scores[:, k] ** 2).sum()) == pytest.approx(error, rel=1e-8)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("holes", [0.0, 0.08])
def test_regressions_with_dummies(rule: Horizons, holes: float) -> None:
    y, start, clusters, w, x = world(3, 100, holes)
    check(rule, local_projection(y, start, PERIODS, rule, clusters, w), y, start, x, w, clusters)


@pytest.mark.parametrize(
    "rule", [Horizons(3, 2), Horizons(2, 2, "equal"), Horizons(2, 1, "equal", "never", 2, fixed=True)]
)
@pytest.mark.parametrize("holes", [0.0, 0.08])
def test_covariates(rule: Horizons, holes: float) -> None:
    y, start, clusters, w, x = world(4, 100, holes, k=2)
    check(rule, adjusted_projection(y, start, PERIODS, x, rule, clusters, w), y, start, x, w, clusters)


@pytest.mark.parametrize("rule", RULES[::5])
def test_no_covariates_is_the_special_case(rule: Horizons) -> None:
    y, start, clusters, w, x = world(5, 80, 0.05)
    a, b = (
        local_projection(y, start, PERIODS, rule, clusters, w),
        adjusted_projection(y, start, PERIODS, x, rule, clusters, w),
    )
    assert a.effects == pytest.approx(b.effects, abs=1e-10)
    assert a.scores == pytest.approx(b.scores, abs=1e-10)
    assert a.pooled_scores == pytest.approx(b.pooled_scores, abs=1e-10)


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_equal_weights_are_callaway_and_santanna(comparison: Any) -> None:
    """Exactly, at every horizon, in estimates and in scores, which hold the shares of cohorts."""
    y, start, clusters, w, _ = world(6, 90)
    found = local_projection(y, start, PERIODS, Horizons(4, 4, "equal", comparison), clusters, w)
    rule = Rule(comparison, base_period="universal")
    study = group_time_study(y, start, PERIODS, np.ones((90, 1, 1)), rule, clusters, w)
    cells = study.cells
    rows = aggregate("dynamic", cells.cohort, cells.period, cells.att, cells.scores, study.sizes)
    for h, value, score in zip(found.horizon.tolist(), found.effects, found.scores.T, strict=True):
        k = rows.labels.tolist().index(h)
        assert value == pytest.approx(rows.rows[k], abs=1e-12)
        assert score == pytest.approx(rows.row_scores[:, k], abs=1e-12)


def test_variance_weights_are_the_stacked_regression() -> None:
    """Stack cohorts with effects of cohort by unit and cohort by period, two periods each."""
    y, start, _, _, _ = world(7, 50)
    for h in (0, 2):
        rows = []
        for g in (3, 4, 6):
            if g + h not in PERIODS:
                continue
            base, to = int(np.searchsorted(PERIODS, g)) - 1, int(np.searchsorted(PERIODS, g + h))
            for i in np.flatnonzero((start == g) | (start > g + h)):
                rows += [(i, g, 0, 0.0, y[i, base]), (i, g, 1, float(start[i] == g), y[i, to])]
        unit, cohort, post, D, gain = (np.array(v) for v in zip(*rows, strict=True))
        pairs = np.unique(np.column_stack([unit, cohort]), axis=0)
        X = np.column_stack(
            [
                D,
                *[(unit == i) & (cohort == g) for i, g in pairs],
                *[(cohort == g) & (post == 1) for g in np.unique(cohort)],
            ]
        ).astype(float)
        expected = np.linalg.lstsq(X, gain, rcond=None)[0][0]
        found = local_projection(y, start, PERIODS, Horizons(0, 2))
        assert found.effects[found.horizon == h] == pytest.approx([expected], abs=1e-9)


def test_premean_of_everything_is_imputation_with_one_cohort() -> None:
    """Two-way effects fitted to untreated rows, as the authors show for one cohort."""
    y, start, _, _, _ = world(8, 40)
    start = np.where(start < NEVER, 5, NEVER)
    found = local_projection(y, start, PERIODS, Horizons(0, 1, base=EVERY))
    unit, t = np.nonzero(start[:, None] > PERIODS)
    X = np.column_stack([*[unit == i for i in range(40)], *[t == s for s in range(1, 7)]]).astype(float)
    b = np.linalg.lstsq(X, y[unit, t], rcond=None)[0]
    fitted = b[:40, None] + np.append(0, b[40:])
    for k, s in enumerate((4, 5)):
        assert found.effects[k] == pytest.approx((y - fitted)[start == 5, s].mean(), abs=1e-9)


def test_cross_products_give_the_same_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    y, start, _, w, _ = world(9, holes=0.05)
    rows = local_projection(y + 1e6, start, PERIODS, Horizons(2, 2), None, w)
    monkeypatch.setattr(stacked_types, "MANY", 1)
    root = local_projection(y, start, PERIODS, Horizons(2, 2), None, w)
    assert root.scores.shape[0] < rows.scores.shape[0]
    assert root.scores.T @ root.scores == pytest.approx(rows.scores.T @ rows.scores, rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10), rule=st.sampled_from(RULES))
def test_shift_scale_order_and_weights(seed: int, scale: float, rule: Horizons) -> None:
    y, start, clusters, _, _ = world(seed, 60, 0.03)
    order = np.random.default_rng(seed).permutation(60)
    moved = y * scale + np.arange(7.0) + np.arange(60)[:, None]
    if rule.base == EVERY:
        moved = moved - np.arange(7.0)  # units differ in the periods their base is made of
    a = local_projection(y, start, PERIODS, rule, clusters, np.full(60, 3.0))
    b = local_projection(moved[order], start[order], PERIODS, rule, clusters[order])
    assert b.effects == pytest.approx(scale * a.effects, abs=1e-9)
    assert b.scores == pytest.approx(scale * a.scores, abs=1e-9)


def test_points_and_lost_horizons() -> None:
    y, start, clusters, w, x = world(10, k=1)
    rule = Horizons(2, 1, "equal")
    found = local_projection(y, start, PERIODS, rule, clusters, w)
    assert local_projection_points(y, start, PERIODS, rule, w) == pytest.approx(np.append(found.effects, found.pooled))
    better = adjusted_projection(y, start, PERIODS, x, rule, clusters, w)
    assert adjusted_points(y, start, PERIODS, x, rule, w) == pytest.approx(np.append(better.effects, better.pooled))
    far = local_projection(y, start, PERIODS, Horizons(0, 8))
    assert far.horizon.max() == 5  # the cohort of 3 in period 8; at horizon 4 there is only the gap for it
    assert np.isnan(far.pooled).all()
    assert np.isnan(local_projection_points(y, start, PERIODS, Horizons(0, 8)))[[6, 7, 8]].all()


def test_errors() -> None:
    y, start, _, _, x = world(11, k=2)
    with pytest.raises(ProjectionError):
        local_projection(y, np.full(60, 4), PERIODS, Horizons(0, 1))
    with pytest.raises(ProjectionError):
        adjusted_projection(y, np.full(60, 4), PERIODS, x, Horizons(0, 1))
    both = np.concatenate([x[:, :, :1], 2 * x[:, :, :1]], axis=2)
    both = np.concatenate([x[:, :, :1], 2 * x[:, :, :1]], axis=2)
    for weighting in ("variance", "equal"):
        with pytest.raises(CovariateError) as same:
            adjusted_projection(y, start, PERIODS, both, Horizons(weighting=weighting))
        assert same.value.column == 1
        with pytest.raises(CovariateError) as flat:
            adjusted_projection(y, start, PERIODS, np.ones((60, 1, 1)), Horizons(weighting=weighting))
        assert flat.value.column == 0
