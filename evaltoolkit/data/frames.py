"""Data frames of other libraries, taken into memory as pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from evaltoolkit.errors import DataFileError

_ENGINES: Final = ("ibis", "pyspark")
_FRAMES: Final = "a data frame (pandas, Polars, PyArrow, or one that Narwhals reads)"


def library_of(data: Any) -> str:
    """Return the name of the library that an object comes from.

    >>> library_of(pd.DataFrame())
    'pandas'
    """
    return type(data).__module__.partition(".")[0].lstrip("_")


def in_memory(data: Any) -> pd.DataFrame:
    """Return a frame as pandas: the same one, or a copy of another library's; decimals become floats.

    Lazy frames are collected. Tables in an engine are refused, since all of their rows would come.

    Raises
    ------
    DataFileError
        It is no data frame, or it is in an engine.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if library_of(data) in _ENGINES:
        raise DataFileError(
            f"the data are a table of {library_of(data)}, in an engine", expected=_FRAMES,
            todo="pass evaltoolkit.connect(table), so that no more leaves the engine than the study says",
        )  # fmt: skip
    import narwhals
    from narwhals import selectors

    found = narwhals.from_native(data, pass_through=True)
    if isinstance(found, narwhals.LazyFrame):
        found = found.collect()
    if isinstance(found, narwhals.DataFrame):
        return found.with_columns(selectors.by_dtype(narwhals.Decimal).cast(narwhals.Float64)).to_pandas()
    to_pandas: Callable[[], Any] | None = getattr(data, "to_pandas", None)
    made = None if to_pandas is None or isinstance(found, narwhals.Series) else to_pandas()
    if not isinstance(made, pd.DataFrame):
        raise DataFileError(
            f"the data are a {type(data).__name__}", expected=_FRAMES, todo="convert the data to a pandas DataFrame"
        )
    return made
