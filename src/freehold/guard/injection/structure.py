"""Signs of an attack beside its words: markers of a conversation's turns, text that people can't see, addresses that carry data.

Each says alone how likely it makes an attack; the weights are set by hand, as such signs are too rare in labelled texts to learn
from. What is hidden is also read: `judge.py` judges what it says.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import re2

from freehold.guard.injection.reading import INVISIBLE, Reading
from freehold.guard.injection.verdict import EXFILTRATION, HIDDEN, ROLE_MARKER, Signal

LIMIT_HIDDEN_CHARS = 4_000  # of each hidden stretch that is read
LIMIT_HIDDEN = 64  # stretches

# The control tokens of chat templates (ChatML, Llama 2 and 3, Gemma, Mistral, DeepSeek, Phi): no page or mail has use for them.
_TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|end|start_header_id|end_header_id|eot_id|begin_of_text|endoftext"
    r"|tool_call|channel|message|return)\|?>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\[/?(?:AVAILABLE_TOOLS|TOOL_RESULTS)\]"
    r"|<[|｜](?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)[|｜]>"
)
# Tags of prompts and tool calls. Some are words of XML in the wild, too: they say less.
_TURN_TAG = re.compile(
    r"</?(?:tool_result|tool_response|tool_use|tool_output|function_results?|function_calls?|system_prompt|system-reminder|system"
    r"|assistant|user_query|user_input|untrusted[\w-]{0,20}|end_of_document|instructions?|admin)>",
    re.IGNORECASE,
)
_TURN_WORDS = (
    r"(?:#{2,4} ?|\[)(?:system|instructions?|assistant|human|user|response)(?: (?:message|prompt|note|override))?[\]:]"
    r"|(?:system|assistant|human)(?: (?:message|prompt|note|override))?[ \t]{0,2}:[ \t]?\S"
    r"|(?:={2,9}|-{2,9}|#{2,9}|\[|%{2,9}) ?(?:begin|end|start|new|stop)(?: of)?(?: the)? "
    r"(?:new |admin |system |user |previous |out of date )?(?:instructions?|prompt|message|context|document|note|input|task)"
)
_TURN_LINE = re.compile(rf"(?i)(?:^|\n|\\n)[ \t>*#\[(-]{{0,6}}(?:{_TURN_WORDS})")
# CSS and attributes that take an element out of sight.
_UNSEEN_STYLES = (
    r"display\s{0,3}:\s{0,3}none",
    r"visibility\s{0,3}:\s{0,3}hidden",
    r"font-size\s{0,3}:\s{0,3}[01](?:px|pt|em)?\s{0,3}[;\"']",
    r"opacity\s{0,3}:\s{0,3}0(?:\.0\d?)?\s{0,3}[;\"']",
    r"(?<![-\w])color\s{0,3}:\s{0,3}(?:white|#fff(?:fff)?|transparent|rgba?\(255, ?255, ?255[^)]{0,8}\))",
    r"(?:left|top|text-indent)\s{0,3}:\s{0,3}-\d{3,5}",
    r"aria-hidden\s{0,3}=\s{0,3}[\"']true",
    r"\shidden(?=[\s>=/])",
)
_STYLE = re.compile(rf"(?i)<(\w{{1,20}})\b[^<>]{{0,300}}?(?:{'|'.join(_UNSEEN_STYLES)})[^<>]{{0,300}}>")
_STYLES = re2.compile(r"(?i)display|visibility|font-size|opacity|color|indent|left|hidden")
_MARKDOWN_COMMENT = re.compile(r"\[(?://|comment)\]: (?:#|<>) \(([^)\n]{8,400})\)")
_ATTRIBUTE_NAME = r"(?i)\b(?:alt|title|aria-label|data-[\w-]{1,20}|content|placeholder)\s?=\s?\""
_ATTRIBUTE = re.compile(_ATTRIBUTE_NAME + r"([^\"]{24,2000})\"")
_ATTRIBUTES = re2.compile(_ATTRIBUTE_NAME)

_FLAG, _TAGS = "\U0001f3f4", re.compile("[\U000e0020-\U000e007f]{4,}")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{6,}")
_BIDI = re.compile("[\u202d\u202e\u2066-\u2069]")
_SPLIT_WORD = re.compile("[A-Za-z][\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+[A-Za-z]")

_MARKDOWN_ADDRESS = r"\s{0,3}<?(https?://[^)\n]{1,2000})"
_QUOTED_ADDRESS = r"(?:\"(https?://[^\"\n]{1,2000})|'(https?://[^'\n]{1,2000}))"
_IMAGE = re.compile(rf"!\[[^\]\n]{{0,300}}\]\({_MARKDOWN_ADDRESS}|<img\b[^<>]{{0,300}}?\bsrc={_QUOTED_ADDRESS}")
_LINK = re.compile(
    rf"\]\({_MARKDOWN_ADDRESS}|(?:href|src)={_QUOTED_ADDRESS}|\n\[[^\]\n]{{1,60}}\]: {{1,3}}(https?://[^\n]{{1,2000}})"
)
# A place for data: {x}, ${x}, $X, %s, <x>, [x], SOME_NAME, SECRET.
_BLANK = (
    r"(?:\{\{?[^{}\n]{1,80}\}|\$\{|\$[A-Za-z_]|%7[bB]|%s\b|%\(\w{1,40}\)s|<[^<>\n]{2,80}>|\[[^\[\]\n]{3,80}\]?|\{$"
    r"|[A-Z]{2,}(?:[_-][A-Z]{2,})+|(?:SECRET|TOKEN|DATA|PASSWORD|HISTORY|CONVERSATION|CHAT|PROMPT|KEY|INSERT|YOUR)(?![A-Za-z]))"
)
_BLANK_VALUE = re.compile(rf"[?&#][\w.-]{{0,40}}=?{_BLANK}")
_BLANK_PART = re.compile(rf"/[\w.-]{{0,40}}({_BLANK}[\w-]*)")  # documentation has such of branches and versions
_CARRIED = re.compile(
    r"(?i)conversation|chat|histor|secret|token|passw|key|user|messag|prompt|context|summar|answer|mail|data|content|YOUR"
)
_LONG_VALUE = re.compile(r"[?&][\w.-]{1,40}=[\w%+/=.-]{80,}")

# One pass of RE2, which grows with the text alone, before the slower ones: almost no text has any.
_TURN_STARTS = r"<\||\[/?INST|<</?SYS|_of_turn>|\[/?AVAILABLE_TOOLS|\[/?TOOL_RESULTS|<｜"
_TAG_STARTS = r"</?(?:tool|function|system|assistant|user_|untrusted|end_of|instruction|admin)"
_TURNS = re2.compile(rf"{_TURN_STARTS}|(?i:{_TURN_WORDS}|{_TAG_STARTS})")


class Hidden(NamedTuple):
    """What a hidden stretch says; `start` and `end` are where it stands in the original.

    `least` is the likelihood of an attack from which on it counts: the less usual the hiding, the lower.
    """

    text: str
    start: int
    end: int
    words: str
    least: float = 0.6


def role_markers(text: str) -> Iterator[Signal]:
    """The first of each kind."""
    if not _TURNS.search(text):
        return
    for regex, weight, words in (
        (_TEMPLATE, 0.6, "a control token of a chat template"),
        (_TURN_TAG, 0.35, "a tag that would end the tool's result"),
        (_TURN_LINE, 0.2, "a line that passes for another turn"),
    ):
        if found := regex.search(text):
            yield Signal(rule=ROLE_MARKER, weight=weight, start=found.start(), end=found.end(), words=words)


def links(text: str) -> Iterator[Signal]:
    """An image is fetched without anybody's click, so it says more than a link."""
    if "http" not in text:
        return
    for regex, blank, part, long, words in (
        (_IMAGE, 0.7, 0.3, 0.35, "an image whose address carries data away"),
        (_LINK, 0.3, 0.0, 0.0, "a link with a place for data"),
    ):
        for found in regex.finditer(text):
            weight = _carries(found[found.lastindex or 0], blank, part, long)
            if weight:
                yield Signal(rule=EXFILTRATION, weight=weight, start=found.start(), end=found.end(), words=words)
                break


def _carries(address: str, blank: float, part: float, long: float) -> float:
    if _BLANK_VALUE.search(address):
        return blank
    if found := _BLANK_PART.search(address):
        return blank if _CARRIED.search(found[1]) else part
    return long if _LONG_VALUE.search(address) else 0.0


def unseen(text: str, reading: Reading) -> Iterator[Signal]:
    """Characters that show nothing or pass for others."""
    if text.isascii():
        return
    has_invisible = INVISIBLE.search(text) is not None
    if has_invisible:
        if found := _SELECTORS.search(text):
            yield _hidden(found, 0.8, "a row of variation selectors, which can spell a text")
        if found := _BIDI.search(text):
            yield _hidden(found, 0.15, "characters that turn the direction of the text")
        split = list(_SPLIT_WORD.finditer(text))
        if len(split) > 2:
            yield _hidden(split[0], 0.3, "words split by invisible characters")
    if reading.has_lookalikes:
        yield Signal(rule=HIDDEN, weight=0.15, start=0, end=len(text), words="words with letters of two alphabets")
    for found in _TAGS.finditer(text) if has_invisible else ():
        if text[found.start() - 1 : found.start()] != _FLAG:  # the flags of England, Scotland and Wales are spelled so
            yield _hidden(found, 0.9, "a text in invisible tag characters")
            break


def hidden(text: str) -> Iterator[Hidden]:
    """Stretches that a page does not show, and tag characters, decoded."""
    return islice(_hidden_stretches(text), LIMIT_HIDDEN)


def _hidden_stretches(text: str) -> Iterator[Hidden]:
    if not text.isascii():
        for found in _TAGS.finditer(text):
            said = "".join(chr(ord(char) - 0xE0000) for char in found[0][:LIMIT_HIDDEN_CHARS])
            yield Hidden(said, found.start(), found.end(), "invisible tag characters say it", 0.3)
    if "]: " in text:
        for found in _MARKDOWN_COMMENT.finditer(text):
            yield Hidden(found[1], found.start(), found.end(), "a comment says it")
    yield from _comments(text)
    if "<" not in text:
        return
    for found in _STYLE.finditer(text) if _STYLES.search(text) else ():
        inside = _until_closed(text, found.end(), found[1])
        yield Hidden(inside, found.start(), found.end() + len(inside), "an element that is not shown says it")
    for found in _ATTRIBUTE.finditer(text) if _ATTRIBUTES.search(text) else ():
        yield Hidden(found[1], found.start(), found.end(), "an attribute that is not shown says it", 0.8)


def _comments(text: str) -> Iterator[Hidden]:
    start = text.find("<!--")
    while start >= 0 and (end := text.find("-->", start)) >= 0:
        yield Hidden(text[start + 4 : min(end, start + LIMIT_HIDDEN_CHARS)], start, end + 3, "a comment says it")
        start = text.find("<!--", end)


def _until_closed(text: str, start: int, tag: str) -> str:
    limit = start + LIMIT_HIDDEN_CHARS
    inside = text[start:limit]
    end = inside.lower().find(f"</{tag.lower()}")
    return inside[:end] if end >= 0 else inside


def _hidden(found: re.Match[str], weight: float, words: str) -> Signal:
    return Signal(rule=HIDDEN, weight=weight, start=found.start(), end=found.end(), words=words)
