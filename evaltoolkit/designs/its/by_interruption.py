"""What each of several interruptions added, until the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaltoolkit.designs.its.estimators import One
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.series import Mask


@dataclass(frozen=True, slots=True)
class Added:
    """What one interruption added.

    Attributes
    ----------
    start, end
        First and last period of its stretch, as places in the series.
    period, label
        Period of the interruption, and with the evaluator's words.
    average
        Mean difference from the course with the earlier interruptions alone, in display units.
    log_ratio
        Log of the ratio of totals; None where the model is on the outcome's own scale.
    """

    start: int
    end: int
    period: str
    label: str
    average: One
    log_ratio: One | None


def added(fitted: Fitted) -> tuple[Added, ...]:
    """Return what each interruption added from its start until the next; nothing where there is only one."""
    series, model = fitted.series, fitted.model
    if len(series.starts) == 1:
        return ()
    found = []
    for i, start in enumerate(series.starts):
        later = tuple(range(i + 1, len(series.starts)))
        with_it, before = model.without(*later), model.without(i, *later)
        among: Mask = series.steps >= start
        if later:
            among &= series.steps < series.starts[i + 1]
        weights = (among / among.sum())[None, :]
        average = fitted.main.measure(model.difference(with_it, before, weights), fitted.level).one()
        ratio = None
        if model.log_link:
            ratio = fitted.main.measure(model.ratio(with_it, before, among), fitted.level).one()
        places = np.flatnonzero(among)
        names = series.calendar.label(start), series.start_label(start)
        found.append(Added(int(places[0]), int(places[-1]), *names, average, ratio))
    return tuple(found)
