"""Training of the gate that chooses between two nets, or leaves a picture alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mdn.nets.gate import CHOICES, Gate, SecondGate
from mdn.nets.unet import UNet, UNetConfig
from mdn.training import gate
from mdn.training.data import Crops
from mdn.training.patterns import draw_pattern
from tests.training.test_judged import recipe

SMALL = UNetConfig(widths=(8, 12), blocks=(1, 1), per_channel_mask=True, judge=True)


def lessons(count: int = 256) -> gate.Lessons:
    """The first number of the descriptor tells which choice is best, the others nothing."""
    generator = torch.Generator().manual_seed(0)
    best = torch.arange(count) % 3
    descriptor = torch.randn(count, 5, generator=generator)
    descriptor[:, 0] = best - 1.0
    errors = torch.full((count, 3), -30.0)
    errors[torch.arange(count), best] = -35
    seen = torch.randn(count, 6, 9, generator=generator).half()
    taken_out = torch.randn(count, 18, 4, generator=generator).half()
    return gate.Lessons(seen, descriptor, errors, best == 0, taken_out)


def test_it_learns_to_name_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "EPOCHS", 60)
    found = gate.logits(gate.fit(lessons(), seed=0), lessons()).argmax(1)
    assert (found == torch.arange(256) % 3).float().mean() > 0.95


def test_the_second_gate_learns_from_what_was_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "EPOCHS", 20)
    given = replace(lessons(), descriptor=torch.randn(256, 5))  # which tells nothing
    best = torch.arange(256) % 3
    given.taken_out[:, 0] = best[:, None]
    found = gate.logits(gate.fit(given, seed=0, second=True), given).argmax(1)
    assert (found == best).float().mean() > 0.95


def test_a_batch_is_shown_the_same_cells_of_all() -> None:
    cells = torch.arange(12.0).expand(2, 3, 12)
    shown = [gate._some_cells(cells) for _ in range(40)]
    assert {each.shape[2] for each in shown} <= set(range(3, 13))
    assert len({each.shape[2] for each in shown}) > 3
    assert all(torch.equal(each[0], each[1]) for each in shown)
    assert all(each[0, 0].unique().numel() == each.shape[2] for each in shown)


def test_the_table_counts_what_was_lost_and_harmed() -> None:
    given = lessons(6)
    rows = gate.table(given, {"always white": torch.full((6,), 2)})
    assert [row["of"] for row in rows] == [2, 4]
    assert rows[0]["lost"] == 5.0
    assert rows[0]["harmed"] == 2
    assert rows[1]["lost"] == 2.5
    assert rows[1]["harmed"] == 0


def test_what_nothing_was_done_to_is_best_left_alone() -> None:
    torch.manual_seed(0)
    net = UNet(SMALL).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    generator = torch.Generator().manual_seed(1)
    pictures = [(255 * draw_pattern(96, generator)).byte() for _ in range(3)]
    crops = Crops(pictures, 64, torch.device("cpu"))
    data = {"sources": ["x"], "crop": 48, "context": 64}
    clean = recipe(("clean", 0, 0), clip_share=0.0, data=data)
    drawn = gate.draw_lessons(clean, crops, net, net, range(2))
    assert drawn.clean.all()
    assert (drawn.regret[:, CHOICES.index("leave")] == 0).all()


def test_weights_with_a_gate_are_the_same_but_for_it(tmp_path: Path) -> None:
    net = UNet(SMALL)
    made = Gate(net.judge.config.width, net.judge.config.size)
    second = SecondGate(net.judge.config.width, net.judge.config.size)
    gate.save(net, made, second, tmp_path / "weights.safetensors")
    state = load_file(tmp_path / "weights.safetensors")
    assert torch.equal(state["head.weight"], net.head.weight.half())
    assert {key for key in state if key.startswith("gate.")} == {
        f"gate.{key}" for key in made.state_dict()
    }
    assert torch.equal(state["second_gate.mix.weight"], second.mix.weight.half())
