"""Units in an engine, one row each, with what every model of them is made of: sums by start."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.errors import DisclosureError, NoComparisonError
from evaltoolkit.kernels.cell_models import SINGULAR, singular
from evaltoolkit.kernels.cell_terms import Cohort, Fitted
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.reduction.engine_sums import linear, real, summed, summed_by_start, triangle

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST: Final = 11
"""Units that share a start, at least, before sums over them may leave."""


@dataclass(frozen=True, slots=True)
class InfluenceSpec:
    """What is estimated from units in an engine.

    The table has one row for each unit and no missing value: ``start`` (64-bit integers, ``NEVER`` for none), ``y0`` to
    ``y{T-1}`` (floats, outcomes in the order of the periods, less ``shift``), the covariates (floats), and where they
    are used ``w`` (floats above zero) and ``cluster`` (any type).

    Attributes
    ----------
    periods
        Ascending, shape (T,).
    rule
        How cells are estimated.
    covariates
        Columns of the table that are adjusted for, without an intercept.
    shift
        What was taken out of the outcomes of each period, shape (T,); None for nothing.
    weights
        Whether units have weights.
    clusters
        Whether clusters are coarser than units.
    minimum
        Units that share a start, at least.
    """

    periods: IntArray
    rule: Rule = field(default_factory=Rule)
    covariates: tuple[str, ...] = ()
    shift: FloatArray | None = None
    weights: bool = False
    clusters: bool = False
    minimum: int = LEAST


@dataclass(frozen=True, slots=True)
class FirstMoments:
    """Sums over the units of each of J starts.

    Attributes
    ----------
    starts
        Ascending, ``NEVER`` last, shape (J,).
    units
        Units, shape (J,).
    mass
        Sums of weights, shape (J,).
    outcome, covariates
        Sums of weighted outcomes as the table has them, shape (J, T), and of covariates, shape (J, k).
    mass_squared, outcome_squared
        Sums of squared weights, shape (J,), and of outcomes by squared weight, shape (J, T).
    n_clusters
        Clusters of all starts together; None where units are the clusters.
    """

    starts: IntArray
    units: IntArray
    mass: FloatArray
    outcome: FloatArray
    covariates: FloatArray
    mass_squared: FloatArray
    outcome_squared: FloatArray
    n_clusters: int | None = None


@dataclass(frozen=True, slots=True)
class EngineRows:
    """Units in an engine, and sums over those of each start.

    Attributes
    ----------
    table
        Columns ``start``, ``w``, ``y0`` .. (less ``centre``), ``x1`` .. (covariates in directions of mean square one
        that do not correlate), and ``cluster`` where there are clusters.
    starts, units, mass
        As in ``FirstMoments``.
    centre
        Mean outcome of each period, shape (T,).
    gram, cross
        Sums of w x x', shape (J, k, k), and of w x y', shape (J, k, T), the intercept being x0.
    turn
        Covariates are this matrix times an intercept and the given ones less their means, shape (k, k).
    """

    table: Any
    starts: IntArray
    units: IntArray
    mass: FloatArray
    centre: FloatArray
    gram: FloatArray
    cross: FloatArray
    turn: FloatArray

    @property
    def x(self) -> list[str]:
        """Names of the covariates."""
        return [f"x{i}" for i in range(1, self.turn.shape[0])]

    def of(self, j: int) -> Any:
        """Return the rows of start j."""
        return self.table.filter(self.table["start"] == int(self.starts[j]))

    def among(self, places: set[int]) -> Any:
        """Return the rows of several starts."""
        if len(places) == self.starts.size:
            return self.table
        return self.table.filter(self.table["start"].isin([int(self.starts[j]) for j in sorted(places)]))

    def cohort(self, j: int) -> Cohort:
        """Return the weight and means of start j."""
        mass = float(self.mass[j])
        return Cohort(mass, self.gram[j, 0] / mass, self.cross[j, 0] / mass)

    def fitted(self, compared: tuple[int, ...], rule: Rule, g: int) -> Fitted:
        """Return the regression of outcomes on covariates in a comparison group of cohort g.

        Raises
        ------
        CellError
            ``collinear``: a covariate follows from others in the comparison group.
        """
        some = list(compared)
        gram, cross = self.gram[some].sum(axis=0), self.cross[some].sum(axis=0)
        if singular(gram):
            raise CellError("collinear", g, self._blamed(gram))
        slope = np.zeros_like(cross) if rule.adjust == "weighting" else np.linalg.solve(gram, cross)
        return gram, slope

    def _blamed(self, gram: FloatArray) -> int:
        """Return the first given covariate that earlier ones, and the intercept, leave little of."""
        back = np.linalg.inv(self.turn)
        given = back @ gram @ back.T
        left, share = given.copy(), np.ones(given.shape[0])
        for i in range(given.shape[0]):
            share[i] = left[i, i] / given[i, i] if given[i, i] > 0 else 0.0
            if share[i] > SINGULAR:
                left = left - np.outer(left[:, i], left[i]) / left[i, i]
        follows = np.flatnonzero(share <= SINGULAR)
        return int(follows[0]) if follows.size else int(np.argmin(share))


def settled(wide: Any, spec: InfluenceSpec) -> Any:
    """Return the columns that are used, with starts beyond the reach of every cell as never treated."""
    import ibis

    columns = [f"y{t}" for t in range(spec.periods.size)] + list(spec.covariates)
    last = int(spec.periods[-1]) + spec.rule.anticipation
    start = wide["start"].cast("int64")
    return wide.select(
        (start > last).ifelse(ibis.literal(NEVER, type="int64"), start).name("start"),
        *(wide[name].cast("float64").name(name) for name in [*columns, *(["w"] if spec.weights else [])]),
        *([wide["cluster"]] if spec.clusters else []),
    )


def first_moments(source: EngineSource, wide: Any, spec: InfluenceSpec) -> FirstMoments:
    """Return sums over the units of each start; starts that no cell reaches count as never treated.

    Raises
    ------
    DisclosureError
        Few units share a start.
    NoComparisonError
        There are no units.
    """
    table = settled(wide, spec)
    found = _first(source, table, spec)
    if not spec.clusters:
        return found
    counted = source.executed(table.aggregate(n=table["cluster"].nunique()), "clusters")
    return dataclasses.replace(found, n_clusters=int(counted["n"].iloc[0]))


def _first(source: EngineSource, table: Any, spec: InfluenceSpec) -> FirstMoments:
    terms = {"w": table["w"]} if spec.weights else {}
    ys, zs = [f"y{t}" for t in range(spec.periods.size)], list(spec.covariates)
    terms |= {name: table[name] * table["w"] if spec.weights else table[name] for name in [*ys, *zs]}
    if spec.weights:
        square = table["w"] * table["w"]
        terms |= {"v": square, **{f"v{name}": table[name] * square for name in ys}}
    frame = summed_by_start(source, table, terms, "sums by start")
    if frame.empty:
        raise NoComparisonError(
            "no unit is complete", expected="units with a value in every period",
            todo="look at missing values and filters", where=source.where,
        )  # fmt: skip
    units = frame["n"].to_numpy(np.int64)
    if (units < spec.minimum).any():
        raise DisclosureError(
            f"a start is shared by fewer than {spec.minimum} units, and no sum over so few may leave the engine",
            expected="starts with more units",
            todo='join starts that are close together, leave them out, or state release = "open" if rows may come',
            where=source.where,
        )  # fmt: skip
    mass = frame["w"].to_numpy() if spec.weights else units.astype(np.float64)
    outcome = frame[ys].to_numpy()
    squared = (
        (frame["v"].to_numpy(), frame[[f"v{name}" for name in ys]].to_numpy()) if spec.weights else (mass, outcome)
    )
    return FirstMoments(frame.index.to_numpy(np.int64), units, mass, outcome, frame[zs].to_numpy(), *squared)


def engine_rows(source: EngineSource, table: Any, spec: InfluenceSpec) -> EngineRows:
    """Return units of a table that was ``settled``, centred, with covariates in orthogonal directions.

    Raises
    ------
    DisclosureError, NoComparisonError
        As ``first_moments``.
    """
    first = _first(source, table, spec)
    total = float(first.mass.sum())
    centre, middle = first.outcome.sum(axis=0) / total, first.covariates.sum(axis=0) / total
    weight = table["w"] if spec.weights else real(1.0).name("w")
    away = [table[name] - m for name, m in zip(spec.covariates, middle.tolist(), strict=True)]
    names = [f"x{i + 1}" for i in range(len(away))]
    turn = _turn(source, table.select(weight, *(c.name(name) for c, name in zip(away, names, strict=True))), total)
    table = table.select(
        "start", weight, *(["cluster"] if spec.clusters else []),
        *((table[f"y{t}"] - c).name(f"y{t}") for t, c in enumerate(centre.tolist())),
        *(linear(away, row).name(name) for name, row in zip(names, turn[1:, 1:], strict=True)),
    )  # fmt: skip
    gram, cross = _sums(source, table, first, centre)
    return EngineRows(table, first.starts, first.units, first.mass, centre, gram, cross, turn)


def _turn(source: EngineSource, table: Any, total: float) -> FloatArray:
    """Return what makes directions of mean square one that do not correlate, as ``cell_models.stack`` does."""
    k = len(table.columns) - 1
    turn = np.eye(k + 1)
    if k == 0:
        return turn
    terms = {f"s{i}": table[f"x{i}"] * table["w"] for i in range(1, k + 1)}
    terms |= {f"s{i}_{j}": table[f"x{i + 1}"] * table[f"x{j + 1}"] * table["w"] for i, j in triangle(k)}
    found = summed(source, table, terms, "spread of covariates")
    gram = np.eye(k + 1)
    gram[0, 1:] = gram[1:, 0] = [found[f"s{i}"] / total for i in range(1, k + 1)]
    for i, j in triangle(k):
        gram[i + 1, j + 1] = gram[j + 1, i + 1] = found[f"s{i}_{j}"] / total
    spread = np.sqrt(np.diag(gram))
    scale = 1 / np.where(spread > 0, spread, 1.0)
    gram = gram * np.outer(scale, scale)
    if float(np.linalg.eigvalsh(gram)[0]) < SINGULAR:
        return np.diag(scale)  # some column follows from others: every cell that needs it will say so
    turn[1:, 1:] = np.linalg.inv(np.linalg.cholesky(gram[1:, 1:])) * scale[1:]
    return turn


def _sums(source: EngineSource, table: Any, first: FirstMoments, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sums of w x x' and w x y' by start; those with the intercept follow from first moments where exact."""
    k, T = sum(name[0] == "x" for name in table.columns), centre.size
    w = table["w"]
    weighted = [w, *(table[f"x{i}"] * w for i in range(1, k + 1))]
    terms = {f"g{i}_{j}": weighted[i] * table[f"x{j}"] for i, j in triangle(k + 1) if j > 0}
    terms |= {f"c{i}_{t}": weighted[i] * table[f"y{t}"] for i in range(k + 1) for t in range(T)}
    frame = summed_by_start(source, table, terms, "regression of outcomes on covariates")
    J = first.starts.size
    gram, cross = np.zeros((J, k + 1, k + 1)), np.zeros((J, k + 1, T))
    gram[:, 0, 0] = first.mass
    for i, j in triangle(k + 1):
        if j > 0:
            gram[:, i, j] = gram[:, j, i] = frame[f"g{i}_{j}"]
    for i in range(k + 1):
        for t in range(T):
            cross[:, i, t] = frame[f"c{i}_{t}"]
    return gram, cross
