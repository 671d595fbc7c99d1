"""How often intervals after matching and weighting hold the truth, and how their errors compare with the spread.

Run ``python benchmarks/coverage_matching.py`` (about an hour on one core); it writes ``docs/coverage_matching.md``.
With ``--draws 50`` it prints a quick look and writes nothing; ``--only NAME`` runs the worlds whose name holds NAME.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.designs.matching.covariates import Covariates
from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.estimating import effect_of
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.matching import match
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import EvaluationError
from evaltoolkit.kernels.propensity import fit_yes_no

FloatArray = NDArray[np.float64]
PAGE = Path(__file__).parents[1] / "docs" / "coverage_matching.md"
SEED = 20260401
LEVEL = 0.95
TARGET = (0.93, 0.97)


@dataclass(frozen=True)
class World:
    """Where people come from.

    The chance of being served is a logit in the covariates. A continuous outcome is linear in them with half a square,
    and the effect is the same for everybody; a yes/no outcome has a logit in them without the program, and the program
    adds the effect to everybody's chance.
    """

    name: str
    n: int
    treated: int | None = None
    covariates: int = 5
    kind: str = "continuous"
    base: float = 0.03
    effect: float = 1.0
    draws: int = 1000


@dataclass(frozen=True, eq=False)
class Way:
    """One way to match and to estimate."""

    name: str
    options: dict[str, Any]
    method: str = "auto"


WORLDS = (
    World("n = 200", 200),
    World("n = 1,000", 1000),
    World("n = 5,000", 5000, draws=400),
    World("15 served of 75", 75, treated=15, covariates=2),
    World("30 served of 150", 150, treated=30, covariates=3),
    World("60 served of 300", 300, treated=60, covariates=3),
    World("3% outcome, 1,000 people", 1000, kind="binary", covariates=3, effect=0.03),
    World("3% outcome, 60 served of 300", 300, treated=60, covariates=2, kind="binary", effect=0.0),
)
PAIRS: dict[str, Any] = {"caliper": 0.2}
AGAIN: dict[str, Any] = {"replace": True}
WAYS = (
    Way("1:1 pairs, regression", PAIRS),
    Way("1:1 pairs, regression", PAIRS, "cr2"),
    Way("1:1 pairs, difference", PAIRS | {"effect": "difference"}),
    Way("1:1 pairs, difference", PAIRS | {"effect": "difference"}, "abadie-imbens"),
    Way("optimal pairs, regression", {"method": "optimal"}),
    Way("2:1 sets, regression", PAIRS | {"ratio": 2}),
    Way("with replacement, regression", AGAIN),
    Way("with replacement, regression", AGAIN, "abadie-imbens"),
    Way("with replacement, difference", AGAIN | {"effect": "difference"}),
    Way("with replacement, difference", AGAIN | {"effect": "difference"}, "abadie-imbens"),
    Way("full matching, regression", {"method": "full"}),
    Way("full matching, regression", {"method": "full"}, "cr2"),
    Way("full matching, difference", {"method": "full", "effect": "difference"}),
    Way("6 strata of the score, regression", {"method": "subclass"}),
    Way("6 strata of the score, difference", {"method": "subclass", "effect": "difference"}),
    Way("kernel, regression", {"method": "kernel"}),
    Way("inverse probability, regression", {"method": "weighting"}),
    Way("inverse probability, difference", {"method": "weighting", "effect": "difference"}),
    Way("doubly robust (aipw)", {"method": "weighting", "effect": "aipw"}),
)  # fmt: skip
YES_NO = (
    Way("1:1 pairs, g-computation", PAIRS | {"effect": "g-computation"}),
    Way("1:1 pairs, g-computation", PAIRS | {"effect": "g-computation"}, "cr2"),
)


def draw(world: World, rng: np.random.Generator) -> People:
    """Draw the people of one study; where a number of served people is set, as many of each group are kept."""
    n = world.n if world.treated is None else 12 * world.n
    x = rng.normal(size=(n, world.covariates))
    slopes = np.array([0.6, 0.4, 0.3, 0.2, 0.1])[: world.covariates]
    served = rng.random(n) < 1 / (1 + np.exp(1.3 - x @ slopes))
    if world.treated is not None:
        kept = np.concatenate([
            np.flatnonzero(served)[: world.treated], np.flatnonzero(~served)[: world.n - world.treated]
        ])  # fmt: skip
        x, served = x[kept], served[kept]
    names = tuple(f"x{j}" for j in range(world.covariates))
    owner = tuple(range(world.covariates))
    covariates = Covariates(x, names, owner, x, names, owner)
    return People(
        treated=served, outcome=_outcome(world, x, served, rng), covariates=covariates, strata=None, distance=None,
        frame=pd.DataFrame(x, columns=list(names)), near=np.zeros((len(x), 0)),
        apart=np.zeros((len(x), 0), dtype=np.int64),
    )  # fmt: skip


def _outcome(world: World, x: FloatArray, served: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    if world.kind == "continuous":
        line = x @ np.linspace(1, 0.2, x.shape[1]) + 0.25 * x[:, 0] ** 2
        return line + world.effect * served + rng.normal(size=len(x))
    chance = 1 / (1 + np.exp(-np.log(world.base / (1 - world.base)) - 0.5 * x[:, 0])) + world.effect * served
    return (rng.random(len(x)) < np.minimum(chance, 1)).astype(float)


def scored(people: People) -> Score:
    """Fit the score."""
    fit = fit_yes_no(people.covariates.X, people.treated)
    return Score(
        probability=fit.probability, linear=fit.line, model="logit", names=("(Intercept)", *people.covariates.names),
        fit=fit,
    )  # fmt: skip


def estimated(people: People, score: Score, way: Way, kind: str, samples: dict[str, Matched]) -> Effect | None:
    """Match, unless that was done for another way, and estimate; None where there is nothing to estimate."""
    settings = way.options | {"treated": "t", "covariates": people.covariates.names}
    options = Options.model_validate(settings)
    key = str(sorted((k, str(v)) for k, v in way.options.items() if k not in {"effect", "score_known"}))
    asked = Asked(way=options.effect, kind=kind, method=way.method, level=LEVEL, draws=499, seed=1)  # type: ignore[arg-type]
    try:
        if key not in samples:
            samples[key] = match(people, score, options, 1)
        return effect_of(people, score, samples[key], options, asked, _never)
    except EvaluationError:
        return None


def _never(people: People) -> Matched:
    raise NotImplementedError


@dataclass
class Tally:
    """What many studies said."""

    estimates: list[float]
    errors: list[float]
    lengths: list[float]
    held: int = 0
    refused: int = 0
    name: str = ""

    def add(self, effect: Effect | None, truth: float) -> None:
        """Count one study."""
        if effect is None or not np.isfinite(effect.std_error):
            self.refused += 1
            return
        low, high = effect.interval(LEVEL)
        self.estimates.append(effect.estimate - truth)
        self.errors.append(effect.std_error)
        self.lengths.append(high - low)
        self.held += low <= truth <= high
        self.name = effect.inference

    @property
    def runs(self) -> int:
        """Studies with an estimate."""
        return len(self.estimates)

    def row(self) -> str:
        """Return coverage, its Monte Carlo error, error over spread, bias over spread, and the share refused."""
        if self.runs < 20:
            return "too few pairs |  |  |  | "
        share, spread = self.held / self.runs, float(np.std(self.estimates))
        off = float(np.mean(self.estimates)) / spread
        ratio = float(np.sqrt(np.mean(np.square(self.errors)))) / spread
        return (
            f"{100 * share:.1f} ± {196 * np.sqrt(share * (1 - share) / self.runs):.1f} | {ratio:.2f} | {off:+.2f} | "
            f"{float(np.median(self.lengths)):.3g} | {100 * self.refused / (self.runs + self.refused):.0f}"
        )


def study(world: World, ways: tuple[Way, ...], draws: int) -> dict[Way, Tally]:
    """Run one world many times."""
    rng = np.random.default_rng(SEED)
    found = [Tally([], [], []) for _ in ways]
    for _ in range(draws):
        people = draw(world, rng)
        score, samples = scored(people), dict[str, Matched]()
        for way, tally in zip(ways, found, strict=True):
            tally.add(estimated(people, score, way, world.kind, samples), world.effect)
    return dict(zip(ways, found, strict=True))


def section(world: World, draws: int, say: Callable[[str], None]) -> list[str]:
    """Return the lines of one world."""
    ways = WAYS + (YES_NO if world.kind == "binary" else ())
    begun = time.perf_counter()
    tallies = study(world, ways, draws)
    lines = [
        f"## {world.name}", "", f"{draws:,} studies, {world.covariates} covariates, {world.kind} outcome.", "",
        "| Matched, estimated by | Standard error | Coverage | Error / spread | Bias / spread | Length | Refused |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {way.name} | {tallies[way].name or way.method} | {tallies[way].row()} |" for way in ways]
    say("\n".join(lines) + f"\n({time.perf_counter() - begun:.0f} s)\n")
    return [*lines, ""]


INTRODUCTION = """# Coverage after matching and weighting

How often 95% intervals hold the true effect in simulated studies (`benchmarks/coverage_matching.py`). *Coverage* is in
percent, with twice its Monte Carlo error; *error / spread* is the mean standard error over the standard deviation of
the estimates (1 is right, less is too small); *bias / spread* is the mean error of the estimate over the same; *length*
is the median length of intervals; *refused* the percent of studies that the tool declined to estimate. CR2 and
Abadie-Imbens errors are taken where they are asked for; the others are what `inference = "auto"` takes.

The chance of being served is a logit in all covariates, about a fifth to a quarter of people are served, the outcome is
linear in the covariates with a quarter of a square, and the effect is the same for everybody. Yes/no outcomes have a
base rate of 3%. Pairs have a caliper of 0.2 standard deviations of the score.

What to take from it:

- With `effect = "regression"`, the default, intervals hold the truth in 93 to 97 percent after every way of matching,
  with 15 served people as with a thousand. The exception is matching with replacement in small samples, where matches
  are reused much and the two-way error is somewhat small (92 percent at 200 people); `abadie-imbens` holds there (94).
- CR1 would be too small for full matching with few sets, and HC1 for strata and kernels with few people: these runs are
  why `auto` takes CR2 up to 75 sets or 400 people.
- With `effect = "difference"` errors that treat the score as known are too large where covariates matter for the
  outcome: intervals after matching with replacement, strata or kernels hold the truth too often. After matching with
  replacement `inference = "abadie-imbens"` accounts for the estimated score and has the right length.
- With 60 served people and an outcome of 3%, a fifth of the studies have a group without events, for which
  g-computation is refused; a logit that covariates tell apart has no CR2 error either, and `auto` takes CR1.
- A difference on pairs or strata keeps what bias caliper and strata let through. In large samples that bias is larger
  than the error, and intervals miss: use the regression, a narrower caliper, or full matching.
"""


def main() -> None:
    """Run all worlds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    parts = [INTRODUCTION]
    for world in WORLDS:
        if given.only in world.name:
            parts += section(world, given.draws or world.draws, print)
    if given.draws is None and not given.only:
        PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
