"""What a PowerShell script is made of: the nodes that its reader makes and its walk follows."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Const:
    value: str | int | float | bool | None


@dataclass(slots=True)
class Template:
    """Text with expressions in it: "a$b" and `$a\\b`."""

    parts: list["Node"]


@dataclass(slots=True)
class Var:
    name: str  # in lower case, with its scope where it has one: "env:temp"
    splat: bool = False


@dataclass(slots=True)
class Array:
    items: list["Node"]


@dataclass(slots=True)
class Hash:
    pairs: list[tuple["Node", "Node"]]


@dataclass(slots=True)
class Type:
    name: str


@dataclass(slots=True)
class Member:
    of: "Node"
    name: "Node"
    static: bool


@dataclass(slots=True)
class Invoke:
    of: "Node"
    name: "Node"
    static: bool
    arguments: list["Node"]


@dataclass(slots=True)
class Index:
    of: "Node"
    at: "Node"


@dataclass(slots=True)
class Binary:
    op: str
    left: "Node"
    right: "Node"


@dataclass(slots=True)
class Unary:
    op: str
    of: "Node"


@dataclass(slots=True)
class Cast:
    type: str
    of: "Node"


@dataclass(slots=True)
class Group:
    """`( )`, `$( )` and `@( )`: statements whose output is the value."""

    body: list["Node"]


@dataclass(slots=True)
class Block:
    """`{ }`: code that somebody may run."""

    parameters: list[str]
    body: list["Node"]


@dataclass(slots=True)
class Parameter:
    """`-Name` in a command; with `value` if it is written `-Name:value`."""

    name: str
    value: "Node | None" = None
    text: str = ""


@dataclass(slots=True)
class Command:
    name: "Node"
    operator: str = ""  # "&", "." or none
    arguments: list["Node"] = field(default_factory=list)
    redirections: list[tuple[str, "Node"]] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline:
    stages: list["Node"]


@dataclass(slots=True)
class Assign:
    target: "Node"
    op: str
    value: "Node"


@dataclass(slots=True)
class Branches:
    """One of them is taken, or none. `before` is done in any case."""

    before: list["Node"]
    bodies: list[list["Node"]]


@dataclass(slots=True)
class Loop:
    """`variable` is that of a foreach."""

    variable: str
    source: list["Node"]
    body: list["Node"]


@dataclass(slots=True)
class Function:
    name: str
    block: Block


@dataclass(slots=True)
class Sequence:
    """Statements one after the other, whatever holds them together."""

    body: list["Node"]


@dataclass(slots=True)
class Bad:
    text: str


Node = (
    Const | Template | Var | Array | Hash | Type | Member | Invoke | Index | Binary | Unary | Cast | Group | Block
    | Parameter | Command | Pipeline | Assign | Branches | Loop | Function | Sequence | Bad
)  # fmt: skip
