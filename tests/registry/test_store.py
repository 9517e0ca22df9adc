"""Models are found by name, verified by hash, and refused when damaged or dangerous."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mdn.errors import ModelError
from mdn.nets import ARCHITECTURES
from mdn.registry import store
from mdn.registry.cards import Card, read_card
from mdn.registry.model import load

CPU = torch.device("cpu")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's model `own`, a copy of the tiny shipped one."""
    monkeypatch.setenv("MDN_HOME", str(tmp_path))
    folder = tmp_path / "models" / "own"
    shutil.copytree(store.shipped_folder() / "unittest", folder)
    edit(folder, 'name = "unittest"', 'name = "own"')
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    card = folder / "card.toml"
    assert old in card.read_text()
    card.write_text(card.read_text().replace(old, new))


def shipped() -> list[Card]:
    found = (store.shipped_folder() / name for name in os.listdir(store.shipped_folder()))
    return [read_card(folder, "shipped") for folder in found if (folder / "card.toml").exists()]


@pytest.mark.parametrize("card", shipped(), ids=lambda card: card.name)
def test_every_shipped_model_is_what_its_card_says(card: Card) -> None:
    assert card.name == card.folder.name
    assert card.arch in ARCHITECTURES
    assert card.weights_path.stat().st_size <= 10 * 2**20
    net = load(card, CPU)
    assert card.parameters == sum(p.numel() for p in net.parameters())
    assert card.multiple == net.multiple
    assert card.context <= net.receptive_field
    with safe_open(card.weights_path, "pt") as stream:
        assert stream.metadata()["arch"] == card.arch
    for said in (card.title, card.summary, card.licence, card.training_data):
        assert said


@pytest.mark.parametrize("card", [c for c in shipped() if not c.hidden], ids=lambda c: c.name)
def test_every_trained_model_shows_how_it_was_made(card: Card) -> None:
    assert card.noise_seen
    if card.kind != "external":  # which is a program of others
        assert (card.folder / "training.csv").is_file()
        assert card.scores
    if card.kind == "net":
        assert (card.folder / "recipe.toml").is_file()


def test_a_users_model_is_found_and_hides_a_shipped_one(own: Path) -> None:
    assert store.find("own").origin == "user"
    own.rename(own.with_name("photo"))
    assert store.find("photo").origin == "user"


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"did you mean .*photo"):
        store.find("phto")
    with pytest.raises(ModelError, match=r"^no model 'zzz'; `mdn models list` shows all$"):
        store.find("zzz")  # near to nothing: hidden models are not shown instead


def test_missing_weights_and_cards_are_named(own: Path) -> None:
    (own / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: the model's weights cannot"):
        load(store.find("own"), CPU)
    with pytest.raises(ModelError, match="not a model"):
        store.find(str(own.parent / "gone"))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "', 'titel = "', "unknown key 'titel'"),
        ("parameters = ", "multiple = ", "not a readable card"),
        ("multiple = 4", "multiple = 0", "at least 1"),
        ('weights = "', 'weights = "../', "without folders"),
        ("channels = 3", 'channels = "3"', "channels must be a whole number, not '3'"),
        ("channels = 3", "channels = true", "channels must be a whole number"),
        ("channels = 3", "channels = 2", "channels 1 or 3"),
        ("context = 24", "context = -1", "at least 0"),
        ("bytes_per_pixel = 116.0", 'bytes_per_pixel = "x"', "bytes_per_pixel must be a number"),
        ("bytes_per_pixel = 116.0", "bytes_per_pixel = nan", "above 0"),
        ('weights = "weights.safetensors"', 'weights = ""', "a file name"),
        ("hidden = true", "scores = 3", "scores must be a table"),
        ("hidden = true", 'noise_seen = "all"', "noise_seen must be a list of texts"),
        ('licence = "MIT"\n', "", "it lacks licence"),
    ],
)
def test_odd_cards_are_refused(own: Path, old: str, new: str, complaint: str) -> None:
    edit(own, old, new)
    with pytest.raises(ModelError, match=complaint):
        store.find("own")


def test_a_model_is_called_by_the_folder_it_is_found_in(own: Path) -> None:
    own.rename(own.with_name("mine"))
    assert store.find("mine").name == "mine"


@pytest.mark.parametrize(
    ("old", "new"), [("channels = 3", "channels = 1"), ("multiple = 4", "multiple = 6")]
)
def test_a_card_that_does_not_fit_the_net_is_refused(own: Path, old: str, new: str) -> None:
    edit(own, old, new)
    with pytest.raises(ModelError, match="do not load: they"):
        load(store.find("own"), CPU)


class Evil:
    """Unpickled with care this is refused; without, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_in_place_of_the_weights_runs_no_code(own: Path, tmp_path: Path) -> None:
    path = own / "weights.pth"
    path.write_bytes(pickle.dumps(Evil(tmp_path / "pwned")))
    text = (own / "card.toml").read_text()
    old = next(line for line in text.splitlines() if line.startswith("sha256"))
    edit(own, old, f'sha256 = "{store.digest(path)}"')
    edit(own, 'weights = "weights.safetensors"', 'weights = "weights.pth"')
    with pytest.raises(ModelError, match="do not load"):
        load(store.find("own"), CPU)
    assert not (tmp_path / "pwned").exists()


def test_cards_need_no_torch() -> None:
    code = "import sys, mdn.registry.store as s; s.list_cards(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
