"""Gemini's own payloads through the real guard: as they came, but for what it hides."""

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.core.events import PromptText
from freehold.core.findings import Channel, Context, Direction
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig, RuleConfig
from tests.gateway.wire.gemini_streams import STOP, asked, parts_of, pass_on, payload, payloads_of, read

TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
SENTENCE = f"Use {TOKEN} for the upload."


def leaks(text: str | bytes, window: int = 6) -> bool:
    """Whether any `window` characters in a row of the secret's private part are there."""
    found = text.decode() if isinstance(text, bytes) else text
    private = TOKEN[4:]
    return any(private[at : at + window] in found for at in range(len(private) - window + 1))


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[low:high] for low, high in pairwise(edges)]


def said(sent: list[bytes], field: str = "text") -> str:
    return "".join(part.get(field, "") for part in parts_of(sent))


@pytest.mark.parametrize("thought", [{}, {"thought": True}])
def test_a_key_cut_in_two_anywhere_is_masked_and_the_rest_stays(thought: dict[str, Any]) -> None:
    answers = set()
    for place in range(len(SENTENCE) + 1):
        pieces = cut(SENTENCE, [place])
        sent = pass_on([*(payload({"text": piece, **thought}, tokens=at) for at, piece in enumerate(pieces)), STOP])
        assert not leaks(b"".join(sent)), place
        assert not leaks(said(sent)), place
        answers.add(said(sent))
    assert len(answers) == 1
    assert answers.pop().endswith("for the upload.")


@settings(max_examples=60)
@given(st.lists(st.integers(0, 80), max_size=40), st.integers(1, 50), st.booleans())
@example([0, 4, 4, 4], 2, False)  # a row of payloads without a character before the key
def test_a_key_is_masked_wherever_it_is_cut_and_however_it_is_read(places: list[int], together: int, thought: bool) -> None:
    more = {"thought": True} if thought else {}
    stream = [payload({"text": piece, **more}, tokens=at) for at, piece in enumerate(cut(SENTENCE, places))]
    sent = pass_on([*stream, STOP], together=together)
    assert len(sent) == len(stream) + 1
    assert not leaks(b"".join(sent))
    assert said(sent).startswith("Use [")
    assert said(sent).endswith("] for the upload.")


def test_a_key_one_character_at_a_time_is_masked() -> None:
    sent = pass_on([*(payload({"text": letter}) for letter in SENTENCE), STOP])
    assert not leaks(said(sent))


def test_a_key_that_a_call_interrupts_is_masked_as_clients_join_it() -> None:
    call = payload({"functionCall": {"name": "f", "args": {}}})
    sent = pass_on([payload({"text": SENTENCE[:20]}), call, payload({"text": SENTENCE[20:]}), STOP])
    assert not leaks(said(sent))
    assert sent[1] == call


def test_a_key_in_one_candidate_does_not_touch_another() -> None:
    other = payload({"text": "fine "}, index=1)
    stream = [payload({"text": SENTENCE[:20]}), other, payload({"text": SENTENCE[20:]}), STOP]
    sent = pass_on([*stream, payload({"text": "."}, index=1, finishReason="STOP")])
    assert not leaks("".join(part["text"] for part in parts_of(sent)))
    assert sent[1] == other


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": f"export K={TOKEN}", "n": 1},
        {"deep": [{"list": ["x", TOKEN]}], "n": 1},
        {TOKEN: "as a key", "n": 1},
        {"text": f'quoted "{TOKEN}"\nand more', "n": 1},
    ],
)
def test_arguments_with_a_key_stay_an_object_without_it(arguments: dict[str, Any]) -> None:
    sent = pass_on([payload({"functionCall": {"name": "run", "args": arguments}}), STOP])
    assert not leaks(b"".join(sent))
    (call, _) = parts_of(sent)
    assert call["functionCall"]["args"]["n"] == 1
    assert len(call["functionCall"]["args"]) == len(arguments)


def test_arguments_that_a_mask_makes_no_json_of_are_kept_as_text() -> None:
    sent = pass_on([payload({"functionCall": {"name": "f", "args": {"card": 4539578763621486}}}), STOP])
    (call, _) = parts_of(sent)
    assert "4539578763621486" not in json.dumps(call)
    assert isinstance(call["functionCall"]["args"], dict)


def planted(place: str) -> bytes:
    """A payload with the key in one place."""
    document = json.loads(payload({"functionCall": {"id": "1", "name": "f", "args": {}}}, {"executableCode": {"code": "x"}}))
    candidate = document["candidates"][0]
    match place:
        case "call name":
            candidate["content"]["parts"][0]["functionCall"]["name"] = f"f_{TOKEN}"
        case "call id":
            candidate["content"]["parts"][0]["functionCall"]["id"] = TOKEN
        case "code":
            candidate["content"]["parts"][1]["executableCode"]["code"] = f"k = '{TOKEN}'"
        case "output":
            candidate["content"]["parts"][1] = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": TOKEN}}
        case "file":
            candidate["content"]["parts"][1] = {"fileData": {"fileUri": f"https://example.com/{TOKEN}"}}
        case "role":
            candidate["content"]["role"] = TOKEN
        case "seal":
            candidate["content"]["parts"][1] = {"text": "x", "thoughtSignature": TOKEN}
        case "citation":
            candidate["citationMetadata"] = {"citationSources": [{"uri": f"https://example.com/{TOKEN}"}]}
        case "grounding":
            candidate["groundingMetadata"] = {"searchEntryPoint": {"renderedContent": f"<b>{TOKEN}</b>"}}
        case "finish message":
            candidate["finishMessage"] = f"bad: {TOKEN}"
        case "unknown field":
            candidate["content"]["parts"][1] = {"newThing": {"inner": [TOKEN]}}
        case "unknown key":
            document[TOKEN] = 1
        case "model":
            document["modelVersion"] = f"m-{TOKEN}"
        case "log-probabilities":
            candidate["logprobsResult"] = {"chosenCandidates": [{"token": TOKEN, "logProbability": -1}]}
    return orjson.dumps(document)


PLACES = [
    "call name", "call id", "code", "output", "file", "role", "seal", "citation", "grounding", "finish message", "unknown field",
    "unknown key", "model", "log-probabilities",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_key_in_any_leaf_is_masked(place: str) -> None:
    assert leaks(planted(place))
    sent = pass_on([planted(place), planted(place), STOP])
    assert not leaks(b"".join(sent))
    assert sent[2] == STOP


@pytest.mark.parametrize("field", [{"executableCode": "code"}, {"codeExecutionResult": "output"}, {"somethingNew": "text"}])
@pytest.mark.parametrize("place", range(0, len(SENTENCE), 5))
def test_a_key_cut_over_payloads_in_a_field_of_a_part_is_masked(field: dict[str, str], place: int) -> None:
    ((name, key),) = field.items()
    sent = pass_on([*(payload({name: {key: piece}}) for piece in cut(SENTENCE, [place])), payload({"text": "done"}), STOP])
    whole = "".join(part[name][key] for part in parts_of(sent) if name in part)
    assert not leaks(whole)
    assert whole.endswith("for the upload.")


def test_payloads_that_differ_in_text_and_counts_are_scanned_once() -> None:
    events = read([payload({"text": word}, tokens=at) for at, word in enumerate(["a", "b", "c", "d"])] + [STOP], verbatim=asked())
    assert sum(isinstance(event, PromptText) for event in events) == 2  # the model's name and the answer's id
    assert [one.like for one in payloads_of(events)] == [None, 0, 0, 0, 0]


def test_payloads_that_come_together_go_in_one_row() -> None:
    stream = [payload({"text": word}, tokens=at) for at, word in enumerate(["a", "b", "c", "d"])] + [STOP]
    events = read(stream, together=9, verbatim=asked())
    assert [len(one.row) for one in payloads_of(events)] == [0, 2, 0]


def test_another_candidates_payload_is_never_taken_for_the_same() -> None:
    stream = [payload({"text": "a"}), payload({"text": "b"}, index=1), STOP, payload({"text": ""}, index=1, finishReason="STOP")]
    events = read(stream, verbatim=asked())
    assert [slot.choice for one in payloads_of(events) for slot in one.slots] == [0, 1]


def test_a_name_behind_the_text_that_changes_is_scanned_anew() -> None:
    first = payload({"text": "a"})
    sent = pass_on([first, first.replace(b'"r1"', b'"%s"' % TOKEN.encode()), STOP])
    assert not leaks(b"".join(sent))


def test_a_masked_name_is_masked_in_every_payload_of_a_row() -> None:
    stream = [payload({"text": word}, tokens=at).replace(b"gemini-2.5-flash", TOKEN.encode()) for at, word in enumerate("abcd")]
    for together in (1, 9):
        sent = pass_on([*stream, STOP], together=together)
        assert not leaks(b"".join(sent))
        assert said(sent) == "abcd"


def test_tokens_come_back_in_texts_and_for_trusted_tools_alone() -> None:
    config = GuardConfig(categories={"personal_data": RuleConfig(action="tokenise", mode="enforce")})
    session = StreamGuard(config, key=b"k").open(Context())
    stage, address = session.stage(Direction.REQUEST), "anna.berg@example-firm.no"
    events = [*stage.receive(PromptText(leaf=0, channel=Channel.USER, text=address)), *stage.close()]
    (token,) = (event.text for event in events if isinstance(event, PromptText))
    call = payload({"functionCall": {"name": "send", "args": {"to": token}}})
    restorer = session.restorer()
    assert restorer is not None
    stream = [payload({"text": f"To {token[:5]}"}), payload({"text": f"{token[5:]} today"}), call, STOP]
    sent = pass_on(stream, stages=[session.stage(Direction.RESPONSE), restorer])
    assert said(sent) == f"To {address} today"
    assert sent[2] == call


def test_a_value_that_a_later_key_hides_from_the_parser_is_not_sent() -> None:
    hidden = b'{"candidates":[{"content":{"parts":[{"text":"%s","text":"b"}]}}]}' % TOKEN.encode()
    sent = pass_on([payload({"text": "a"}), hidden, payload({"text": "c"}), STOP])
    assert not leaks(b"".join(sent))
    assert said(sent) == "abc"


def test_log_probabilities_go_with_the_text_they_tell() -> None:
    chosen = {"chosenCandidates": [{"token": word, "logProbability": -0.5} for word in ("Use ", TOKEN, " now")]}
    clean = payload({"text": "Use it"}, logprobsResult={"chosenCandidates": [{"token": "Use it", "logProbability": -0.5}]})
    sent = pass_on([clean, payload({"text": f"Use {TOKEN} now"}, logprobsResult=chosen), STOP])
    assert sent[0] == clean
    assert not leaks(b"".join(sent))
    assert "logprobsResult" not in json.loads(sent[1])["candidates"][0]


def test_the_payload_that_ends_the_answer_waits_for_the_record() -> None:
    events = read([payload({"text": "a"}), STOP], verbatim=asked())
    assert [one.is_last for one in payloads_of(events)] == [False, True]


def test_only_when_every_candidate_has_ended_does_the_answer_end() -> None:
    stream = [payload({"text": "a"}), payload({"text": "b"}, index=1), STOP, payload({"text": "c"}, index=1, finishReason="STOP")]
    assert [one.is_last for one in payloads_of(read(stream, verbatim=asked()))] == [False, False, False, True]


def test_of_a_payload_that_can_not_be_read_nothing_is_said() -> None:
    """Its first call had been read when the second turned out to be none."""
    calls: list[Any] = [{"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "f", "args": [1]}}]
    with pytest.raises(UpstreamBroken, match="arguments are no object"):
        pass_on([payload({"text": "I look. "}), payload(*calls), STOP])


def test_spaced_and_escaped_json_passes_as_it_came() -> None:
    stream = [
        b'{"candidates": [{"content": {"parts": [{"text": "a\\u00e9\\n"}],"role": "model"},"index": 0}], "x": 1.50}',
        b'{"candidates": [{"content": {"parts": [{"text": "\\"b\\\\"}],"role": "model"},"index": 0}], "x": 1.50}',
        b'{"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP"}], "x": 1.50}',
    ]
    assert pass_on(stream) == stream


def test_images_in_an_answer_are_files_to_the_guard() -> None:
    events = read([payload({"inlineData": {"mimeType": "image/png", "data": "aGk="}}), STOP], verbatim=asked())
    assert [event.text for event in events if isinstance(event, PromptText) and event.channel is Channel.FILE] == ["aGk="]


def test_arguments_that_are_no_object_end_the_answer() -> None:
    with pytest.raises(UpstreamBroken, match="no object"):
        read([payload({"functionCall": {"name": "f", "args": 1}})], verbatim=asked())
