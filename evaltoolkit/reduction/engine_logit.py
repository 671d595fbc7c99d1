"""Logits of being in a cohort, fitted inside an engine: all of them side by side, one look at the rows for a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.kernels.cell_logit import Likelihood, newton_path
from evaltoolkit.kernels.cell_terms import TRIM
from evaltoolkit.kernels.cohorts import CellError
from evaltoolkit.reduction.engine_rows import EngineRows, InfluenceSpec
from evaltoolkit.reduction.engine_sums import linear, real, summed, triangle

FloatArray = NDArray[np.float64]
Key = tuple[int, tuple[int, ...]]
"""A cohort and the starts that it is compared with, as places among the starts."""

PILOT: Final = 50_000
"""Units of the part on which the first steps are taken, about, where there are many more."""
_FAR, _LEAST = 300.0, 1e-300
"""Where logits are cut off: far beyond any that matters, while products stay numbers that every engine can hold."""
_IRRATIONAL: Final = (7919.136741, 104729.580417, 1299.709433, 15485.863291)


@dataclass(frozen=True, slots=True)
class Logit:
    """Coefficients, shape (k,), and information, shape (k, k)."""

    score: FloatArray
    information: FloatArray


def logits(
    source: EngineSource, table: Any, rows: EngineRows, spec: InfluenceSpec, keys: list[Key]
) -> dict[Key, Logit]:
    """Fit the logit of each cohort beside each of its comparison groups.

    Parameters
    ----------
    source
        Where queries are run.
    table, rows, spec
        The units, as ``settled`` and as they are used, and what is estimated.
    keys
        Cohorts with their comparison groups.

    Raises
    ------
    CellError
        ``separation``: covariates tell a cohort apart.
    """
    begins = {key: np.zeros(rows.turn.shape[0]) for key in keys}
    n = int(rows.units.sum())
    if n > 4 * PILOT:
        # Which units are in the pilot does not matter: full passes follow, whose result does not depend on it.
        some = _some(rows.table, max(0.01, PILOT / n))
        with source.stored(some, "a part of the units") as part:
            pilot = _followed(source, replace(rows, table=part), begins, "pilot of the score")
        begins = {key: _begin(key, pilot, begins[key]) for key in keys}
    found = _followed(source, rows, begins, "score of being in a cohort")
    again = {key: np.zeros_like(begins[key]) for key in keys if found[key] is None and begins[key].any()}
    found |= _followed(source, rows, again, "score of being in a cohort, again")
    fine: dict[Key, Logit] = {}
    for key in keys:
        logit = found[key]
        if logit is None:
            raise CellError("separation", int(rows.starts[key[0]]), _blamed(source, table, rows, spec, key))
        fine[key] = logit
    return fine


def odds(table: Any, kept: list[str], names: Mapping[Key, str], scores: Mapping[Key, FloatArray]) -> Any:
    """Return some columns with probabilities ``p`` and odds ``e`` (zero where trimmed) of each logit, by its name."""
    columns = [table[name] for name in table.columns if name[0] == "x"]
    # exp(-x'b) once for each: p = 1 / (1 + it), e = 1 / it.
    table = table.select(*kept, **{f"i{name}": _inverse_odds(columns, scores[key]) for key, name in names.items()})
    found: dict[str, Any] = {}
    for name in names.values():
        p = real(1.0) / (table[f"i{name}"] + 1.0)
        found[f"p{name}"] = p
        found[f"e{name}"] = (p < TRIM).ifelse(real(1.0) / table[f"i{name}"], real(0.0))
    return table.select(*kept, **found)


def _inverse_odds(columns: list[Any], score: FloatArray) -> Any:
    import ibis

    line = linear(columns, -score[1:], -float(score[0]))
    return ibis.greatest(ibis.least(line, real(_FAR)), real(-_FAR)).exp()


def _some(table: Any, share: float) -> Any:
    """Return about this share of the rows: far digits of a sum of outcomes and covariates are as good as random."""
    names = [name for name in table.columns if name[0] in "xy"]
    factors = np.array([_IRRATIONAL[i % 4] * (1 + i) for i in range(len(names))])
    mixed = linear([table[name] for name in names], factors)
    table = table.mutate(far=mixed - mixed.floor())
    return table.filter(table["far"] < share).drop("far")


def _begin(key: Key, pilot: Mapping[Key, Logit | None], otherwise: FloatArray) -> FloatArray:
    """Return where to begin: at the pilot, or at that of the same cohort beside another group."""
    for other in sorted(pilot, key=lambda one: one != key):
        found = pilot[other]
        if other[0] == key[0] and found is not None:
            return found.score
    return otherwise


def _followed(
    source: EngineSource, rows: EngineRows, begins: Mapping[Key, FloatArray], what: str
) -> dict[Key, Logit | None]:
    """Follow Newton's method of all logits, one query for a step of those that are not at their end."""
    paths = {key: newton_path(begin) for key, begin in begins.items()}
    at = {key: next(path) for key, path in paths.items()}
    found: dict[Key, Logit | None] = {}
    step = 0
    while at:
        step += 1
        likelihoods = _likelihoods(source, rows, at, f"{what}, step {step}")
        for key, likelihood in likelihoods.items():
            try:
                at[key] = paths[key].send(likelihood)
            except StopIteration as end:
                del at[key]
                found[key] = None if end.value is None else Logit(*end.value)
    return found


def _likelihoods(
    source: EngineSource, rows: EngineRows, at: Mapping[Key, tuple[FloatArray, bool]], what: str
) -> dict[Key, Likelihood]:
    """Return gradient, information and, where one is careful, the value of each log-likelihood."""
    names = {key: str(m) for m, key in enumerate(at)}
    k = rows.turn.shape[0]
    table = rows.among({j for key in at for j in (key[0], *key[1])})
    table = odds(table, ["start", "w", *rows.x], names, {key: beta for key, (beta, _) in at.items()})
    pulls = {}
    for key, name in names.items():
        mine, theirs = _sides(table, rows, key)
        p, w = table[f"p{name}"], table["w"]
        pulls[f"r{name}"] = _cases((mine, w - w * p), (theirs, -(w * p)))
        pulls[f"q{name}"] = _cases((mine | theirs, w * p * (real(1.0) - p)))
        if at[key][1]:
            pulls[f"l{name}"] = _cases((mine, w * _log(p)), (theirs, w * _log(real(1.0) - p)))
    squares = {f"x{i}_{j}": table[f"x{i}"] * table[f"x{j}"] for i, j in triangle(k) if i > 0}
    table = table.select(*(table[name] for name in rows.x), **squares, **pulls)
    terms: dict[str, Any] = {}
    for name in names.values():
        r, q = table[f"r{name}"], table[f"q{name}"]
        terms |= {f"r{name}_{i}": r * table[f"x{i}"] if i else r for i in range(k)}
        terms |= {f"q{name}_{i}_{j}": q * table[_product(i, j)] if j else q for i, j in triangle(k)}
    terms |= {name: table[name] for name in table.columns if name[0] == "l"}
    sums = summed(source, table, terms, what)
    found: dict[Key, Likelihood] = {}
    for key, name in names.items():
        H = np.zeros((k, k))
        for i, j in triangle(k):
            H[i, j] = H[j, i] = sums[f"q{name}_{i}_{j}"]
        found[key] = np.array([sums[f"r{name}_{i}"] for i in range(k)]), H, sums.get(f"l{name}", 0.0)
    return found


def _product(i: int, j: int) -> str:
    return f"x{i}_{j}" if i else f"x{j}"


def _sides(table: Any, rows: EngineRows, key: Key) -> tuple[Any, Any]:
    mine = table["start"] == int(rows.starts[key[0]])
    return mine, table["start"].isin([int(rows.starts[j]) for j in key[1]])


def _cases(*cases: tuple[Any, Any]) -> Any:
    import ibis

    return ibis.cases(*cases, else_=real(0.0))


def _log(p: Any) -> Any:
    import ibis

    return ibis.greatest(p, real(_LEAST)).ln()


def _blamed(source: EngineSource, table: Any, rows: EngineRows, spec: InfluenceSpec, key: Key) -> int:
    """Return the covariate that tells a cohort apart by itself, or 0; only whether it does leaves the engine."""
    mine, theirs = _sides(table, rows, key)
    columns = [table[name] for name in spec.covariates]
    apart = [
        (c.max(where=mine) <= c.min(where=theirs)) | (c.max(where=theirs) <= c.min(where=mine)) for c in columns
    ]  # fmt: skip
    frame = source.executed(
        table.aggregate([a.cast("int32").name(f"a{i}") for i, a in enumerate(apart, 1)]), "which covariate tells apart"
    )
    first = np.flatnonzero(frame.iloc[0].to_numpy(np.int64))
    return int(first[0]) + 1 if first.size else 0
