import pytest
from aiohttp import web

from freehold.cli.chat_client import Node
from freehold.cli.chat_stats import engine_speed, in_words

PAGE = """# HELP freehold_engine_token_seconds Time of one token.
freehold_engine_token_seconds{kind="measured"} 2.5
freehold_engine_token_seconds{kind="predicted"} 2.0
"""


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (PAGE, "measured: 2.5 s a token, predicted: 2 s a token, efficiency 0.80"),
        ('freehold_engine_token_seconds{kind="measured"} 0.05\n', "measured: 20 tokens/s; nothing was predicted"),
        ("", "does not say"),
    ],
)
def test_what_is_known_is_said(page: str, words: str) -> None:
    assert words in in_words(page)


async def test_the_page_is_the_nodes_own_whatever_its_url_ends_in() -> None:
    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        assert "efficiency 0.80" in await engine_speed(Node(url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", key="k"))
    finally:
        await runner.cleanup()
    assert "does not say" in await engine_speed(Node(url="http://127.0.0.1:9", key=""))
