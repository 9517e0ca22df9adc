"""`mdn models`: list, show, path, verify, add, remove."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mdn import io
from mdn.registry import store
from tests.cli.cli_tools import Make, Run
from tests.nets.test_official import tiny


@pytest.fixture
def mine(run: Run, tmp_path: Path) -> Path:
    """A model of the user's own."""
    folder = tmp_path / "home" / "models" / "mine"
    shutil.copytree(store.find("unittest").folder, folder)
    card = (folder / "card.toml").read_text()
    card = card.replace('name = "unittest"', 'name = "mine"').replace("hidden = true\n", "")
    (folder / "card.toml").write_text(card)
    return folder


def test_the_list_has_a_line_for_each_model(run: Run, mine: Path) -> None:
    result = run("models", "list")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["NAME", "ARCH", "PARAMETERS", "MB", "DOMAIN", "ORIGIN", "SUMMARY"]
    (line,) = [line for line in lines if line.startswith("mine ")]
    assert line.split()[1:3] == ["unet", "2,992"]
    assert " user " in line
    assert "For tests: random weights that change a picture a little." in line
    assert not any(line.startswith("unittest ") for line in lines)


def test_the_list_as_json(run: Run, mine: Path) -> None:
    document = json.loads(run("models", "list", "--json").stdout)
    cards = {card["name"]: card for card in document["models"]}
    told = document["command"], document["damaged"], document["exit_code"]
    assert told == ("models list", [], 0)
    assert (cards["mine"]["parameters"], cards["mine"]["folder"]) == (2992, str(mine))


def test_a_damaged_card_leaves_json_one_document(run: Run, mine: Path) -> None:
    other = mine.with_name("other")
    other.mkdir()
    (other / "card.toml").write_text("name = ")
    result = run("models", "list", "--json")
    assert result.exit_code == 6
    document = json.loads(result.stdout)
    assert "mine" in [card["name"] for card in document["models"]]
    assert (len(document["damaged"]), document["exit_code"]) == (1, 6)


def test_verify_checks_the_networks_that_a_model_calls(run: Run, mine: Path) -> None:
    assert run("models", "verify", "photo").stdout == "photo  ok\n"
    assert "cells" in json.loads(run("models", "verify", "--json").stdout)["whole"]


def test_show_tells_what_the_card_says(run: Run, mine: Path) -> None:
    card = mine / "card.toml"
    card.write_text(card.read_text() + "\n[scores.cbsd68]\ngaussian-25 = 31.02\n")
    text = run("models", "show", "mine").stdout
    assert "licence" in text
    assert "fp32, bf16, fp16" in text
    assert "scores cbsd68 gaussian-25  31.02" in text
    shown = json.loads(run("models", "show", "mine", "--json").stdout)
    assert shown["scores"] == {"cbsd68": {"gaussian-25": 31.02}}


def test_path_is_the_folder_alone_or_where_own_models_go(run: Run, mine: Path) -> None:
    assert run("models", "path", "mine").stdout == f"{mine}\n"
    assert json.loads(run("models", "path", "mine", "--json").stdout)["path"] == str(mine)
    assert run("models", "path").stdout == f"{mine.parent}\n"


def test_verify_finds_a_changed_byte(run: Run, mine: Path) -> None:
    assert run("models", "verify", "mine").stdout == "mine  ok\n"
    weights = mine / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    result = run("models", "verify", "mine")
    assert result.exit_code == 6
    assert "mine" in result.stderr
    assert result.stdout == ""
    everything = run("models", "verify", "--json")
    assert (everything.exit_code, len(json.loads(everything.stdout)["damaged"])) == (6, 1)


@pytest.mark.parametrize("command", ["show", "path", "verify"])
def test_an_unknown_name_gets_the_nearest(run: Run, mine: Path, command: str) -> None:
    result = run("models", command, "mime")
    assert result.exit_code == 6
    assert "mine" in result.stderr
    assert result.stdout == ""


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
