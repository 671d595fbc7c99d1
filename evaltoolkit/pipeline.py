"""Evaluate one study: design file or Study in, sealed and rated result out."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltoolkit.contract import Design, EstimatesHeadline, on_moments
from evaltoolkit.data import Source, held_still, open_source
from evaltoolkit.evidence import rate
from evaltoolkit.kernels.bounds import detection_band
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.reduction.moment_source import MomentsSource
from evaltoolkit.registry import entry_for
from evaltoolkit.results import (
    Column,
    Diagnostic,
    Estimate,
    Hidden,
    Provenance,
    Result,
    TableData,
    interval,
    number,
    role_words,
)
from evaltoolkit.study import DETECTION_ROLES, Outcome, Release, Study, load

_PACKAGES = (
    "evaltoolkit",
    "linearmodels",
    "matplotlib",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "statsmodels",
    "typst",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study whose data were read and checked, ready to estimate."""

    study: Study
    design: Design[Any]
    options: Any
    source: Source
    sample: AnalysisSample[Any]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluated study: ``result`` is sealed and safe to share; ``sample`` and ``source`` stay in memory."""

    study: Study
    options: Any
    sample: AnalysisSample[Any]
    result: Result
    source: Source


def load_study(path: str | Path, *, allow_outside: bool = False) -> Study:
    """Read a design file, its design's own keys included, before any data are read.

    Raises
    ------
    DesignFileError
        With file, key and line.
    """
    study, _ = load(path, allow_outside=allow_outside)
    design_of(study).parse(study)
    return study


def with_seed(study: Study, seed: int) -> Study:
    """Return the study with another seed for every random draw."""
    return study.model_copy(update={"inference": study.inference.model_copy(update={"seed": seed})})


def with_release(study: Study, release: Release) -> Study:
    """Return the study with another word on what may leave an engine."""
    return study.model_copy(update={"data": study.data.model_copy(update={"release": release})})


def prepare(study: Study, source: Source | None = None) -> Prepared:
    """Read and check the data of a study without estimating anything.

    Parameters
    ----------
    study
        The study.
    source
        Rows to use in place of the file that the design file names.
    """
    design = design_of(study)
    options = design.parse(study)
    chosen = open_source(study) if source is None else source
    if isinstance(chosen, MomentsSource):
        chosen.agree_with(on_moments(design, study).plan(study, options), design.kind, where="--from-moments")
    with held_still(chosen, study):
        return Prepared(study, design, options, chosen, design.prepare(study, options, chosen))


def estimate(prepared: Prepared) -> Evaluated:
    """Estimate a prepared study, with its secondary outcomes, and rate the evidence."""
    study = prepared.study
    result = prepared.design.estimate(study, prepared.options, prepared.sample)
    result = _with_secondary(result, prepared)
    result = _with_recording_checks(result, study)
    if isinstance(prepared.source, MomentsSource):
        told = _checks_of_files(prepared.source)
        result = dataclasses.replace(result, diagnostics=(*result.diagnostics, *told))
    result = dataclasses.replace(result, evidence=rate(result), provenance=_provenance(study, prepared.source))
    return Evaluated(study, prepared.options, prepared.sample, result, prepared.source)


def headline_of(study: Study, source: Source) -> tuple[Estimate, AnalysisSample[Any]]:
    """Return the sealed headline of a study alone, with the sample behind it: for analyses that stand beside another.

    Raises
    ------
    EvaluationError
        The design, the data or an option does not allow it.
    """
    prepared = prepare(study, source)
    design, options, sample = prepared.design, prepared.options, prepared.sample
    if isinstance(design, EstimatesHeadline):
        return design.headline(study, options, sample), sample
    return design.estimate(study, options, sample).headline, sample


def evaluate(study: Study | str | Path, source: Source | None = None) -> Evaluated:
    """Evaluate a study or a design file from data to rated result.

    Parameters
    ----------
    study
        A Study, or the path of a design file.
    source
        Rows to use in place of the file that the design file names.

    Raises
    ------
    EvaluationError
        The design, the data or an option has to change; the message says what to do.
    """
    loaded = study if isinstance(study, Study) else load_study(study)
    return estimate(prepare(loaded, source))


def _checks_of_files(source: MomentsSource) -> tuple[Diagnostic, ...]:
    overlap = (_overlap_check(source),) if source.n_files > 1 else ()
    return (*overlap, *((_untold_check(source),) if source.n_untold else ()))


def _overlap_check(source: MomentsSource) -> Diagnostic:
    question = "Is every unit in the sums of one agency only?"
    people = source.moments.plan.counts_people
    what = "a person" if people else "a unit"
    texts = {
        "checked": f"No unit is in two of the {source.n_files} files, by fingerprints of all units.",
        "sampled": f"No unit is in two of the {source.n_files} files among those looked at, a sample of each file.",
        "unchecked": f"Whether {what} is in two of the {source.n_files} files was not checked. Whoever is counts twice"
        + (", and intervals are too narrow. Agree on an overlap key to have it checked." if people else "."),
    }
    return Diagnostic(
        name="units-in-two-files", question=question, text=texts[source.overlap],
        verdict="caution" if source.overlap == "unchecked" else "pass",
    )  # fmt: skip


def _untold_check(source: MomentsSource) -> Diagnostic:
    n = source.n_untold
    which = "The file" if source.n_files == 1 else f"{n} of the {source.n_files} files"
    return Diagnostic(
        name="left-out-before", question="Is it told who was left out before the sums were made?",
        verdict="not-applicable",
        text=f"{which} {'does' if n == 1 else 'do'} not tell how many people were left out, because some of these "
        "numbers are small: who lacks a value, had started before the first period, or was kept out by a filter. "
        "Numbers of people in this report are of those in the sums.",
    )  # fmt: skip


def design_of(study: Study) -> Design[Any]:
    """Return the design of a study."""
    return entry_for(study.design, where=study.place("design")).load()


def _with_secondary(result: Result, prepared: Prepared) -> Result:
    """Run the same design on each secondary outcome and add its headline, finding and caveat."""
    study = prepared.study
    others = [_secondary(prepared, outcome) for outcome in study.secondary]
    if not others:
        return result
    added: list[Estimate] = []
    hidden = list(result.disclosure.hidden)
    findings, caveats = list(result.statements.findings), list(result.statements.does_not_show)
    for outcome, other in zip(study.secondary, others, strict=True):
        relative = [e for e in other.estimates if e.kind == "percent" and e.standing == "primary"]
        added += [dataclasses.replace(e, standing="secondary") for e in (other.headline, *relative)]
        hidden += [
            Hidden(path=f"secondary/{outcome.column}/{h.path}", why=h.why)
            for h in other.disclosure.hidden
            if h.path.startswith("headline")
        ]
        findings.append(f"Secondary outcome. {other.statements.bottom_line}")
        caveats += [c for c in (role_words(outcome.role).caveat,) if c not in caveats]
    return dataclasses.replace(
        result,
        estimates=(*result.estimates, *added),
        tables=(*result.tables, _secondary_table(study, [other.headline for other in others])),
        statements=dataclasses.replace(result.statements, findings=tuple(findings), does_not_show=tuple(caveats)),
        disclosure=dataclasses.replace(result.disclosure, hidden=tuple(hidden)),
    )


def _secondary(prepared: Prepared, outcome: Outcome) -> Result:
    study = prepared.study.model_copy(update={"outcome": outcome, "secondary": ()})
    sample = prepared.design.prepare(study, prepared.options, prepared.source)
    return prepared.design.estimate(study, prepared.options, sample)


def _secondary_table(study: Study, headlines: list[Estimate]) -> TableData:
    return TableData(
        key="secondary_outcomes",
        title="Further outcomes, by the same design",
        columns=(
            Column(key="outcome", label="Outcome", kind="text"),
            Column(key="about", label="What it can tell about", kind="text"),
            Column(key="estimate", label="Effect", kind="text"),
            Column(key="interval", label=f"{100 * study.inference.level:g}% interval", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
        ),
        rows=tuple(
            (outcome.name, role_words(outcome.role).about, *_effect_texts(outcome, e), e.p_value)
            for outcome, e in zip(study.secondary, headlines, strict=True)
        ),
        note="These p-values are not adjusted for looking at several outcomes.",
    )


def _effect_texts(outcome: Outcome, e: Estimate) -> tuple[str, str]:
    """Return an effect and its interval as a reader sees them: ratios, percentage points, or the outcome's own unit."""
    if e.is_ratio:
        return f"{number(e.estimate)} times", interval(e.conf_low, e.conf_high)
    share = outcome.kind in {"binary", "proportion"}
    shown, low, high = (None if v is None else (100 if share else 1) * v for v in (e.estimate, e.conf_low, e.conf_high))
    points = " points" if share else ""
    return number(shown, signed=True) + points, interval(low, high) + points


def _with_recording_checks(result: Result, study: Study) -> Result:
    """Add the caution for an outcome without a role, and what a change in recording alone could explain."""
    role = study.outcome.role
    if role is None:
        return dataclasses.replace(result, diagnostics=(*result.diagnostics, _NO_ROLE))
    if role not in DETECTION_ROLES or study.detection is None:
        return result
    return dataclasses.replace(result, sensitivity=(*result.sensitivity, _recording_check(result, study)))


_NO_ROLE = Diagnostic(
    name="outcome-role",
    question="Is it stated what the outcome can tell about?",
    verdict="caution",
    text="The outcome has no role, so the report uses neutral words and does not say what a change means. "
    "State outcome.role: incidence, identification, justice-contact, service-access, wellbeing, knowledge or process.",
)


def _recording_check(result: Result, study: Study) -> Diagnostic:
    assert study.detection is not None
    question = "Could a change in recording alone explain the finding?"
    ratio = study.detection.ratio
    percent = next((e for e in result.estimates if e.kind == "percent" and e.standing == "primary"), None)
    if ratio is None or percent is None:
        why = "nothing is known about the change" if ratio is None else "the effect has no relative form"
        text = (
            f"Not bounded, because {why}. A change in recording and a change in the thing recorded look the same here."
        )
        return Diagnostic(name="detection-ratio", question=question, verdict="caution", text=text)
    numbers = [percent.estimate, percent.conf_low, percent.conf_high]
    if any(v is None for v in numbers):
        text = "Not bounded, because the relative effect is not available."
        return Diagnostic(name="detection-ratio", question=question, verdict="not-applicable", text=text)
    observed, low, high = (1 + float(v) / 100 for v in numbers if v is not None)
    band = detection_band(observed, max(low, 0.0), high, ratio)
    explained = band.low <= 1 <= band.high
    text = (
        f"Recorded levels changed by a factor of {number(observed, 2)}. If detection changed by a factor of "
        f"{number(ratio[0], 2)} to {number(ratio[1], 2)}, the true level changed by a factor of "
        f"{interval(band.low, band.high, 2)}, which {'includes' if explained else 'does not include'} no change. "
        f"A change in detection by a factor of {number(band.tipping, 2)} would explain the estimate by itself."
    )
    return Diagnostic(
        name="detection-ratio", question=question, statistic="detection ratio that explains the estimate",
        value=band.tipping, verdict="caution" if explained else "pass", text=text,
    )  # fmt: skip


def _provenance(study: Study, source: Source) -> Provenance:
    return Provenance(
        data_name=source.name,
        data_sha256=source.sha256,
        design_name=study.origin.path.name if study.origin else "",
        design_sha256=study.origin.sha256 if study.origin else "",
        seed=study.inference.seed,
        versions=_versions(),
    )


@functools.cache
def _read_versions() -> tuple[tuple[str, str], ...]:
    found = {name: importlib.metadata.version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    return tuple(sorted(found.items()))


def _versions() -> dict[str, str]:
    """Return the versions in use; they are read from disk once, since they cannot change while this runs."""
    return dict(_read_versions())
