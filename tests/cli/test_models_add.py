"""`mdn models add` and `remove`, from the command line to a denoised picture."""

import json
from pathlib import Path

import torch

from mdn import io
from tests.cli.cli_tools import Make, Run
from tests.nets.test_official import tiny


def test_official_weights_are_added_verified_and_used(run: Run, make: Make, tmp_path: Path) -> None:
    torch.save({"params": tiny()}, tmp_path / "official.pth")
    added = run("models", "add", "official.pth", "--as", "mine", "--arch", "swinir-masked")
    assert added.exit_code == 0, added.stderr
    assert added.stdout.startswith("mine: swinir-masked, ")
    assert run("models", "verify", "mine").stdout == "mine  ok\n"
    make("a.png", side=24)
    options = ("--device", "cpu", "--precision", "fp32")
    done = run("denoise", "a.png", "-m", "mine", "-o", "b.png", *options)
    assert done.exit_code == 0, done.stderr
    assert io.read_image(tmp_path / "b.png").pixels.shape == (1, 24, 27, 3)
    again = run("models", "add", "official.pth", "--as", "mine")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    removed = run("models", "remove", "mine")
    assert (removed.exit_code, "--yes" in removed.stderr) == (2, True)
    assert run("models", "remove", "mine", "--yes").exit_code == 0
    assert run("models", "show", "mine").exit_code == 6


def test_what_is_said_of_it_is_on_the_card(run: Run, tmp_path: Path) -> None:
    torch.save(tiny(), tmp_path / "plain.pth")
    options = ("--set", "attention_ratio=[0,0]", "--set", "input_mask=none", "--title", "Plain")
    added = run("models", "add", "plain.pth", *options, "--licence", "MIT", "--json")
    assert json.loads(added.stdout)["name"] == "plain"
    card = json.loads(run("models", "show", "plain", "--json").stdout)
    assert (card["title"], card["licence"]) == ("Plain", "MIT")


def test_wrong_keys_are_one_line(run: Run, tmp_path: Path) -> None:
    torch.save({**tiny(), "upsample.weight": torch.rand(2)}, tmp_path / "x.pth")
    result = run("models", "add", "x.pth", "--arch", "swinir-masked")
    assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
    assert "1 unknown (upsample.weight)" in result.stderr
