"""Balance of squares and products where people stay in an engine, as ``kernels.balance_products`` has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.baseline import MOST_FOR_PRODUCTS, SPREADS
from evaltoolkit.designs.matching.in_engine_balance import Groups
from evaltoolkit.designs.matching.in_engine_covariates import HeldCovariates
from evaltoolkit.kernels.balance_products import LOST, ProductBalance, product_pairs
from evaltoolkit.reduction.people import HeldPeople, count, small_of, where

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def products_of(
    people: HeldPeople, told: HeldCovariates, groups: Groups, hidden: list[bool], estimand: str, threshold: int
) -> ProductBalance | None:  # fmt: skip
    """Compare means of squares and products before and after matching; None where there are none, or too many.

    Products that rest on a few people are not asked for.
    """
    m = len(told.shown_names)
    binary = np.array(told.binary)
    if m > MOST_FOR_PRODUCTS or (m == 1 and bool(binary[0])):
        return None
    one, two = product_pairs(binary, np.array(told.shown_owner))
    asked_for = _asked_for(people, one, two, binary, np.array(hidden), threshold)
    scale = _scale(told, m)
    wanted: dict[str, Any] = {}
    for q in np.flatnonzero(asked_for).tolist():
        i, j = int(one[q]), int(two[q])
        x = people[f"s{i}"] * people[f"s{j}"] / float(scale[i] * scale[j])
        for a in (0, 1):
            mine, weight = where(people["t"] == a, people["z0"]), where(people["t"] == a, people["w"])
            wanted |= {
                f"b{a}_{q}": (mine * x).sum(),
                f"bb{a}_{q}": (mine * x * x).sum(),
                f"a{a}_{q}": (weight * x).sum(),
            }
    found = people.sums(wanted, "squares and products") if wanted else {}
    sizes = np.array([groups.comparison.n, groups.treated.n], dtype=np.float64)[:, None]
    of = {key: _table(found, key, one.size) for key in ("b", "bb", "a")}
    plain, squares, later = of["b"] / sizes, of["bb"] / sizes, of["a"] / groups.total[:, None]
    variances = np.where(
        binary[one] & binary[two], plain * (1 - plain), (squares - plain**2) * sizes / np.maximum(sizes - 1, 1)
    )
    variances = np.where(variances < LOST * squares, np.nan, variances)
    used = {"first": variances[1:], "second": variances[:1]}.get(SPREADS.get(estimand, "pooled"), variances)
    over = np.sqrt(np.clip(used.mean(axis=0), 0, None))
    smd = np.vstack([_gap(means, over) for means in (plain, later)])
    return ProductBalance(one, two, smd)


def _gap(means: FloatArray, over: FloatArray) -> FloatArray:
    zero, first = means
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isclose(first, zero, rtol=1e-12, atol=0), 0.0, (first - zero) / over)


def _table(found: dict[str, float], key: str, size: int) -> FloatArray:
    return np.array([[found.get(f"{key}{a}_{q}", np.nan) for q in range(size)] for a in (0, 1)])


def _scale(told: HeldCovariates, m: int) -> FloatArray:
    """Return about the largest size of each covariate, so that squares neither overflow nor vanish."""
    scale = np.ones(m)
    for k, j in enumerate(told.in_model):
        scale[j] = abs(told.center[k]) + told.spread[k]
    return scale


def _asked_for(
    people: HeldPeople, one: IntArray, two: IntArray, binary: Mask, hidden: Mask, threshold: int
) -> Mask:  # fmt: skip
    """Return which products may leave: of two yes/no covariates, those that count no few people."""
    allowed = ~(hidden[one] | hidden[two])
    counts = np.flatnonzero(allowed & binary[one] & binary[two]).tolist()
    if not counts or threshold == 0:
        return np.asarray(allowed)
    t, used = people["t"], people["w"] > 0
    asked: dict[str, Any] = {}
    for q in counts:
        x = people[f"s{int(one[q])}"] * people[f"s{int(two[q])}"]
        parts = [part for a in (0, 1) for part in (t == a, (t == a) & used, (t == a) & ~used)]
        small = small_of([count(part & (x == value)) for part in parts for value in (1, 0)], threshold)
        asked[f"f{q}"] = small.ifelse(1, 0)
    found = people.sums(asked, "products of a few people")
    allowed[[q for q in counts if found[f"f{q}"] > 0]] = False
    return np.asarray(allowed)
