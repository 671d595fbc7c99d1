"""Errors of estimators without covariates from units in an engine beside those from a table of second moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit import errors
from evaltoolkit.data import EngineSource
from evaltoolkit.kernels.cohort_moments import cohort_moments
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import cluster_moments
from evaltoolkit.kernels.moment_effects import moment_group_time
from evaltoolkit.kernels.moment_extended import moment_extended
from evaltoolkit.kernels.moment_two_way import (
    moment_event_study,
    moment_imputation,
    moment_interaction_weighted,
    moment_pre_trends,
    moment_static,
    moment_two_stage,
)
from evaltoolkit.reduction import linear_scores
from evaltoolkit.reduction.influence import InfluenceSpec, first_moments
from evaltoolkit.reduction.linear_scores import linear_root, stand_in

ibis = pytest.importorskip("ibis")

PERIODS = np.array([2000, 2001, 2003, 2004, 2005])
SHIFT = np.array([30.0, 30.5, 31.0, 31.5, 32.0])
CLOSE = 1e-10


def _group_time(table: Any) -> np.ndarray:
    found = moment_group_time(table, Rule())
    return np.hstack([found.cells.scores, found.level_scores, found.sizes.by_cluster])


def _extended(table: Any) -> np.ndarray:
    found = moment_extended(table, Rule())
    return np.hstack([found.scores[:, found.estimated], found.level_scores[:, found.estimated]])


ESTIMATORS: dict[str, Callable[[Any], np.ndarray]] = {
    "static and event study": lambda t: np.hstack([moment_static(t).scores, moment_event_study(t).scores]),
    "interaction weighted": lambda t: moment_interaction_weighted(t).scores,
    "imputation": lambda t: np.hstack([moment_imputation(t).scores, moment_pre_trends(t).scores]),
    "two stages": lambda t: moment_two_stage(t).scores,
    "group time": _group_time,
    "extended": _extended,
}


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    found = ibis.duckdb.connect(threads=1)
    yield found
    found.disconnect()


def world(n: int = 800) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    start = np.array([2003, 2004, 2005, NEVER])[rng.integers(0, 4, n)]
    y = rng.normal(size=(n, 1)) + 30 + rng.gamma(2.0, size=(n, 5)).cumsum(axis=1)
    y += (start[:, None] <= PERIODS) * 1.0
    frame = pd.DataFrame({"start": start, **{f"y{t}": y[:, t] - SHIFT[t] for t in range(5)}})
    return frame.assign(w=rng.uniform(0.5, 3, n), cluster=rng.integers(0, 30, n))


def source_of(connection: Any, frame: pd.DataFrame) -> EngineSource:
    connection.con.register("given", frame)
    connection.con.execute("create or replace table units as select * from given")
    return EngineSource(connection.table("units"), "units")


@pytest.mark.parametrize(("weighted", "clustered"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_cross_products_are_those_of_second_moments(
    name: str, *, weighted: bool, clustered: bool, connection: Any
) -> None:
    frame, estimator = world(), ESTIMATORS[name]
    source = source_of(connection, frame)
    spec = InfluenceSpec(PERIODS, shift=SHIFT, weights=weighted, clusters=clustered)
    first = first_moments(source, source.table, spec)
    if weighted and name == "imputation":
        with pytest.raises(MomentsError, match="weights"):
            linear_root(source, source.table, spec, first, estimator)
        return
    found = linear_root(source, source.table, spec, first, estimator)
    wanted = estimator(in_memory(frame, weighted=weighted, clustered=clustered))
    V, W = found.T @ found, wanted.T @ wanted
    scale = np.sqrt(np.diag(W))
    np.testing.assert_allclose(V / np.outer(scale, scale), W / np.outer(scale, scale), rtol=0, atol=CLOSE)


def in_memory(frame: pd.DataFrame, *, weighted: bool = False, clustered: bool = False) -> Any:
    y = frame[[f"y{t}" for t in range(5)]].to_numpy() + SHIFT
    units = (y, frame["start"].to_numpy(), PERIODS, np.ones((len(frame), 1)))
    weights = frame["w"].to_numpy() if weighted else None
    return (
        cluster_moments(*units, frame["cluster"].to_numpy(), weights) if clustered else cohort_moments(*units, weights)
    )


@pytest.mark.parametrize("clustered", [False, True])
def test_estimates_and_degrees_of_freedom_need_no_second_moments(*, clustered: bool, connection: Any) -> None:
    frame = world()
    source, spec = source_of(connection, frame), InfluenceSpec(PERIODS, shift=SHIFT, clusters=clustered)
    table = stand_in(first_moments(source, source.table, spec), spec)
    wanted = in_memory(frame, clustered=clustered)
    for estimator in (moment_static, moment_event_study):
        found, other = estimator(table), estimator(wanted)
        np.testing.assert_allclose(found.coefficients, other.coefficients, rtol=0, atol=CLOSE)
        assert (found.df, found.n_observations) == (other.df, other.n_observations)
    a, b = (moment_group_time(t, Rule()) for t in (table, wanted))
    np.testing.assert_allclose(a.cells.att, b.cells.att, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(a.levels, b.levels, rtol=CLOSE)
    assert a.cells.n_treated.tolist() == b.cells.n_treated.tolist()


def test_covariates_and_few_clusters_are_refused(connection: Any) -> None:
    frame = world()
    for more in ({"cluster": frame["cluster"] % 4}, {"cluster": frame["cluster"]}):
        source = source_of(connection, frame.assign(**more))
        few = int(more["cluster"].nunique()) == 4
        spec = InfluenceSpec(PERIODS, clusters=True, covariates=() if few else ("w",))
        first = first_moments(source, source.table, spec)
        with pytest.raises(errors.OptionError, match="no covariates, and more clusters than starts"):
            linear_root(source, source.table, spec, first, _group_time)


def test_too_many_scores_are_refused(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_scores, "MOST_SCORES", 5)
    source, spec = source_of(connection, world()), InfluenceSpec(PERIODS)
    first = first_moments(source, source.table, spec)
    with pytest.raises(errors.OptionError, match="at most 5 where the release is strict"):
        linear_root(source, source.table, spec, first, _group_time)
