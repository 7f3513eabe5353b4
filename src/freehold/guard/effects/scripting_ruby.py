"""Ruby programs to effects: a script, or a one-liner of `ruby -e`."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from tree_sitter import Node

from freehold.core.effects import EffectKind
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_decode import Fold, decoded, decoders
from freehold.guard.effects.scripting_program import Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import Call, calls_of
from freehold.guard.effects.scripting_tree import Tree
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    FOREIGN,
    INPUT,
    NOTHING,
    Value,
    as_path,
    either,
    joined_path,
    known,
    marked,
    variable,
)
from freehold.guard.syntax import Language

_SENDING = frozenset(("send", "public_send", "__send__", "method", "instance_method"))
_EVALUATING = frozenset(("eval", "instance_eval", "class_eval", "module_eval", "instance_exec"))
_EACH = frozenset(("each", "map", "each_with_index", "select", "reject", "collect", "flat_map", "each_with_object", "find"))
_PROCESS = frozenset(
    ("system", "exec", "spawn", "fork", "open", "eval", "require", "load", "gets", "sleep", "exit", "puts", "print")
)


_DECODERS = {
    "base64": "Base64.decode64 Base64.strict_decode64 Base64.urlsafe_decode64",
    "zlib": "Zlib::Inflate.inflate Zlib.inflate",
}
_PASSING = (  # on what they are given
    "URI.decode_www_form_component CGI.unescape File.expand_path File.absolute_path File.basename Pathname.new"
)
_FOLDS: Mapping[str, Fold] = {
    **decoders(_DECODERS),
    **dict.fromkeys(_PASSING.split(), Given.first),
    "File.join": lambda given: joined_path(given.values),
    "Dir.home": lambda given: as_path("~"),
    "Dir.pwd": lambda given: as_path("."),
    "Dir.tmpdir": lambda given: as_path("/tmp"),  # noqa: S108 - a text that is judged
    "Dir.glob": lambda given: Value(given.first().text() or HOLE, given.marks(), "<paths>"),
    "Dir.entries": lambda given: Value(HOLE, given.marks(), "<paths>"),
    "Dir.children": lambda given: Value(HOLE, given.marks(), "<paths>"),
    "ENV.fetch": lambda given: variable(given.first()),
    "ENV.to_h": lambda given: Value(marks=ENVIRONMENT, name="ENV"),
    "gets": lambda given: marked(INPUT),
    "STDIN.read": lambda given: marked(INPUT),
    "Shellwords.escape": lambda given: Value(HOLE, given.marks() & ~FOREIGN),
}
# Methods of texts, as Ruby names them.
_TEXTS: Mapping[str, Callable[[str], str]] = {
    "reverse": lambda text: text[::-1],
    "downcase": str.lower,
    "upcase": str.upper,
    "strip": str.strip,
    "chomp": lambda text: text.rstrip("\r\n"),
    "to_s": str,
    "to_str": str,
    "to_sym": str,
    "dup": str,
    "freeze": str,
    "shellescape": str,
}


class Ruby(Tree):
    """One program."""

    language = Language.RUBY
    functions = ("method", "singleton_method")
    folds = _FOLDS
    special: ClassVar[Mapping[str, Callable[..., Value]]] = {}
    joining = frozenset(("+", "<<"))
    showing = frozenset(("puts", "p", "pp", "print"))

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.table = calls_of("scripting_ruby")

    def canonical(self, name: str) -> str:
        return name.removeprefix("::").removeprefix("Kernel.").removeprefix("Object.").removeprefix("self.")

    def prepared(self, call: Call, given: Given) -> Given:
        """`a: 1` at the end of a call are arguments by name."""
        named = {key: value for value in given.values if isinstance(value.items, dict) for key, value in value.items.items()}
        return Given(given.values, named, given.receiver)

    def method(self, receiver: Value, name: str, given: Given) -> Value | None:
        if isinstance(receiver.items, list):
            return self._list_method(receiver.items, name, given)
        text = receiver.text()
        if text is None or receiver.name:
            return None
        change = _TEXTS.get(name)
        if change is not None:
            return known(change(text), receiver.marks)
        form = given.first().text()
        if name in ("unpack", "unpack1") and form:
            codec = "base64" if form.startswith("m") else "hex" if form.startswith("H") else ""
            value = decoded(codec, receiver) if form.startswith("m") else marked(receiver.marks | DECODED)
            return value if name == "unpack1" else Value(items=[value])
        if name in ("gsub", "sub", "tr") and len(given.values) > 1 and form and (new := given.values[1].text()) is not None:
            return known(text.replace(form, new), receiver.marks) if name != "tr" else marked(receiver.marks | DECODED)
        if name in ("split", "chars", "bytes"):
            return Value(items=[known(part, receiver.marks) for part in (text.split(form) if form else list(text[:4096]))])
        return None

    def _list_method(self, items: Sequence[Value], name: str, given: Given) -> Value | None:
        if name == "join":
            between = given.first().text() or ""
            return known(between.join(item.shown() for item in items), given.marks() | given.receiver.marks)
        if name == "pack":
            form = given.first().text() or ""
            codes = [item.const for item in items if isinstance(item.const, int) and 0 <= item.const < 256]
            if form[:1] in ("c", "C", "U") and len(codes) == len(items):
                return known("".join(map(chr, codes)), DECODED)
            return decoded("hex", items[0]) if form[:1] == "H" and items else marked(DECODED)
        if name in ("first", "last", "shift", "pop", "sample"):
            return items[-1 if name in ("last", "pop") else 0] if items else NOTHING
        if name == "reverse":
            return Value(items=list(items)[::-1])
        return None

    # Nodes.

    def _identifier(self, node: Node) -> Value:
        name = self.text(node)
        found = self.find(name)
        if found is None:
            return self.call(Value(name=name), Given(), "") if name in self.folds or name in self.table else Value(name=name)
        is_call = isinstance(found.code, Routine)
        return self.call(found, Given(), "") if is_call else found

    def _constant(self, node: Node) -> Value:
        name = self.text(node)
        if name == "ENV":
            return Value(marks=ENVIRONMENT, name="ENV")
        if name == "ARGV":
            return marked(INPUT)
        return self.find(name) or Value(name=name.removeprefix("::"))

    def _symbol(self, node: Node) -> Value:
        return known(self.text(node).strip(":\"'"))

    def _assigned(self, node: Node) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return NOTHING
        value = self.visit(right)
        if node.type == "operator_assignment":
            old = self.visit(left)
            value = self.grown(old, self.two(self.text(node.child_by_field_name("operator")).rstrip("="), old, value))
        if left.type == "left_assignment_list":
            items = value.items if isinstance(value.items, list) else []
            for at, name in enumerate(left.named_children):
                self.bind(self.text(name), items[at] if at < len(items) else self.element(value))
        else:
            self.bind(self.text(left), value)
        return value

    def _hash(self, node: Node) -> Value:
        items: dict[object, Value] = {}
        for child in node.named_children:
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if key is not None and value is not None:
                items[self.text(key).strip(":\"'")] = self.visit(value)
        return Value(items=items)

    def _pair(self, node: Node) -> Value:
        key = self.text(node.child_by_field_name("key")).strip(":\"'")
        return Value(items={key: self.field(node, "value")})

    def _element(self, node: Node) -> Value:
        values = [self.visit(child) for child in node.named_children]
        owner, key = [*values, NOTHING, NOTHING][:2]
        if owner.name == "ENV":
            return variable(key)
        if isinstance(owner.items, dict) and isinstance(key.const, str) and key.const in owner.items:
            return owner.items[key.const]
        if isinstance(owner.items, list):
            at = key.const
            return owner.items[at] if isinstance(at, int) and -len(owner.items) <= at < len(owner.items) else self.element(owner)
        return marked(owner.marks)

    def _backticks(self, node: Node) -> Value:
        before = len(self.sinks.effects)
        self.sinks.command("a command in backticks", self.joined(node), is_shell=True)
        return marked(self.printed(before))

    def _call(self, node: Node) -> Value:
        receiver_node, arguments = node.child_by_field_name("receiver"), node.child_by_field_name("arguments")
        name = self.text(node.child_by_field_name("method"))
        receiver = NOTHING if receiver_node is None else self.visit(receiver_node)
        values = [] if arguments is None else [self.visit(child) for child in arguments.named_children]
        given = Given(values, {}, receiver)
        result = self._sent(receiver, name, given, receiver_node is not None)
        block = node.child_by_field_name("block")
        if block is not None:
            self._block(block, receiver, result, name)
        return result

    def _sent(self, receiver: Value, name: str, given: Given, has_receiver: bool) -> Value:
        if name in _SENDING and given.values:
            return self._chosen(receiver, name, given)
        if name in _EVALUATING and given.values:
            for one in given.values[0].each():
                self.sinks.code(name, one, Language.RUBY)
            return NOTHING
        if not has_receiver or receiver.name == "self":
            own = self.find(name)
            return self.call(own if own is not None and own.code is not None else Value(name=name), given, "")
        if receiver.others:
            return either([self._sent(one, name, Given(given.values, {}, one), True) for one in receiver.each()[:4]])
        if name == "call" and receiver.name:
            return self.call(Value(name=receiver.name), given, "")
        if name in ("<<", "write", "puts", "print") and receiver.name == "<file>":
            self.sinks.writes(receiver, given.marks())
        return self.call(Value(name=f"{receiver.name or '?'}.{name}", marks=receiver.marks), given, name)

    def _chosen(self, receiver: Value, name: str, given: Given) -> Value:
        text = given.values[0].text()
        if text is None or HOLE in text:
            if given.values[0].marks & FOREIGN:
                self.sinks.add(EffectKind.EXECUTE, because=f"{name} calls a method that somebody else names")
            elif receiver.name in ("Kernel", "Object", "File", "IO", "Process"):
                self.sinks.add_unknown(f"{name} calls a method that is chosen at run time")
            return marked(given.marks())
        if "method" in name:
            return Value(name=text if receiver.name in ("", "Kernel", "self") else f"{receiver.name}.{text}")
        rest = Given(given.values[1:], {}, receiver)
        return self._sent(receiver, text, rest, text not in _PROCESS)

    def _block(self, block: Node, receiver: Value, result: Value, name: str) -> None:
        parameters = block.child_by_field_name("parameters")
        handed = self.element(receiver) if name in _EACH else Value(result.const, result.marks, result.name)
        for child in parameters.named_children if parameters is not None else ():
            self.bind(self.text(child), handed)
        self.loops += name in _EACH
        self.field(block, "body")
        self.loops -= name in _EACH

    def _class(self, node: Node) -> Value:
        return self.field(node, "body")

    def _for(self, node: Node) -> Value:
        pattern = node.child_by_field_name("pattern")
        over = self.field(node, "value")
        if pattern is not None:
            self.bind(self.text(pattern), self.element(over))
        self.loops += 1
        self.field(node, "body")
        self.loops -= 1
        return NOTHING


_LOOPS = ("while", "until", "while_modifier", "until_modifier")
_BRANCHES = ("if", "unless", "case", "if_modifier", "unless_modifier", "conditional")
_TEXT_NODES = ("string", "heredoc_body", "bare_string", "chained_string", "delimited_symbol")
Ruby.nodes = {
    **dict.fromkeys(_LOOPS, Tree.loop),
    **dict.fromkeys(_BRANCHES, Tree.branches),
    **dict.fromkeys(_TEXT_NODES, Tree.joined),
    **dict.fromkeys(("assignment", "operator_assignment"), Ruby._assigned),
    **dict.fromkeys(("method", "singleton_method", "lambda"), Tree.function),
    **dict.fromkeys(
        ("parenthesized_statements", "interpolation", "begin", "do", "then", "body_statement", "block_body"), Tree.anything
    ),
    **dict.fromkeys(("class", "module"), Ruby._class),
    **dict.fromkeys(("constant", "scope_resolution"), Ruby._constant),
    **dict.fromkeys(("instance_variable", "class_variable", "global_variable"), Ruby._identifier),
    **dict.fromkeys(("array", "right_assignment_list", "string_array", "symbol_array"), Tree.listed),
    "identifier": Ruby._identifier,
    "self": Ruby._constant,
    "simple_symbol": Ruby._symbol,
    "integer": Tree.integer,
    "hash": Ruby._hash,
    "pair": Ruby._pair,
    "binary": Tree.binary,
    "element_reference": Ruby._element,
    "subshell": Ruby._backticks,
    "call": Ruby._call,
    "for": Ruby._for,
    "return": Tree.returned,
    "regex": Tree.nothing,
}
