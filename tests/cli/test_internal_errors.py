"""A fault of mdn's own over one file: the others are written, and a line names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdn import io
from mdn.image import Image
from tests.cli.cli_tools import MODEL, Make, Run

losses = io.losses


def odd(image: Image, format: str) -> list[str]:
    """What `io.losses` would be, were it at fault over one picture."""
    if Path(image.name).stem == "b":
        raise IndexError("index 3 is out of bounds")
    return losses(image, format)


WAYS = {
    "overlapped": (),
    "one by one": ("--max-memory", "4G"),
    "shard": ("--shard", "1/1", "--resume"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_batch_goes_on(
    run: Run, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    names = [make(f"{name}.png").name for name in "abc"]
    monkeypatch.setattr(io, "losses", odd)
    result = run("denoise", *MODEL, *WAYS[way], *names, "-o", "out/")
    assert result.exit_code == 3
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {"a.png", "c.png"}
    (line,) = [line for line in result.stderr.splitlines() if "error" in line]
    assert line.startswith("mdn: error: b.png: internal error of mdn, IndexError: index 3 is out")
    assert "report it" in line
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("way", WAYS)
def test_debug_shows_where(run: Run, make: Make, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    names = [make(f"{name}.png").name for name in "abc"]
    monkeypatch.setattr(io, "losses", odd)
    result = run("denoise", "--debug", *MODEL, *WAYS[way], *names, "-o", "out/")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert "in odd" in result.stderr


def test_a_file_alone_ends_with_1(run: Run, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("b.png")
    monkeypatch.setattr(io, "losses", odd)
    assert run("denoise", *MODEL, "b.png").exit_code == 1
