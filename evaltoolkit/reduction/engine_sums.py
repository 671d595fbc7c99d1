"""Sums that an engine takes over the rows of a table: few numbers leave, in queries of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource

FloatArray = NDArray[np.float64]

AT_ONCE: Final = 400
"""Aggregates in one query, at most: engines limit the length of a query."""

TILE: Final = 20
"""Columns whose products with as many others are taken in one query: it then holds few influence functions."""

FEW: Final = 100
"""Products for which a query of their own is not worth its time."""

Part = tuple[Any, Mapping[int, Any]]
"""An Ibis table, and influence functions of its rows as expressions by their place; those of other places are zero."""


def summed(source: EngineSource, table: Any, terms: Mapping[str, Any], what: str) -> dict[str, float]:
    """Return the sum over the rows of each expression; zero over no rows.

    Parameters
    ----------
    source
        Where queries are run.
    table
        An Ibis table.
    terms
        Expressions of its columns, by name.
    what
        The step in words, for the progress.
    """
    found: dict[str, float] = {}
    for names in _chunks(list(terms)):
        frame = source.executed(table.aggregate([terms[name].sum().name(name) for name in names]), what)
        found |= {name: _number(frame[name].iloc[0]) for name in names}
    return found


def summed_by_start(source: EngineSource, table: Any, terms: Mapping[str, Any], what: str) -> pd.DataFrame:
    """Return the sum of each expression, and the number of rows ``n``, by ``start`` in ascending order."""
    parts = []
    for names in _chunks(list(terms)) or [[]]:
        sums = [terms[name].sum().name(name) for name in names]
        query = table.group_by("start").aggregate([*sums, table.count().name("n")])
        parts.append(source.executed(query, what).set_index("start").sort_index())
    frame = pd.concat([part.drop(columns="n") for part in parts], axis=1).astype(np.float64)
    return frame.assign(n=parts[0]["n"].astype(np.int64))


def linear(columns: Sequence[Any], coefficients: FloatArray, constant: float = 0.0) -> Any:
    """Return the sum of columns times numbers, and a constant; a literal where all numbers are zero."""
    found: Any = None
    for column, c in zip(columns, coefficients.tolist(), strict=True):
        if c != 0.0:
            found = column * c if found is None else found + column * c
    if found is None:
        return real(constant)
    return found + constant if constant != 0.0 else found


def real(value: float) -> Any:
    """Return a literal of 64 bits: engines take a bare number for a decimal, which sums in another way."""
    import ibis

    return ibis.literal(value, type="float64")


def cross_products(source: EngineSource, parts: Sequence[Part], width: int, what: str) -> FloatArray:
    """Return the sum over the rows of all parts of psi psi', shape (width, width): nothing finer leaves.

    Parameters
    ----------
    source
        Where queries are run.
    parts
        Rows of influence functions: tables with some of the columns each.
    width
        Columns in all.
    what
        The step in words, for the progress.
    """
    holders: dict[tuple[int, int], list[int]] = {}
    for j, (_, columns) in enumerate(parts):
        for pair in combinations_with_replacement(sorted(columns), 2):
            holders.setdefault(pair, []).append(j)
    found = np.zeros((width, width))
    for chunk in _tiled(holders):
        frame = source.executed(_products(parts, chunk, holders), what)
        for a, b in chunk:
            found[a, b] = found[b, a] = _number(frame[f"s{a}_{b}"].iloc[0])
    return found


def _tiled(holders: Mapping[tuple[int, int], list[int]]) -> list[list[tuple[int, int]]]:
    """Return pairs by query: with those of the same parts, so that no part is looked at for products that are zero."""
    order = sorted(
        holders, key=lambda pair: (len(holders[pair]), holders[pair], pair[0] // TILE, pair[1] // TILE, pair)
    )
    found: list[list[tuple[int, int]]] = [[]]
    for pair in order:
        last = found[-1]
        other = bool(last) and holders[last[-1]] != holders[pair]
        if len(last) >= AT_ONCE or (other and len(last) >= FEW):
            found.append([])
        found[-1].append(pair)
    return [chunk for chunk in found if chunk]


def products_of(source: EngineSource, parts: Sequence[Part], width: int, *, clusters: bool) -> FloatArray:
    """Return the sum over rows, or over clusters of sums by ``cluster``, of psi psi', as ``cross_products`` does."""
    if not clusters:
        return cross_products(source, parts, width, "errors")
    with source.stored(_by_cluster(parts, width), "influence functions by cluster") as table:
        whole = (table, {k: table[f"c{k}"] for k in range(width)})
        return cross_products(source, [whole], width, "errors by cluster")


def _by_cluster(parts: Sequence[Part], width: int) -> Any:
    """Return influence functions summed over the rows of each ``cluster``, as a table with columns ``c0``, ``c1`` .."""
    import ibis

    zero = real(0.0)
    tables = []
    for table, columns in parts:
        tables.append(table.select("cluster", *(columns.get(k, zero).name(f"c{k}") for k in range(width))))
    every = ibis.union(*tables) if len(tables) > 1 else tables[0]
    summed = every.group_by("cluster").aggregate([every[f"c{k}"].sum().name(f"c{k}") for k in range(width)])
    return summed.drop("cluster")


def _products(parts: Sequence[Part], pairs: list[tuple[int, int]], holders: Mapping[tuple[int, int], list[int]]) -> Any:
    import ibis

    used, zero = sorted({k for pair in pairs for k in pair}), real(0.0)
    # The names are new: Polars computes literals before other columns, which would read them for their own.
    tables = []
    for j in sorted({j for pair in pairs for j in holders[pair]}):
        table, columns = parts[j]
        tables.append(table.select(*(columns.get(k, zero).name(f"psi{k}") for k in used)))
    every = ibis.union(*tables) if len(tables) > 1 else tables[0]
    values = {k: every[f"psi{k}"] for k in used}
    return every.aggregate([(values[a] * values[b]).sum().name(f"s{a}_{b}") for a, b in pairs])


def _chunks(items: list[Any]) -> list[list[Any]]:
    return [items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE)]


def _number(value: Any) -> float:
    return 0.0 if value is None or pd.isna(value) else float(value)


def triangle(size: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs i <= j of so many numbers.

    >>> list(triangle(2))
    [(0, 0), (0, 1), (1, 1)]
    """
    yield from combinations_with_replacement(range(size), 2)
