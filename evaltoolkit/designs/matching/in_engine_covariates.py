"""Covariates as numbers where people stay in an engine: categories become indicators there, by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.data.asked import distinct, number, required
from evaltoolkit.designs.matching.covariates import MANY_LEVELS, constant, dependent, many_levels, not_positive
from evaltoolkit.designs.matching.options import InteractTerm, LogTerm, Options, words_of
from evaltoolkit.errors import ColumnTypeError, SeparationError
from evaltoolkit.kernels.arm_models import independent
from evaltoolkit.reduction.people import HeldPeople, ones, sums, where
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeldCovariates:
    """What the m shown covariates ``s0`` ... of people in an engine are.

    Attributes
    ----------
    shown_names, shown_owner, binary
        Name, covariate behind it, and whether it holds 0 and 1 only, of each.
    categories
        Covariates (by their index) that are categories.
    in_model
        Indices of those that models use, shape (p,).
    center, spread
        Of those, shape (p,): 0 and 1 for columns of 0 and 1, else rounded mean and standard deviation.
    """

    shown_names: tuple[str, ...]
    shown_owner: tuple[int, ...]
    binary: tuple[bool, ...]
    categories: frozenset[int]
    in_model: tuple[int, ...]
    center: FloatArray
    spread: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that models use."""
        return tuple(self.shown_names[j] for j in self.in_model)

    @property
    def owner(self) -> NDArray[np.int64]:
        """The covariate behind each column that models use, shape (p,)."""
        return np.array([self.shown_owner[j] for j in self.in_model])


def held_covariates(
    source: EngineSource, complete: Any, options: Options, study: Study
) -> tuple[HeldCovariates, dict[str, Any]]:
    """Return what the covariates are, and their columns as expressions.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError
        A column is not there, or holds what cannot be used.
    NoVariationError
        A covariate is the same for everybody.
    """
    names: list[str] = []
    owner: list[int] = []
    in_model: list[int] = []
    columns: dict[str, Any] = {}
    categories = set()
    for i, covariate in enumerate(options.covariates):
        place = study.place("covariates", i)
        found = _columns(source, complete, covariate, place)
        if len(found) > 1:
            categories.add(i)
        shown = found[1:] if len(found) == 2 else found
        first = 1 if len(found) > 2 else 0
        for k, (name, column) in enumerate(shown):
            if k >= first:
                in_model.append(len(names))
            columns[f"s{len(names)}"] = column
            names.append(name)
            owner.append(i)
    binary, center, spread = _looked_at(source, complete, columns, owner, options, study)
    used = list(in_model)
    told = HeldCovariates(
        tuple(names), tuple(owner), tuple(binary), frozenset(categories), tuple(in_model), center[used], spread[used]
    )
    return told, columns


def _columns(source: EngineSource, table: Any, covariate: Any, place: str) -> list[tuple[str, Any]]:
    words = words_of(covariate)
    if isinstance(covariate, LogTerm):
        column = number(table, covariate.log, role="covariate", where=place)
        if sums(source, table, {"low": (column <= 0).ifelse(1, 0).max()}, f"values of {covariate.log}")["low"] > 0:
            raise not_positive(covariate.log, "some rows", place)
        return [(words, column.ln())]
    if isinstance(covariate, InteractTerm):
        one, two = (number(table, name, role="covariate", where=place) for name in covariate.interact)
        return [(words, one * two)]
    column = required(table, covariate, role="covariate", where=place)
    if not column.type().is_string():
        return [(words, number(table, covariate, role="covariate", where=place))]
    levels = sorted({str(level).strip() for level in distinct(source, table, covariate, where=place).dropna()})
    if len(levels) > MANY_LEVELS:
        raise many_levels(covariate, len(levels), place)
    if len(levels) < 2:
        raise constant(covariate, place)
    word = column.strip()
    return [(f"{covariate}: {level}", where(word == level, 1.0).cast("float64")) for level in levels]


def _looked_at(
    source: EngineSource, complete: Any, columns: dict[str, Any], owner: list[int], options: Options, study: Study
) -> tuple[list[bool], FloatArray, FloatArray]:
    """Return which columns are 0 and 1 only, and by what they are standardized; the engine gives no smallest value."""
    table = complete.select(**columns)
    wanted: dict[str, Any] = {}
    for name in columns:
        s = table[name]
        wanted[f"flat_{name}"] = (s.min() == s.max()).ifelse(1, 0)
        wanted[f"odd_{name}"] = where(s.isinf(), 1, 0).max()
        wanted[f"other_{name}"] = where((s != 0) & (s != 1), 1, 0).max()
    found = sums(source, table, wanted, "covariates")
    for name, i in zip(columns, owner, strict=True):
        if found[f"odd_{name}"] > 0:
            raise ColumnTypeError(
                f"the covariate '{words_of(options.covariates[i])}' holds infinite values", expected="finite numbers",
                todo="correct these rows; a division by zero is a common cause", where=study.place("covariates", i),
            )  # fmt: skip
        if found[f"flat_{name}"] > 0:
            raise constant(words_of(options.covariates[i]), study.place("covariates", i))
    binary = [found[f"other_{name}"] == 0 for name in columns]
    center, spread = np.zeros(len(columns)), np.ones(len(columns))
    means = {name: table[name].mean() for name, b in zip(columns, binary, strict=True) if not b}
    if means:
        of = sums(source, table, means, "means of covariates")
        far = {name: ((table[name] - of[name]) * (table[name] - of[name])).mean() for name in means}
        squared = sums(source, table, far, "spread of covariates")
        for j, name in enumerate(columns):
            if name in of:
                center[j], spread[j] = of[name], np.sqrt(squared[name])
    return binary, center, spread


def standardized(source: EngineSource, table: Any, told: HeldCovariates, n: int) -> HeldPeople:
    """Return the people with the covariates of models standardized as ``z0`` (ones), ``z1`` and so on."""
    columns: dict[str, Any] = {"z0": ones()}
    for k, j in enumerate(told.in_model, start=1):
        z = table[f"s{j}"]
        if (told.center[k - 1], told.spread[k - 1]) != (0.0, 1.0):
            z = (z - float(told.center[k - 1])) / float(told.spread[k - 1])
        columns[f"z{k}"] = z
    return HeldPeople(source, table.mutate(**columns), told.center, told.spread, n)


def must_be_independent(people: HeldPeople, told: HeldCovariates, study: Study) -> FloatArray:
    """Return the sum of z z', shape (p + 1, p + 1).

    Raises
    ------
    CollinearityError
        A covariate is a combination of others.
    """
    found = people.sums(people.gram("g", people["z0"]), "covariates together")
    gram = people.matrix(found, "g")
    gone = np.setdiff1d(np.arange(len(gram)), independent(gram))
    if gone.size:
        j = int(gone[0]) - 1
        raise dependent(told.names[j], study.place("covariates", int(told.owner[j])))
    return gram


def must_overlap(people: HeldPeople, told: HeldCovariates, study: Study) -> None:
    """Refuse covariates of which one tells the groups apart; the engine says yes or no.

    Raises
    ------
    SeparationError
    """
    table = people.table
    ends = {}
    for j in range(len(told.shown_names)):
        for a in (0, 1):
            mine = (table["t"] == a).ifelse(table[f"s{j}"], None)
            ends[f"low{a}_{j}"], ends[f"high{a}_{j}"] = mine.min(), mine.max()
    inner = table.aggregate(**ends)
    apart = {
        f"a{j}": ((inner[f"high1_{j}"] <= inner[f"low0_{j}"]) | (inner[f"high0_{j}"] <= inner[f"low1_{j}"]))
        .ifelse(1, 0).max() for j in range(len(told.shown_names))
    }  # fmt: skip
    found = sums(people.source, inner, apart, "overlap of covariates")
    for j, name in enumerate(told.shown_names):
        if found[f"a{j}"] > 0:
            raise SeparationError(
                f"the covariate '{name}' tells treated and comparison people apart perfectly",
                expected="treated and comparison people at the same values of every covariate",
                todo="remove the covariate, group its levels, or keep only people who could have been in either group",
                where=study.place("covariates", told.shown_owner[j]),
            )  # fmt: skip
