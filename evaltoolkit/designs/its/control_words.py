"""The sentences that change where a series has a control."""

from __future__ import annotations

from evaltoolkit.designs.its.control_results import before_text, control_words
from evaltoolkit.designs.its.display import start_words
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.shape_words import joined
from evaltoolkit.kernels.controlled import ALIKE
from evaltoolkit.results import Assumption, Method, Reference, plural

_NAMED = 5


def led_by(fitted: Fitted) -> str:
    """Return what stands for the course without the program, to precede "lead" or "leads one to expect"."""
    return "its past leads one to expect" if fitted.series.control is None else (
        "its past and the control lead one to expect"
    )  # fmt: skip


def approach(fitted: Fitted) -> tuple[str, ...]:
    """Return how controls were chosen and used; nothing without one."""
    control = fitted.series.control
    if control is None:
        return ()
    J = len(control.names)
    named = f" ({joined(list(control.names))})" if J <= _NAMED else ""
    pool = plural(control.candidates, "series", "series")
    how = {
        "named": f"It is compared with {plural(J, 'control')}{named}.",
        "mean": f"It is compared with the mean of {plural(J, 'other series', 'other series')}{named}.",
        "all": f"It is compared with the mean of {plural(J, 'other series', 'other series')}{named}.",
        "matched": f"Of {pool}, the {J} that ran alike before the start{named} are the control: level and trend "
        f"differed with p above {ALIKE:.2f} each.",
        "synthetic": f"The control is a weighted mean of {J} of {pool}{named}, with weights that make it run as the "
        "treated series did before the start.",
    }[control.kind]  # fmt: skip
    use = "The model is of the ratio of the two rates" if fitted.ratio else "The model is of the difference of the two"
    return (f"{how} {use}, so what moves both alike drops out. {before_text(fitted)}",)


def how_we_know(fitted: Fitted) -> str:
    """Return where the answer comes from."""
    control = fitted.series.control
    assert control is not None
    return (
        f"Two series are compared from {fitted.series.label(0)} to {fitted.series.label(-1)}: the one with the program "
        f"and a control ({control_words(control)}). How they stood to one another before {start_words(fitted)} stands "
        "for how they would have stood after it without the program."
    )


def assumption(fitted: Fitted) -> Assumption:
    """Return the assumption that takes the place of a course that goes on."""
    return Assumption(
        name="The two would have stayed as they were to one another",
        text="Without the program, the difference between the series and its control (the ratio, for counts) would "
        "have kept the course that it had before, and the program did not reach the control.",
        checked=before_text(fitted),
    )


def limit() -> str:
    """Return what the control cannot rule out."""
    return (
        "A change at the same time that touched only the series with the program, and not its control, is part of the "
        "result."
    )


def method(fitted: Fitted) -> tuple[Method, ...]:
    """Return how the control enters the model; nothing without one."""
    control = fitted.series.control
    if control is None:
        return ()
    chosen = {
        "synthetic": " Weights are not negative, add up to one and minimise the squared difference of both series from "
        "their means before the start, with the ridge of synthetic difference-in-differences.",
        "matched": " Controls were chosen one by one by the p-values of level and trend (z and z_t) in a regression "
        "beside the treated series, Newey-West with one lag, as in Stata's itsamatch.",
    }.get(control.kind, "")
    text = (
        "The count of the treated series is modelled in relation to the control's rate: the log of that rate is added "
        "with its coefficient fixed at one. Chance in the control adds to the spread, which the errors estimate."
        if fitted.ratio else
        "The difference between the treated series and its control is regressed, which gives the z, z_t, z_x and z_x_t "
        "of the stacked regression; its errors are those of one series, so that what differs between the two is "
        "measured on itself and not on the spread among controls."
    )  # fmt: skip
    return (Method(title="Control", text=text + chosen),)


def references(fitted: Fitted) -> tuple[Reference, ...]:
    """Return the sources of controlled series; nothing without a control."""
    control = fitted.series.control
    if control is None:
        return ()
    found = [
        Reference(
            text="Linden, A. (2015). Conducting interrupted time-series analysis for single- and multiple-group "
            "comparisons. Stata Journal 15.",
            doi="10.1177/1536867X1501500208",
        )
    ]
    if control.kind == "matched":
        found.append(
            Reference(
                text="Linden, A. (2018). A matching framework to improve causal inference in interrupted time-series "
                "analysis. Journal of Evaluation in Clinical Practice 24.",
                doi="10.1111/jep.12874",
            )
        )
    if control.kind == "synthetic":
        found.append(
            Reference(
                text="Arkhangelsky, D. et al. (2021). Synthetic difference-in-differences. American Economic Review "
                "111.",
                doi="10.1257/aer.20190159",
            )
        )
    return tuple(found)
