"""How alike the groups are before and after matching: each covariate, the score, the predicted outcome, products."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.people import People
from evaltoolkit.kernels.balance import Balance, Spread, balances, denominators, is_binary
from evaltoolkit.kernels.balance_products import ProductBalance, product_balance
from evaltoolkit.kernels.effect_sizes import baseline_sizes
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPREADS: dict[str, Spread] = {"ATT": "first", "ATC": "second"}
"""Whose standard deviation mean differences are divided by; for every other estimand that of both groups."""
MOST_FOR_PRODUCTS = 45
"""Columns beyond which squares and products are not looked at: there would be more than a thousand."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Balance before and after matching.

    Attributes
    ----------
    before, after
        Balance of the score (first) and of the m shown covariates.
    predicted
        Balance of the predicted outcome, before and after.
    products
        Balance of squares and products of the shown covariates, before (first) and after; None where there are too
        many.
    sizes
        Hedges' g or Cox index of each shown covariate in the matched sample, shape (m,).
    """

    before: Balance
    after: Balance
    predicted: tuple[Balance, Balance]
    products: ProductBalance | None
    sizes: FloatArray


def measure(people: People, score: FloatArray, matched: Matched, estimand: str) -> Baseline:
    """Measure balance before and after matching; the denominators are those before, in both."""
    t, shown = people.treated, people.covariates.shown
    X = np.column_stack([score, shown, predicted_outcome(people)])
    spread = SPREADS.get(estimand, "pooled")
    before, after = balances(X, t, (None, matched.weights), denominators(X, t, spread))
    binary = np.array([is_binary(column) for column in shown.T])
    k = shown.shape[1]
    kept = columns_of(after, slice(0, k + 1))
    products = None
    if 1 < k <= MOST_FOR_PRODUCTS or (k == 1 and not binary[0]):
        weightings = (None, matched.weights)
        products = product_balance(shown, t, weightings, spread, people.covariates.shown_owner)
    used = matched.used
    sizes = baseline_sizes(kept, int((t & used).sum()), int((~t & used).sum()), np.r_[False, binary])[1:]
    predicted = columns_of(before, slice(k + 1, k + 2)), columns_of(after, slice(k + 1, k + 2))
    return Baseline(columns_of(before, slice(0, k + 1)), kept, predicted, products, sizes)


def columns_of(found: Balance, which: slice) -> Balance:
    """Return the balance of some of the columns."""
    return Balance(**{f.name: getattr(found, f.name)[which] for f in dataclasses.fields(found)})


def predicted_outcome(people: People) -> FloatArray:
    """Return the outcome that a linear model of those not served expects of everybody, shape (n,)."""
    X, others = people.covariates.X, ~people.treated
    center, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    Z = np.column_stack([np.ones(int(others.sum())), (X[others] - center) / spread])
    slopes = np.nan_to_num(least_squares(Z, people.outcome[others]).coefficients)[1:] / spread
    return np.asarray((X - center) @ slopes)


Category = Literal["satisfied", "adjust", "too far apart", "not defined"]


def category(size: float, satisfied: float, limit: float) -> Category:
    """Return the category of an effect size at baseline.

    >>> [category(v, 0.05, 0.25) for v in (-0.05, 0.2, 0.26, float("nan"))]
    ['satisfied', 'adjust', 'too far apart', 'not defined']
    """
    if np.isnan(size):
        return "not defined"
    return "satisfied" if abs(size) <= satisfied else "adjust" if abs(size) <= limit else "too far apart"
