"""KEY=VALUE options as tables."""

import tomllib
from collections.abc import Iterable
from typing import Any

from mdn.errors import UsageError


def table(assignments: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """`optim.lr=1e-4` as {"optim": {"lr": 1e-4}}, for all assignments together.

    A value is read as TOML writes it: a number, true, [1, 2], "text"; what is none of these is
    text as it stands, so that no quotes need protection from the shell.

    Raises UsageError: one has no key, or no =.
    """
    made: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not sign or not all(parts):
            raise UsageError(f"{option} {text!r}: write KEY=VALUE, such as optim.lr=1e-4")
        at = made
        for part in parts[:-1]:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise UsageError(f"{option} {text!r}: {part} has a value already")
        at[parts[-1]] = _value(value.strip())
    return made


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
