"""Training of the gate that chooses between two nets, or leaves a picture alone."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mdn.nets.gate import CHOICES, Gate, SecondGate
from mdn.nets.unet import UNet, UNetConfig
from mdn.training import gate
from mdn.training.data import Crops
from mdn.training.gate_lessons import Lessons, draw_lessons
from mdn.training.patterns import draw_pattern
from tests.training.test_judged import recipe

SMALL = UNetConfig(widths=(8, 12), blocks=(1, 1), per_channel_mask=True, judge=True)


def lessons(count: int = 256) -> gate.Lessons:
    """The first number of the descriptor tells which choice is best, the others nothing."""
    generator = torch.Generator().manual_seed(0)
    best = torch.arange(count) % 3
    descriptor = torch.randn(count, 5, generator=generator)
    descriptor[:, 0] = best - 1.0
    error = torch.full((count, 3), 1e-3)
    error[torch.arange(count), best] = 1e-3 / 3
    seen = torch.randn(count, 6, 9, generator=generator).half()
    taken_out = torch.randn(count, 18, 4, generator=generator).half()
    # What is wrong is the same everywhere, but for its strength.
    wrong = (error[:, :, None] * error[:, None]).sqrt()
    return Lessons(seen, descriptor, wrong, best == 0, taken_out)


def test_it_learns_to_name_the_best() -> None:
    found = gate.shares(gate.fit(lessons(), 0, 60), lessons()).argmax(1)
    assert (found == torch.arange(256) % 3).float().mean() > 0.95


def test_the_second_gate_learns_from_what_was_taken_out() -> None:
    given = replace(lessons(), descriptor=torch.randn(256, 5))  # which tells nothing
    best = torch.arange(256) % 3
    given.taken_out[:, 0] = best[:, None]
    found = gate.shares(gate.fit(given, 0, 20, second=True), given).argmax(1)
    assert (found == best).float().mean() > 0.95


def test_the_table_counts_what_was_lost_and_harmed() -> None:
    given = lessons(6)
    always_white = torch.tensor([[0.0, 0.0, 1.0]]).expand(6, -1)
    rows = gate.table(given, {"always white": always_white})
    assert [row["of"] for row in rows] == [2, 4]
    lost = 10 * math.log10(3)
    assert rows[0]["lost"] == pytest.approx(lost, abs=0.1)
    assert rows[0]["harmed"] == 2
    assert rows[1]["lost"] == pytest.approx(lost / 2, abs=0.1)
    assert rows[1]["harmed"] == 0


def test_the_gates_are_held_against_an_oracle() -> None:
    given = lessons(12)
    gates = [kind(6, 5).eval() for kind in (Gate, SecondGate)]
    ways = gate.ways_of(*gates, given)
    assert [*ways][-3:] == ["the gate", "the second gate", "oracle, all or nothing"]
    assert len(ways) == len(CHOICES) + 3
    lost = {str(row["chosen by"]): float(str(row["lost"])) for row in gate.table(given, ways)}
    assert min(lost, key=lost.__getitem__) == "oracle, all or nothing"


def test_where_it_cannot_tell_a_share_is_taken() -> None:
    """Half of the pictures are clean and half are noisy, and nothing tells which."""
    given = lessons()
    clean = torch.arange(256) % 2 == 0
    leave = torch.where(clean, 1e-9, 1e-3)
    net = torch.full((256,), 1e-4)
    wrong = torch.diag_embed(torch.stack([leave, net, 2 * net], 1))
    given = replace(given, descriptor=torch.zeros(256, 5), wrong=wrong, clean=clean)
    given.seen[:] = given.taken_out[:] = 0
    shares = gate.shares(gate.fit(given, 0, 40), given)
    assert (shares[:, 1] > 0.2).all()
    assert (shares[:, 1] < 0.9).all()
    assert (shares[:, 2] == 0).all()


def test_what_nothing_was_done_to_is_best_left_alone() -> None:
    torch.manual_seed(0)
    net = UNet(SMALL).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    generator = torch.Generator().manual_seed(1)
    pictures = [(255 * draw_pattern(96, generator)).byte() for _ in range(3)]
    crops = Crops(pictures, 64, torch.device("cpu"))
    data = {"sources": ["x"], "crop": 48, "context": 64}
    clean = recipe(("clean", 0, 0), clip_share=0.0, data=data)
    drawn = draw_lessons(clean, crops, net, net, range(2))
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
