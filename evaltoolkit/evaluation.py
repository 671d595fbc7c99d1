"""The evaluation object that a researcher works with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from evaltoolkit.errors import OptionError
from evaltoolkit.results import Diagnostic, Estimate, FigureData, Result, interval, level_text, number, p_value, to_json
from evaltoolkit.results.numbers import digits_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evaltoolkit.comparison import Comparison
    from evaltoolkit.pipeline import Evaluated
    from evaltoolkit.reduction import AnalysisSample
    from evaltoolkit.study import Study

_FORMATS = (".pdf", ".json")


class Evaluation:
    """One evaluation.

    Attributes
    ----------
    result
        The sealed result: small cells hidden, no identifiers; safe to share.
    sample
        The analysis sample with its row-level products (matched data, weights, influence functions, covariance). In
        memory only; nothing here writes it to disk.
    study
        What was asked.
    """

    def __init__(self, evaluated: Evaluated) -> None:
        self.result: Result = evaluated.result
        self.sample: AnalysisSample[Any] = evaluated.sample
        self.study: Study = evaluated.study
        self._evaluated = evaluated

    def tidy(self, kind: str | None = None) -> pd.DataFrame:
        """Return the estimates as a frame, one row each; ``kind`` keeps one kind (``overall``, ``event-time`` ...)."""
        names = [field.name for field in dataclasses.fields(Estimate)]
        rows = [dataclasses.asdict(e) for e in self.result.estimates]
        frame = pd.DataFrame(rows, columns=names)
        if kind is None:
            return frame
        known = list(dict.fromkeys(frame["kind"]))
        if kind not in known:
            raise OptionError.unknown("kind", kind, known)
        return frame.loc[frame["kind"] == kind].reset_index(drop=True)

    def glance(self) -> pd.DataFrame:
        """Return one row: the headline, and how sure the evaluation can be."""
        row = dataclasses.asdict(self.result.headline)
        row["design"] = self.result.design
        row["evidence"] = self.result.evidence.level if self.result.evidence else None
        verdicts = [d.verdict for d in self.result.diagnostics]
        row |= {f"checks_{word}": verdicts.count(word) for word in ("pass", "caution", "fail")}
        return pd.DataFrame([row])

    def diagnostics(self) -> pd.DataFrame:
        """Return the checks as a frame, one row each."""
        return _frame_of(self.result.diagnostics)

    def sensitivity(self) -> pd.DataFrame:
        """Return the sensitivity checks as a frame, one row each."""
        return _frame_of(self.result.sensitivity)

    def summary(self) -> str:
        """Return the headline, its reading and the checks as text."""
        r = self.result
        lines = [r.statements.design_name, self._headline_text(), "", r.statements.bottom_line, ""]
        lines += [f"[{d.verdict}] {d.question} {d.text}" for d in r.diagnostics]
        lines += ["", "What this does not show:", *(f"- {line}" for line in r.statements.does_not_show)]
        return "\n".join(lines)

    def plot(self, kind: str | None = None) -> Figure:
        """Draw a figure of the result: the first, or the first of a kind or with a key (see ``result.figures``)."""
        from evaltoolkit.plots import draw

        return draw(self._figure(kind))

    def _figure(self, kind: str | None) -> FigureData:
        figures = self.result.figures
        for figure in figures:
            if kind is None or kind in {figure.kind, figure.key}:
                return figure
        raise OptionError.unknown("kind", kind, dict.fromkeys(f.kind for f in figures))

    def compare(self) -> Comparison:
        """Estimate the effect in every reasonable way of the design: ``tidy``, ``plot``, ``summary``, ``write``.

        Raises
        ------
        OptionError
            The design, or this study, has no alternative.
        """
        from evaltoolkit.comparison import compare

        return compare(self._evaluated)

    def report(self, path: str | Path) -> Path:
        """Write the report; the suffix (.pdf or .json) picks the format. Returns the path."""
        from evaltoolkit.report import write_file

        file = Path(path)
        if file.suffix.lower() not in _FORMATS:
            raise OptionError.unknown("the suffix of the report", file.suffix, _FORMATS)
        return write_file(self.result, file)

    def save(self, path: str | Path) -> Path:
        """Write ``result.json``; read it back with ``ev.load_result``."""
        from evaltoolkit.report import write_file

        return write_file(self.result, Path(path), as_format="json")

    def to_json(self) -> str:
        """Return the text of ``result.json``."""
        return to_json(self.result)

    def _headline_text(self) -> str:
        h = self.result.headline
        level = level_text(self.study.inference.level)
        width = None if h.conf_low is None or h.conf_high is None else h.conf_high - h.conf_low
        places = max(digits_for(h.estimate), digits_for(width) if width else 0)
        return (
            f"{h.estimand} on {h.outcome}: {number(h.estimate, places, signed=not h.is_ratio)} "
            f"({level} CI {interval(h.conf_low, h.conf_high, places)}, p {p_value(h.p_value)})"
        )

    def __repr__(self) -> str:
        return f"<Evaluation {self.result.design}: {self._headline_text()}>"

    def _repr_html_(self) -> str:
        from evaltoolkit.report import card

        return card(self.result)


def _frame_of(checks: tuple[Diagnostic, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [dataclasses.asdict(d) for d in checks], columns=[field.name for field in dataclasses.fields(Diagnostic)]
    )
