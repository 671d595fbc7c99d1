"""What keeps an engine from being opened, one message each; none quotes what the engine said."""

from __future__ import annotations

import importlib.util

from evaltoolkit.data.addresses import Address
from evaltoolkit.errors import DataFileError, SetupError


def unreachable(address: Address, error: Exception, where: str) -> DataFileError:
    """Build the message for data that an engine cannot open; its own message may quote a row or a password."""
    return DataFileError(
        f"the {address.engine} data '{address.name}' cannot be opened ({type(error).__name__})",
        expected="data that the engine can read", where=where,
        todo="check the address, that the engine runs, the credentials in the environment, and that nothing locks it",
    )  # fmt: skip


def needs(package: str, extra: str, what: str, where: str) -> None:
    """Refuse where a package is not installed.

    Raises
    ------
    SetupError
        With the extra to install.
    """
    if importlib.util.find_spec(package) is None:
        raise SetupError(
            f"reading from {what} needs the package {package}", expected=f"the extra of {extra} to be installed",
            todo=f"run: pip install '{extra}'", where=where,
        )  # fmt: skip
