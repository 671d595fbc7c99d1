"""Stacked difference-in-differences beside a weighted regression on stacked rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import stacked_types
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.jackknife import jackknife_covariance
from evaltoolkit.kernels.stacked import StackError, Window, stacked, stacked_points

PERIODS = np.arange(2001, 2009)
STARTS = np.array([2003, 2004, 2006, 2008, NEVER])
WINDOWS = [
    Window(),
    Window(2, 1),
    Window(2, 1, "never"),
    Window(1, 2, share="sample"),
    Window(2, 0, residual="own"),
    Window(2, 1, anticipation=1),
]


def world(seed: int = 1, n: int = 60, holes: float = 0.0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = STARTS[rng.permutation(np.arange(n) % 5)]
    y = rng.normal(size=(n, 1)) + rng.normal(size=8).cumsum() + rng.normal(size=(n, 8))
    y = y + (start[:, None] <= PERIODS) * (1 + 0.3 * (PERIODS - np.minimum(start, 2010)[:, None]))
    y[rng.random(y.shape) < holes] = np.nan
    return y, start, rng.integers(0, 15, n), rng.uniform(0.5, 2, n)


def rows_of(y: np.ndarray, start: np.ndarray, window: Window) -> tuple[np.ndarray, list[int]]:
    """Stack in so many words: unit, cohort, event time, treated."""
    events = range(-window.before - window.anticipation, window.after + 1)
    found, cohorts = [], []
    for a in sorted(set(start[start < NEVER].tolist())):
        if any(a + e not in PERIODS for e in events):
            continue
        at = [int(np.flatnonzero(a + e == PERIODS)[0]) for e in events]
        whole = np.isfinite(y[:, at]).all(axis=1)
        clean = start == NEVER if window.comparison == "never" else start > a + window.after + window.anticipation
        if not (whole & (start == a)).any() or not (whole & clean).any():
            continue
        cohorts.append(a)
        found += [
            (i, a, e, float(start[i] == a)) for i in np.flatnonzero(whole & (clean | (start == a))) for e in events
        ]
    return np.array(found), cohorts


def twin(y: np.ndarray, start: np.ndarray, window: Window, clusters: np.ndarray, w: np.ndarray) -> tuple[Any, ...]:
    """Coefficients, and covariance with factor, of the weighted regression on dummies."""
    stack, cohorts = rows_of(y, start, window)
    unit, cohort, event, treated = (stack[:, k] for k in range(4))
    unit = unit.astype(int)
    target = y[unit, (cohort + event - 2001).astype(int)]
    one = event == event[0]
    n = {(a, s): w[unit[one & (cohort == a) & (treated == s)]].sum() for a in cohorts for s in (0, 1)}
    mass = {a: n[a, 1] + (n[a, 0] if window.share == "sample" else 0) for a in cohorts}
    total = sum(mass.values())
    q = np.array([mass[a] / total / n[a, s] for a, s in zip(cohort, treated, strict=True)]) * w[unit]
    reference = -1 - window.anticipation
    labels = [e for e in sorted(set(event)) if e != reference]
    if window.residual == "own":
        base = [(cohort == a) & (event == e) for a in cohorts for e in sorted(set(event))]
        base += [(cohort == a) * treated for a in cohorts]
        base += [(cohort == a) * treated * (event == e) for a in cohorts for e in labels]
        X = np.column_stack(base).astype(float)
        pick = np.zeros((len(labels), X.shape[1]))
        first = X.shape[1] - len(cohorts) * len(labels)
        for c, a in enumerate(cohorts):
            for k in range(len(labels)):
                pick[k, first + c * len(labels) + k] = mass[a] / total
    else:
        X = np.column_stack(
            [np.ones_like(event), treated] + [event == e for e in labels] + [treated * (event == e) for e in labels]
        ).astype(float)
        pick = np.eye(X.shape[1])[2 + len(labels) :]
    bread = np.linalg.inv(X.T @ (X * q[:, None]))
    b = bread @ (X.T @ (q * target))
    scores = X * (q * (target - X @ b))[:, None] @ bread @ pick.T
    labels_c, codes = np.unique(clusters[unit], return_inverse=True)
    sums = np.zeros((labels_c.size, len(labels)))
    np.add.at(sums, codes, scores)
    G, N, K = labels_c.size, len(target), 2 * (len(labels) + 1)
    return labels, pick @ b, sums.T @ sums * G / (G - 1) * (N - 1) / (N - K), cohorts


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("holes", [0.0, 0.1])
@pytest.mark.parametrize("above", [False, True])
def test_regression_on_stacked_rows(window: Window, holes: float, *, above: bool) -> None:
    y, start, clusters, w = world(2, 100, holes)
    found = stacked(y, start, PERIODS, window, clusters if above else None, w)
    labels, effects, covariance, cohorts = twin(y, start, window, clusters if above else np.arange(100), w)
    assert found.event_time.tolist() == labels
    assert found.cohort.tolist() == cohorts
    assert found.effects == pytest.approx(effects, abs=1e-10)
    assert found.scores.T @ found.scores == pytest.approx(covariance, abs=1e-10)
    after = found.event_time >= 0
    assert found.overall == pytest.approx(effects[after].mean(), abs=1e-10)
    assert found.overall_scores @ found.overall_scores == pytest.approx(
        covariance[np.ix_(after, after)].mean(), abs=1e-10
    )
    stack, _ = rows_of(y, start, window)
    assert found.n_rows == len(stack)
    one = stack[stack[:, 2] == stack[0, 2]]
    assert found.n_treated.tolist() == [int(((one[:, 1] == a) & (one[:, 3] == 1)).sum()) for a in cohorts]
    assert found.n_comparison.tolist() == [int(((one[:, 1] == a) & (one[:, 3] == 0)).sum()) for a in cohorts]


@pytest.mark.parametrize("residual", ["pooled", "own"])
def test_cross_products_give_the_same_covariance(residual: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    y, start, _, w = world(3, holes=0.05)
    window = Window(2, 1, residual=residual)
    rows = stacked(y + 1e6, start, PERIODS, window, None, w)
    monkeypatch.setattr(stacked_types, "MANY", 1)
    root = stacked(y, start, PERIODS, window, None, w)
    assert root.scores.shape[0] < rows.scores.shape[0]
    assert root.scores.T @ root.scores == pytest.approx(rows.scores.T @ rows.scores, rel=1e-7)
    assert root.effects == pytest.approx(rows.effects, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 10), holes=st.sampled_from([0.0, 0.05])
)
def test_shift_scale_and_order(seed: int, shift: float, scale: float, holes: float) -> None:
    y, start, clusters, w = world(seed, 60, holes)
    a = stacked(y, start, PERIODS, Window(2, 1), clusters, w)
    order = np.random.default_rng(seed).permutation(60)
    b = stacked((y * scale + shift)[order], start[order], PERIODS, Window(2, 1), clusters[order], w[order])
    assert b.effects == pytest.approx(scale * a.effects, abs=1e-9 * (1 + abs(shift)))
    assert b.scores == pytest.approx(scale * a.scores, abs=1e-9 * (1 + abs(shift)))


def test_twice_the_units_or_twice_the_weight() -> None:
    y, start, clusters, _ = world(4)
    twice = np.repeat(np.arange(60), 1 + np.arange(60) % 2)
    a = stacked(y[twice], start[twice], PERIODS, Window(1, 1), clusters[twice])
    b = stacked(y, start, PERIODS, Window(1, 1), clusters, 1.0 + np.arange(60) % 2)
    assert a.effects == pytest.approx(b.effects, abs=1e-12)
    factor = (a.n_rows - 1) / (a.n_rows - 6) / ((b.n_rows - 1) / (b.n_rows - 6))
    assert a.scores == pytest.approx(b.scores * np.sqrt(factor), abs=1e-12)


def test_naive_stack_is_biased_where_this_is_not() -> None:
    """Trends of later cohorts' windows differ; no effects, no noise: only the corrective weights give zero."""
    start = np.repeat([2003, 2006, 2006, 2006, NEVER, NEVER], 2)
    y = np.tile(np.arange(8.0) ** 2, (12, 1)) + np.arange(12)[:, None]
    assert stacked(y, start, PERIODS, Window(1, 1)).effects == pytest.approx(0, abs=1e-9)
    stack, _ = rows_of(y, start, Window(1, 1))
    unit, cohort, event, treated = (stack[:, k] for k in range(4))
    X = np.column_stack(
        [np.ones(len(stack)), treated, event == 0, event == 1, treated * (event == 0), treated * (event == 1)]
    )
    b = np.linalg.lstsq(X, y[unit.astype(int), (cohort + event - 2001).astype(int)], rcond=None)[0]
    assert abs(b[-1]) > 0.5


def test_points_without_a_cluster() -> None:
    y, start, clusters, w = world(5, holes=0.05)
    found = stacked(y, start, PERIODS, Window(2, 1), clusters, w)
    every = stacked_points(y, start, PERIODS, Window(2, 1), w)
    assert every == pytest.approx(np.append(found.effects, found.overall), abs=1e-12)
    deleted = np.array(
        [
            stacked_points(y[clusters != c], start[clusters != c], PERIODS, Window(2, 1), w[clusters != c])
            for c in range(15)
        ]
    )
    jackknife = np.sqrt(np.diag(jackknife_covariance(deleted, every)))[:-1]
    assert 0.5 < np.median(jackknife / np.sqrt((found.scores**2).sum(axis=0))) < 2


def test_gaps_and_trimming() -> None:
    y, start, _, _ = world(6)
    kept = np.flatnonzero(PERIODS != 2005)
    found = stacked(y[:, kept], start, PERIODS[kept], Window(1, 1))
    assert found.cohort.tolist() == [2003]
    assert found.trimmed.tolist() == [2004, 2006, 2008]


def test_nothing_left() -> None:
    y, start, _, _ = world(7)
    with pytest.raises(StackError) as window:
        stacked(y, start, PERIODS, Window(8, 1))
    assert window.value.why == "window"
    everyone = np.where(start == NEVER, 2008, start)
    with pytest.raises(StackError) as nobody:
        stacked(y, everyone, PERIODS, Window(1, 0, "never"))
    assert (nobody.value.why, nobody.value.cohorts) == ("comparison", (2003, 2004, 2006, 2008))
    assert np.isnan(stacked_points(y, everyone, PERIODS, Window(1, 0, "never"))).all()
