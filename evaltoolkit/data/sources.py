"""Where rows come from: a file or a data frame, read once, with missing codes and row filters applied."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from evaltoolkit.data.frames import in_memory
from evaltoolkit.data.reading import read_file
from evaltoolkit.errors import ColumnNotFoundError, ColumnTypeError, DataChangedError, DataFileError
from evaltoolkit.study import Filter, Study


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """The rows that the study asks for. ``n_read`` were in the data, ``frame`` holds those that the filters keep."""

    frame: pd.DataFrame
    n_read: int

    @property
    def n_filtered(self) -> int:
        """Rows that the filters left out."""
        return self.n_read - len(self.frame)


EXACT: Final = 2.0**53
"""From here on 64-bit floats do not hold every whole number."""


class Source(Protocol):
    """Something that rows can be read from."""

    @property
    def name(self) -> str:
        """The name that may be printed; never a path."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the data as they came."""
        ...

    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    def rows(self, study: Study) -> Rows:
        """Return the rows that the study's filters keep, with missing codes made missing."""
        ...


class FrameSource:
    """Rows of a data frame: of pandas, Polars, PyArrow, or of any library that Narwhals reads. It is never changed."""

    def __init__(self, frame: Any, name: str = "data frame") -> None:
        self._frame: pd.DataFrame = in_memory(frame)
        self._name = name

    @property
    def name(self) -> str:
        """The name that may be printed."""
        return self._name

    @property
    def sha256(self) -> str:
        """Hash of the column names and of every value, in order."""
        digest = hashlib.sha256("\x1f".join(map(str, self._frame.columns)).encode())
        for column in self._frame.columns:
            values = self._frame[column]
            digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
        return digest.hexdigest()

    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(str(c) for c in self._frame.columns)

    def rows(self, study: Study) -> Rows:
        """Return the rows that the study's filters keep."""
        return selected(self._frame.copy(deep=False), study)


class FileSource:
    """Rows of a data file (CSV, TSV, Stata, Excel, SPSS, SAS, Parquet, Feather)."""

    def __init__(self, path: Path, *, where: str = "data.source") -> None:
        self._path = path
        self._where = where
        self._loaded: tuple[pd.DataFrame, str] | None = None

    def _load(self) -> tuple[pd.DataFrame, str]:
        if self._loaded is None:
            frame = read_file(self._path, where=self._where)
            self._loaded = frame, hashlib.sha256(self._path.read_bytes()).hexdigest()
        return self._loaded

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self._path.name

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes."""
        return self._load()[1]

    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(str(c) for c in self._load()[0].columns)

    def rows(self, study: Study) -> Rows:
        """Return the rows that the study's filters keep; stops where the file's hash is not the stated one."""
        frame, digest = self._load()
        if study.data.sha256 is not None and study.data.sha256 != digest:
            raise changed(self.name, digest, study)
        return selected(frame.copy(deep=False), study)


def selected(frame: pd.DataFrame, study: Study, n_read: int | None = None) -> Rows:
    """Return the rows that the study's filters keep, with missing codes made missing.

    ``n_read`` rows were in the data, where an engine has filtered already; else those of the frame.
    """
    frame.columns = [str(c) for c in frame.columns]
    n_read = len(frame) if n_read is None else n_read
    for column in frame.columns:
        if study.data.missing:
            frame[column] = _without_codes(frame[column], study.data.missing)
    for i, condition in enumerate(study.data.keep):
        if condition.column not in frame.columns:
            raise missing_filter_column(condition, frame.columns, study, i)
        frame = frame.loc[condition_holds(frame[condition.column], condition, study.place("data", "keep", i))]
    if frame.empty:
        raise DataFileError(
            "no row is left" if n_read else "the data hold no row",
            expected="at least one row of data",
            todo="loosen the filters under data.keep" if n_read else "check that the file holds more than its header",
            where=study.place("data", "keep" if n_read else "source"),
        )
    return Rows(frame.reset_index(drop=True), n_read)


def changed(name: str, digest: str, study: Study) -> DataChangedError:
    """Build the message for data whose hash is not the stated one."""
    return DataChangedError(
        f"the sha256 of '{name}' is {digest}", expected=str(study.data.sha256),
        todo="use the file the design was written for, or state the new sha256 after checking what changed",
        where=study.place("data", "sha256"),
    )  # fmt: skip


def missing_filter_column(condition: Filter, columns: Iterable[str], study: Study, i: int) -> ColumnNotFoundError:
    """Build the message for the i-th filter, whose column is not there."""
    return ColumnNotFoundError.among(condition.column, columns, role="filter", where=study.place("data", "keep", i))


def _without_codes(values: pd.Series[Any], codes: Sequence[str]) -> pd.Series[Any]:
    numeric = [float(code) for code in codes if _is_number(code)]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.mask(values.isin(numeric)) if numeric else values
    masked = values.mask(values.astype("string").str.strip().isin([code.strip() for code in codes]).fillna(value=False))
    if pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values):
        as_numbers = pd.to_numeric(masked, errors="coerce")
        known = bool((as_numbers.notna() | masked.isna()).all()) and bool(masked.notna().any())
        # Longer numbers are names of units: as numbers several would be the same.
        if known and not bool((as_numbers.abs() >= EXACT).any()):
            return as_numbers
    return masked


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def condition_holds(values: pd.Series[Any], condition: Filter, where: str) -> pd.Series[Any]:
    """Return which values pass a filter.

    Raises
    ------
    ColumnTypeError
        The filter's value cannot be compared with them.
    """
    wanted = condition.value
    if condition.op in {"in", "not-in"}:
        inside = values.isin(list(wanted) if isinstance(wanted, list) else [wanted])
        return inside if condition.op == "in" else ~inside
    if isinstance(wanted, list):
        raise ColumnTypeError(
            f"op '{condition.op}' has a list of values", expected="one value, or op 'in' or 'not-in'",
            todo="correct the filter", where=where,
        )  # fmt: skip
    compared: dict[str, Callable[[Any, Any], Any]] = {
        "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    }  # fmt: skip
    try:
        kept: pd.Series[Any] = compared[condition.op](values, wanted)
    except TypeError:
        raise ColumnTypeError(
            f"column '{condition.column}' cannot be compared with {wanted!r}",
            expected="a value of the column's own kind",
            todo="put quotes around texts and none around numbers",
            where=where,
        ) from None  # fmt: skip
    return kept & values.notna()
