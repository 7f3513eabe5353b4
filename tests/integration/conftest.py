from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import nodes, provider


@pytest.fixture(scope="session", autouse=True)
def _needs_the_embedded_model() -> None:
    if nodes.embedded_model() is None:
        pytest.skip("the embedded model is not here: run `make test`, or `freehold models pull smollm2-135m`")


@pytest.fixture(scope="session")
def remote() -> Iterator[provider.Provider]:
    with provider.serving() as running:
        yield running


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, remote: provider.Provider) -> Iterator[nodes.Node]:
    """One node for the tests that leave it as they found it, with our engine and the scripted provider."""
    home = tmp_path_factory.mktemp("home")
    nodes.furnish(
        home,
        f"""
guard.categories.personal_data.mode = "enforce"

[[upstreams]]
name = "scripted"
url = "{remote.url}"
models = ["scripted"]
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"
""",
    )
    with nodes.running(home) as started:
        yield started


@pytest.fixture
def fresh_home(tmp_path: Path) -> Path:
    nodes.furnish(tmp_path)
    return tmp_path
