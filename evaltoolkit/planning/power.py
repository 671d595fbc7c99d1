"""The smallest detectable effect of a study, and its power curve, from what was recorded before the start."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from evaltoolkit.contract import OffersPower, Power, PowerPoint
from evaltoolkit.data import Source, open_source
from evaltoolkit.errors import OptionError
from evaltoolkit.registry import DESIGNS, entry_for
from evaltoolkit.results import level_text, number, role_words
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.study import Study

SCHEMA: Final = "evaltoolkit.power/1"


@dataclass(frozen=True, slots=True)
class Planned:
    """A study and what it could find."""

    study: Study
    found: Power

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the table as texts: effect, chance, and how it was found."""
        f = self.found
        shown = [(p, "smallest detectable" if p.effect == f.smallest else "") for p in f.curve]
        shown += [(p, f"of {p.draws:,} simulated studies") for p in f.simulated]
        return [(self._effect(p.effect), f"{100 * p.chance:.0f}%", how) for p, how in shown]

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        f = self.found
        lines = [
            f"An effect of {self._effect(f.smallest)} ({f.what}{', ' + f.unit if f.unit else ''}) would be found with "
            f"a chance of {100 * f.power:.0f} percent, by {level_text(f.level)} intervals."
        ]
        if f.matters is not None and f.power_at_matters is not None:
            lines.append(
                f"The smallest effect that matters ({number(f.matters)}) would be found with a chance of "
                f"{100 * f.power_at_matters:.0f} percent."
            )
        return (*lines, *f.notes, role_words(self.study.outcome.role).caveat)

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain dictionaries, lists, texts and numbers."""
        plain = dataclasses.asdict(self.found)
        plain["curve"], plain["simulated"] = _plain(self.found.curve), _plain(self.found.simulated)
        plain["notes"] = list(self.found.notes)
        return {
            "schema": SCHEMA, "title": self.study.title, "design": self.study.design,
            "outcome": self.study.outcome.name, "outcome_role": self.study.outcome.role, **plain,
            "words": list(self.words),
        }  # fmt: skip

    def _effect(self, value: float) -> str:
        places = max(digits_for(self.found.smallest - self.found.null) + 1, 2 if self.found.null else 0)
        return number(value, places, signed=not self.found.null)


def _plain(points: tuple[PowerPoint, ...]) -> list[dict[str, Any]]:
    return [{key: value for key, value in dataclasses.asdict(p).items() if value is not None} for p in points]


def plan(study: Study, source: Source | None = None) -> Planned:
    """Return what a study could find.

    Parameters
    ----------
    study
        The study.
    source
        Rows to use in place of the file that the design file names.

    Raises
    ------
    OptionError
        The design does not offer it.
    EvaluationError
        The design, the data or an option has to change.
    """
    design = entry_for(study.design, where=study.place("design")).load()
    if not isinstance(design, OffersPower):
        offering = " or ".join(entry.kind for entry in DESIGNS if isinstance(entry.load(), OffersPower))
        raise OptionError(
            f"design = '{study.design}' does not say what it could find before its outcomes are read",
            expected=f"a study of {offering}",
            todo="use 'evaltoolkit run'; its intervals show what could have been found", where=study.place("design"),
        )  # fmt: skip
    options = design.parse(study)
    chosen = open_source(study) if source is None else source
    sample = design.prepare(study, options, chosen)
    return Planned(study, design.power(study, options, sample))
