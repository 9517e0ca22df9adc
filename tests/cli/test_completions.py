"""The completions in completions/ are current, and complete."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from completions import generate
from tests.cli.cli_tools import child_environment

FOLDER = Path(__file__).resolve().parents[2] / "completions"


def test_the_scripts_are_current() -> None:
    names = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"generate.py"}
    there = {name: (FOLDER / name).read_text(encoding="utf-8") for name in names}
    assert there == generate.scripts(), "run: python completions/generate.py completions/"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose `mdn` is this one."""
    script = tmp_path / "bin" / "mdn"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mdn "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    return child_environment() | {"PATH": path, "MDN_HOME": str(tmp_path)}


def ask(shell: str, script: str, environment: dict[str, str]) -> list[str]:
    how = {"capture_output": True, "text": True, "check": True, "timeout": 300}
    done = subprocess.run([shell, "-c", script], env=environment, **how)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("den", ["denoise"]),
        ("noise --type spe", ["speckle", "speckle-normal", "speckle-gamma"]),
        ("models ver", ["verify"]),
        ("bench --dev", ["--device"]),
        ("denoise a.png --skip", ["--skip-existing"]),
        ("denoise a.png --precision b", ["bf16"]),
        ("denoise a.png --model nosuch", []),
    ],
)
def test_bash_completes(environment: dict[str, str], words: str, offered: list[str]) -> None:
    count = len(words.split())
    script = (
        f'source "{FOLDER}/mdn.bash"; COMP_WORDS=(mdn {words}); COMP_CWORD={count};'
        ' _mdn_completion mdn; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert ask("bash", script, environment) == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_models_are_completed(environment: dict[str, str], tmp_path: Path) -> None:
    from mdn.registry import store

    folder = tmp_path / "models" / "portrait"
    shutil.copytree(store.find("unittest").folder, folder)
    card = (folder / "card.toml").read_text().replace('"unittest"', '"portrait"')
    (folder / "card.toml").write_text(card.replace("hidden = true\n", ""))
    script = (
        f'source "{FOLDER}/mdn.bash"; COMP_WORDS=(mdn denoise --model por); COMP_CWORD=3;'
        " _mdn_completion mdn; echo ${COMPREPLY[@]}"
    )
    assert ask("bash", script, environment) == ["portrait"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes(environment: dict[str, str]) -> None:
    script = f'source "{FOLDER}/mdn.fish"; complete -C "mdn noise --type spe"'
    assert ask("fish", script, environment) == ["speckle", "speckle-gamma", "speckle-normal"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_offers_the_names(environment: dict[str, str]) -> None:
    # _arguments works inside the line editor only, so its argument is looked at instead.
    script = (
        f'_arguments() {{ echo "$@"; }}; compdef() {{ :; }}; source "{FOLDER}/_mdn";'
        " words=(mdn noise --type spe); CURRENT=4; _mdn_completion"
    )
    offered = " ".join(ask("zsh", script, environment)).replace('"', "")
    assert "speckle speckle-normal speckle-gamma" in offered


def test_it_is_said_how_to_install_them(environment: dict[str, str]) -> None:
    page = (FOLDER.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert "mdn --install-completion" in page
    for name in generate.FILES.values():
        assert f"`{name}`" in page
    if shutil.which("bash") is None:
        return
    shown = ask("bash", "mdn --show-completion; true", environment)  # of the shell that asks
    assert {"#", "--install-completion.", "~/.bashrc", "complete"} <= set(shown)
    script = "source <(mdn --show-completion; true); complete -p mdn"
    assert ask("bash", script, environment)[-1] == "mdn"
