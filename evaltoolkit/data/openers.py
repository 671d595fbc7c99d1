"""Open an engine at an address: a DuckDB database, files, PostgreSQL, Spark."""

from __future__ import annotations

import contextlib
import hashlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evaltoolkit.data.addresses import Address
from evaltoolkit.data.engines import EngineSource, LocalFile, settled
from evaltoolkit.data.limits import EngineLimits
from evaltoolkit.data.obstacles import needs, unreachable
from evaltoolkit.errors import DataFileError, EvaluationError, OptionError, did_you_mean

EXTRA: Final = "evaltoolkit[engines]"
_MOMENT: Final = "yyyy-MM-dd['T'][' ']HH:mm:ss"
"""Spark takes a month for a moment otherwise."""
_AS_PANDAS: Final[dict[str, Any]] = {
    # The words that pandas takes for missing, texts for all that is no number, and no type by the first rows alone.
    "nullstr": [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    ],
    "auto_type_candidates": ["BIGINT", "DOUBLE", "VARCHAR"], "sample_size": -1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Connected:
    """An Ibis backend, how it reads the files of its address, and how it is let go."""

    backend: Any
    read: Callable[[], Any]
    close: Callable[[], None]


def opened(
    address: Address, limits: EngineLimits, *, where: str, file: LocalFile | None = None
) -> EngineSource:  # fmt: skip
    """Return the source at an address; paths are relative to the working folder. ``file`` is the one it stands for."""
    needs("ibis", EXTRA, "an engine", where)
    with settled():
        connected = _OPENERS[address.engine](address, limits, where)
        try:
            table = _table(connected, address, where)
        except EvaluationError:
            connected.close()
            raise
        source = EngineSource(table, file.path.name if file else address.name, where=where, file=file)
    # A connection that this opened ends with the source; nothing else holds it.
    weakref.finalize(source, _closed, connected.close)
    return source


def _closed(close: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        close()


def _table(connected: Connected, address: Address, where: str) -> Any:
    schema, _, table = (address.table or "").rpartition(".")
    try:
        if address.table is None:
            return connected.read()
        names = connected.backend.list_tables(database=schema or None)
    except Exception as error:  # noqa: BLE001  (an engine's own message may quote a row)
        raise unreachable(address, error, where) from None
    if table not in names:
        raise DataFileError(
            f"there is no table '{table}'" + (f" in '{schema}'" if schema else "") + did_you_mean(table, names),
            expected="one of " + ", ".join(sorted(names)[:30]) if names else "a database with tables",
            todo="correct table= in the address", where=where,
        )  # fmt: skip
    return connected.backend.table(table, database=schema or None)


def matching(pattern: str) -> list[str]:
    """Return the files that fit a pattern, in order."""
    path = Path(pattern)
    return sorted(str(file) for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())


def files_of(address: Address, where: str) -> list[str]:
    """Return the files of an address.

    Raises
    ------
    DataFileError
        No file fits.
    """
    found = matching(address.path or "")
    if not found:
        raise DataFileError(
            f"no file fits '{address.path}'", expected=f"{address.format} files",
            todo="correct the path or the pattern", where=where,
        )  # fmt: skip
    return found


def _view(files: Sequence[str]) -> str:
    """Return a name for files, the same in every run, so that a log holds the same words for the same query."""
    return f"files_{hashlib.sha256(chr(31).join(files).encode()).hexdigest()[:16]}"


def _duckdb(address: Address, limits: EngineLimits, where: str) -> Connected:
    file = Path(address.path or "")
    if not file.is_file():
        siblings = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataFileError(
            f"there is no database '{file.name}'{did_you_mean(file.name, siblings)}", expected="a DuckDB file",
            todo="correct the path in the address", where=where,
        )  # fmt: skip
    return _embedded(address, limits, where, str(file), read_only=True)


def _files(address: Address, limits: EngineLimits, where: str) -> Connected:
    files_of(address, where)
    return _embedded(address, limits, where)


def _embedded(address: Address, limits: EngineLimits, where: str, *place: str, **options: Any) -> Connected:
    import ibis

    asked = {"memory_limit": limits.memory, "threads": limits.threads}
    try:
        backend = ibis.duckdb.connect(*place, **options, **{k: v for k, v in asked.items() if v is not None})
    except Exception as error:  # noqa: BLE001  (DuckDB's errors share no base class across versions)
        raise unreachable(address, error, where) from None

    def _read() -> Any:
        files = files_of(address, where)
        if address.format == "parquet":
            return backend.read_parquet(files, table_name=_view(files))
        return backend.read_csv(files, table_name=_view(files), **_AS_PANDAS)

    return Connected(backend, _read, backend.disconnect)


def _postgres(address: Address, limits: EngineLimits, where: str) -> Connected:
    if limits != EngineLimits():
        raise OptionError(
            "limits of memory or threads are given for a PostgreSQL server", expected="limits for DuckDB or Spark only",
            todo="leave them out, and set them on the server", where=where,
        )  # fmt: skip
    needs("psycopg", "evaltoolkit[postgres]", "PostgreSQL", where)
    import ibis

    asked = {"host": address.host, "port": address.port, "database": address.database, "user": address.user}
    try:
        backend = ibis.postgres.connect(**{k: v for k, v in asked.items() if v is not None})
    except Exception as error:  # noqa: BLE001  (the driver's own message may quote credentials)
        raise unreachable(address, error, where) from None
    return Connected(backend, backend.table, backend.disconnect)


def _spark(address: Address, limits: EngineLimits, where: str) -> Connected:
    needs("pyspark", "evaltoolkit[spark]", "Spark", where)
    from evaltoolkit.data.spark import borrowed

    files = files_of(address, where) if address.is_local else [address.path or ""]
    import ibis

    session, release = borrowed(address, limits, where)

    def _read() -> Any:
        reader = session.read
        frame = (
            reader.parquet(*files) if address.format == "parquet"
            else reader.csv(files, header=True, inferSchema=True, dateFormat="yyyy-MM-dd", timestampFormat=_MOMENT)
        )  # fmt: skip
        frame.createOrReplaceTempView(_view(files))
        return backend.table(_view(files))

    try:
        backend = ibis.pyspark.connect(session)
    except Exception as error:  # noqa: BLE001  (Spark's errors come from Java)
        release()
        raise unreachable(address, error, where) from None
    return Connected(backend, _read, release)


def spark_table(frame: Any) -> Any:
    """Return a PySpark data frame as an Ibis table of its own session."""
    import ibis

    name = ibis.util.gen_name("evaltoolkit")
    frame.createOrReplaceTempView(name)
    return ibis.pyspark.connect(frame.sparkSession).table(name)


_OPENERS: Final[Mapping[str, Callable[[Address, EngineLimits, str], Connected]]] = {
    "duckdb": _duckdb, "parquet": _files, "csv": _files, "postgres": _postgres, "spark": _spark,
}  # fmt: skip
