"""The sections after page 1, in order. A section without content is left out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from evaltoolkit.plots.tidy import decimals
from evaltoolkit.report.blocks import (
    Block,
    Bullets,
    Formula,
    Grid,
    Paragraphs,
    Section,
    Source,
    Sources,
    Subheading,
)
from evaltoolkit.report.figures import agreement, flow_figure, picture, sensitivity_figure
from evaltoolkit.report.opening import further_outcomes
from evaltoolkit.report.record import level_of, seen, text_of, unit_of
from evaltoolkit.report.tables import grid, table
from evaltoolkit.results import Diagnostic, Equation, Estimate, Result, interval, level_text, number, p_value, plural

Place = Literal["glance", "results", "checks", "methods"]

VERDICTS = {"pass": "✓ Pass", "caution": "▲ Caution", "fail": "✗ Fail", "not-applicable": "– Not applicable"}
_CONTEXT = (
    ("setting", "Setting"),
    ("participants", "Who took part"),
    ("delivery", "What was delivered"),
    ("attrition", "Who was lost"),
    ("co_occurring_events", "Other changes at the same time"),
    ("data_source", "Where the data come from"),
    ("funding", "Who paid"),
)
_MOST_LISTED = 40


def sections(result: Result, *, shown: str) -> tuple[Section, ...]:
    """Return the sections; ``shown`` is the key of the figure that stands on page 1 already."""
    made = (
        _section("At a glance", _glance(result, shown)),
        _section("What was found, and how we know", _design(result, shown)),
        _section("Checks on the design", _checks(result, shown)),
        _section("How fragile is it?", _fragility(result)),
        _section("Limits and safeguards", _limits(result)),
        _section("Methods", _methods(result)),
        _section("Where the numbers come from", _provenance(result)),
    )
    return tuple(section for section in made if section.blocks)


def _section(title: str, blocks: Iterable[Block | None]) -> Section:
    return Section(title=title, blocks=tuple(block for block in blocks if block is not None))


def _placed(result: Result, place: Place, shown: str) -> list[Block]:
    """Return the figures, then the tables, that belong to a place."""
    figures = [picture(f, result) for f in result.figures if f.section == place and f.key != shown]
    return [*figures, *(table(t, result.disclosure) for t in result.tables if t.section == place)]


def _glance(result: Result, shown: str) -> list[Block | None]:
    words = result.statements
    prose = (words.bottom_line, *(line for line in words.findings[:2] if line != words.bottom_line))
    return [
        Paragraphs(texts=prose, note_title="In plain words", note=words.plain),
        _effects(result),
        _evaluated(result),
        *_placed(result, "glance", shown),
        _verdicts("Can the result be trusted?", "Checks that were made, and what they found", result.diagnostics),
    ]


def _effects(result: Result) -> Grid:
    level = level_text(level_of(result))
    percent = [
        e
        for e in result.estimates
        if e.kind == "percent" and e.standing == "primary" and e.outcome == result.headline.outcome
    ]
    further = [e for e in further_outcomes(result) if e.kind in {"overall", "average", "percent"}]
    rows = [result.headline, *percent, *further]
    question = text_of(result.study, "question")
    return grid(
        title="The question, the design and the effect",
        subtitle=question,
        heads=["Outcome", "Measure", "Effect", f"{level} interval", "p", "Rests on"],
        rows=[_effect_row(e, result) for e in rows],
        align=["left", "left", "right", "right", "right", "left"],
        main_rows=[0],
        note=_how_estimated(result),
    )


def _how_estimated(result: Result) -> str:
    h = result.headline
    said = [f"{result.statements.design_name}.", f"{result.estimand.symbol}: {result.estimand.words.rstrip('.')}."]
    said += [f"Estimator: {h.estimator}."] if h.estimator else []
    unit = unit_of(h, result)
    error = f", standard error {number(unit.times(h.std_error))}{unit.words}" if h.std_error is not None else ""
    said += [f"Inference: {h.inference}{error}."] if h.inference else []
    return " ".join(said)


def _effect_row(e: Estimate, result: Result) -> list[str]:
    unit = unit_of(e, result)
    shown, low, high = (unit.times(v) for v in (e.estimate, e.conf_low, e.conf_high))
    digits = decimals(shown, low, high)
    value = number(shown, digits, signed=not e.is_ratio) + unit.words if shown is not None else "not shown"
    span = interval(low, high, digits) + unit.words.replace(" points", "") if low is not None else "–"
    counts = [
        plural(e.n_obs, "observation") if e.n_obs else "",
        plural(e.n_clusters, "cluster") if e.n_clusters else "",
    ]
    standing = "further outcome" if e.standing == "secondary" else "main outcome"
    measure = f"percent change, {standing}" if e.kind == "percent" else f"{e.estimand}, {standing}"
    return [e.outcome, measure, value, span, p_value(e.p_value), ", ".join(c for c in counts if c) or "–"]


def _evaluated(result: Result) -> Grid:
    study = result.study
    rows = [["Program", text_of(study, "program")]]
    rows += [[name, text_of(study, "context", key)] for key, name in _CONTEXT]
    rows += [["Period", result.statements.study_period], ["Outcome", result.headline.outcome]]
    return grid(
        title="What was evaluated", heads=["Part", "As stated by the evaluator"], rows=[row for row in rows if row[1]]
    )


def _verdicts(title: str, subtitle: str, checks: Sequence[Diagnostic]) -> Grid | None:
    if not checks:
        return None
    return grid(
        title=title,
        subtitle=f"{subtitle}. {_tally(checks)}".rstrip(),
        heads=["Question", "What was found", "Verdict"],
        rows=[[d.question, d.text + _numbers(d), VERDICTS[d.verdict]] for d in checks],
    )


_LONGEST = 4


def _numbers(d: Diagnostic) -> str:
    parts = []
    if d.statistic and d.value is not None and not _said(d.value, d.text):
        on = f" on {d.df:g} df" if d.df is not None else ""
        parts.append(
            f"{d.statistic.replace('|', '')} {number(d.value, 0 if float(d.value).is_integer() else None)}{on}"
        )
    if d.p_value is not None and p_value(d.p_value) not in d.text:
        parts.append(f"p {p_value(d.p_value)}")
    # A threshold that comes from the data is explained by the text.
    if d.threshold is not None and len(f"{d.threshold:g}") <= _LONGEST and not _said(d.threshold, d.text):
        parts.append(f"threshold {d.threshold:g}")
    said = ", ".join(parts)
    return f" {said[0].upper()}{said[1:]}." if said else ""


def _check_sources(result: Result) -> Formula | None:
    checks = (*result.diagnostics, *result.sensitivity)
    named = dict.fromkeys(d.reference.rstrip(".") for d in checks if d.reference)
    return Formula(title="Where the checks come from", text="; ".join(named) + ".", equation=None) if named else None


def _said(value: float, text: str) -> bool:
    """Return whether a text gives a number already, to any number of decimals or as a percentage."""
    forms = {number(scale * value, digits) for digits in range(5) for scale in (1, 100)}
    return any(re.search(rf"(?<![\d.]){re.escape(form)}(?![\d])", text) for form in forms)


def _tally(checks: Sequence[Diagnostic]) -> str:
    verdicts = [d.verdict for d in checks]
    passed, doubtful, failed = (verdicts.count(word) for word in ("pass", "caution", "fail"))
    counted = [
        f"{passed} passed" if passed else "",
        plural(doubtful, "calls", "call") + " for caution" if doubtful else "",
        f"{failed} failed" if failed else "",
    ]
    said = ", ".join(part for part in counted if part)
    return f"{plural(len(checks), 'check')}: {said}." if said else ""


def _design(result: Result, shown: str) -> list[Block | None]:
    words = result.statements
    rest = [line for line in words.findings if line != words.bottom_line]
    here = ["Figure 1 shows the main result."] if shown in _keys(result) else []
    prose = (*words.approach, *rest[2:], *here)
    return [
        Paragraphs(texts=prose, note_title="How we know", note=words.how_we_know),
        *_placed(result, "results", shown),
    ]


def _keys(result: Result) -> set[str]:
    return {figure.key for figure in result.figures}


def _checks(result: Result, shown: str) -> list[Block | None]:
    flow = flow_figure(result)
    return [*_placed(result, "checks", shown), picture(flow, result) if flow else None]


def _fragility(result: Result) -> list[Block | None]:
    figure = sensitivity_figure(result)
    checks = _verdicts("What would change the conclusion?", "Sensitivity analyses", result.sensitivity)
    said = agreement(result)
    if not said and checks is None:
        return []
    prose = (
        "A finding that depends on one way of calculating is weak. Here the same question is answered in other ways, "
        "and we ask how wrong an assumption would have to be before the conclusion changed.",
        *((f"{said}, as an earlier figure shows.",) if said and figure is None else ()),
    )
    return [Paragraphs(texts=prose), picture(figure, result) if figure else None, checks]


def _limits(result: Result) -> list[Block | None]:
    words = result.statements
    own = text_of(result.study, "context", "limits")
    limits = (*words.limits, *((own,) if own and own not in words.limits else ()))
    assumptions = grid(
        title="What has to be true",
        subtitle="The assumptions behind the estimate, and how each was looked at",
        heads=["Assumption", "What it means here", "How it was looked at"],
        rows=[[a.name, a.text, a.checked] for a in words.assumptions],
    )
    return [
        Bullets(texts=limits) if limits else None,
        assumptions if words.assumptions else None,
        Subheading(text="Safeguards"),
        *_safeguards(result),
    ]


def _safeguards(result: Result) -> list[Block]:
    log = result.disclosure
    texts = [f"Young people described here are victims and survivors. {log.rule}"]
    if log.agreement:
        texts.append(f"The threshold follows a data-use agreement: {log.agreement}")
    if not log.hidden:
        return [Paragraphs(texts=(*texts, "In this report no number had to be hidden."))]
    own = sum(h.why == "primary" for h in log.hidden)
    linked = len(log.hidden) - own
    texts.append(
        f"{plural(len(log.hidden), 'number is', 'numbers are')} hidden: {own} for small size"
        + (f", and {linked} from which a hidden number could have been computed." if linked else ".")
    )
    places: dict[str, list[str]] = {}
    for h in log.hidden:
        places.setdefault("/".join(h.path.split("/")[:2]), []).append(h.why)
    names = _names(result)
    rows = [
        [names.get(place, place.split("/")[0].capitalize()), place, str(why.count("primary")),
         str(len(why) - why.count("primary"))]
        for place, why in places.items()
    ]  # fmt: skip
    listed = grid(
        title="What was hidden",
        subtitle="Where, and why",
        heads=["Where", "Place in result.json", "For its size", "To protect another"],
        rows=rows[:_MOST_LISTED],
        align=["left", "left", "right", "right"],
        note=f"{len(rows) - _MOST_LISTED} more places are listed in result.json." if len(rows) > _MOST_LISTED else "",
    )
    return [Paragraphs(texts=tuple(texts)), listed]


def _names(result: Result) -> dict[str, str]:
    """Return what a reader knows the places of result.json as."""
    named = {f"tables/{t.key}": f"Table: {t.title}" for t in result.tables}
    named |= {f"figures/{f.key}": f"Figure: {f.headline}" for f in result.figures}
    named |= {f"flow/{i}": f"Flow: {step.label}" for i, step in enumerate(result.flow)}
    named |= {f"estimates/{i}": f"Estimate: {e.outcome}, {e.term}" for i, e in enumerate(result.estimates)}
    return named | {"headline": "The main result"}


def _methods(result: Result) -> list[Block | None]:
    words = result.statements
    aim = Formula(title="What is estimated", text=f"{result.estimand.symbol}: {result.estimand.words}.", equation=None)
    sources = tuple(
        Source(text=r.text, address=f"https://doi.org/{r.doi}" if r.doi and not r.doi.startswith("http") else r.doi)
        for r in words.references
    )
    return [
        aim,
        *(Formula(title=seen(m.title, "Method"), text=m.text, equation=_readable(m.equation)) for m in words.methods),
        _check_sources(result),
        Subheading(text="References") if sources else None,
        Sources(items=sources) if sources else None,
        *_placed(result, "methods", ""),
    ]


def _readable(equation: Equation | None) -> Equation | None:
    """Return the equation with a reading for those who cannot see it."""
    if equation is None:
        return None
    letters = " ".join(term.text for term in equation.terms)
    return dataclasses.replace(equation, alt=seen(equation.alt, letters, "Equation"))


def _provenance(result: Result) -> list[Block | None]:
    source = result.provenance
    rows = [
        ["Data", source.data_name],
        ["Data, SHA-256", source.data_sha256],
        ["Design file", source.design_name],
        ["Design file, SHA-256", source.design_sha256],
        ["Seed of random draws", "" if source.seed is None else str(source.seed)],
        ["Result format", result.schema],
        ["Software", ", ".join(f"{name} {version}" for name, version in source.versions.items())],
    ]
    prose = ("The same data, design file, seed and versions give this report again, byte for byte. "
             "The sealed result stands inside this PDF as the attachment result.json.",)  # fmt: skip
    return [
        Paragraphs(texts=prose),
        grid(title="Data, design and software", heads=["Item", "Value"], rows=[row for row in rows if row[1]]),
    ]
