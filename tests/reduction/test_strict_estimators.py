"""Estimators without covariates on units that stay in an engine beside the same on moment tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.data import EngineSource
from evaltoolkit.designs.did.estimators import path_estimator
from evaltoolkit.designs.did.moment_estimators import cells_of, path_of
from evaltoolkit.designs.did.strict_estimators import cells_in, path_in
from evaltoolkit.designs.did.strict_sample import InEngine
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction import Panel
from evaltoolkit.reduction.influence import InfluenceSpec
from tests.designs.test_did_moments import CELLS, PATHS, options, same_cells, same_paths, table, world

ibis = pytest.importorskip("ibis")


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    found = ibis.duckdb.connect(threads=1)
    yield found
    found.disconnect()


def held(connection: Any, panel: Panel) -> InEngine:
    frame = pd.DataFrame({"start": panel.start, **{f"y{t}": y - 30 for t, y in enumerate(panel.outcome.T)}})
    if panel.weights is not None:
        frame["w"] = panel.weights
    clustered = panel.n_clusters < panel.start.size
    if clustered:
        frame["cluster"] = panel.clusters
    connection.con.register("given", frame)
    connection.con.execute("create or replace table units as select * from given")
    source = EngineSource(connection.table("units"), "units")
    spec = InfluenceSpec(
        panel.periods, shift=np.full(panel.periods.size, 30.0), weights=panel.weights is not None, clusters=clustered
    )
    return InEngine(source, source.table, spec)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_effects_by_cohort_and_period(name: str, *, weighted: bool, connection: Any) -> None:
    panel, asked = world(weighted=weighted), options(name, cluster=None)
    units = held(connection, panel)
    if weighted and name == "imputation":
        with pytest.raises(OptionError, match="sums of squared weights"):
            cells_in(units, asked)
        return
    same_cells(cells_in(units, asked), cells_of(table(panel), asked))


@pytest.mark.parametrize("name", PATHS)
def test_one_effect_and_a_path(name: str, connection: Any) -> None:
    panel = world(starts=(2004, NEVER)) if name == "two-by-two" else world(weighted=True)
    asked, units = options(name, cluster=None), held(connection, panel)
    same_paths(path_in(units, asked), path_estimator(asked).fitted(panel), panel)


@pytest.mark.parametrize("name", ["sun-abraham", "twfe"])
def test_clusters_above_the_unit(name: str, connection: Any) -> None:
    panel, asked = world(clustered=True), options(name)
    units = held(connection, panel)
    if name == "twfe":
        same_paths(path_in(units, asked), path_estimator(asked).fitted(panel), panel)
    else:
        same_cells(cells_in(units, asked), cells_of(table(panel), asked))


def test_where_no_path_can_be_estimated_the_effect_is(connection: Any) -> None:
    panel = world(starts=(2002, 2004))  # without a comparison that stays untreated event times cannot be told apart
    panel = dataclasses.replace(panel, outcome=panel.outcome[:, 2:], periods=panel.periods[2:])
    asked = options("twfe", cluster=None)
    wanted = path_of(table(panel), asked)
    assert wanted.labels.size == 0
    found = path_in(held(connection, panel), asked)
    assert found.effect == pytest.approx(wanted.effect)
    assert found.scores @ found.scores == pytest.approx(wanted.scores @ wanted.scores)
