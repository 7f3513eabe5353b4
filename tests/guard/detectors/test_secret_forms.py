"""One password and one key in the forms that files, programs and people write them in; and what stands there instead of one."""

import pytest

from freehold.guard.detectors.examples import HEX, sample
from freehold.guard.matcher import Engine
from tests.guard.playing import ENGINES, guard, said

PASSWORD = "Sw0rdf1sh99"
KEY = sample(32)

FORMS = (
    f"set DB_PASSWORD={PASSWORD}\r\n",
    f'$env:API_KEY = "{KEY}"\n',
    f"ENV DB_PASSWORD {PASSWORD}\n",
    f"ARG NPM_TOKEN={KEY}\n",
    f"env:\n  API_KEY: {KEY}\n",
    f"password = <<EOT\n{PASSWORD}\nEOT\n",
    f"  api_key: |\n    {KEY}\n",
    f"  db_password: >-\n    {PASSWORD}\n",
    f'variable "db_password" {{\n  type = string\n  default = "{PASSWORD}"\n}}\n',
    f"{{&quot;password&quot;: &quot;{PASSWORD}&quot;}}",
    f"&lt;password&gt;{PASSWORD}&lt;/password&gt;",
    rf'{{"body": "{{\"password\": \"{PASSWORD}\"}}"}}',
    rf'{{"body": "{{\\\"password\\\": \\\"{PASSWORD}\\\"}}"}}',
    rf'{{"body": "{{\\\"api_key\\\": \\\"{KEY}\\\"}}"}}',
    f"machine api.example.com\nlogin bob\npassword {PASSWORD}\n",
    f'define("DB_PASSWORD", "{PASSWORD}");',
    f'client.setPassword("{PASSWORD}")',
    f'<input type="password" value="{PASSWORD}">',
    f"jdbc:oracle:thin:scott/{PASSWORD}@//db:1521/x",
    f"contraseña: {PASSWORD}\n",
    f"GITHUB_PAT={sample(40, HEX)}\n",
    f"const key_secret: string = '{PASSWORD}';",
    f"- name: DB_PASSWORD\n  value: {PASSWORD}\n",
    f"<key>dbPassword</key>\n<string>{PASSWORD}</string>",
    f"das Kennwort für die Ablage lautet {PASSWORD}, bitte",
    f"пароль от сервера: {PASSWORD}",
    f"数据库密码是{PASSWORD}，请勿外传",
    f"логин admin, пароль {PASSWORD}",
    f"서버 비밀번호: {PASSWORD}",
    f"كلمة المرور هي {PASSWORD}",
    f"login for the shop: bob@analytical-engine.org / {PASSWORD}",
    f"$ vault kv get -field=password secret/db\n{PASSWORD}\n",
    f"jwt.encode(claims, '{PASSWORD}', algorithm='HS256')",
)

NO_SECRETS = (
    'password = os.environ["DB_PASSWORD"]\n',
    "token: ${{ secrets.GITHUB_TOKEN }}\n",
    "password: !Ref DBPassword\n",
    "password: vault:secret/data/db#password\n",
    'tokenizer = "cl100k_base_v2"\n',
    'secret_name = "prod-db-credentials-v2"\n',
    "token_count = 1234567890123\n",
    "Passwort: siehe Wiki\n",
    "Mot de passe : voir le wiki\n",
    "api_key: 1234567890abcdef1234567890abcdef\n",
    "redis://guest:guest@localhost:6379",
    "mysql -u root -p mydb\n",
    f'"integrity": "sha512-{sample(86)}=="\n',
    f"docker pull nginx@sha256:{sample(64, HEX)}\n",
    f"use ghp_{sample(35)} here\n",
    f"use ghp_{'x' * 36} here\n",
    f"use pk_live_{sample(24)} here\n",
    "das Passwort ist 12-stellig und läuft in 90 Tagen ab\n",
    "пароль должен содержать 8 символов\n",
    "密码不能为空\n",
    "- name: DB_PASSWORD\n  value: $(DB_PASSWORD)\n",
    'password: str = Field(default="")\n',
    "login at https://example.com/a1 / b2\n",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_masked_in_any_form_and_cut_anywhere(text: str, engine: Engine) -> None:
    whole, findings = said(guard(engine), [f"see\n{text}\nso"])
    assert any(finding.category == "credential" for finding in findings)
    assert PASSWORD not in whole
    assert KEY not in whole
    assert said(guard(engine), list(f"see\n{text}\nso"))[0] == whole


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_stands_in_a_secrets_place_is_none(text: str) -> None:
    assert not [finding.rule for finding in guard("re2").check(text).findings if finding.category == "credential"]
