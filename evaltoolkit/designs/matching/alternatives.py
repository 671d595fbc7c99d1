"""Other reasonable ways to estimate the effect of a study: methods, calipers, ratios, weights, outcome models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from evaltoolkit.contract import Alternative
from evaltoolkit.designs.matching.in_engine_rules import in_engine
from evaltoolkit.designs.matching.keys import KEYS_OF
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.study import Study

Settings = dict[str, Any]

_METHODS: Final[tuple[tuple[Settings, bool], ...]] = (
    ({"method": "nearest", "caliper": 0.2}, True),
    ({"method": "nearest", "caliper": 0.2, "caliper_scale": "sd-logit"}, False),
    ({"method": "nearest", "caliper": 0.1}, False),
    ({"method": "nearest"}, False),
    ({"method": "nearest", "caliper": 0.2, "ratio": 2}, False),
    ({"method": "nearest", "caliper": 0.2, "ratio": 3}, False),
    ({"method": "nearest", "caliper": 0.2, "replace": True}, True),
    ({"method": "nearest", "distance": "mahalanobis"}, False),
    ({"method": "optimal"}, False),
    ({"method": "full"}, True),
    ({"method": "full", "caliper": 0.2}, False),
    ({"method": "subclass"}, True),
    ({"method": "subclass", "subclasses": 10}, False),
    ({"method": "coarsened-exact"}, False),
    ({"method": "cardinality"}, False),
    ({"method": "kernel"}, False),
    ({"method": "weighting", "weighting": "inverse-probability"}, True),
    ({"method": "weighting", "weighting": "overlap"}, True),
    ({"method": "weighting", "weighting": "matching"}, True),
    ({"method": "weighting", "weighting": "entropy"}, False),
    ({"method": "weighting", "weighting": "cbps"}, False),
    ({"method": "weighting", "weighting": "inverse-probability", "effect": "aipw"}, False),
)
"""Ways to make people comparable, and whether each is crossed with the ways to estimate the effect."""
_LARGE: Final = 5_000
"""People beyond whom cardinality matching, a search over whole numbers, takes too long to be one of many."""
_BY_METHOD: Final = frozenset().union(*KEYS_OF.values())
_NAMES: Final[Mapping[str, str]] = {
    "nearest": "Nearest", "optimal": "Optimal pairs", "full": "Full matching", "subclass": "Subclasses",
    "exact": "Exact", "coarsened-exact": "Coarsened exact", "cardinality": "Cardinality", "kernel": "Kernel",
    "radius": "Radius",
}  # fmt: skip
_WEIGHTS: Final[Mapping[str, str]] = {
    "inverse-probability": "Inverse-probability weights", "overlap": "Overlap weights", "matching": "Matching weights",
    "entropy": "Entropy balancing", "cbps": "Covariate-balancing weights", "energy": "Energy balancing",
}  # fmt: skip
_EFFECTS: Final[Mapping[str, str]] = {
    "difference": "difference in means", "regression": "regression", "g-computation": "g-computation",
    "aipw": "doubly robust",
}  # fmt: skip
_SCALES: Final[Mapping[str, str]] = {"sd-score": "SD of the score", "sd-logit": "SD of the logit", "raw": "raw units"}
_INCOMPLETE: Final[Mapping[str, str]] = {"drop": "left out", "indicator": "marked", "impute": "imputed"}


@dataclass(frozen=True, slots=True)
class Compared:
    """What alternatives depend on beyond the study: how many people, missing covariates, the engine that holds them.

    Attributes
    ----------
    n
        People.
    gaps
        Whether covariates are missing of people who are kept.
    backend
        The engine that the people stay in; None where rows are here.
    """

    n: int
    gaps: bool = False
    backend: str | None = None


def alternatives(study: Study, options: Options, people: Compared) -> tuple[Alternative, ...]:
    """Return the study's own way and the others, all of the same estimand, outcome and covariates.

    Methods are crossed with the ways to estimate the effect where that is cheap; calipers, ratios, reuse, weights and
    what is done about missing covariates are varied one at a time.
    """
    own = dict(study.settings)
    found = {_key(own): own}
    for settings in _candidates(study, options, people):
        if _agrees(settings) and _stays_there(study, settings, people):
            found.setdefault(_key(settings), settings)
    listed = [(settings, _choices(settings, people)) for settings in found.values()]
    return tuple(Alternative(_label(choices), choices, settings) for settings, choices in listed)


def _key(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return what makes settings the same: defaults are filled in."""
    full = {name: field.default for name, field in Options.model_fields.items()} | settings
    if full["method"] == "weighting":
        full["weighting"] = full["weighting"] or "inverse-probability"
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in full.items()}
    return tuple((name, repr(plain[name])) for name in sorted(plain))


def _agrees(settings: Settings) -> bool:
    """Return whether settings go together, by the rules of the options themselves."""
    try:
        Options.model_validate(settings)
    except ValidationError:
        return False
    return True


def _stays_there(study: Study, settings: Settings, people: Compared) -> bool:
    """Return whether an alternative can be estimated where the people are."""
    if people.backend is None:
        return True
    return in_engine(study, Options.model_validate(settings), people.backend)


def _candidates(study: Study, options: Options, people: Compared) -> Iterator[Settings]:
    own = dict(study.settings)
    effects = _effects(study, options)
    for effect in effects[1:]:
        yield own | {"effect": effect}
    for way, crossed in _METHODS:
        if way["method"] == "cardinality" and people.n > _LARGE:
            continue
        kept = {name: value for name, value in own.items() if name not in _BY_METHOD or _stays(name, way["method"])}
        plain = kept | way
        if "effect" in way:
            yield plain
            continue
        for effect in effects if crossed else effects[:1]:
            yield plain | {"effect": effect}
    if people.gaps:
        for incomplete in ("drop", "indicator"):
            yield {k: v for k, v in own.items() if k != "imputations"} | {"incomplete": incomplete}


def _stays(name: str, method: str) -> bool:
    """Return whether a key says what people must agree or differ on, and the method knows it: it is no choice then."""
    return name in {"exact", "antiexact", "calipers"} and name in KEYS_OF[method]


def _effects(study: Study, options: Options) -> list[str]:
    """Return the ways to estimate the effect, the study's own first (the plain regression for the doubly robust)."""
    own = "regression" if options.effect == "aipw" else options.effect
    found = [own, "regression", "difference"]
    if study.outcome.kind != "continuous" and not options.outcome_before:
        found.append("g-computation")
    return list(dict.fromkeys(found))


def _choices(settings: Settings, people: Compared) -> dict[str, str]:
    options = Options.model_validate(settings)
    found = {"Method": _method(options), "Outcome model": _EFFECTS[options.effect]}
    keys = KEYS_OF[options.method]
    if "caliper" in keys:
        scale = _SCALES[options.caliper_scale]
        found["Caliper"] = "none" if options.caliper is None else f"{options.caliper:g} {scale}"
    if options.method == "nearest":
        found["Reuse"] = "yes" if options.replace else "no"
    if people.gaps:
        found["Missing covariates"] = _INCOMPLETE[options.incomplete]
    return found


def _method(options: Options) -> str:
    if options.method == "weighting":
        return _WEIGHTS[options.weighting or "inverse-probability"]
    name = _NAMES[options.method]
    if options.method == "subclass":
        name = f"{options.subclasses} subclasses"
    parts = [name]
    if options.method in {"nearest", "cardinality"} or options.ratio > 1:
        parts.append(f"{options.ratio} to 1")
    if "distance" in KEYS_OF[options.method] and options.distance != "logit":
        parts.append(options.distance)
    if options.order is not None:
        parts.append(f"order {options.order}")
    if options.averages_ties:
        parts.append("ties averaged")
    return ", ".join(parts)


def _label(choices: Mapping[str, str]) -> str:
    """Return a name that tells the alternative from the others.

    >>> _label({"Method": "Nearest, 1 to 1", "Outcome model": "regression", "Caliper": "none", "Reuse": "yes"})
    'Nearest, 1 to 1, no caliper, with replacement, regression'
    """
    parts = [choices["Method"]]
    if "Caliper" in choices:
        parts.append("no caliper" if choices["Caliper"] == "none" else f"caliper {choices['Caliper']}")
    if choices.get("Reuse") == "yes":
        parts.append("with replacement")
    if "Missing covariates" in choices:
        parts.append(f"missing {choices['Missing covariates']}")
    return ", ".join([*parts, choices["Outcome model"]])
