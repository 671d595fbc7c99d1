"""Tables in engines: the same numbers as from a frame, no row without a word, one clear message for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.cli import main
from evaltoolkit.data import EngineLimits, EngineSource, FrameSource, connect, spark
from evaltoolkit.data.addresses import Address, parse_address
from evaltoolkit.pipeline import evaluate
from evaltoolkit.study import study_from
from tests.designs.its_worlds import assert_same, events

STUDY = """
version = 1
design = "interrupted-time-series"
title = "Calls"
time = "month"
interruption = "2021-01"
every = "month"
{extra}
[data]
source = "{source}"
{data}
[outcome]
column = "calls"
"""


def series() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    months = pd.period_range("2019-01", periods=48, freq="M").astype(str)
    return pd.DataFrame({"month": months, "calls": rng.poisson(40, 48) * 1.0, "note": ["x"] * 48})


def database(folder: Path, frame: pd.DataFrame, name: str = "state.db") -> Path:
    with duckdb.connect(str(folder / name)) as connection:
        connection.register("given", frame)
        connection.execute("create table series as select * from given order by hash(month)")
    return folder / name


def its(source: Any, **more: Any) -> ev.Evaluation:
    return ev.its(source, outcome="calls", time="month", interruption="2021-01", every="month", **more)


def study(**data: Any) -> Any:
    return study_from(
        {"design": "interrupted-time-series", "title": "t", "outcome": {"column": "y"}, "data": data, "time": "x"}
    )


# ---- the same numbers ---------------------------------------------------------------------------------------------


def test_a_table_gives_what_the_frame_gives(tmp_path: Path) -> None:
    frame = series()
    source = connect(f"duckdb:///{database(tmp_path, frame)}?table=series", memory="1GB", threads=1)
    assert its(source, release="open").result.estimates == its(frame).result.estimates
    assert source.name == "series"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_many_files_are_one_table(kind: str, tmp_path: Path) -> None:
    frame = series()
    for year, part in frame.groupby(frame["month"].str[:4]):
        file = tmp_path / f"{year}.{kind}"
        part.to_parquet(file) if kind == "parquet" else part.to_csv(file, index=False)
    source = connect(f"{kind}:{tmp_path}/*.{kind}")
    assert its(source, release="open").result.estimates == its(frame).result.estimates


def test_an_ibis_table_is_a_source(tmp_path: Path) -> None:
    import ibis

    frame = series()
    table = ibis.duckdb.connect(str(database(tmp_path, frame)), read_only=True).table("series")
    assert its(connect(table), release="open").result.estimates == its(frame).result.estimates


def test_the_hash_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    frame = series()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shas = []
    for folder, rows in (("a", frame), ("b", frame.iloc[::-1])):
        rows.to_parquet(tmp_path / folder / "x.parquet")
        source = connect(f"parquet:{tmp_path / folder}/x.parquet")
        shas.append(its(source, release="open").result.provenance.data_sha256)
    changed = frame.assign(calls=frame["calls"] + 1)
    changed.to_parquet(tmp_path / "b" / "x.parquet")
    shas.append(its(connect(f"parquet:{tmp_path}/b/x.parquet"), release="open").result.provenance.data_sha256)
    assert shas[0] == shas[1] != shas[2]


def test_only_named_columns_come_and_wide_numbers_are_floats() -> None:
    import ibis

    connection = ibis.duckdb.connect()
    connection.raw_sql(
        "create table t as select i::hugeint x, (i * 1.5)::decimal(10, 2) y, 'secret' s, "
        "case when i = 1 then null when i = 2 then 'nan'::double else 1 end z from range(4) r(i)"
    )
    given_study = study_from(
        {
            "design": "interrupted-time-series", "title": "t", "outcome": {"column": "y"}, "time": "x",
            "covariates": ["z"], "data": {"release": "open"},
        }
    )  # fmt: skip
    frame = connect(connection.table("t")).rows(given_study).frame
    assert list(frame.columns) == ["x", "y", "z"]
    assert frame["y"].tolist() == [0.0, 1.5, 3.0, 4.5]
    assert frame["z"].isna().tolist() == [False, True, True, False]
    assert {str(kind) for kind in frame.dtypes} == {"float64"}


VALUES = st.lists(st.sampled_from([-99.0, 0.0, 1.0, 2.5, np.nan]), min_size=1, max_size=12)
WORDS = st.sampled_from(["a", " a", "b", "-99", None])
FILTERS = st.sampled_from(
    [
        {"column": "x", "op": ">=", "value": 1}, {"column": "x", "op": "!=", "value": 1},
        {"column": "x", "op": "in", "value": [0, 2.5]}, {"column": "x", "op": "not-in", "value": [0]},
        {"column": "w", "op": "==", "value": "a"}, {"column": "w", "op": "in", "value": ["a", "b"]},
        {"column": "w", "op": "<", "value": "b"},
    ]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(VALUES, st.data(), FILTERS, st.sampled_from([(), ("-99",)]))
def test_filters_keep_the_same_rows_in_engine_and_frame(
    x: list[float], data: st.DataObject, condition: dict[str, Any], missing: tuple[str, ...]
) -> None:
    import ibis

    frame = pd.DataFrame({"x": x, "y": np.arange(len(x)) * 1.0, "w": [data.draw(WORDS) for _ in x]})
    frame["w"] = frame["w"].astype("string")
    asked = study(keep=[condition], missing=missing, release="open")
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.raw_sql("create table t as select x::double x, y, w::varchar w from given")
    table = connection.table("t")
    found = []
    for source in (FrameSource(frame), connect(table)):
        try:
            rows = source.rows(asked)
        except errors.DataFileError as error:
            found.append(error.found)
        else:
            found.append((rows.n_read, sorted(rows.frame["y"])))
    assert found[0] == found[1]


# ---- what leaves, and what is refused -------------------------------------------------------------------------------


def test_no_row_comes_without_a_word(tmp_path: Path) -> None:
    source = connect(f"duckdb:///{database(tmp_path, series())}?table=series")
    with pytest.raises(errors.DisclosureError, match="does not say that rows may leave"):
        source.rows(study())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("duckbd:///x.db?table=t", "did you mean 'duckdb'"),
        ("duckdb:///x.db", "no table"),
        ("duckdb://?table=t", "no file"),
        ("duckdb:///none.db?table=t", "no database 'none.db'"),
        ("duckdb:///state.db?table=seris", "did you mean 'series'"),
        ("duckdb:///state.db?tabel=series", "did you mean 'table'"),
        ("duckdb:///broken.db?table=t", "cannot be opened"),
        ("parquet:", "no file"),
        ("parquet:*.parquet", "no file fits"),
        ("parquet:broken.db", "cannot be opened"),
        ("postgres://me:word@host/db?table=t", "password"),
        ("postgres://host/?table=t", "no database"),
        ("spark://?table=t", "no cluster"),
        ("spark://local", "no table and no path"),
        ("spark://local?table=t&path=*.parquet", "both a table and a path"),
        ("spark://host:7077?path=/home/x.parquet", "files of this machine for a cluster"),
        ("spark://me:word@host?table=t", "password"),
    ],
)
def test_a_wrong_address_is_one_message(
    address: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(tmp_path, series())
    (tmp_path / "broken.db").write_text("no database at all")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.DataFileError, match=words) as raised:
        connect(address)
    assert "word" not in raised.value.message.replace("password", "")


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaltoolkit.data.obstacles.importlib.util.find_spec", lambda name: None)
    with pytest.raises(errors.SetupError, match=r"evaltoolkit\[engines\]"):
        connect("parquet:x.parquet")


def test_an_engine_that_stops_is_one_message_that_quotes_nothing() -> None:
    import ibis

    connection = ibis.duckdb.connect()
    connection.raw_sql(
        "create view t as select case when i = 3 then error('Jane Doe') else i end y, i x from range(5) r(i)"
    )
    with pytest.raises(errors.DataFileError, match="the engine stopped") as raised:
        connect(connection.table("t")).rows(study(release="open"))
    assert "Jane" not in raised.value.message


def test_other_things_and_limits_are_refused() -> None:
    with pytest.raises(errors.DataFileError, match="the data are a dict"):
        connect({"calls": [1]})
    with pytest.raises(errors.OptionError, match="4GB"):
        EngineLimits(memory="four")


def test_addresses() -> None:
    assert parse_address("postgresql://me@h:5433/d?table=s.t") == Address(
        "postgres", table="s.t", host="h", port=5433, database="d", user="me"
    )
    assert parse_address("duckdb:////abs/x.db?table=t").path == "/abs/x.db"
    assert parse_address("parquet:a/*.parquet").name == "*.parquet"
    assert parse_address("spark://h:7077?table=s.t") == Address("spark", table="s.t", host="h", port=7077)
    local, stored = parse_address("spark://local?path=a/*.csv"), parse_address("spark://h?path=s3a://b/x.parquet")
    assert (local.path, local.format, local.is_local, stored.format, stored.is_local) == (
        "a/*.csv", "csv", True, "parquet", False
    )  # fmt: skip
    assert not parse_address("spark://local?path=s3a://b/x.parquet").is_local
    assert parse_address("parquet:s3://b/x.parquet").is_local


def test_spark_without_java_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("evaltoolkit.data.spark.shutil.which", lambda name: None)
    with pytest.raises(errors.SetupError, match="openjdk-17-jre-headless"):
        spark.require_java("source")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(errors.SetupError, match="JAVA_HOME names a folder without Java"):
        spark.require_java("source")


def test_what_a_spark_session_may_use() -> None:
    asked = spark.settings(parse_address("spark://local?path=x.csv"), EngineLimits("2GB", 3), "/tmp/x")
    assert (asked["spark.master"], asked["spark.driver.memory"]) == ("local[3]", "1907m")
    assert asked["spark.driver.bindAddress"] == "127.0.0.1"
    cluster = spark.settings(parse_address("spark://h?table=s.t"), EngineLimits("2GB", 3), "/tmp/x")
    assert (cluster["spark.master"], cluster["spark.cores.max"]) == ("spark://h:7077", "3")
    assert "spark.driver.bindAddress" not in cluster


# ---- from the command line ------------------------------------------------------------------------------------------


def project(folder: Path, source: str, data: str = "", extra: str = "") -> Path:
    (folder / "designs").mkdir(exist_ok=True)
    file = folder / "designs" / "calls.toml"
    file.write_text(STUDY.format(source=source, data=data, extra=extra))
    return file


def test_a_design_file_may_name_an_address(tmp_path: Path) -> None:
    database(tmp_path, series())
    file = project(tmp_path, "duckdb:///../state.db?table=series", 'release = "open"')
    assert ev.evaluate(file).result.estimates == its(series()).result.estimates


def test_an_address_of_a_design_file_stays_in_its_project(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    database(tmp_path, series())
    file = project(tmp_path / "inner", "duckdb:///../../state.db?table=series", 'release = "open"')
    with pytest.raises(errors.PathOutsideProjectError):
        ev.evaluate(file)
    series().to_parquet(tmp_path / "x.parquet")
    (tmp_path / "inner" / "x.parquet").symlink_to(tmp_path / "x.parquet")
    file = project(tmp_path / "inner", "parquet:../*.parquet", 'release = "open"')
    with pytest.raises(errors.PathOutsideProjectError):
        ev.evaluate(file)


def test_the_command_reads_another_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project(tmp_path, "none.csv")
    address = f"duckdb:///{database(tmp_path, series())}?table=series"
    words = ["run", str(file), "--out", str(tmp_path / "out"), "--format", "json", "--quiet", "--source", address]
    assert main([*words, "--release", "strict"]) == 2
    assert "strict keeps in the engine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    assert main([*words, "--release", "open", "--engine-memory", "1GB", "--engine-threads", "1"]) == 0
    found = ev.load_result(tmp_path / "out" / "calls" / "result.json")
    assert found.provenance.data_name == "series"
    assert main([*words, "--release", "all"]) == 2
    assert main([*words, "--release", "open", "--engine-memory", "much"]) == 2
    assert isinstance(connect(address), EngineSource)


# ---- a server -------------------------------------------------------------------------------------------------------


def test_a_server_gives_what_the_frame_gives(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setenv("PGHOST", server)
    frame = series()
    with psycopg.connect(user="me", dbname="postgres") as connection:
        connection.execute("create schema s")
        connection.execute("create table s.series (month text, calls numeric(10, 2), note text)")
        for row in frame.itertuples(index=False):
            connection.execute("insert into s.series values (%s, %s, %s)", tuple(row))
    source = connect("postgres://me@/postgres?table=s.series")
    assert its(source, release="open").result.estimates == its(frame).result.estimates
    assert_same(its(source).result, its(frame).result)
    with pytest.raises(errors.DataFileError, match="did you mean 'series'"):
        connect("postgres://me@/postgres?table=s.serise")
    with pytest.raises(errors.OptionError, match="PostgreSQL server"):
        connect("postgres://me@/postgres?table=s.series", threads=2)
    monkeypatch.setenv("PGHOST", "/nowhere")
    with pytest.raises(errors.DataFileError, match="cannot be opened"):
        connect("postgres://me@/postgres?table=s.series")


def test_events_counted_by_a_server_give_what_rows_in_memory_give(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setenv("PGHOST", server)
    frame = events(("a", "b")).assign(youth=lambda f: f["youth"].astype(str).where(f["site"] == "a", "-1"))
    with psycopg.connect(user="me", dbname="postgres") as connection:
        connection.execute("create table events (day date, site text, youth text)")
        with connection.cursor().copy("copy events from stdin") as copy:
            for row in frame[["day", "site", "youth"]].itertuples(index=False):
                copy.write_row((row.day.date(), row.site, row.youth))
    study = study_from(
        {
            "design": "interrupted-time-series", "title": "t", "time": "day", "interruption": "2021-01-01",
            "every": "month", "outcome": {"column": "day", "kind": "count", "population": "youth"},
            "data": {"rows": "events", "missing": ["-1"], "keep": [{"column": "site", "op": "==", "value": "a"}]},
        }
    )  # fmt: skip
    found = evaluate(study, connect("postgres://me@/postgres?table=events")).result
    assert_same(found, evaluate(study, FrameSource(frame)).result)
