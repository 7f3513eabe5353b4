"""A model made ready to answer: weights, tokenizer, template, KV cache and scheduler, out of one verified model.

Decided here: the order in which things are checked, cheapest first, so that a model we cannot run says so before its weights are
read; how much context and KV memory there is; and how a conversation becomes the tokens of a prompt.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from freehold import __version__
from freehold.core.errors import DeviceError, InvalidRequest
from freehold.core.exchange import Message, Tool
from freehold.core.models import VerifiedModel
from freehold.core.ports import StepMeter
from freehold.engine.budget import plan
from freehold.engine.config import MAX_DRAFTS, EngineConfig, PrefixReuse
from freehold.engine.cores import usable_cores
from freehold.engine.device import CardModel, on_card
from freehold.engine.draft import DraftModel, check_vocabulary
from freehold.engine.expert_cache import ExpertSeals
from freehold.engine.fit import Prediction
from freehold.engine.forecast import forecast
from freehold.engine.forms import Forms
from freehold.engine.frames import Ready, Submit
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache, KvType
from freehold.engine.libraries import libraries
from freehold.engine.memory import megabytes, resident_bytes, room
from freehold.engine.models.llama import Llama
from freehold.engine.models.moe import MixtureModel, model_class
from freehold.engine.models.shape import LlamaShape, shape_of
from freehold.engine.sampler import MAX_SEED, Settings
from freehold.engine.scheduler import Limits, Scheduler
from freehold.engine.sequence import Request
from freehold.engine.shield import Shield, unused_mark
from freehold.engine.template import ChatTemplate, chat_template
from freehold.engine.tiers import Placement
from freehold.engine.tokenizer import read_tokenizer
from freehold.engine.vocabulary import Tokenizer
from freehold.engine.weights import Weights
from freehold.engine.work import model_work

# Of the memory for keys and values, as much again for the draft model's: they are smaller, and of bytes.
_DRAFT_KV_SHARE: Final = 4
Progress = Callable[[str, int, int], None]  # what, done, total
Foretell = Callable[[Prediction], None]


class Prompts:
    """Turns conversations into tokens. Thread-safe."""

    def __init__(
        self, tokenizer: Tokenizer, template: ChatTemplate, context_tokens: int, prefix_reuse: PrefixReuse = "key"
    ) -> None:
        self._tokenizer, self._template, self._prefix_reuse = tokenizer, template, prefix_reuse
        self._shield = Shield(tokenizer.specials)
        self._forms = Forms(tokenizer, template.calls)
        longest = max(len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocabulary))
        self._max_bytes = context_tokens * max(1, longest)

    def request(self, submit: Submit) -> Request:
        """As below, of a single answer."""
        return self.requests(submit)[0]

    def requests(self, submit: Submit) -> list[Request]:
        """One for each answer asked for. Raises InvalidRequest for what cannot be asked of this model."""
        prompt = tuple(self.tokens(submit.messages, submit.tools))
        scope, shown = self._scope(submit), self._forms.shown(submit)
        settings = Settings.of(submit.sampling, submit.seed)
        for token, _ in settings.logit_bias:
            if token >= self._tokenizer.vocabulary:
                known = f"this model's tokens are 0 to {self._tokenizer.vocabulary - 1}"
                raise InvalidRequest(f"logit_bias names token {token}: {known}", param="logit_bias")
        return [
            Request(
                id=submit.request + choice,
                prompt=prompt,
                settings=replace(settings, seed=(submit.seed + choice) & MAX_SEED),
                scope=scope,
                constraint=constraint,
                shown=shown,
                watermark=submit.watermark,
                can_wait=submit.can_wait,
            )
            for choice, constraint in enumerate(self._forms.constraints(submit))
        ]

    def tokens(self, asked: Sequence[Message], offered: Sequence[Tool]) -> list[int]:
        """The prompt as it is read in before an answer. Raises InvalidRequest for what cannot be asked of this model."""
        if offered and not self._template.supports_tools:
            raise InvalidRequest("this model's chat template has no place for tools: leave `tools` out", param="tools")
        messages = [_turn(message) for message in asked]
        tools = [_function(tool) for tool in offered]
        self._check_size(messages, tools)
        mark = unused_mark([messages, tools])
        text = self._template.render(self._shield.over(messages, mark), self._shield.over(tools, mark))
        return self._tokenizer.with_bos(self._tokenizer.encode_marked(text, mark))

    def _scope(self, submit: Submit) -> str | None:
        """Who shares pages with this request: how fast a prompt is read in tells whether somebody of them asked it before."""
        match self._prefix_reuse:
            case "off":
                return None
            case "all":
                return "all"
            case "team" if submit.team is not None:
                return f"team {submit.team}"
        return f"key {submit.key}"

    def _check_size(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> None:
        """Turn away in microseconds what no tokenizer could fit: no token is longer than the longest."""
        size_bytes = sum(len(str(message["content"]).encode("utf-8", "replace")) for message in messages)
        if size_bytes > self._max_bytes:
            raise InvalidRequest(
                f"the messages have {size_bytes} bytes; the context cannot hold more than {self._max_bytes}: shorten them",
                param="messages",
                code="context_length_exceeded",
            )


class Runtime:
    """Everything one engine process holds."""

    def __init__(
        self,
        model: VerifiedModel,
        config: EngineConfig,
        progress: Progress,
        foretell: Foretell = lambda _: None,
        draft: VerifiedModel | None = None,
        meter: StepMeter | None = None,
    ) -> None:
        """`foretell` is called before weights are read, where there is something to tell. `draft` is a draft model.

        Raises ArtefactError for a model that is damaged or that we do not run, DeviceError where memory does not suffice.
        """
        name = model.manifest.name
        threads = config.threads or usable_cores()
        weights = Weights(model)
        metadata = weights.header.metadata
        shape = shape_of(metadata, weights.header.tensors)
        self.tokenizer = tokenizer = read_tokenizer(metadata, name)
        template = chat_template(metadata, name, bos=tokenizer.text_of(tokenizer.bos_id), eos=tokenizer.text_of(tokenizer.eos_id))
        kernels = None if config.kernels == "auto" else config.kernels
        # The draft model is whole or not at all, so it comes first: what it takes, the model's placement does without.
        self._small = _Small(draft, tokenizer, config, threads, progress) if draft is not None else None
        untouched = self._small.plan.kv_bytes if self._small is not None else 0
        found = room()
        found = replace(found, available_bytes=found.available_bytes - untouched)
        self.plan = plan(shape, weights.header.tensors, config, threads, found, resident_bytes() + untouched)
        context = self.plan.context_tokens
        file = model.directory / model.manifest.files[0].name
        max_pages = -(-context // PAGE_POSITIONS)
        cache = KvCache(
            shape.layers, shape.kv_heads, shape.head_dim, self.plan.pages, config.max_sequences, max_pages, KvType(config.kv_type)
        )
        self.on_card = on_card(weights, shape, cache, config, self.plan, threads, file)
        self.prediction: Prediction | None = (
            self.on_card.prediction
            if self.on_card is not None
            else forecast(weights.header.tensors, self.plan, file, threads, kernels)
        )
        if self.prediction is not None:
            foretell(self.prediction)
        self.model: Llama | CardModel
        if self.on_card is not None:
            self.model = self.on_card.load(lambda done, total: progress("weights", done, total))
            computed_by = self.on_card.name
        else:
            self.model = _load(weights, shape, cache, self.plan.placement, threads, kernels, progress)
            computed_by = self.model.kernels.name
        limits = Limits(
            context_tokens=context,
            max_sequences=config.max_sequences,
            queue_limit=config.queue_limit,
            prefill_chunk_tokens=config.prefill_chunk_tokens,
            threads=threads,
            max_drafts=MAX_DRAFTS if config.speculation_tokens == "auto" else config.speculation_tokens,
        )
        # Other bits come of it, so receipts have to say so.
        kept_in = "" if config.kv_type == "f16" else f", keys and values in {config.kv_type}"
        drafts = self._small.draft_model if self._small is not None else None
        work = model_work(shape, weights.header.tensors, KvType(config.kv_type))
        self.scheduler = Scheduler(self.model, cache, tokenizer, limits, draft_model=drafts, meter=meter, work=work)
        if meter is not None:
            meter.loaded(self.on_card is not None)
        self.prompts = Prompts(tokenizer, template, context, config.prefix_reuse)
        self.ready = Ready(
            model_id=model.manifest.model_id,
            template_digest=template.digest,
            build=f"freehold {__version__} {computed_by} kernels{kept_in}",
            context_tokens=context,
            supports_tools=template.supports_tools,
            calls=template.calls.name if template.calls else None,
            kernels=computed_by,
            kv_type=config.kv_type,
            libraries=libraries(),
            trust=model.trust,
        )

    def close(self) -> None:
        """Stop the compute threads."""
        self.model.close()
        if self._small is not None:
            self._small.model.close()


def _load(
    weights: Weights,
    shape: LlamaShape,
    cache: KvCache,
    placement: Placement,
    threads: int,
    kernels: str | None,
    progress: Progress,
) -> Llama:
    """The model on the processor, with its weights read and checked, or streamed from now on."""
    experts = ExpertSeals(placement.experts) if placement.expert_slots else None
    loaded = weights.load(lambda done, total: progress("weights", done, total), placement, experts)
    progress("kernels", 0, 0)
    if experts is None or loaded.streaming is None:
        return model_class(shape)(shape, loaded.tensors, cache, threads, kernels, streaming=loaded.streaming)
    held = experts.open(loaded.streaming.files, loaded.streaming.sealer, placement.expert_slots)
    return MixtureModel(shape, loaded.tensors, cache, threads, kernels, streaming=loaded.streaming, experts=held)


class _Small:
    """A draft model, loaded whole, with keys and values of one byte in a quarter of the memory that the model's may take."""

    def __init__(self, model: VerifiedModel, large: Tokenizer, config: EngineConfig, threads: int, progress: Progress) -> None:
        name, weights = model.manifest.name, Weights(model)
        shape = shape_of(weights.header.metadata, weights.header.tensors)
        tokenizer = read_tokenizer(weights.header.metadata, name)
        check_vocabulary(tokenizer, large, name)
        kv_memory_mb = max(1, config.kv_memory_mb // _DRAFT_KV_SHARE)
        own = msgspec.structs.replace(config, kv_type="q8", kv_memory_mb=kv_memory_mb, context_tokens=0)
        self.plan = plan(shape, weights.header.tensors, own, threads, room(), resident_bytes())
        if not self.plan.placement.is_whole:
            raise DeviceError(
                f"the draft model {name} does not fit in memory: {megabytes(self.plan.needed_bytes)} are needed and "
                f"{megabytes(self.plan.usable_bytes)} can be used; leave engine.draft_model empty, or choose a smaller one"
            )
        loaded = weights.load(lambda done, total: progress("draft model", done, total), self.plan.placement)
        pages, positions = self.plan.pages, self.plan.context_tokens
        cache = KvCache(
            shape.layers, shape.kv_heads, shape.head_dim, pages, config.max_sequences, -(-positions // PAGE_POSITIONS), KvType.Q8
        )
        kernels = None if config.kernels == "auto" else config.kernels
        self.model = model_class(shape)(shape, loaded.tensors, cache, threads, kernels)
        vocabulary = min(tokenizer.vocabulary, large.vocabulary, shape.vocabulary)
        self.draft_model = DraftModel(self.model, cache, vocabulary, large.end_ids)


def _turn(message: Message) -> dict[str, Any]:
    """A message as chat templates know it."""
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.name is not None:
        turn["name"] = message.name
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _parsed(call.arguments)}}
            for call in message.tool_calls
        ]
    return turn


def _parsed(arguments: str) -> Any:
    """Templates write arguments as JSON themselves; what is no JSON object stays the text it is."""
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return found if isinstance(found, dict) else arguments


def _function(tool: Tool) -> dict[str, Any]:
    parameters = dict(tool.parameters)
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": parameters}}
