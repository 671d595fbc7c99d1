"""Effects of treatments that switch, beside loops over units and the weights the paper prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import stacked_types
from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import group_time_study
from evaltoolkit.kernels.jackknife import jackknife_covariance
from evaltoolkit.kernels.switching import Switches, switching, switching_points
from evaltoolkit.kernels.switching_instant import instant, instant_points
from evaltoolkit.kernels.switching_paths import SwitchError, paths

T = 7


def world(seed: int = 1, n: int = 80, holes: float = 0.0, levels: int = 3) -> tuple[Any, ...]:
    """Treatments 0 .. levels - 1 that change now and then, up and down; a third of units never change."""
    rng = np.random.default_rng(seed)
    d = np.repeat(rng.integers(0, levels, (n, 1)), T, axis=1).astype(float)
    for t in range(1, T):
        moves = (rng.random(n) < 0.25) & (np.arange(n) % 3 > 0)
        d[:, t] = np.where(moves, rng.integers(0, levels, n), d[:, t - 1])
    y = rng.normal(size=(n, 1)) + rng.normal(size=T).cumsum() + rng.normal(size=(n, T)) + d + 0.5 * np.cumsum(d, axis=1)
    y[rng.random(y.shape) < holes] = np.nan
    return y, d, rng.integers(0, 20, n), rng.uniform(0.5, 2, n)


def masked(y: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Outcomes up to where a unit has been both above and below its first treatment."""
    y = y.copy()
    for i in range(len(y)):
        for t in range(T):
            if (d[i, : t + 1] > d[i, 0]).any() and (d[i, : t + 1] < d[i, 0]).any():
                y[i, t] = np.nan
    return y


def twin(
    y: np.ndarray, d: np.ndarray, offset: int, direction: str, w: np.ndarray, strata: np.ndarray
) -> tuple[Any, ...]:
    """Effect (offset l) or placebo (-l), mean cumulated dose, change in the period, switchers, comparison rows."""
    y = masked(y, d)
    first = [next((t for t in range(T) if d[i, t] != d[i, 0]), T) for i in range(len(y))]
    top = bottom = dose = now = 0.0
    switchers, pairs = 0, set()
    for i, f in enumerate(first):
        to, reach = f - 1 + offset, f - 1 + abs(offset)
        if f == T or to < 0 or reach >= T:
            continue
        sign = 1 if d[i, f] > d[i, 0] else -1
        if direction != "both" and sign != {"in": 1, "out": -1}[direction]:
            continue
        needed = [f - 1, to, reach]
        clean = [
            j for j in range(len(y))
            if d[j, 0] == d[i, 0] and strata[j] == strata[i] and first[j] > reach and np.isfinite(y[j, needed]).all()
        ]  # fmt: skip
        if not clean or not np.isfinite(y[i, needed]).all():
            continue
        trend = np.average(y[clean, to] - y[clean, f - 1], weights=w[clean])
        top += w[i] * sign * (y[i, to] - y[i, f - 1] - trend)
        bottom += w[i]
        dose += w[i] * abs((d[i, f : reach + 1] - d[i, 0]).sum())
        now += w[i] * sign * (d[i, reach] - d[i, 0])
        switchers += 1
        pairs |= {(j, f) for j in clean}
    return top, bottom, dose, now, switchers, len(pairs)


@pytest.mark.parametrize("direction", ["both", "in", "out"])
@pytest.mark.parametrize("holes", [0.0, 0.08])
@pytest.mark.parametrize("grouped", [False, True])
def test_loops_over_units(direction: Any, holes: float, *, grouped: bool) -> None:
    y, d, clusters, w = world(2, 120, holes)
    strata = np.arange(120) % 2 if grouped else np.zeros(120, dtype=int)
    rule = Switches(3, 2, direction)
    found = switching(y, d, rule, clusters, w, strata if grouped else None)
    offsets = [-2, -1, 1, 2, 3]
    assert found.event_time.tolist() == [-3, -2, 0, 1, 2]
    slow = [twin(y, d, o, direction, w, strata) for o in offsets]
    for k, (top, bottom, dose, _, switchers, pairs) in enumerate(slow):
        assert found.effects[k] == pytest.approx(top / bottom, abs=1e-10)
        assert found.dose[k] == pytest.approx(dose / bottom, abs=1e-10)
        assert found.normalized[k] == pytest.approx(top / dose, abs=1e-10)
        assert found.n_switchers[k] == switchers
        assert found.n_comparison[k] == pairs
    assert found.average == pytest.approx(sum(s[0] for s in slow[2:]) / sum(s[3] for s in slow[2:]), abs=1e-10)
    points = switching_points(y, d, rule, w, strata if grouped else None)
    assert points == pytest.approx(np.append(found.effects, found.average), abs=1e-12)


def influence(y: np.ndarray, d: np.ndarray, ell: int) -> np.ndarray:
    """U of every unit over N_l, with the weights on outcomes that the paper prints; periods from 1."""
    n = len(y)
    F = np.array([next((t + 1 for t in range(T) if d[i, t] != d[i, 0]), T + 1) for i in range(n)])
    S = np.array([np.sign(d[i, F[i] - 1] - d[i, 0]) if F[i] <= T else 0 for i in range(n)])
    last = np.array([max(F[d[:, 0] == d[i, 0]]) - 1 for i in range(n)])
    N = sum(F[i] - 1 + ell <= last[i] and F[i] <= T for i in range(n))
    U = np.zeros(n)
    for i in range(n):
        same = d[:, 0] == d[i, 0]
        for t in range(1, T + 1):
            weight = S[i] * (F[i] <= last[i] - ell + 1) * (int(F[i] == t - ell + 1) - int(F[i] == t + 1))
            for at, s in ((t, -1), (t + ell, 1)):  # as the end of a comparison, and as its base
                switch = same & (at - ell + 1 == F)
                clean = (same & (at < F)).sum()
                if at <= T and clean and F[i] > at:
                    weight += s * (S[switch].sum()) / clean
            U[i] += weight * y[i, t - 1] / N
    return U


@pytest.mark.parametrize("above", [False, True])
def test_variance_of_the_paper(*, above: bool) -> None:
    y, d, clusters, _ = world(3, 100, levels=2)
    found = switching(y, d, Switches(3), clusters if above else None)
    for k in range(3):
        U = influence(y, d, k + 1)
        assert U.sum() == pytest.approx(found.effects[k], abs=1e-10)
        first = np.array([next((t for t in range(T) if r[t] != r[0]), T) for r in d])
        sign = np.array([np.sign(r[min(f, T - 1)] - r[0]) for r, f in zip(d, first, strict=True)])
        _, cohort = np.unique(np.column_stack([d[:, 0], first, sign]), axis=0, return_inverse=True)
        cohort = cohort.ravel()
        U = U - (np.bincount(cohort, U) / np.bincount(cohort))[cohort]
        sums = np.bincount(clusters, U) if above else U
        assert found.scores[:, k] @ found.scores[:, k] == pytest.approx(sums @ sums, rel=1e-9)
        names = clusters if above else np.arange(100)
        size = np.array([np.unique(names[cohort == c]).size for c in range(cohort.max() + 1)])[cohort]
        corrected = switching(y, d, Switches(3, variance="corrected"), clusters if above else None).scores[:, k]
        U = U * np.sqrt(size / np.maximum(size - 1, 1))
        assert corrected == pytest.approx(np.bincount(clusters, U, minlength=20) if above else U, abs=1e-12)
        assert found.n_alone[k] == np.unique(cohort[(size == 1) & (sign != 0) & (first + k < T)]).size


def package_scores(y: np.ndarray, d: np.ndarray, ell: int, clusters: np.ndarray, side: int) -> np.ndarray:
    """Of switchers in one direction: residuals and degrees of freedom as did_multiplegt_dyn defines them."""
    n = len(y)
    first = np.array([next((t for t in range(T) if r[t] != r[0]), T) for r in d])
    sign = np.array([np.sign(r[min(f, T - 1)] - r[0]) for r, f in zip(d, first, strict=True)])
    U, N = np.zeros(n), 0
    for base, f in sorted({(r[0], f) for r, f, s in zip(d, first, sign, strict=True) if s == side}):
        to = f - 1 + ell
        if to >= T:
            continue
        mine = np.flatnonzero((d[:, 0] == base) & (first == f) & (sign == side))
        theirs = np.flatnonzero((d[:, 0] == base) & (first > to))
        if not theirs.size:
            continue
        N += mine.size
        gain = y[:, to] - y[:, f - 1]
        for some, weight in ((mine, side), (theirs, -side * mine.size / theirs.size)):
            pool = some if np.unique(clusters[some]).size > 1 else np.concatenate([mine, theirs])
            df = np.unique(clusters[pool]).size
            U[some] += weight * np.sqrt(df / max(df - 1, 1)) * (gain[some] - gain[pool].mean())
    return U / N


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("above", [False, True])
def test_variance_of_the_package(direction: Any, *, above: bool) -> None:
    y, d, clusters, _ = world(14, 60, levels=2)
    found = switching(y, d, Switches(3, 0, direction, "package"), clusters if above else None)
    assert found.n_alone.any()
    for k in range(3):
        names = clusters if above else np.arange(60)
        U = package_scores(y, d, k + 1, names, 1 if direction == "in" else -1)
        assert found.scores[:, k] == pytest.approx(np.bincount(names, U, minlength=found.scores.shape[0]), abs=1e-12)


def test_average_scores_are_those_of_the_sum() -> None:
    y, d, clusters, w = world(4, 120, 0.05)
    found = switching(y, d, Switches(3), clusters, w)
    slow = [twin(y, d, o, "both", w, np.zeros(120)) for o in (1, 2, 3)]
    share = np.array([s[1] for s in slow]) / sum(s[3] for s in slow)
    assert found.average_scores == pytest.approx(found.scores @ share, abs=1e-12)
    assert found.normalized_scores == pytest.approx(found.scores / found.dose)


@pytest.mark.parametrize("holes", [0.0, 0.06])
def test_absorbing_treatment_is_callaway_and_santanna(holes: float) -> None:
    """Effect l is the not-yet-treated effect at event time l - 1, cohorts weighted by size."""
    rng = np.random.default_rng(5)
    start = np.array([3, 4, 6, NEVER])[np.arange(100) % 4]
    y = rng.normal(size=(100, 1)) + rng.normal(size=(100, T)) + (start[:, None] <= np.arange(1, 8)) * 1.5
    y[rng.random(y.shape) < holes] = np.nan
    d = (start[:, None] <= np.arange(1, 8)).astype(float)
    w = rng.uniform(0.5, 2, 100)
    found = switching(y, d, Switches(4), None, w)
    assert found.dose == pytest.approx([1, 2, 3, 4])
    study = group_time_study(y, start, np.arange(1, 8), np.ones((100, 1, 1)), Rule(base_period="universal"), None, w)
    cells = study.cells
    for ell in range(1, 5):
        inside = np.flatnonzero((cells.event_time == ell - 1) & ~cells.reference)
        t = cells.period[inside] - 1
        mass = [
            (w * (start == g) * np.isfinite(y[:, s]) * np.isfinite(y[:, g - 2])).sum()
            for g, s in zip(cells.cohort[inside], t, strict=True)
        ]
        assert found.effects[ell - 1] == pytest.approx(np.average(cells.att[inside], weights=mass), abs=1e-12)


def test_placebos_are_universal_effects_before_the_start() -> None:
    """With never-treated comparison units alone these are Callaway and Sant'Anna's cells before the start."""
    rng = np.random.default_rng(6)
    start = np.where(np.arange(60) % 2 == 0, 5, NEVER)
    y, d = rng.normal(size=(60, T)), (start[:, None] <= np.arange(1, 8)).astype(float)
    found = switching(y, d, Switches(3, 3))
    study = group_time_study(y, start, np.arange(1, 8), np.ones((60, 1, 1)), Rule(base_period="universal"))
    rows = aggregate(
        "dynamic", study.cells.cohort, study.cells.period, study.cells.att, study.cells.scores, study.sizes
    )
    for e, value, score in zip(found.event_time.tolist(), found.effects, found.scores.T, strict=True):
        k = rows.labels.tolist().index(e)
        assert value == pytest.approx(rows.rows[k], abs=1e-12)
        assert score == pytest.approx(rows.row_scores[:, k], abs=1e-12)  # one cohort: no shares, the same residuals


def test_cross_products_give_the_same_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    y, d, _, w = world(7, 100, 0.04)
    rows = switching(y + 1e6, d, Switches(3, 1), None, w)
    monkeypatch.setattr(stacked_types, "MANY", 1)
    root = switching(y, d, Switches(3, 1), None, w)
    assert root.scores.shape[0] < rows.scores.shape[0]
    assert root.scores.T @ root.scores == pytest.approx(rows.scores.T @ rows.scores, rel=1e-7)
    assert root.average_scores @ root.average_scores == pytest.approx(
        rows.average_scores @ rows.average_scores, rel=1e-7
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10), holes=st.sampled_from([0.0, 0.05]))
def test_shift_scale_order_and_direction(seed: int, scale: float, holes: float) -> None:
    y, d, clusters, _ = world(seed, 90, holes)
    a = switching(y, d, Switches(2, 1), clusters, np.full(90, 2.0))
    order = np.random.default_rng(seed).permutation(90)
    moved = (y * scale + np.arange(T) + np.arange(90)[:, None])[order]
    b = switching(moved, d[order] * 3 + 1, Switches(2, 1), clusters[order])
    assert b.effects == pytest.approx(scale * a.effects, abs=1e-9)
    assert b.scores == pytest.approx(scale * a.scores, abs=1e-9)
    assert b.dose == pytest.approx(3 * a.dose)
    assert b.average == pytest.approx(scale * a.average / 3, abs=1e-9)
    mirrored = switching(-y, -d, Switches(2, 1), clusters)
    assert mirrored.effects == pytest.approx(a.effects, abs=1e-9)  # more of less is less of more


def test_both_directions_are_the_mean_of_each() -> None:
    y, d, _, _ = world(8, 120)
    both, up, down = (switching(y, d, Switches(2, 0, s)) for s in ("both", "in", "out"))  # type: ignore[arg-type]
    n = np.array([up.n_switchers, down.n_switchers])
    assert both.n_switchers.tolist() == n.sum(axis=0).tolist()
    assert both.effects == pytest.approx((up.effects * n[0] + down.effects * n[1]) / n.sum(axis=0), abs=1e-12)


def test_jackknife_over_clusters() -> None:
    y, d, clusters, w = world(9, 200, levels=2)
    found = switching(y, d, Switches(2, 1, variance="corrected"), clusters, w)
    every = switching_points(y, d, Switches(2, 1), w)
    deleted = np.array(
        [switching_points(*(v[clusters != c] for v in (y, d)), Switches(2, 1), w[clusters != c]) for c in range(20)]
    )
    ratio = np.sqrt(np.diag(jackknife_covariance(deleted, every)))[:-1] / np.sqrt((found.scores**2).sum(axis=0))
    assert 0.7 < np.median(ratio) < 1.6


def test_errors() -> None:
    y, d, _, _ = world(10)
    for changed, why in (
        (np.where(np.arange(T) == 3, np.nan, d), "treatment"),
        (np.repeat(d[:, :1], T, axis=1), "no-switch"),
        (np.tile(np.arange(T) > 2, (80, 1)).astype(float), "comparison"),
        (np.arange(80)[:, None] * 10 + d, "comparison"),
    ):
        with pytest.raises(SwitchError) as found:
            switching(y, changed, Switches())
        assert found.value.why == why
    with pytest.raises(SwitchError) as nobody:
        instant(y, np.tile(np.arange(T) > 2, (80, 1)).astype(float))
    assert nobody.value.why == "comparison"


def test_paths_until_they_cross() -> None:
    found = paths(np.array([[1.0, 2, 0, 2], [1, 0, 0, 1], [1, 1, 1, 3]]), np.array([0, 0, 1]))
    assert found.kept.tolist() == [[True, True, False, False], [True] * 4, [True] * 4]
    assert found.baseline.tolist() == [0, 0, 1]
    assert found.dose.tolist() == [[0, 1, -1, 1], [0, 1, 1, 0], [0, 0, 0, 2]]


def slow_instant(y: np.ndarray, d: np.ndarray, side: int, lag: int, w: np.ndarray) -> tuple[float, int]:
    top = bottom = 0.0
    count = 0
    for t in range(1 + lag, T):
        for i in range(len(y)):
            change = d[i, t] - d[i, t - 1]
            if change == 0 or (side and np.sign(change) != side) or (lag and d[i, t - 2] != d[i, t - 1]):
                continue
            stable = [
                j for j in range(len(y))
                if d[j, t] == d[j, t - 1] == d[i, t - 1] and (not lag or d[j, t - 2] == d[i, t - 1])
                and np.isfinite(y[j, [t - lag, t - lag - 1]]).all()
            ]  # fmt: skip
            gain = y[:, t - lag] - y[:, t - lag - 1]
            if stable and np.isfinite(gain[i]):
                top += w[i] * np.sign(change) * (gain[i] - np.average(gain[stable], weights=w[stable]))
                bottom += w[i] * abs(change)
                count += 1
    return top / bottom, count


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("holes", [0.0, 0.08])
def test_instant_effect(levels: int, holes: float) -> None:
    y, d, clusters, w = world(11, 80, holes, levels)
    found = instant(y, d, clusters, w)
    for k, side in enumerate((0, 1, -1)):
        assert (found.effects[k], found.n_changes[k]) == pytest.approx(slow_instant(y, d, side, 0, w), abs=1e-10)
        assert (found.placebos[k], found.n_placebo[k]) == pytest.approx(slow_instant(y, d, side, 1, w), abs=1e-10)
    assert instant_points(y, d, w) == pytest.approx(np.append(found.effects, found.placebos))
    # Scores are the derivative with respect to the weight of a cluster's units.
    for c in range(3):
        up, down = (instant_points(y, d, w * np.where(clusters == c, 1 + s, 1)) for s in (1e-5, -1e-5))
        score = np.append(found.scores[c], found.placebo_scores[c])
        assert score == pytest.approx((up - down) / 2e-5, abs=1e-7)


def test_instant_effect_of_absorbing_treatment_is_the_first_effect() -> None:
    y, _, _, _ = world(12)
    start = np.array([2, 3, 5, 99])[np.arange(80) % 4]
    d = (start[:, None] <= np.arange(T)).astype(float)
    found = instant(y, d)
    assert found.effects[:2] == pytest.approx(np.repeat(switching(y, d, Switches()).effects, 2), abs=1e-12)
    assert np.isnan(found.effects[2])
