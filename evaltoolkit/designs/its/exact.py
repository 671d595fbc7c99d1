"""Exact intervals of the ratio for series of few events: conditional on the total and on the trend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.measures import Measured, PlugIn
from evaltoolkit.designs.its.model import Functional, Model
from evaltoolkit.errors import NoVariationError, OptionError
from evaltoolkit.kernels.exact_counts import MOST_EVENTS, ExactLevel, exact_level

FloatArray = NDArray[np.float64]

TERMS = ("intercept", "trend", "level")
_PLACE = TERMS.index("level")
_SAME = 1e-8


@dataclass(frozen=True, slots=True)
class Exact:
    """The change of level, and what is the same number such as the ratio, by its conditional law.

    Numbers that hang on the trend too have the model's own errors.
    """

    coefficients: FloatArray
    covariance: FloatArray
    law: ExactLevel

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        plain = PlugIn(self.coefficients, self.covariance, None).measure(functional, level)
        gradient = np.abs(functional(self.coefficients)[1])
        same = (gradient[:, _PLACE] > 0) & (gradient[:, :_PLACE].max(axis=1) <= _SAME * gradient[:, _PLACE])
        if not same.any():
            return plain
        (low, high), p = self.law.interval(level), self.law.p_value()
        return Measured(
            plain.estimate, plain.std_error, np.where(same, low, plain.low), np.where(same, high, plain.high),
            np.where(same, p, plain.p_value), None,
        )  # fmt: skip


def exact(model: Model, coefficients: FloatArray, bread: FloatArray, where: str) -> Exact:
    """Return what measures numbers of the model.

    Raises
    ------
    OptionError
        The model has other terms than a trend and a change of level, or there are too many events.
    NoVariationError
        The events are so few, or so placed, that nothing bounds the ratio.
    """
    if model.names != TERMS:
        raise OptionError(
            f"errors = 'exact' with the terms {', '.join(model.names)}", expected="a trend and one change of level",
            todo="write effects = ['level'], with one interruption and without season or covariates", where=where,
        )  # fmt: skip
    events = int(model.response.sum())
    if events > MOST_EVENTS:
        raise OptionError(
            f"errors = 'exact' with {events:,} events", expected=f"at most {MOST_EVENTS:,}",
            todo="leave errors out: with so many events the default holds its level", where=where,
        )  # fmt: skip
    after = model.observed[:, _PLACE] > 0
    law = exact_level(model.response.astype(np.int64), model.steps, after, np.exp(model.offset))
    if law.observed in {int(law.support[0]), int(law.support[-1])}:
        raise NoVariationError(
            "given their total and their trend, the events could not have fallen more to one side",
            expected="events that leave the ratio bounded on both sides", where=where,
            todo="use a longer series, or longer periods",
        )  # fmt: skip
    return Exact(coefficients, bread, law)
