"""Nothing of a value comes out of a running node: all dialects of clients and providers, all channels, all cuts, both ways.

Which cut a value gets in which channel is drawn by seed, so that a run takes a minute. FREEHOLD_TEST_ALL_CUTS=1 tries every
cut into two of every value in every channel; `make bench ONLY=hostile` counts.
"""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.integration import nodes, scripted
from tests.integration.leak_cases import AFTER, BEFORE, FORMS, GITHUB, PLAIN, VALUES, Value, cut, random_cuts, wire_cuts
from tests.integration.leak_dialects import CHAT, DIALECTS, UPSTREAMS, Document
from tests.integration.leak_interruptions import BROKEN, ENDED, INTERRUPTIONS
from tests.integration.leak_probe import POLICY, Came, Probe, Prober, all_cuts, configuration, faults, prober, said
from tests.integration.nodes import Node
from tests.integration.scripted import JSON, Script, ScriptedProvider

SEED = 20
PAIRS = [(client, provider) for client in DIALECTS for provider in DIALECTS]
HOWS = ("whole", "uncut", "in_two", "in_many", "by_character", "on_the_wire")
CLEAN = Value("clean", "nothing to find in here, however it is cut", ("\0" * 6,))


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with scripted.serving() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: ScriptedProvider) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("home")
    (home / "freehold.toml").write_text(configuration(provider))
    (home / "policy.toml").write_text(POLICY)
    with nodes.running(home) as node:
        yield node


def probes(client: str, upstream: str, chance: random.Random) -> Iterator[Probe]:
    for at, channel in enumerate(DIALECTS[upstream].channels):
        for number, value in enumerate(VALUES):
            uncut = Probe(client=client, provider=upstream, channel=channel, value=value, pieces=[said(upstream, channel, value)])
            if all_cuts():
                yield from (variant(uncut, how, chance) for how in HOWS)
                (text,) = uncut.pieces
                yield from (replace(uncut, pieces=cut(text, [place])) for place in range(len(text) + 1))
            else:
                yield variant(uncut, HOWS[(at + number + chance.randrange(2)) % len(HOWS)], chance)


def variant(uncut: Probe, how: str, chance: random.Random) -> Probe:
    (text,) = uncut.pieces
    match how:
        case "whole":
            return replace(uncut, is_streamed=False)
        case "in_two":
            return replace(uncut, pieces=random_cuts(text, 2, chance))
        case "in_many":
            return replace(uncut, pieces=random_cuts(text, chance.randrange(3, 41), chance))
        case "by_character":
            return replace(uncut, pieces=list(text))
        case "on_the_wire":
            count = chance.randrange(2, 41)
            return replace(uncut, pieces=random_cuts(text, 5, chance), wire=lambda data: wire_cuts(data, count, chance))
        case _:
            return uncut


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
async def test_nothing_of_any_value_comes_out_of_any_channel(
    guarded: Node, provider: ScriptedProvider, client: str, upstream: str
) -> None:
    chance = random.Random(f"{SEED}{client}{upstream}")
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        answers = await asking.probe_all(probes(client, upstream, chance))
    wrong = [(probe.name, found) for probe, came in answers if (found := faults(probe, came))]
    assert wrong == []
    assert len(answers) >= len(VALUES) * len(DIALECTS[upstream].channels)


@pytest.mark.parametrize("name", DIALECTS)
async def test_one_byte_in_each_write_changes_nothing(guarded: Node, provider: ScriptedProvider, name: str) -> None:
    text = said(name, "text", PLAIN[1])
    probe = Probe(client=name, provider=name, channel="text", value=PLAIN[1], pieces=random_cuts(text, 6, random.Random(SEED)))
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        at_once = await asking.probe(probe)
        by_byte = await asking.probe(replace(probe, wire=lambda data: [bytes([byte]) for byte in data]))
    assert faults(probe, by_byte) == []
    assert by_byte.body == at_once.body


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("value", [PLAIN[1], PLAIN[2], PLAIN[3], FORMS[0]], ids=lambda value: str(value.name))
async def test_where_the_text_was_cut_cannot_be_told_from_the_answer(
    guarded: Node, provider: ScriptedProvider, name: str, value: Value
) -> None:
    chance, told = random.Random(SEED), set[str]()
    text = said(name, "text", value)
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for pieces in ([text], list(text), *(random_cuts(text, chance.randrange(2, 41), chance) for _ in range(6))):
            came = await asking.probe(Probe(client=name, provider=name, channel="text", value=value, pieces=pieces))
            told.add(max((one for one in came.texts[1:] if BEFORE in one and AFTER in one), key=len))
    assert len(told) == 1


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_answer_without_findings_is_passed_on_byte_for_byte(
    guarded: Node, provider: ScriptedProvider, name: str
) -> None:
    chance = random.Random(SEED)
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for channel in DIALECTS[name].channels:
            if channel in ("error", "failed"):  # an error is told in the node's own words around the provider's
                continue
            text = said(name, channel, CLEAN)
            probe = Probe(client=name, provider=name, channel=channel, value=CLEAN, pieces=random_cuts(text, 12, chance))
            for one in (probe, replace(probe, wire=lambda data: wire_cuts(data, 30, chance)), variant_whole(probe)):
                came = await asking.probe(one)
                assert came.body == came.sent, one.name


def variant_whole(probe: Probe) -> Probe:
    return replace(probe, is_streamed=False)


@pytest.mark.parametrize(("name", "channel"), [("openai.chat", "unknown_field"), ("google.gemini", "unknown_part")])
async def test_a_string_that_is_searched_alone_and_joined_shows_what_neither_hides(
    guarded: Node, provider: ScriptedProvider, name: str, channel: str
) -> None:
    """A part of a line of a key is nothing by itself, and behind a key in the same string its own search left it."""
    value = PLAIN[2]
    text = said(name, channel, value)
    uncut = Probe(client=name, provider=name, channel=channel, value=value)
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        answers = await asking.probe_all(replace(uncut, pieces=cut(text, [at])) for at in range(40, len(text), 5))
    assert [(probe.name, found) for probe, came in answers if (found := faults(probe, came))] == []


INTERRUPTED = [(name, kind) for name, kinds in INTERRUPTIONS.items() for kind in kinds if kind not in ENDED[name] | BROKEN[name]]


@pytest.mark.parametrize(("upstream", "kind"), INTERRUPTED)
async def test_a_value_interrupted_in_its_middle_is_one_value(
    guarded: Node, provider: ScriptedProvider, upstream: str, kind: str
) -> None:
    chance = random.Random(f"{SEED}{upstream}{kind}")
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for value in PLAIN:
            for client in DIALECTS if all_cuts() else (upstream, chance.choice(list(DIALECTS))):
                low, high = len(BEFORE) + 2, len(BEFORE) + len(value.text) - 2
                for at in range(low, high) if all_cuts() else chance.sample(range(low, high), 2):
                    came = await interrupted(asking, client, upstream, kind, value, at)
                    leaked = [text for text in came.texts if value.leaks(text)]
                    assert leaked == [], (client, value.name, at)


@pytest.mark.parametrize(("upstream", "kind"), [(name, kind) for name, kinds in BROKEN.items() for kind in sorted(kinds)])
async def test_more_of_a_text_that_is_over_ends_the_answer_with_an_error(
    guarded: Node, provider: ScriptedProvider, upstream: str, kind: str
) -> None:
    value = PLAIN[1]
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for client in DIALECTS:
            came = await interrupted(asking, client, upstream, kind, value, len(BEFORE) + len(value.text) // 2)
            assert "upstream_broken" in came.texts[0].lower()
            assert value.text[-12:] not in came.texts[0]


async def interrupted(asking: Prober, client: str, upstream: str, kind: str, value: Value, at: int) -> Came:
    pieces = INTERRUPTIONS[upstream][kind](value.said[:at], value.said[at:])
    return await asking.ask(client, UPSTREAMS[upstream], Script(pieces=pieces), stream=True)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
async def test_nothing_of_any_value_reaches_a_provider(
    guarded: Node, provider: ScriptedProvider, client: str, upstream: str
) -> None:
    chance = random.Random(f"{SEED}{client}{upstream}")
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for place, fields in DIALECTS[client].requests.items():
            values = VALUES if client == upstream or all_cuts() else chance.sample(VALUES, 3)
            for value in values:
                script = whole_answer(upstream)
                came = await asking.ask(client, UPSTREAMS[upstream], script, fields(value.said), stream=False)
                assert came.status == 200, (place, came.body)
                assert_nothing_in(script.body, value, (client, upstream, place, value.name))


def whole_answer(upstream: str) -> Script:
    """A client of another dialect gets a stream's text from a body as well."""
    return Script(pieces=[json.dumps(DIALECTS[upstream].whole("text", "ok")).encode()], content_type=JSON)


def assert_nothing_in(body: bytes, value: Value, where: Any) -> None:
    texts = Came(200, body, b"", [json.loads(body)], False).texts
    assert [text for text in texts if value.leaks(text)] == [], where
    assert any(BEFORE in text and AFTER in text for text in texts), (where, body)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value.name))
async def test_nothing_of_a_value_is_embedded(guarded: Node, provider: ScriptedProvider, value: Value) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.25]}
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    answer = {"object": "list", "data": [vector], "model": "embedder", "usage": usage}
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        for shape in (lambda word: f"{word} {value.said}", lambda word: [word, value.said]):
            script = Script(pieces=[json.dumps(answer).encode()], content_type=JSON)
            word = provider.add(script)
            came = await asking.post("/v1/embeddings", {"model": "embedder", "input": shape(word)}, script)
            assert came.status == 200
            assert_nothing_in(script.body, value, value.name)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_field_nobody_knows_is_searched_at_every_depth(guarded: Node, provider: ScriptedProvider, name: str) -> None:
    dialect, value = DIALECTS[name], PLAIN[1]
    deep: Any = value.said
    for _ in range(20):
        deep = [{"deeper": deep}]
    fields: Document = {"omen": deep, f"{BEFORE}{value.text}{AFTER}": 1}
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        script = whole_answer(name)
        came = await asking.ask(name, UPSTREAMS[name], script, fields, stream=False)
    assert came.status == 200, came.body
    assert_nothing_in(script.body, value, dialect.name)


@pytest.mark.parametrize("name", DIALECTS)
async def test_of_a_key_that_comes_twice_neither_value_gets_out(guarded: Node, provider: ScriptedProvider, name: str) -> None:
    """The last counts for the node's parser; another parser may take the first."""
    dialect, script = DIALECTS[name], whole_answer(name)
    word = provider.add(script)
    whole = json.dumps(dialect.ask(UPSTREAMS[name], f"Go on, {word}.", False))
    body = '{"omen": ' + json.dumps(GITHUB) + ', "metadata": {"a": "b", "a": "c"}, "omen": "none", ' + whole[1:]
    if name == "google.gemini":
        body = body.replace('"metadata"', '"labels"')
    headers = {"authorization": f"Bearer {guarded.client_key}", **dialect.headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(guarded.url + dialect.path(UPSTREAMS[name], False), data=body.encode(), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.read()
    assert GITHUB[4:].encode() not in script.body
    assert script.body.count(b'"omen"') == 1


async def test_a_file_in_the_request_is_read_and_searched(guarded: Node, provider: ScriptedProvider) -> None:
    data = "data:text/plain;base64," + base64.b64encode(f"notes\n{PLAIN[1].said}\n".encode()).decode()
    part = {"type": "file", "file": {"filename": "notes.txt", "file_data": data}}
    turn: Document = {"+messages": [{"role": "user", "content": [{"type": "text", "text": "read this"}, part]}]}
    async with prober(guarded.url, guarded.client_key, provider) as asking:
        script = whole_answer(CHAT.name)
        await asking.ask(CHAT.name, UPSTREAMS[CHAT.name], script, turn, stream=False)
    if script.body:  # masked or blocked, as policy says of files
        file = json.loads(script.body)["messages"][-1]["content"][1]["file"]["file_data"]
        assert GITHUB[4:] not in base64.b64decode(file.partition(",")[2]).decode()
