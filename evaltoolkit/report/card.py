"""The card that a notebook shows for an evaluation: what page 1 of its report says, as a small piece of HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from evaltoolkit.plots import palette as p
from evaltoolkit.report.opening import confidence, tiles, without_missing_headline
from evaltoolkit.report.record import clean_result, seen, text_of
from evaltoolkit.report.sections import VERDICTS
from evaltoolkit.results import Result

_FONT: Final = "'Source Sans 3','Segoe UI',system-ui,sans-serif"
_BOX: Final = (
    f"font-family:{_FONT};font-size:14px;line-height:1.45;max-width:46em;background:#fff;color:{p.TEXT};"
    f"border:1px solid {p.RULE};border-top:4px solid {p.COMPARISON};padding:0.9em 1.2em"
)
_CELL: Final = (
    f"text-align:left;font-weight:400;vertical-align:top;padding:0.25em 1em 0.25em 0;border-top:1px solid {p.RULE}"
)
_SMALL: Final = f"color:{p.MUTED};font-size:12.5px"


def card(result: Result) -> str:
    """Return a result as HTML: bottom line, big number, confidence, checks, and what it does not show.

    Styles stand in the elements, because a notebook keeps no style sheet of ours; every text is escaped.
    """
    result = without_missing_headline(clean_result(result))
    words, first = result.statements, tiles(result)[0]
    sure = confidence(result.evidence)
    title = seen(text_of(result.study, "title"), words.design_name)
    return _element(
        "div",
        _BOX,
        _element("div", f"{_SMALL};font-weight:600", _text(f"{title} · {words.design_name}")),
        _element("p", f"font-size:17px;margin:0.35em 0 0.7em;color:{p.INK}", _text(words.bottom_line)),
        _element(
            "span", f"font-size:26px;font-weight:600;color:{p.PROGRAM if first.clear else p.INK}", _text(first.number)
        ),
        _element("span", "margin-left:0.6em", _text(first.meaning)),
        _element("div", _SMALL, _text(first.interval)),
        _element("div", "font-weight:600;margin-top:0.3em", _text(sure.word)) if sure else "",
        _checks(result),
        _element("div", f"font-weight:600;margin-top:0.8em;color:{p.INK}", "What this does not show"),
        _element("ul", "margin:0.2em 0 0;padding-left:1.3em", *_items(words.does_not_show)),
    )


def _checks(result: Result) -> str:
    if not result.diagnostics:
        return ""
    rows = [
        f'<tr><th scope="row" style="{_CELL}">{_text(d.question)}</th>'
        f'<td style="{_CELL};white-space:nowrap">{_text(VERDICTS[d.verdict])}</td></tr>'
        for d in result.diagnostics
    ]
    head = "".join(
        f'<th scope="col" style="{_CELL};{_SMALL};border-top:0">{word}</th>' for word in ("Check", "Verdict")
    )
    return _element(
        "table",
        "border-collapse:collapse;margin-top:0.8em;background:#fff",
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>",
    )


def _items(texts: Iterable[str]) -> list[str]:
    return [_element("li", "margin:0.1em 0", _text(line)) for line in texts]


def _element(name: str, style: str, *inner: str) -> str:
    return f'<{name} style="{style}">{"".join(inner)}</{name}>'


def _text(words: str) -> str:
    return html.escape(words)
