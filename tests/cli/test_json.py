"""With --json standard output is one document of the schema in docs/json.md for every exit code."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from typer.testing import Result

from mdn.commands import denoise_file as task
from mdn.errors import ModelError, OutOfMemoryError
from mdn.jobs.job import Job
from tests.cli.cli_tools import MODEL, Make, Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"
SCHEMA = json.loads(re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)[-1])


def document(result: Result, kind: str) -> dict:
    """The document that a command printed, of the kind that the schema calls so."""
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    jsonschema.validate(found, {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]})
    assert found["exit_code"] == result.exit_code
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["denoise", "in", "-o", "out", *MODEL],
        ["denoise", "in", "-o", "out", "--dry-run", *MODEL],
        ["zeroshot", "in", "-o", "out", "--iters", "1", *MODEL],
        ["noise", "in", "-o", "out", "--type", "gaussian"],
        ["noise", "in", "-o", "out", "--type", "gaussian", "--dry-run"],
        ["noise", "--estimate", "in"],
    ],
    ids=" ".join,
)
def test_a_batch(run: Run, make: Make, tmp_path: Path, arguments: list[str]) -> None:
    make("in/a.png")
    (tmp_path / "in" / "b.cr2").touch()
    found = document(run(*arguments, "--json"), "batch")
    assert [each["status"] for each in found["files"]] in (["ok"], ["planned"])
    assert (found["exit_code"], found["left_out"][0]["count"]) == (0, 1)


def test_some_and_all_failed(run: Run, make: Make, tmp_path: Path) -> None:
    make("a.png")
    (tmp_path / "b.png").write_bytes(b"damaged")
    assert document(run("denoise", "a.png", "b.png", "--json", *MODEL), "batch")["exit_code"] == 3
    found = document(run("denoise", "b.png", "--json", *MODEL), "batch")
    assert (found["exit_code"], found["totals"]["failed"]) == (4, 1)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--nope"], ""),
        (["nope"], "nope"),
        (["denoise"], "denoise"),
        (["denoise", "a.png", "--strength", "3"], "denoise"),
        (["denoise", "a.png", "-o", "a.png"], "denoise"),
        (["zeroshot", "a.png", "--iters", "x"], "zeroshot"),
        (["noise", "a.png"], "noise"),
        (["noise", "--estimate"], "noise"),
        (["compare", "--nope"], "compare"),
        (["bench", "--nope"], "bench"),
        (["models", "show"], "models show"),
        (["train", "--nope"], "train"),
    ],
    ids=str,
)
def test_a_wrong_command(run: Run, make: Make, arguments: list[str], command: str) -> None:
    make("a.png")
    found = document(run(*arguments, "--json"), "failure")
    assert (found["exit_code"], found["command"]) == (2, command)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (SystemExit(143), 143),  # what a handler makes of SIGTERM
        (ModelError("damaged"), 6),
        (OutOfMemoryError("none left"), 5),
    ],
    ids=repr,
)
def test_a_batch_that_ends_early_tells_what_it_did(
    run: Run, make: Make, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    make("in/a.png")
    make("in/b.png")
    save = task.save

    def saves_the_first(job: Job, *arguments: object, **options: object) -> object:
        if code == 5 or job.name.endswith("b.png"):
            raise error
        return save(job, *arguments, **options)

    monkeypatch.setattr(task, "save", saves_the_first)
    found = document(run("denoise", "in", "-o", "out", "--json", *MODEL), "batch")
    assert found["exit_code"] == code
    if code != 5:
        assert [each["status"] for each in found["files"]] == ["ok"]
        assert found["totals"]["untried"] == 1
        assert found["error"]


def test_the_list_of_models(run: Run) -> None:
    found = document(run("models", "list", "--json"), "models")
    assert "photo" in [model["name"] for model in found["models"]]
