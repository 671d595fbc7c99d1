"""Rows from an engine: a database, files larger than memory, a warehouse, through Ibis.

Ibis is imported only when an engine is asked for. The engine selects columns and rows, so that no more of a table
crosses into memory than the study names; the filters are then applied once more here, by the same rules as for files.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from evaltoolkit.data.sources import Rows, missing_filter_column, selected
from evaltoolkit.errors import DataFileError, DisclosureError, EvaluationError
from evaltoolkit.study import Filter, Study

_KEEPING: Final = frozenset({"duckdb", "polars", "pyspark"})
"""Engines that hold a table of ours for a while without leave to write."""


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
        self._left: Any = None

    @property
    def name(self) -> str:
        """The name that may be printed."""
        return self._name

    @property
    def sha256(self) -> str:
        """Hash of the columns and rows that the study asked for, whatever the order the engine gave them in.

        Where rows stay in the engine, of the sums that left it, to nine digits: engines add in any order.
        """
        if self._digest is None and self._left is not None:
            found: str = self._left.hexdigest()
            return found
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
        self._progress(what)
        asked = query.select(*(_plain(query[name]) for name in query.columns))
        frame: pd.DataFrame = self._run(asked.to_pandas)
        self._left = hashlib.sha256() if self._left is None else self._left
        self._left.update(_hash(_steady(frame), len(frame)).encode())
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
    """Return a frame with numbers rounded to nine digits of the largest in their column."""
    found = frame.copy()
    for name in found.columns:
        if not pd.api.types.is_float_dtype(found[name]):
            continue
        values = found[name].to_numpy(dtype=np.float64, na_value=np.nan)
        scale = np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))
        found[name] = np.round(values / (scale or 1.0), 9) + 0.0
    return found


def _hash(frame: pd.DataFrame, n_read: int) -> str:
    digest = hashlib.sha256("\x1f".join([*frame.columns, str(n_read)]).encode())
    digest.update(np.sort(pd.util.hash_pandas_object(frame, index=False).to_numpy()).tobytes())
    return digest.hexdigest()
