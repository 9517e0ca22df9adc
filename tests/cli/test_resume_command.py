"""--resume, --from-file, --watch, --shard; what `mdn report` and `mdn verify` say of a batch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mdn.batch import manifest, shards
from mdn.batch.recording import Journal, this_run
from mdn.cli import watch
from tests.cli.cli_tools import MODEL, Make, Run


def batch(run: Run, *arguments: str) -> dict:
    """Runs a batch from in/ to out/; its JSON document."""
    result = run("denoise", "in", "-o", "out", "--json", *arguments, *MODEL)
    return json.loads(result.stdout)


def statuses(document: dict) -> list[str]:
    return [file["status"] for file in document["files"]]


def test_resume_does_what_is_new_changed_or_lost(run: Run, make: Make, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        make(name)
    assert statuses(batch(run)) == ["ok"] * 3
    assert statuses(batch(run, "--resume")) == ["skipped"] * 3
    make("in/b.png", side=30)
    (tmp_path / "out" / "c.png").unlink()
    make("in/d.png")
    assert statuses(batch(run, "--resume")) == ["skipped", "ok", "ok", "ok"]
    assert statuses(batch(run, "--resume", "--max-memory", "3G")) == ["skipped"] * 4
    assert statuses(batch(run, "--resume", "--strength", "0.5")) == ["ok"] * 4


def test_one_named_file_has_no_manifest_unless_it_is_to_resume(
    run: Run, make: Make, tmp_path: Path
) -> None:
    make("a.png")
    assert run("denoise", "a.png", "-o", "out/", *MODEL).exit_code == 0
    assert not manifest.read(tmp_path / "out").files
    assert run("denoise", "a.png", "-o", "new/", "--resume", *MODEL).exit_code == 0
    assert "skipped" in run("denoise", "a.png", "-o", "new/", "--resume", *MODEL).stderr


def test_a_dry_run_keeps_no_manifest(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    assert statuses(batch(run, "--dry-run", "--resume")) == ["planned"]
    assert not (tmp_path / "out").exists()


def test_a_list_may_hold_any_name_and_keeps_its_folders(
    run: Run, make: Make, tmp_path: Path
) -> None:
    names = ["in/x/a.png", "in/y/a.png", "in/[1].png", "in/new\nline \N{SNOWMAN}.png"]
    for name in names:
        make(name)
    (tmp_path / "list").write_bytes(b"\0".join(os.fsencode(name) for name in names) + b"\0")
    result = run("denoise", "--from-file", "list", "-o", "out", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert all((tmp_path / "out" / name).is_file() for name in names)
    absolute = str(tmp_path / "in" / "x" / "a.png").encode()
    result = run("denoise", "--from-file", "-", "-o", "flat", *MODEL, input=absolute + b"\n\n")
    assert (tmp_path / "flat" / "a.png").is_file(), result.stderr


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_a_list_may_begin_as_a_bmp_does(run: Run, make: Make, tmp_path: Path, end: bytes) -> None:
    make("BM.png")
    make("b.png")
    (tmp_path / "list").write_bytes(b"BM.png" + end + b"b.png" + end)
    result = run("denoise", "--from-file", "list", "-o", "out", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["BM.png", "b.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no input"),
        (["--from-file", "gone"], "gone: no such file"),
        (["--from-file", "empty"], "holds no names"),
        (["--from-file", "a.png"], "is a picture; name it without --from-file"),
        (["--from-file", "a.bmp"], "is a picture; name it without --from-file"),
        (["-", "a.png"], "standard input has no name"),
        (["-", "-o", "out/"], "give -o FILE, or -o - for standard output"),
        (["--watch", "gone", "-o", "out/"], "no such folder"),
        (["a.png", "--watch", ".", "-o", "out/"], "leave the others out"),
        (["--watch", ".", "--dry-run", "-o", "out/"], "leave --watch out"),
        (["--watch", ".", "--overwrite", "-o", "out/"], "--watch does what is new or changed"),
        (["--watch", ".", "--skip-existing", "-o", "out/"], "leave --overwrite and"),
        (["f.####.exr", "--from-file", "list"], "a pattern of frames stands alone"),
        (["a.png", "--resume", "--overwrite"], "exclude each other"),
        ([".", "--shard", "3/2"], "of 2 shards they are 1/2 to 2/2"),
        ([".", "--shard", "0/0"], "there is no such shard; write 1/16"),
        ([".", "--shard", "auto"], "no job array"),
    ],
)
def test_requests_that_make_no_sense(
    run: Run, make: Make, tmp_path: Path, arguments: list[str], words: str
) -> None:
    make("a.png")
    make("a.bmp")
    (tmp_path / "empty").touch()
    (tmp_path / "f.0001.exr").touch()
    (tmp_path / "list").write_text("a.png")
    result = run("denoise", *arguments, *MODEL)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


def test_shards_share_the_work_and_report_merges_them(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(8):
        make(f"in/{index}.png")
    first = batch(run, "--shard", "1/2")
    incomplete = run("report", "out")
    assert (incomplete.exit_code, "2/2" in incomplete.stdout) == (3, True)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "0")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    second = batch(run, "--shard", "auto")
    names = [file["input"] for file in first["files"] + second["files"]]
    assert sorted(names) == [f"in/{index}.png" for index in range(8)]
    assert first["files"]
    assert second["files"]
    report = run("report", "out", "--json")
    found = json.loads(report.stdout)
    assert (report.exit_code, found["ok"], found["shards"]) == (0, 8, ["1/2", "2/2"])
    # What shards did is done, too, for one process.
    assert statuses(batch(run, "--resume")) == ["skipped"] * 8


def test_a_share_without_files_is_no_failure(run: Run, make: Make) -> None:
    make("in/a.png")
    documents = [batch(run, "--shard", f"{index}/2") for index in (1, 2)]
    assert sorted(len(each["files"]) for each in documents) == [0, 1]
    assert [each["exit_code"] for each in documents] == [0, 0]


def test_verify_finds_what_was_changed_lost_or_never_done(
    run: Run, make: Make, tmp_path: Path
) -> None:
    for name in "abcd":
        make(f"in/{name}.png")
    (tmp_path / "in" / "e.png").write_bytes(b"damaged")
    assert batch(run)["exit_code"] == 3
    (tmp_path / "out" / "b.png").write_bytes(b"retouched")
    (tmp_path / "out" / "c.png").unlink()
    make("in/d.png", side=30)
    result = run("verify", "out", "--json")
    found = {each["output"]: each["verdict"] for each in json.loads(result.stdout)["files"]}
    assert result.exit_code == 3
    assert found.pop("e.png").startswith("failed: in/e.png")
    assert found == {
        "a.png": "same",
        "b.png": "the output was changed",
        "c.png": "the output is gone",
        "d.png": "the input was changed",
    }


@pytest.mark.parametrize(
    "command",
    [
        ["denoise", "in", "-o", "out", "--strength", "0.5", *MODEL],
        ["noise", "in", "-o", "out", "--type", "gaussian", "--seed", "3", "--count", "2"],
    ],
)
def test_verify_can_do_it_all_again(
    run: Run, make: Make, tmp_path: Path, command: list[str]
) -> None:
    make("in/a.png")
    make("in/b.png")
    assert run(*command).exit_code == 0
    result = run("verify", "out", "--recompute")
    assert result.exit_code == 0, result.stdout
    # The same content under a manifest that tells of other options is found out.
    path = manifest.path_for(tmp_path / "out")
    path.write_bytes(path.read_bytes().replace(b'"0.5"', b'"0.6"').replace(b'"3"', b'"4"'))
    assert "a.png: recomputed, it differs" in run("verify", "out", "--recompute").stdout.replace(
        "a_001", "a"
    )


def test_verify_tells_a_failure_from_a_difference(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    assert run("denoise", "in", "-o", "out", "--strength", "0.5", *MODEL).exit_code == 0
    path = manifest.path_for(tmp_path / "out")
    path.write_bytes(path.read_bytes().replace(b'"0.5"', b'"7.5"'))
    assert "cannot be recomputed: see the error" in run("verify", "out", "--recompute").stdout


@pytest.mark.parametrize("command", ["report", "verify"])
def test_a_folder_without_a_manifest(run: Run, tmp_path: Path, command: str) -> None:
    result = run(command, str(tmp_path))
    assert (result.exit_code, "no mdn-manifest.jsonl here" in result.stderr) == (4, True)


def test_watch_takes_what_has_stopped_growing(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("in/a.png")
    growing = make("in/b.png")
    whole = growing.read_bytes()
    growing.write_bytes(whole[:100])
    looks = 0

    def look_again(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            growing.write_bytes(whole[:200])
        if looks == 2:
            growing.write_bytes(whole)
        if looks == 4:
            make("in/c.png")
        if looks == 8:
            raise KeyboardInterrupt

    # Not time.sleep itself, by which threads of other tests' clusters wait.
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=look_again))
    result = run("denoise", "--watch", "in", "-o", "out/", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count(" -> ") == 3
    entries = manifest.read(tmp_path / "out").entries
    assert {name: entry.status for name, entry in entries.items()} == dict.fromkeys(
        ("a.png", "b.png", "c.png"), "ok"
    )


def test_shards_watch_a_folder_together(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("in/a.png")
    share = next(f"{i}/2" for i in (1, 2) if shards.parse(f"{i}/2").holds("in/a.png"))
    looks = iter(range(3))

    def look_again(seconds: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=look_again))
    # Another process has the manifest of the whole folder, as one of the other shard would.
    with Journal(manifest.path_for(tmp_path / "out"), this_run("denoise", (), "1")):
        result = run("denoise", "--watch", "in", "-o", "out/", "--shard", share, *MODEL)
    assert result.exit_code == 0, result.stderr
    assert manifest.read(tmp_path / "out").shards == (share,)
