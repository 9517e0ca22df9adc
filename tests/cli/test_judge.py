"""`mdn bench photo.png` and `--check-ranking` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_tools import MODEL, Run
from tests.cli.test_survey import picture


def test_models_are_ranked_on_a_picture_without_a_clean_version(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 20)
    result = run("bench", "a.png", *MODEL, "--json")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["pictures"]
    assert found["judged"] == [128, 128]
    assert sorted(each["name"] for each in found["ranking"]) == ["noisy", "unittest"]
    scores = [each["score"] for each in found["ranking"]]
    assert scores == sorted(scores, reverse=True)
    shown = run("bench", "a.png", *MODEL).stdout
    assert "a.png  middle 128x128; noise: sigma" in shown
    assert "SURE dB" in shown
    assert 0 <= found["confidence"] <= 1
    assert found["verdict"] in shown
    assert all(each["renoised"] == each["score"] for each in found["ranking"])


def test_a_bad_file_is_named_and_counted(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 20)
    (tmp_path / "b.png").write_bytes(b"no image")
    result = run("bench", "a.png", "b.png", *MODEL)
    assert result.exit_code == 3
    assert "b.png" in result.stderr
    assert "a.png" in result.stdout


def test_the_ranking_is_checked_where_there_is_truth(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    picture(tmp_path / "clean" / "a.png", 0)
    (tmp_path / "clean" / "b.png").write_bytes(b"no image")
    asked = ("bench", "--check-ranking", "--data", "clean", "--noise", "gaussian:25", *MODEL)
    result = run(*asked, "--json")
    assert result.exit_code == 3
    assert "b.png" in result.stderr
    document = json.loads(result.stdout)
    assert document["hits"]["score"]["pictures"] == 1
    truths = {each["name"]: each["truth"] for each in document["pictures"][0]["lines"]}
    assert truths["noisy"] == pytest.approx(20.2, abs=0.5)
    assert document["verdict"].startswith("The best comes first on")
    shown = run(*asked).stdout
    assert "PAIRS RIGHT" in shown
    assert document["verdict"] in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--data", "x"], "not both"),
        (["--check-ranking"], "--data"),
        (["a.png", "-o", "out"], "clean pictures"),
        (["a.png", "--model", "peer:nml"], "peer:nlm"),
    ],
)
def test_requests_that_cannot_be_met(
    run: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    picture(tmp_path / "a.png", 20)
    result = run("bench", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
