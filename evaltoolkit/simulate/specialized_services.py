"""Young people served or not served by a specialized program: who is served depends on need."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.simulate.world import Draw, World, stream, variables

NAME: Final = "specialized-services"
YOUTH: Final = 1600
HOUSING_EFFECT: Final = 0.65  # in log odds of stable housing
WELLBEING_EFFECT: Final = 6.0  # points
SOURCES: Final = ("child welfare", "juvenile justice", "school or clinic", "outreach")

FloatArray = NDArray[np.float64]


def _share(log_odds: FloatArray) -> FloatArray:
    share: FloatArray = 1 / (1 + np.exp(-log_odds))
    return share


def _traits(rng: np.random.RandomState) -> pd.DataFrame:
    n = YOUTH
    age = rng.choice(np.arange(11, 18), n, p=[0.04, 0.06, 0.1, 0.17, 0.23, 0.22, 0.18])
    foster = rng.binomial(1, 0.38, n)
    times_left = np.minimum(rng.negative_binomial(1, 0.42, n) + rng.binomial(2, 0.25 * foster), 9)
    return pd.DataFrame(
        {
            "youth_id": [f"Y{i + 1:04d}" for i in range(n)],
            "age": age,
            "referral_source": rng.choice(np.array(SOURCES), n, p=[0.42, 0.27, 0.21, 0.1]),
            "foster_care": foster,
            "prior_placements": rng.poisson(0.5 + 1.6 * foster),
            "times_left_care": times_left,
            "school_enrolled": rng.binomial(1, np.clip(1.35 - 0.04 * age - 0.03 * times_left, 0.05, 0.95)),
            "indicator_score": np.clip(np.round(rng.normal(9 + 0.8 * times_left + 1.2 * foster, 3.5)), 0, 23).astype(
                int
            ),
        }
    )


def draw(seed: int, scale: float) -> Draw:
    """Draw the young people once."""
    rng = stream(NAME, seed)
    frame = _traits(rng)
    t = {c: frame[c].to_numpy(dtype=np.float64) for c in frame.columns if c not in {"youth_id", "referral_source"}}
    outreach = (frame["referral_source"] == "outreach").to_numpy(dtype=np.float64)
    need = 0.11 * (t["indicator_score"] - 11) + 0.16 * (t["times_left_care"] - 1.5)
    served = rng.binomial(1, _share(-1.55 + need + 0.35 * t["foster_care"] + 0.5 * outreach - 0.06 * (t["age"] - 15)))
    odds = (
        0.35 - 0.20 * (t["times_left_care"] - 1.5) - 0.05 * (t["indicator_score"] - 11) - 0.12 * t["prior_placements"]
        + 0.35 * t["school_enrolled"] + 0.05 * (t["age"] - 15)
    )  # fmt: skip
    without, with_program = _share(odds), _share(odds + scale * HOUSING_EFFECT)
    stable = rng.binomial(1, np.where(served == 1, with_program, without))
    level = (
        56 - 1.8 * (t["times_left_care"] - 1.5) - 0.7 * (t["indicator_score"] - 11) - 0.8 * t["prior_placements"]
        + 3.0 * t["school_enrolled"]
    )  # fmt: skip
    score = np.clip(level + rng.normal(0, 9, YOUTH), 8, 92) + scale * WELLBEING_EFFECT * served
    found = rng.binomial(1, np.clip(0.9 - 0.03 * t["times_left_care"], 0.5, 0.95)) == 1
    frame.insert(1, "served", served)
    frame["stable_housing_12m"] = pd.array(stable, dtype="Int64")
    frame["stable_housing_12m"] = frame["stable_housing_12m"].where(found)
    frame["wellbeing_12m"] = np.where(found, np.round(score, 1), np.nan)
    seen = found & (served == 1)
    truth = {
        "att_stable_housing": float(np.mean((with_program - without)[seen])),
        "att_wellbeing_points": scale * WELLBEING_EFFECT,
        "share_stable_without_program": float(np.mean(without[seen])),
    }
    return Draw(frame, truth, _CODEBOOK)


_CODEBOOK: Final = variables(
    NAME,
    (
        ("youth_id", "text", "", "identifier"),
        ("served", "0 or 1", "1 = enrolled in the specialized program within 30 days of referral", "treated"),
        ("age", "whole number", "years at referral", "covariate"),
        ("referral_source", "text", "who referred the young person", "covariate, exact"),
        ("foster_care", "0 or 1", "1 = in foster care at referral", "covariate"),
        ("prior_placements", "whole number", "placements before referral", "covariate"),
        ("times_left_care", "whole number", "times the young person left home or care in the year before",
         "covariate"),
        ("school_enrolled", "0 or 1", "1 = enrolled in school at referral", "covariate"),
        ("indicator_score", "whole number", "screening indicators of exploitation at referral, 0 to 23", "covariate"),
        ("stable_housing_12m", "0 or 1", "1 = in stable housing 12 months after referral; empty = not reached",
         "outcome (wellbeing)"),
        ("wellbeing_12m", "number", "self-reported wellbeing 12 months after referral, 0 to 100; empty = not reached",
         "outcome (wellbeing)"),
    ),
)  # fmt: skip

SPECIALIZED_SERVICES: Final = World(
    name=NAME,
    summary="young people served or not served by a specialized program; stable housing and wellbeing after 12 months",
    draw=draw,
)
