"""``evaltoolkit explain``."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of, table_text
from evaltoolkit.errors import EvaluationError, OptionError


def explain(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="An error code, estimator, diagnostic, standard or role.")] = None,
) -> None:
    """Explain an estimator, a diagnostic, a standard, an outcome role or an error in plain words."""
    known = topics()
    console = console_of(ctx)
    if topic is None:
        rows = [(name, kind) for name, (kind, _) in known.items()]
        listed = [{"topic": name, "kind": kind} for name, kind in rows]
        console.answer("explain", table_text(("topic", "kind"), rows), {"topics": listed})
        return
    folded = {name.casefold(): name for name in known}
    if topic.casefold() not in folded:
        raise OptionError.unknown("TOPIC", topic, known)
    name = folded[topic.casefold()]
    kind, text = known[name]
    console.answer("explain", f"{name} ({kind})\n\n{text}", {"topic": name, "kind": kind, "text": text})


def topics() -> dict[str, tuple[str, str]]:
    """Return every topic with its kind and text."""
    from evaltoolkit.cli.topics import TOPICS
    from evaltoolkit.registry import DESIGNS

    found = {name: (kind, text) for kind, group in TOPICS.items() for name, text in group.items()}
    found |= {entry.kind: ("design", entry.summary) for entry in DESIGNS}
    kinds = [kind for kind in EvaluationError.every_kind() if kind.__module__ == "evaltoolkit.errors"]
    found |= {kind.code: ("error", inspect.getdoc(kind) or "") for kind in kinds}
    return found
