"""The sections after page 1, in order. A section without content is left out."""

from __future__ import annotations

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
from evaltoolkit.report.figures import flow_figure, picture, sensitivity_figure
from evaltoolkit.report.record import level_of, text_of
from evaltoolkit.report.tables import grid, table
from evaltoolkit.results import Diagnostic, Estimate, Result, interval, level_text, number, p_value, plural

Place = Literal["glance", "results", "checks", "methods"]

_VERDICTS = {"pass": "✓ Pass", "caution": "▲ Caution", "fail": "✕ Fail", "not-applicable": "– Not applicable"}
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
        _section("At a glance", _glance(result, shown), new_page=True),
        _section("What was found, and how we know", _design(result, shown), new_page=True),
        _section("Checks on the design", _checks(result, shown)),
        _section("How fragile is it?", _fragility(result)),
        _section("Limits and safeguards", _limits(result)),
        _section("Methods", _methods(result)),
        _section("Where the numbers come from", _provenance(result)),
    )
    return tuple(section for section in made if section.blocks)


def _section(title: str, blocks: Iterable[Block | None], *, new_page: bool = False) -> Section:
    return Section(title=title, blocks=tuple(block for block in blocks if block is not None), new_page=new_page)


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
    rows = [e for e in (result.headline, *result.estimates) if e is result.headline or _main(e, result)]
    question = text_of(result.study, "question")
    return grid(
        title="The question, the design and the effect",
        subtitle=question,
        heads=["Outcome", "Measure", "Effect", f"{level} interval", "p", "Rests on"],
        rows=[_effect_row(e) for e in rows],
        align=["left", "left", "right", "right", "right", "left"],
        main_rows=[0],
        note=f"{result.statements.design_name}. {result.estimand.symbol}: {result.estimand.words}.",
    )


def _main(e: Estimate, result: Result) -> bool:
    relative = e.kind == "percent" and e.standing == "primary" and e.outcome == result.headline.outcome
    return relative or (e.standing == "secondary" and e.kind in {"overall", "average", "percent"})


def _effect_row(e: Estimate) -> list[str]:
    digits = decimals(e.estimate, e.conf_low, e.conf_high)
    unit = "%" if e.kind == "percent" else ""
    value = number(e.estimate, digits, signed=True) + unit if e.estimate is not None else "not shown"
    span = interval(e.conf_low, e.conf_high, digits) + unit if e.conf_low is not None else "–"
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
        title="What was evaluated", heads=["", "As stated by the evaluator"], rows=[row for row in rows if row[1]]
    )


def _verdicts(title: str, subtitle: str, checks: Sequence[Diagnostic]) -> Grid | None:
    if not checks:
        return None
    return grid(
        title=title,
        subtitle=subtitle,
        heads=["Question", "What was found", "Verdict"],
        rows=[[d.question, d.text + _numbers(d), _VERDICTS[d.verdict]] for d in checks],
        note=_tally(checks),
    )


def _numbers(d: Diagnostic) -> str:
    parts = []
    if d.statistic and d.value is not None and number(d.value) not in d.text:
        parts.append(f"{d.statistic} {number(d.value)}")
    if d.p_value is not None and p_value(d.p_value) not in d.text:
        parts.append(f"p {p_value(d.p_value)}")
    return f" ({', '.join(parts)})" if parts else ""


def _tally(checks: Sequence[Diagnostic]) -> str:
    verdicts = [d.verdict for d in checks]
    counted = [f"{verdicts.count('pass')} passed", f"{verdicts.count('caution')} call for caution"]
    counted += [f"{verdicts.count('fail')} failed"] if "fail" in verdicts else []
    return f"{plural(len(checks), 'check')}: {', '.join(counted)}."


def _design(result: Result, shown: str) -> list[Block | None]:
    words = result.statements
    rest = [line for line in words.findings if line != words.bottom_line]
    here = ["Figure 1 on the first page shows the main result."] if shown in _keys(result) else []
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
    if figure is None and checks is None:
        return []
    prose = (
        "A finding that depends on one way of calculating is weak. Here the same question is answered in other ways, "
        "and we ask how wrong an assumption would have to be before the conclusion changed.",
    )
    return [Paragraphs(texts=prose), picture(figure, result) if figure else None, checks]


def _limits(result: Result) -> list[Block | None]:
    words = result.statements
    own = text_of(result.study, "context", "limits")
    limits = (*words.limits, *((own,) if own else ()))
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
    texts.append(
        f"{plural(len(log.hidden), 'number')} hidden: by own size {own}, and {len(log.hidden) - own} from which "
        "a hidden number could have been computed."
    )
    places: dict[str, list[str]] = {}
    for h in log.hidden:
        places.setdefault("/".join(h.path.split("/")[:2]), []).append(h.why)
    rows = [[place, str(why.count("primary")), str(len(why) - why.count("primary"))] for place, why in places.items()]
    listed = grid(
        title="What was hidden",
        subtitle="Where, and why",
        heads=["Place in result.json", "By its own size", "To protect another"],
        rows=rows[:_MOST_LISTED],
        align=["left", "right", "right"],
        note=f"{len(rows) - _MOST_LISTED} more places are listed in result.json." if len(rows) > _MOST_LISTED else "",
    )
    return [Paragraphs(texts=tuple(texts)), listed]


def _methods(result: Result) -> list[Block | None]:
    words = result.statements
    aim = Formula(title="What is estimated", text=f"{result.estimand.symbol}: {result.estimand.words}.", equation=None)
    sources = tuple(
        Source(text=r.text, address=f"https://doi.org/{r.doi}" if r.doi and not r.doi.startswith("http") else r.doi)
        for r in words.references
    )
    return [
        aim,
        *(Formula(title=m.title, text=m.text, equation=m.equation) for m in words.methods),
        *_placed(result, "methods", ""),
        Subheading(text="References") if sources else None,
        Sources(items=sources) if sources else None,
    ]


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
        grid(title="Data, design and software", heads=["", ""], rows=[row for row in rows if row[1]]),
    ]
