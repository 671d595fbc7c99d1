"""States that pass safe-harbor laws in different years: arrests of young victims, and referrals to services."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from evaltoolkit.simulate.world import Draw, World, stream, variables

NAME: Final = "safe-harbor-states"
YEARS: Final = range(2005, 2020)
COHORTS: Final = {2010: 5, 2012: 6, 2014: 7, 2016: 6}  # first full year of the law: number of states
NEVER: Final = 16
FEWER_ARRESTS: Final = (0.6, 1.1, 1.4)  # per 100,000 youth in the first, second and later years
MORE_REFERRALS: Final = (0.3, 0.9, 1.6)


def effect_at(path: tuple[float, ...], cohort: int, year: int, scale: float) -> float:
    """Return the size of an effect on a rate per 100,000 in a year, for states whose law began in ``cohort``."""
    return scale * path[min(year - cohort, len(path) - 1)] if year >= cohort else 0.0


def _att(path: tuple[float, ...], scale: float) -> float:
    total = sum(COHORTS.values())
    means = {g: np.mean([effect_at(path, g, y, scale) for y in YEARS if y >= g]) for g in COHORTS}
    return float(sum(n / total * means[g] for g, n in COHORTS.items()))


def draw(seed: int, scale: float) -> Draw:
    """Draw the states once."""
    rng = stream(NAME, seed)
    n = sum(COHORTS.values()) + NEVER
    years = np.array(list(YEARS))
    cohort = rng.permutation(np.repeat([*COHORTS, 0], [*COHORTS.values(), NEVER]))
    youth = np.round(np.exp(rng.normal(13.2, 0.6, n))[:, None] * (1 + 0.002 * (years - YEARS[0])), -2)
    since = years - YEARS[0]
    arrests = rng.uniform(3.5, 5.5, n)[:, None] - 0.11 * since
    referrals = rng.uniform(1.5, 3.0, n)[:, None] + 0.12 * since
    for i, g in enumerate(cohort):
        if g > 0:
            arrests[i] -= [effect_at(FEWER_ARRESTS, int(g), int(y), scale) for y in years]
            referrals[i] += [effect_at(MORE_REFERRALS, int(g), int(y), scale) for y in years]
    spread = 0.12
    shocks = np.exp(rng.normal(-(spread**2) / 2, spread, (2, n, len(years))))
    frame = pd.DataFrame(
        {
            "state": np.repeat([f"State {i + 1:02d}" for i in range(n)], len(years)),
            "year": np.tile(years, n),
            "law_year": pd.array(np.repeat(np.where(cohort > 0, cohort, -1), len(years)), dtype="Int64"),
            "arrests": rng.poisson(youth * arrests * shocks[0] / 100_000).ravel(),
            "referrals": rng.poisson(youth * referrals * shocks[1] / 100_000).ravel(),
            "youth_10_17": youth.ravel().astype(np.int64),
        }
    )
    frame["law_year"] = frame["law_year"].mask(frame["law_year"] < 0)
    truth = {
        "att_group_arrests_per_100000": -_att(FEWER_ARRESTS, scale),
        "att_group_referrals_per_100000": _att(MORE_REFERRALS, scale),
        "incidence_ratio": 1.0,
    }
    return Draw(frame, truth, _CODEBOOK)


_CODEBOOK: Final = variables(
    NAME,
    (
        ("state", "text", "", "unit: a made-up state"),
        ("year", "year", "2005 to 2019", "time"),
        ("law_year", "year", "first full year of the law; empty = no law by 2019", "first treated period"),
        ("arrests", "whole number",
         "arrests of minors coded as prostitution offences in the year; the young people arrested are victims",
         "outcome (justice-contact)"),
        ("referrals", "whole number", "minors referred to victim services in the year", "outcome (service-access)"),
        ("youth_10_17", "whole number", "residents aged 10 to 17", "population at risk"),
    ),
)  # fmt: skip

SAFE_HARBOR_STATES: Final = World(
    name=NAME,
    summary="states pass safe-harbor laws in different years; arrests of young victims and referrals to services",
    draw=draw,
)
