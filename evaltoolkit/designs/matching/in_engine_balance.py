"""How alike the groups are where people stay in an engine: means, spreads and distribution functions from sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.baseline import SPREADS, Baseline, columns_of
from evaltoolkit.designs.matching.equivalence import LIMIT, SATISFIED
from evaltoolkit.designs.matching.facts import Group
from evaltoolkit.designs.matching.figures import GOOD_SMD, POOR_SMD
from evaltoolkit.designs.matching.in_engine_covariates import HeldCovariates
from evaltoolkit.designs.matching.in_engine_rules import WITHOUT_WINDOWS
from evaltoolkit.kernels.balance import Balance
from evaltoolkit.kernels.effect_sizes import baseline_sizes
from evaltoolkit.reduction.engine_score import fit_outcome
from evaltoolkit.reduction.people import HeldPeople, count, small_of, sums, where
from evaltoolkit.results import SmallCells

FloatArray = NDArray[np.float64]

LIMITS = (GOOD_SMD, POOR_SMD)
"""Between small, middle and large standardized differences."""
_SMD = (0.05, 0.2, 0.5)
_COX = (0.0, 0.2, 0.5, float("nan"))
"""What stands for a class of differences in the draft of a result."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The treated and the comparison group, with the sums of their weights and squared weights."""

    treated: Group
    comparison: Group
    total: FloatArray
    squared: FloatArray


def groups_of(people: HeldPeople) -> Groups:
    """Return sizes of both groups; ``w`` are the weights of the matched sample, 0 for those not in it."""
    w, t = people["w"], people["t"]
    asked: dict[str, Any] = {}
    for a in (0, 1):
        mine = t == a
        asked |= {
            f"n{a}": count(mine), f"used{a}": count(mine & (w > 0)), f"W{a}": where(mine, w).sum(),
            f"V{a}": where(mine, w * w).sum(), f"top{a}": where(mine, w).max(),
        }  # fmt: skip
    found = people.sums(asked, "sizes of the groups")
    both = []
    for a in (0, 1):
        total, squared = found[f"W{a}"], found[f"V{a}"]
        both.append(
            Group(
                n=int(found[f"n{a}"]), used=int(found[f"used{a}"]), discarded=0,
                effective=total**2 / squared if squared > 0 else 0.0,
                largest=found[f"top{a}"] / total if total > 0 else 0.0,
            )
        )  # fmt: skip
    return Groups(
        both[1], both[0], np.array([found["W0"], found["W1"]]), np.array([found["V0"], found["V1"]])
    )  # fmt: skip


def bases_of(people: HeldPeople, told: HeldCovariates, groups: Groups, cells: SmallCells, *, rows: bool) -> list[int]:
    """Return the count behind each shown covariate: 1 where it must be hidden, else that of the smaller group.

    The engine says only whether a count has to be hidden, never which count it is.
    """
    size = min(groups.treated.used, groups.comparison.used)
    if not rows:
        return [size] * len(told.shown_names)
    flags: dict[str, Any] = {}
    for j in np.flatnonzero(told.binary).tolist():
        small = small_of(_counts(people, people[f"s{j}"]), cells.threshold)
        flags[f"f{j}"] = small.ifelse(1, 0)
    found = people.sums(flags, "covariates of a few people") if flags else {}
    hidden = [found.get(f"f{j}", 0) > 0 for j in range(len(told.shown_names))]
    # Shares of the levels of a category add up to one: none is hidden alone.
    for owner in set(told.shown_owner):
        levels = [j for j, one in enumerate(told.shown_owner) if one == owner]
        if len(levels) > 1 and sum(hidden[j] for j in levels) == 1:
            hidden[next(j for j in levels if not hidden[j])] = True
    return [1 if gone else size for gone in hidden]


def _counts(people: HeldPeople, column: Any) -> list[Any]:
    t, used = people["t"], people["w"] > 0
    counts = []
    for a in (0, 1):
        for part in (t == a, (t == a) & used, (t == a) & ~used):
            counts += [count(part & (column == value)) for value in (1, 0)]
    return counts


def measured(people: HeldPeople, told: HeldCovariates, groups: Groups, hidden: list[bool], estimand: str) -> Baseline:
    """Measure balance of the score, the shown covariates and the predicted outcome, before and after matching."""
    people, slopes = _with_prediction(people)
    m = len(told.shown_names)
    names = ["p", *(f"s{j}" for j in range(m)), "predicted"]
    scale = _scales(people, told, m)
    binary = np.array([False, *told.binary, False])
    shown = [j for j in range(m + 2) if not (1 <= j <= m and hidden[j - 1]) and (j != m + 1 or slopes)]
    asked: dict[str, Any] = {}
    for j in shown:
        v = (people[names[j]] - scale[j][0]) / scale[j][1]
        for a in (0, 1):
            for key, by in (("b", people["z0"]), ("a", people["w"])):
                mine = where(people["t"] == a, by)
                asked |= {f"{key}{a}_{j}": (mine * v).sum(), f"{key}{a}{a}_{j}": (mine * v * v).sum()}
    found = people.sums(asked, "balance")
    sizes = np.array([groups.comparison.n, groups.treated.n], dtype=np.float64)
    ends = {"b": (sizes, sizes), "a": (groups.total, groups.squared)}
    moments = {key: _moments(found, key, ends[key], scale, binary) for key in ends}
    spread = SPREADS.get(estimand, "pooled")
    first, second = moments["b"][1][1], moments["b"][1][0]
    over = np.sqrt({"first": first, "second": second, "pooled": (first + second) / 2}[spread])
    gaps = _gaps(people, names, shown, binary, groups)
    before, after = (
        _balance(moments[key], binary, gaps[:, k], over) for k, key in enumerate(("b", "a"))
    )  # fmt: skip
    classes = _classes(people, [j for j in range(m) if hidden[j]], groups, spread)
    for j, (earlier, later, _) in classes.items():
        before.smd[j + 1], after.smd[j + 1] = earlier, later
    kept = columns_of(after, slice(0, m + 1))
    sizes_after = baseline_sizes(kept, groups.treated.used, groups.comparison.used, binary[: m + 1])[1:]
    for j, found_class in classes.items():
        sizes_after[j] = found_class[2]
    return Baseline(
        before=columns_of(before, slice(0, m + 1)), after=kept,
        predicted=(columns_of(before, slice(m + 1, m + 2)), columns_of(after, slice(m + 1, m + 2))), products=None,
        sizes=sizes_after,
    )  # fmt: skip


def _classes(
    people: HeldPeople, hidden: list[int], groups: Groups, spread: str
) -> dict[int, tuple[float, float, float]]:  # fmt: skip
    """Return a number within the class of the differences of each hidden covariate: before, after, and Cox index.

    The engine says small, middle or large; the number that stands for it is hidden with its row.
    """
    if not hidden:
        return {}
    means: dict[str, Any] = {}
    for j in hidden:
        s = people[f"s{j}"]
        for a in (0, 1):
            mine = people["t"] == a
            means[f"b{j}_{a}"] = where(mine, s).sum() / where(mine, people["z0"]).sum()
            means[f"a{j}_{a}"] = where(mine, people["w"] * s).sum() / where(mine, people["w"]).sum()
    table = people.table.aggregate(**means)
    asked: dict[str, Any] = {}
    for j in hidden:
        q0, q1 = (table[f"b{j}_{a}"] * (1.0 - table[f"b{j}_{a}"]) for a in (0, 1))
        over = {"first": q1, "second": q0, "pooled": (q0 + q1) / 2.0}[spread].sqrt()
        for key in ("b", "a"):
            gap = (table[f"{key}{j}_1"] - table[f"{key}{j}_0"]).abs()
            asked[f"f{key}{j}"] = where(gap > over * LIMITS[1], 2, where(gap > over * LIMITS[0], 1, 0)).max()
        asked[f"fs{j}"] = _cox_class(table, j, groups.treated.used + groups.comparison.used).max()
    found = sums(people.source, table, asked, "covariates of a few people, in words")
    return {
        j: (_SMD[int(found[f"fb{j}"])], _SMD[int(found[f"fa{j}"])], _COX[int(found[f"fs{j}"])]) for j in hidden
    }  # fmt: skip


def _cox_class(table: Any, j: int, n: int) -> Any:
    p1, p0 = table[f"a{j}_1"], table[f"a{j}_0"]
    defined = (p1 > 0) & (p1 < 1) & (p0 > 0) & (p0 < 1)
    safe = [where(defined, p, 0.5) for p in (p1, p0)]
    logits = [(p / (1.0 - p)).ln() for p in safe]
    size = (logits[0] - logits[1]).abs() * ((1 - 3 / (4 * n - 9)) / 1.65)
    inside = where(size > LIMIT, 2, where(size > SATISFIED, 1, 0))
    return where(p1 == p0, 0, where(defined, inside, 3))


def _with_prediction(people: HeldPeople) -> tuple[HeldPeople, bool]:
    """Return people with the outcome that a linear model of those not served expects, and whether it varies."""
    people = people.adding({"other": 1.0 - people["t"]})
    fit = fit_outcome(people, "other", "gaussian", "outcome of those not served")
    slopes = fit.b.copy()
    slopes[0] = 0.0
    return people.adding({"predicted": people.line(slopes)}), bool(np.abs(slopes).max(initial=0.0) > 0)


def _scales(people: HeldPeople, told: HeldCovariates, m: int) -> list[tuple[float, float]]:
    """Return what to take off and divide by, so that squares of numbers far from zero lose nothing."""
    found = people.sums({"mean": people["p"].mean()}, "level of the score")
    scale = [(found["mean"], 1.0), *((0.0, 1.0) for _ in range(m)), (0.0, 1.0)]
    for k, j in enumerate(told.in_model):
        scale[j + 1] = (float(told.center[k]), float(told.spread[k]))
    return scale


Pair = tuple[FloatArray, FloatArray]


def _moments(
    found: dict[str, float], key: str, ends: Pair, scale: list[tuple[float, float]], binary: NDArray[np.bool_]
) -> Pair:
    """Return weighted means and variances of each group (comparison first), each of shape (2, columns)."""
    size = len(scale)
    nothing = float("nan")
    once = np.array([[found.get(f"{key}{a}_{j}", nothing) for j in range(size)] for a in (0, 1)])
    twice = np.array([[found.get(f"{key}{a}{a}_{j}", nothing) for j in range(size)] for a in (0, 1)])
    total, squared = (end[:, None] for end in ends)
    center, spread = (np.array([one[i] for one in scale]) for i in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = once / total
        left = 1 - squared / total**2
        variance = np.where(left > 0, (twice / total - mean**2) / left, nothing) * spread**2
    mean = center + spread * mean
    return mean, np.where(binary, mean * (1 - mean), np.maximum(variance, 0))


def _balance(moments: Pair, binary: NDArray[np.bool_], gaps: FloatArray, over: FloatArray) -> Balance:
    (m2, m1), (v2, v1) = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        smd = np.where(np.isclose(m1, m2, rtol=1e-13, atol=0), 0.0, (m1 - m2) / over)
        ratio = np.where(binary, np.nan, v1 / v2)
    both = np.where(binary[:, None], np.abs(m1 - m2)[:, None], gaps)
    return Balance(m1, m2, v1, v2, smd, ratio, both[:, 0], both[:, 1], np.full(m1.size, np.nan), over)


def _gaps(
    people: HeldPeople, names: list[str], shown: list[int], binary: NDArray[np.bool_], groups: Groups
) -> FloatArray:
    """Return mean and largest gap of the distribution functions, shape (columns, 2 weightings, 2)."""
    found = np.full((len(names), 2, 2), np.nan)
    if people.source.backend in WITHOUT_WINDOWS:
        return found
    for j in shown[:-1] if shown[-1] == len(names) - 1 else shown:
        if not binary[j]:
            found[j] = _gap(people, names[j], groups)
    return found


def _gap(people: HeldPeople, name: str, groups: Groups) -> FloatArray:
    import ibis

    t, w = people["t"], people["w"]
    n1, n0 = float(groups.treated.n), float(groups.comparison.n)
    w0, w1 = (float(total) for total in groups.total)
    steps = people.table.group_by(at=people[name]).aggregate(
        b=(t / n1 - (1.0 - t) / n0).sum(), a=(w * t / w1 - w * (1.0 - t) / w0).sum()
    )
    window = ibis.cumulative_window(order_by=steps["at"])
    levels = steps.mutate(before=steps["b"].sum().over(window), after=steps["a"].sum().over(window))
    asked = {"n": levels.count()}
    for key in ("before", "after"):
        asked |= {f"most_{key}": levels[key].abs().max(), f"all_{key}": levels[key].abs().sum()}
    found = sums(people.source, levels, asked, "distribution functions")
    n = found["n"]
    largest = [found[f"most_{key}"] for key in ("before", "after")]
    mean = [found[f"all_{key}"] / n for key in ("before", "after")] if n > 2 else largest
    return np.column_stack([mean, largest])
