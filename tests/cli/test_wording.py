"""Wrong options are told in plain words, and help shows no names of Python's types."""

import pytest

from mdn import io
from tests.cli.cli_tools import Run


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("denoise --nope a.png", "No such option: --nope (see mdn denoise -h)"),
        ("denoise --stregth 1 a.png", "--stregth. Did you mean --strength?"),
        ("--versoin", "--versoin. Did you mean --version?"),
        ("denoise --precision good a.png", "'good' is not one of 'auto'"),
        ("denoise --strength good a.png", "'good' is not a number"),
        ("denoise --strength 3 a.png", "3: choose a number from 0 to 2"),
        ("denoise --tile 0 a.png", "0: choose 1 or more"),
        ("denoise --tile 1.5 a.png", "'1.5' is not a whole number"),
        ("denoise --strength nan a.png", "nan: choose a number from 0 to 2"),
    ],
)
def test_wrong_options(run: Run, line: str, told: str) -> None:
    result = run(*line.split())
    assert result.exit_code == 2
    (text,) = result.stderr.splitlines()
    assert told in text
    for leak in ("Value error", "Input should", "Possible options", "--model"):
        assert leak not in text


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    "command", ["", "denoise", "zeroshot", "noise", "bench", "train", "models", "models verify"]
)
def test_help_is_everywhere_and_shows_no_types(run: Run, command: str, flag: str) -> None:
    result = run(*command.split(), flag)
    assert (result.exit_code, "Usage: mdn" in result.stdout) == (0, True)
    for odd in ("<bool>", "<list", "<str>", "[["):
        assert odd not in result.stdout


def test_all_that_can_be_read_is_listed(run: Run, tmp_path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    result = run("denoise", str(tmp_path / "a.png"))
    for name in ["JPEG XL", "WebP", "OpenEXR", "Zarr"]:
        assert name in result.stderr
    named = result.stderr.upper().replace("JPEG XL", "JXL")
    assert all(name.upper() in named for name in io.FORMATS)
