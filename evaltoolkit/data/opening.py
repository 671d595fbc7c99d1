"""The source that a design file or a call names: a file, a frame, or what an engine reads."""

from __future__ import annotations

import dataclasses
import glob
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaltoolkit.data.addresses import Address, is_address, parse_address
from evaltoolkit.data.audit import AuditLog
from evaltoolkit.data.engines import EngineSource, LocalFile, named_columns
from evaltoolkit.data.frames import library_of
from evaltoolkit.data.limits import EngineLimits
from evaltoolkit.data.memory import SUFFIXES, fits, free_bytes, size_of
from evaltoolkit.data.obstacles import needs
from evaltoolkit.data.openers import EXTRA, matching, opened, spark_table
from evaltoolkit.data.sources import FileSource, FrameSource, Source
from evaltoolkit.errors import DataFileError
from evaltoolkit.study import Study

NO_LIMITS = EngineLimits()


def connect(
    source: Any, *, memory: str | None = None, threads: int | None = None, audit: str | Path | None = None,
    where: str = "source",
) -> EngineSource | FrameSource:  # fmt: skip
    """Open a table that an engine holds, or take a frame, as a source of rows.

    Parameters
    ----------
    source
        An address (``duckdb:///x.db?table=panel``, ``parquet:data/*.parquet``, ``csv:data/*.csv``,
        ``postgres://host/database?table=schema.panel``, ``spark://local?path=data/*.parquet``), an Ibis table, a
        PySpark data frame; or a data frame in memory (pandas, Polars, PyArrow, any that Narwhals reads).
    memory, threads
        What DuckDB or a local Spark may use, such as "4GB" and 2.
    audit
        File to which every query of an engine is written before it runs, and what left after it.
    where
        Where the source is named, for messages.

    Raises
    ------
    DataFileError
        The address does not fit, there is no such file or table, or it is no table at all.
    SetupError
        The packages for engines are not installed, or Java is not there for Spark.
    OutputError
        The audit log cannot be written.
    """
    log = None if audit is None else AuditLog(Path(audit))
    found = _connected(source, EngineLimits(memory, threads), where)
    if log is not None and isinstance(found, EngineSource):
        found.logs_to(log)
    return found


def _connected(source: Any, limits: EngineLimits, where: str) -> EngineSource | FrameSource:
    if isinstance(source, str):
        return opened(parse_address(source, where=where), limits, where=where)
    library = library_of(source)
    if library not in {"ibis", "pyspark"}:
        return FrameSource(source)
    needs("ibis", EXTRA, "an engine", where)
    import ibis

    if library == "pyspark":
        return EngineSource(spark_table(source), "table", where=where)
    if not isinstance(source, ibis.Table):
        raise DataFileError(
            f"the source is a {type(source).__name__}", expected="an address as text, an Ibis table, or a data frame",
            todo="select a table first", where=where,
        )  # fmt: skip
    return EngineSource(source, source.get_name() if hasattr(source, "get_name") else "table", where=where)


def open_source(
    study: Study, address: str | None = None, limits: EngineLimits = NO_LIMITS, *, audit: AuditLog | None = None,
    progress: Callable[[str], None] | None = None, free: Callable[[], int | None] = free_bytes,
) -> Source:  # fmt: skip
    """Return the source of a study's rows.

    A Parquet or CSV file that is too large for the free memory is left to DuckDB, which then gives sums of cells in
    place of rows, unless the study says ``release = "open"``.

    Parameters
    ----------
    study
        The study; what its design file names has to lie inside the project folder.
    address
        A file or an address to use in its place: the caller's own choice, relative to the working folder.
    limits
        What an embedded engine may use.
    audit
        Log of the queries of an engine and of what left it.
    progress
        Is told each step of an engine; None for a warning where a file is left to DuckDB, and silence else.
    free
        Returns the memory that is free, in bytes; None where it is not known.

    Raises
    ------
    EvaluationError
        There is no such file or table, or it lies outside the project folder.
    """
    where = "--source" if address is not None else study.place("data", "source")
    asked = study.data.source if address is None else address
    if asked is None or (address is None and study.origin is None):
        raise DataFileError(
            "the design file names no data", expected='[data] with source = "../sample_data/my.csv"',
            todo="add the source of the data", where=study.place("data"),
        )  # fmt: skip
    if is_address(asked):
        found = parse_address(asked, where=where)
        source: Source = opened(found if address is not None else _confined(found, study), limits, where=where)
    else:
        file = Path(asked) if address is not None else _inside(asked, study)
        left = _left_to_engine(file, study, limits, progress or _warned, free, where)
        source = left or FileSource(file, where=where)
    if isinstance(source, EngineSource):
        if progress is not None:
            source.reports(progress)
        if audit is not None:
            source.logs_to(audit)
    return source


def _inside(path: str, study: Study) -> Path:
    assert study.origin is not None
    return study.origin.resolve(path, ["data", "source"])


def _confined(found: Address, study: Study) -> Address:
    if not found.is_local:
        return found
    inside = _inside(found.path or "", study)
    for file in matching(str(inside)):
        _inside(file, study)
    return dataclasses.replace(found, path=str(inside))


def _warned(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def _left_to_engine(
    file: Path, study: Study, limits: EngineLimits, say: Callable[[str], None], free: Callable[[], int | None],
    where: str,
) -> EngineSource | None:  # fmt: skip
    """Return a file as DuckDB reads it where its named columns do not fit into memory; None where they do."""
    size = size_of(file) if file.suffix.lower() in SUFFIXES else None
    if size is None or fits(size.rows, len(named_columns(study, size.columns)), free()):
        return None
    if importlib.util.find_spec("ibis") is None or importlib.util.find_spec("duckdb") is None:
        say(f"'{file.name}' may not fit into memory; with {EXTRA} DuckDB would read it piece by piece")
        return None
    say(f"'{file.name}' is large for the free memory, and is left to DuckDB, which gives sums in place of rows")
    address = Address("csv" if file.suffix.lower() == ".csv" else "parquet", path=glob.escape(str(file)))
    return opened(address, limits, where=where, file=LocalFile(file))
