"""Folders of outputs, made when they are needed."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class OutputFolders:
    """Folders of outputs: made when a file needs them, removed again if nothing was written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: set[Path] = set()
        self._users: Counter[Path] = Counter()

    @contextmanager
    def made_for(self, target: Path | None) -> Iterator[None]:
        """Within it the target's folder is there."""
        if target is None:
            yield
            return
        folders = target.parents
        with self._lock:
            self._made.update(folder for folder in folders if not folder.exists())
            self._users.update(folders)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            with self._lock:
                self._users.subtract(folders)
                for folder in folders:
                    if folder in self._made and not self._users[folder]:
                        self._made.remove(folder)
                        with suppress(OSError):  # something is in it
                            folder.rmdir()
