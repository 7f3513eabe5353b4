import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.guard.calls.patches import patched

WRITE, DELETE = EffectKind.WRITE, EffectKind.DELETE


@pytest.mark.parametrize(
    ("patch", "files"),
    [
        ("*** Begin Patch\n*** Add File: a b.py\n+x\n+y\n*** End Patch", [(WRITE, "a b.py", "x\ny")]),
        ("*** Update File: a\n@@\n-x\n+y\n*** Delete File: b", [(WRITE, "a", "y"), (DELETE, "b", "")]),
        ("*** Update File: a\n*** Move to: /etc/b\n+z", [(WRITE, "a", ""), (WRITE, "/etc/b", "z")]),
        ("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n", [(WRITE, "x.py", "b")]),
        ("--- a/x.py\t2024\n+++ b/x.py\t2024\n+b", [(WRITE, "x.py", "b")]),
        ("--- a/old\n+++ /dev/null\n-a", [(DELETE, "old", "")]),
        ("--- /dev/null\n+++ b/new\n+a", [(WRITE, "new", "a")]),
        ("rename from a\nrename to /etc/b\n", [(WRITE, "/etc/b", "")]),
        ("just text", []),
    ],
)
def test_a_patch_names_its_files(patch: str, files: list[tuple[EffectKind, str, str]]) -> None:
    assert list(patched(patch)) == files


@given(st.text())
def test_any_text_is_taken_apart(text: str) -> None:
    list(patched(text))
