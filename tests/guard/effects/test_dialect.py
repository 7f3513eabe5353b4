import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.effects.dialect import shell_dialect
from freehold.guard.syntax import Language

POSIX = [
    "ls -la",
    "find /srv -name '*.log' -mtime +7 -delete",
    "cat /etc/passwd | grep root",
    'for f in *.txt; do mv "$f" "${f%.txt}.md"; done',
    "update-alternatives --config java",
    "timedatectl set-timezone Europe/Berlin",
    "npm find-dupes --json",
    "date +%Y-%m-%dT%H:%M:%S",
    "sudo systemctl restart nginx && journalctl -u nginx -n 50",
    "python3 -m venv .venv && . .venv/bin/activate",
    'echo "$HOME" > ~/x',
    "apt-get install -y curl",
    "git commit -m 'fix: C:\\ paths'",
    "printf '%s\\n' a b c",
    "kubectl get pods -o wide",
    "",
]
POWERSHELL = [
    "Get-ChildItem -Recurse | Where-Object { $_.Length -gt 1mb }",
    "$x = Get-Content .\\a.txt; $x.Count",
    "iwr https://example.com/a.ps1 | iex",
    "[Convert]::ToBase64String([IO.File]::ReadAllBytes('a'))",
    "Remove-Item $env:TEMP\\x -Recurse -Force",
    "& 'C:\\Program Files\\x\\y.exe' -a",
    'foreach ($f in gci *.txt) { ren $f "$($f.BaseName).md" }',
    "get-localuser",
]
BATCH = [
    "@echo off\r\nset X=1\r\necho %X%",
    "for /f \"tokens=2\" %i in ('whoami /all') do @echo %i",
    "if exist build rmdir /s /q build",
    "reg add HKCU\\Software\\X /v y /t REG_SZ /d z /f",
    "del /f /q %TEMP%\\*.log >nul 2>&1",
    '"C:\\Program Files\\x\\y.exe" /silent',
    "net user guest /active:yes",
    "copy a.txt ..\\b.txt /y",
]


@pytest.mark.parametrize("text", POSIX)
def test_a_posix_command_is_never_taken_for_windows_alone(text: str) -> None:
    assert Language.SHELL in shell_dialect(text)


@pytest.mark.parametrize("text", POWERSHELL)
def test_powershell_is_told_by_its_cmdlets_variables_and_types(text: str) -> None:
    assert shell_dialect(text)[0] is Language.POWERSHELL
    assert Language.SHELL not in shell_dialect(text)


@pytest.mark.parametrize("text", BATCH)
def test_cmd_is_told_by_its_variables_words_and_programs(text: str) -> None:
    assert shell_dialect(text) == (Language.BATCH,)


def test_what_could_be_either_is_analysed_as_both() -> None:
    assert set(shell_dialect("certutil -d . -L")) == {Language.BATCH, Language.SHELL}


@given(st.text(max_size=400))
def test_any_text_has_a_dialect(text: str) -> None:
    assert shell_dialect(text)


@pytest.mark.parametrize(
    "text",
    [
        "$(echo rm) -rf / # reg add HKLM\\x C:\\a.exe",
        "`echo rm` -rf /; reg add HKLM\\x C:\\a.exe",
        "$'\\x72m' -rf / ; : $env:TEMP Get-ChildItem",
        "eval cm /x ; reg add HKLM\\x C:\\a.exe /v y",
        "x=rm; $x -rf / ; : net user C:\\a.exe",
    ],
)
def test_signs_of_windows_do_not_hide_what_a_posix_shell_would_do(text: str) -> None:
    assert Language.SHELL in shell_dialect(text)


@pytest.mark.parametrize(
    "text",
    [
        'if [ -f "x/$name" ]; then cat "x/$name"; fi',
        'grep -c a *.txt | sort -n > "build/$name.count"',
        'if [ "$a" -eq "$b" ]; then echo x; fi',
        'set -euo pipefail\nfor f in src/*.c; do\n  gcc -c "$f" && echo "ok $(date +%Y-%m-%d)"\ndone',
        "for i in 1 2 3; do curl -o f$i http://h.example/$i; done",
        "cat <<EOF > f\n$x\nEOF",
        "awk '{print $1}' f | sort | uniq -c",
        "start-stop-daemon --start --exec /usr/bin/x",
    ],
)
def test_a_posix_script_is_analysed_as_one_alone(text: str) -> None:
    assert shell_dialect(text) == (Language.SHELL,)
