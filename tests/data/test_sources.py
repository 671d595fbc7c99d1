"""Frames of other libraries, files too large for memory, texts that hold numbers, tables that change or stop."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, FileSource, FrameSource, connect, open_source
from evaltoolkit.data.asked import asked, number
from evaltoolkit.data.memory import fits, free_bytes, size_of
from evaltoolkit.pipeline import evaluate, load_study, prepare
from evaltoolkit.study import study_from
from tests.data.test_engines import its, project, series
from tests.designs.its_worlds import assert_same


def study(**data: Any) -> Any:
    return study_from(
        {"design": "interrupted-time-series", "title": "t", "outcome": {"column": "y"}, "data": data, "time": "x",
         "covariates": ["a", "b", "c", "d", "e"]}
    )  # fmt: skip


def held(frame: pd.DataFrame) -> Any:
    """Return a table of DuckDB with the rows of a frame."""
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.raw_sql("create table t as select * from given")
    return connection.table("t")


# ---- frames ----------------------------------------------------------------------------------------------------------


def test_frames_of_other_libraries_give_what_pandas_gives() -> None:
    frame = series()
    expected = its(frame).result.estimates
    table = pa.Table.from_pandas(frame)
    relation = duckdb.from_arrow(table)
    for given in (table, relation):
        assert its(given).result.estimates == expected
        assert its(connect(given)).result.estimates == expected


def test_polars_frames_and_tables_give_what_pandas_gives() -> None:
    polars = pytest.importorskip("polars")
    frame = series()
    expected = its(frame).result.estimates
    eager = polars.from_pandas(frame)
    for given in (eager, eager.lazy(), connect(eager.lazy())):
        assert its(given).result.estimates == expected
    table = ibis.polars.connect({"calls": eager.lazy()}).table("calls")
    source = connect(table)
    assert isinstance(source, EngineSource)
    assert source.backend == "polars"
    assert its(source, release="open").result.estimates == expected


def test_decimals_of_a_frame_are_numbers() -> None:
    given = pa.table({"x": [1, 2, 3], "y": pa.array([Decimal("1.50"), None, Decimal("2.25")])})
    assert FrameSource(given)._frame["y"].tolist()[::2] == [1.5, 2.25]
    assert str(FrameSource(given)._frame["y"].dtype) == "float64"


def test_a_frame_with_to_pandas_is_taken_and_other_things_are_not() -> None:
    class Frame:
        def to_pandas(self) -> pd.DataFrame:
            return series()

    assert its(Frame()).result.estimates == its(series()).result.estimates
    for wrong in ({"calls": [1]}, [1, 2], series()["calls"], None):
        with pytest.raises(errors.DataFileError, match="the data are a"):
            FrameSource(wrong)


def test_a_table_of_an_engine_gives_no_rows_without_a_word() -> None:
    table = held(series())
    with pytest.raises(errors.DataFileError, match="in an engine"):
        FrameSource(table)
    with pytest.raises(errors.DisclosureError):
        connect(table).rows(study())
    with pytest.raises(errors.DataFileError, match="an Ibis table"):
        connect(table.calls)


# ---- the choice between memory and an engine ----------------------------------------------------------------------


def test_the_rule_of_memory() -> None:
    free = 1000 * 8 * 4 * 3 * 2
    assert fits(1000, 3, free)
    assert not fits(1001, 3, free)
    assert fits(10**12, 100, None)
    assert (free_bytes() or 1) > 0


def test_sizes_are_read_without_rows(tmp_path: Path) -> None:
    frame = series()
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv", index=False)
    for suffix in ("parquet", "csv"):
        found = size_of(tmp_path / f"x.{suffix}")
        assert found is not None
        assert found.columns == ("month", "calls", "note")
        assert abs(found.rows - 48) <= 1
    (tmp_path / "y.parquet").write_text("no")
    assert size_of(tmp_path / "y.parquet") is None


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_file_too_large_for_memory_is_left_to_an_engine(kind: str, tmp_path: Path) -> None:
    frame = series()
    file = tmp_path / f"calls[1].{kind}"
    frame.to_parquet(file) if kind == "parquet" else frame.to_csv(file, index=False)
    loaded = load_study(project(tmp_path, f"../{file.name}"))
    small = open_source(loaded, free=lambda: 10**9)
    assert isinstance(small, FileSource)
    steps: list[str] = []
    large = open_source(loaded, free=lambda: 1000, progress=steps.append)
    assert isinstance(large, EngineSource)
    assert "left to DuckDB" in steps[0]
    assert (large.name, large.sha256) == (small.name, small.sha256)
    with pytest.raises(errors.DisclosureError, match="large for the free memory"):
        large.rows(loaded)
    expected = evaluate(loaded, small).result
    found = evaluate(loaded, large).result
    assert_same(found, expected)
    assert found.provenance == expected.provenance
    with pytest.warns(UserWarning, match="left to DuckDB"):
        open_source(loaded, free=lambda: 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(open_source(loaded, free=lambda: None), FileSource)


def test_rows_of_a_large_file_come_where_the_study_says_so(tmp_path: Path) -> None:
    series().to_parquet(tmp_path / "x.parquet")
    loaded = load_study(project(tmp_path, "../x.parquet", 'release = "open"'))
    large = open_source(loaded, free=lambda: 1000, progress=lambda step: None)
    expected = evaluate(loaded).result
    found = evaluate(loaded, large).result
    assert (found.estimates, found.provenance) == (expected.estimates, expected.provenance)
    changed = loaded.model_copy(update={"data": loaded.data.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(errors.DataChangedError):
        prepare(changed, large)


def test_csv_files_mean_the_same_in_an_engine(tmp_path: Path) -> None:
    frame = pd.DataFrame({"y": ["1", "NA", "2.5"], "x": ["2019-01-01", "2019-01-02", "n/a"], "a": ["yes", "no", "yes"]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    wanted = study(release="open")
    rows = FileSource(tmp_path / "x.csv").rows(wanted).frame
    found = connect(f"csv:{tmp_path}/x.csv").rows(wanted).frame
    pd.testing.assert_frame_equal(
        found.sort_values("y").reset_index(drop=True), rows.sort_values("y").reset_index(drop=True), check_dtype=False
    )


# ---- texts that hold numbers --------------------------------------------------------------------------------------


def test_texts_that_hold_numbers_are_numbers_where_only_codes_are_lost() -> None:
    frame = pd.DataFrame(
        {
            "y": ["1", " 2.5", "refused", "NA"], "x": [1, 2, 3, 4], "a": ["01", "2", "3", "4"],
            "b": ["1", "2", "NA", "4"], "c": ["1", "two", "NA", "4"], "d": ["NA", "NA", None, None],
            "e": [1.0, -99.0, np.nan, 2.0],
        }
    )  # fmt: skip
    wanted = study(missing=["NA", "refused", "-99"], release="open")
    rows = FrameSource(frame).rows(wanted).frame
    source = connect(held(frame))
    assert isinstance(source, EngineSource)
    table = asked(source, wanted)
    found = source.executed(table, "rows of a test").sort_values("x").reset_index(drop=True)
    for name in ("y", "a", "b", "e"):
        pd.testing.assert_series_equal(found[name], rows[name])
        assert number(table, name, role="outcome", where="").type().is_floating()
    assert found["c"].tolist()[:2] == rows["c"].tolist()[:2] == ["1", "two"]
    with pytest.raises(errors.ColumnTypeError, match="of type string"):
        number(table, "c", role="outcome", where="")
    with pytest.raises(errors.ColumnTypeError, match="of type string"):
        number(asked(source, study()), "y", role="outcome", where="")


# ---- engines that stop, change, or may only be read -----------------------------------------------------------------


def _calls(frame: pd.DataFrame) -> tuple[Any, EngineSource]:
    table = held(frame)
    source = connect(table)
    assert isinstance(source, EngineSource)
    return table.get_backend(), source


def test_a_table_that_changes_between_queries_is_refused() -> None:
    connection, source = _calls(series())

    def progress(step: str) -> None:
        if step == "rows":
            connection.raw_sql("insert into t values ('2023-01', 3, 'x')")

    source.reports(progress)
    with pytest.raises(errors.DataChangedError, match="changed while it was read"):
        its(source, release="open")


def test_an_engine_that_stops_midway_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, source = _calls(series())
    done: list[int] = []
    runs = type(connection).execute

    def stops(self: Any, *given: Any, **named: Any) -> Any:
        done.append(1)
        if len(done) > 1:
            msg = "could not read block 7: Jane Doe"
            raise OSError(msg)
        return runs(self, *given, **named)

    monkeypatch.setattr(type(connection), "execute", stops)
    with pytest.raises(errors.DataFileError, match="the engine stopped") as raised:
        its(source, release="open")
    assert "Jane" not in raised.value.message
    assert len(done) == 2


def test_a_second_study_of_the_same_columns_has_its_own_rows() -> None:
    _, source = _calls(series())
    for value, n in (("2019-01", 48), ("2019-07", 42), ("2019-01", 48)):
        kept = study_from(
            {"design": "interrupted-time-series", "title": "t", "outcome": {"column": "calls"}, "time": "month",
             "data": {"release": "open", "keep": [{"column": "month", "op": ">=", "value": value}]}}
        )  # fmt: skip
        assert len(source.rows(kept).frame) == n


def test_a_database_that_may_only_be_read_keeps_nothing(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.db")) as connection:
        connection.register("given", series())
        connection.execute("create table calls as select * from given")
    (tmp_path / "x.db").chmod(0o444)
    source = connect(f"duckdb:///{tmp_path}/x.db?table=calls")
    assert isinstance(source, EngineSource)
    with source.stored(source.table.filter(source.table["calls"] > 40), "many calls") as kept:
        n = source.executed(kept.aggregate(n=kept.count()), "how many")["n"].iloc[0]
    assert n == int((series()["calls"] > 40).sum())
    assert its(source, release="open").result.estimates == its(series()).result.estimates
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.db"]


def test_the_hash_of_sums_is_of_what_came() -> None:
    _, source = _calls(series())
    source.begins(study())
    with pytest.raises(errors.DataFileError, match="nothing was taken"):
        _ = source.sha256
    total = source.table.aggregate(n=source.table["calls"].sum())
    source.executed(total, "sum")
    first = source.sha256
    source.executed(total, "sum")
    assert source.sha256 == first
    source.begins(study())
    source.executed(source.table.aggregate(n=source.table["calls"].sum() * 2), "sum")
    assert source.sha256 != first


def test_an_evaluation_by_address_needs_no_connection() -> None:
    with pytest.raises(errors.DataFileError, match="the address begins with"):
        ev.its("calls", outcome="calls", time="month", interruption="2021-01")


def test_long_numbers_of_units_stay_texts_beside_codes_for_missing() -> None:
    names = [str(10**20 + i) for i in range(3)]
    study = study_from({
        "design": "difference-in-differences", "title": "x", "unit": "id", "time": "t", "first_treated": "g",
        "outcome": {"column": "y"}, "data": {"missing": ["-9"]},
    })  # fmt: skip
    rows = FrameSource(pd.DataFrame({"id": names, "y": ["1", "-9", "3"]})).rows(study).frame
    assert rows["id"].tolist() == names
    assert rows["y"].tolist()[::2] == [1.0, 3.0]
