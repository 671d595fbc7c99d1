"""Simple estimators, written out, that recover a world's truth without the package's own estimators."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaltoolkit.simulate import Draw


def long_difference(
    draw: Draw, *, unit: str, time: str, first: str, outcome: str, per: float, covariate: str | None = None
) -> float:
    """Mean change of each cohort since the period before its start, less what the never-treated predict for it."""
    frame = draw.frame.sort_values([unit, time])
    units = frame[unit].nunique()
    rate = (per * frame[outcome] / frame["youth_10_17"]).to_numpy(dtype=float).reshape(units, -1)
    periods = sorted(frame[time].unique())
    starts = frame.drop_duplicates(unit)[first].map({p: i for i, p in enumerate(periods)}).to_numpy(dtype=float)
    never = np.isnan(starts)
    columns = [np.ones(units)]
    if covariate:
        columns.append(frame.drop_duplicates(unit)[covariate].to_numpy(dtype=float))
    x = np.column_stack(columns)
    total = 0.0
    for start in np.unique(starts[~never]).astype(int):
        change = rate[:, start:].mean(axis=1) - rate[:, start - 1]
        expected = x @ np.linalg.lstsq(x[never], change[never], rcond=None)[0]
        total += float((change - expected)[starts == start].sum())
    return total / int((~never).sum())


def regression_for_the_served(draw: Draw, outcome: str, *, log_odds: bool) -> float:
    """Fit the young people not served, predict for those served, and compare with what happened to them."""
    frame = draw.frame.dropna(subset=[outcome])
    names = ["age", "foster_care", "prior_placements", "times_left_care", "school_enrolled", "indicator_score"]
    x = np.column_stack([np.ones(len(frame)), frame[names].to_numpy(dtype=float)])
    x[:, 1:] -= x[:, 1:].mean(axis=0)
    y = frame[outcome].to_numpy(dtype=float)
    served = frame["served"].to_numpy() == 1
    beta = _logit_fit(x[~served], y[~served]) if log_odds else np.linalg.lstsq(x[~served], y[~served], rcond=None)[0]
    line = x[served] @ beta
    return float(np.mean(y[served] - (1 / (1 + np.exp(-line)) if log_odds else line)))


def _logit_fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ beta))
        beta = beta + np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]), x.T @ (y - p))
    return beta


def log_linear_ratio(draw: Draw) -> float:
    """Least squares of the log rate on a line, two harmonics and a step."""
    frame = draw.frame
    t = np.arange(len(frame))
    after = pd.to_datetime(frame["month"]).dt.year.to_numpy() >= 2017
    waves = [f(2 * np.pi * k * t / 12) for k in (1, 2) for f in (np.sin, np.cos)]
    x = np.column_stack([np.ones(len(t)), t, after, *waves])
    y = np.log(frame["contacts"] / frame["youth_10_17"])
    return float(np.linalg.lstsq(x, y.to_numpy(), rcond=None)[0][2])


def mean_of_sites(draw: Draw) -> float:
    """Least squares of each center's log count on a line, a wave and a step, without its first two months of a team."""
    found = []
    for _, frame in draw.frame.groupby("center"):
        t = np.arange(len(frame))
        start = int(np.flatnonzero(frame["month"] == frame["team_month"])[0])
        x = np.column_stack([np.ones(t.size), t, t >= start, np.sin(2 * np.pi * t / 12), np.cos(2 * np.pi * t / 12)])
        kept = (t < start) | (t >= start + 2)
        found.append(np.linalg.lstsq(x[kept], np.log(frame["reached"].to_numpy()[kept]), rcond=None)[0][2])
    return float(np.mean(found))


def estimates(world: str, draw: Draw) -> Mapping[str, tuple[float, float]]:
    """Return (estimate, truth) of each effect of a world."""
    truth = draw.truth
    if world == "training-counties":
        found = long_difference(draw, unit="county", time="quarter", first="training_quarter", outcome="recognized",
                                per=10_000, covariate="urban_share")  # fmt: skip
        return {"rate": (found, truth["att_group_per_10000"])}
    if world == "safe-harbor-states":
        return {
            name: (
                long_difference(draw, unit="state", time="year", first="law_year", outcome=name, per=100_000),
                truth[f"att_group_{name}_per_100000"],
            )
            for name in ("arrests", "referrals")
        }
    if world == "specialized-services":
        return {
            "housing": (
                regression_for_the_served(draw, "stable_housing_12m", log_odds=True),
                truth["att_stable_housing"],
            ),
            "wellbeing": (
                regression_for_the_served(draw, "wellbeing_12m", log_odds=False),
                truth["att_wellbeing_points"],
            ),
        }
    if world == "outreach-centers":
        return {"log ratio": (mean_of_sites(draw), float(np.log(truth["rate_ratio"])))}
    return {"log ratio": (log_linear_ratio(draw), float(np.log(truth["rate_ratio"])))}
