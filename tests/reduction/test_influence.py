"""Group-time effects from units that stay in an engine beside those from rows in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit import errors
from evaltoolkit.data import EngineSource, engines
from evaltoolkit.kernels.group_time import NEVER, CellError, Rule
from evaltoolkit.reduction import engine_logit, engine_sums
from evaltoolkit.reduction.influence import InfluenceSpec, first_moments, influence_study
from tests.reduction.wide_units import check, in_memory, spec, world

ibis = pytest.importorskip("ibis")

RULES = [
    Rule(comparison=c, adjust=a, base_period=b, anticipation=k)
    for c, a, b, k in itertools.product(
        ("never", "not-yet"), ("doubly-robust", "weighting", "regression"), ("varying", "universal"), (0, 1)
    )
]
WAYS = [(False, False), (True, True), (True, False), (False, True)]
"""Whether there are weights, and clusters coarser than units."""


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    found = ibis.duckdb.connect(threads=1)
    yield found
    found.disconnect()


def source_of(connection: Any, frame: pd.DataFrame) -> EngineSource:
    connection.con.register("given", frame)
    connection.con.execute("create or replace table units as select * from given")
    return EngineSource(connection.table("units"), "units")


@pytest.mark.parametrize(("place", "rule"), list(enumerate(RULES)), ids=str)
def test_every_rule_equals_the_rows(place: int, rule: Rule, connection: Any) -> None:
    frame = world()
    check(source_of(connection, frame), frame, spec(rule, WAYS[(place + place // 4) % 4]))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_equals_the_rows_with_and_without_weights_and_clusters(
    rule: Rule, way: tuple[bool, bool], connection: Any
) -> None:
    frame = world(4)
    check(source_of(connection, frame), frame, spec(rule, way))


@pytest.mark.parametrize("way", WAYS)
def test_without_covariates_too(way: tuple[bool, bool], connection: Any) -> None:
    frame = world(5, 500)
    for rule in (Rule(), Rule("never", base_period="universal", anticipation=1)):
        check(source_of(connection, frame), frame, spec(rule, way, ()))


def test_units_that_are_treated_from_the_beginning_count_in_sizes_alone(connection: Any) -> None:
    frame = world(6)
    frame.loc[:99, "start"] = 2000
    check(source_of(connection, frame), frame, spec(Rule()))


def test_scores_near_one_are_trimmed_as_in_memory(connection: Any) -> None:
    frame = world(7, 4000)
    pull = 6 * (frame["z1"] - 1e4) / 50
    treated = np.random.default_rng(1).uniform(size=4000) < 1 / (1 + np.exp(-pull))
    frame["start"] = np.where(treated, 2003, NEVER)
    check(source_of(connection, frame), frame, spec(Rule()))


def test_a_part_of_the_units_goes_first_where_there_are_many(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_logit, "PILOT", 400)
    frame = world(8)
    source = source_of(connection, frame)
    said: list[str] = []
    source.reports(said.append)
    check(source, frame, spec(Rule()))
    assert sum("pilot" in step for step in said) > 2
    assert any(step.startswith("score of being in a cohort") for step in said)


def test_long_queries_are_split_and_tables_that_cannot_be_kept_are_read_again(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = world(9, 600)
    monkeypatch.setattr(engine_sums, "AT_ONCE", 40)
    monkeypatch.setattr(engines, "_KEEPING", frozenset())
    source = source_of(connection, frame)
    asked: list[Any] = []
    executed = source.executed
    monkeypatch.setattr(source, "executed", lambda query, what: asked.append(query) or executed(query, what))
    check(source, frame, spec(Rule("never"), (True, True)))
    assert max(len(query.columns) for query in asked) <= 41


def test_only_sums_leave(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = world(10)
    source = source_of(connection, frame)
    left: list[pd.DataFrame] = []
    executed = source.executed

    def watched(query: Any, what: str) -> pd.DataFrame:
        left.append(executed(query, what))
        return left[-1]

    monkeypatch.setattr(source, "executed", watched)
    for clusters in (False, True):
        influence_study(source, source.table, spec(Rule(), (True, clusters)))
    assert {len(found) for found in left} == {1, 4}  # all units, or those of one of four starts
    by_start = [found for found in left if len(found) == 4]
    assert all((found["n"] >= 100).all() for found in by_start)
    there = connection.con.execute("select table_name from information_schema.tables").fetchall()
    assert {name for (name,) in there} <= {"given", "units"}  # and nothing stays behind


def test_few_units_with_the_same_start_are_refused(connection: Any) -> None:
    frame = world(11)
    frame.loc[frame.index[frame["start"] == 2003][10:], "start"] = NEVER
    source = source_of(connection, frame)
    with pytest.raises(errors.DisclosureError, match="fewer than 11 units") as caught:
        influence_study(source, source.table, spec(Rule()))
    assert "10" not in caught.value.message
    # Starts that no effect is estimated for are one group.
    frame = world(11)
    frame.loc[frame.index[frame["start"] == 2007][3:], "start"] = NEVER
    check(source_of(connection, frame), frame, spec(Rule()))


def test_too_many_effects_are_refused_with_what_to_do_instead(connection: Any) -> None:
    T = 20
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(400, T)), columns=[f"y{t}" for t in range(T)])
    frame["start"] = rng.integers(8, 15, 400)
    source = source_of(connection, frame)
    with pytest.raises(errors.OptionError, match=r"at most 100.*coarsen the covariates"):
        influence_study(source, source.table, InfluenceSpec(np.arange(1, T + 1)))


def test_no_unit_is_one_clear_message(connection: Any) -> None:
    source = source_of(connection, world().iloc[:0])
    with pytest.raises(errors.NoComparisonError, match="no unit is complete"):
        influence_study(source, source.table, spec(Rule()))


@pytest.mark.parametrize("why", ["collinear", "constant", "separation", "combination", "empty"])
def test_cells_that_cannot_be_estimated_say_so_as_the_rows_do(why: str, connection: Any) -> None:
    frame, rule = world(12), Rule(comparison="never", adjust="weighting")
    mine, others = frame["start"] == 2003, frame["start"] > 2004
    if why == "collinear":
        frame["z2"] = 2 * frame["z1"] + 1
    elif why == "constant":  # among those compared with, not in all
        frame.loc[others, "z2"] = 1.0
    elif why == "separation":
        frame.loc[mine, "z2"] = frame.loc[others, "z2"].max() + frame.loc[mine, "z2"] - frame.loc[mine, "z2"].min()
    elif why == "combination":
        frame["z2"] = np.where(mine, 1.0, -1.0) * frame["z2"].abs() - (frame["z1"] - 1e4) / 50
    else:
        frame = frame[~others].reset_index(drop=True)
    source = source_of(connection, frame)
    with pytest.raises(CellError) as wanted:
        in_memory(frame, spec(rule))
    with pytest.raises(CellError) as found:
        influence_study(source, source.table, spec(rule))
    assert (found.value.why, found.value.cohort) == (wanted.value.why, wanted.value.cohort)
    assert found.value.column == wanted.value.column


def test_sums_by_start(connection: Any) -> None:
    frame = world(13)
    source = source_of(connection, frame)
    found = first_moments(source, source.table, spec(Rule(anticipation=1), (True, False)))
    assert found.starts.tolist() == [2001, 2003, 2004, NEVER]
    frame["start"] = frame["start"].replace(2007, NEVER)
    groups = frame.groupby("start")
    assert found.units.tolist() == groups.size().tolist()
    np.testing.assert_allclose(found.mass, groups["w"].sum(), rtol=1e-12)
    for t in range(4):
        np.testing.assert_allclose(found.outcome[:, t], groups.apply(lambda f, t=t: f[f"y{t}"] @ f["w"]), rtol=1e-10)
    for i, name in enumerate(("z1", "z2")):
        np.testing.assert_allclose(found.covariates[:, i], groups.apply(lambda f, n=name: f[n] @ f["w"]), rtol=1e-10)


def test_another_engine_finds_the_same() -> None:
    pytest.importorskip("polars")
    frame = world(14)
    other = ibis.polars.connect()
    import polars as pl

    source = EngineSource(other.create_table("units", pl.from_pandas(frame)), "units")
    for way, rule in zip(
        WAYS, (Rule(), Rule("never", "weighting"), Rule("not-yet", "regression"), Rule("never")), strict=True
    ):
        check(source, frame, spec(rule, way))
