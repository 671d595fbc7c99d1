"""Counties whose staff are trained at different times: quarterly counts of minors recognized as exploited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.simulate.world import Draw, World, stream, variables

NAME: Final = "training-counties"
FIRST_YEAR: Final = 2016
QUARTERS: Final = 28
COHORTS: Final = {8: 8, 13: 9, 18: 9}  # quarter of the training (0 = 2016 Q1): number of counties
NEVER: Final = 22
RAMP: Final = (0.35, 0.65, 0.9, 1.0)  # share of the full effect in the first quarters; full from then on
FULL_EFFECT: Final = {8: 1.1, 13: 1.0, 18: 0.8}  # per 10,000 youth and quarter
SEASON: Final = (0.05, 0.1, -0.2, 0.05)  # fewer reports while schools are closed
SCHOOLS_CLOSED: Final = {17: -0.45, 18: -0.3, 19: -0.2}  # 2020 Q2 to Q4, in every county
URBAN_TREND: Final = 0.02  # extra rise per quarter in a wholly urban county
_FIRST: Final = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fern", "Hazel", "Juniper", "Laurel", "Maple", "Rowan")
_LAST: Final = ("brook", "croft", "dell", "fold", "mere", "stead")


def _names(n: int) -> list[str]:
    return [first + last for last in _LAST for first in _FIRST][:n]


def _quarter(step: int) -> str:
    return f"{FIRST_YEAR + step // 4}Q{step % 4 + 1}"


def effect_at(cohort: int, step: int, scale: float) -> float:
    """Return the true effect on the rate per 10,000 in a quarter, for counties trained in quarter ``cohort``."""
    if step < cohort:
        return 0.0
    return scale * FULL_EFFECT[cohort] * RAMP[min(step - cohort, len(RAMP) - 1)]


def _truth(scale: float, population: NDArray[np.float64], cohort: NDArray[np.int64]) -> dict[str, float]:
    by_cohort = {g: np.mean([effect_at(g, t, scale) for t in range(g, QUARTERS)]) for g in COHORTS}
    weights = {g: COHORTS[g] / sum(COHORTS.values()) for g in COHORTS}
    extra = sum(
        p * effect_at(int(g), t, scale) / 10_000
        for p, g in zip(population, cohort, strict=True) if g >= 0 for t in range(int(g), QUARTERS)
    )  # fmt: skip
    return {
        "att_group_per_10000": float(sum(weights[g] * by_cohort[g] for g in COHORTS)),
        **{f"att_{_quarter(g)}_per_10000": float(v) for g, v in by_cohort.items()},
        **{
            f"att_event_{e}_per_10000": float(sum(weights[g] * effect_at(g, g + e, scale) for g in COHORTS))
            for e in range(len(RAMP))
        },
        "additional_minors_recognized": float(extra),
        "incidence_ratio": 1.0,
    }


@dataclass(frozen=True, slots=True)
class _Traits:
    """What is fixed about n counties, each of shape (n,); ``cohort`` is -1 where nobody was trained."""

    urban: NDArray[np.float64]
    population: NDArray[np.float64]
    caseload: NDArray[np.float64]
    cohort: NDArray[np.int64]


def _traits(rng: np.random.RandomState, n: int) -> _Traits:
    urban = np.asarray(np.round(rng.beta(2.0, 2.0, n), 2), dtype=np.float64)
    population = np.asarray(np.round(np.exp(rng.normal(9.7 + 1.2 * urban, 0.35)), -1), dtype=np.float64)
    caseload = np.asarray(np.round(np.clip(rng.normal(9.0 + 3.0 * urban, 2.0), 3.0, None), 1), dtype=np.float64)
    # Training came to urban counties a little sooner.
    order = np.argsort(-(urban + rng.normal(0, 0.6, n)), kind="stable")
    cohort = np.full(n, -1, dtype=np.int64)
    cohort[order[: sum(COHORTS.values())]] = rng.permutation(np.repeat(list(COHORTS), list(COHORTS.values())))
    return _Traits(urban, population, caseload, cohort)


def _county_shocks(rng: np.random.RandomState, n: int) -> NDArray[np.float64]:
    """Return factors with mean one that last from quarter to quarter."""
    spread, carry = 0.12, 0.5
    shock = np.empty((n, QUARTERS))
    shock[:, 0] = rng.normal(0, spread, n)
    for t in range(1, QUARTERS):
        shock[:, t] = carry * shock[:, t - 1] + rng.normal(0, spread * np.sqrt(1 - carry**2), n)
    return np.exp(shock - spread**2 / 2)


def draw(seed: int, scale: float) -> Draw:
    """Draw the counties once."""
    rng = stream(NAME, seed)
    n = sum(COHORTS.values()) + NEVER
    county = _traits(rng, n)
    shock = _county_shocks(rng, n)
    level = 1.2 + 0.7 * county.urban + 0.03 * (county.caseload - 10) + rng.uniform(-0.3, 0.3, n)
    step = np.arange(QUARTERS)
    common = np.array([SEASON[t % 4] + 0.015 * t + SCHOOLS_CLOSED.get(t, 0.0) for t in range(QUARTERS)])
    effect = [[effect_at(g, t, scale) if g >= 0 else 0.0 for t in range(QUARTERS)] for g in county.cohort.tolist()]
    rate = level[:, None] + common + URBAN_TREND * county.urban[:, None] * step + np.array(effect)
    youth = np.round(county.population[:, None] * (1 + 0.001 * step))
    recognized = rng.poisson(youth * rate * shock / 10_000)
    quarters = [_quarter(t) for t in range(QUARTERS)]
    starts = [quarters[g] if g >= 0 else "" for g in county.cohort.tolist()]
    frame = pd.DataFrame(
        {
            "county": np.repeat(_names(n), QUARTERS),
            "quarter": np.tile(quarters, n),
            "training_quarter": np.repeat(starts, QUARTERS),
            "recognized": recognized.ravel(),
            "youth_10_17": youth.ravel().astype(np.int64),
            "urban_share": np.repeat(county.urban, QUARTERS),
            "caseload_2015": np.repeat(county.caseload, QUARTERS),
        }
    )
    frame = frame.sort_values(["county", "quarter"], ignore_index=True)
    return Draw(frame, _truth(scale, county.population, county.cohort), _CODEBOOK)


_CODEBOOK: Final = variables(
    NAME,
    (
        ("county", "text", "", "unit: a made-up county"),
        ("quarter", "quarter", "year and quarter, 2016Q1 to 2022Q4", "time"),
        ("training_quarter", "quarter", "year and quarter; empty = not trained by 2022Q4", "first treated period"),
        ("recognized", "whole number", "minors recognized as exploited in the quarter", "outcome (identification)"),
        ("youth_10_17", "whole number", "residents aged 10 to 17", "population at risk"),
        ("urban_share", "number", "share of residents in urban areas, 0 to 1", "covariate, fixed before the program"),
        ("caseload_2015", "number", "open child-welfare cases per 1,000 children in 2015",
         "covariate, fixed before the program"),
    ),
)  # fmt: skip

TRAINING_COUNTIES: Final = World(
    name=NAME,
    summary="counties train child-welfare and juvenile-justice staff at different times; minors recognized per quarter",
    draw=draw,
)
