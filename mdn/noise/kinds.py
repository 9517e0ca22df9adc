"""What `kinds.toml` says of every kind of noise. No torch here: the command line asks for names."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def described() -> dict[str, dict[str, Any]]:
    """Kinds by name, in the order of all lists: fields of `synthesis.types.NoiseType`."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {
        name: {key: tuple(v) if isinstance(v, list) else v for key, v in about.items()}
        for name, about in tomllib.loads(text).items()
    }
