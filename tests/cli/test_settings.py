"""What --resume takes for the same: weights of all networks, files that options name."""

import json
from dataclasses import replace

import pytest

from mdn.cli import batch
from mdn.registry import store
from tests.cli.cli_tools import MODEL, Make, Run


def test_new_weights_of_a_second_network_are_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    card = store.find("unittest")
    cards = {"first": replace(card, name="first", kind="mixture", mixes=("second",), sha256="1")}
    monkeypatch.setattr(store, "find", lambda name: cards[name])
    cards["second"] = replace(card, name="second", sha256="2")
    before = batch.weights("first", "balanced")
    cards["second"] = replace(card, name="second", sha256="3")
    after = batch.weights("first", "balanced")
    assert before["first"] != after["first"]
    assert batch.weights("second", "balanced") == {"second": "3"}  # alone: as its card has it


def test_an_edited_mask_is_another_setting(run: Run, make: Make) -> None:
    make("in/a.png")
    make("mask.png")

    def status() -> str:
        arguments = ("denoise", "in", "-o", "out", "--resume", "--json", "--protect", "mask.png")
        (entry,) = json.loads(run(*arguments, *MODEL).stdout)["files"]
        return entry["status"]

    assert [status(), status()] == ["ok", "skipped"]
    make("mask.png", alpha=True)  # another file of the same name and size
    assert [status(), status()] == ["ok", "skipped"]
