"""A secret cut at every position across stream chunks never leaks: through the running server, in every channel, both ways."""

import json
from typing import Any

import pytest

from tests.integration.nodes import Node
from tests.integration.provider import Provider, Script

pytestmark = pytest.mark.model

KEY = "AKIA" + "QZ3MR7XKD2VWTN5B"
TOKEN = "ghp_" + "k7Qz2mXv9LrT4bWn8YcH3dFs6GjP1aRe5UiO"
CARD = "4539 5787 6362 1486"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj" + str(n) * 20 for n in range(6)])
PEM += "\n-----END PRIVATE KEY-----"


def leaks(secret: str, text: str, window: int = 6) -> bool:
    """Whether any `window` characters in a row of the secret's private part are in the text."""
    private = secret[4:] if not secret.startswith("-----") else secret[28:-26]
    return any(private[i : i + window] in text for i in range(len(private) - window + 1))


def stream_text(node: Node, **options: Any) -> tuple[str, str]:
    """(text, tool arguments) as the SDK put them together."""
    stream = node.sdk().chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "go"}], stream=True, **options
    )
    text, arguments = "", ""
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                arguments += (call.function.arguments or "") if call.function else ""
    return text, arguments


@pytest.mark.parametrize("secret", [KEY, TOKEN, CARD])
def test_a_secret_cut_in_two_anywhere_is_masked(node: Node, remote: Provider, secret: str) -> None:
    sentence = f"Use {secret} for the upload."
    answers = set()
    for cut in range(len(sentence) + 1):
        remote.say(sentence[:cut], sentence[cut:])
        text, _ = stream_text(node)
        assert not leaks(secret, text), (cut, text)
        answers.add(text)
    assert len(answers) == 1
    assert answers.pop().endswith("for the upload.")


@pytest.mark.parametrize("secret", [KEY, TOKEN, CARD, PEM])
def test_a_secret_one_character_at_a_time_is_masked(node: Node, remote: Provider, secret: str) -> None:
    remote.say(*f"Here: {secret} end.")
    text, _ = stream_text(node)
    assert not leaks(secret, text)
    assert text.endswith("end.")


@pytest.mark.parametrize("secret", [KEY, TOKEN, PEM])
def test_a_secret_in_tool_arguments_is_masked_wherever_it_is_cut(node: Node, remote: Provider, secret: str) -> None:
    arguments = json.dumps({"command": f"export K={secret}", "n": 1})
    for cut in range(0, len(arguments) + 1, 7):
        start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "run", "arguments": arguments[:cut]}}
        rest = {"index": 0, "function": {"arguments": arguments[cut:]}}
        remote.script = Script(deltas=[{"tool_calls": [start]}, {"tool_calls": [rest]}], finish_reason="tool_calls")
        _, sent = stream_text(node)
        assert not leaks(secret, sent), (cut, sent)
        assert json.loads(sent)["n"] == 1


def test_what_goes_out_to_a_remote_provider_is_masked_in_every_leaf(node: Node, remote: Provider) -> None:
    remote.say("ok")
    remote.received.clear()
    messages: Any = [
        {"role": "system", "content": f"The key is {KEY}."},
        {"role": "user", "content": [{"type": "text", "text": f"token {TOKEN} please"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"k": KEY})}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": f"result {PEM}"},
    ]
    tools: Any = [
        {"type": "function", "function": {"name": "f", "description": f"uses {TOKEN}", "parameters": {"type": "object"}}}
    ]
    node.sdk().chat.completions.create(
        model="scripted", messages=messages, tools=tools, extra_body={"unheard_of": {"deep": [f"x {KEY}"]}}
    )
    (body,) = remote.received
    sent = json.dumps(body, ensure_ascii=False)
    for secret in (KEY, TOKEN, PEM):
        assert not leaks(secret, sent.replace("\\n", "\n"))
    assert body["unheard_of"]["deep"][0].startswith("x ")


def test_a_non_streamed_answer_is_masked(node: Node, remote: Provider) -> None:
    remote.say(f"Use {KEY} now.")
    answer = node.sdk().chat.completions.create(model="scripted", messages=[{"role": "user", "content": "go"}])
    assert not leaks(KEY, answer.choices[0].message.content or "")
    assert (answer.choices[0].message.content or "").endswith(" now.")


def test_neither_the_record_nor_the_log_holds_the_secret(node: Node, remote: Provider) -> None:
    remote.say(f"Use {KEY} now.")
    stream_text(node)
    kept = b"".join(path.read_bytes() for path in node.home.rglob("*.db*")).decode("latin-1") + "".join(node.log)
    assert not leaks(KEY, kept)
