"""``evaltoolkit simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of
from evaltoolkit.errors import OptionError


def simulate(
    ctx: typer.Context,
    world: Annotated[str, typer.Argument(help="A world with known truth; a wrong name lists them.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 20260101,
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")] = Path(),
    effect: Annotated[float, typer.Option("--effect", help="Times the world's own effect: 0 for none.")] = 1.0,
) -> None:
    """Write made-up data whose true effect is known, with a codebook."""
    from evaltoolkit.simulate import WORLDS, write

    if world not in WORLDS:
        raise OptionError.unknown("WORLD", world, sorted(WORLDS))
    files = [str(file) for file in write(WORLDS[world], seed, out, effect=effect)]
    values = {"world": world, "seed": seed, "effect": effect, "files": files}
    console_of(ctx).answer("simulate", "\n".join(files), values)
