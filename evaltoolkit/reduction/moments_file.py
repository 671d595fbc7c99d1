"""The form of a file of sums: what it must hold, and the arrays that it stands for."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from evaltoolkit.data import Calendar
from evaltoolkit.errors import MomentsFileError
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.fingerprints import Fingerprints
from evaltoolkit.reduction.moments import Account, PanelMoments, Values, ascending
from evaltoolkit.reduction.plan import PanelPlan

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
_Numbers = list[FiniteFloat]
_EDGE = 1 << 62


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Periods(_Part):
    unit: Literal["day", "week", "month", "quarter", "year", "period"]
    steps: list[int] = Field(min_length=2)
    labels: list[str]


class _Rows(_Part):
    read: int = Field(ge=0)
    kept: int = Field(ge=0)


class _Units(_Part):
    all: int = Field(ge=0)
    incomplete: int = Field(ge=0)
    incomplete_but_used: int = Field(ge=0)
    always_treated: int = Field(ge=0)


class _SmallCells(_Part):
    threshold: int
    show_zero: bool
    checked: list[str]
    few_left_out_are_not_told: bool


class _Fingerprints(_Part):
    kind: Literal["names", "keyed-sketch"]
    key: str
    n: int = Field(ge=0)
    values: list[str]


class _Cell(_Part):
    start: int | None
    values: dict[str, str | FiniteFloat]
    label: str
    observed: list[Literal[0, 1]] | None = None
    units: int | None = Field(None, ge=1)
    sums: _Numbers | None = None
    products: _Numbers | None = None
    weight: FiniteFloat | None = Field(None, gt=0)
    squared_weight: FiniteFloat | None = Field(None, gt=0)
    squared_weight_sums: _Numbers | None = None
    counts: _Numbers | None = None


class _Cluster(_Part):
    cluster: str
    cell: int = Field(ge=0)
    units: int = Field(ge=1)
    weight: FiniteFloat = Field(gt=0)
    sums: _Numbers


class MomentsFile(_Part):
    """The file as it stands."""

    schema_: str = Field(alias="schema")
    design: str
    design_sha256: str
    version: str
    engine: str
    sql_sha256: str
    plan: dict[str, Any]
    plan_sha256: str
    periods: _Periods
    shift: _Numbers
    rows: _Rows
    units: _Units
    small_cells: _SmallCells
    fingerprints: _Fingerprints | None
    cells: list[_Cell] = Field(min_length=1)
    clusters: list[_Cluster] | None = Field(None, min_length=1)
    sha256: str


def parsed(text: str, schema: str, where: str) -> MomentsFile:
    """Return a file that has the right form and is as it was written.

    Raises
    ------
    MomentsFileError
    """
    try:
        raw = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _bad(
            f"it is no JSON, or it is cut off ({_reason(error)})", "a whole file", "copy the file again", where
        ) from None
    found = raw.get("schema") if isinstance(raw, dict) else None
    if found != schema:
        said = f"its schema is '{found}'" if isinstance(found, str) else "it is no file of sums"
        raise _bad(said, f"a file of '{schema}'", "export it anew with this version of evaltoolkit", where)
    try:
        file = MomentsFile.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _bad(
            f"'{place}' is not as it should be ({first['msg'].lower()})", "a file as it was written",
            "export it anew", where,
        ) from None  # fmt: skip
    _check_hashes(raw, file, where)
    return file


def _no_number(word: str) -> float:
    msg = f"'{word}' is no number"
    raise ValueError(msg)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}"
    return str(error).split(",", maxsplit=1)[0][:60] if isinstance(error, ValueError) else "too deep"


def _bad(found: str, expected: str, todo: str, where: str) -> MomentsFileError:
    return MomentsFileError(found, expected=expected, todo=todo, where=where)


def _hash(values: Any, separators: tuple[str, str] | None = None) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=separators).encode()).hexdigest()


def _check_hashes(raw: dict[str, Any], file: MomentsFile, where: str) -> None:
    if _hash(file.plan) != file.plan_sha256:
        raise _bad(
            "the plan in it is not the one it was made by: its hash differs", "a plan with the stated hash",
            "ask the agency to export it anew", where,
        )  # fmt: skip
    if _hash({k: v for k, v in raw.items() if k != "sha256"}, (",", ":")) != file.sha256:
        raise _bad(
            "it was changed after it was written: its hash differs", "a file as it was written",
            "copy the file again, or ask the agency to export it anew", where,
        )  # fmt: skip


def moments_of(file: MomentsFile, where: str) -> PanelMoments:
    """Return the arrays of a file.

    Raises
    ------
    MomentsFileError
        Their shapes do not agree.
    """
    plan = _plan(file, where)
    steps = file.periods.steps
    if any(b <= a for a, b in itertools.pairwise(steps)) or not _labelled(file.periods):
        raise _shape("the periods are not ascending, or have other labels", where)
    _check_shapes(file, plan, where)
    rows: list[Values] = [tuple(_value(cell.values[name]) for name in plan.covariates) for cell in file.cells]
    values = tuple(sorted(set(rows), key=ascending))
    place = {row: float(i) for i, row in enumerate(values)}
    begun = np.array([NEVER if cell.start is None else cell.start for cell in file.cells], dtype=np.int64)
    starts, cohort = np.unique(begun, return_inverse=True)
    design = np.column_stack([np.ones(begun.size), [place[row] for row in rows]])
    there = None
    if file.cells[0].observed is not None:
        there = np.array([cell.observed for cell in file.cells], dtype=np.bool_)
    shared = (starts, np.array(steps, dtype=np.int64), design, cohort.astype(np.int64))
    table = _cohort_table(file, shared, there) if file.clusters is None else _cluster_table(file, shared, there)
    counts = None if file.cells[0].counts is None else np.array([c.counts for c in file.cells], dtype=np.float64)
    n = file.units
    account = (file.rows.read, file.rows.kept, n.all, n.incomplete, n.always_treated, n.incomplete_but_used)
    f = file.fingerprints
    prints = None if f is None else Fingerprints(f.kind, f.n, tuple(f.values), f.key)
    return PanelMoments(
        plan, Calendar(file.periods.unit), table, values, counts, Account(*account), _cluster_names(file),
        fingerprints=prints,
    )  # fmt: skip


def _labelled(periods: _Periods) -> bool:
    try:
        return [Calendar(periods.unit).label(step) for step in periods.steps] == periods.labels
    except (OverflowError, ValueError):
        return False


def _plan(file: MomentsFile, where: str) -> PanelPlan:
    try:
        plan = TypeAdapter(PanelPlan).validate_python(file.plan)
        if plan.sha256 == file.plan_sha256:
            return plan
    except ValidationError:
        pass
    raise _bad(
        f"its plan is not one that this version knows (it was written by version {file.version[:20]})",
        "a plan of this version", "use the same version of evaltoolkit everywhere", where,
    )  # fmt: skip


def _value(value: str | float) -> str | float:
    return value if isinstance(value, str) else float(value)


def _shape(what: str, where: str) -> MomentsFileError:
    return _bad(what, "sums of one reduction", "export the file anew", where)


def _check_shapes(file: MomentsFile, plan: PanelPlan, where: str) -> None:
    T, weighted, clustered = len(file.shift), plan.weights is not None, file.clusters is not None
    if len(file.periods.steps) != T or clustered != (plan.cluster is not None):
        raise _shape("its parts do not belong together: periods, shift or clusters", where)
    long = T * (T + 1) // 2
    told = plan.outcome_counts
    seen = set()
    for i, cell in enumerate(file.cells):
        sizes: dict[str, tuple[Any, int | None]] = {
            "sums": (cell.sums, None if clustered else T), "products": (cell.products, None if clustered else long),
            "squared_weight_sums": (cell.squared_weight_sums, T if weighted and not clustered else None),
            "counts": (cell.counts, T if told else None),
            "observed": (cell.observed, None if file.cells[0].observed is None else T),
        }  # fmt: skip
        wrong = [name for name, (values, size) in sizes.items() if (None if values is None else len(values)) != size]
        bare = {cell.weight is None, cell.squared_weight is None} != {not (weighted and not clustered)}
        key = (cell.start, tuple(sorted(cell.values.items())), tuple(cell.observed or ()))
        if wrong or bare or (cell.units is None) != clustered or set(cell.values) != set(plan.covariates):
            raise _shape(
                f"cell {i + 1} has the wrong numbers ({', '.join(wrong) or 'units, weights or values'})", where
            )
        if key in seen or abs(cell.start or 0) > _EDGE:
            raise _shape(f"cell {i + 1} is there twice, or starts never", where)
        seen.add(key)
    for i, pair in enumerate(file.clusters or []):
        if len(pair.sums) != T or pair.cell >= len(file.cells):
            raise _shape(f"sum {i + 1} of the clusters has the wrong numbers", where)


_Shared = tuple[IntArray, IntArray, FloatArray, IntArray]


def _cohort_table(file: MomentsFile, shared: _Shared, there: Mask | None) -> CohortMoments:
    cells, T = file.cells, len(file.shift)
    units = np.array([cell.units for cell in cells], dtype=np.int64)
    m = np.array([cell.sums for cell in cells], dtype=np.float64)
    n, N2, M2 = units.astype(np.float64), units.astype(np.float64), m
    if cells[0].weight is not None:
        n = np.array([cell.weight for cell in cells], dtype=np.float64)
        N2 = np.array([cell.squared_weight for cell in cells], dtype=np.float64)
        M2 = np.array([cell.squared_weight_sums for cell in cells], dtype=np.float64)
    Q = np.zeros((len(cells), T, T))
    rows, columns = np.triu_indices(T)
    Q[:, rows, columns] = np.array([cell.products for cell in cells], dtype=np.float64)
    Q[:, columns, rows] = Q[:, rows, columns]
    return CohortMoments(*shared, units, n, m, N2, M2, Q, np.array(file.shift, dtype=np.float64), there)


def _cluster_names(file: MomentsFile) -> tuple[str, ...]:
    return tuple(sorted({pair.cluster for pair in file.clusters or []}))


def _cluster_table(file: MomentsFile, shared: _Shared, there: Mask | None) -> ClusterMoments:
    pairs = file.clusters or []
    cluster = np.searchsorted(_cluster_names(file), [pair.cluster for pair in pairs])
    cell, units = (np.array([getattr(p, name) for p in pairs], dtype=np.int64) for name in ("cell", "units"))
    n = np.array([pair.weight for pair in pairs], dtype=np.float64)
    m = np.array([pair.sums for pair in pairs], dtype=np.float64)
    return ClusterMoments(
        *shared, np.unique(cluster).astype(np.int64), cluster.astype(np.int64), cell, units, n, m,
        np.array(file.shift, dtype=np.float64), there,
    )  # fmt: skip
