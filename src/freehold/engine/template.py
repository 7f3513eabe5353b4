"""Chat templates: code that came with a model, run without trusting it.

Decided here: what a template may do. It is Jinja in the immutable sandbox with, on top: no attribute that starts with an
underscore, no imports or includes, no recursive loops, filters and methods by an allow-list, and a budget that every loop turn,
call, concatenation and character is paid from. What is left of the risk is that of any code in the engine's own process: a
template can at worst be wrong, and its digest is in every receipt so that one can see which it was.

A template that breaks a rule is a `MalformedArtefact`; a conversation that a template refuses (`raise_exception`) is an
`InvalidRequest`.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

from jinja2 import TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from freehold.core.errors import InvalidRequest, MalformedArtefact, UnsupportedArtefact
from freehold.engine.calls import call_format

MAX_SOURCE_CHARS: Final = 256 << 10  # the longest in use have some 20 KiB
MAX_OUTPUT_CHARS: Final = 4 << 20  # above any context we run
MAX_STEPS: Final = 1_000_000
MAX_SECONDS: Final = 5.0
MAX_RANGE: Final = 10_000

MAX_MADE_CHARS: Final = 512 << 20  # all strings built on the way, together

_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset(
        {"strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "replace", "lower", "upper", "title", "capitalize"}
        | {"split", "rsplit", "splitlines", "join", "startswith", "endswith", "find", "index", "count"}
        | {"isdigit", "isalpha", "isspace"}
    ),
    dict: frozenset({"items", "keys", "values", "get"}),
    list: frozenset({"index", "count"}),
}
_FILTERS_WORDS = "abs capitalize count d default dictsort first float groupby int items last length list"
_FILTERS: Final = frozenset(
    frozenset(_FILTERS_WORDS.split())
    | {"lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title", "trim"}
    | {"unique", "upper"}
)
_BUDGET: ContextVar["_Budget"] = ContextVar("template_budget")


class ChatTemplate:
    """One model's template, compiled. Rendering is thread-safe: each call has its own budget."""

    def __init__(
        self, source: str, name: str, *, bos: str = "", eos: str = "", now: Callable[[], datetime] = datetime.now
    ) -> None:
        self.digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        self._name, self._source = name, source
        self._globals = {"bos_token": bos, "eos_token": eos}
        self._now = now
        if len(source) > MAX_SOURCE_CHARS:
            raise self._malformed(f"it has {len(source)} characters; the limit is {MAX_SOURCE_CHARS}")
        self._render_once = self._compiled()
        self.calls = call_format(source)
        self.supports_tools = self._probe()

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), *, generate: bool = True
    ) -> str:
        """The whole prompt as one string. `generate` adds the start of the answer."""
        budget = _Budget()
        values = {
            "messages": messages,
            "tools": list(tools) or None,
            "add_generation_prompt": generate,
            "strftime_now": self._strftime,
            "raise_exception": _refuse,
            **self._globals,
        }
        try:
            return self._render_once(values, budget)
        except _Refused as exc:
            # The message may be built from the conversation: it is repeated only where it stands in the template itself.
            said = f": {exc}" if str(exc) in self._source else ""
            raise InvalidRequest(f"the model's chat template refuses this conversation{said}", param="messages") from exc
        except (SecurityError, _OverBudget) as exc:
            raise self._malformed(f"it does what no chat template needs: {exc}") from exc
        except RecursionError as exc:
            raise self._malformed("it calls itself without end") from exc
        except Exception as exc:  # the template is a program of someone else's: anything can come out of it
            raise self._malformed(f"it fails on this conversation with {type(exc).__name__}") from exc

    def _compiled(self) -> Callable[[Mapping[str, Any], "_Budget"], str]:
        environment = _Environment()
        try:
            template = environment.from_string(self._source)
        except TemplateSyntaxError as exc:
            raise self._malformed(f"line {exc.lineno}: {exc.message}") from exc
        except (TemplateError, RecursionError, SyntaxError, ValueError, MemoryError, OverflowError, TypeError) as exc:
            raise self._malformed(f"it cannot be compiled: {type(exc).__name__}") from exc

        def render(values: Mapping[str, Any], budget: _Budget) -> str:
            token = _BUDGET.set(budget)
            try:
                pieces = []
                for piece in template.generate(values):
                    budget.write(len(piece))
                    pieces.append(piece)
                return "".join(pieces)
            finally:
                _BUDGET.reset(token)

        return render

    def _probe(self) -> bool:
        """Render a small conversation: a template that fails on that is broken. Says whether tools reach the prompt."""
        name = "probe_of_tool_support"
        function = {"name": name, "description": "", "parameters": {"type": "object", "properties": {}}}
        try:
            self.render([{"role": "user", "content": "."}])
            return name in self.render([{"role": "user", "content": "."}], [{"type": "function", "function": function}])
        except InvalidRequest:
            return False

    def _strftime(self, form: str) -> str:
        # glibc takes widths ("%999999999d"): letters alone are enough for a date.
        if len(form) > 64 or re.search(r"%-?[^A-Za-z%]", form):
            raise SecurityError("a date format with a width")
        return self._now().strftime(form)

    def _malformed(self, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self._name}: the chat template (sha256 {self.digest[:12]}...) is not usable: {what}")


def chat_template(metadata: Mapping[str, Any], name: str, *, bos: str, eos: str) -> ChatTemplate:
    source = metadata.get("tokenizer.chat_template")
    if source is None:
        raise UnsupportedArtefact(f"{name} has no chat template: it is a base model, which cannot answer chats")
    if not isinstance(source, str):
        raise MalformedArtefact(f"{name}: tokenizer.chat_template is not a string")
    return ChatTemplate(source, name, bos=bos, eos=eos)


class _Refused(Exception):
    """The template itself said no."""


class _OverBudget(Exception):
    pass


def _refuse(message: object = "") -> None:
    raise _Refused(str(message)[:500])


class _Budget:
    """What one rendering may cost."""

    def __init__(self) -> None:
        self._steps = 0
        self._chars = self._made_chars = 0
        self._deadline_s = time.monotonic() + MAX_SECONDS

    def step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > MAX_STEPS:
            raise _OverBudget(f"more than {MAX_STEPS} steps")
        if self._steps & 0xFF == 0 and time.monotonic() > self._deadline_s:
            raise _OverBudget(f"more than {MAX_SECONDS} s")

    def write(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_OUTPUT_CHARS:
            raise _OverBudget(f"more than {MAX_OUTPUT_CHARS} characters of output")

    def weigh(self, value: Any, depth: int = 0) -> int:
        """About how long `value` would be as text; paid for in steps, so that nested copies cannot grow without bound."""
        self.step()
        if depth > 64:
            raise _OverBudget("values nested deeper than 64")
        match value:
            case str():
                return len(value)
            case Mapping():
                return sum(self.weigh(key, depth + 1) + self.weigh(item, depth + 1) for key, item in value.items())
            case list() | tuple():
                return sum(self.weigh(item, depth + 1) for item in value)
            case None | bool() | int() | float() | Undefined():
                return 32
        return 64

    def make(self, chars: int) -> None:
        """Called before a string or list of that size is built."""
        self._made_chars += chars
        if chars > MAX_OUTPUT_CHARS or self._made_chars > MAX_MADE_CHARS:
            raise _OverBudget(f"a value of {chars} characters (limits: {MAX_OUTPUT_CHARS} one, {MAX_MADE_CHARS} all)")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox with every door that is not needed shut, and a till at the others."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])  # those that can make something large out of something small

    def __init__(self) -> None:
        # As Hugging Face renders them: block lines leave no blank lines behind, and {% break %} exists.
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], finalize=_written, cache_size=0
        )
        self.filters = {**{name: self.filters[name] for name in _FILTERS}, **_PAID_FILTERS}
        self.globals = {"namespace": self.globals["namespace"], "dict": dict, "range": _range}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _with_tills(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if attr.startswith("_") or not super().is_safe_attribute(obj, attr, value):
            return False
        for kind, methods in _METHODS.items():
            if isinstance(obj, kind):
                return attr in methods
        return not isinstance(obj, (int, float, bytes, tuple))

    def wrap_str_format(self, value: Any) -> None:
        """`str.format` is not on the list: "{:999999999}" is a gigabyte."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - keeps keyword names free, as jinja
        budget = _BUDGET.get()
        budget.step()
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and __obj.__name__ == "replace":
            return _replace(__context, owner, *args)
        if isinstance(owner, str) and __obj.__name__ == "join":
            return _join(__context, args[0] if args else (), owner)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _price(operator, left, right)
        return super().call_binop(context, operator, left, right)


def _with_tills(template: nodes.Template) -> nodes.Template:
    """Every loop and every `~` through a filter that charges for it; refuses what would get round that."""
    for refused in template.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateSyntaxError("templates of other files are not available", refused.lineno)
    for reached in template.find_all(nodes.Getattr):
        if reached.attr.startswith("_"):
            raise TemplateSyntaxError(f"the attribute {reached.attr[:40]!r} starts with an underscore", reached.lineno)
    for loop in template.find_all(nodes.For):
        if loop.recursive:
            raise TemplateSyntaxError("recursive loops are not available", loop.lineno)
        loop.iter = _through("_turns", loop.iter)
    _Concatenations().visit(template)
    return template


class _Concatenations(NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802 - the visitor's own naming
        self.generic_visit(node)
        return _through("_concatenated", nodes.List(node.nodes, lineno=node.lineno, environment=node.environment))


def _through(name: str, value: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno, environment=value.environment)


def _price(operator: str, left: Any, right: Any) -> None:
    budget = _BUDGET.get()
    budget.step()
    sized = [value for value in (left, right) if isinstance(value, (str, list, tuple))]
    numbers = [value for value in (left, right) if isinstance(value, int)]
    match operator:
        case "%" if isinstance(left, str):
            raise SecurityError("formatting with %: use ~")
        case "+" if len(sized) == 2:
            budget.make(len(left) + len(right))
        case "*" if sized and numbers:
            budget.make(len(sized[0]) * max(numbers[0], 0))
        case "*" if len(numbers) == 2 and sum(number.bit_length() for number in numbers) > 4096:
            raise _OverBudget("a number of more than 4096 bits")
        case "**" if numbers and abs(right) * max(1, int(left).bit_length()) > 4096:
            raise _OverBudget("a number of more than 4096 bits")


@pass_context
def _written(context: Context, value: Any) -> Any:
    """What `{{ }}` prints, weighed first."""
    budget = _BUDGET.get()
    budget.make(budget.weigh(value))
    return "" if value is None else value


@pass_context
def _turns(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget = _BUDGET.get()
    for value in values:
        budget.step()
        yield value


@pass_context
def _concatenated(context: Context, values: list[Any]) -> str:
    budget = _BUDGET.get()
    budget.make(budget.weigh(values))
    return "".join(map(str, values))


@pass_context
def _string(context: Context, value: Any) -> str:
    budget = _BUDGET.get()
    budget.make(budget.weigh(value))
    return str(value)


@pass_context
def _join(context: Context, values: Iterable[Any], separator: str = "", attribute: Any = None) -> str:
    if attribute is not None:
        raise SecurityError("join by attribute: use map before it")
    budget = _BUDGET.get()
    texts = list(_turns(context, values))
    budget.make(budget.weigh(texts) + len(separator) * len(texts))
    return str(separator).join(map(str, texts))


@pass_context
def _replace(context: Context, text: Any, old: str, new: str, count: int | None = None) -> str:
    whole = str(text)
    _BUDGET.get().make(len(whole) + (whole.count(old) if old else len(whole) + 1) * len(new))
    return whole.replace(old, new, -1 if count is None else count)


@pass_context
def _tojson(
    context: Context,
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    budget = _BUDGET.get()
    budget.make(budget.weigh(value))
    if indent is not None and not 0 <= int(indent) <= 8:
        raise SecurityError("an indent of more than 8")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@pass_context
def _indent(context: Context, text: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:
    if not 0 <= int(width) <= 16:
        raise SecurityError("an indent of more than 16")
    lines = str(text).splitlines(keepends=True)
    _BUDGET.get().make(len(text) + width * len(lines))
    pad = " " * width
    return "".join(line if (i == 0 and not first) or not (blank or line.strip()) else pad + line for i, line in enumerate(lines))


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise _OverBudget(f"a range of more than {MAX_RANGE}")
    return found


_PAID_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "_turns": _turns,
    "_concatenated": _concatenated,
    "string": _string,
    "join": _join,
    "replace": _replace,
    "tojson": _tojson,
    "indent": _indent,
    "safe": lambda value: value,  # nothing is escaped here, so nothing need be exempt
}
