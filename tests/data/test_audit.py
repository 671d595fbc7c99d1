"""The audit log: each query before it runs, what left after it, and nothing where it cannot be written."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from evaltoolkit import errors
from evaltoolkit.cli import main
from evaltoolkit.data import AuditLog, EngineSource, connect
from evaltoolkit.pipeline import load_study
from tests.data.test_engines import database, its, project, series


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def opened(folder: Path) -> tuple[EngineSource, Path]:
    log = folder / "audit.jsonl"
    source = connect(f"duckdb:///{database(folder, series())}?table=series", audit=log)
    assert isinstance(source, EngineSource)
    return source, log


def test_every_query_is_written_before_and_after(tmp_path: Path) -> None:
    source, log = opened(tmp_path)
    assert log.read_text() == ""
    its(source, release="open")
    found = lines(log)
    asked, left = found[::2], found[1::2]
    assert {line["event"] for line in asked} == {"asked"}
    assert {line["event"] for line in left} == {"left"}
    assert [line["query"] for line in asked] == [line["query"] for line in left] == list(range(1, len(asked) + 1))
    rows = next(line for line in asked if line["step"] == "rows")
    assert hashlib.sha256(rows["sql"].encode()).hexdigest() == rows["sql_sha256"]
    assert (rows["release"], rows["source"], len(rows["design_sha256"])) == ("open", "series", 64)
    assert "note" not in rows["sql"]
    came = left[asked.index(rows)]
    assert (came["rows"], came["n_columns"], came["columns"]) == (48, 2, ["month", "calls"])
    assert datetime.datetime.fromisoformat(rows["time"]).utcoffset() == datetime.timedelta(0)


def test_the_log_is_only_added_to(tmp_path: Path) -> None:
    source, log = opened(tmp_path)
    its(source, release="open")
    before = log.read_text()
    its(connect(source.table, audit=log), release="open")
    assert log.read_text().startswith(before)
    assert len(lines(log)) == 2 * len(before.splitlines())


def test_the_same_query_has_the_same_words_in_every_run(tmp_path: Path) -> None:
    series().to_parquet(tmp_path / "x.parquet")
    for i in range(2):
        its(connect(f"parquet:{tmp_path}/x.parquet", audit=tmp_path / f"{i}.jsonl"))
    first, second = ([line.get("sql_sha256") for line in lines(tmp_path / f"{i}.jsonl")] for i in range(2))
    assert first == second


def test_a_query_that_stops_is_written_as_such(tmp_path: Path) -> None:
    source, log = opened(tmp_path)
    with pytest.raises(errors.DataFileError):
        source.executed(source.table.mutate(n=source.table["note"].cast("int64")), "notes as numbers")
    assert [line["event"] for line in lines(log)] == ["asked", "stopped"]


def test_what_is_kept_inside_leaves_nothing(tmp_path: Path) -> None:
    source, log = opened(tmp_path)
    with source.stored(source.table, "all rows"):
        pass
    asked, left = lines(log)
    assert asked["step"].startswith("all rows (kept inside")
    assert (left["rows"], left["columns"]) == (0, [])


def test_without_its_log_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.OutputError, match="audit log"):
        AuditLog(tmp_path)
    with pytest.raises(errors.OutputError, match="audit log"):
        connect(f"duckdb:///{database(tmp_path, series())}?table=series", audit=tmp_path / "none" / "log.jsonl")
    (tmp_path / "again").mkdir()
    source, log = opened(tmp_path / "again")
    log.unlink()
    log.mkdir()
    ran: list[str] = []
    monkeypatch.setattr(type(source.table.get_backend()), "execute", lambda *given, **named: ran.append("ran"))
    with pytest.raises(errors.OutputError, match="without its log no query is run"):
        its(source, release="open")
    assert ran == []


def test_the_command_writes_the_log_and_says_its_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database(tmp_path, series())
    file = project(tmp_path, "duckdb:///../state.db?table=series", 'release = "open"')
    log = tmp_path / "audit.jsonl"
    words = ["run", str(file), "--out", str(tmp_path / "out"), "--format", "json"]
    assert main([*words, "--audit-log", str(log)]) == 0
    assert "calls.toml: rows" in capsys.readouterr().err
    study = load_study(file)
    assert study.origin is not None
    assert {line["design_sha256"] for line in lines(log) if line["event"] == "asked"} == {study.origin.sha256}
    assert main([*words, "--out", str(tmp_path / "other"), "--audit-log", str(tmp_path)]) == 2
    assert "audit log" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
