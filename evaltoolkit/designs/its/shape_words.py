"""Interruptions, shapes of change, phase-ins and other events in words."""

from __future__ import annotations

from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.series import Series
from evaltoolkit.designs.its.shapes import Effect, Shape, form_of
from evaltoolkit.results import plural

Part = tuple[str, str]
"""A piece of an equation, and how it is read."""


def every_effect(series: Series, options: Options) -> tuple[Effect, ...]:
    """Return what may change at any interruption, each once."""
    found: list[Effect] = []
    for start in series.starts:
        found += [e for e in series.own.get(start, options.effects) if e not in found]
    return tuple(found)


def joined(parts: list[str]) -> str:
    """Return "a", "a and b", "a, b and c".

    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def changes_text(series: Series, options: Options) -> str:
    """Return how the model lets the course change, to follow "it may change"."""
    if not series.own:
        return joined([_phrase(e, series) for e in options.effects])
    return joined([
        f"from {series.start_label(start)} on "
        + joined([_phrase(e, series) for e in series.own.get(start, options.effects)])
        for start in series.starts
    ])  # fmt: skip


def _phrase(effect: Effect, series: Series) -> str:
    noun = series.calendar.noun
    plain = {
        "level": "at once and for good (level)", "slope": "in its trend (slope)",
        "pulse": f"in one {noun} alone (pulse)",
    }  # fmt: skip
    if not isinstance(effect, Shape):
        return plain[effect]
    end = f"until {effect.until}" if effect.until is not None else f"for {plural(effect.lasts or 1, noun)}"
    words = plain | {
        "ramp": f"in {effect.over} equal steps, a {noun} each, and then for good (ramp)",
        "temporary": f"{end} (temporary)",
    }
    return words[effect.shape] + (f", beginning {plural(effect.delay, noun)} later" if effect.delay else "")


def phase_text(series: Series) -> str:
    """Return what was done about a phase-in, as sentences that follow another; empty without one."""
    if not series.phases:
        return ""
    noun = series.calendar.noun
    spans = joined([
        series.calendar.label(start) if phase.whole - start == 1
        else f"{series.calendar.label(start)} to {series.calendar.label(phase.whole - 1)}"
        for start, phase in sorted(series.phases.items())
    ])  # fmt: skip
    if next(iter(series.phases.values())).ramp:
        return (
            f" The program was phased in ({spans}): in the model the change of level grows in equal steps, a {noun} "
            "each, and the change of trend counts from the end of the phase-in."
        )
    return f" The phase-in ({spans}) is left out, and changes count from the first {noun} after it."


def phase_text_of_sites(series: Series) -> str:
    """Return what was done about the phase-in of every site, from the series of one; empty without one."""
    if not series.phases:
        return ""
    noun = series.calendar.noun
    start, phase = next(iter(series.phases.items()))
    first = f"first {phase.whole - start:,} {noun}s" if phase.whole - start > 1 else f"first {noun}"
    if phase.ramp:
        return f" The program was phased in over the {first} at each site: the change of level grows in equal steps."
    return (
        f" The {first} of the program at each site are left out as phase-in, and changes count from the {noun} after."
    )


def events_text(series: Series) -> str:
    """Return which other events are part of the model, as a sentence that follows another; empty without any."""
    inside = [f"{m.label} ({series.calendar.label(m.step)})" for m in series.marked if m.modelled]
    more = []
    if series.covariates:
        more.append(f" The model also holds {joined([name.replace('_', ' ') for name in series.covariates])}.")
    if inside:
        said = joined(inside)
        more.append(
            f" {said[:1].upper()}{said[1:]} {'has' if len(inside) == 1 else 'have'} a level of its own in the model."
        )
    return "".join(more)


def equation_parts(series: Series, options: Options) -> list[Part]:
    """Return the pieces of the model's equation that stand for changes."""
    several = len(series.starts) > 1
    start, read = ("T", "interruption j") if several else ("T₀", "the start")
    j = "ⱼ" if several else ""
    found: list[Part] = []
    for effect in every_effect(series, options):
        shape = effect if isinstance(effect, Shape) else None
        delay = 0 if shape is None else shape.delay
        d, later = (f" + {delay}", f" plus {delay}") if delay else ("", "")
        at = f"{start}{j}{d}"
        sign = "Σ " if several else ""
        form = form_of(effect)
        m = "m" if shape is None or not (shape.over or shape.lasts) else str(shape.over or shape.lasts)
        found.append({
            "level": (f" + {sign}δ{j} 1[t ≥ {at}]", f"delta if t is at or after {read}{later}"),
            "slope": (f" + {sign}γ{j} (t − {at}) 1[t ≥ {at}]", f"gamma times the periods since {read}{later}"),
            "pulse": (f" + {sign}π{j} 1[t = {at}]", f"pi if t is {read}{later}"),
            "temporary": (f" + {sign}τ{j} 1[{at} ≤ t < {at} + {m}]", f"tau in the {m} periods from {read}{later}"),
            "ramp": (
                f" + {sign}κ{j} min((t − {at} + 1)/{m}, 1) 1[t ≥ {at}]",
                f"kappa times the share of {m} steps taken since {read}{later}",
            ),
        }[form])  # fmt: skip
    return found


def shapes_method(series: Series, options: Options) -> str:
    """Return the changes of the model with their symbols."""
    words = {
        "level": "a change of level (δ)",
        "slope": "a change of slope (γ) that counts the periods since the start, from 0",
        "pulse": "a change in one period (π)", "temporary": "a change for a time (τ)",
        "ramp": "a change that grows in equal steps (κ)",
    }  # fmt: skip
    forms = list(dict.fromkeys(form_of(e) for e in every_effect(series, options)))
    return joined([words[form] for form in forms])
