"""The call ``honest``: how far trends may differ before a finding is lost, from any event study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from evaltoolkit.errors import OptionError
from evaltoolkit.evaluation import Evaluation

if TYPE_CHECKING:
    import pandas as pd

    from evaltoolkit.kernels.honest import EventStudy, HonestRow

RELATIVE = (0.5, 1.0, 1.5, 2.0)
SMOOTH = (0.0, 0.1, 0.25, 0.5)
"""Changes of slope that are tried, in standard errors of the first effect."""


def honest(
    study: Evaluation | Sequence[float],
    covariance: Sequence[Sequence[float]] | None = None,
    *,
    event_times: Sequence[int] | None = None,
    reference: int = -1,
    restriction: Literal["relative", "smoothness"] = "relative",
    bounds: Sequence[float] | None = None,
    effect: int | Literal["average"] = "average",
    level: float = 0.95,
) -> pd.DataFrame:
    """Intervals that hold where trends were not parallel, for bounds on how far they differ (Rambachan and Roth).

    Parameters
    ----------
    study
        A difference-in-differences evaluation; or the estimates of an event study made anywhere, the reference left
        out.
    covariance, event_times, reference
        With estimates: their covariance, the event time of each (in any order, one period apart but for the
        reference), and the event time that all refer to.
    restriction
        ``relative``: later differences in trends are at most so many times the largest one before the start;
        ``smoothness``: the slope of the difference changes by at most so much from one period to the next.
    bounds
        What is tried; left out, 0.5 to 2 times, or changes of up to half a standard error of the first effect.
    effect
        An event time, or ``average`` over all from the start on.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        One row for parallel trends and one for each bound: ``restriction, bound, conf_low, conf_high``.
        ``.attrs["breakdown"]`` is the largest bound at which the interval leaves out zero (None where none does).

    Raises
    ------
    EvaluationError
        The event study has no path against one base, or an argument does not fit.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> import evaltoolkit as ev
    >>> found = ev.honest([0.5, 4.0], [[1, 0], [0, 1]], event_times=[-2, 0], bounds=[0, 1])
    >>> found.round(2).to_dict("list")["conf_low"], round(found.attrs["breakdown"], 2)
    ([2.04, 2.04, 1.13], 1.63)
    """
    import numpy as np
    import pandas as pd

    from evaltoolkit.kernels import honest as kernel
    from evaltoolkit.kernels.honest import HonestError

    times, path = _path(study, covariance, event_times, reference)
    weights = _weights(times[path.n_pre :], effect)
    if bounds is None:
        unit = float(np.sqrt(path.covariance[path.n_pre, path.n_pre]))
        bounds = RELATIVE if restriction == "relative" else [m * unit for m in SMOOTH]
    if restriction not in {"relative", "smoothness"}:
        raise OptionError.unknown("restriction", restriction, ("relative", "smoothness"))
    intervals = kernel.honest_relative if restriction == "relative" else kernel.honest_smoothness
    try:
        rows = [("parallel trends", kernel.original_interval(path, weights, level))]
        rows += [(restriction, row) for row in intervals(path, weights, list(bounds), level=level)]
        held = kernel.breakdown(path, weights, restriction, level=level, precision=1e-3).value
    except HonestError as error:
        raise OptionError(
            str(error), expected="bounds of zero or more, and a level between 0.5 and 1", todo="correct the argument"
        ) from None
    frame = pd.DataFrame([_row(name, row) for name, row in rows])
    frame.attrs["breakdown"] = held
    return frame


def _row(name: str, row: HonestRow) -> dict[str, Any]:
    return {"restriction": name, "bound": row.m, "conf_low": row.low, "conf_high": row.high}


def _path(study: Any, covariance: Any, event_times: Any, reference: int) -> tuple[Any, EventStudy]:
    """Return event times in order, and the event study."""
    import numpy as np

    from evaltoolkit.kernels.honest import EventStudy, HonestError

    if isinstance(study, Evaluation):
        found = study.sample.products.get("path")
        if found is None:
            raise OptionError(
                "this evaluation has no path by event time against one base with a covariance",
                expected="difference-in-differences with periods before and after the start, and errors",
                todo="use another estimator, or inference = 'analytic' or 'jackknife'",
            )
        return found.labels, EventStudy(found.estimates, found.covariance, found.n_before)
    estimates = np.asarray(study, dtype=np.float64)
    times = np.asarray([] if event_times is None else event_times, dtype=np.int64)
    V = np.asarray(np.zeros((0, 0)) if covariance is None else covariance, dtype=np.float64)
    order = np.argsort(times)
    steps = np.diff(np.sort(np.append(times, reference)))
    if times.shape != estimates.shape or V.shape != (times.size, times.size) or not (steps == 1).all():
        raise OptionError(
            f"{estimates.size} estimates, {times.size} event times and a covariance of shape {V.shape}",
            expected="as many of each, with event times one period apart but for the reference, which is left out",
            todo="give event_times and the covariance of the estimates, without the reference",
        )
    try:
        return times[order], EventStudy(estimates[order], V[np.ix_(order, order)], int((times < reference).sum()))
    except HonestError as error:
        raise OptionError(
            str(error), expected="an event time before the reference and one after, and a covariance without holes",
            todo="correct the estimates or the covariance",
        ) from None  # fmt: skip


def _weights(late: Any, effect: int | str) -> Any:
    import numpy as np

    inside = late >= 0 if effect == "average" else late == effect
    if not inside.any():
        raise OptionError(
            f"no effect at event time {effect}", expected=f"'average', or one of {', '.join(map(str, late))}",
            todo="choose another effect",
        )  # fmt: skip
    return np.asarray(inside / inside.sum(), dtype=np.float64)
