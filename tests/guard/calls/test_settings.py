import pytest

from freehold.core.errors import ConfigError
from freehold.guard.calls.settings import CallSettings
from freehold.guard.policy_file import PolicySource, parse

RULE = '[[calls.rules]]\nid = "a"\naction = "ask"\n'


def calls(text: str) -> CallSettings:
    return parse(PolicySource(name="policy.toml", text=text)).calls


def test_a_whole_table_is_read() -> None:
    found = calls(
        """
        [calls]
        preset = "production"
        ask_timeout_s = 60.0
        workspace = ["/srv/shop", "~/shop"]
        hosts = ["*.corp.example"]
        stream = ["Write"]

        [[calls.tools]]
        name = "run_*"
        kind = "shell"
        argument = "line"
        results = "trusted"

        [[calls.rules]]
        id = "build"
        note = "the build may install"
        effects = ["install", "effect-download-*"]
        places = "workspace"
        action = "allow"
        """
    )
    assert (found.preset, found.ask_timeout_s, found.stream) == ("production", 60.0, ("Write",))
    assert (found.tools[0].kind, found.tools[0].results) == ("shell", "trusted")
    assert (found.rules[0].effects, found.rules[0].mode) == (("install", "effect-download-*"), "enforce")


def test_without_a_table_the_preset_is_developer() -> None:
    assert calls("") == CallSettings()
    assert CallSettings().preset == "developer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\n[calls]\npreset = "prodution"', r"^policy\.toml:2: calls: preset is 'prodution', .* 'production', 'locked'"),
        ("[calls]\npresets = 1", r":1: calls: there is no setting 'presets'; did you mean 'preset'"),
        ("[[calls]]\n", r":1: calls is one table: write \[calls\]"),
        ("[calls]\nask_timeout_s = 0", r":1: calls: .*> 0"),
        ('[calls]\nworkspace = ["/"]', r":1: calls: workspace has '/', which is no folder"),
        ('[calls]\nworkspace = ["project"]', r"workspace has 'project'"),
        ('[calls]\nworkspace = ["/srv/../etc"]', r"workspace has"),
        (f"{RULE}[calls.rules]\n", r"^policy\.toml:4: not TOML"),
        (
            f'{RULE}\n[[calls.rules]]\nid = "b"\naction = "mask"',
            r":5: calls\.rules: action is 'mask', .* 'allow', 'tag', 'ask', 'block'",
        ),
        (RULE + RULE, r":4: calls\.rules: the id 'a' is used twice"),
        (RULE + 'effects = "delet"', r":1: calls: rule 'a': effects has 'delet', .* did you mean 'delete'"),
        (RULE + 'effects = "effect-delete-sys"', r"did you mean 'effect-delete-system'"),
        (RULE + 'places = "sytem"', r"places has 'sytem', .* did you mean 'system'"),
        (RULE + "hosts = []", r"hosts names nothing"),
        (RULE + 'toool = "x"', r"there is no setting 'toool'; did you mean 'tool'"),
        ('[[calls.tools]]\nname = "x"\nkind = "shel"', r":1: calls\.tools: kind is 'shel', .* 'shell', "),
        ('[[calls.tools]]\nname = "x"\n[[calls.tools]]\nname = "x"', r":3: calls\.tools: the name 'x' is used twice"),
        ('[calls]\ntools = "x"', r"calls\.tools is a list of tables: write \[\[calls\.tools\]\]"),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused_with_line_and_reason(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        calls(text)
