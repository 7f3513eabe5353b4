"""Secrets known by what stands before them: `password = "..."`, `Authorization: Bearer ...`, `-u user:password`."""

from freehold.guard.detectors.detector import ASSIGN, SPACE, Detector
from freehold.guard.detectors.examples import HEX, sample
from freehold.guard.detectors.validators import (
    all_of,
    names_secret,
    not_filler,
    not_placeholder,
    quoted_password,
    random_token,
    typed_password,
)

QUOTED_CHARS = 200  # the longest passphrase that is held back to its closing quote

_NAME_OF_KEY = (
    r"(?i:secret|token|session|credentials?|creds|_auth|auth[-_]|[a-z]key|[-_]key|reporter[-_. ]?id"
    r"|(?:api|access|private|client|auth(?:entication|orization)?|signing|encryption|license|account|shared|master|consumer|app"
    r"|deploy|service|session|storage|webhook|write)[-_. ]?key)"
)
_NAME_OF_WORD = r"(?i:passw(?:or)?d|passwd|passphrase|pwd|[-_]pass|[-_]pw|pass)"
_MORE = r"[A-Za-z0-9_.\-]{0,32}"  # the rest of the name: `token_value`, `API_KEY_PROD`
_VALUE = r"[^\x01-\x20\"'`<>()\[\]{},;|]"

QUOTED_CREDENTIAL = (
    rf"(?:{_NAME_OF_WORD}|(?i:secret|token|api[-_]?key)){_MORE}[\"'`\])]{{0,2}}{SPACE}{{0,4}}"
    rf"(?:=>|:=|={{1,3}}|!=|:|,){SPACE}{{0,4}}\\?[\"'`]"
)

GENERIC = (
    Detector(
        id="secret-assignment",
        left="",
        before=rf"{_NAME_OF_KEY}{_MORE}{ASSIGN}",
        pattern=rf"{_VALUE}{{12,512}}",
        after="",
        confidence=0.7,
        context=names_secret,
        validator=random_token(),
        must_match=(
            f"my_token = '{sample(32)}'",
            f'{{"client_secret": "{sample(40, HEX)}"}}',
            f"<serviceToken>\n  {sample(30)}\n</serviceToken>",
            f"API_KEY={sample(24)}",
            f'System.setProperty("APP_TOKEN", "{sample(28)}")',
        ),
        must_not_match=(
            "token = get_token_from_environment()",
            "api_key = ${API_KEY}",
            "secret_key: your-secret-key-goes-here-123",
            "key = item.name",
            "credentialsId: '29f63271-dc2f-4734-8221-5b31b5169bac'",
            "user_key: d2db5ec4-6e7a-11ee-b962-0242ac120002",
            "api_key: abcdefghijklmnopqrstuvwxyz123456",
        ),
    ),
    Detector(
        id="password-quoted",
        left="",
        before=rf"{_NAME_OF_WORD}{_MORE}[\"'`\])]{{0,2}}{SPACE}{{0,4}}(?:=>|:=|={{1,3}}|!=|:){SPACE}{{0,4}}\\?[\"'`]",
        pattern=rf"[^\"'`\n\r\\]{{4,{QUOTED_CHARS}}}",
        after=r"\\?[\"'`]",
        confidence=0.65,
        validator=quoted_password,
        must_match=(
            'password = "super$ecret9"',
            "DB_PASSWORD: 'correct horse battery'",
            '"password": "Tr0ub4dor&3"',
            'pwd="a(b)[c],d;e 9"',
        ),
        must_not_match=(
            'password = ""',
            'password = "your_password"',
            'password: "Enter your password:"',
            "password = '${DB_PASSWORD}'",
            'append("Password: " + password() + "!")',
            "password: '/account/reset/password'",
        ),
    ),
    Detector(
        id="password-assignment",
        left="",
        before=rf"{_NAME_OF_WORD}[A-Za-z0-9_]{{0,24}}(?:=|:{SPACE}{{0,4}}|[ \t]{{1,4}}={{1}}[ \t]{{0,4}})",
        pattern=rf"{_VALUE}{{6,128}}",
        after="",
        confidence=0.55,
        validator=all_of(typed_password, random_token(2.0)),
        must_match=("DB_PASSWORD=hunter2abc", "password: s3cr3tpw", "passwd = Pa55word99"),
        must_not_match=("password=get_password(user)", "password = None", "password: string", "PASSWORD=$DB_PASS"),
    ),
    Detector(
        id="password-said",
        left="",
        before=(
            rf"(?i:password|passphrase|passcode){SPACE}{{1,3}}(?:for{SPACE}[^\n]{{1,32}}?{SPACE})?(?:is|was|to)"
            rf"(?:{SPACE}set{SPACE}to)?:?{SPACE}{{1,3}}[\"'`]?"
        ),
        pattern=rf"{_VALUE}{{6,128}}",
        after="",
        confidence=0.55,
        validator=all_of(typed_password, random_token(2.0)),
        must_match=("the password is hunter2abc", 'my password is "Tr0ub4dor3" now'),
        must_not_match=("the password is required", "the password is incorrect", "the password is too short"),
    ),
    Detector(
        id="authorization-header",
        left="",
        before=(
            rf"(?i:authorization|proxy-authorization)[\"']{{0,2}}{SPACE}{{0,4}}[:=,]{SPACE}{{0,4}}[\"']?"
            rf"(?i:bearer|basic|token|apikey|api-key|bot|ntlm|digest)?{SPACE}{{1,4}}(?i:token{SPACE})?"
        ),
        pattern=r"[A-Za-z0-9._~+/=:-]{12,}",
        after="",
        confidence=0.85,
        validator=all_of(not_placeholder, random_token(2.8)),
        must_match=(
            f"Authorization: Bearer {sample(40)}",
            f'-H "Authorization: Basic {sample(24)}"',
            f"'Authorization': 'Token {sample(40, HEX)}'",
        ),
        must_not_match=(
            "Authorization: Bearer $TOKEN",
            "Authorization: Bearer YOUR_ACCESS_TOKEN",
            "Authorization: Bearer <token>",
        ),
    ),
    Detector(
        id="bearer-token",
        before=rf"(?i:bearer){SPACE}{{1,3}}",
        pattern=r"[A-Za-z0-9._~+/=-]{20,}",
        after="",
        confidence=0.75,
        validator=random_token(3.4),
        must_match=(f"use Bearer {sample(40)} here",),
        must_not_match=("bearer of good news indeed", "Bearer authentication-middleware-2"),
    ),
    Detector(
        id="key-header",
        left="",
        before=(
            rf"(?i:x-[a-z-]{{0,24}}(?:key|token|auth|secret)|api-key|private-token){SPACE}{{0,2}}[\"']?:"
            rf"{SPACE}{{0,4}}[\"']?(?i:token{SPACE})?"
        ),
        pattern=rf"{_VALUE}{{10,512}}",
        after="",
        confidence=0.75,
        validator=random_token(2.8),
        must_match=(f"X-Api-Key: {sample(32)}", f'-H "PRIVATE-TOKEN: {sample(20)}"'),
        must_not_match=("X-Api-Key: $API_KEY", "X-API-Key: your-api-key-123"),
    ),
    Detector(
        id="command-line-password",
        left=r"(?:^|[\t\n\r ])",
        before=rf"(?:-u|--user|--proxy-user)[ =]?{SPACE}{{0,2}}[\"']?[^\x01-\x20\"':<>$]{{1,64}}:",
        pattern=r"[^\x01-\x20\"'`<>|]{3,128}",
        after="",
        confidence=0.75,
        validator=all_of(typed_password, not_filler),
        must_match=("curl -u admin:s3cret9 https://example.com", "curl --user 'bob:hunter22' https://example.com"),
        must_not_match=(
            "curl -u user:password https://example.com",
            "curl -u $USER:$PASS https://example.com",
            "docker run -u 1000:100 image",
        ),
    ),
    Detector(
        id="session-cookie",
        before=r"(?i:_gitlab_session|sessionid|phpsessid|jsessionid|connect\.sid|_session_id|auth_token|laravel_session)=",
        left="",
        pattern=r"[A-Za-z0-9%._~+/-]{16,512}",
        after="",
        confidence=0.75,
        validator=random_token(3.0),
        must_match=(f"Cookie: sessionid={sample(32)}; theme=dark",),
        must_not_match=("sessionid=request.session.get", "JSESSIONID=xxxxxxxxxxxxxxxxxxxx"),
    ),
)
