"""What the words, tables and figures of a matched comparison are made from: numbers about groups, never rows.

``Facts`` come from rows (``fitted.Fitted``, which adds them) or from an engine that rows never leave
(``in_engine.EngineFacts``). What takes ``Facts`` cannot touch a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.baseline import Baseline
from evaltoolkit.designs.matching.effects import Effect
from evaltoolkit.designs.matching.matched import Fact
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import unit_word
from evaltoolkit.designs.matching.weighted_effects import FAMILIES
from evaltoolkit.kernels.arm_models import Family
from evaltoolkit.kernels.balance import Balance
from evaltoolkit.kernels.balance_products import ProductBalance
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

if TYPE_CHECKING:
    from evaltoolkit.designs.matching.keys import Model

FloatArray = NDArray[np.float64]

MOST_BINS, FEWEST_BINS = 20, 4


@dataclass(frozen=True, slots=True)
class Group:
    """One of the two groups.

    Attributes
    ----------
    n, used, discarded
        People with complete data, those in the matched sample, and those left out first for want of common support.
    effective
        Kish's effective size with the weights of the matched sample.
    largest
        Largest share of one person in the group's weight.
    """

    n: int
    used: int
    discarded: int
    effective: float
    largest: float

    @property
    def unmatched(self) -> int:
        """People who were looked at and are not in the matched sample."""
        return self.n - self.used - self.discarded


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of each group (treated first) in m bins of the score, before and after matching.

    Attributes
    ----------
    low, high
        Ends of the bins, shape (m,).
    before, after
        Shares, shape (2, m).
    bases
        Smallest count of people that a share rests on, by group and bin; None where rows are no people.
    """

    low: FloatArray
    high: FloatArray
    before: FloatArray
    after: FloatArray
    bases: tuple[tuple[int | None, ...], tuple[int | None, ...]]


@dataclass(frozen=True, slots=True)
class ScoreModel:
    """The model of the score: terms with the intercept first, empty where there is no regression."""

    model: Model | None = None
    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    std_errors: tuple[float, ...] = ()
    iterations: int = 0
    gradient: float | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of how people were made comparable.

    Attributes
    ----------
    n_sets
        Number of matched sets; of people where nobody stands in a set.
    complete
        Whether everybody whose effect is asked for is in the matched sample.
    width
        Caliper; None for none.
    told
        What the method says of its own work.
    """

    n_sets: int
    complete: bool
    width: float | None = None
    told: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """One matching study, estimated.

    Attributes
    ----------
    names, binary
        Shown covariates, and whether each holds 0 and 1 only.
    treated, comparison
        The two groups.
    outside
        People whose effect is asked for and whose score lies outside the other group's range.
    baseline
        Balance before and after matching.
    bases
        Smallest count of people on which the numbers of a shown covariate rest; see ``fitted.basis_of``.
    overlap
        The score in both groups.
    score_model, made
        How the score was estimated, and how people were made comparable.
    main, other
        The effect asked for, and the other way to estimate it (None where there are too few pairs for it).
    small_outcome
        Whether the outcome's counts in a group are so small that means must not be shown.
    outcome_spread
        Root of the mean of the groups' outcome variances in the matched sample.
    """

    study: Study
    options: Options
    names: tuple[str, ...]
    binary: tuple[bool, ...]
    treated: Group
    comparison: Group
    outside: int
    baseline: Baseline
    bases: tuple[int, ...]
    overlap: Histogram
    score_model: ScoreModel
    made: Made
    main: Effect
    other: Effect | None
    cells: SmallCells
    small_outcome: bool
    outcome_spread: float

    @property
    def before(self) -> Balance:
        """Balance of the score (first) and of the shown covariates before matching."""
        return self.baseline.before

    @property
    def after(self) -> Balance:
        """Balance of the score (first) and of the shown covariates after matching."""
        return self.baseline.after

    @property
    def products(self) -> ProductBalance | None:
        """Balance of squares and products of the shown covariates."""
        return self.baseline.products

    @property
    def sizes(self) -> FloatArray:
        """Hedges' g or Cox index of each shown covariate in the matched sample."""
        return self.baseline.sizes

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which shown covariates have numbers here: of those of a few people, an engine tells classes only."""
        return ~np.isnan(self.after.mean_first[1:])

    @property
    def n_used(self) -> int:
        """People in the matched sample."""
        return self.treated.used + self.comparison.used

    @property
    def focal(self) -> tuple[Group, ...]:
        """The groups whose effect is estimated."""
        one = {"ATT": self.treated, "ATC": self.comparison}.get(self.options.estimand)
        return (self.treated, self.comparison) if one is None else (one,)

    @property
    def focal_words(self) -> str:
        """Whose effect is estimated, as people of one group or of both."""
        group = {"ATT": "treated ", "ATC": "comparison "}.get(self.options.estimand, "")
        return f"{group}{self.unit}"

    @property
    def spread_words(self) -> str:
        """The standard deviation that mean differences are divided by."""
        group = {"ATT": "in the treated group", "ATC": "in the comparison group"}.get(self.options.estimand)
        return f"the standard deviation {group or 'of both groups (root of the mean variance)'} before {self.doing}"

    @property
    def family(self) -> Family:
        """Of outcome models that follow the kind of the outcome."""
        return FAMILIES.get(self.study.outcome.kind, "gaussian")

    @property
    def weighted(self) -> bool:
        """Whether people are weighted, not matched."""
        return self.options.method == "weighting"

    @property
    def doing(self) -> str:
        """What makes the groups alike: matching or weighting."""
        return "weighting" if self.weighted else "matching"

    @property
    def moments(self) -> tuple[str, str]:
        """Before and after, as names of panels."""
        return f"Before {self.doing}", f"After {self.doing}"

    @property
    def done(self) -> str:
        """What the groups are afterwards: matched or weighted."""
        return "weighted" if self.weighted else "matched"

    @property
    def unit(self) -> str:
        """What a row is, in the plural."""
        return unit_word(self.study)

    @property
    def finds_relative(self) -> bool:
        """Whether the outcome has a relative form that may be shown."""
        changes = bool(self.options.outcome_before)
        return self.study.outcome.kind != "continuous" and not self.small_outcome and not changes
