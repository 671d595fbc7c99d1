"""Estimate rows of a matched comparison."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from evaltoolkit.designs.matching import change
from evaltoolkit.designs.matching.effects import NORMAL, Effect
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.ratios import Ratio, odds_ratio, ratio_of_means
from evaltoolkit.results import Estimate
from evaltoolkit.results.types import ODDS_RATIO, RATE_RATIO, RISK_RATIO

ESTIMATORS: Final = {
    "difference": "difference in means, {done} sample",
    "regression": "regression on the {done} sample (g-computation)",
    "g-computation": "g-computation on the {done} sample",
    "aipw": "doubly robust (augmented inverse-probability weighting)",
}
_LINKS: Final = {"binary": "logit", "proportion": "logit", "count": "log-linear", "rate": "log-linear"}
RATIO_NAMES: Final = {RISK_RATIO: "risk ratio", ODDS_RATIO: "odds ratio", RATE_RATIO: "ratio of means"}


def estimator_name(fitted: Facts, effect: Effect) -> str:
    """Return how an effect was estimated, in words."""
    if fitted.options.outcome_before:
        return change.ESTIMATORS[effect.way].format(done=fitted.done)
    link = _LINKS.get(fitted.study.outcome.kind)
    if effect.way == "g-computation" and link is not None:
        return f"g-computation with a {link} outcome model, {fitted.done} sample"
    return ESTIMATORS[effect.way].format(done=fitted.done)


def effect_row(fitted: Facts, effect: Effect, kind: Literal["overall", "variant"]) -> Estimate:
    """Return one effect as an estimate row."""
    low, high = effect.interval(fitted.study.inference.level)
    outcome = fitted.study.outcome
    return Estimate(
        term=fitted.options.estimand, kind=kind, estimand=fitted.options.estimand, outcome=outcome.name,
        outcome_role=outcome.role, estimate=effect.estimate, std_error=effect.std_error, conf_low=_finite(low),
        conf_high=_finite(high), p_value=effect.p_value, n_obs=effect.n_people,
        df=None if effect.df > NORMAL else float(effect.df), n_units=effect.n_people, n_clusters=min(effect.n_clusters),
        estimator=estimator_name(fitted, effect), inference=effect.named,
        standing="primary" if kind == "overall" else "sensitivity",
    )  # fmt: skip


def estimates(fitted: Facts) -> tuple[Estimate, ...]:
    """Return the headline, its relative forms, and the other way to estimate it."""
    main = effect_row(fitted, fitted.main, "overall")
    rows = [main]
    if fitted.finds_relative:
        rows += _relative(fitted, main)
    if fitted.other is not None:
        rows.append(effect_row(fitted, fitted.other, "variant"))
    return tuple(rows)


def _relative(fitted: Facts, main: Estimate) -> list[Estimate]:
    effect, level, kind = fitted.main, fitted.study.inference.level, fitted.study.outcome.kind
    of_means = ratio_of_means(effect, level)
    found = []
    if of_means is not None:
        found.append(_percent(main, of_means))
        found.append(_ratio_row(main, of_means, RISK_RATIO if kind == "binary" else RATE_RATIO))
    odds = odds_ratio(effect, level) if kind == "binary" else None
    if odds is not None:
        found.append(_ratio_row(main, odds, ODDS_RATIO))
    return found


def _ratio_row(main: Estimate, ratio: Ratio, term: str) -> Estimate:
    return Estimate(
        term=term, kind="average", estimand=main.estimand, outcome=main.outcome, outcome_role=main.outcome_role,
        estimate=ratio.estimate, std_error=ratio.std_error, conf_low=ratio.low, conf_high=ratio.high,
        p_value=ratio.p_value, df=main.df, n_obs=main.n_obs, n_units=main.n_units, n_clusters=main.n_clusters,
        estimator=main.estimator, inference=f"delta method on the log {RATIO_NAMES[term]}, {main.inference}",
        standing="secondary",
    )  # fmt: skip


def _percent(main: Estimate, ratio: Ratio) -> Estimate:
    value, low, high = (100 * (v - 1) for v in (ratio.estimate, ratio.low, ratio.high))
    return Estimate(
        term="relative change", kind="percent", estimand=main.estimand, outcome=main.outcome,
        outcome_role=main.outcome_role, estimate=value, std_error=100 * ratio.std_error, conf_low=low, conf_high=high,
        p_value=ratio.p_value, df=main.df, n_obs=main.n_obs, n_units=main.n_units, n_clusters=main.n_clusters,
        estimator=main.estimator, inference=f"delta method on the log ratio, {main.inference}",
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
