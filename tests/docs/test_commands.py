"""Every command that the README and docs/ print can be typed as it stands."""

import contextlib
import importlib.util
import re
import tomllib
from typing import Any

import pytest
import typer

from mdn.cli.app import app
from mdn.errors import MdnError
from mdn.registry import store
from mdn.training import recipe_files
from tests.docs.pages import PAGES, ROOT, Line, blocks, inline, lines

LINES = [line for page in PAGES for line in lines(page)]
COMMANDS = [(line, words) for line in LINES for words in line.commands() if words]
OF_MDN = [(line, words[1:]) for line, words in COMMANDS if words[0] == "mdn"]
# Typer has its own copy of click, which it shows only so.
USAGE = typer.BadParameter.__mro__[1]
_ERRORS = importlib.import_module(USAGE.__module__)
UNFINISHED = (_ERRORS.MissingParameter, _ERRORS.NoArgsIsHelpError)
OWN = ("runs/", "mine", "masked")  # models that the reader makes
# Extra dependencies that options need, and what a page must then say.
EXTRAS = {"--plots": "mdn[bench]", "--plot": "mdn[plots]", "zarr": "mdn[zarr]"}


def parse(words: list[str]) -> dict[str, Any]:
    """The options of a command by name, as Typer parses them; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("mdn", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)
    return dict(context.params)


def test_there_are_commands_to_check() -> None:
    assert len(OF_MDN) > 80
    assert {words[0] for _, words in OF_MDN} >= {"denoise", "zeroshot", "noise", "bench", "train"}


@pytest.mark.parametrize(("line", "words"), OF_MDN, ids=lambda value: str(value)[:60])
def test_options_and_models_exist(line: Line, words: list[str]) -> None:
    values = parse(words)
    for model in filter(None, str(values.get("model") or "").split(",")):
        check_model(model)
    recipe = values.get("recipe") or []
    for name in [] if values.get("plot") else recipe:
        assert name in recipe_files.names() or name == "my.toml" or (ROOT / name).is_file()


@pytest.mark.parametrize(("page", "words"), [(p.name, w) for p in PAGES for w in inline(p)])
def test_commands_within_sentences_exist(page: str, words: list[str]) -> None:
    with contextlib.suppress(*UNFINISHED):  # a sentence may leave the files out
        parse([word for word in words if word != "--help"])


def check_model(name: str) -> None:
    name = re.sub(r"^zeroshot:|:(\d+|mpi[a-z-]*)$", "", name)
    if not name.startswith(OWN) and not name.startswith("peer:"):
        store.find(name)


def test_an_unknown_option_or_model_is_noticed() -> None:
    with pytest.raises(USAGE):
        parse(["denoise", "photo.png", "--nope"])
    with pytest.raises(USAGE):
        parse(["nothing"])
    with pytest.raises(MdnError):
        check_model("zeroshot:nobody")


@pytest.mark.parametrize("line", [line for line in LINES if "python -m" in line.text], ids=str)
def test_modules_exist(line: Line) -> None:
    module = re.search(r"python -m ([\w.]+)", line.text)
    assert module
    assert importlib.util.find_spec(module[1]), f"{line.page}: {module[1]}"


def test_extras_and_make_targets_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    makefile = (ROOT / "Makefile").read_text()
    for line, words in COMMANDS:
        if words[:2] == ["pip", "install"]:
            for extras in re.findall(r"mdn\[([\w,]+)\]", line.text):
                assert set(extras.split(",")) <= set(project["optional-dependencies"]), line
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, flags=re.M), line


def test_extras_stand_in_quotes() -> None:
    """In zsh, without them, [ ] are a pattern, and the line fails."""
    sources = [*PAGES, *(ROOT / "mdn").rglob("*.py"), *(ROOT / "mdn").rglob("*.toml")]
    for page in sources:
        for rest in re.findall(r"pip install ([^\n`]*\[)", page.read_text(encoding="utf-8")):
            assert re.search(r"""['"][^'"]*\[$""", rest), f"{page.name}: pip install {rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_needs_an_extra_package_says_so(page) -> None:
    text = page.read_text()
    for line in lines(page):
        for sign, extra in EXTRAS.items():
            if line.text.startswith("mdn") and sign in re.split(r"[ .]", line.text):
                assert f"pip install '{extra}'" in text, f"{line.text} needs {extra}"


def test_the_recipe_of_the_page_is_the_one_that_comes_with_mdn() -> None:
    (text,) = blocks(ROOT / "docs" / "training.md", "toml")
    shipped = tomllib.loads(recipe_files.names()["small"].read_text())
    del shipped["about"]
    assert tomllib.loads(text) == shipped
