import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.windows_places import change_of, is_key, normal, windows_place_of

PLACES = {
    r"C:\Windows\System32\drivers\etc\hosts": Place.SYSTEM,
    r"%SystemRoot%\System32\config\SAM": Place.CREDENTIAL,
    r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy3\Windows\NTDS\ntds.dit": Place.CREDENTIAL,
    r"%LOCALAPPDATA%\Google\Chrome\User Data\Default\Login Data": Place.CREDENTIAL,
    r"$env:USERPROFILE\.aws\credentials": Place.CREDENTIAL,
    r"~\.ssh\id_ed25519": Place.CREDENTIAL,
    r"projects\shop\.env": Place.CREDENTIAL,
    r"D:\keys\vault.kdbx": Place.CREDENTIAL,
    r"%TEMP%\build": Place.TEMP,
    r"C:\Windows\Temp\x": Place.TEMP,
    r"C:\Users\mia\AppData\Local\Temp\x": Place.TEMP,
    r"src\main\app.cs": Place.WORKSPACE,
    r".\build\out.txt": Place.WORKSPACE,
    r"a\..\b\c.txt": Place.WORKSPACE,
    r"..\other\c.txt": Place.ELSEWHERE,
    r"D:\data\x.csv": Place.ELSEWHERE,
    r"C:\Users\mia\Desktop": Place.HOME,
    r"%USERPROFILE%\Documents": Place.HOME,
    r"C:\Users": Place.OTHER_USER,
    r"C:\Users\*\Desktop": Place.OTHER_USER,
    r"C:\Users\Public\x": Place.ELSEWHERE,
    "C:\\": Place.WHOLE_TREE,
    "D:\\*": Place.WHOLE_TREE,
    r"%USERPROFILE%": Place.WHOLE_TREE,
    r"\\fileserver\share\x": Place.HOST,
    r"\\localhost\C$\Windows\x": Place.SYSTEM,
    r"\\.\PhysicalDrive0": Place.DEVICE,
    r"HKLM:\Software\Vendor": Place.SYSTEM,
    r"HKEY_CURRENT_USER\Software\Vendor": Place.HOME,
    r"Registry::HKEY_LOCAL_MACHINE\SAM\Domains": Place.CREDENTIAL,
    r"HKLM\SECURITY": Place.CREDENTIAL,
}


@pytest.mark.parametrize(("path", "place"), PLACES.items())
def test_a_path_lies_where_it_lies_however_it_is_written(path: str, place: Place) -> None:
    assert windows_place_of(path) is place
    assert windows_place_of(path.upper()) is place
    assert windows_place_of(f'"{path}"') is place


@pytest.mark.parametrize("path", ["src/app.py", "/etc/passwd", "https://example.com/a%20b", "host:8080", "", "x"])
def test_what_has_no_sign_of_windows_is_left_to_others(path: str) -> None:
    assert windows_place_of(path) is None


CHANGES = {
    (r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run", "Updater"): EffectKind.PERSIST,
    (r"HKLM:\SYSTEM\CurrentControlSet\Services\Spooler", "ImagePath"): EffectKind.PERSIST,
    (r"HKCU\Software\Classes\ms-settings\shell\open\command", ""): EffectKind.PERSIST,
    (r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\sethc.exe", "Debugger"): EffectKind.PERSIST,
    (r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender", "DisableAntiSpyware"): EffectKind.EVADE,
    (r"HKLM\SYSTEM\CurrentControlSet\Control\Lsa", "RunAsPPL"): EffectKind.ESCALATE,
    (r"HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\WDigest", "UseLogonCredential"): EffectKind.ESCALATE,
    (r"%APPDATA%\Microsoft\Windows\Start Menu\Programs\Startup\a.lnk", ""): EffectKind.PERSIST,
    (r"C:\Windows\System32\Tasks\x", ""): EffectKind.PERSIST,
    (r"C:\Windows\System32\winevt\Logs\Security.evtx", ""): EffectKind.EVADE,
    (r"HKCU\Environment", "UserInitMprLogonScript"): EffectKind.PERSIST,
}


@pytest.mark.parametrize(("where", "kind"), CHANGES.items())
def test_changing_what_starts_or_protects_is_more_than_writing(where: tuple[str, str], kind: EffectKind) -> None:
    change = change_of(*where)
    assert change is not None
    assert change[0] is kind
    assert change[2]


@pytest.mark.parametrize(
    "path", [r"HKCU\Software\Vendor\App", r"C:\Users\mia\notes.txt", r"src\a.cs", r"HKLM\Software\Vendor\Run2"]
)
def test_other_changes_are_only_changes(path: str) -> None:
    assert change_of(path) is None


def test_a_key_is_told_from_a_file() -> None:
    assert is_key(r"HKLM:\Software")
    assert not is_key(r"C:\hklm\x")


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    windows_place_of(text)
    change_of(text, text)
    assert normal(text) == normal(text)
