"""What CONTRIBUTING.md says that a new thing touches is all that it touches.

A noise, a file format, a net and an option, as a stranger would write them, are put into a copy of
the package: new files, and lines in the files that the page names. Then the commands are run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.pages import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

WOBBLE = '''"""Uniform noise, as strong as a level in the 0-255 scale."""

import torch


def wobble(x, level, generator):
    """x + u, u uniform of that many levels to both sides."""
    return x + (torch.rand(x.shape, generator=generator) * 2 - 1) * level / 255
'''
WOBBLE_ENTRY = """
[wobble]
function = "wobble.wobble"
title = "Wobble"
levels = [10]
default = 10
explanation = "A number drawn evenly."
"""
FARBFELD = '''"""farbfeld: 16 bits of red, green, blue and alpha, big-endian."""

import struct

import numpy as np

from mdn.image import Image
from mdn.io.base import Format, check_size, split_alpha


def decode(data, name):
    width, height = struct.unpack(">II", data[8:16])
    check_size(name, height, width, 4)
    samples = np.frombuffer(data[16:], ">u2").astype(np.uint16).reshape(1, height, width, 4)
    return Image(*split_alpha(samples), name=name, format="farbfeld")


def encode(image, quality):
    pixels = image.pixels[0]
    alpha = np.full(pixels.shape[:2], 65535, np.uint16) if image.alpha is None else image.alpha[0]
    samples = np.concatenate([pixels, alpha[..., None]], -1).astype(">u2")
    return b"farbfeld" + struct.pack(">II", *pixels.shape[1::-1]) + samples.tobytes()


FORMAT = Format(
    name="farbfeld",
    suffixes=(".ff",),
    recognises=lambda data: data.startswith(b"farbfeld"),
    decode=decode,
    encode=encode,
    depths=("uint16",),
    gray=False,
    gray_alpha=False,
    holds=frozenset(),
    max_side=2**32 - 1,
)
'''
TWICE = '''"""Two convolutions."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class TwiceConfig:
    """Its width."""

    width: int = 4
    channels: int = 3


class Twice(nn.Module):
    """(B, 3, H, W) in 0..1, the same shape."""

    multiple, receptive_field, bytes_per_pixel = 1, 2, 100

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.first = nn.Conv2d(config.channels, config.width, 3, padding=1)
        self.last = nn.Conv2d(config.width, config.channels, 3, padding=1)

    def forward(self, x):
        return x + self.last(self.first(x).relu())
'''
RECIPE = """
name = "mine"
arch = "twice"
[net]
width = 4
[data]
sources = ["pictures"]
crop = 16
hold_out = 0
[[noise]]
kind = "wobble"
low = 0
high = 20
[optim]
steps = 2
batch = 2
groups = 1
"""

# What each touches: a new file and its text, or a file, a line in it, and what that becomes.
ARCHITECTURES = "ARCHITECTURES: dict[str, Architecture] = {\n"
TOUCHED: dict[str, dict[str, str | tuple[str, str]]] = {
    "noise": {
        "mdn/noise/synthesis/wobble.py": WOBBLE,
        "mdn/noise/kinds.toml": ("\n[gaussian]\n", f"{WOBBLE_ENTRY}\n[gaussian]\n"),
    },
    "format": {
        "mdn/io/photo/farbfeld.py": FARBFELD,
        "mdn/io/__init__.py": (
            "\nSUFFIXES:",
            "\nfrom mdn.io.photo import farbfeld\n"
            "FORMATS[farbfeld.FORMAT.name] = farbfeld.FORMAT\nSUFFIXES:",
        ),
    },
    "net": {
        "mdn/nets/twice.py": TWICE,
        "mdn/nets/__init__.py": (
            ARCHITECTURES,
            f"from mdn.nets.twice import Twice, TwiceConfig\n{ARCHITECTURES}"
            '    "twice": Architecture(TwiceConfig, Twice, lambda config: Abilities()),\n',
        ),
    },
    "option": {
        "mdn/cli/models.py": (
            "def list_models(context: typer.Context, as_json: bool = False) -> None:\n"
            '    """Lists the models that came with mdn, and your own."""\n'
            "    cards, damaged = _all_cards()\n",
            "def list_models(\n"
            '    context: typer.Context, only: str = "", as_json: bool = False\n'
            ") -> None:\n"
            '    """Lists the models that came with mdn, and your own."""\n'
            "    cards, damaged = _all_cards()\n"
            "    cards = [card for card in cards if not only or card.domain == only]\n",
        ),
        "mdn/cli/help.toml": (
            "[verify_weights.Arguments]",
            '[list_models.Options]\nonly = "DOMAIN | Only models for these values."\n\n'
            "[verify_weights.Arguments]",
        ),
    },
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all four; a picture and a recipe beside it."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "mdn", folder / "mdn", ignore=shutil.ignore_patterns("__pycache__", "models")
    )
    (folder / "models").symlink_to(ROOT / "models", target_is_directory=True)
    for files in TOUCHED.values():
        for name, change in files.items():
            path = folder / name
            if isinstance(change, str):
                assert not path.exists()
                path.write_text(change)
                continue
            before, after = change
            text = path.read_text()
            assert text.count(before) == 1, f"{name}: this test no longer fits"
            path.write_text(text.replace(before, after))
    (folder / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    for path in (folder / "a.png", folder / "pictures" / "a.png"):
        Image.fromarray(pixels).save(path)
    (folder / "my.toml").write_text(RECIPE)
    return folder


def mdn(folder: Path, *words: str) -> str:
    """What the changed command prints."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mdn", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", TOUCHED)
def test_the_page_names_every_file_that_a_change_touches(kind: str) -> None:
    for name, change in TOUCHED[kind].items():
        place = f"{Path(name).parent}/" if isinstance(change, str) else name
        assert f"`{place}`" in PAGE, f"a new {kind} touches {place}"


def test_a_noise(changed: Path) -> None:
    assert "wobble " in mdn(changed, "noise", "--list")
    mdn(changed, "noise", "a.png", "--type", "wobble", "-o", "w.png")
    before, after = (np.asarray(Image.open(changed / name), int) for name in ("a.png", "w.png"))
    assert 0 < np.abs(after - before).max() <= 10


def test_a_format(changed: Path) -> None:
    mdn(changed, "noise", "a.png", "--type", "gaussian", "--level", "0", "-o", "a.ff")
    mdn(changed, "noise", "a.ff", "--type", "gaussian", "--level", "0", "-o", "back.png")
    assert (changed / "a.ff").read_bytes().startswith(b"farbfeld\0\0\0\x18")
    back = np.asarray(Image.open(changed / "back.png"))
    np.testing.assert_array_equal(back[..., :3], np.asarray(Image.open(changed / "a.png")))


def test_a_net(changed: Path) -> None:
    """Trained on the new noise, too."""
    mdn(changed, "train", "my.toml", "-o", "runs/mine", "--device", "cpu")
    mdn(changed, "denoise", "a.png", "-m", "runs/mine", "-o", "clean.png", "--device", "cpu")
    assert Image.open(changed / "clean.png").size == (24, 24)


def test_an_option(changed: Path) -> None:
    listed = mdn(changed, "models", "list", "--only", "counts").splitlines()
    assert [line.split()[0] for line in listed] == ["NAME", "cells"]
    assert "Only models for these values." in mdn(changed, "models", "list", "--help")
