"""The whole error tree; every message says what was found, what was expected and what to do.

::

    EvaluationError                    exit code 2
    ├── DesignFileError                the design file
    │   ├── DesignFileSyntaxError          E-FILE-TOML
    │   ├── DesignFileKeyError             E-FILE-KEY
    │   ├── DesignFileValueError           E-FILE-VALUE
    │   └── PathOutsideProjectError        E-FILE-PATH
    ├── DataError                      the data
    │   ├── DataFileError                  E-DATA-FILE
    │   ├── ColumnNotFoundError            E-DATA-COLUMN
    │   ├── ColumnTypeError                E-DATA-TYPE
    │   ├── PeriodError                    E-DATA-PERIOD
    │   ├── DuplicateRowsError             E-DATA-DUPLICATE
    │   ├── MissingValuesError             E-DATA-MISSING
    │   └── DataChangedError               E-DATA-CHANGED
    ├── DesignError                    the data do not support the design
    │   ├── TreatmentTimingError           E-DESIGN-TIMING
    │   ├── NoComparisonError              E-DESIGN-COMPARISON
    │   ├── NoPrePeriodError               E-DESIGN-PREPERIOD
    │   ├── NoVariationError               E-DESIGN-VARIATION
    │   ├── SeparationError                E-DESIGN-SEPARATION
    │   ├── CollinearityError              E-DESIGN-COLLINEAR
    │   └── TooFewClustersError            E-DESIGN-CLUSTERS
    ├── OptionError                    E-OPTION
    ├── ResultFileError                E-RESULT-FILE
    ├── MomentsFileError               E-MOMENTS-FILE
    ├── DisclosureError                E-DISCLOSURE
    │   └── SmallSumsError                 E-DISCLOSURE-SUMS
    ├── OutputError                    E-OUTPUT
    └── SetupError                     E-SETUP
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar, Self


class EvaluationError(Exception):
    """Something in the design, the data, an option or the folder has to change before the evaluation can run.

    Parameters
    ----------
    found
        What was found, as one sentence without a full stop.
    expected
        What was expected instead.
    todo
        What to do about it.
    where
        The place: a file with its line, a column, an option.
    """

    code: ClassVar[str] = "E-EVALUATION"

    def __init__(self, found: str, *, expected: str, todo: str, where: str = "") -> None:
        self.found = found.rstrip(".")
        self.expected = expected.rstrip(".")
        self.todo = todo.rstrip(".")
        self.where = where
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The three parts as one line."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.found}. Expected: {self.expected}. What to do: {self.todo}."

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.found, self.expected, self.todo, self.where))

    @classmethod
    def every_kind(cls) -> tuple[type[EvaluationError], ...]:
        """Every class of the tree, this one first."""
        kinds: list[type[EvaluationError]] = [cls]
        for child in cls.__subclasses__():
            kinds.extend(child.every_kind())
        return tuple(kinds)


def _rebuild(kind: type[EvaluationError], found: str, expected: str, todo: str, where: str) -> EvaluationError:
    return kind(found, expected=expected, todo=todo, where=where)


class DesignFileError(EvaluationError):
    """The design file has to change. The message names the file, the key and the line."""

    code = "E-FILE"


class DesignFileSyntaxError(DesignFileError):
    """The design file is not TOML 1.0: a quote, a bracket or an equals sign is missing near the line that is named."""

    code = "E-FILE-TOML"


class DesignFileKeyError(DesignFileError):
    """The design file has a key that this design does not know, or lacks one that it needs."""

    code = "E-FILE-KEY"

    @classmethod
    def unknown(cls, key: str, known: Iterable[str], *, where: str = "") -> Self:
        """Build the message for an unknown key, with the nearest known one."""
        known = sorted(known)
        return cls(
            f"the key '{key}' is not known here{did_you_mean(key, known)}",
            expected="one of " + ", ".join(known),
            todo="correct the key or remove it",
            where=where,
        )


class DesignFileValueError(DesignFileError):
    """A key of the design file holds a value of the wrong kind, or one that is not among the choices."""

    code = "E-FILE-VALUE"


class PathOutsideProjectError(DesignFileError):
    """A path in the design file leaves the project folder, by '..', an absolute path or a symbolic link.

    A design file from a stranger must not be able to read other files. Move the data into the project folder,
    or give ``--allow-outside`` when you trust the design file.
    """

    code = "E-FILE-PATH"


class DataError(EvaluationError):
    """The data have to change, or the design file has to describe them differently."""

    code = "E-DATA"


class DataFileError(DataError):
    """The data file is missing, empty, unreadable, or of a kind that is not read."""

    code = "E-DATA-FILE"


class ColumnNotFoundError(DataError):
    """A column that the design names is not in the data."""

    code = "E-DATA-COLUMN"

    @classmethod
    def among(cls, column: str, available: Iterable[str], *, role: str, where: str = "") -> Self:
        """Build the message for a missing column, with the nearest one that is there."""
        available = [str(name) for name in available]
        shown = ", ".join(available[:30]) + (f" and {len(available) - 30} more" if len(available) > 30 else "")
        return cls(
            f"the {role} column '{column}' is not in the data{did_you_mean(column, available)}",
            expected=f"one of the columns {shown}",
            todo=f"correct the name given for the {role}, or the header of the data file",
            where=where,
        )


class ColumnTypeError(DataError):
    """A column holds text where numbers belong, an infinite value, or values outside what its role allows."""

    code = "E-DATA-TYPE"


class PeriodError(DataError):
    """A date or period cannot be read, is missing, or periods do not follow one another as declared."""

    code = "E-DATA-PERIOD"


class DuplicateRowsError(DataError):
    """Two or more rows stand for the same unit and period (or the same period of a series)."""

    code = "E-DATA-DUPLICATE"


class MissingValuesError(DataError):
    """A column has no usable value, or values are missing where the design cannot go on without them."""

    code = "E-DATA-MISSING"


class DataChangedError(DataError):
    """The data file's sha256 is not the one that the design file states: the data changed since it was written."""

    code = "E-DATA-CHANGED"


class DesignError(EvaluationError):
    """The data cannot support this design as it is declared."""

    code = "E-DESIGN"


class TreatmentTimingError(DesignError):
    """The start of treatment is not clear: a unit has several start dates, treatment switches off, or none starts."""

    code = "E-DESIGN-TIMING"


class NoComparisonError(DesignError):
    """No unit is left to compare with."""

    code = "E-DESIGN-COMPARISON"


class NoPrePeriodError(DesignError):
    """No period, or too few, lie before the start, so there is nothing to compare the change with."""

    code = "E-DESIGN-PREPERIOD"


class NoVariationError(DesignError):
    """A column never varies, so no effect on it, or of it, can be estimated."""

    code = "E-DESIGN-VARIATION"


class SeparationError(DesignError):
    """A covariate tells treated and comparison units apart perfectly, so no propensity score exists for them."""

    code = "E-DESIGN-SEPARATION"


class CollinearityError(DesignError):
    """A covariate is a combination of others, so its coefficient is not defined."""

    code = "E-DESIGN-COLLINEAR"


class TooFewClustersError(DesignError):
    """There are too few clusters (sites, pairs) for any standard error."""

    code = "E-DESIGN-CLUSTERS"


class OptionError(EvaluationError):
    """An option or argument has a value that is not known, or two of them contradict one another."""

    code = "E-OPTION"

    @classmethod
    def unknown(cls, name: str, value: object, choices: Iterable[str], *, where: str = "") -> Self:
        """Build the message for a value that is not among the choices."""
        choices = list(choices)
        return cls(
            f"{name} = {value!r} is not known{did_you_mean(str(value), choices)}",
            expected="one of " + ", ".join(choices),
            todo=f"choose one of these for {name}",
            where=where,
        )


class ResultFileError(EvaluationError):
    """A result.json cannot be read, or was written in a form that this version does not know."""

    code = "E-RESULT-FILE"


class MomentsFileError(EvaluationError):
    """A file of sums cannot be read, was changed since it was written, or does not go together with the others.

    Sums of several agencies may be added only where all were made by one plan, and no unit is in two of them.
    """

    code = "E-MOMENTS-FILE"


class DisclosureError(EvaluationError):
    """An output would have shown an identifier, or disclosure control was loosened without an agreement."""

    code = "E-DISCLOSURE"


class SmallSumsError(DisclosureError):
    """Sums rest on so few people that they may not leave the place they are in."""

    code = "E-DISCLOSURE-SUMS"


class OutputError(EvaluationError):
    """The output folder cannot be written: read-only, not a folder, or the disk is full. Nothing was changed."""

    code = "E-OUTPUT"


class SetupError(EvaluationError):
    """Something that the program needs is not installed or does not work. ``evaltoolkit doctor`` tells more."""

    code = "E-SETUP"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the nearest known word, or nothing.

    >>> did_you_mean("estimater", ["estimator", "cluster"])
    " (did you mean 'estimator'?)"
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean '{folded[near[0]]}'?)" if near else ""
