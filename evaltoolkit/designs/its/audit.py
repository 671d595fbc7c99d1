"""The calendar of a series: what is missing, partial or counted as zero, and where recording changed."""

from __future__ import annotations

from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.series import Series
from evaltoolkit.designs.its.shape_words import joined
from evaltoolkit.results import Diagnostic, plural

_SHOWN = 6


def calendar(fitted: Fitted) -> Diagnostic:
    """Return whether every period has a value, and what was done where it has not."""
    series = fitted.series
    noun, missing, audit = series.calendar.noun, series.n_missing, series.audit
    said = [
        f"Every {noun} from {series.label(0)} to {series.label(-1)} has a value."
        if not missing and not audit.phased else _missing_text(series)
    ]  # fmt: skip
    if audit.phased:
        said.append(f"{plural(audit.phased, noun)} of the phase-in {'was' if audit.phased == 1 else 'were'} left out.")
    if audit.partial:
        said.append(f"Left out, because recording covers them in part or not at all: {_listed(audit.partial)}.")
    if audit.zeros:
        said.append(
            f"{plural(audit.zeros, noun)} without a row {'counts' if audit.zeros == 1 else 'count'} as zero, because "
            f"a row is one of the {fitted.study.data.rows}: what did not happen has no row."
        )
    if audit.suspected:
        said.append(
            f"The rows begin late or end early in {_listed(audit.suspected)}, which may be recorded in part; state "
            "recorded, the first and the last day of recording."
        )
    caution = bool(missing or audit.suspected)
    return Diagnostic(
        name="calendar", question=f"Is there a value for every {noun}?", statistic=f"{noun}s without a value",
        value=float(missing), threshold=0.0, verdict="caution" if caution else "pass", text=" ".join(said),
    )  # fmt: skip


def _missing_text(series: Series) -> str:
    noun, missing = series.calendar.noun, series.n_missing
    if not missing:
        return f"Every {noun} from {series.label(0)} to {series.label(-1)} was recorded."
    return (
        f"{plural(missing, noun)} between the first and the last {'has' if missing == 1 else 'have'} no value. "
        "Nothing was filled in; the model counts the time between values as it is."
    )


def _listed(labels: tuple[str, ...]) -> str:
    more = len(labels) - _SHOWN
    shown = list(labels[:_SHOWN]) + ([f"{more} more"] if more > 0 else [])
    return joined(shown)


def recording(fitted: Fitted) -> tuple[Diagnostic, ...]:
    """Return a caution where what is recorded changed within the series; nothing where no change is known."""
    series = fitted.series
    found = [m for m in series.marked if m.kind == "recording" and series.steps[0] < m.step <= series.steps[-1]]
    if not found:
        return ()
    inside = [m for m in found if m.modelled]
    listed = joined([f"{m.label} ({series.calendar.label(m.step)})" for m in found])
    text = f"Recording changed within the series: {listed}."
    if inside:
        text += f" {'It has' if len(found) == 1 else f'{len(inside)} of {len(found)} have'} a level in the model."
    if len(inside) < len(found):
        text += " A change of recording looks like a change of the outcome; what is not modelled is part of the result."
    return (
        Diagnostic(
            name="recording-changes", question="Was the outcome recorded in the same way throughout?",
            statistic="changes of recording that are not modelled", value=float(len(found) - len(inside)),
            threshold=0.0, verdict="caution" if len(inside) < len(found) else "pass", text=text,
        ),
    )  # fmt: skip
