"""Sums of a panel as a file: written so that every number comes back bit for bit, and checked strictly when read."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.exporting import shareable_account
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.reduction.moments_file import moments_of, parsed

FloatArray = NDArray[np.float64]

SCHEMA: Final = "evaltoolkit.moments/1"
_WHOLE: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file of sums says of its making.

    Attributes
    ----------
    design, design_sha256
        Kind of design, and the hash of the design file; empty without a file.
    engine, sql_sha256
        Where the rows were, and the hash of the queries' text; empty where none was run.
    version
        Of evaltoolkit.
    checked
        What the release check looked at, in words.
    sha256
        Hash of the content; filled in by reading.
    untold
        Whether few people were left out and the file does not tell of them; filled in by reading.
    """

    design: str
    design_sha256: str
    engine: str
    sql_sha256: str
    version: str
    checked: tuple[str, ...]
    sha256: str = ""
    untold: bool = False


def written(moments: PanelMoments, about: Exported) -> str:
    """Return the sums as JSON, one line for each cell.

    Whole numbers are written as such, others by the shortest text that reads back as the same number. The file has no
    row, no name of a unit, and no number that the release check does not know.
    """
    plan, table = moments.plan, moments.table
    account, shortened = shareable_account(moments)
    head: dict[str, Any] = {
        "schema": SCHEMA, "design": about.design, "design_sha256": about.design_sha256, "version": about.version,
        "engine": about.engine, "sql_sha256": about.sql_sha256, "plan": plan.record(), "plan_sha256": plan.sha256,
        "periods": {
            "unit": moments.calendar.unit, "steps": table.periods.tolist(),
            "labels": [moments.calendar.label(step) for step in table.periods.tolist()],
        },
        "shift": _numbers(table.shift),
        "rows": {"read": account.n_read, "kept": account.n_rows},
        "units": {
            "all": account.n_units, "incomplete": account.n_incomplete, "incomplete_but_used": account.n_kept,
            "always_treated": account.n_always,
        },
        "small_cells": {
            "threshold": plan.threshold, "show_zero": plan.show_zero, "checked": list(about.checked),
            "few_left_out_are_not_told": shortened,
        },
        "fingerprints": None if moments.fingerprints is None else {
            "kind": moments.fingerprints.kind, "key": moments.fingerprints.key, "n": moments.fingerprints.n,
            "values": list(moments.fingerprints.values),
        },
    }  # fmt: skip
    body: dict[str, list[dict[str, Any]]] = {"cells": _cells(moments)}
    if isinstance(table, ClusterMoments):
        body["clusters"] = _clusters(table, moments.clusters)
    return _text(head, body)


def read(text: str, where: str) -> tuple[PanelMoments, Exported]:
    """Return the sums of a file, and what it says of its making.

    Parameters
    ----------
    text
        The file's text.
    where
        The file's name, for messages.

    Raises
    ------
    MomentsFileError
        It is no such file, is cut off, was changed, or holds what no reduction leaves.
    """
    file = parsed(text, SCHEMA, where)
    about = Exported(
        file.design, file.design_sha256, file.engine, file.sql_sha256, file.version, tuple(file.small_cells.checked),
        file.sha256, file.small_cells.few_left_out_are_not_told,
    )  # fmt: skip
    return moments_of(file, where), about


def content_sha256(values: dict[str, Any]) -> str:
    """Return the hash of a file's content, whatever its layout."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _text(head: dict[str, Any], body: dict[str, list[dict[str, Any]]]) -> str:
    lines = [f"  {json.dumps(key)}: {_inline(value)}" for key, value in head.items()]
    for key, rows in body.items():
        listed = ",\n".join(f"    {_inline(row)}" for row in rows)
        lines.append(f"  {json.dumps(key)}: [\n{listed}\n  ]")
    lines.append(f'  "sha256": "{content_sha256(head | body)}"')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _inline(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _numbers(values: FloatArray) -> list[int | float]:
    return [_number(v) for v in values.tolist()]


def _number(value: float) -> int | float:
    whole = value.is_integer() and abs(value) < _WHOLE and not (value == 0 and math.copysign(1.0, value) < 0)
    return int(value) if whole else value


def _cells(moments: PanelMoments) -> list[dict[str, Any]]:
    plan, table, found = moments.plan, moments.table, []
    for s, start in enumerate(table.starts[table.cohort].tolist()):
        row = moments.values[int(table.design[s, 1])]
        values = {name: v if isinstance(v, str) else _number(v) for name, v in zip(plan.covariates, row, strict=True)}
        label = "never" if start == NEVER else moments.calendar.label(start)
        cell: dict[str, Any] = {"start": None if start == NEVER else start, "label": label, "values": values}
        if table.there is not None:
            cell["observed"] = table.there[s].astype(int).tolist()
        if isinstance(table, CohortMoments):
            cell |= _sums(table, s, weighted=plan.weights is not None)
        if moments.counts is not None:
            cell["counts"] = _numbers(moments.counts[s])
        found.append(cell)
    return found


def _sums(table: CohortMoments, s: int, *, weighted: bool) -> dict[str, Any]:
    upper = np.triu_indices(table.periods.size)
    found: dict[str, Any] = {"units": int(table.units[s]), "sums": _numbers(table.m[s])}
    found["products"] = _numbers(table.Q[s][upper])
    if weighted:
        found |= {"weight": _number(float(table.n[s])), "squared_weight": _number(float(table.N2[s]))}
        found["squared_weight_sums"] = _numbers(table.M2[s])
    return found


def _clusters(table: ClusterMoments, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "cluster": names[table.cluster[p]], "cell": int(table.cell[p]), "units": int(table.units[p]),
            "weight": _number(float(table.n[p])), "sums": _numbers(table.m[p]),
        }
        for p in range(table.units.size)
    ]  # fmt: skip
