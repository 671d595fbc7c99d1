"""Other reasonable ways to estimate the effect of a study: estimators, crossed with a few choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evaltoolkit.contract import Alternative
from evaltoolkit.designs.did.catalogue import ESTIMATORS, Name
from evaltoolkit.designs.did.groups import cohorts_of
from evaltoolkit.designs.did.options import COMMON, Options
from evaltoolkit.designs.did.sample import PanelStudy
from evaltoolkit.results import plural
from evaltoolkit.study import Study

Settings = dict[str, Any]

_NAMES: Final[Mapping[Name, str]] = {
    "callaway-santanna": "Callaway-Sant'Anna", "two-by-two": "Two-by-two", "twfe": "Two-way fixed effects",
    "sun-abraham": "Sun-Abraham", "imputation": "Imputation", "two-stage": "Two-stage",
    "etwfe": "Extended two-way", "stacked": "Stacked", "lp-did": "Local projections",
    "chaisemartin": "Switching", "triple-difference": "Triple differences", "synthetic-did": "Synthetic",
}  # fmt: skip
_ALONE: Final = ("chaisemartin", "triple-difference")
"""Estimators with an effect of their own, which no other estimates."""
_STAY: Final = ("panel", "weights")
"""Settings that say what the data are; an estimator that cannot heed them is refused, with its reason."""
_FORMS: Final[Mapping[str, str]] = {"poisson": ", Poisson", "logit": ", logit", "equal": ", equal weights"}
_NEVER, _NOT_YET = "never treated", "not yet treated"
_COMPARED: Final[Mapping[str, str]] = {
    "twfe": "also already treated", "sun-abraham": _NEVER, "imputation": _NOT_YET, "two-stage": _NOT_YET,
    "synthetic-did": _NEVER,
}  # fmt: skip
"""Who the treated are compared with where the estimator leaves no choice."""
_ADJUSTED: Final = {"doubly-robust": "doubly robust", "weighting": "weighting", "regression": "regression"}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the data allow.

    Attributes
    ----------
    staggered
        Whether there are several starts, and never-treated units, so that it matters who is compared.
    single, synthetic
        Whether all start together, and whether units are complete and some never treated.
    noun
        What a period is.
    """

    staggered: bool
    single: bool
    synthetic: bool
    noun: str

    @classmethod
    def of(cls, data: PanelStudy) -> _Facts:
        """Look at the panel."""
        panel = data.panel
        cohorts = cohorts_of(panel)
        never = bool((panel.start > panel.periods[-1]).any()) and data.last_as_comparison is None
        complete = bool(np.isfinite(panel.outcome).all())
        return cls(never and cohorts.size > 1, cohorts.size == 1, never and complete, data.calendar.noun)


def alternatives(study: Study, options: Options, data: PanelStudy) -> tuple[Alternative, ...]:
    """Return the study's own way and the others.

    Every estimator that fits the study is there, crossed with who is compared, and with and without covariates;
    anticipation, other families and other weights are varied one at a time. Estimators that need columns of their own
    (triple differences, switching treatments) have no alternative but their own choices.
    """
    facts = _Facts.of(data)
    own = dict(study.settings)
    found = {_key(own): own}
    for estimator in _estimators(options, facts):
        for settings in _of_estimator(estimator, study, options, facts):
            found.setdefault(_key(settings), settings)
    chosen = [(settings, _choices(settings, options, facts)) for settings in found.values()]
    return tuple(Alternative(_label(settings, choices), choices, settings) for settings, choices in chosen)


def _key(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return what makes settings the same: defaults filled in, and no way to adjust where there is nothing to."""
    full = {name: field.default for name, field in Options.model_fields.items()} | settings
    full["covariates"] = tuple(full["covariates"])
    if not full["covariates"]:
        full["adjust"] = None
    return tuple((name, repr(full[name])) for name in sorted(full) if name != "placebo_outcomes")


def _estimators(options: Options, facts: _Facts) -> list[Name]:
    if options.estimator in _ALONE:
        return [options.estimator]
    if not options.panel:
        return ["callaway-santanna"]
    barred = {*_ALONE}
    barred |= set() if facts.single else {"two-by-two"}
    barred |= set() if facts.synthetic else {"synthetic-did"}
    return [options.estimator, *(name for name in ESTIMATORS if name not in barred and name != options.estimator)]


def _of_estimator(estimator: Name, study: Study, options: Options, facts: _Facts) -> Iterator[Settings]:
    """Yield settings of one estimator: who is compared crossed with covariates, the rest one at a time."""
    takes = ESTIMATORS[estimator].takes
    kept = {*COMMON, *takes, *_STAY} - {"placebo_outcomes"}
    stay = {name: value for name, value in study.settings.items() if name in kept} | {"estimator": estimator}
    first, *forms = _forms(estimator, study, options)
    for compared in _comparisons(takes, options, facts):
        for adjusted in _adjustments(takes, options):
            yield _bare(stay | first | compared | adjusted)
    plain = stay | next(iter(_adjustments(takes, options)))
    for form in forms:
        yield _bare(plain | form)
    if "anticipation" in takes:
        yield _bare(plain | first | {"anticipation": 0 if options.anticipation else 1})


def _bare(settings: Settings) -> Settings:
    """Return settings without a way to adjust where there is nothing to adjust for."""
    return settings if settings.get("covariates") else {k: v for k, v in settings.items() if k != "adjust"}


def _forms(estimator: Name, study: Study, options: Options) -> list[Settings]:
    """Return the forms of an estimator, the study's own (or else the plain one) first."""
    kind = study.outcome.kind
    forms: list[Settings] = [{}]
    if estimator in {"twfe", "etwfe"}:
        forms = [{"family": "linear"}]
        forms += [{"family": "poisson"}] if kind in {"count", "rate"} else []
        forms += [{"family": "logit"}] if kind in {"binary", "proportion"} and estimator == "etwfe" else []
    if estimator == "lp-did":
        forms = [{"weighting": "variance"}, {"weighting": "equal"}]
    if estimator != options.estimator:
        return forms
    mine = {name: getattr(options, name) for name in forms[0]}
    return [mine, *(form for form in forms if form != mine)]


def _comparisons(takes: frozenset[str], options: Options, facts: _Facts) -> list[Settings]:
    if "comparison" not in takes:
        return [{}]
    other = "not-yet-treated" if options.comparison == "never-treated" else "never-treated"
    words = [options.comparison, other] if facts.staggered else [options.comparison]
    return [{"comparison": word} for word in words]


def _adjustments(takes: frozenset[str], options: Options) -> list[Settings]:
    """Return the ways to adjust, the study's own first."""
    if not options.covariates or "covariates" not in takes:
        return [{}]
    named = {"covariates": list(options.covariates)}
    without: Settings = {"covariates": []}
    if "adjust" not in takes:
        return [named, without]
    ways = [options.adjust, *(way for way in _ADJUSTED if way != options.adjust)]
    return [*(named | {"adjust": way} for way in ways), without]


def _choices(settings: Settings, options: Options, facts: _Facts) -> dict[str, str]:
    estimator: Name = settings.get("estimator", "callaway-santanna")
    form = settings.get("family", "linear"), settings.get("weighting", "variance")
    found = {"Estimator": _NAMES[estimator] + "".join(_FORMS.get(word, "") for word in form)}
    takes = ESTIMATORS[estimator].takes
    if facts.staggered:
        asked = _NEVER if settings.get("comparison") == "never-treated" else _NOT_YET
        found["Comparison"] = asked if "comparison" in takes else _COMPARED.get(estimator, "")
    if options.covariates:
        way = settings.get("adjust", "doubly-robust") if "adjust" in takes else "regression"
        found["Covariates"] = _ADJUSTED[way] if settings.get("covariates") else "none"
    early = int(settings.get("anticipation", 0))
    found["Anticipation"] = plural(early, facts.noun) if early else "none"
    return {kind: words for kind, words in found.items() if words}


def _label(settings: Settings, choices: Mapping[str, str]) -> str:
    """Return a name that tells the alternative from the others: what the estimator leaves no choice about is left out.

    >>> choices = {"Estimator": "Stacked", "Comparison": "never treated", "Anticipation": "none"}
    >>> _label({"estimator": "stacked"}, choices)
    'Stacked, never treated'
    """
    takes = ESTIMATORS[settings.get("estimator", "callaway-santanna")].takes
    parts = [choices["Estimator"]]
    if "comparison" in takes and "Comparison" in choices:
        parts.append(choices["Comparison"])
    if "covariates" in takes and "Covariates" in choices:
        parts.append("no covariates" if choices["Covariates"] == "none" else f"covariates ({choices['Covariates']})")
    if choices["Anticipation"] != "none":
        parts.append(f"{choices['Anticipation']} of anticipation")
    return ", ".join(parts)
