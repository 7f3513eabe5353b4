"""Secrets inside addresses: passwords in URLs and connection strings, webhooks whose path is the key."""

import re

from freehold.guard.detectors.detector import SPACE, Detector
from freehold.guard.detectors.examples import LOWER, UPPER, sample
from freehold.guard.detectors.validators import marked, not_placeholder, typed_or_generated, typed_password, varied

_UNFILLED = re.compile(
    rb"(?i)your[-_]|replace|placeholder|redacted|change[-_]?me|^(?-i:[A-Z_]*(?:PASS|PASSWORD|PASSWD|PWD|TOKEN|SECRET))$|^x+$|^\.+$|^(?:postgres|postgresql|mysql|mongodb|guest)$"
)


def _url_password(value: bytes) -> bool:
    """Not a variable of a template, nor what documentation writes; another short plain word is still a password here."""
    return not any(mark in value for mark in (b"$", b"{", b"<", b"*", b"%s", b"%(")) and _UNFILLED.search(value) is None


CONNECTIONS = (
    Detector(
        id="url-password",
        left="",
        before=r"[A-Za-z][A-Za-z0-9+.-]{1,24}://[^\x01-\x20\"'`<>()\[\]{},;|/@:?#$]{0,80}:",
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|/@]{1,160}",
        after="@",
        confidence=0.96,
        validator=_url_password,
        must_match=("postgres://app:s3cr3t@db.internal/main", "https://bob:hunter2@example.com/x", "redis://:pw99@cache:6379"),
        must_not_match=(
            "https://example.com:8080/@user",
            "https://${USER}:${PASS}@host",
            "postgres://DB_USER:DB_PASS@db",
            "mailto:bob@example.com",
        ),
    ),
    Detector(
        id="url-user-token",
        left="",
        before=r"https?://",
        pattern=r"[A-Za-z0-9_-]{32,128}",
        after=r"(?::x-oauth-basic)?@",
        confidence=0.96,
        validator=varied,
        must_match=(f"https://{sample(40)}@github.com/o/r",),
        must_not_match=("https://someone@github.com/o/r",),
    ),
    Detector(
        id="connection-string-password",
        left="",
        before=rf"(?i:;|^|\"|'|{SPACE})(?i:password|pwd){SPACE}?={SPACE}?",
        pattern=r"[^\x01-\x20\"'`<>;{}]{3,128}",
        after=r"[;\"'&]",
        confidence=0.8,
        validator=typed_password,
        must_match=("Server=db;Database=x;User Id=sa;Password=Sup3rS3cret;Encrypt=true",),
        must_not_match=("Server=db;Password={password};", "Password=*****;"),
    ),
    Detector(
        id="connection-string-word",
        left="",
        before=(
            r"(?i:(?:server|data source|host|user id|uid|database|initial catalog|network library|username|user)=[^=\n\r]{1,60};"
            rf"{SPACE}?(?:[a-z _]{{1,24}}=[^=;\n\r]{{1,40}};{SPACE}?){{0,2}}(?:password|pwd)=)"
        ),
        hint=r"(?i:password|pwd)=",
        pattern=r"[^\x01-\x20\"'`<>;{}()#$%*,]{3,128}",
        after=r"(?:[;\"'\n\r ]|$)",
        confidence=0.79,
        must_match=("Server=db;Database=x;User Id=sa;Password=swordfish", "Data Source=db,1433;Uid=bob;Pwd=swordfish"),
        must_not_match=("Server=db;Password={password};", "Server=db;User Id=sa;Password=$PASSWORD;"),
    ),
    Detector(
        id="softlayer-address-key",
        left="",
        before=r"api\.softlayer\.com/soap/v3(?:\.1)?/",
        pattern=r"[a-z0-9]{64}",
        confidence=0.95,
        validator=marked,
        must_match=(f"http://api.softlayer.com/soap/v3.1/{sample(64, LOWER)}",),
        must_not_match=("http://api.softlayer.com/soap/v3/SoftLayer_Account",),
    ),
    Detector(
        id="slack-webhook",
        left="",
        before=r"hooks\.slack\.com/(?:services|workflows|triggers)/",
        pattern=r"[A-Za-z0-9+/]{40,80}",
        after="",
        confidence=0.97,
        validator=lambda value: marked(value[-24:]),
        must_match=(f"https://hooks.slack.com/services/T{sample(8, UPPER)}/B{sample(8, UPPER)}/{sample(24)}",),
        must_not_match=("https://hooks.slack.com/services/", "https://hooks.slack.com/services/TXXXX/BXXXX/XXXX"),
    ),
    Detector(
        id="discord-webhook",
        left="",
        before=r"discord(?:app)?\.com/api/webhooks/[0-9]{16,20}/",
        pattern=r"[A-Za-z0-9_-]{60,80}",
        after="",
        confidence=0.97,
        must_match=(f"https://discord.com/api/webhooks/123456789012345678/{sample(68)}",),
        must_not_match=("https://discord.com/api/webhooks/123456789012345678/short",),
    ),
    Detector(
        id="teams-webhook",
        left="",
        before=r"(?:[a-z0-9-]{1,40}\.webhook|outlook)\.office(?:365)?\.com/webhook(?:b2)?/",
        pattern=r"[A-Za-z0-9@/-]{60,240}",
        after="",
        confidence=0.95,
        validator=not_placeholder,
        must_match=(
            f"https://corp.webhook.office.com/webhookb2/{sample(36, LOWER)}@{sample(36, LOWER)}/IncomingWebhook/{sample(32)}",
        ),
        must_not_match=("https://outlook.office.com/webhook/",),
    ),
    Detector(
        id="automation-webhook",  # Zapier, Make, Pipedream, Google Chat: whoever has the address may call it
        left="",
        before=(
            r"(?:hooks\.zapier\.com/hooks/(?:catch|standard)/(?:[0-9]{4,12}/)?|hook\.[a-z0-9]{2,4}\.make\.com/"
            r"|chat\.googleapis\.com/v1/spaces/[A-Za-z0-9_-]{8,16}/messages\?key=[A-Za-z0-9_-]{39}&token=)"
        ),
        pattern=r"[A-Za-z0-9_-]{6,120}",
        after="",
        confidence=0.9,
        validator=varied,
        must_match=(
            f"https://hooks.zapier.com/hooks/catch/1234567/{sample(7, LOWER)}/",
            f"https://hook.eu1.make.com/{sample(32, LOWER)}",
        ),
        must_not_match=("https://hooks.zapier.com/hooks/catch/", "https://hook.eu1.make.com/xxxxxxxxxxxx"),
    ),
    Detector(
        id="thingsboard-device-token",
        left="",
        before=r"thingsboard\.(?:cloud|io)(?::[0-9]{2,5})?/api/v1/",
        pattern=r"[a-z0-9]{20}",
        confidence=0.95,
        validator=marked,
        must_match=(f"https://thingsboard.cloud/api/v1/{sample(20, LOWER)}/telemetry",),
        must_not_match=("https://thingsboard.cloud/api/v1/telemetry", f"https://thingsboard.cloud/api/v1/{'x' * 20}/telemetry"),
    ),
    Detector(
        id="query-secret",
        left="",
        before=r"[?&](?i:(?:x-[a-z]{2,4}-)?signature|access_token|api_?key|apikey|auth|token|key|secret|client_secret|password|sig|code|subscription-key)=",
        pattern=r"[A-Za-z0-9._~%+/=-]{16,}",
        after="",
        confidence=0.8,
        validator=varied,
        must_match=(f"https://api.example.com/v1?api_key={sample(32)}",),
        must_not_match=("https://example.com/?key=abc", "?token=xxxxxxxxxxxxxxxxxxxxxxxx"),
    ),
    Detector(
        id="query-password",
        left="",
        before=r"[?&](?i:[a-z_]{0,16}(?:password|passwd|pwd))=",
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|&#]{5,128}",
        after=r"(?:[&#\x01-\x20\"'`<>)]|$)",
        confidence=0.7,
        validator=typed_or_generated,
        must_match=("jdbc:mysql://db/x?user=app&password=swordFish_9&useSSL=false", "curl 'https://x.org/?pwd=Sw0rdf1sh99'"),
        must_not_match=("https://x.org/?user=bob&password=wrong", "?password=password1&x", "?password=$PASS&x"),
    ),
    Detector(
        id="npmrc-auth-token",
        left="",
        before=r"(?i::_authtoken|:_auth|:_password)[ \t]?=[ \t]?",
        pattern=r"[A-Za-z0-9+/=_-]{16,400}",
        after="",
        confidence=0.95,
        validator=varied,
        must_match=("//registry.example.com/:_authToken=" + "743b294a-cd03-11ec-9d64-0242ac120002",),
        must_not_match=("//registry.example.com/:_authToken=${NPM_TOKEN}",),
    ),
    Detector(
        id="netrc-password",
        left="",
        before=rf"(?i:machine{SPACE}{{1,4}}[^\x01-\x20]{{1,80}}{SPACE}{{1,8}}login{SPACE}{{1,4}}[^\x01-\x20]{{1,80}}{SPACE}{{1,8}}password{SPACE}{{1,4}})",
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|]{3,128}",
        after="",
        confidence=0.9,
        validator=typed_password,
        must_match=("machine api.example.com\n  login bob\n  password s3cret99\n",),
        must_not_match=("machine learning and a login with a password",),
    ),
    Detector(
        id="database-cli-password",
        left="",
        before=(
            rf"(?i:(?:mysql|mysqldump|mysqladmin|mariadb)[^\n|;&]{{0,100}}{SPACE}-p"
            rf"|(?:mongo|mongosh|sshpass|psexec(?:\.exe)?|docker{SPACE}login|rdesktop|7z)[^\n|;&]{{0,100}}{SPACE}-p{SPACE}?)[\"']?"
        ),
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|-][^\x01-\x20\"'`<>()\[\]{},;|]{3,80}",
        after="",
        confidence=0.75,
        validator=typed_password,
        must_match=("mysql -u root -ps3cret99 shop", "sshpass -p hunter22 ssh bob@host"),
        must_not_match=("mysql -u root -p $PASSWORD shop", "docker run -p 8080:80 image", "mysql -u root -p mydb"),
    ),
    Detector(
        id="oracle-password",
        left="",
        before=r"(?i:(?:sqlplus|rman|expdp|impdp|sqlldr)[^\n|;&/]{0,40}[\t ]|oracle:(?:thin|oci):)[A-Za-z][A-Za-z0-9_]{0,30}/",
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|/@]{3,64}",
        after="@",
        confidence=0.8,
        validator=_url_password,
        must_match=("sqlplus scott/T1gerPw99@db", "jdbc:oracle:thin:scott/T1gerPw99@//db:1521/x"),
        must_not_match=("sqlplus scott/$PASS@db", "jdbc:oracle:thin:@//db:1521/x"),
    ),
)
