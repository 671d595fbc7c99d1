"""Drop-in centers that send out street teams from different months on: young people reached, by center and month."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from evaltoolkit.simulate.world import Draw, World, stream, variables

NAME: Final = "outreach-centers"
CENTERS: Final = 16
MONTHS: Final = 60  # January 2015 to December 2019
FIRST_YEAR: Final = 2015
STARTS: Final = (24, 27, 30, 33)  # January, April, July or October 2017
HIRING: Final = (0.3, 0.7)  # share of the effect in the first two months of a team
RATIO: Final = 1.3  # young people reached with a team, per one reached without: typical center
SPREAD: Final = 0.1  # standard deviation of its log over centers


def draw(seed: int, scale: float) -> Draw:
    """Draw the centers once."""
    rng = stream(NAME, seed)
    month = np.arange(MONTHS)
    start = rng.permutation(np.repeat(STARTS, CENTERS // len(STARTS)))
    youth = np.round(np.exp(rng.normal(9.6, 0.4, CENTERS)), -1)
    own = scale * (np.log(RATIO) + SPREAD * rng.normal(0, 1, CENTERS))
    share = np.array([[0.0 if t < s else (*HIRING, 1.0)[min(t - s, 2)] for t in month] for s in start])
    base = np.log(rng.uniform(25, 70, CENTERS))[:, None] + rng.normal(0.002, 0.002, CENTERS)[:, None] * month
    season = 0.12 * np.cos(2 * np.pi * (month - 6) / 12)
    spread, carry = 0.12, 0.4
    shock = np.empty((CENTERS, MONTHS))
    shock[:, 0] = rng.normal(0, spread, CENTERS)
    for t in range(1, MONTHS):
        shock[:, t] = carry * shock[:, t - 1] + rng.normal(0, spread * np.sqrt(1 - carry**2), CENTERS)
    reached = rng.poisson(np.exp(base + season + own[:, None] * share + shock))
    frame = pd.DataFrame(
        {
            "center": np.repeat([f"Center {i + 1:02d}" for i in range(CENTERS)], MONTHS),
            "month": np.tile([_month(int(t)) for t in month], CENTERS),
            "team_month": np.repeat([_month(int(s)) for s in start], MONTHS),
            "reached": reached.ravel(),
            "youth_10_17": np.repeat(youth.astype(np.int64), MONTHS),
        }
    )
    return Draw(frame, {"rate_ratio": float(np.exp(own.mean()))}, _CODEBOOK)


def _month(t: int) -> str:
    return f"{FIRST_YEAR + t // 12}-{t % 12 + 1:02d}-01"


_CODEBOOK: Final = variables(
    NAME,
    (
        ("center", "text", "", "unit: a made-up drop-in center"),
        ("month", "date", "first day of the month, January 2015 to December 2019", "time"),
        ("team_month", "date", "first month with a street team", "first treated period"),
        ("reached", "whole number", "young people reached by the center in the month", "outcome (service-access)"),
        ("youth_10_17", "whole number", "residents of the center's area aged 10 to 17", "population at risk"),
    ),
)

OUTREACH_CENTERS: Final = World(
    name=NAME,
    summary="drop-in centers send out street teams from different months on; young people reached per month",
    draw=draw,
)
