"""Estimate the alternatives of a study, each by the same steps as the study itself, seal included."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from evaltoolkit.contract import Alternative, OffersAlternatives, small_cells
from evaltoolkit.errors import DesignFileError, EvaluationError, OptionError
from evaltoolkit.pipeline import Evaluated, headline_of
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.registry import DESIGNS, entry_for
from evaltoolkit.results import Estimate
from evaltoolkit.results.identifiers import IdentifierGuard
from evaltoolkit.study import Study

TOO_FEW: Final = "not shown: it rests on nearly the same people as another analysis, and few could be worked out"
HIDDEN: Final = "not shown: hidden by the small-cell rule"
NOT_POSSIBLE: Final = "it cannot be estimated with these data"


@dataclass(frozen=True, slots=True)
class Analysis:
    """One way to estimate the effect.

    Attributes
    ----------
    label, choices
        Its name, and what it chose, by kind of choice.
    changes
        Settings that differ from the study's own.
    own
        Whether it is the study's own.
    estimate
        The sealed headline; None where there is none that can be shown.
    reason
        Why there is none, in one line.
    """

    label: str
    choices: Mapping[str, str]
    changes: Mapping[str, Any]
    own: bool
    estimate: Estimate | None
    reason: str = ""


def analyses(evaluated: Evaluated, on_start: Callable[[int, int, str], object] | None = None) -> tuple[Analysis, ...]:
    """Return the study's own analysis and every alternative, in the order in which the design lists them.

    The rows are those that were read for the study. Inference is ``auto`` for alternatives. Where rows are people, an
    analysis of nearly the same people as another (fewer than the threshold apart) is not shown: the two together would
    say something about the few.

    Parameters
    ----------
    evaluated
        The evaluated study.
    on_start
        Called before each alternative with its number, how many there are, and its label.

    Raises
    ------
    OptionError
        The design, or this study, has no alternative.
    """
    study = evaluated.study
    own, *others = _listed(evaluated)
    apart = _Apart(study, evaluated.sample, evaluated.result.headline)
    defaults = {name: field.default for name, field in type(evaluated.options).model_fields.items()}
    estimate, reason = _shown(evaluated.result.headline)
    found = [Analysis(own.label, dict(own.choices), {}, own=True, estimate=estimate, reason=reason)]
    for i, other in enumerate(others):
        if on_start is not None:
            on_start(i + 1, len(others), other.label)
        changes = _changes(defaults | dict(own.settings), defaults | dict(other.settings))
        estimate, reason = _attempt(evaluated, other, apart)
        found.append(Analysis(other.label, dict(other.choices), changes, own=False, estimate=estimate, reason=reason))
    guard = IdentifierGuard(evaluated.sample.identifiers)
    return tuple(_safe(one, study, guard) for one in found)


def _listed(evaluated: Evaluated) -> tuple[Alternative, ...]:
    study = evaluated.study
    design = entry_for(study.design).load()
    if not isinstance(design, OffersAlternatives):
        raise OptionError(
            f"design = '{study.design}' has no alternatives to compare", expected=f"a study of {_offering()}",
            todo="use 'evaltoolkit run', whose report lists other analyses", where=study.place("design"),
        )  # fmt: skip
    listed = design.alternatives(study, evaluated.options, evaluated.sample)
    if len(listed) < 2:
        raise OptionError(
            "no other analysis estimates the effect that this study asks for",
            expected="an estimator that has alternatives", todo="choose another estimator, or use 'evaltoolkit run'",
            where=study.place("estimator"),
        )  # fmt: skip
    return listed


def _offering() -> str:
    """Return the designs that have alternatives."""
    return " or ".join(entry.kind for entry in DESIGNS if isinstance(entry.load(), OffersAlternatives))


def _changes(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of another analysis that are not the study's own; defaults are filled in."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}
    changed = {key: list(value) if isinstance(value, tuple) else value for key, value in other.items()}
    return {key: value for key, value in changed.items() if value != plain.get(key)}


def _shown(headline: Estimate) -> tuple[Estimate | None, str]:
    return (headline, "") if headline.estimate is not None else (None, HIDDEN)


def _attempt(evaluated: Evaluated, other: Alternative, apart: _Apart) -> tuple[Estimate | None, str]:
    study = evaluated.study
    changed = study.model_copy(update={
        "settings": MappingProxyType(dict(other.settings)), "secondary": (),
        "inference": study.inference.model_copy(update={"method": "auto"}),
    })  # fmt: skip
    try:
        headline, sample = headline_of(changed, evaluated.source)
    except DesignFileError as error:
        # What was found is that settings do not go together; what was expected says which.
        return None, " ".join(error.expected.split())
    except EvaluationError as error:
        return None, " ".join(error.found.split())
    found = _shown(headline)
    return found if found[0] is None or apart.admits(sample, headline) else (None, TOO_FEW)


class _Apart:
    """The samples of people that are shown, none of them nearly another."""

    def __init__(self, study: Study, sample: AnalysisSample[Any], headline: Estimate) -> None:
        self._threshold = small_cells(study).threshold if study.counts_people else 0
        self._shown = [_counts(sample, headline)]

    def admits(self, sample: AnalysisSample[Any], headline: Estimate) -> bool:
        """Return whether a sample is the same as, or far from, each one shown; from then on it counts as shown."""
        counts = _counts(sample, headline)
        near = any(
            0 < abs(a - b) < self._threshold
            for shown in self._shown
            for a, b in zip(counts, shown, strict=True)
            if a is not None and b is not None
        )
        if not near:
            self._shown.append(counts)
        return not near


def _counts(sample: AnalysisSample[Any], headline: Estimate) -> tuple[int | None, ...]:
    last = sample.flow[-1]
    return last.n, last.treated, last.comparison, headline.n_obs


def _safe(one: Analysis, study: Study, guard: IdentifierGuard) -> Analysis:
    """Return the analysis; a reason that may hold a count of people or an identifier is put in general words."""
    counts = study.counts_people and one.reason not in {TOO_FEW, HIDDEN} and re.search(r"\d", one.reason)
    if not counts and guard.first_leak(one.reason) is None:
        return one
    return dataclasses.replace(one, reason=NOT_POSSIBLE)
