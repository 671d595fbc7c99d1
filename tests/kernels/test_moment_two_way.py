"""Regressions and imputation from a moment table beside those from the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evaltoolkit.kernels.cohort_moments import cohort_moments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.imputation import imputation
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import cluster_moments
from evaltoolkit.kernels.moment_two_way import (
    moment_event_study,
    moment_imputation,
    moment_interaction_weighted,
    moment_static,
)
from evaltoolkit.kernels.saturated import interaction_weighted
from evaltoolkit.kernels.two_way import Window, event_study, static
from evaltoolkit.kernels.two_way_panel import TwoWayError, two_way_panel

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])


def world(
    starts: tuple[int, ...] = (2001, 2004, 2005, 2009, NEVER), n: int = 120, *, clustered: bool = False,
    weighted: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """A panel and its table; cells are finer than starts."""
    rng = np.random.default_rng(5)
    start = np.array(starts)[rng.integers(0, len(starts), n)]
    y = 40 + 3 * rng.normal(size=(n, 1)) + rng.normal(size=(n, 5)) + (start[:, None] <= PERIODS)
    design = np.column_stack([np.ones(n), rng.integers(0, 3, n)])
    w = rng.uniform(0.5, 3, n) if weighted else None
    label = rng.permutation(np.arange(n) % 15)
    panel = two_way_panel(y, start, PERIODS, label if clustered else None, w)
    if clustered:
        return panel, cluster_moments(y, start, PERIODS, design, label * 7, w)
    return panel, cohort_moments(y, start, PERIODS, design, w)


WINDOW = Window(first=-3, last=2, outside="drop")
PAIRS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "static": (static, moment_static),
    "event study": (event_study, moment_event_study),
    "window": (lambda p: event_study(p, WINDOW), lambda m: moment_event_study(m, WINDOW)),
    "interaction weighted": (interaction_weighted, moment_interaction_weighted),
    "imputation": (imputation, moment_imputation),
}


def tried(call: Callable[[Any], Any], given: Any) -> Any:
    """Return the estimate, or what the error says."""
    try:
        return call(given)
    except TwoWayError as error:
        return error.why, error.kind, error.label, error.cells


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("starts", [(2001, 2004, 2005, 2009, NEVER), (2002, 2004, 2005)], ids=["never", "all treated"])
def test_every_estimate_equals_the_rows(name: str, *, weighted: bool, clustered: bool, starts: tuple[int, ...]) -> None:
    panel, table = world(starts, clustered=clustered, weighted=weighted)
    by_rows, by_table = PAIRS[name]
    if name == "imputation" and clustered and weighted:
        with pytest.raises(MomentsError):
            by_table(table)
        return
    found, wanted = tried(by_table, table), tried(by_rows, panel)
    if isinstance(wanted, tuple):
        assert NEVER not in starts
        assert found == wanted
        return
    effects = "coefficients" if hasattr(wanted, "coefficients") else "att"
    np.testing.assert_allclose(getattr(found, effects), getattr(wanted, effects), rtol=0, atol=1e-10)
    V, W = (f.scores.T @ f.scores for f in (found, wanted))
    np.testing.assert_allclose(V, W, rtol=1e-10, atol=1e-14)
    assert found.df == wanted.df
    if clustered:
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=1e-10)
    if effects == "att":
        for column in ("cohort", "period", "n"):
            assert getattr(found, column).tolist() == getattr(wanted, column).tolist()
        np.testing.assert_allclose(found.weight, wanted.weight, rtol=1e-12)
    else:
        assert found.labels.tolist() == wanted.labels.tolist()
        assert (found.factor, found.n_observations) == (wanted.factor, wanted.n_observations)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("starts", [(2000, 2004, NEVER), (NEVER,), (2004,), (2002, 2004)])
def test_what_cannot_be_estimated_says_so_as_the_rows_do(name: str, starts: tuple[int, ...]) -> None:
    panel, table = world(starts)
    by_rows, by_table = PAIRS[name]
    found, wanted = tried(by_table, table), tried(by_rows, panel)
    assert isinstance(found, tuple) == isinstance(wanted, tuple)
    if isinstance(wanted, tuple):
        assert found == wanted
    else:
        np.testing.assert_allclose(found.scores.T @ found.scores, wanted.scores.T @ wanted.scores, atol=1e-12)
