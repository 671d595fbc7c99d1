"""Rows from an engine: a database, files larger than memory, a warehouse, through Ibis.

Ibis is imported only when an engine is asked for. The engine selects columns and rows, so that no more of a table
crosses into memory than the study names; the filters are then applied once more here, by the same rules as for files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from evaltoolkit.data.audit import AuditLog
from evaltoolkit.data.sources import Rows, Source, changed, missing_filter_column, selected
from evaltoolkit.errors import DataChangedError, DataFileError, DisclosureError, EvaluationError
from evaltoolkit.study import Filter, Study

_KEEPING: Final = frozenset({"duckdb", "polars", "pyspark"})
"""Engines that hold a table of ours for a while without leave to write."""


@dataclasses.dataclass(frozen=True)
class LocalFile:
    """A file of the user's own that an engine reads because it is large for the free memory."""

    path: Path

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of its bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class EngineSource:
    """Rows of a table that an engine holds.

    Rows come only where the study says ``release = "open"``: an engine is often the place that rows may not leave.
    """

    def __init__(self, table: Any, name: str, *, where: str = "data.source", file: LocalFile | None = None) -> None:
        self._table = table
        self._name = name
        self._where = where
        self._file = file
        self._progress: Callable[[str], None] = _silent
        self._audit: AuditLog | None = None
        self._context: dict[str, str] = {}
        self._taken: dict[tuple[object, ...], tuple[pd.DataFrame, int]] = {}
        self._digest: str | None = None
        self._left: set[str] = set()
        self._size: int | None = None

    @property
    def name(self) -> str:
        """The name that may be printed."""
        return self._name

    @property
    def sha256(self) -> str:
        """Hash of the data: of a file's bytes; else of the rows that came, in any order; else of the sums that came.

        Sums are rounded to nine digits first, since engines add in an order that changes from run to run.
        """
        if self._file is not None:
            return self._file.sha256
        if self._digest is not None:
            return self._digest
        if not self._left:
            raise DataFileError(
                "nothing was taken from the engine yet", expected="a study that was prepared",
                todo="prepare or evaluate the study first", where=self._where,
            )  # fmt: skip
        return hashlib.sha256("\n".join(sorted(self._left)).encode()).hexdigest()

    def begins(self, study: Study) -> None:
        """Be told for which study queries come from now on: for the log, and for the hash of what came."""
        self._left = set()
        stated = study.model_dump_json() if study.origin is None else study.origin.sha256
        digest = hashlib.sha256(stated.encode()).hexdigest() if study.origin is None else stated
        self._context = {"source": self._name, "design_sha256": digest, "release": study.data.release or "moments"}
        if self._file is not None and study.data.sha256 not in {None, self.sha256}:
            raise changed(self._name, self.sha256, study)

    def logs_to(self, log: AuditLog) -> None:
        """Write each query to a log before it runs, and what left after it."""
        self._audit = log

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
        with settled():
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
        decimal = any(kind.is_decimal() for kind in query.schema().types)
        asked = query.select(*(_plain(query[name]) for name in query.columns)) if decimal else query
        frame: pd.DataFrame = self._asked(asked, what)
        self._left.add(f"{what} {_hash(_steady(frame), len(frame))}")
        return frame

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Refuse a table whose number of rows changes meanwhile: its queries would not be about the same rows.

        Raises
        ------
        DataChangedError
        """
        self._size = self._counted()
        yield
        before, self._size = self._size, None
        if self._counted() != before:
            raise DataChangedError(
                f"the table '{self._name}' changed while it was read", expected="the same rows in every query",
                todo="read a copy or a snapshot, or run again when nothing writes to it", where=self._where,
            )  # fmt: skip

    def size(self) -> int:
        """Return the number of rows in the table."""
        return self._counted() if self._size is None else self._size

    def counting(self) -> Any:
        """Return the query for the number of rows in the table."""
        return self._table.aggregate(n=self._table.count())

    def _counted(self) -> int:
        return int(self._asked(self.counting(), "number of rows")["n"].iloc[0])

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
        if self.backend == "pyspark":
            with self._logged(query, what, query.cache, "kept inside") as kept:
                yield kept
            return
        name = f"evaltoolkit_{uuid.uuid4().hex}"
        temporary = True if self.backend == "duckdb" else None
        kept = self._logged(
            query, what, lambda: connection.create_table(name, query, temp=temporary), f"kept inside as {name}"
        )
        try:
            yield kept
        finally:
            with contextlib.suppress(Exception), settled():
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
            raise self._closed(study)
        named = self.named(study)
        key = (named, study.data.missing, tuple(c.model_dump_json() for c in study.data.keep))
        if key not in self._taken:
            self._taken[key] = self._pulled(study, named)
        if study.data.sha256 not in {None, self.sha256}:
            raise changed(self._name, self.sha256, study)
        frame, n_read = self._taken[key]
        return selected(frame.copy(deep=False), study, n_read)

    def _closed(self, study: Study) -> DisclosureError:
        found, todo = (
            "the data are in an engine, and the study does not say that rows may leave it",
            ("state it under [data], or give --release open, if the agreement for these data allows it"),
        )
        if self._file is not None:
            found = f"'{self._name}' is large for the free memory, and this analysis needs its rows"
            todo = "free memory, choose an analysis that does with sums, or state release to read the rows all the same"
        return DisclosureError(
            found, expected='release = "open" where rows may come to this machine', todo=todo,
            where=study.place("data", "release"),
        )  # fmt: skip

    def named(self, study: Study) -> tuple[str, ...]:
        """Return the columns that the study names anywhere, in the table's order; all where it names none."""
        return named_columns(study, self.columns())

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
        n_read = self._counted()
        frame: pd.DataFrame = self._asked(asked, "rows")
        self._digest = self._digest or _hash(frame, n_read)
        return frame, n_read

    def _asked(self, query: Any, what: str) -> pd.DataFrame:
        """Run a query whose result leaves the engine."""
        frame: pd.DataFrame = self._logged(query, what, query.to_pandas)
        return frame

    def _logged(self, query: Any, what: str, run: Callable[[], Any], where: str = "") -> Any:
        self._progress(what)
        if self._audit is None:
            return self._run(run)
        said = f"{what} ({where})" if where else what
        number = self._audit.asked(said, self._run(lambda: self._words(query)), self._context)
        try:
            found = self._run(run)
        except EvaluationError:
            self._audit.stopped(number)
            raise
        came = found if isinstance(found, pd.DataFrame) else pd.DataFrame()
        self._audit.left(number, len(came), tuple(map(str, came.columns)))
        return found

    def _words(self, query: Any) -> str:
        """Return a query as text; where there is no SQL, as Ibis writes it, never its result."""
        from ibis.expr.format import pretty

        return self.sql(query) or pretty(query)

    def _run(self, query: Callable[[], Any]) -> Any:
        try:
            with settled():
                return query()
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001  (each engine raises errors of its own, which may quote rows)
            raise DataFileError(
                f"the engine stopped while it read '{self._name}' ({type(error).__name__})",
                expected="a table that can be read to its end",
                todo="check memory, disk and permissions of the engine, or give it more memory", where=self._where,
            ) from None  # fmt: skip


@contextlib.contextmanager
def held_still(source: Source, study: Study) -> Iterator[None]:
    """Let an engine know whose queries come, and refuse a table that changes between them; nothing for other sources.

    Raises
    ------
    DataChangedError
    """
    if not isinstance(source, EngineSource):
        yield
        return
    source.begins(study)
    with source.steady():
        yield


def named_columns(study: Study, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that the study names anywhere, in their order; all where it names none."""
    words = set(_texts(study.model_dump(exclude={"settings", "context", "report"}))) | set(_texts(study.settings))
    return tuple(name for name in columns if name in words) or columns


def _silent(step: str) -> None:
    """Say nothing of a step."""


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """Keep from the reader what Ibis 12 calls that DuckDB and pandas will drop one day; the extra pins both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


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


def _steady(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with numbers rounded to the ninth digit of the largest in their column."""
    found = frame.copy(deep=False)
    for name in found.columns:
        if not pd.api.types.is_float_dtype(found[name]):
            continue
        values = found[name].to_numpy(dtype=np.float64, na_value=np.nan)
        largest = np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))
        unit = 10.0 ** np.floor(np.log10(largest)) if largest else 1.0
        found[name] = np.round(values / unit, 8) * unit + 0.0
    return found


def _hash(frame: pd.DataFrame, n_read: int) -> str:
    digest = hashlib.sha256("\x1f".join([*frame.columns, str(n_read)]).encode())
    digest.update(np.sort(pd.util.hash_pandas_object(frame, index=False).to_numpy()).tobytes())
    return digest.hexdigest()
