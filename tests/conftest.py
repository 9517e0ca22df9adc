"""What every test shares."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Processes side by side have a core each: more threads would wait for one another. Said before
# PyTorch is imported, which reads it once; what a test starts inherits it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines differ in speed, and what is tested here is never how fast an example runs.
settings.register_profile("mdn", deadline=None, derandomize=True)
settings.load_profile("mdn")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test and training pictures; tests that need it are skipped where it is not."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MDN_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip("the picture collection is not here: set MDN_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """A Dask cluster whose two workers are threads of this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as local:
        yield local


@pytest.fixture
def where(cluster: object) -> Iterator[str]:
    """The address of its scheduler; its workers have prepared nothing yet."""
    from mdn.jobs import dask_run

    dask_run._work.cache_clear()
    yield cluster.scheduler_address
    dask_run._work.cache_clear()
