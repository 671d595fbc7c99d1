"""The moment table beside sums written out, and what adding tables and moving their shift must not change."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments, combined, rough_shift
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_cells import MomentsError, joint_codes
from evaltoolkit.kernels.moment_clusters import ClusterMoments, cluster_moments, combined_clusters

PERIODS = np.array([2000, 2001, 2003])


def world(seed: int = 1, n: int = 60) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = np.array([2001, 2003, NEVER])[rng.integers(0, 3, n)]
    design = np.stack([np.ones(n), rng.integers(0, 2, n).astype(float), rng.integers(0, 3, n) * 0.7], axis=1)
    return rng.normal(size=(n, 3)) + 20, start, design, rng.uniform(0.5, 3, n), rng.integers(3, 9, n)


def by_cell(table: CohortMoments) -> dict[tuple[float, ...], int]:
    start = table.starts[table.cohort]
    return {(int(g), *z): s for s, (g, z) in enumerate(zip(start, table.design.tolist(), strict=True))}


def same(a: Any, b: Any, tolerance: float = 0.0) -> None:
    """Whether two tables hold the same; sums as large as they are may differ by rounding."""
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name == "there":
            assert x is None
            assert y is None
            continue
        assert x.shape == y.shape
        assert np.abs(x - y).max(initial=0) <= tolerance * max(1.0, float(np.abs(x).max(initial=0))), field.name


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_equal_loops(*, weighted: bool) -> None:
    y, start, design, w, _ = world()
    table = cohort_moments(y, start, PERIODS, design, w if weighted else None)
    places = by_cell(table)
    assert len(places) == table.n.size == len({(g, *z) for g, z in zip(start, map(tuple, design), strict=True)})
    expected = [np.zeros(table.n.size) for _ in range(3)]
    first, second, cross = np.zeros_like(table.m), np.zeros_like(table.M2), np.zeros_like(table.Q)
    for i in range(len(y)):
        s = places[int(start[i]), *design[i]]
        v, z = (w[i] if weighted else 1.0), y[i] - table.shift
        for total, value in zip(expected, (1, v, v**2), strict=True):
            total[s] += value
        first[s] += v * z
        second[s] += v**2 * z
        cross[s] += v**2 * np.outer(z, z)
    for found, wanted in zip(
        (table.units, table.n, table.N2, table.m, table.M2, table.Q), (*expected, first, second, cross), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_cells_ascend_whatever_the_order_of_rows() -> None:
    y, start, design, w, _ = world()
    mixed = np.random.default_rng(2).permutation(len(y))
    table = cohort_moments(y, start, PERIODS, design, w, np.zeros(3))
    keys = list(by_cell(table))
    assert keys == sorted(keys)
    same(table, cohort_moments(y[mixed], start[mixed], PERIODS, design[mixed], w[mixed], np.zeros(3)), 1e-13)


@pytest.mark.parametrize("apart", [False, True], ids=["one shift", "own shifts"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 40))
def test_parts_add_up_to_the_whole(seed: int, n: int, *, apart: bool) -> None:
    y, start, design, w, _ = world(seed, n)
    part = np.random.default_rng(seed).permutation(np.arange(n) % 3)
    whole = cohort_moments(y, start, PERIODS, design, w)
    tables = [
        cohort_moments(
            y[part == p], start[part == p], PERIODS, design[part == p], w[part == p],
            whole.shift + p if apart else whole.shift,
        )
        for p in range(3)
    ]  # fmt: skip
    total = combined(*tables)
    same(total.shifted(whole.shift), whole, 1e-12)
    same(combined(*tables[::-1]), total, 1e-12)
    same(combined(combined(*tables[:2]), tables[2]).shifted(whole.shift), whole, 1e-12)


def test_whole_numbers_stay_exact() -> None:
    y, start, design, _, _ = world(n=300)
    counts = np.round(100 * y)
    part = np.arange(300) % 3
    whole = cohort_moments(counts, start, PERIODS, design)
    assert (whole.shift == np.round(whole.shift)).all()
    tables = [cohort_moments(counts[part == p], start[part == p], PERIODS, design[part == p]) for p in range(3)]
    assert any((t.shift != whole.shift).any() for t in tables)
    same(combined(*tables).shifted(whole.shift), whole)


def test_a_shift_there_and_back() -> None:
    y, start, design, w, _ = world()
    table = cohort_moments(y, start, PERIODS, design, w)
    other = table.shifted(np.array([3.0, -1.0, 0.5]))
    same(other, cohort_moments(y, start, PERIODS, design, w, other.shift), 1e-12)
    same(other.shifted(table.shift), table, 1e-12)


@pytest.mark.parametrize(("level", "spread"), [(1e6, 2.0), (0.5, 0.03), (-3.0, 1e-7), (7.0, 0.0), (1e-9, 1e-12)])
def test_the_shift_leaves_no_level_behind(level: float, spread: float) -> None:
    y = level + spread * np.random.default_rng(1).normal(size=(500, 2))
    assert np.abs(y.mean(axis=0) - rough_shift(y)).max() <= 5 * spread + 1e-15


def test_values_that_a_sample_of_rows_misses() -> None:
    rng = np.random.default_rng(3)
    columns = [rng.integers(0, 4, 50_000), rng.integers(0, 3, 50_000) * 0.1]
    columns[0][[17, 49_998]] = 9  # no multiple of the step between the rows looked at first
    codes, rows = joint_codes(list(columns), 100)
    values, expected = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    assert (codes == expected.ravel()).all()
    assert (np.stack(columns, axis=1)[rows] == values).all()


def clusters(*, weighted: bool = True, part: Any = slice(None), shift: Any = None) -> ClusterMoments:
    y, start, design, w, label = world()
    return cluster_moments(
        y[part], start[part], PERIODS, design[part], label[part], w[part] if weighted else None, shift
    )  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_by_cluster_equal_loops(*, weighted: bool) -> None:
    y, start, design, w, label = world()
    table = clusters(weighted=weighted)
    assert table.labels.tolist() == sorted(set(label))
    seen = 0
    for p in range(table.n.size):
        s = table.cell[p]
        mine = (label == table.labels[table.cluster[p]]) & (start == table.starts[table.cohort[s]])
        mine &= (design == table.design[s]).all(axis=1)
        v = w[mine] if weighted else np.ones(mine.sum())
        assert table.units[p] == mine.sum() > 0
        assert table.n[p] == pytest.approx(v.sum(), rel=1e-12)
        np.testing.assert_allclose(table.m[p], v @ (y[mine] - table.shift), rtol=1e-11, atol=1e-11)
        seen += int(mine.sum())
    assert seen == len(y)


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_clusters_may_be_in_several_parts(apart: float) -> None:
    part = np.arange(60) % 3
    whole = clusters()
    total = combined_clusters(*(clusters(part=part == p, shift=whole.shift + p * apart) for p in range(3)))
    assert sum(clusters(part=part == p).labels.size for p in range(3)) > whole.labels.size
    same(total.shifted(whole.shift), whole, 1e-12)


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("holes", {"outcome": np.array([[1.0, np.nan, 2], [0, 0, 0]])}),
        ("holes", {"design": np.array([[1.0, np.nan], [1, 0]])}),
        ("shape", {"outcome": np.array([[1.0, np.inf, 2], [0, 0, 0]])}),
        ("shape", {"outcome": np.zeros((3, 3))}),
        ("shape", {"design": np.ones((2, 1, 1))}),
        ("shape", {"periods": PERIODS[::-1]}),
        ("shape", {"weights": np.array([1.0, 0.0])}),
        ("shape", {"shift": np.zeros(2)}),
    ],
)
def test_what_has_no_table(why: str, change: dict[str, Any]) -> None:
    given_values: dict[str, Any] = {
        "outcome": np.zeros((2, 3)), "start": np.array([2001, NEVER]), "periods": PERIODS, "design": np.ones((2, 2)),
    }  # fmt: skip
    with pytest.raises(MomentsError) as caught:
        cohort_moments(**given_values | change)
    assert caught.value.why == why


def test_too_many_values_and_tables_that_differ() -> None:
    x = np.random.default_rng(0).normal(size=2000)
    with pytest.raises(MomentsError) as caught:
        cohort_moments(np.zeros((2000, 250)), np.full(2000, 9), np.arange(250), np.stack([np.ones(2000), x], axis=1))
    assert caught.value.why == "cells"
    y, start, design, _, _ = world()
    table = cohort_moments(y, start, PERIODS, design)
    for other in (
        cohort_moments(y, start, PERIODS + 1, design), cohort_moments(y, start, PERIODS, design[:, :2])
    ):  # fmt: skip
        with pytest.raises(MomentsError) as caught:
            combined(table, other)
        assert caught.value.why == "different"
