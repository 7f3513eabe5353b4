import pytest

from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.targets import host_targets


@pytest.fixture(params=host_targets(), scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """Every set of kernels that this host can run."""
    return Kernels(request.param)
