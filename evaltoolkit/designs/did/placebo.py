"""A single treated site beside every comparison site."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.designs.did.groups import cohorts_of
from evaltoolkit.results import Diagnostic, number

FEWEST = 5
"""Comparison sites below which a rank says little."""


def placebo_sites(fitted: Fitted) -> Diagnostic | None:
    """Return how many comparison sites moved apart from the others by as much as the single treated site did.

    Every site in turn is taken for the treated one: its change from the last period before the start to the mean of the
    periods since, less the mean change of the comparison sites that are left. None where there is not exactly one
    treated site, or few to compare with.
    """
    panel = fitted.panel
    treated = panel.start <= panel.periods[-1]
    n_compared = int((~treated).sum())
    if (
        int(treated.sum()) != 1
        or not panel.whole
        or n_compared < FEWEST
        or fitted.study.counts_people
        or fitted.data.covariate_names
    ):
        return None
    start = int(cohorts_of(panel)[0])
    before = np.flatnonzero(panel.periods + fitted.options.anticipation < start)[-1]
    change = panel.outcome[:, panel.periods >= start].mean(axis=1) - panel.outcome[:, before]
    compared = change[~treated]
    apart = compared - (compared.sum() - compared) / (n_compared - 1)
    own = float(change[treated][0] - compared.mean())
    # A hair of slack, so that equal changes count as equal whatever the order of summation.
    as_large = int((np.abs(apart) >= abs(own) * (1 - 1e-12)).sum())
    chance = (as_large + 1) / (n_compared + 1)
    return Diagnostic(
        name="placebo-sites",
        question=f"How unusual is the change of the single {fitted.one_unit}?",
        statistic=f"share of {fitted.unit} that moved apart by as much",
        value=chance,
        threshold=0.1,
        verdict="pass" if chance <= 0.1 else "caution",
        text=f"{as_large} of {n_compared} comparison {fitted.unit} moved apart from the others by as much as the one "
        f"that started the program. Had the {fitted.one_unit} been chosen by lot, so large a change would be seen with "
        f"a chance of {number(chance, 2)} without any effect.",
        reference="Abadie, Diamond and Hainmueller 2010, doi:10.1198/jasa.2009.ap08746",
    )
