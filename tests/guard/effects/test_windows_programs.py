import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.analyse import ANALYSERS
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.windows_names import telling
from freehold.guard.effects.windows_programs import call_of, name_of, program_effects, programs
from freehold.guard.effects.windows_rules import Call, judged, read_rules, selected, streams
from freehold.guard.syntax import Language
from tests.guard.effects.windows_cases import rules

SCENE = Scene(analysers=ANALYSERS)


def _rules(*words: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in program_effects(words, SCENE)}


def test_every_program_stands_in_the_table_once() -> None:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_programs.toml").read_text())
    names = [name for line in document for name in line.split()]
    assert sorted(set(names)) == sorted(names)
    assert len(names) > 350
    assert all(row["does"] for row in document.values())


@pytest.mark.parametrize("name", sorted(programs()))
def test_every_program_has_an_answer_to_any_arguments(name: str) -> None:
    for words in (
        (name,),
        (name, "/?"),
        (name, "a", "/b:c", "-d", "x\\y", HOLE),
        (name, "https://h.example/a", "\\\\h\\s\\a.exe"),
    ):
        assert all(effect.because for effect in program_effects(words, SCENE))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("REG.EXE", "reg"),
        ('"C:\\Windows\\System32\\reg.exe"', "reg"),
        ("c:/tools/nanodump.x64.exe", "nanodump"),
        ("%comspec%", "cmd"),
        (".\\build.cmd", "build"),
        ("a.exe.txt", "a.exe.txt"),
        ("", ""),
    ],
)
def test_a_program_is_known_by_its_name_wherever_it_lies(word: str, name: str) -> None:
    assert name_of(word) == name


def test_switches_are_read_in_all_their_forms() -> None:
    call = call_of(["x", "/a:1", "-b", "2", "--c=3", "/d", "e", "/usr/bin", "-", "/-y"], frozenset(("b",)))
    assert call.switches == {"a": ["1"], "b": ["2"], "c": ["3"], "d": [], "y": []}
    assert call.positionals == ["e", "/usr/bin", "-"]


def test_a_file_keeps_the_place_where_it_lies() -> None:
    assert _rules("C:\\Windows\\Temp\\a.exe") >= {"run-temp", "execute-temp"}
    assert _rules("\\\\h\\s\\a.exe") >= {"run-host", "execute-host"}
    assert _rules(".\\a.exe") == {"run-workspace", "run-nothing"}


def test_what_is_in_the_working_folder_is_the_workspace_s() -> None:
    scene = Scene(analysers=ANALYSERS, folder="C:\\Users\\mia\\shop")
    inside = program_effects(["del", "C:\\Users\\mia\\shop\\a.txt"], scene)
    outside = program_effects(["del", "C:\\Users\\mia\\shop2\\a.txt"], scene)
    assert [effect.place for effect in inside] == [Place.WORKSPACE]
    assert [effect.place for effect in outside] == [Place.HOME]


def test_a_program_of_both_worlds_is_judged_by_the_posix_table() -> None:
    assert _rules("git", "push", "--force") == rules("git push --force", Language.SHELL)


def test_a_program_that_is_not_known_by_name_is_unknown() -> None:
    assert _rules(HOLE) == {"unknown-nothing"}
    assert _rules("a", *["b"] * 600) == {"unknown-nothing"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Invoke-Mimikatz", EffectKind.READ),
        ("x64_SafetyKatz.exe", EffectKind.READ),
        ("CreateRemoteThreadEx.exe", EffectKind.EXECUTE),
        ("Get-Keystrokes.ps1", EffectKind.REMOTE_SHELL),
        ("dns-exfiltrate.ps1", EffectKind.SEND),
        ("23 Akagi64.exe", EffectKind.ESCALATE),
    ],
)
def test_a_name_can_tell_what_a_program_is_for(name: str, kind: EffectKind) -> None:
    rule = telling(name)
    assert rule is not None
    assert rule.what[0].kind == kind


@pytest.mark.parametrize("name", ["app.exe", "Get-Injury", "recreate.ps1", "threads.exe", "build-payroll.cmd", "capchart"])
def test_other_names_tell_nothing(name: str) -> None:
    assert telling(name) is None


# ---- the rules' own language ----


def _judged(line: str, *words: str) -> list[Effect] | None:
    return judged(call_of(["x", *words], frozenset(("v",))), read_rules(line), SCENE, "does it")


@pytest.mark.parametrize(
    ("when", "words", "holds"),
    [
        ("add", ["a", "ADD"], True),
        ("add", ["adds"], False),
        ("^add", ["add", "b"], True),
        ("^add", ["b", "add"], False),
        ("/s", ["/S"], True),
        ("/s", ["-s"], True),
        ("/s", ["s"], False),
        ("/v=b*", ["/v:Bcd"], True),
        ("/v=b*", ["-v", "xb"], False),
        ("~pass", ["C:\\mypass.txt"], True),
        ("a,b", ["b"], True),
        ("a !b", ["a", "b"], False),
        ("a !b", ["a"], True),
        ("*.dll", ["x.DLL"], True),
        ("@1=host", ["\\\\h\\s"], True),
        ("@1=host", ["h"], False),
        ("?", ["a" + HOLE], True),
        ("?", ["a"], False),
        ("", [], True),
    ],
)
def test_a_condition_holds_of_the_arguments(when: str, words: list[str], holds: bool) -> None:
    assert (_judged(f"{when} => discover", *words) is not None) is holds


def test_the_first_rule_counts_and_others_beside_it() -> None:
    found = _judged("& b => persist\na => evade\n=> run", "a", "b") or []
    assert {effect.kind for effect in found} == {EffectKind.PERSIST, EffectKind.EVADE}


def test_selectors_name_arguments() -> None:
    call = Call(name="x", words=["a", "b", "c", "https://h.example"], positionals=["a", "b", "c"], switches={"o": ["d"], "p": []})
    chosen = [selected(selector, call) for selector in ("@1", "@-1", "@2+", "@*", "@/o/p", "@url", "@9")]
    assert chosen == [["a"], ["c"], ["b", "c"], ["a", "b", "c"], ["d"], ["https://h.example"], []]


@pytest.mark.parametrize("line", ["a", "a => fly", "a => run:moon", "a, => run"])
def test_a_line_that_is_no_rule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"rule|not a valid"):
        read_rules(line)


def test_a_stream_of_a_file_is_told_from_drives_and_addresses() -> None:
    assert streams(["C:\\a\\b.txt:tool.exe"])
    assert not streams(["C:\\a\\b.txt", "http://h.example:80/a.txt", "a:b", "host.example:8080", "10:30"])


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.sampled_from(sorted(programs())))
def test_any_arguments_have_an_answer(words: list[str], name: str) -> None:
    program_effects([name, *words], SCENE)
    program_effects(words, SCENE)


def test_a_program_for_people_that_is_given_a_program_on_a_network_brings_it() -> None:
    assert "execute-host" in _rules("winword.exe", "http://h.example/addin.dll")
    assert "execute-host" not in _rules("winword.exe", "http://h.example/letter.docx")


def test_the_name_of_the_process_that_keeps_passwords_tells_what_is_wanted() -> None:
    assert "read-credential" in _rules("dumptool.exe", "-hang", "-pn", "lsass.exe")
    assert "read-credential" not in _rules("dumptool.exe", "-hang", "-pn", "app.exe")
