"""Tables in Spark: the same numbers as from a frame, one session, nothing said, one clear message for what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, FrameSource, connect
from evaltoolkit.data.asked import asked
from evaltoolkit.study import study_from
from tests.spark.conftest import SparkSource

CONDITIONS: list[dict[str, Any]] = [
    {"column": "x", "op": ">=", "value": 1}, {"column": "x", "op": "!=", "value": 1},
    {"column": "x", "op": "not-in", "value": [0]}, {"column": "w", "op": "in", "value": ["a", "b"]},
    {"column": "w", "op": "<", "value": "b"},
]  # fmt: skip


def series() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    months = pd.period_range("2019-01", periods=48, freq="M").astype(str)
    return pd.DataFrame({"month": months, "calls": rng.poisson(40, 48) * 1.0, "note": ["x"] * 48})


def its(source: Any, **more: Any) -> ev.Evaluation:
    return ev.its(source, outcome="calls", time="month", interruption="2021-01", every="month", **more)


def study(**data: Any) -> Any:
    return study_from(
        {"design": "interrupted-time-series", "title": "t", "outcome": {"column": "y"}, "data": data, "time": "x"}
    )


def test_rows_give_what_the_frame_gives(spark_source: SparkSource) -> None:
    frame = series()
    source = spark_source(frame)
    assert (source.backend, source.name) == ("pyspark", "*.parquet")
    assert its(source, release="open").result.estimates == its(frame).result.estimates
    assert "SELECT" in source.sql(source.table.count().as_table())


def test_csv_files_give_what_the_frame_gives(spark: EngineSource, tmp_path: Path) -> None:
    frame = series()
    frame.to_csv(tmp_path / "x.csv", index=False)
    source = connect(f"spark://local?path={tmp_path}/x.csv")
    assert source.table["month"].type().is_string()
    assert its(source, release="open").result.estimates == its(frame).result.estimates


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("missing", [(), ("-99",)])
def test_what_a_study_asks_for_is_what_a_frame_keeps(
    condition: dict[str, Any], missing: tuple[str, ...], spark_source: SparkSource
) -> None:
    frame = pd.DataFrame({"x": [-99.0, 0.0, 1.0, 2.5, None, 1.0], "w": ["a", " a", "b", "-99", None, "b"]})
    frame = frame.assign(y=np.arange(6) * 1.0)
    wanted = study(keep=[condition], missing=missing, release="open")
    kept = FrameSource(frame).rows(wanted).frame
    source = spark_source(frame)
    found = source.executed(asked(source, wanted), "rows of a test")
    assert sorted(found["y"]) == sorted(kept["y"]) == sorted(source.rows(wanted).frame["y"])


def test_nan_is_missing_and_decimals_are_numbers(spark: EngineSource) -> None:
    session = spark.table.get_backend()._session
    session.sql(
        "select * from values (1, cast('NaN' as double), 1.5), (2, null, 2.5), (3, 4.0, null) as t(x, y, d)"
    ).createOrReplaceTempView("decimals")
    source = connect("spark://local?table=decimals")
    wanted = study_from(
        {"design": "interrupted-time-series", "title": "t", "outcome": {"column": "y"}, "time": "x",
         "covariates": ["d"]}
    )  # fmt: skip
    found = source.executed(asked(source, wanted), "rows of a test").sort_values("x")
    assert found["y"].isna().tolist() == [True, True, False]
    assert (found["d"].dropna().tolist(), str(found["d"].dtype)) == ([1.5, 2.5], "float64")


def test_a_data_frame_of_spark_is_a_source(spark: EngineSource) -> None:
    session = spark.table.get_backend()._session
    frame = series()
    source = connect(session.createDataFrame(frame))
    assert isinstance(source, EngineSource)
    assert its(source, release="open").result.estimates == its(frame).result.estimates


def test_texts_that_hold_numbers_are_numbers_where_only_codes_are_lost(spark_source: SparkSource) -> None:
    frame = pd.DataFrame({"y": ["1", " 2.5", "refused", "NA"], "x": [1, 2, 3, 4]})
    source = spark_source(frame)
    found = source.executed(asked(source, study(missing=["NA", "refused"])), "rows of a test").sort_values("x")
    assert found["y"].tolist()[:2] == [1.0, 2.5]
    assert found["y"].isna().tolist() == [False, False, True, True]


def test_no_row_comes_without_a_word(spark_source: SparkSource) -> None:
    with pytest.raises(errors.DisclosureError, match="does not say that rows may leave"):
        spark_source(series()).rows(study())


def test_what_cannot_be_opened_is_one_message(spark: EngineSource, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("no file of that kind")
    with pytest.raises(errors.DataFileError, match="cannot be opened"):
        connect(f"spark://local?path={tmp_path}/broken.parquet")
    with pytest.raises(errors.DataFileError, match="no table 'none'"):
        connect("spark://local?table=none")
    with pytest.raises(errors.OptionError, match="runs already"):
        connect(f"spark://local?path={tmp_path}/*.parquet", threads=1)


def test_spark_that_stops_is_one_message(spark_source: SparkSource) -> None:
    source = spark_source(series())
    broken = source.table.mutate(y=source.table["note"].cast("int64"))
    with pytest.raises(errors.DataFileError, match="the engine stopped"):
        source.executed(broken, "rows of a test")


def test_a_command_says_nothing_of_spark_and_leaves_nothing(spark: EngineSource, tmp_path: Path) -> None:
    series().to_parquet(tmp_path / "x.parquet")
    (tmp_path / "designs").mkdir()
    (tmp_path / "designs" / "calls.toml").write_text(
        'version = 1\ndesign = "interrupted-time-series"\ntitle = "Calls"\ntime = "month"\ninterruption = "2021-01"\n'
        'every = "month"\n[data]\nsource = "spark://local?path=../*.parquet"\nrelease = "open"\n'
        '[outcome]\ncolumn = "calls"\n'
    )
    words = ["run", "designs/calls.toml", "--format", "json", "--out", "out", "--engine-memory", "600MB", "--quiet"]
    code = "import sys; from evaltoolkit.cli import main; sys.exit(main(sys.argv[1:]))"
    place = Path(ev.__file__).parent.parent
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(place), "TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "out/calls/result.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["designs", "out", "temporary", "x.parquet"]
    assert not list((tmp_path / "temporary").glob("evaltoolkit*"))


def test_a_session_of_the_user_is_used_and_left_running(spark: EngineSource, tmp_path: Path) -> None:
    series().to_parquet(tmp_path / "x.parquet")
    code = """
from pyspark.sql import SparkSession
import evaltoolkit as ev
mine = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
for _ in range(2):
    source = ev.connect("spark://local?path=x.parquet")
    assert source.table.get_backend()._session is mine
    del source
assert mine.range(3).count() == 3
try:
    ev.connect("spark://local?path=x.parquet", memory="1GB")
except ev.EvaluationError as error:
    assert "runs already" in error.message
else:
    raise AssertionError
mine.stop()
"""
    environment = os.environ | {"PYTHONPATH": str(Path(ev.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()[-1000:]
