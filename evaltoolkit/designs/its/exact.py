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
    """The change of level by its conditional law, and every effect at the ends of its interval.

    An effect is what vanishes with the change of level: the ratio, and differences. The ratio is exact; for differences
    the course with the program is held as it was modelled, so that they agree with the ratio on direction. Numbers of
    another kind, such as the trend, have the model's own errors.
    """

    coefficients: FloatArray
    covariance: FloatArray
    law: ExactLevel

    def centre(self, functional: Functional) -> FloatArray:
        """Return the numbers alone."""
        return PlugIn(self.coefficients, self.covariance, None).centre(functional)

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        plain = PlugIn(self.coefficients, self.covariance, None).measure(functional, level)
        effect = (plain.std_error > 0) & (np.abs(functional(self._at(0.0))[0]) <= _SAME * np.abs(plain.estimate))
        if not effect.any():
            return plain
        ends = np.stack([functional(self._at(end))[0] for end in self.law.interval(level)])
        return Measured(
            plain.estimate, plain.std_error, np.where(effect, ends.min(axis=0), plain.low),
            np.where(effect, ends.max(axis=0), plain.high), np.where(effect, self.law.p_value(), plain.p_value), None,
        )  # fmt: skip

    def _at(self, level: float) -> FloatArray:
        """Return coefficients with another change of level and the same course after the start."""
        b = self.coefficients.copy()
        b[0] += b[_PLACE] - level
        b[_PLACE] = level
        return b


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
