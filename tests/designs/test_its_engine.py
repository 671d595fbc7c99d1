"""Time series made inside engines: the same numbers and words as in memory, and no small cell that leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, connect
from tests.designs.its_worlds import EVENTS, SHARED, assert_same, events, months


def in_duckdb(frame: pd.DataFrame) -> EngineSource:
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.raw_sql("create table t as select * from given")
    source = connect(connection.table("t"))
    assert isinstance(source, EngineSource)
    return source


def in_polars(frame: pd.DataFrame) -> EngineSource:
    polars = pytest.importorskip("polars")
    source = connect(ibis.polars.connect({"t": polars.from_pandas(frame).lazy()}).table("t"))
    assert isinstance(source, EngineSource)
    return source


Engine = Callable[[pd.DataFrame], EngineSource]
engines = pytest.mark.parametrize("engine", [in_duckdb, in_polars])

COUNTED: dict[str, dict[str, Any]] = {
    "events": {**EVENTS, "family": "quasi-poisson", "effects": ["level"]},
    "sums of hits": {**SHARED, "rows": "people", "outcome": ev.Outcome("hits", kind="count")},
    "means of people": {**SHARED, "rows": "people", "outcome": "score"},
    "quarters": {**EVENTS, "every": "quarter"},
    "weeks": {**EVENTS, "every": "week", "outcome": ev.Outcome("day", kind="count")},
    "whole recording only": {**EVENTS, "recorded": {"first": "2019-01-20", "last": "2022-11-30"}},
    "many sites": {**EVENTS, "unit": "site"},
    "sites with starts": {
        **{k: v for k, v in EVENTS.items() if k != "interruption"}, "unit": "site", "first_treated": "start",
    },
    "other sites as control": {**EVENTS, "unit": "site", "treated_unit": "a", "control": "mean"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        *((name, in_duckdb) for name in COUNTED),
        *((name, in_polars) for name in ("events", "means of people", "weeks", "sites with starts")),
    ],
)
def test_rows_counted_in_an_engine_give_what_rows_in_memory_give(name: str, engine: Engine) -> None:
    frame = events()
    if name.startswith("weeks"):
        whole = frame["day"].between("2019-01-07", "2022-12-25")
        frame = pd.concat([frame[whole]] * 2, ignore_index=True)
    if name == "means of people":
        frame["score"] += 20
    assert_same(ev.its(engine(frame), **COUNTED[name]).result, ev.its(frame, **COUNTED[name]).result)


WRITTEN: dict[str, Callable[[pd.Series[Any]], Any]] = {
    "texts of days": lambda day: day.dt.strftime("%Y-%m-%d"),
    "texts of moments": lambda day: day.dt.strftime("%Y-%m-%d 10:11:12"),
    "American texts": lambda day: day.dt.strftime("%m/%d/%Y"),
    "months": lambda day: day.dt.strftime("%Y-%m"),
    "codes": lambda day: day.dt.year * 100 + day.dt.month,
    "dates": lambda day: day.dt.date,
    "moments": lambda day: day + pd.Timedelta("13h"),
}


@pytest.mark.parametrize(
    ("how", "engine"), [*((how, in_duckdb) for how in WRITTEN), ("texts of days", in_polars), ("codes", in_polars)]
)
def test_periods_may_be_written_in_any_way(how: str, engine: Engine) -> None:
    frame = events(("a",))
    frame = frame.assign(day=WRITTEN[how](frame["day"]))
    assert_same(ev.its(engine(frame), **EVENTS).result, ev.its(frame, **EVENTS).result)


def test_a_silent_end_and_empty_periods_are_found_as_in_memory() -> None:
    frame = events(("a",))
    month = frame["day"].dt.strftime("%Y-%m")
    late = (month == "2022-12") & (frame["day"].dt.day > 14)
    frame = frame[~late & ~month.isin(["2020-05", "2021-07"])]
    found = ev.its(in_duckdb(frame), **EVENTS).result
    assert_same(found, ev.its(frame, **EVENTS).result)
    text = next(d.text for d in found.diagnostics if d.name == "calendar")
    assert "2 months without a row count as zero" in text
    assert "Dec 2022, which may be recorded in part" in text


@engines
@pytest.mark.parametrize(
    "more",
    [
        {"outcome": "calls"},
        {"outcome": ev.Outcome("calls", kind="rate", population="youth"), "covariates": ["weather"]},
        {"outcome": ev.Outcome("calls", kind="count", population="youth"), "family": "quasi-poisson",
         "control": "elsewhere", "control_population": "others"},
        {"outcome": ev.Outcome("calls", kind="count"), "placebo_outcomes": ["elsewhere"], "every": None},
    ],
)  # fmt: skip
def test_rows_that_are_periods_are_taken_as_they_are(more: dict[str, Any], engine: Engine) -> None:
    frame = months()
    asked = {**SHARED, "interruption": "2021-01", **more}
    assert_same(ev.its(engine(frame), **asked).result, ev.its(frame, **asked).result)


def test_filters_codes_and_gaps_mean_the_same() -> None:
    frame = months()
    frame["calls"] = frame["calls"].astype(int).astype(str).where(frame["day"] != "2020-03", "not known")
    frame.loc[5, "weather"] = np.nan
    design = {
        "design": "interrupted-time-series", "title": "t", "time": "day", "interruption": "2021-01",
        "covariates": ["weather"], "outcome": {"column": "calls", "kind": "count"},
        "data": {"missing": ["not known"], "keep": [{"column": "day", "op": ">=", "value": "2019-03"}]},
    }  # fmt: skip
    from evaltoolkit.data import FrameSource
    from evaltoolkit.pipeline import evaluate
    from evaltoolkit.study import study_from

    study = study_from(design)
    expected = evaluate(study, FrameSource(frame)).result
    assert [step.n for step in expected.flow][:2] == [48, 46]
    assert_same(evaluate(study, in_duckdb(frame)).result, expected)


# ---- what does not leave --------------------------------------------------------------------------------------------


def refused(frame: pd.DataFrame, words: str, **asked: Any) -> errors.DisclosureError:
    """Return the refusal, after a look at what left: numbers of cells only."""
    source = in_duckdb(frame)
    steps: list[str] = []
    source.reports(steps.append)
    with pytest.raises(errors.DisclosureError, match=words) as raised:
        ev.its(source, **{**EVENTS, **asked})
    assert not set(steps) & {"counts and sums by period", "values by period", "rows"}
    return raised.value


@pytest.mark.parametrize("n", [1, 10, 11])
def test_a_cell_of_too_few_people_stays(n: int) -> None:
    frame = events(("a",))
    month = frame["day"].dt.strftime("%Y-%m") == "2020-05"
    frame = frame.drop(frame.index[month][n:])
    if n == 11:
        assert_same(ev.its(in_duckdb(frame), **EVENTS).result, ev.its(frame, **EVENTS).result)
        return
    error = refused(frame, "1 of 48 cells of a period hold 1 to 10 events")
    assert "longer every" in error.todo
    assert 'release = "open"' in error.todo or "release = 'open'" in error.todo
    assert_same(ev.its(in_duckdb(frame), **EVENTS, release="open").result, ev.its(frame, **EVENTS).result)


def test_small_sums_complements_populations_and_large_shares_stay() -> None:
    frame = events(("a",))
    may = frame["day"].dt.strftime("%Y-%m") == "2020-05"
    people: dict[str, Any] = {"rows": "people", "every": "month"}
    rare = frame.assign(y=(frame.groupby(frame["day"].dt.strftime("%Y-%m")).cumcount() < 15).astype(float))
    few = rare.assign(y=rare["y"].where(~may, (rare[may].groupby("site").cumcount() < 3).astype(float)))
    refused(few, "1 of 48 cells .* 1 to 10 events", outcome=ev.Outcome("y", kind="count"), **people)
    nearly = rare.assign(y=1 - few["y"])
    refused(nearly, "people without the outcome", outcome=ev.Outcome("y", kind="proportion"), **people)
    small = frame.assign(youth=frame["youth"].where(~may, 9.0))
    refused(small, "1 to 10 people in 'youth'")
    money = frame.assign(score=frame["score"].where(frame.index != frame.index[may][0], 1e6))
    refused(money, "one row has more than half", outcome="score", **people)


def test_small_counts_among_periods_stay() -> None:
    frame = months()
    counts = {"outcome": ev.Outcome("calls", kind="count", population="youth"), "rows": "aggregates", "every": None}
    counts["interruption"] = "2021-01"
    refused(frame.assign(calls=frame["calls"].where(frame.index != 3, 10.0)), "1 of 96 counts are too small", **counts)
    refused(frame.assign(youth=frame["youth"].where(frame.index != 3, 4.0)), "1 of 96 counts", **counts)
    zero = frame.assign(calls=frame["calls"].where(frame.index != 3, 0.0))
    assert_same(ev.its(in_duckdb(zero), **SHARED | counts).result, ev.its(zero, **SHARED | counts).result)


def test_rows_of_people_that_are_called_aggregates_do_not_leave() -> None:
    source = in_duckdb(events(("a",)))
    steps: list[str] = []
    source.reports(steps.append)
    with pytest.raises(errors.DuplicateRowsError, match="several rows stand for the same period"):
        ev.its(source, **{**SHARED, "outcome": "score"})
    assert "values by period" not in steps


def test_strict_and_identifiers_are_refused_with_the_reason() -> None:
    frame = events()
    with pytest.raises(errors.DisclosureError, match="counts by period, which strict keeps in the engine"):
        ev.its(in_duckdb(frame), **EVENTS, release="strict")
    with pytest.raises(errors.DisclosureError, match="'site' identifies people"):
        ev.its(in_duckdb(frame), **EVENTS, unit="site", identifiers=["site"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(day=f["day"].where(f.index != 3)), "is empty in some rows"),
        (lambda f: f.assign(day=f["day"].dt.strftime("%Y-%m").where(f.index != 3, "May")), "cannot be read as month"),
        (lambda f: f.assign(youth=f["youth"].where(f.index != 3, 7000.0)), "'youth' differs between rows"),
        (lambda f: f.assign(youth=0.0), "zero or negative"),
        (lambda f: f.assign(site=f["site"].where(f.index != 3)), "the unit column 'site' is empty"),
        (lambda f: f.assign(hits=np.nan), "has no value in any row"),
        (lambda f: f.assign(hits=f["hits"].where(f.index != 3, np.inf)), "infinite"),
        (lambda f: f.assign(hits="many"), "of type string"),
        (lambda f: f.drop(columns="hits"), "hits"),
        (lambda f: f.iloc[:0], "no row is left"),
    ],
)
def test_bad_columns_are_one_message(change: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    asked = {**EVENTS, "unit": "site", "outcome": ev.Outcome("hits", kind="count", population="youth")}
    with pytest.raises(errors.EvaluationError, match=words):
        ev.its(in_duckdb(change(events())), **asked)


def test_what_left_is_in_the_log(tmp_path: Any) -> None:
    import json

    source = connect(in_duckdb(events()).table, audit=tmp_path / "log.jsonl")
    ev.its(source, **EVENTS, unit="site")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    left = [line for line in lines if line["event"] == "left"]
    assert max(line["rows"] for line in left) == 3 * 48
    cells = next(line for line in left if line["rows"] == 3 * 48)
    assert cells["columns"] == ["key", "unit", "n", "total", "low0"]


# ---- what would be asked, told beforehand ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "asked", "steps"),
    [
        (events(), {"rows": "events", "outcome": {"column": "day", "kind": "count", "population": "youth"}},
         ["cells of too few people", "counts and sums by period"]),
        (months(), {"rows": "aggregates", "outcome": {"column": "calls", "kind": "count"}},
         ["rows for each period", "counts of too few people", "values by period"]),
    ],
    ids=["events", "months"],
)  # fmt: skip
def test_what_is_told_beforehand_is_what_is_asked(
    frame: pd.DataFrame, asked: dict[str, Any], steps: list[str], tmp_path: Any
) -> None:
    import json

    from evaltoolkit.federation import explain
    from evaltoolkit.pipeline import evaluate
    from evaltoolkit.study import study_from

    outcome, rows = asked["outcome"], asked["rows"]
    keep = [{"column": "youth", "op": ">=", "value": 10}]
    study = study_from(
        {"design": "interrupted-time-series", "title": "t", "time": "day", "interruption": "2021-01", "every": "month",
         "outcome": outcome, "data": {"rows": rows, "keep": keep}}
    )  # fmt: skip
    source = connect(in_duckdb(frame).table, audit=tmp_path / "log.jsonl")
    told = explain(study, source)
    assert (tmp_path / "log.jsonl").read_text() == ""
    assert [step.words for step in told.steps] == ["number of rows", *steps]
    assert (told.release, told.engine, told.plan["time"]) == ("moments", "duckdb", "day")
    evaluate(study, source)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    ran = {line["sql"] for line in lines if line["event"] == "asked"}
    assert ran == {step.sql for step in told.steps}
    left = {line["step"]: tuple(more["columns"]) for line, more in zip(lines[::2], lines[1::2], strict=True)}
    for leaving in told.leaves:
        assert left[leaving.what] == leaving.numbers
    assert "What leaves" in told.text()
