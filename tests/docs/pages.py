"""What the README and docs/ print: their commands, examples and links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^ *```(\w*)")
_SHELL = {"", "sh", "bash", "console"}
_REDIRECTIONS = {"<", ">", ">>", "2>", "2>&1"}


@dataclass(frozen=True)
class Line:
    """One line of a code block, continued lines joined.

    Attributes:
        page: the file's name.
        text: the line without its indentation.
    """

    page: str
    text: str

    def commands(self) -> Iterator[list[str]]:
        """The words of each command in the line, comments and redirections left out."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|;&<>")
        lexer.whitespace_split = True
        lexer.commenters = "#" if " #" in self.text else ""
        words: list[str] = []
        skip = False
        for word in lexer:
            if word in ("|", "&&", ";", "&"):
                yield words
                words = []
            elif skip or word in _REDIRECTIONS:
                skip = not skip
            elif words or "=" not in word:  # not a variable before the command
                words.append(word)
        yield words


def lines(page: Path) -> list[Line]:
    """The lines of the shell blocks of a page, indented or fenced."""
    found, fenced, before = [], None, ""
    for text in page.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(text)
        if fence:
            fenced = None if fenced is not None else fence[1]
        elif fenced in _SHELL or (fenced is None and text.startswith("    ")):
            text = before + text.strip()
            before = text[:-1] if text.endswith("\\") else ""
            if text and not before:
                found.append(Line(page.name, text))
    return found


def inline(page: Path) -> list[list[str]]:
    """The words of the commands of mdn that stand within sentences."""
    text = page.read_text(encoding="utf-8")
    return [shlex.split(command) for command in re.findall(r"`mdn ([a-z][^`\n]*)`", text)]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that are not on the web, without their anchors."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.split("#")[0] for target in targets if "://" not in target and target[0] != "#"]
