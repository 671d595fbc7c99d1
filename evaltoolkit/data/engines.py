"""Rows from an engine: a database, files larger than memory, a warehouse, through Ibis.

Ibis is imported only when an engine is asked for. The engine selects columns and rows, so that no more of a table
crosses into memory than the study names; the filters are then applied once more here, by the same rules as for files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import re
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from evaltoolkit.data.addresses import Address, parse_address
from evaltoolkit.data.sources import Rows, missing_filter_column, selected
from evaltoolkit.errors import (
    DataFileError,
    DisclosureError,
    EvaluationError,
    OptionError,
    SetupError,
    did_you_mean,
)
from evaltoolkit.study import Filter, Study

EXTRA: Final = "evaltoolkit[engines]"
_KEEPING: Final = frozenset({"duckdb", "polars", "pyspark"})
"""Engines that hold a table of ours for a while without leave to write."""


@dataclasses.dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an embedded engine may use.

    Attributes
    ----------
    memory
        Such as "4GB"; None for the engine's own limit.
    threads
        None for all.
    """

    memory: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.memory is not None and re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", self.memory, re.IGNORECASE) is None:
            raise OptionError(
                f"the engine's memory is given as '{self.memory}'", expected="a number with KB, MB, GB or TB: 4GB",
                todo="correct it, or leave it out",
            )  # fmt: skip


class EngineSource:
    """Rows of a table that an engine holds.

    Rows come only where the study says ``release = "open"``: an engine is often the place that rows may not leave.
    """

    def __init__(self, table: Any, name: str, *, where: str = "data.source") -> None:
        self._table = table
        self._name = name
        self._where = where
        self._progress: Callable[[str], None] = _silent
        self._taken: dict[tuple[str, ...], tuple[pd.DataFrame, int]] = {}
        self._digest: str | None = None

    @property
    def name(self) -> str:
        """The name that may be printed."""
        return self._name

    @property
    def sha256(self) -> str:
        """Hash of the columns and rows that the study asked for, whatever the order the engine gave them in."""
        if self._digest is None:
            raise DataFileError(
                "no rows were taken from the engine yet", expected="a study that was prepared",
                todo="prepare or evaluate the study first", where=self._where,
            )  # fmt: skip
        return self._digest

    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._table.columns)

    @property
    def table(self) -> Any:
        """The table as an Ibis expression: what reductions are built on."""
        return self._table

    @property
    def where(self) -> str:
        """Where the source is named, for messages."""
        return self._where

    @property
    def backend(self) -> str:
        """The engine, as Ibis names it: duckdb, polars, pyspark, postgres ..."""
        return str(self._table.get_backend().name)

    def reports(self, progress: Callable[[str], None]) -> None:
        """Say each step to ``progress`` from now on."""
        self._progress = progress

    def sql(self, query: Any) -> str:
        """Return a query in the engine's own words; empty where it has none."""
        with _settled():
            return str(query.get_backend().compile(query)) if self.backend != "polars" else ""

    def executed(self, query: Any, what: str) -> pd.DataFrame:
        """Run a query that returns few rows, and return them with decimals as floats.

        Parameters
        ----------
        query
            An Ibis table expression; what it returns leaves the engine.
        what
            The step in words, for the progress.

        Raises
        ------
        DataFileError
            The engine stopped.
        """
        self._progress(what)
        asked = query.select(*(_plain(query[name]) for name in query.columns))
        frame: pd.DataFrame = self._run(asked.to_pandas)
        return frame

    @contextlib.contextmanager
    def stored(self, query: Any, what: str) -> Iterator[Any]:
        """Keep what a query returns inside the engine while it is used; nothing of it leaves.

        DuckDB, Polars and Spark hold it in a temporary table. Other engines, where one may only read, run the query
        anew each time that it is used.

        Parameters
        ----------
        query
            An Ibis table expression.
        what
            The step in words, for the progress.
        """
        connection = self._table.get_backend()
        if self.backend not in _KEEPING:
            yield query
            return
        self._progress(what)
        if self.backend == "pyspark":
            with self._run(query.cache) as kept:
                yield kept
            return
        name = f"evaltoolkit_{uuid.uuid4().hex}"
        kept = self._run(lambda: connection.create_table(name, query, temp=True if self.backend == "duckdb" else None))
        try:
            yield kept
        finally:
            with contextlib.suppress(Exception), _settled():
                connection.drop_table(name, force=True)

    def rows(self, study: Study) -> Rows:
        """Return the rows that the study's filters keep, in an order that does not depend on the engine.

        Raises
        ------
        DisclosureError
            The study does not say that rows may leave the engine.
        DataFileError
            The engine stopped.
        """
        if study.data.release != "open":
            raise DisclosureError(
                "the data are in an engine, and the study does not say that rows may leave it",
                expected='release = "open" where rows may come to this machine',
                todo="state it under [data], or give --release open, if the agreement for these data allows it",
                where=study.place("data", "release"),
            )  # fmt: skip
        named = self.named(study)
        if named not in self._taken:
            self._taken[named] = self._pulled(study, named)
        frame, n_read = self._taken[named]
        return selected(frame.copy(deep=False), study, n_read)

    def named(self, study: Study) -> tuple[str, ...]:
        """Return the columns that the study names anywhere, in the table's order; all where it names none."""
        words = set(_texts(study.model_dump(exclude={"settings", "context", "report"}))) | set(_texts(study.settings))
        named = tuple(name for name in self.columns() if name in words)
        return named or self.columns()

    def _pulled(self, study: Study, named: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
        for i, condition in enumerate(study.data.keep):
            if condition.column not in self.columns():
                raise missing_filter_column(condition, self.columns(), study, i)
        table = self._table
        if not study.data.missing:
            # With codes for missing values, whether a column holds numbers depends on all of its rows.
            for condition in study.data.keep:
                table = _filtered(table, condition)
        asked = table.select(*(_plain(table[name]) for name in named)).order_by(list(named))
        n_read = int(self._run(lambda: self._table.count().execute()))
        frame: pd.DataFrame = self._run(asked.to_pandas)
        self._digest = self._digest or _hash(frame, n_read)
        return frame, n_read

    def _run(self, query: Callable[[], Any]) -> Any:
        try:
            with _settled():
                return query()
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001  (each engine raises errors of its own, which may quote rows)
            raise DataFileError(
                f"the engine stopped while it read '{self._name}' ({type(error).__name__})",
                expected="a table that can be read to its end",
                todo="check memory, disk and permissions of the engine, or give it more memory", where=self._where,
            ) from None  # fmt: skip


def _silent(step: str) -> None:
    """Say nothing of a step."""


def connect(
    source: Any, *, memory: str | None = None, threads: int | None = None, where: str = "source"
) -> EngineSource:
    """Open a table that an engine holds, as a source of rows.

    Parameters
    ----------
    source
        An address (``duckdb:///x.db?table=panel``, ``parquet:data/*.parquet``, ``csv:data/*.csv``,
        ``postgres://host/database?table=schema.panel``), or an Ibis table.
    memory, threads
        What DuckDB may use, such as "4GB" and 2.
    where
        Where the source is named, for messages.

    Raises
    ------
    DataFileError
        The address does not fit, or there is no such file or table.
    SetupError
        The packages for engines are not installed.
    """
    limits = EngineLimits(memory, threads)
    if not isinstance(source, str):
        _needs("ibis", EXTRA, "an engine", where)
        import ibis

        if not isinstance(source, ibis.Table):
            raise DataFileError(
                f"the source is a {type(source).__name__}", expected="an address as text, or an Ibis table",
                todo="pass a data frame to the call itself", where=where,
            )  # fmt: skip
        return EngineSource(source, source.get_name() if hasattr(source, "get_name") else "table", where=where)
    return opened(parse_address(source, where=where), limits, where=where)


def opened(address: Address, limits: EngineLimits, *, where: str) -> EngineSource:
    """Return the source at an address; paths are relative to the working folder."""
    _needs("ibis", EXTRA, "an engine", where)
    with _settled():
        connection = _OPENERS[address.engine](address, limits, where)
        try:
            table = _table(connection, address, where)
        except EvaluationError:
            connection.disconnect()
            raise
        source = EngineSource(table, address.name, where=where)
    # A connection that this opened ends with the source; nothing else holds it.
    weakref.finalize(source, _closed, connection)
    return source


def _closed(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.disconnect()


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Keep from the reader what Ibis 12 calls that DuckDB and pandas will drop one day; the extra pins both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _table(connection: Any, address: Address, where: str) -> Any:
    schema, _, table = (address.table or "").rpartition(".")
    try:
        if address.table is None:
            read = connection.read_parquet if address.engine == "parquet" else connection.read_csv
            return read(matching(address.path or ""))
        names = connection.list_tables(database=schema or None)
    except Exception as error:  # noqa: BLE001  (an engine's own message may quote a row)
        raise _unreachable(address, error, where) from None
    if table not in names:
        raise DataFileError(
            f"there is no table '{table}'" + (f" in '{schema}'" if schema else "") + did_you_mean(table, names),
            expected="one of " + ", ".join(sorted(names)[:30]) if names else "a database with tables",
            todo="correct table= in the address", where=where,
        )  # fmt: skip
    return connection.table(table, database=schema or None)


def _duckdb(address: Address, limits: EngineLimits, where: str) -> Any:
    file = Path(address.path or "")
    if not file.is_file():
        siblings = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataFileError(
            f"there is no database '{file.name}'{did_you_mean(file.name, siblings)}", expected="a DuckDB file",
            todo="correct the path in the address", where=where,
        )  # fmt: skip
    return _embedded(address, limits, where, str(file), read_only=True)


def _files(address: Address, limits: EngineLimits, where: str) -> Any:
    if not matching(address.path or ""):
        raise DataFileError(
            f"no file fits '{address.path}'", expected=f"{address.engine} files",
            todo="correct the path or the pattern", where=where,
        )  # fmt: skip
    return _embedded(address, limits, where)


def matching(pattern: str) -> list[str]:
    """Return the files that fit a pattern, in order."""
    path = Path(pattern)
    return sorted(str(file) for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())


def _embedded(address: Address, limits: EngineLimits, where: str, *place: str, **options: Any) -> Any:
    import ibis

    settings = {"memory_limit": limits.memory, "threads": limits.threads}
    try:
        return ibis.duckdb.connect(*place, **options, **{k: v for k, v in settings.items() if v is not None})
    except Exception as error:  # noqa: BLE001  (DuckDB's errors share no base class across versions)
        raise _unreachable(address, error, where) from None


def _postgres(address: Address, limits: EngineLimits, where: str) -> Any:
    if limits != EngineLimits():
        raise OptionError(
            "limits of memory or threads are given for a PostgreSQL server", expected="limits for DuckDB only",
            todo="leave them out, and set them on the server", where=where,
        )  # fmt: skip
    _needs("psycopg", "evaltoolkit[postgres]", "PostgreSQL", where)
    import ibis

    asked = {"host": address.host, "port": address.port, "database": address.database, "user": address.user}
    try:
        return ibis.postgres.connect(**{k: v for k, v in asked.items() if v is not None})
    except Exception as error:  # noqa: BLE001  (the driver's own message may quote credentials)
        raise _unreachable(address, error, where) from None


_OPENERS: Final[Mapping[str, Callable[[Address, EngineLimits, str], Any]]] = {
    "duckdb": _duckdb, "parquet": _files, "csv": _files, "postgres": _postgres,
}  # fmt: skip


def _unreachable(address: Address, error: Exception, where: str) -> DataFileError:
    return DataFileError(
        f"the {address.engine} data '{address.name}' cannot be opened ({type(error).__name__})",
        expected="data that the engine can read", where=where,
        todo="check the address, that the engine runs, the credentials in the environment, and that nothing locks it",
    )  # fmt: skip


def _needs(package: str, extra: str, what: str, where: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise SetupError(
            f"reading from {what} needs the package {package}", expected=f"the extra of {extra} to be installed",
            todo=f"run: pip install '{extra}'", where=where,
        )  # fmt: skip


def _filtered(table: Any, condition: Filter) -> Any:
    """Return the rows that may pass a filter, where the engine can tell as this machine does; else all of them."""
    column, value = table[condition.column], condition.value
    kind = column.type()
    values = value if isinstance(value, list) else [value]
    numbers = kind.is_numeric() and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not (numbers or (kind.is_string() and all(isinstance(v, str) for v in values))):
        return table
    compared: dict[str, Callable[[], Any]] = {
        "==": lambda: column == value, "<": lambda: column < value, "<=": lambda: column <= value,
        ">": lambda: column > value, ">=": lambda: column >= value, "in": lambda: column.isin(values),
    }  # fmt: skip
    # Text of an engine may have blanks around it or another collation: only equality is the same everywhere.
    if condition.op not in compared or (kind.is_string() and condition.op not in {"==", "in"}):
        return table
    return table.filter(compared[condition.op]())


def _plain(column: Any) -> Any:
    """Return a column in a type that pandas holds as numbers: decimals and integers too wide for 64 bits as floats."""
    return column.cast("float64").name(column.get_name()) if column.type().is_decimal() else column


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _hash(frame: pd.DataFrame, n_read: int) -> str:
    digest = hashlib.sha256("\x1f".join([*frame.columns, str(n_read)]).encode())
    digest.update(np.sort(pd.util.hash_pandas_object(frame, index=False).to_numpy()).tobytes())
    return digest.hexdigest()
