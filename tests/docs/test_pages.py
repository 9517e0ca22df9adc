"""The README is short, links lead somewhere, and the pages say all that must be said."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from mdn import errors
from mdn.nets import ARCHITECTURES
from mdn.noise import NOISES
from mdn.registry import store
from mdn.training import recipe, recipe_parse
from tests.docs.pages import PAGES, ROOT, links

README_WORDS = 900
# What the reader of docs/adding-a-net.md writes.
EXAMPLES = {"mdn/nets/mynet.py", "tests/nets/test_mynet.py", "models/mine/"}


def test_the_readme_is_read_to_its_end() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= README_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"`((?:tests|benchmarks|mdn|models)/[\w./-]*)`", text))
    assert not {name for name in named - EXAMPLES if not (ROOT / name).exists()}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        found = [(page.parent / link).resolve() for link in links(page) if link.endswith(".md")]
        ahead += [each for each in found if each not in seen]
    assert set(PAGES) <= seen


def test_every_key_of_a_recipe_is_documented_in_its_section() -> None:
    text = (ROOT / "docs" / "training.md").read_text().partition("## Every key")[2]
    pieces = re.split(r"^`\[+(\w+)\]+`,", text, flags=re.MULTILINE)
    told = {"": pieces[0]} | dict(zip(pieces[1::2], pieces[2::2], strict=True))
    configs = [each.config for each in ARCHITECTURES.values()]
    parts = {"": [recipe.Recipe], "net": configs}
    parts |= {name: [kind] for name, kind in recipe_parse.SECTIONS.items()}
    for section, kinds in parts.items():
        keys = {field.name for kind in kinds for field in fields(kind)} - {"text", "about", *parts}
        assert [key for key in sorted(keys) if f"`{key}`" not in told[section]] == [], section


def test_every_noise_model_and_exit_code_is_documented() -> None:
    noise = (ROOT / "docs" / "noise.md").read_text()
    assert [each.name for each in NOISES if f"`{each.name}`" not in noise] == []
    models = (ROOT / "docs" / "models.md").read_text()
    assert [card.name for card in store.list_cards() if f"`{card.name}`" not in models] == []
    codes = {each.exit_code for each in vars(errors).values() if hasattr(each, "exit_code")}
    lines = (ROOT / "docs" / "command-line.md").read_text().splitlines()
    told = {line.split("|")[1].strip() for line in lines if line.startswith("| ")}
    assert {str(code) for code in codes} <= told
