"""Rubin's rules against their definition and against a limit in which they must agree with complete data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.rubin import rubin


def by_hand(q: list[float], u: list[float], df: float) -> tuple[float, float, float]:
    m = len(q)
    mean = sum(q) / m
    between = sum((one - mean) ** 2 for one in q) / (m - 1)
    total = sum(u) / m + between + between / m
    share = (between + between / m) / total
    old = (m - 1) / share**2
    observed = (df + 1) / (df + 3) * df * (1 - share)
    return mean, total, 1 / (1 / old + 1 / observed)


@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 5)), min_size=2, max_size=20).filter(
        lambda rows: np.ptp([q for q, _ in rows]) > 1e-3
    ),
    st.floats(3, 500),
)
@settings(max_examples=100, deadline=None)
def test_the_definition(rows: list[tuple[float, float]], df: float) -> None:
    q, u = [r[0] for r in rows], [r[1] for r in rows]
    found, (mean, total, pooled_df) = rubin(np.array(q), np.array(u), df), by_hand(q, u, df)
    assert found.estimate == pytest.approx(mean, abs=1e-12)
    assert found.std_error**2 == pytest.approx(total, rel=1e-10)
    assert found.df == pytest.approx(pooled_df, rel=1e-8)
    assert found.df <= df
    assert 0 <= found.missing_information <= 1


def test_without_difference_between_imputations_nothing_changes() -> None:
    found = rubin(np.full(5, 2.0), np.full(5, 0.25), 40.0)
    assert (found.estimate, found.std_error, found.df, found.missing_information) == (2.0, 0.5, 40.0, 0.0)


def test_large_samples_have_rubins_own_degrees_of_freedom() -> None:
    found = rubin(np.array([1.0, 2.0, 4.0]), np.ones(3), float("inf"))
    share = (4 / 3 * 7 / 3) / (1 + 4 / 3 * 7 / 3)
    assert found.df == pytest.approx(2 / share**2, rel=1e-12)


def test_one_imputation_is_refused() -> None:
    with pytest.raises(ValueError, match="two imputed"):
        rubin(np.ones(1), np.ones(1), 10.0)
