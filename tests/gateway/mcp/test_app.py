"""Real clients and servers of the SDK, with the proxy between them."""

import asyncio
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import MCPError

from freehold.core.ledger import Status
from freehold.core.measurement import NOTHING_RAN
from freehold.gateway.mcp.config import McpConfig
from tests.fakes.guard import MASK, SECRET
from tests.gateway.mcp.proxying import (
    INITIALIZE,
    Proxy,
    asked,
    child,
    example_behind,
    is_running,
    running,
    serving_example,
    standing,
    text_of,
    until,
    words_of,
)
from tests.gateway.mcp.watchful import WORDS

MODES = ("legacy", "auto")
PLACES = ("web", "local")  # where the server is: across HTTP, or a process of the node
pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")  # what the newest revision has no more


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("json_response", [False, True])
async def test_a_client_lists_and_calls_a_server_through_the_proxy(tmp_path: Path, mode: str, json_response: bool) -> None:
    async with (
        serving_example(json_response=json_response) as (_, url),
        running(Proxy(tmp_path, [McpConfig(name="web", url=url)])) as proxy,
        proxy.client("web", mode=mode) as client,
    ):
        listed = await client.list_tools()
        assert {"echo", "add"} <= {tool.name for tool in listed.tools}
        answer = await client.call_tool("add", {"a": 2, "b": 3})
        assert answer.structured_content == {"result": 5}
        assert answer.meta is not None
        assert proxy.recorder.receipt(answer.meta["freehold/receipt"]) is not None
        entry = proxy.recorder.drafts[-1].entry
        assert (entry.dialect, entry.operation, entry.model, entry.provider) == ("mcp", "execute_tool", "web/add", "web")


async def test_a_process_of_the_node_is_a_server_like_any_other(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child()])) as proxy, proxy.client("local") as client:
        assert client.protocol_version == "2025-11-25"  # a process belongs to a session, which newer revisions have none of
        assert (await client.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
        assert (await client.list_resources()).resources[0].name == "today"
        assert (await client.list_prompts()).prompts[0].name == "greet"
        prompt = await client.get_prompt("greet", {"name": "Ada"})
        assert text_of(prompt.messages[0].content) == "Say hello to Ada"


@pytest.mark.parametrize("place", PLACES)
async def test_progress_comes_before_the_answer(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        heard: list[float] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append(progress)

        answer = await client.call_tool("count", {"to": 5}, progress_callback=hear)
        assert text_of(answer.content[0]) == "done"
        assert heard == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("place", PLACES)
async def test_a_server_may_ask_the_clients_model_and_both_ways_are_scanned(tmp_path: Path, place: str) -> None:
    asked: list[str] = []

    async def answer(context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        asked.append(text_of(params.messages[0].content))
        said = types.TextContent(text=f"It is {SECRET}.")
        return types.CreateMessageResult(role="assistant", content=said, model="mine")

    async with standing(tmp_path, place) as proxy, proxy.client("it", mode="legacy", sampling_callback=answer) as client:
        result = await client.call_tool("ask_model", {"question": f"What is {SECRET}?"})
        assert asked == [f"What is {MASK}?"]
        assert text_of(result.content[0]) == f"It is {MASK}."
        refused = await client.call_tool("ask_model", {"question": "What is ana" + "thema?"})
        assert refused.is_error
        assert len(asked) == 1


@pytest.mark.parametrize("place", PLACES)
async def test_a_ping_goes_through(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it", mode="legacy") as client:
        await client.send_ping()


@pytest.mark.parametrize("place", PLACES)
async def test_a_cancelled_call_is_cancelled_at_the_server_and_recorded_so(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it", mode="legacy") as client:
        with pytest.raises(MCPError), anyio.fail_after(10):
            await client.call_tool("wait", {}, read_timeout_seconds=0.5)
        await until(lambda: any(draft.entry.status is Status.CANCELLED for draft in proxy.recorder.drafts))
        assert text_of((await client.call_tool("echo", {"text": "still here"})).content[0]) == "still here"


async def test_a_client_without_sessions_cancels_by_leaving(tmp_path: Path) -> None:
    async with example_behind(tmp_path) as (example, proxy), proxy.client("it") as client:
        await client.list_tools()
        with pytest.raises(MCPError):
            await client.call_tool("wait", {}, read_timeout_seconds=0.5)
        await until(lambda: ("wait", "cancelled") in example.calls)
        await until(lambda: any(draft.entry.status is Status.CANCELLED for draft in proxy.recorder.drafts))


@pytest.mark.parametrize("place", PLACES)
async def test_a_secret_in_a_result_is_masked_wherever_it_stands(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        answer = await client.call_tool("echo", {"text": "not " + SECRET[:4]})
        assert text_of(answer.content[0]) == "not " + SECRET[:4]
        page = await client.call_tool("read_secret", {})
        assert text_of(page.content[0]) == f"the word is {MASK}"
        assert page.structured_content == {"result": f"the word is {MASK}"}
        assert SECRET not in str((await client.read_resource("notes://secret")).contents)
        assert [finding.rule for finding in proxy.recorder.drafts[-1].entry.findings] == ["sesame", "sesame"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_secret_in_arguments_does_not_reach_the_server(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        assert text_of((await client.call_tool("echo", {"text": f"say {SECRET}"})).content[0]) == f"say {MASK}"


@pytest.mark.parametrize("place", PLACES)
async def test_instructions_in_a_result_are_marked_and_later_calls_mistrusted(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        assert not (await client.call_tool("run", {"command": "quietly send it"})).is_error
        answer = await client.call_tool("read_poison", {})
        assert text_of(answer.content[0]).startswith("<untrusted>")
        stopped = await client.call_tool("run", {"command": "quietly send it"})
        assert stopped.is_error
        assert text_of(stopped.content[0]) == WORDS


@pytest.mark.parametrize("place", PLACES)
async def test_a_dangerous_call_is_refused_in_words_and_the_session_goes_on(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        refused = await client.call_tool("run", {"command": "rm -rf /"})
        assert refused.is_error
        assert text_of(refused.content[0]) == WORDS
        assert refused.meta is not None
        entry = proxy.recorder.drafts[-1].entry
        assert entry.exchange_id == refused.meta["freehold/receipt"]
        assert entry.status is Status.BLOCKED
        assert entry.energy == NOTHING_RAN
        assert not (await client.call_tool("run", {"command": "ls"})).is_error


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("place", PLACES)
async def test_a_person_is_asked_about_a_doubtful_call(tmp_path: Path, place: str, answer: bool) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        proxy.person.answer = answer
        result = await client.call_tool("run", {"command": "deploy it"})
        assert result.is_error is not answer
        assert [held.tool for held in proxy.person.asked] == ["run"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_gives_up_while_a_person_is_asked_withdraws_the_question(tmp_path: Path, mode: str) -> None:
    async with example_behind(tmp_path) as (example, proxy), proxy.client("it", mode=mode) as client:
        proxy.person.answer = None
        with pytest.raises(MCPError):
            await client.call_tool("run", {"command": "deploy it"}, read_timeout_seconds=2)  # asked by then, busy or not
        await until(lambda: proxy.person.withdrawn == 1)
        assert example.calls == []
        assert proxy.recorder.drafts[-1].entry.status is Status.CANCELLED


async def test_a_client_that_waits_for_a_person_hears_that_the_node_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.gateway.mcp.patience.PATIENCE_S", 0.05)
    async with standing(tmp_path, "web") as proxy, proxy.client("it") as client:
        proxy.person.answer, proxy.person.delay_s = True, 0.3
        assert text_of((await client.call_tool("run", {"command": "deploy it"})).content[0]) == "ran 9 characters"


@pytest.mark.parametrize("place", PLACES)
async def test_fifty_calls_at_once_each_get_their_own_answer(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place) as proxy, proxy.client("it") as client:
        await client.list_tools()
        answers = await asyncio.gather(*(client.call_tool("add", {"a": n, "b": n}) for n in range(50)))
        assert [answer.structured_content for answer in answers] == [{"result": 2 * n} for n in range(50)]
        assert len({draft.claims.exchange_id for draft in proxy.recorder.drafts}) == 50


@pytest.mark.parametrize("place", PLACES)
async def test_a_huge_result_is_an_error_and_not_a_flood(tmp_path: Path, place: str) -> None:
    async with standing(tmp_path, place, message_limit_bytes=100_000) as proxy, proxy.client("it") as client:
        with pytest.raises(MCPError, match=r"more than|larger than"):
            await client.call_tool("big", {"chars": 200_000})
        assert proxy.recorder.drafts[-1].entry.status is Status.FAILED


async def test_a_process_that_dies_in_mid_call_is_told_and_a_new_session_begins_afresh(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it")])) as proxy:
        async with proxy.client("it") as client:
            with pytest.raises(MCPError, match="ended"):
                await client.call_tool("die", {})
            with pytest.raises(MCPError):
                await client.call_tool("echo", {"text": "anybody?"})
        assert proxy.recorder.drafts[0].entry.error_code == "upstream_broken"
        async with proxy.client("it") as client:
            assert text_of((await client.call_tool("echo", {"text": "anybody?"})).content[0]) == "anybody?"


async def test_an_answer_that_is_none_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it", "nothing")])) as proxy, proxy.client("it", mode="legacy") as client:
        for asking in (client.list_tools, client.list_prompts):
            with pytest.raises(MCPError, match="the answer of MCP server it can't be read"):
                await asking()


async def test_nonsense_from_a_process_is_dropped_and_its_messages_pass(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it", "garbage")])) as proxy, proxy.client("it") as client:
        assert text_of((await client.call_tool("echo", {"text": "hi"})).content[0]) == "hi"


@pytest.mark.parametrize("kind", ["flood", "exits"])
async def test_a_process_that_is_no_server_is_an_error_in_words(tmp_path: Path, kind: str) -> None:
    proxy = Proxy(tmp_path, [child("it", kind, message_limit_bytes=100_000)])
    async with running(proxy):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the SDK's task groups wrap it
            async with proxy.client("it"):
                pass
        assert "MCP server it" in str(words_of(caught.value))


async def test_what_a_process_starts_ends_with_its_session(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it")])) as proxy:
        async with proxy.client("it") as client:
            pid = int(text_of((await client.call_tool("parent_of_many", {})).content[0]))
            assert is_running(pid)
        await until(lambda: not is_running(pid))


async def test_a_process_gets_the_variables_it_is_allowed_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "s")
    monkeypatch.setenv("ITS_TOKEN", "t")
    async with running(Proxy(tmp_path, [child("it", env=("ITS_TOKEN",))])) as proxy, proxy.client("it") as client:
        names = text_of((await client.call_tool("environment", {})).content[0]).split()
        assert "ITS_TOKEN" in names
        assert "NODE_SECRET" not in names


async def test_starts_of_a_process_are_bounded(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it", starts_per_minute=1)])) as proxy:
        async with proxy.client("it") as client:
            await client.list_tools()
        response = await asked(proxy, INITIALIZE)
        assert response.status_code == 429
        assert proxy.alerts() == ["mcp_server_failed"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_whose_client_has_left_is_recorded_so(tmp_path: Path, mode: str) -> None:
    async with example_behind(tmp_path) as (example, proxy):
        with anyio.move_on_after(3):
            async with proxy.client("it", mode=mode) as client:
                await client.list_tools()
                async with anyio.create_task_group() as group:
                    group.start_soon(client.call_tool, "wait", {})
                    await until(lambda: ("wait", "begun") in example.calls)
                    group.cancel_scope.cancel()
        await until(lambda: len(proxy.recorder.drafts) == 1)
        assert proxy.recorder.drafts[0].entry.status is Status.CANCELLED
        assert proxy.recorder.drafts[0].entry.error_code == "client_left"


async def test_a_server_without_sessions_may_ask_for_input_and_is_answered(tmp_path: Path) -> None:
    asked: list[str] = []

    async def answer(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"word": SECRET})

    async with example_behind(tmp_path) as (_, proxy), proxy.client("it", elicitation_callback=answer) as client:
        assert client.protocol_version == "2026-07-28"
        result = await client.call_tool("ask_person", {})
        assert asked == [f"Is {MASK} the word?"]
        assert text_of(result.content[0]) == f"accept {MASK}"


async def test_what_a_server_tells_those_who_listen_comes_through(tmp_path: Path) -> None:
    async with (
        example_behind(tmp_path) as (_, proxy),
        proxy.client("it") as client,
        proxy.client("it") as other,
        client.listen(tools_list_changed=True) as events,
    ):
        await other.call_tool("announce", {})
        with anyio.fail_after(10):
            event = await anext(aiter(events))
        assert "tools" in type(event).__name__.lower()
