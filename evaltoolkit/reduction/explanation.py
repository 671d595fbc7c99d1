"""What a study would ask of an engine and what would leave it, told before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One query, in words and in the engine's; ``sql`` is empty where the engine has no SQL or no query is needed."""

    words: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Numbers that leave together.

    Attributes
    ----------
    what
        What they are about: "sums of each cell".
    numbers
        Each number by its name, as the query returns it.
    words
        How many of them there are, and what they tell.
    """

    what: str
    numbers: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a study would do with a source.

    Attributes
    ----------
    design
        Kind of design.
    release
        What may leave: ``moments``, ``strict`` or ``open``.
    engine
        Where rows are held: ``duckdb``, ``pyspark`` ... or ``memory``.
    plan, plan_sha256
        Every choice that the sums depend on, and its hash; empty where nothing is reduced.
    steps
        Queries in their order.
    leaves
        All that leaves.
    """

    design: str
    release: str
    engine: str
    plan: Mapping[str, Any]
    plan_sha256: str
    steps: tuple[Step, ...]
    leaves: tuple[Leaving, ...]

    def text(self) -> str:
        """Return it as text."""
        head = [f"design   {self.design}", f"release  {self.release}", f"engine   {self.engine}"]
        plan = [f"  {name} = {_plain(value)}" for name, value in self.plan.items() if value not in (None, [], (), {})]
        if plan:
            head += [f"plan     {self.plan_sha256}", *plan]
        lines = [*head, "", "Steps"]
        for i, step in enumerate(self.steps, start=1):
            lines += [f"{i}. {step.words}", *(f"     {line}" for line in step.sql.splitlines())]
        lines += ["", "What leaves"]
        for leaving in self.leaves:
            lines.append(f"- {leaving.what}: {leaving.words}")
            lines += [f"     {', '.join(leaving.numbers)}"] if leaving.numbers else []
        if not self.leaves:
            lines.append("- nothing")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return {
            "design": self.design, "release": self.release, "engine": self.engine, "plan": dict(self.plan),
            "plan_sha256": self.plan_sha256, "steps": [{"words": s.words, "sql": s.sql} for s in self.steps],
            "leaves": [{"what": x.what, "numbers": list(x.numbers), "words": x.words} for x in self.leaves],
        }  # fmt: skip


def _plain(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
