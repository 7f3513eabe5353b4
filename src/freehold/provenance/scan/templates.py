"""Chat templates: parsed as jinja2 parses them, never rendered.

Refused is what can leave a sandbox that is missing or broken: attributes and names in underscores, and the ways to reach an
attribute by a computed name. Told is what formatting a conversation does not need: imports, calls of unknown functions and
filters, addresses.
"""

import re
from collections.abc import Set

from jinja2 import Environment, TemplateError, nodes

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown

TEMPLATE_LIMIT_CHARS = 1 << 20
_CODE, _ODD = "template-code", "template-odd"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTIONS = _names("raise_exception strftime_now namespace range dict")
_METHODS = _names(
    "append capitalize count endswith find format get index insert isalnum isalpha isdigit isspace items join keys lower"
    " lstrip pop replace removeprefix removesuffix rfind rindex rpartition rsplit rstrip split splitlines startswith strip"
    " title update upper values partition extend reverse sort copy clear isupper islower zfill rjust ljust center encode"
    " decode isoformat strftime casefold setdefault cycle"
)
_FILTERS = _names(
    "abs capitalize count d default dictsort e escape first float forceescape format groupby indent int items join last"
    " length list lower map max min reject rejectattr replace reverse round safe select selectattr slice batch sort string"
    " sum title tojson trim truncate unique upper urlencode wordcount from_json fromjson parse_json"
)
_BY_ATTRIBUTE = _names("map selectattr rejectattr groupby sort unique sum max min join")
_ADDRESS = re.compile(r"\b(?:https?|ftp|wss?)://(?!(?:www\.)?(?:json-schema|w3)\.org)[^\s'\"<>]{4,}", re.IGNORECASE)


def looks_like_template(text: str) -> bool:
    return "{%" in text or "{{" in text


def scan_template(text: str, context: Context, offset: int | None = None) -> None:
    if len(text) > TEMPLATE_LIMIT_CHARS:
        context.find("limit", f"a chat template of {len(text)} characters", offset)
        return
    environment = Environment(extensions=["jinja2.ext.loopcontrols"], cache_size=0)  # noqa: S701 - parses, renders nothing
    source = re.sub(r"\{%-?\s*(?:end)?generation\s*-?%\}", "", text)  # transformers' own tag, which marks the assistant's tokens
    try:
        tree = environment.parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError) as exc:
        context.find("unparsed", f"chat template: {str(exc)[:120]}", offset)
        return
    callables = _FUNCTIONS | {"caller"} | {node.name for node in tree.find_all(nodes.Macro)}
    for node in tree.find_all(nodes.Node):
        for rule, words in ((_CODE, _reaches_inside(node)), (_ODD, _is_odd(node, callables))):
            if words:
                context.find(rule, f"line {node.lineno}: {words}", offset)
                break


def _reaches_inside(node: nodes.Node) -> str | None:
    """How a node reaches the interpreter where no sandbox stops it."""
    match node:
        case nodes.Getattr(attr=name) if name.startswith("_") or name in _INSIDES:
            return f"reads the attribute {shown(name)}"
        case nodes.Getitem(arg=nodes.Const(value=str() as name)) if name.startswith("__") or name in _INSIDES:
            return f"reads {shown(name)}"
        case nodes.Name(name=name) if name.startswith("__") or name in _GLOBALS:
            return f"uses {shown(name)}"
        case nodes.Const(value=str() as value) if _DUNDER.search(value):
            return f"has {shown(value)}, a name of Python's insides"
        case nodes.Filter(name="attr"):
            return "reads an attribute by a name that it computes"
    return None


def _is_odd(node: nodes.Node, callables: Set[str]) -> str | None:
    """What of a node no formatting of a conversation needs."""
    match node:
        case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
            return "takes in another template"
        case nodes.Const(value=str() as value) if _PIECE.search(value):
            return f"has {shown(value)}, of which a name of Python's insides can be made"
        case nodes.Const(value=str() as value) if _ADDRESS.search(value):
            return f"has an address, {shown(value)}"
        case nodes.TemplateData(data=value) if _ADDRESS.search(value):
            return "has an address"
        case nodes.Mul(left=nodes.Const(value=str() as value)) | nodes.Mul(right=nodes.Const(value=str() as value)):
            return f"repeats {shown(value)}" if "_" in value else None
        case nodes.Getitem(arg=arg) if _is_computed_name(arg):
            return "reads an item by a name that it computes"
        case nodes.Filter(name=name) if name in _BY_ATTRIBUTE and not _is_plain(node):
            return f"the filter {shown(str(name))} by a name that it computes"
        case nodes.Filter(name=name) if name not in _FILTERS:
            return f"uses the filter {shown(str(name))}"
        case nodes.Call(node=nodes.Name(name=name)) if name not in callables:
            return f"calls {shown(name)}"
        case nodes.Call(node=nodes.Getattr(attr=name)) if name not in _METHODS:
            return f"calls the method {shown(name)}"
        case nodes.Call(node=nodes.Getitem() | nodes.Filter() | nodes.Call()):
            return "calls what it computes"
    return None


def _is_computed_name(node: nodes.Expr) -> bool:
    """Whether an item is read by a string put together on the spot, which jinja2 also takes for an attribute's name."""
    match node:
        case nodes.Concat() | nodes.Call() | nodes.Filter() | nodes.CondExpr():
            return not (isinstance(node, nodes.Filter) and node.name in ("length", "count", "int"))
        case nodes.Add() | nodes.Mul() | nodes.Mod():
            return any(
                (isinstance(part, nodes.Const) and isinstance(part.value, str)) or _is_computed_name(part)
                for part in (node.left, node.right)
            )
        case nodes.Getitem(node=nodes.Const(value=str())):  # a letter, or a string read backwards
            return True
        case _:
            return False


def _is_plain(node: nodes.Node) -> bool:
    """Whether the attribute a filter works by stands there as a string."""
    assert isinstance(node, nodes.Filter)
    named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
    first = node.args[:1] if node.name in ("selectattr", "rejectattr", "groupby") else []
    return node.dyn_args is None and node.dyn_kwargs is None and all(isinstance(n, nodes.Const) for n in (*named, *first))


# Ways from a value to the interpreter, and what holds them in frameworks.
_INSIDES = _names("mro func_globals func_code gi_frame gi_code cr_frame f_globals f_builtins f_locals tb_frame co_code im_func")
_GLOBALS = _names("self lipsum url_for get_flashed_messages")
_PIECE = re.compile(r"\A(?:__[a-z]*|[a-z]*__)\Z|%c")
_DUNDER = re.compile(
    r"__(?:class|bases?|mro|subclasses|init|globals|builtins|import|getattribute|dict|reduce(?:_ex)?|code|closure|call|new|module|self|func|loader|spec)__"
)
