"""A Responses request: validated into an Exchange, walked leaf by leaf.

What we understand is checked here, once, with the field's name in the error; what we do not know is left in the document, for a
provider of the same dialect. Only such a one can serve hosted tools and stored state: whoever answers from the Exchange alone is
told so in `unsaid`. Refused is a background answer: it would be fetched later, past this node.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from freehold.core.exchange import Exchange, Path
from freehold.core.findings import Channel
from freehold.gateway.wire import fields
from freehold.gateway.wire import openai_responses_prompt as prompts
from freehold.gateway.wire.codec import Incoming, Leaf
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.openai_chat_request import ROLE_CHANNELS
from freehold.gateway.wire.openai_chat_request import VOCABULARY as CHAT_VOCABULARY
from freehold.gateway.wire.openai_responses_prompt import DIALECT
from freehold.gateway.wire.prompt import MARKS, Prompt, is_foreign, mended, messages_of, tools_of

OPERATION = "chat"

_NO_PROMPT = Prompt(turns=())
OWN_THOUGHT = "rs_xc_"  # begins the ids of the thoughts in our answers
_STATE = ("previous_response_id", "conversation", "prompt")  # each can stand for the input

# Words of the format itself. A string that equals one of them holds nothing to find.
_WORDS = (
    "input instructions message input_text output_text input_image input_file input_audio file_data file_url file_id filename"
    " refusal function_call function_call_output custom_tool_call custom_tool_call_output local_shell_call"
    " local_shell_call_output local_shell custom format grammar syntax definition lark regex call_id output action exec"
    " command reasoning summary summary_text reasoning_text encrypted_content reasoning.encrypted_content"
    " message.output_text.logprobs effort minimal low medium high concise detailed verbosity include include_obfuscation"
    " max_output_tokens max_tool_calls truncation disabled background conversation previous_response_id prompt_cache_key"
    " prompt_cache_retention safety_identifier service_tier status completed incomplete in_progress annotations default phase"
    " web_search file_search code_interpreter mcp image_generation item_reference"
)
VOCABULARY = CHAT_VOCABULARY | frozenset(_WORDS.split())


def decode(incoming: Incoming) -> Exchange:
    """Raises InvalidRequest naming the field at fault."""
    document = incoming.document
    model = fields.model_name(document)
    if fields.boolean(document, "background"):
        raise fields.unsupported("background", "an answer that is fetched later can't be guarded; leave it out")
    if not document.get("input") and not any(document.get(name) for name in _STATE):
        raise fields.missing("input")
    prompt, unsaid = fields.said(partial(prompts.read_document, document), lambda: _NO_PROMPT)
    return Exchange(
        id=incoming.exchange_id,
        received_at_ns=incoming.received_at_ns,
        principal=incoming.principal,
        dialect=DIALECT,
        operation=OPERATION,
        model=model,
        stream=fields.boolean(document, "stream") or False,
        body=incoming.body,
        document=document,
        messages=messages_of(prompt),
        tools=tools_of(prompt),
        sampling=prompts.sampling_of(document),
        response_format=prompt.response_format,
        tool_choice=prompt.tool_choice,
        parallel_tool_calls=prompt.parallel_tool_calls,
        headers=incoming.headers,
        can_wait=fields.text(document, "service_tier") == "flex",
        unsaid=unsaid,
    )


def same_document(exchange: Exchange, *, model: str) -> Mapping[str, Any]:
    """The same request under the provider's name of the model. Its streams tell the usage without being asked."""
    document = mended(exchange, ("input",), _own_thought, (*MARKS, OWN_THOUGHT.encode()))
    return document if model == exchange.model else {**document, "model": model}


def _own_thought(item: Any) -> Any:
    """The item, unless this node wrote it down as a thought: a provider would look for one without a seal, and not find it."""
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return item
    seal, name = item.get("encrypted_content"), item.get("id")
    is_ours = is_foreign(seal) if isinstance(seal, str) else isinstance(name, str) and name.startswith(OWN_THOUGHT)
    return None if is_ours else item


def leaves(document: Mapping[str, Any]) -> list[Leaf]:
    """Every string and key that is not a word of the format itself, with its channel."""
    return walk(document, _channel_of, VOCABULARY)


def _channel_of(path: Path, value: Any, around: Channel) -> Channel:
    """What lies where: items by type and role; files by the names of their fields, wherever they stand."""
    if not path:
        return Channel.OTHER
    if len(path) == 1:
        return {"instructions": Channel.SYSTEM, "tools": Channel.TOOL_DESCRIPTION, "input": Channel.USER}.get(
            str(path[0]), Channel.OTHER
        )
    if path[0] == "input" and len(path) == 2:
        return item_channel(value, around)
    return file_channel(path, value, around)


def item_channel(item: Any, around: Channel) -> Channel:
    """The channel of an item of the input, or of an answer's output."""
    if not isinstance(item, Mapping):
        return around
    kind = item.get("type", "message")
    if kind == "message":
        role = prompts.ROLES.get(item["role"]) if isinstance(item.get("role"), str) else None
        return ROLE_CHANNELS[role] if role else Channel.OTHER
    if not isinstance(kind, str):
        return Channel.OTHER
    if kind == "reasoning":
        return Channel.REASONING
    if kind.endswith("_call_output"):
        return Channel.TOOL_RESULT
    return Channel.TOOL_ARGUMENTS if kind.endswith("_call") else Channel.OTHER


def file_channel(path: Path, value: Any, around: Channel) -> Channel:
    match path[-1]:
        case "file_data" | "data" | "partial_image_b64":
            return Channel.FILE
        case "image_url" | "file_url" if isinstance(value, str) and value[:5].lower() == "data:":
            return Channel.FILE
        case "result" if around is Channel.TOOL_ARGUMENTS and isinstance(value, str):  # of image_generation_call
            return Channel.FILE
    return around
