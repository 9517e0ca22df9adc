"""Whether the outputs of a batch are still what its manifest says, and what it says of the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdn.batch import manifest
from mdn.batch.manifest import Entry, Manifest, Run
from mdn.errors import NothingDoneError

SAME = "same"


@dataclass(frozen=True)
class Finding:
    """What was found of one output."""

    entry: Entry  # its line of the manifest
    verdict: str  # "same", or what is wrong in a few words

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict == SAME


@dataclass(frozen=True)
class Summary:
    """All manifests of a folder in figures."""

    # ok, failed, unfinished: numbers of outputs; unfinished ones were begun by a run that was
    # killed
    ok: int
    failed: int
    unfinished: int
    seconds: float  # that the finished ones took, over all shards
    shards: tuple[str, ...]  # those that wrote here
    missing: tuple[str, ...]  # those that should have and did not
    problems: tuple[Entry, ...]  # the entries that are not ok

    @property
    def whole(self) -> bool:
        """Whether all is done."""
        return not self.problems and not self.missing


def load(folder: Path) -> Manifest:
    """The manifests of a folder. Raises NothingDoneError: there is none."""
    found = manifest.read(folder)
    if not found.files:
        raise NothingDoneError(
            f"{folder}: no {manifest.NAME}{manifest.SUFFIX} here; name the output folder of a batch"
        )
    return found


def summarize(found: Manifest) -> Summary:
    """Counts what the manifests say."""
    entries = list(found.entries.values())
    counts = dict.fromkeys(("ok", "failed", "started"), 0)
    for entry in entries:
        counts[entry.status] = counts.get(entry.status, 0) + 1
    sizes = {shard.partition("/")[2] for shard in found.shards}
    missing = tuple(
        f"{index}/{size}"
        for size in sorted(sizes)
        for index in range(1, int(size) + 1)
        if len(sizes) == 1 and f"{index}/{size}" not in found.shards
    )
    return Summary(
        counts["ok"],
        counts["failed"],
        counts["started"],
        round(sum(entry.seconds for entry in entries), 3),
        tuple(sorted(found.shards, key=lambda shard: [int(part) for part in shard.split("/")])),
        missing,
        tuple(entry for entry in entries if entry.status != "ok"),
    )


def check(found: Manifest) -> Iterator[Finding]:
    """Reads every input and output again and compares hashes."""
    for entry in found.entries.values():
        yield Finding(entry, _verdict(found, entry))


def _verdict(found: Manifest, entry: Entry) -> str:
    if entry.status == "failed":
        return f"failed: {entry.reason}"
    if entry.status != "ok":
        return "unfinished: begun by a run that was killed"
    if problem := _compare(found.path_of(entry.output), entry.output_sha256, "output"):
        return problem
    if entry.input is None:
        return SAME
    return _compare(Path(entry.input), entry.sha256, "input") or SAME


def _compare(path: Path, expected: str, which: str) -> str:
    try:
        return "" if manifest.digest(path) == expected else f"the {which} was changed"
    except FileNotFoundError:
        return f"the {which} is gone"
    except OSError as problem:
        reason = (problem.strerror or type(problem).__name__).lower()
        return f"the {which} cannot be read ({reason})"


def command_for(run: Run, entry: Entry, target: Path) -> list[str]:
    """The command line that makes an output again, as `target`; no second output is written."""
    assert entry.input is not None
    name = str(target)
    count: list[str] = []
    if run.command == "noise":
        name = str(target.with_name(target.stem + "_{draw:03}" + target.suffix))
        count = ["--count", str(entry.draw)]
    arguments = list(run.arguments)
    if "--save-std" in arguments:
        at = arguments.index("--save-std")
        del arguments[at : at + 2]
    return [run.command, *arguments, *count, "-q", "-o", name, "--", entry.input]


def made_by(target: Path, run: Run, entry: Entry) -> Path:
    """The file that `command_for` makes."""
    if run.command != "noise":
        return target
    return target.with_name(f"{target.stem}_{entry.draw:03}{target.suffix}")
