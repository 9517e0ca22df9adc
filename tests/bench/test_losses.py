"""`mdn bench --worst`: which pictures lose most, and how many lose at all."""

from __future__ import annotations

import json
import math

import pytest

from mdn import metrics
from mdn.bench import benchmark as bench
from mdn.bench import losses
from mdn.bench.cache import Score
from mdn.bench.rows import Row
from tests.bench.test_bench import Listener, clean, settings

__all__ = ["clean"]

PSNR = metrics.get("psnr")


def row(who: str, kind: str, **figures: float | None) -> Row:
    made = Row("set", "gaussian25", who, kind)
    for picture, value in figures.items():
        made.add(f"set/{picture}", Score({"psnr": value, "gmsd": value}, 1.0, 100, 0))
    return made


ROWS = [
    row("noisy", "input", a=30.0, b=30.0, c=math.inf, d=None),
    row("net", "model", a=33.0, b=29.0, c=50.0, d=None),
    row("exact", "model", a=30.0, b=29.99, c=math.inf, d=31.0),
]


def test_the_largest_loss_comes_first() -> None:
    found = losses.find(ROWS, PSNR)
    assert [(loss.picture, loss.method) for loss in found[:2]] == [
        ("set/c", "net"),
        ("set/b", "net"),
    ]
    assert found[0].gain == 50 - losses.CEILING
    assert found[-1].gain == 3
    assert len(found) == 6  # d has no figure before


def test_losses_of_rounding_do_not_count() -> None:
    lines = losses.summary(losses.find(ROWS, PSNR), PSNR)
    assert lines[0].startswith("net: 2 of 3 pictures came out worse")
    assert lines[1].startswith("exact: 0 of 3 pictures")


def test_where_lower_is_better_a_rise_is_a_loss() -> None:
    gmsd = metrics.get("gmsd")
    found = losses.find(ROWS, gmsd)
    assert (found[0].picture, found[0].gain) == ("set/a", pytest.approx(-3))


def test_equal_to_the_truth_is_a_word_for_people_and_null_in_json() -> None:
    worst = losses.find(ROWS, PSNR)[0]
    assert losses.cells(worst, PSNR)[3:] == ["equal", "50.00", "-10.00"]
    assert json.loads(json.dumps(losses.table([worst])))[0]["before"] is None


def test_bench_lists_them_only_when_asked(clean) -> None:
    asked = bench.run(settings(clean, worst=True), Listener())
    assert [loss.method for loss in asked.worst] == ["unittest"] * 2
    assert "## Pictures that lose most, PSNR dB" in asked.markdown
    assert asked.document["worst"][0]["picture"] == asked.worst[0].picture
    plain = bench.run(settings(clean), Listener())
    assert not plain.worst
    assert "worst" not in plain.document
    assert "lose most" not in plain.markdown
