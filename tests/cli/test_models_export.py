"""`mdn models export`: options to the task, facts to lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mdn.registry import cards, export
from tests.cli.cli_tools import Run


def test_what_was_written_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(card: cards.Card, target: Path, *, overwrite: bool) -> dict[str, Any]:
        return {"inputs": {"image": ["1", "3", "height", "width"]}, "difference": 1e-6}

    monkeypatch.setattr(export, "export", fake)
    told = run("models", "export", "photo", "-o", "p.onnx")
    assert told.stdout == "p.onnx: takes image 1x3xheightxwidth; equal to PyTorch within 1e-06\n"
    document = json.loads(run("models", "export", "photo", "--json").stdout)
    assert (document["name"], document["file"]) == ("photo", "photo.onnx")
