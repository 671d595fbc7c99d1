"""What a comparison of analyses is: its table, figure, words and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaltoolkit.comparison.analyses import Analysis, analyses
from evaltoolkit.comparison.wording import Shown, Tally, figure, sentences, tally
from evaltoolkit.pipeline import Evaluated
from evaltoolkit.results import Estimate, FigureData, Result, p_value
from evaltoolkit.study import Study

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Final = "evaltoolkit.compare/1"
_NUMBERS: Final = (
    "estimate", "std_error", "conf_low", "conf_high", "p_value", "df", "n_units", "n_clusters", "estimator",
    "inference",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """One study, estimated in several reasonable ways.

    Attributes
    ----------
    study
        The study.
    result
        Its own result.
    analyses
        The study's own analysis first, then the alternatives; those without an estimate give the reason.
    """

    study: Study
    result: Result
    analyses: tuple[Analysis, ...]

    @property
    def tally(self) -> Tally:
        """How far the analyses agree."""
        return tally(self.analyses)

    @property
    def figure(self) -> FigureData:
        """The specification curve as data."""
        return figure(self.study, self.analyses)

    @property
    def words(self) -> tuple[str, ...]:
        """What the analyses say together."""
        return sentences(self.study, self.analyses)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table as texts: mark of the study's own, analysis, effect, interval, p, units, inference."""
        shown = Shown.of(self.study, self.analyses)
        return [_texts(a, shown) for a in self.analyses]

    def tidy(self) -> pd.DataFrame:
        """Return the analyses as a frame, one row each."""
        import pandas as pd

        rows = [{**_record(a), **{f"choice: {k}": v for k, v in a.choices.items()}} for a in self.analyses]
        return pd.DataFrame(rows).drop(columns=["choices", "changes"])

    def plot(self) -> Any:
        """Draw the specification curve; returns a matplotlib Figure."""
        from evaltoolkit.plots import draw

        return draw(self.figure)

    def summary(self) -> str:
        """Return what the analyses say together, as text."""
        return " ".join(self.words)

    def to_plain(self) -> dict[str, Any]:
        """Return the comparison as plain dictionaries, lists, texts and numbers."""
        made = self.result.provenance
        return {
            "schema": SCHEMA,
            "title": self.study.title,
            "design": self.study.design,
            "outcome": self.study.outcome.name,
            "outcome_role": self.study.outcome.role,
            "level": self.study.inference.level,
            "tally": dataclasses.asdict(self.tally),
            "words": list(self.words),
            "analyses": [_record(a) for a in self.analyses],
            "alt": self.figure.alt,
            "disclosure": self.result.disclosure.rule,
            "provenance": {**dataclasses.asdict(made), "versions": dict(made.versions)},
        }

    def to_json(self) -> str:
        """Return the text of ``compare.json``: the same analyses give the same bytes."""
        return json.dumps(self.to_plain(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``compare.json``, ``specification-curve.svg`` and ``manifest.json`` into a folder, in one step.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds something else.
        """
        from evaltoolkit.plots import svg
        from evaltoolkit.report import write_files

        contents = {
            "compare.json": self.to_json().encode("utf-8", "backslashreplace"),
            "specification-curve.svg": svg(self.figure, words="with-words").encode("utf-8"),
        }
        return write_files(contents, folder, self.result.provenance)

    def __repr__(self) -> str:
        t = self.tally
        return f"<Comparison of {t.n_analyses} analyses, {t.n_estimated} with an estimate>"

    def _repr_html_(self) -> str:
        frame = self.tidy()[["label", "estimate", "conf_low", "conf_high", "n_units", "inference", "reason"]]
        table: str = frame.to_html(index=False, na_rep="", float_format=lambda v: f"{v:.4g}")
        return table


def compare(evaluated: Evaluated, on_start: Callable[[int, int, str], object] | None = None) -> Comparison:
    """Estimate every reasonable alternative of an evaluated study.

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
    return Comparison(evaluated.study, evaluated.result, analyses(evaluated, on_start))


def _record(a: Analysis) -> dict[str, Any]:
    numbers = {name: None if a.estimate is None else getattr(a.estimate, name) for name in _NUMBERS}
    return {
        "label": a.label, "own": a.own, "choices": dict(a.choices), "changes": dict(a.changes), **numbers,
        "reason": a.reason or None,
    }  # fmt: skip


def _texts(a: Analysis, shown: Shown) -> tuple[str, ...]:
    mark, e = "*" if a.own else "", a.estimate
    if e is None:
        return (mark, a.label, "–", "", "", "", a.reason)
    units = "" if e.n_units is None else f"{e.n_units:,}"
    return (mark, a.label, shown.estimate(e.estimate), _span(e, shown), p_value(e.p_value), units, e.inference)


def _span(e: Estimate, shown: Shown) -> str:
    return shown.interval(e) or "no interval"
