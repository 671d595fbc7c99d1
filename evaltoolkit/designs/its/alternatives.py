"""Other reasonable ways to estimate the effect of a study: error models, seasons, shapes and phase-ins, crossed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from evaltoolkit.contract import Alternative
from evaltoolkit.designs.its.options import Harmonics, Options
from evaltoolkit.designs.its.series import Series
from evaltoolkit.designs.its.shapes import PhaseIn
from evaltoolkit.results import plural
from evaltoolkit.study import Study

Settings = dict[str, Any]

_GAUSSIAN: Final = ("marginal-ar1", "newey-west", "prais-winsten", "gls", "ols")
_COUNTS: Final = ("marginal-ar1", "newey-west", "model-based")
_ERRORS: Final[Mapping[str, str]] = {
    "marginal-ar1": "marginal AR(1)", "marginal-ar2": "marginal AR(2)", "marginal-seasonal-ar": "marginal seasonal AR",
    "newey-west": "Newey-West", "prais-winsten": "Prais-Winsten", "gls": "GLS", "arma": "GLS ARMA", "arima": "ARIMA",
    "exact": "exact", "ols": "unrelated errors", "model-based": "unrelated counts",
}  # fmt: skip
_SHAPES: Final = (["level"], ["level", "slope"])
_SEASONED: Final = 24
"""Periods that a series needs before seasons are tried, and twice as many for a level of each month."""
_PHASE: Final[Mapping[str, int]] = {"day": 14, "week": 4, "month": 3, "quarter": 1, "year": 1}
_AFTER: Final = 8
"""Periods that must be left after the start when some are taken out as a phase-in."""


def alternatives(study: Study, options: Options, series: Series) -> tuple[Alternative, ...]:
    """Return the study's own way and the others: every error model with every season, shape and phase-in.

    Seasons are tried where the series has two years; a phase-in where enough periods follow it. Shapes are not varied
    where an interruption has a shape of its own.
    """
    own = dict(study.settings)
    ways = (
        _errors(options), _seasons(options, series), _shapes(options, series), _phases(options, series),
    )  # fmt: skip
    found: dict[str, tuple[Settings, dict[str, str]]] = {}
    for choice in itertools.product(*ways):
        settings = dict(own)
        for changes, _ in choice:
            settings = _changed(settings, changes)
        words = {kind: said for _, (kind, said) in choice}
        found.setdefault(repr(sorted(settings.items(), key=str)), (settings, words))
    return tuple(Alternative("; ".join(words.values()), words, settings) for settings, words in found.values())


def _changed(settings: Settings, changes: Settings) -> Settings:
    changed = {**settings, **changes}
    return {key: value for key, value in changed.items() if value is not None}


Way = tuple[Settings, tuple[str, str]]


def _errors(options: Options) -> list[Way]:
    """Return the error models, the study's own first with its details."""
    known = _COUNTS if options.counts else _GAUSSIAN
    ways: list[Way] = [({}, ("Errors", _ERRORS[options.errors]))]
    for errors in known:
        if errors != options.errors:
            ways.append(({"errors": errors, "lags": None, "error_model": None}, ("Errors", _ERRORS[errors])))
    return ways


def _season_words(season: object) -> str:
    if season is None:
        return "no season"
    if isinstance(season, Harmonics):
        return plural(season.harmonics, "wave")
    return "a level for each season"


def _seasons(options: Options, series: Series) -> list[Way]:
    ways: list[Way] = [({}, ("Season", _season_words(options.season)))]
    yearly = series.calendar.unit in {"month", "quarter", "week"}
    n = series.steps.size
    wanted: list[tuple[Any, str]] = [(None, "no season")]
    if yearly and n >= _SEASONED:
        wanted.append(({"harmonics": 1}, "1 wave"))
    if series.calendar.unit in {"month", "quarter"} and n >= 2 * _SEASONED:
        wanted.append(("months", "a level for each season"))
    mine = _season_words(options.season)
    ways += [({"season": season}, ("Season", words)) for season, words in wanted if words != mine]
    return ways


def _shapes(options: Options, series: Series) -> list[Way]:
    mine = [effect if isinstance(effect, str) else effect.shape for effect in options.effects]
    ways: list[Way] = [({}, ("Change", " and ".join(mine)))]
    if series.own:
        return ways
    return ways + [({"effects": shape}, ("Change", " and ".join(shape))) for shape in _SHAPES if shape != mine]


def _phases(options: Options, series: Series) -> list[Way]:
    """Return the study's own phase-in, and one as well as none."""
    noun = series.calendar.noun
    if options.phase_in is not None:
        return [({}, ("Phase-in", _phase_words(options, noun))), ({"phase_in": None}, ("Phase-in", "no phase-in"))]
    ways: list[Way] = [({}, ("Phase-in", "no phase-in"))]
    length = _PHASE.get(series.calendar.unit, 0)
    after = int((series.steps >= series.starts[-1]).sum())
    if length and len(series.starts) == 1 and after - length >= _AFTER:
        ways.append(({"phase_in": length}, ("Phase-in", f"{plural(length, noun)} left out")))
    return ways


def _phase_words(options: Options, noun: str) -> str:
    phase = options.phase
    assert isinstance(phase, PhaseIn)
    length = f"until {phase.until}" if phase.periods is None else plural(phase.periods, noun)
    return f"{length} {'left out' if phase.treated == 'excluded' else 'ramped'}"
