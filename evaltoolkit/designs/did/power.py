"""What a study could find, from starts that never took place in the periods before the first one."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.contract import Power, PowerPoint
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.sample import PanelStudy, unit_words
from evaltoolkit.errors import NoPrePeriodError, OptionError
from evaltoolkit.kernels.aggregate import point
from evaltoolkit.kernels.detectable import PlaceboRule, PlaceboStarts, placebo_starts, power_curve
from evaltoolkit.kernels.group_time import effects
from evaltoolkit.reduction import Panel
from evaltoolkit.results import plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIMULATED: Final = 49
"""Assignments of starts drawn for each placebo date."""
PLANNED: Final = 199
FEWEST_PERIODS: Final = 3
MOST_UNITS: Final = 2000
POWER: Final = 0.8
SHARES: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Effects of the curve, in smallest detectable effects."""


def placebos(panel: Panel, options: Options, seed: int, draws: int = SIMULATED) -> PlaceboStarts | None:
    """Return effects of placebo starts before the first start; None where the panel does not allow them.

    Units must be seen in every period, without covariates; the estimate is the average over treated cells.
    """
    plain = panel.whole and not panel.covariates.shape[2] and panel.start.size <= MOST_UNITS
    calm = panel.periods + options.anticipation < panel.start.min()
    if not plain or int(calm.sum()) < FEWEST_PERIODS:
        return None

    def _estimate(outcome: FloatArray, start: IntArray, periods: IntArray) -> float:
        every, att = effects(outcome, start, periods, np.ones((start.size, 1, 1)), options.rule, panel.weights)
        cohort, period = (np.array([c[i] for c in every], dtype=np.int64) for i in (0, 1))
        cohorts, n = np.unique(start, return_counts=True)
        return float(point("simple", cohort, period, att, n[None, :].astype(np.float64), cohorts)[1][0])

    rule = PlaceboRule(options.anticipation, 1, 1, draws, seed)
    try:
        return placebo_starts(panel.outcome, panel.start, panel.periods, _estimate, rule, panel.clusters)
    except ValueError:
        return None


def power(study: Study, options: Options, data: PanelStudy) -> Power:
    """Return the smallest detectable effect and the curve.

    Raises
    ------
    OptionError
        The estimator or the panel is of a kind that placebo starts do not fit.
    NoPrePeriodError
        Too few periods lie before the first start.
    """
    panel = data.panel
    calm = int((panel.periods + options.anticipation < panel.start.min()).sum())
    if calm < FEWEST_PERIODS:
        raise NoPrePeriodError(
            f"{plural(calm, data.calendar.noun)} {'lies' if calm == 1 else 'lie'} before the first start",
            expected=f"{FEWEST_PERIODS} or more, in which placebo starts are tried", todo="use a longer panel",
            where=study.place("time"),
        )  # fmt: skip
    bare = dataclasses.replace(panel, covariates=panel.covariates[:, :, :0])
    found = placebos(bare, options, study.inference.seed, PLANNED) if options.panel else None
    alpha = 1 - study.inference.level
    curve = None if found is None else power_curve(found.estimates, np.zeros(1), alpha=alpha, power=POWER)
    if found is None or curve is None or not np.isfinite(curve.detectable):
        raise OptionError(
            "placebo starts cannot be made for this study",
            expected=f"at most {MOST_UNITS:,} units, the same in every period, and some that start later or never",
            todo="write incomplete = 'drop', or compare with more units", where=study.place("unit"),
        )  # fmt: skip
    effects_tried = np.array(SHARES) * curve.detectable
    tried = power_curve(found.estimates, effects_tried, alpha=alpha, power=POWER)
    matters = study.outcome.smallest_effect_that_matters
    at = None
    if matters is not None:
        at = float(power_curve(found.estimates, np.array([matters]), alpha=alpha, power=POWER).power[0])
    return Power(
        what="average effect on the treated", unit=_unit(study), null=0.0, smallest=float(curve.detectable),
        power=POWER, level=study.inference.level,
        curve=tuple(PowerPoint(float(e), float(c)) for e, c in zip(effects_tried, tried.power, strict=True)),
        matters=matters, power_at_matters=at, notes=_notes(study, options, data, found, calm),
    )  # fmt: skip


def _unit(study: Study) -> str:
    outcome = study.outcome
    if outcome.kind in {"binary", "proportion"}:
        return "as a share"
    return f"per {outcome.per:,.0f}" if outcome.population is not None and outcome.per != 1 else ""


def _notes(study: Study, options: Options, data: PanelStudy, found: PlaceboStarts, calm: int) -> tuple[str, ...]:
    units = unit_words(study, options)[1]
    return (
        f"{plural(calm, data.calendar.noun)} before the first start; only outcomes of these were used.",
        f"From {found.estimates.size:,} effects of starts that never took place, dealt out to {units} as the real ones "
        "were. They rest on fewer periods than the study, so a longer study finds smaller effects.",
        *(("Covariates were left out; with them, smaller effects may be found.",) if data.covariate_names else ()),
        *(
            ("By group-time averages (Callaway and Sant'Anna), whatever the estimator of the study.",)
            if options.estimator != "callaway-santanna"
            else ()
        ),
    )
