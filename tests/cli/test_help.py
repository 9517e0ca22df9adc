"""help.toml and the commands say the same: no parameter without words, no words without one."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mdn.cli import app as cli
from tests.cli.cli_tools import Run

HELP = tomllib.loads(Path(cli.__file__).with_name("help.toml").read_text(encoding="utf-8"))
CALLED = {"list": "list_models", "models verify": "verify_weights"}  # functions of other names


def commands() -> dict[str, Any]:
    """Every command, by the words that are typed for it."""
    found: dict[str, Any] = {}
    for name, command in cli.Commands().items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {each}": it for each, it in inner.items()} if inner else {name: command}
    return found


COMMANDS = commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    silent = [each.name for each in COMMANDS[name].params if not each.help]
    assert silent == []


def test_every_word_of_the_help_is_shown() -> None:
    shown: dict[str, set[str]] = {"mdn": {"version"}, "shared": {"debug"}}
    for name, command in COMMANDS.items():
        last = name.split()[-1]
        function = CALLED.get(name, CALLED.get(last, last))
        names = {each.name for each in command.params}
        shown[function] = names
        shown["shared"] |= names
    for command, panels in HELP.items():
        if command not in ("examples", "common"):
            said = {name for entries in panels.values() for name in entries}
            assert said <= shown[command], command
    assert HELP["examples"].keys() <= shown.keys()


def first_flag(flags: list[str]) -> str:
    return next((flag for flag in flags if flag.startswith("--")), flags[0])


@pytest.mark.parametrize("name", HELP["common"])
def test_a_short_help_on_one_screen_and_the_rest_behind_help_all(run: Run, name: str) -> None:
    common = {*HELP["common"][name].split(), "help_all"}
    short, whole = run(name, "-h").stdout, run(name, "--help-all").stdout
    assert len(short.splitlines()) <= 45
    assert len(common) <= 18
    flags = {
        first_flag(each.opts): each.name for each in COMMANDS[name].params if each.name != "inputs"
    }
    shown = [set(re.findall(r"^│ (--[a-z-]+)", text, re.M)) - {"--help"} for text in (short, whole)]
    assert shown == [{flag for flag in flags if flags[flag] in common}, set(flags)]
    assert run(name, "--help-all").stdout == whole  # the same command, whatever was shown before


def lines() -> list[str]:
    return [line for text in HELP["examples"].values() for line in text.strip().splitlines()]


@pytest.mark.parametrize("line", [part.strip() for each in lines() for part in each.split(";")])
def test_every_example_names_options_that_are_there(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "mdn"
    name = max((each for each in COMMANDS if line.startswith(f"mdn {each}")), key=len)
    known = {flag for each in COMMANDS[name].params for flag in (*each.opts, *each.secondary_opts)}
    used = {word for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known
