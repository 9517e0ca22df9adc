"""Writes the shell completions: `python completions/generate.py completions/`.

The scripts are Typer's own. They ask `mdn` itself what may follow, so they need no change when an
option or a model is added.
"""

import sys
from pathlib import Path

from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]

FILES = {"bash": "mdn.bash", "zsh": "_mdn", "fish": "mdn.fish", "powershell": "mdn.ps1"}


def scripts() -> dict[str, str]:
    """The text of every script, by its file name."""
    return {file: _script(shell) for shell, file in FILES.items()}


def _script(shell: str) -> str:
    text = get_completion_script(prog_name="mdn", complete_var="_MDN_COMPLETE", shell=shell)
    if shell == "zsh":
        # From a folder of $fpath zsh runs the file itself at the first Tab and wants an answer.
        register = "compdef _mdn_completion mdn"
        text = text.replace(
            register,
            'if [[ "$funcstack[1]" = _mdn ]]; then\n  _mdn_completion "$@"\nelse\n  '
            f"{register}\nfi",
        )
    return text + "\n"


def write(folder: Path) -> None:
    """Writes every script into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in scripts().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python completions/generate.py FOLDER")
    write(Path(sys.argv[1]))
