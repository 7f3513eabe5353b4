"""`docs/clients.md`: its Python runs as it stands against a real node, and its settings of agents are those that are tested."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import agent_provider, coding_agents, nodes
from tests.integration.agent_provider import Provider

pytestmark = pytest.mark.model

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS, KEY = "http://127.0.0.1:8400", "fh_..."


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with agent_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[nodes.Node]:
    """With the page's own configuration, but for where its providers are."""
    home = tmp_path_factory.mktemp("home")
    (config,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for address in ("https://anthropic.example", "https://provider.example"):
        assert address in config
        config = config.replace(address, provider.url)
    (home / "freehold.toml").write_text(re.sub(r'api_key_env = ".*"', "", config) + '\n[engine]\nmodel = ""\n')
    with nodes.running(home) as started:
        yield started


def test_there_are_examples() -> None:
    assert len(SNIPPETS) == 4


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[snippet.split()[1] for snippet in SNIPPETS])
def test_an_example_prints_the_answer(snippet: str, node: nodes.Node, provider: Provider) -> None:
    assert ADDRESS in snippet
    assert KEY in snippet
    ast.parse(snippet)
    provider.received.clear()
    text = snippet.replace(ADDRESS, node.url).replace(KEY, node.client_key)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "A title"), done.stderr
    assert [b"What is a gateway?" in asked.body for asked in provider.received] == [True]


def test_what_the_tests_set_is_what_the_page_says(tmp_path: Path, node: nodes.Node) -> None:
    for agent in coding_agents.AGENTS.values():
        home = tmp_path / agent.name
        home.mkdir()
        variables = {
            name: value for name, value in agent.furnish(home, node).items() if node.url in value or node.client_key in value
        }
        assert len(variables) in (1, 2)
        for name in variables:
            assert re.search(rf"^export {name}=", PAGE, re.MULTILINE), name
        assert f"`{agent.shell}`" in PAGE
        for path in filter(Path.is_file, home.rglob("*")):
            for line in path.read_text().replace(node.url, ADDRESS).split("\n"):
                assert line in PAGE, f"{agent.name}: {line}"
