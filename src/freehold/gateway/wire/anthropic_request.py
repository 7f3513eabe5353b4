"""A Messages request as clients send it: what our engine and the record need of it, and every string for the guard.

Only what we understand is checked. Fields and blocks that are not known here stay in the document, are scanned as its other
strings are, and go on to a provider of the same dialect; what they mean is the provider's to say.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from freehold.core.exchange import Exchange, Sampling, ToolChoice
from freehold.gateway.wire import anthropic_prompt as prompts
from freehold.gateway.wire import fields
from freehold.gateway.wire.anthropic_words import OBJECTS, THOUGHTS, VOCABULARY, channel_of
from freehold.gateway.wire.codec import Incoming, Leaf
from freehold.gateway.wire.fields import TOKENS_LIMIT
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.prompt import is_foreign, mended, messages_of, tools_of

_OWN_CALL = "toolu_"  # begins the ids of calls that Claude makes
_STOP_LIMIT = 128  # the provider has no published limit; each costs our engine a comparison a token


def decode(request: Incoming, *, dialect: str, operation: str) -> Exchange:
    """Raises InvalidRequest naming the field at fault."""
    document = request.document
    model = fields.model_name(document)
    read = partial(prompts.read, document, _sampling(document))
    prompt, unsaid = fields.said(partial(read, strict=True), partial(read, strict=False))
    return Exchange(
        id=request.exchange_id,
        received_at_ns=request.received_at_ns,
        principal=request.principal,
        dialect=dialect,
        operation=operation,
        model=model,
        stream=fields.boolean(document, "stream") or False,
        body=request.body,
        document=document,
        messages=messages_of(prompt),
        tools=() if prompt.tool_choice == ToolChoice(mode="none") else tools_of(prompt),
        sampling=prompt.sampling,
        response_format=prompt.response_format,
        tool_choice=prompt.tool_choice,
        parallel_tool_calls=prompt.parallel_tool_calls,
        include_usage=True,
        headers=request.headers,
        unsaid=unsaid,
    )


def check_max_tokens(document: Mapping[str, Any]) -> None:
    if document.get("max_tokens") is None:
        raise fields.missing("max_tokens", "missing")


def leaves(document: Mapping[str, Any]) -> list[Leaf]:
    """Every string and key that is not a word of the format itself, with its channel."""
    return walk(document, channel_of, VOCABULARY, OBJECTS)


def same_document(exchange: Exchange, *, model: str) -> Mapping[str, Any]:
    """The document itself, unless the provider calls the model otherwise. Usage comes unasked."""
    document = mended(exchange, ("messages", "content"), _own_thought)
    if _goes_on_without_thought(document):
        document = {name: value for name, value in document.items() if name != "thinking"}
    return document if document.get("model") == model else {**document, "model": model}


def _goes_on_without_thought(document: Mapping[str, Any]) -> bool:
    """Whether a budget for thinking is refused: the last words are results of calls that another model made, which has no thought
    in its turn, or had one that was taken out.
    """
    thinking, turns = document.get("thinking"), document["messages"][-2:]
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled" or len(turns) < 2:
        return False
    made, given = (turn["content"] if isinstance(turn.get("content"), list) else [] for turn in turns)
    calls = [block for block in made if _kind(block) == "tool_use"]
    is_answered = any(_kind(block) == "tool_result" for block in given)
    return is_answered and bool(calls) and _kind(made[0]) not in THOUGHTS and not str(calls[0].get("id")).startswith(_OWN_CALL)


def _kind(block: Any) -> Any:
    return block.get("type") if isinstance(block, dict) else None


def _own_thought(block: Any) -> Any:
    """The block, unless it is a thought of another dialect's provider."""
    signature = block.get("signature") if isinstance(block, dict) and block.get("type") == "thinking" else None
    return None if isinstance(signature, str) and is_foreign(signature) else block


def _sampling(document: Mapping[str, Any]) -> Sampling:
    return Sampling(
        max_tokens=fields.integer(document, "max_tokens", 0, TOKENS_LIMIT),  # 0 fills a provider's cache and answers nothing
        temperature=fields.number(document, "temperature", 0, 2),
        top_p=fields.number(document, "top_p", 0, 1) or None,
        top_k=fields.integer(document, "top_k", 0, TOKENS_LIMIT) or None,
        stop=_stop(document),
    )


def _stop(document: Mapping[str, Any]) -> tuple[str, ...]:
    items = fields.sequence(document, "stop_sequences") or ()
    if len(items) > _STOP_LIMIT or not all(isinstance(item, str) and item for item in items):
        raise fields.wrong("stop_sequences", f"up to {_STOP_LIMIT} strings, none of them empty")
    return tuple(items)
