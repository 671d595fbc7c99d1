"""A study fitted in every imputed data set: match within each, estimate, pool by Rubin's rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from evaltoolkit.designs.matching.effects import Effect
from evaltoolkit.designs.matching.fitted import Fitted, Imputed, fit
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.kernels.rubin import Pooled, rubin
from evaltoolkit.study import Study

MANY: Final = 1e9


def fit_each(study: Study, options: Options, people: People) -> Fitted:
    """Fit a study, in each imputed data set where covariates are imputed.

    Matches, sizes and figures are those of the first imputed data set; effects are pooled over all.
    """
    draws = people.completed.draws if people.completed else ()
    if len(draws) < 2:
        return fit(study, options, people)
    fits = [fit(study, options, dataclasses.replace(people, covariates=draw)) for draw in draws]
    main, pooled = pooled_effect([one.main for one in fits])
    others = [one.other for one in fits if one.other is not None]
    other = pooled_effect(others)[0] if len(others) == len(fits) else None
    shown = fits[0].people.covariates.shown.shape[1]
    smd = np.array([one.after.smd[1:] for one in fits if one.after.smd.size == shown + 1])
    estimates = np.array([one.main.estimate for one in fits])
    return dataclasses.replace(fits[0], main=main, other=other, imputed=Imputed(pooled, estimates, smd))


def pooled_effect(effects: Sequence[Effect]) -> tuple[Effect, Pooled]:
    """Return an effect pooled over imputed data sets, its means with their covariance pooled too."""
    first = effects[0]
    estimates, errors = (np.array([getattr(e, name) for e in effects]) for name in ("estimate", "std_error"))
    # A normal reference is one with many degrees of freedom; the rules need a number.
    df = min(MANY, *(e.df for e in effects))
    found = rubin(estimates, errors**2, df)
    means = np.array([e.means for e in effects])
    between = np.cov(means.T) * (1 + 1 / len(effects))
    within = [e.covariance for e in effects if e.covariance is not None]
    covariance = np.mean(within, axis=0) + between if len(within) == len(effects) else None
    pooled = dataclasses.replace(
        first, estimate=found.estimate, std_error=found.std_error, df=found.df, means=means.mean(axis=0),
        covariance=covariance, inference=f"{first.inference}, pooled over {len(effects)} imputations",
        aliased=tuple(dict.fromkeys(name for e in effects for name in e.aliased)),
        separated=any(e.separated for e in effects), ends=None, chance=None,
    )  # fmt: skip
    return pooled, found
