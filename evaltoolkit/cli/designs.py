"""``evaltoolkit designs``."""

from __future__ import annotations

import typer

from evaltoolkit.cli.console import console_of, table_text


def designs(ctx: typer.Context) -> None:
    """List the designs: what each compares, and its name in design files."""
    from evaltoolkit.registry import DESIGNS

    rows = [(entry.kind, entry.short, entry.summary) for entry in DESIGNS]
    console_of(ctx).answer(
        "designs",
        table_text(("design", "short", "what it compares"), rows),
        {"designs": [{"design": kind, "short": short, "summary": summary} for kind, short, summary in rows]},
    )
