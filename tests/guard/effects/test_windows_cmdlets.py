import pytest

from freehold.guard.effects.analyse import ANALYSERS
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.windows_cmdlets import call_of, cmdlet_effects, cmdlet_of, cmdlets, is_cmdlet, parameter_of
from freehold.guard.syntax import Language
from tests.guard.effects.windows_cases import rules

SCENE = Scene(analysers=ANALYSERS)


def test_aliases_lead_to_cmdlets() -> None:
    assert all("-" in target for target in cmdlets().aliases.values())
    assert all(is_cmdlet(target) for target in cmdlets().aliases.values())


def test_every_cmdlet_has_an_answer() -> None:
    for name, cmdlet in cmdlets().named.items():
        call = call_of(name, cmdlet, {"path": ["a"]}, [["b"], ["c"]], ["d"])
        assert cmdlet_effects(call, cmdlet, SCENE, name) is not None


@pytest.mark.parametrize(
    ("cmdlet", "given", "parameter"),
    [
        ("get-content", "pa", "path"),
        ("get-content", "lp", "literalpath"),
        ("start-process", "verb", "verb"),
        ("remove-item", "rec", "recurse"),
        ("remove-item", "ea", "erroraction"),
        ("nobody-knows", "anything", "anything"),
    ],
)
def test_a_parameter_may_be_cut_short(cmdlet: str, given: str, parameter: str) -> None:
    assert parameter_of(cmdlet_of(cmdlet), given) == parameter


def test_arguments_without_a_name_go_where_they_belong() -> None:
    call = call_of("copy-item", cmdlet_of("copy-item"), {"path": ["a"]}, [["b"]], [])
    assert call.switches["destination"] == ["b"]
    piped = call_of("remove-item", cmdlet_of("remove-item"), {}, [], ["a", "b"])
    assert piped.switches["path"] == ["a", "b"]


FAMILIES = {
    "Get-LapsADPassword srv": "read-credential",
    "Get-DomainGroup": "discover-other-user",
    "New-ADUser a": "account-host",
    "Add-MgGroupMember a": "account-host",
    "New-InboxRule -ForwardTo a@h.example": "account-host",
    "Disable-AntiPhishRule a": "evade-system",
    "Remove-SmbShare a": "permission-system",
    "Get-NetTCPConnection": "discover-system",
    "Set-NetIPAddress a": "system-nothing",
    "Clear-Disk 1": "overwrite-device",
    "New-AzVM a": "spend-host",
    "Import-Certificate a": "evade-nothing",
    "Export-PfxCertificate a": "read-credential",
    "Get-ComputerInfo": "discover-system",
    "Set-Date a": "system-nothing",
    # verbs, for those that nobody has heard of
    "Get-Weather": "run-nothing",
    "Remove-Weather": "delete-nothing",
    "Disable-Weather": "system-nothing",
    "Install-Weather": "install-nothing",
    "Send-Weather": "send-nothing",
    "Set-Weather": "write-nothing",
    "Invoke-Weather": "run-nothing",
}


@pytest.mark.parametrize(("text", "rule"), FAMILIES.items())
def test_a_cmdlet_is_judged_by_its_family_or_its_verb(text: str, rule: str) -> None:
    assert rule in rules(text, Language.POWERSHELL)


@pytest.mark.parametrize("name", ["update-alternatives2", "apt-get", "x-y", "get-", "get-a.exe", "-get", "getchilditem"])
def test_other_words_with_a_hyphen_are_programs(name: str) -> None:
    assert not is_cmdlet(name) or name.startswith("update-")
