"""Functions of Python whose meaning needs the program around them: `exec`, `getattr`, `__import__`, a process's input."""

import ast
from collections.abc import Callable

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.python_expressions import Expressions
from freehold.guard.effects.python_fold import elements
from freehold.guard.effects.python_parse import parse
from freehold.guard.effects.scene import LIMIT_DEPTH
from freehold.guard.effects.scripting_program import A_TEMP_FILE
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import (
    FOREIGN,
    NOTHING,
    SECRET,
    SOCKET,
    Value,
    as_path,
    either,
    joined_path,
    marked,
    marks_of,
)
from freehold.guard.effects.windows_places import change_of
from freehold.guard.syntax import Language

# Modules of which a name chosen at run time may do anything.
ANYTHING = frozenset(
    ("os", "subprocess", "builtins", "__builtins__", "shutil", "sys", "ctypes", "importlib", "posix", "nt", "pty")
)


def _getattr(walk: Expressions, name: str, given: Given) -> Value:
    if len(given.values) < 2:
        return NOTHING
    owner, key = given.values[:2]
    if key.text() is not None and HOLE not in (key.text() or ""):
        return either([walk.attribute(owner, one.text() or "") for one in key.each()])
    if owner.name in ANYTHING or owner.name.startswith("<hidden>"):
        return Value(name=f"{owner.name}.?", marks=key.marks & FOREIGN)
    return marked(owner.marks)


def _getattribute(walk: Expressions, name: str, given: Given) -> Value:
    return _getattr(walk, name, Given([given.receiver, *given.values]))


def _attrgetter(walk: Expressions, name: str, given: Given) -> Value:
    """A function that gives that field of what it is given."""
    text = given.values[0].text() if given.values else None
    if text is None or HOLE in text:
        return _type(walk, name, given)
    made = ast.parse(f"lambda it: getattr(it, {text!r})", mode="eval").body
    return walk.value(made)


def _module(walk: Expressions, name: str, given: Given) -> Value:
    text = (given.values[0].text() if given.values else None) or ""
    if text and HOLE not in text:
        return Value(name=text if name != "__import__" else text.partition(".")[0])
    if given.marks() & FOREIGN:
        return Value(name="<hidden>")
    walk.sinks.add(EffectKind.RUN, because="loads a module that is chosen at run time")
    return NOTHING


def _run_text(walk: Expressions, name: str, given: Given) -> Value:
    """exec and eval: in the names of this program, where the text is known."""
    value = given.first()
    result = NOTHING
    for one in value.each():
        text = one.text()
        if isinstance(one.code, ast.Module):
            continue
        if text is None or HOLE in text or walk.nested >= LIMIT_DEPTH:
            walk.sinks.code(name, one, Language.PYTHON)
            result = marked(one.marks)
            continue
        if one.marks & FOREIGN:
            walk.sinks.code(name, Value("", one.marks), Language.PYTHON)
        result = _text(walk, text)
    return result


def _text(walk: Expressions, text: str) -> Value:
    if not text.strip():
        return NOTHING
    module = parse(text)
    if module is None:
        walk.sinks.effects.extend(walk.sinks.scene.inside(Language.PYTHON, text))
        return NOTHING
    walk.nested += 1
    *first, last = module.body or [ast.Pass()]
    walk.statements(first)
    result = NOTHING
    if isinstance(last, ast.Expr):
        result = walk.value(last.value)
    else:
        walk.statements([last])
    walk.nested -= 1
    return result


def _compile(walk: Expressions, name: str, given: Given) -> Value:
    return given.first()


def _globals(walk: Expressions, name: str, given: Given) -> Value:
    if name == "vars" and given.values:
        return given.values[0]
    return Value(name="<globals>")


def _dup2(walk: Expressions, name: str, given: Given) -> Value:
    if given.marks() & SOCKET or any("<socket>" in value.name for value in given.values):
        walk.sinks.add(EffectKind.REMOTE_SHELL, because="ties the program's input and output to a connection")
    return NOTHING


def _map(walk: Expressions, name: str, given: Given) -> Value:
    if len(given.values) < 2:
        return NOTHING
    function, over = given.values[:2]
    listed = elements(over)
    items = listed.items if listed is not None and isinstance(listed.items, list) else None
    if items is not None and not over.name:
        return walk.each(function, items)
    return marked(marks_of([walk.call(function, Given([walk.element(over)]), "")]) | over.marks)


def _partial(walk: Expressions, name: str, given: Given) -> Value:
    walk.pass_on(given.values[0] if given.values else None, (0,), given)
    return NOTHING


def _written_to_process(walk: Expressions, name: str, given: Given) -> Value:
    text = given.get((0, "input"))
    if text is not None:
        walk.feed(given.receiver if given.receiver.const is not NOTHING.const else NOTHING, text)
    return marked(given.receiver.marks)


def _file_written(walk: Expressions, name: str, given: Given) -> Value:
    walk.sinks.writes(given.receiver, marks_of(given.values))
    return NOTHING


def _path_written(walk: Expressions, name: str, given: Given) -> Value:
    walk.sinks.path(EffectKind.OVERWRITE, Value(given.receiver.const, given.marks()), f"{name} writes a file anew")
    return NOTHING


def _path_opened(walk: Expressions, name: str, given: Given) -> Value:
    walk.sinks.open(name, given.receiver, given.get((0, "mode")))
    return Value(given.receiver.const, walk.sinks.marks_of_file(given.receiver), "<file>")


def _camera(walk: Expressions, name: str, given: Given) -> Value:
    if given.values and isinstance(given.values[0].const, int):
        walk.sinks.add(EffectKind.READ, Place.DEVICE, "takes pictures with the camera")
    return marked(SECRET)


def _scandir(walk: Expressions, name: str, given: Given) -> Value:
    top = given.values[0] if given.values else as_path(".")
    path = joined_path([top, Value(HOLE)])
    return Value(path.const, path.marks, "<paths>")


def _temp_file(walk: Expressions, name: str, given: Given) -> Value:
    walk.sinks.add(EffectKind.WRITE, Place.TEMP, f"{name} writes")
    return Value(items=[NOTHING, Value(A_TEMP_FILE)])


def _type(walk: Expressions, name: str, given: Given) -> Value:
    return marked(given.marks())


def _yaml(walk: Expressions, name: str, given: Given) -> Value:
    loader = given.get((1, "Loader"))
    is_safe = loader is not None and "Safe" in loader.name
    if not is_safe and given.marks() & FOREIGN:
        walk.sinks.add(EffectKind.EXECUTE, because=f"{name} runs what is in data that came from elsewhere")
    return marked(given.marks())


_ROOTS = {"HKEY_CURRENT_USER": "HKCU", "HKEY_LOCAL_MACHINE": "HKLM", "HKEY_CLASSES_ROOT": "HKCR", "HKEY_USERS": "HKU"}


def _key(walk: Expressions, name: str, given: Given) -> Value:
    """A key of Windows' registry, as a path from its root."""
    root, below = (*given.values[:2], NOTHING, NOTHING)[:2]
    text = below.text()
    start = _ROOTS.get(root.name.rpartition(".")[2]) or (root.text() if root.name == "<key>" else None) or "HKCU"
    path = Value(f"{start}\\{HOLE if text is None else text}", name="<key>")
    if "Create" in name or "Delete" in name:
        kind = EffectKind.WRITE if "Create" in name else EffectKind.DELETE
        walk.sinks.path(kind, path, f"{name} changes the registry")
    return path


def _key_value(walk: Expressions, name: str, given: Given) -> Value:
    key, value_name = (*given.values[:2], NOTHING, NOTHING)[:2]
    if key.name != "<key>":
        key = _key(walk, "winreg.OpenKey", Given([key, value_name]))
    path, entry = key.text() or "HKCU", value_name.text() or ""
    walk.sinks.path(EffectKind.DELETE if "Delete" in name else EffectKind.WRITE, Value(path), f"{name} changes the registry")
    change = change_of(path, entry)
    if change is not None:
        walk.sinks.add(change[0], change[1], change[2], path)
    return NOTHING


SPECIAL: dict[str, Callable[..., Value]] = {
    "getattr": _getattr,
    "operator.attrgetter": _attrgetter,
    "?.__getattribute__": _getattribute,
    "__import__": _module,
    "importlib.import_module": _module,
    "importlib.__import__": _module,
    "exec": _run_text,
    "eval": _run_text,
    "compile": _compile,
    "globals": _globals,
    "locals": _globals,
    "vars": _globals,
    "os.dup2": _dup2,
    "os.dup": _dup2,
    "map": _map,
    "functools.partial": _partial,
    "<process>.communicate": _written_to_process,
    "<process>.stdin.write": _written_to_process,
    "<file>.write": _file_written,
    "<file>.writelines": _file_written,
    "<path>.write_text": _path_written,
    "<path>.write_bytes": _path_written,
    "<path>.open": _path_opened,
    **dict.fromkeys(("winreg.OpenKey", "winreg.OpenKeyEx", "winreg.CreateKey", "winreg.CreateKeyEx", "winreg.DeleteKey"), _key),
    **dict.fromkeys(("winreg.SetValueEx", "winreg.SetValue", "winreg.DeleteValue"), _key_value),
    "cv2.VideoCapture": _camera,
    "os.scandir": _scandir,
    "tempfile.mkstemp": _temp_file,
    "type": _type,
    "yaml.load": _yaml,
}
