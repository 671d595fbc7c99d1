"""Monthly contacts to a hotline around a public campaign, with seasons, a trend and months that resemble the last."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from evaltoolkit.simulate.world import Draw, World, stream, variables

NAME: Final = "hotline-campaign"
MONTHS: Final = 84  # January 2013 to December 2019
FIRST_YEAR: Final = 2013
CAMPAIGN: Final = 48  # January 2017
RATIO: Final = 1.35  # contacts with the campaign, per contact without it


def draw(seed: int, scale: float) -> Draw:
    """Draw the series once."""
    rng = stream(NAME, seed)
    month = np.arange(MONTHS)
    youth = np.round(1_150_000 * (1 + 0.0006 * month), -2)
    season = 0.12 * np.cos(2 * np.pi * (month - 3) / 12) + 0.05 * np.sin(4 * np.pi * month / 12)
    spread, carry = 0.08, 0.4
    shock = np.empty(MONTHS)
    shock[0] = rng.normal(0, spread)
    for t in range(1, MONTHS):
        shock[t] = carry * shock[t - 1] + rng.normal(0, spread * np.sqrt(1 - carry**2))
    after = month >= CAMPAIGN
    without = youth * np.exp(np.log(5.2e-5) + 0.0025 * month + season - spread**2 / 2)
    with_campaign = without * np.where(after, 1 + scale * (RATIO - 1), 1.0)
    contacts = rng.poisson(with_campaign * np.exp(shock))
    frame = pd.DataFrame(
        {
            "month": [f"{FIRST_YEAR + m // 12}-{m % 12 + 1:02d}-01" for m in month],
            "contacts": contacts,
            "youth_10_17": youth.astype(np.int64),
        }
    )
    extra = (with_campaign - without)[after] * np.exp(spread**2 / 2)
    truth = {
        "rate_ratio": 1 + scale * (RATIO - 1),
        "additional_contacts_per_month": float(extra.mean()),
        "additional_contacts_in_all": float(extra.sum()),
    }
    return Draw(frame, truth, _CODEBOOK)


_CODEBOOK: Final = variables(
    NAME,
    (
        ("month", "date", "first day of the month, January 2013 to December 2019", "time"),
        ("contacts", "whole number", "calls, texts and chats about a minor in the month", "outcome (service-access)"),
        ("youth_10_17", "whole number", "residents aged 10 to 17", "population at risk"),
    ),
)

HOTLINE_CAMPAIGN: Final = World(
    name=NAME,
    summary="monthly contacts to a state hotline before and after a public campaign, with seasons",
    draw=draw,
)
