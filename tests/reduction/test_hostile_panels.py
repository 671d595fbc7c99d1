"""Panels in engines as they come: odd names of units, odd starts, words for yes and no, numbers without an end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, FrameSource, connect
from evaltoolkit.data.asked import asked as data_asked
from evaltoolkit.designs.did.design import DIFFERENCE_IN_DIFFERENCES as DESIGN
from evaltoolkit.designs.did.sums import sums
from evaltoolkit.pipeline import evaluate
from evaltoolkit.reduction.moment_source import added_files
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.reduction.moments_json import written

from .made import ABOUT
from .test_panels_in_engines import PEOPLE, panel, recorded, study

ASKED: dict[str, Any] = {
    "outcome": "y", "unit": "id", "time": "year", "first_treated": "g", "inference": "analytic",
}  # fmt: skip
WIDE = "1267650600228229401496703205376 + {}::hugeint"


def engine(frame: pd.DataFrame, **columns: str) -> EngineSource:
    """Return a table in DuckDB with some columns written in its own words."""
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    shown = ", ".join(f'{columns.get(name, name)} as "{name}"' for name in frame.columns)
    connection.raw_sql(f"create table panel as select {shown} from given")
    return connect(connection.table("panel"))


def summed(where: Any, **changes: Any) -> PanelMoments:
    asked = study(**changes)
    return sums(asked, DESIGN.parse(asked), FrameSource(where) if isinstance(where, pd.DataFrame) else where)


def same(frame: pd.DataFrame, source: EngineSource, **changes: Any) -> None:
    """Check that an engine gives the sums that memory gives, whatever clusters are called."""
    here, there = summed(frame, **changes), summed(source, **changes)
    assert here.account == there.account
    assert len(here.clusters) == len(there.clusters)
    np.testing.assert_array_equal(here.table.units, there.table.units)
    np.testing.assert_allclose(here.table.m, there.table.m, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", [{}, {"cluster": "state"}])
def test_whole_numbers_too_wide_for_floats_name_units_and_clusters(way: dict[str, Any]) -> None:
    frame = panel(150)
    frame["state"] += 10
    same(frame, engine(frame, id=WIDE.format("id"), state=WIDE.format("state")), **way)


def test_long_numbers_as_texts_name_units_where_codes_stand_for_missing() -> None:
    frame = panel(150)
    frame["id"] = [str(10**19 + i) for i in frame.id]
    same(frame, engine(frame), data={"missing": ["-9"]})


def test_yes_and_no_are_read_in_engines_as_in_files() -> None:
    frame = panel(150)
    frame["served"] = np.where((frame.g > 0) & (frame.year >= frame.g), "Yes", "no ")
    frame["found"] = frame.yes.map({0: "FALSE", 1: "true"})
    way: dict[str, Any] = {"first_treated": None, "treated": "served", "outcome": {"column": "found", "kind": "binary"}}
    same(frame, engine(frame), **way)
    odd = frame.assign(found=frame.found.where(frame.index > 2, "maybe"))
    with pytest.raises(errors.ColumnTypeError, match="neither 0 nor 1 in 3 rows"):
        summed(engine(odd), **way)
    odd = frame.assign(served=frame.served.where(frame.index > 0, None))
    with pytest.raises(errors.ColumnTypeError, match=r"treated: .* in 1 row\."):
        summed(engine(odd), **way)


@pytest.mark.parametrize(
    ("column", "value", "role"), [("w", np.inf, "weights"), ("w", 0.0, "weights"), ("pop", np.inf, "population")]
)
def test_weights_and_populations_without_an_end_are_refused(column: str, value: float, role: str) -> None:
    frame = panel(150)
    frame[column] = frame[column].astype(float).where(frame.id != 3, value)
    outcome = {"column": "cases", "kind": "rate", "population": "pop", "per": 1000}
    with pytest.raises(errors.ColumnTypeError, match=rf"{role}: .* in 6 rows"):
        summed(engine(frame), outcome=outcome, weights="w")


@pytest.mark.parametrize("release", ["moments", "strict"])
@pytest.mark.parametrize(
    ("starts", "error", "words"),
    [
        (-1, errors.TreatmentTimingError, "no years"), (0, errors.TreatmentTimingError, "ever treated"),
        (2016, errors.NoPrePeriodError, "in or before the first period"),
    ],
)  # fmt: skip
def test_starts_that_cannot_be_used_are_called_what_they_are(
    starts: int, error: type[Exception], words: str, release: str
) -> None:
    frame = panel(60)
    frame["g"] = np.where(frame.id % 2 == 0, starts, 2018 if starts == -1 else starts)
    for data in (frame, engine(frame)):
        with pytest.raises(error, match=words):
            ev.did(data, **ASKED, release=release)


@pytest.mark.parametrize("release", ["moments", "strict"])
def test_no_unit_with_all_periods_is_called_that(release: str) -> None:
    frame = panel(60)
    frame = frame[frame.id % 6 + 2016 != frame.year]
    for data in (frame, engine(frame)):
        with pytest.raises(errors.MissingValuesError, match="complete data in all 6 periods"):
            ev.did(data, **ASKED, release=release, incomplete="drop")


def test_zero_among_periods_below_zero_may_mean_two_things() -> None:
    frame = panel(150)
    frame = frame.assign(year=frame.year - 2019, g=np.where(frame.g > 0, frame.g - 2019, np.nan))
    with pytest.raises(errors.TreatmentTimingError, match="a period or mean never"):
        summed(engine(frame))


def test_a_table_without_rows_is_called_that() -> None:
    with pytest.raises(errors.DataFileError, match="holds no row"):
        summed(engine(panel(5).iloc[:0]))


@pytest.mark.parametrize("release", ["moments", "strict"])
def test_the_amount_of_one_person_who_is_left_out_is_not_the_rest_of_a_total(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = panel(300)
    frame["y"] = (frame.y * 1000).round()
    frame["g"] = np.where(frame.id == 7, 1990, np.where(frame.g == 2016, 0, frame.g))
    source = engine(frame)
    left = recorded(source, monkeypatch)
    assert ev.did(source, **ASKED, rows="people", release=release).result.headline.estimate is not None
    levels = next(part for part in left if "level" in part.columns)
    found = frame.groupby("year").y.mean()
    assert (abs(levels.set_index("time").level - found) > 1).all()
    assert not any(np.isin(frame.y[frame.id == 7], part.to_numpy()).any() for part in left if "time" not in part)
    rest = summed(source, data=PEOPLE).table.shift
    np.testing.assert_allclose(rest, summed(frame, data=PEOPLE).table.shift)
    assert (rest % 1000 == 0).all()


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(
    ("op", "value"), [("!=", 5), ("not-in", [5, 7]), ("in", list(range(0, 150, 2))), ("==", 9), ("<", 100)]
)
def test_no_name_of_a_person_leaves_for_a_filter(
    op: str, value: Any, monkeypatch: pytest.MonkeyPatch, *, text: bool
) -> None:
    frame = panel(150)
    if text:
        frame["id"] = "p" + frame.id.astype(str)
        value = [f"p{v}" for v in value] if isinstance(value, list) else f"p{value}"
    data = {"keep": [{"column": "id", "op": op, "value": value}]}
    source = engine(frame)
    left = recorded(source, monkeypatch)
    asked = study(data=data | {"rows": "people"})
    if op == "<" and text:
        with pytest.raises(errors.DisclosureError, match="names of people"):
            data_asked(source, asked)
        return
    here = FrameSource(frame).rows(study(data=data)).frame
    assert source.executed(data_asked(source, asked).aggregate(n=ibis._.count()), "n")["n"][0] == len(here)
    assert len(left) == 1


def _people_who_lack_a_year() -> pd.DataFrame:
    frame = panel(600)
    frame["g"] = frame.g.replace({2021: 0, 2016: 0})
    return frame[~((frame.year == 2017) & (frame.id % 20 == 3) & (frame.id < 500))]


def _balance(source: Any, **changes: Any) -> str:
    result = ev.did(source, **ASKED, rows="people", **changes).result
    return next(check.text for check in result.diagnostics if check.name == "panel-balance")


def test_what_became_of_people_who_lack_a_year_is_said_as_it_was() -> None:
    frame = _people_who_lack_a_year()
    assert "25 people lack a value in some period and are used for the periods they have; " in _balance(frame)
    assert "and enough others lack the same, else left out" in _balance(engine(frame))
    assert "25 people lack a value in some period and were left out" in _balance(engine(frame), release="strict")
    # All but four were seen in one year only: with the number of those left out, that of the four would follow.
    once = (frame.id % 20 == 3) & frame.id.between(80, 499) & (frame.year > 2016)
    assert _balance(frame[~once]).startswith("Some people lack a value")


def test_files_that_do_not_tell_of_few_left_out_are_named(tmp_path: Path) -> None:
    frame = panel(600)
    frame["g"] = frame.g.replace({2021: 0, 2016: 0}).mask(frame.id.isin([3, 5]), 2010)
    asked = study(data=PEOPLE, moments={"shift": 100.0})
    files = []
    for i in range(2):
        found = summed(frame[frame.id % 2 == i], data=PEOPLE, moments={"shift": 100.0})
        files.append(tmp_path / f"{i}.json")
        files[-1].write_text(written(found, ABOUT), encoding="utf-8")
    checks = {c.name: c.text for c in evaluate(asked, added_files(files)).result.diagnostics}
    assert checks["left-out-before"].startswith("1 of the 2 files does not tell how many people were left out")
    assert checks["panel-balance"].startswith("All people in the sums have a value in each of 6 periods")
    alone = evaluate(asked, added_files(files[:1])).result.diagnostics
    assert not {"left-out-before", "units-in-two-files"} & {check.name for check in alone}


def test_dates_and_numbers_without_an_end_are_no_covariates() -> None:
    frame = panel(150)
    with pytest.raises(errors.ColumnTypeError, match=r"covariates\.0: .* 'x' is of type date"):
        summed(engine(frame, x="date '2000-01-01' + x::int"), covariates=["x"])
    frame["w"] = frame.w.mask(frame.id == 3, np.inf)
    with pytest.raises(errors.ColumnTypeError, match=r"covariates\.1: the covariate 'w' is infinite in 6 rows"):
        summed(engine(frame), covariates=["x", "w"])
