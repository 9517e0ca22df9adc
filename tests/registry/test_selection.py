"""Which model `--quality` means: by the cards, with a fallback that says so."""

import shutil
from pathlib import Path

import pytest

from mdn.cli import options
from mdn.errors import ModelError, UsageError
from mdn.registry import store
from mdn.registry.cards import read_card
from mdn.registry.store import ModelSelection, choose


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with nothing but the usual model; the user's folder is beside it."""
    monkeypatch.setenv("MDN_HOME", str(tmp_path / "home"))
    own = tmp_path / "shipped"
    monkeypatch.setattr(store, "shipped_folder", lambda: own)
    add(own, store.DEFAULT)
    return own


def add(root: Path, name: str, *lines: str) -> None:
    """A copy of the tiny model, with more lines on its card."""
    folder = root / name
    shutil.copytree(Path(__file__).parents[2] / "models" / "unittest", folder)
    card = (folder / "card.toml").read_text().replace("hidden = true", "")
    (folder / "card.toml").write_text("\n".join(lines) + "\n" + card)


def test_the_names_are_those_of_the_command_line() -> None:
    assert str(list(store.QUALITIES))[1:-1] in str(options.Quality)


def test_balanced_is_the_default_of_the_domain(models: Path) -> None:
    assert choose("balanced") == choose("balanced", "counts") == ModelSelection(store.DEFAULT)
    add(models, "cells")
    assert choose("balanced", "counts").model == "cells"


def test_a_card_says_what_it_is_for(models: Path, tmp_path: Path) -> None:
    add(models, "small", 'quality = "fast"')
    assert choose("fast") == ModelSelection("small")
    # Counts without a model of their own are done by those of pictures.
    assert choose("fast", "counts") == ModelSelection("small")
    add(models, "cells")
    assert choose("fast", "counts").model == "cells"
    add(models, "blobs", 'quality = "fast"', 'domain = "counts"')
    assert choose("fast", "counts") == ModelSelection("blobs")
    add(tmp_path / "home" / "models", "zz-mine", 'quality = "fast"')
    assert choose("fast") == ModelSelection("zz-mine")


def test_a_quality_that_is_none_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="choose one of fast, balanced, best"):
        choose("superb")
    add(models, "odd", 'quality = "balanced"')
    with pytest.raises(ModelError, match="quality must be fast, or left out"):
        read_card(models / "odd", "shipped")
