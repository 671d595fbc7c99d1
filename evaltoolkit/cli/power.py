"""``evaltoolkit power``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of, table_text


def power(
    ctx: typer.Context,
    design: Annotated[Path, typer.Argument(help="A design file.", metavar="DESIGN")],
    allow_outside: Annotated[bool, typer.Option("--allow-outside", help="Paths may leave the project folder.")] = False,
) -> None:
    """Say what this study could find: the smallest detectable effect and a power curve, by the periods before it."""
    from evaltoolkit.pipeline import load_study
    from evaltoolkit.planning import plan

    console = console_of(ctx)
    found = plan(load_study(design, allow_outside=allow_outside))
    table = table_text(("effect", "chance to find it", ""), found.rows())
    console.answer("power", "\n".join([table, "", *found.words]), {"power": found.to_plain()})
