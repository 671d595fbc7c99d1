"""The effect on the matched sample, with the standard error that the method calls for, named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaltoolkit.designs.matching.outcome_fit import Way

FloatArray = NDArray[np.float64]

NORMAL: Final = 1e6
"""Degrees of freedom above which the reference is called normal."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect on the matched sample: treated less comparison, averaged over the matched focal people.

    Attributes
    ----------
    way
        How it was estimated.
    estimate, std_error, df
        Effect, its standard error, and degrees of freedom of the t reference (infinite for the normal).
    means, covariance
        Adjusted mean without and with the program, shape (2,), and their covariance, shape (2, 2), where it is known.
    n_people, n_clusters
        People used, and clusters on each way.
    inference, why
        Name of the standard error, and why it is this one.
    aliased
        Names of regression terms that could not be estimated and were left out.
    separated
        Whether some coefficients of the outcome model run away, because covariates tell outcomes apart.
    ends, chance
        Interval and p-value where they do not follow from the standard error.
    """

    way: Way
    estimate: float
    std_error: float
    df: float
    means: FloatArray
    covariance: FloatArray | None
    n_people: int
    n_clusters: tuple[int, ...]
    inference: str
    why: str
    aliased: tuple[str, ...] = ()
    separated: bool = False
    ends: tuple[float, float] | None = None
    chance: float | None = None

    def reach(self, level: float) -> float:
        """Return how many standard errors the interval reaches to either side."""
        return float(stats.t.ppf(0.5 + level / 2, self.df))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the confidence interval."""
        if self.ends is not None:
            return self.ends
        reach = self.reach(level) * self.std_error
        return self.estimate - reach, self.estimate + reach

    @property
    def p_value(self) -> float:
        """Two-sided p-value."""
        if self.chance is not None:
            return self.chance
        if self.std_error == 0:
            return float(self.estimate == 0)
        return float(2 * stats.t.sf(abs(self.estimate) / self.std_error, self.df))

    @property
    def reference(self) -> str:
        """The law that interval and p-value refer to."""
        if self.ends is not None:
            return ""
        if self.df > NORMAL:
            return "normal"
        return f"t({self.df:.0f})" if float(self.df).is_integer() else f"t({self.df:.1f})"

    @property
    def named(self) -> str:
        """The standard error and its reference."""
        return ", ".join(part for part in (self.inference, self.reference) if part)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of the effect step.

    Attributes
    ----------
    way, kind
        How to estimate, and the outcome's kind.
    method
        Inference asked for.
    level, draws, seed
        Of intervals and of random draws.
    places
        Where ``effect`` and ``inference.method`` are declared, for messages.
    """

    way: Way
    kind: str
    method: str
    level: float
    draws: int
    seed: int
    places: tuple[str, str] = ("effect", "inference.method")
