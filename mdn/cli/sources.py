"""Where the inputs of a command come from: its arguments, a list, or a folder to watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdn.errors import UsageError

if TYPE_CHECKING:
    from mdn.batch.shards import Shard


def inputs(
    given: Sequence[str] | None, from_file: str | None, watch: str | None
) -> tuple[list[str], list[str]]:
    """The inputs named on the command line, and those that a list names.

    Args:
        given: the arguments.
        from_file: the list of --from-file, or None.
        watch: the folder of --watch, or None: the one input then.

    Raises:
        UsageError: there are none, a list cannot be read, or --watch has company or no folder.
    """
    from mdn.batch.inputs import is_folder
    from mdn.batch.lists import read_list

    if watch is not None:
        if given or from_file is not None:
            raise UsageError("--watch DIR names the input: leave the others out")
        if not is_folder(watch):
            raise UsageError(f"--watch {watch}: no such folder")
        return [watch], []
    listed = [] if from_file is None else read_list(from_file)
    if not given and not listed:
        raise UsageError("no input: name images, folders or patterns, or give --from-file LIST")
    if from_file == "-" and given and "-" in given:
        raise UsageError("standard input is the list of --from-file: it cannot be an image too")
    return list(given or ()), listed


def share(text: str | None) -> Shard | None:
    """What --shard asks for. Raises UsageError: no such share."""
    from mdn.batch import shards

    return None if text is None else shards.parse(text)
