"""Keys by their shape: PEM and PGP private keys, SSH, JSON web tokens, cloud secrets named by their neighbours."""

import re2

from freehold.guard.detectors.detector import ASSIGN, SPACE, Detector
from freehold.guard.detectors.examples import BASE32, BASE62, HEX, UPPER, b64url, sample
from freehold.guard.detectors.validators import (
    all_of,
    entropy_bits,
    is_identifier,
    json_web_token,
    marked,
    not_filler,
    random_token,
    varied,
)

# What stands between PEM's first line and its body: blank lines and RFC 1421 headers, escaped and quoted where it is source code.
_PEM_PREAMBLE = r"[\t-\r \"'+,#>*|\\A-Za-z0-9.:()/=-]{0,160}?"


def _begin(kind: str) -> str:
    """PEM's first line, assembled so that this file has none."""
    return f"-----BEGIN {kind}" + "-----"


_JWT = ".".join((b64url('{"alg":"HS256","typ":"JWT"}'), b64url('{"sub":"1234567890","iat":1516239022}'), sample(43)))


def _aws_secret(value: bytes) -> bool:
    """40 characters of base64; a hex digest of 40, or a path, is not one."""
    return varied(value) and entropy_bits(value) >= 4 and not (value.islower() or value.isupper() or is_identifier(value))


# Twelve to twenty-four words (BIP 39) after what says that they are a key. `boundary.py` keeps them in one unit.
PHRASE_LABEL = (
    r"(?i:mnemonic|(?:seed|recovery|secret|backup)[ _-]?(?:phrase|words))[A-Za-z_]{0,8}[\"']?(?: is)? ?[:=]{1,2}[ \n]?[\"'`]?"
)
OPEN_PHRASE = re2.compile(rf"{PHRASE_LABEL}(?:[a-z]{{3,8}} ){{1,23}}$".encode())
PHRASE_CHARS = 256  # 24 words of eight letters, and the label

KEYS = (
    Detector(
        id="recovery-phrase",
        left="",
        before=PHRASE_LABEL,
        pattern=r"[a-z]{3,8}(?: [a-z]{3,8}){11,23}",
        after=r"(?:[^A-Za-z0-9]|$)",
        confidence=0.9,
        must_match=(
            "seed phrase: ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
            'MNEMONIC="ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic"',
        ),
        must_not_match=("seed phrase: write it down", "a recovery phrase has twelve words"),
    ),
    Detector(
        id="token-settings-key",  # "Jwt": {"Key": "..."}: with what a server signs its tokens
        left="",
        before=(
            r"(?i:jwt|bearer)[A-Za-z]{0,12}[\"']?:[\t-\r ]{0,8}\{[^{}]{0,80}?"
            r"[\"'](?i:signing|secret|issuersigning)?[Kk]ey[\"']:[\t-\r ]{0,4}[\"']"
        ),
        hint=r"(?:[Ss]igning|[Ss]ecret)?[Kk]ey[\"']:",
        hint_reach_chars=8,
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|]{16,256}",
        after=r"[\"']",
        confidence=0.8,
        validator=random_token(),
        must_match=(f'"Jwt": {{\n    "Issuer": "acme",\n    "Key": "{sample(44)}"\n  }}',),
        must_not_match=(f'"Cache": {{"Key": "{sample(44)}"}}', '"Jwt": {"Key": "your-256-bit-secret-here"}'),
    ),
    Detector(
        id="private-key",
        left="",
        pattern=rf"-----BEGIN [A-Z0-9 ]{{0,24}}PRIVATE KEY(?: BLOCK)?-----{_PEM_PREAMBLE}[A-Za-z0-9+/]{{20}}",
        head=r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY",
        after="",
        confidence=1.0,
        block=True,
        must_match=(
            f"{_begin('RSA PRIVATE KEY')}\n{sample(64)}\n{sample(64)}\n{sample(30)}==\n-----END RSA PRIVATE KEY-----\n",
            f"{_begin('OPENSSH PRIVATE KEY')}\\n{sample(70)}\\n{sample(70)}\\n-----END OPENSSH PRIVATE KEY-----\\n",
            f"{_begin('PGP PRIVATE KEY BLOCK')}\nVersion: GnuPG v2\n\n{sample(64)}\n{sample(64)}\n={sample(4)}\n",
            f"{_begin('EC PRIVATE KEY')}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{sample(32, UPPER)}\n\n{sample(64)}\n",
        ),
        must_not_match=(_begin("PRIVATE KEY") + " starts such a file", _begin("CERTIFICATE") + f"\n{sample(64)}\n"),
    ),
    Detector(
        id="private-key-header",
        left=r"(?:^|[\n\r])",
        before=r"[ \t]{0,16}",
        pattern=r"-----BEGIN (?:[A-Z0-9]{1,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----",
        after=r"[\t-\r ]{0,16}$",
        confidence=0.6,  # a key without its body: cut off, or to follow
        must_match=("\n" + _begin("RSA PRIVATE KEY") + "\n", f"so:\n  {_begin('PRIVATE KEY')}\n"),
        must_not_match=(
            _begin("PRIVATE KEY") + " starts such a file",
            _begin("PUBLIC KEY") + "\n",
            _begin("PRIVATE KEY") + "\n...\n-----END PRIVATE KEY-----",
        ),
    ),
    Detector(
        id="putty-private-key",
        left="",
        before=rf"(?i:private-lines): ?[0-9]{{1,3}}{SPACE}{{1,3}}",
        pattern=r"[A-Za-z0-9+/=]{40,80}",
        confidence=0.9,
        block=True,
        validator=varied,
        must_match=(f"Private-Lines: 8\n{sample(64)}\n",),
        must_not_match=("Private-Lines: none",),
    ),
    Detector(
        id="private-key-base64",
        left="",
        pattern=r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{0,24}(?:UFJJVkFURSBL|QUklWQVRFIEtF|BSSVZBVEUgS0)[A-Za-z0-9+/]{20,}",
        after="",
        block=True,
        confidence=0.99,
        must_match=("KEY=" + "LS0tLS1CRUdJTiBS" + "U0EgUFJJVkFURSBLRVktLS0tLQ" + sample(80),),
        must_not_match=("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",),
    ),
    Detector(
        id="json-web-token",
        left="",  # its head says in base64 what it is
        pattern=r"ey[IJU][A-Za-z0-9_-]{10,800}\.ey[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]{8,}={0,2})?",
        after="",
        confidence=0.95,
        validator=all_of(not_filler, json_web_token),
        must_match=(f"token {_JWT} ok", _JWT, f"Bearer{_JWT}"),
        must_not_match=(f"eyJ{sample(30)}", "eye.eyeable", f"eyJ{sample(30)}.eyJ{sample(60)}.{sample(43)}"),
    ),
    Detector(
        id="aws-access-key",
        pattern=r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|A3T[A-Z0-9])[A-Z0-9]{16}",
        confidence=0.97,
        validator=not_filler,
        must_match=(f"aws_access_key_id = AKIA{sample(16, BASE32)}", f'"ASIA{sample(16, BASE32)}"'),
        must_not_match=("AKIA" + "IOSFODNN7EXAMPLE", f"AKIA{sample(12, BASE32)}", f"XAKIA{sample(16, BASE32)}"),
    ),
    Detector(
        id="aws-secret-key",
        left="",
        before=(
            rf"(?i:aws|amazon|secret[-_ ]?(?:access)?[-_ ]?key|(?:AKIA|ASIA)[A-Z0-9]{{16}})"
            rf"[^\n]{{0,48}}?(?:{ASSIGN}|[\"' \t,:]{{1,8}})"
        ),
        pattern=r"[A-Za-z0-9/+]{40}",
        after=r"(?:[^A-Za-z0-9/+=]|$)",
        confidence=0.92,
        validator=_aws_secret,
        must_match=(f"aws_secret_access_key = {sample(40, BASE62 + '/+')}", f'AWS_SECRET_ACCESS_KEY="{sample(40)}"'),
        must_not_match=(f"aws commit {sample(40, HEX)}", f"secret key {sample(30)}"),
    ),
    Detector(
        id="aws-secret-key-named",
        left="",
        before=rf"(?i:aws[-_. ]?secret[-_. ]?(?:access[-_. ]?)?key){ASSIGN}",
        pattern=r"[A-Za-z0-9/+]{40}",
        after=r"(?:[^A-Za-z0-9/+=]|$)",
        confidence=0.91,
        validator=marked,
        must_match=(f"aws_secret_access_key => {'a' * 40}", f"awsSecretKey: {'aB' * 20}"),
        must_not_match=(f"aws_secret_access_key = {'x' * 40}", f"aws_secret_access_key = {sample(41)}"),
    ),
    Detector(
        id="aws-account-id",
        left="",
        before=rf"(?i:aws[-_. ]?account[-_. ]?(?:id|number)){ASSIGN}",
        pattern=r"[0-9]{4}-?[0-9]{4}-?[0-9]{4}",
        confidence=0.85,  # whose the keys are; no key
        must_match=("AWS_ACCOUNT_ID=" + "3243" + "20755747", '"AwsAccountId": "' + '3243-2075-5747"'),
        must_not_match=("aws_account_id = var.account", "AWS_ACCOUNT_ID=1234567890123"),
    ),
    Detector(
        id="aws-mws-token",
        pattern=r"amzn\.mws\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        confidence=0.98,
        must_match=("amzn.mws." + "dab428a1-ed97-fd8d-e045-950d712f6f58",),
        must_not_match=("amzn.mws.none",),
    ),
    Detector(
        id="bedrock-session-key",
        pattern=r"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/=_-]{20,}",
        after="",
        confidence=0.95,
        must_match=("bedrock-api-key-" + "YmVkcm9jay5hbWF6b25hd3MuY29t" + sample(60),),
        must_not_match=("bedrock-api-key-name",),
    ),
    Detector(
        id="azure-client-secret",
        left=r"(?:^|[^A-Za-z0-9_~.-])",
        pattern=r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
        after=r"(?:[^A-Za-z0-9_~.-]|[.](?:[^A-Za-z0-9]|$)|$)",
        confidence=0.95,
        validator=varied,
        must_match=(f"abc8Q~{sample(34)}",),
        must_not_match=(f"abc8Q~{sample(20)}",),
    ),
    Detector(
        id="azure-storage-key",
        left="",
        before=rf"(?i:account[-_]?key|storage[-_]?key|sharedaccesskey|access[-_]?key|secret){ASSIGN}",
        pattern=r"[A-Za-z0-9+/]{42,86}={1,2}",
        after="",
        confidence=0.95,
        validator=varied,
        must_match=(f"AccountName=x;AccountKey={sample(86)}==;", f"SharedAccessKey={sample(43)}="),
        must_not_match=("AccountKey=[key]", "SharedAccessKey=none"),
    ),
    Detector(
        id="azure-signature",
        left="",
        before=r"[?&]sig=",
        pattern=r"[A-Za-z0-9%+/]{40,70}(?:%3D|=){0,2}",
        after="",
        confidence=0.9,
        validator=varied,
        must_match=(f"?sv=2020-08-04&sr=b&sig={sample(43)}%3D",),
        must_not_match=("?sig=abc",),
    ),
    Detector(
        id="azure-devops-token",  # the digest of a file in base32 looks the same
        left="",
        before=(
            r"(?i:azure|devops|visualstudio|vsts|(?:^|[^a-z])(?:ado|pat|tfs)[^a-z]|token)[^\n]{0,48}?"
            rf"(?:{ASSIGN}|[\"' \t,:@/]{{1,8}})"
        ),
        pattern=r"[a-z2-7]{52}",
        confidence=0.9,
        validator=lambda value: varied(value) and sum(48 <= b <= 57 for b in value) >= 3,
        must_match=(f'token = "{sample(52, "abcdefghijklmnopqrstuvwxyz234567")}"',),
        must_not_match=("token " + "a" * 52, sample(52, "abcdefghijklmnopqrstuvwxyz234567")),
    ),
    Detector(
        id="azure-devops-key",
        pattern=r"[A-Za-z0-9]{52}JQQJ9[0-9][A-Za-z0-9]{18}AZDO[A-Za-z0-9]{4}|[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4,5}",
        confidence=0.99,
        must_match=(f"{sample(52)}JQQJ99{sample(18)}AZDO{sample(4)}",),
        must_not_match=(f"{sample(52)}JQQJ99{sample(18)}AZDO",),
    ),
    Detector(
        id="discord-token",
        pattern=r"[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}",
        confidence=0.95,
        validator=varied,
        must_match=(f"M{sample(23)}.{sample(6)}.{sample(27)}",),
        must_not_match=(f"M{sample(10)}.{sample(6)}.{sample(27)}",),
    ),
    Detector(
        id="mailchimp-key",
        pattern=r"[0-9a-f]{32}-us[0-9]{1,2}",
        confidence=0.97,
        must_match=(f"{sample(32, HEX)}-us12",),
        must_not_match=(f"{sample(32, HEX)}-2",),
    ),
    Detector(
        id="mailgun-signing-key",
        pattern=r"[0-9a-h]{32}-[0-9a-h]{8}-[0-9a-h]{8}",
        confidence=0.9,
        must_match=(f"{sample(32, HEX)}-{sample(8, HEX)}-{sample(8, HEX)}",),
        must_not_match=(f"{sample(32, HEX)}-{sample(8, HEX)}",),
    ),
    Detector(
        id="salesforce-token",
        pattern=r"00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{80,200}",
        confidence=0.95,
        must_match=(f"00D{sample(12)}!{sample(96)}",),
        must_not_match=(f"00D{sample(12)}!",),
    ),
    Detector(
        id="onepassword-secret-key",
        pattern=r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
        confidence=0.97,
        validator=varied,
        must_match=(f"A3-{sample(6, UPPER)}-{sample(11, UPPER)}-{sample(5, UPPER)}-BCDE2-FGHJ3",),
        must_not_match=("A3-XXXXXX-XXXXXX-XXXXX-XXXXX-XXXXX-XXXXX",),
    ),
    Detector(
        id="sidekiq-secret",
        left="",
        before=rf"(?i:contribsys[-_.a-z]{{0,24}}){ASSIGN}",
        pattern=r"[a-f0-9]{8}:[a-f0-9]{8}",
        confidence=0.95,
        must_match=("BUNDLE_ENTERPRISE__CONTRIBSYS__COM=" + "cafeb4b3:d3adb33f",),
        must_not_match=("gems.contribsys.com:8080",),
    ),
    Detector(
        id="facebook-app-token",
        before=r"[0-9]{15,16}(?:\||%7C)",
        pattern=r"[A-Za-z0-9_-]{27}",
        after=r"(?:[^A-Za-z0-9_-]|$)",
        confidence=0.9,
        must_match=(f"911602140448729%7C{sample(27)}",),
        must_not_match=("911602140448729%7Cshort",),
    ),
    Detector(
        id="ethereum-private-key",
        left="",
        before=rf"(?i:private[-_ ]?key|privkey|secret[-_ ]?key|wallet)[^\n]{{0,24}}?(?:{ASSIGN}|{SPACE})",
        pattern=r"(?:0x)?[0-9a-fA-F]{64}",
        confidence=0.9,
        validator=varied,
        must_match=(f"private key: 0x{sample(64, HEX)}",),
        must_not_match=("private key: 0x" + "0" * 64,),
    ),
    Detector(
        id="password-hash",
        left=r"(?:^|[^A-Za-z0-9$])",
        pattern=(
            r"(?:\$(?:1|2[abxy]?|5|6|7|8|9|y|gy|apr1|argon2i?d?|scrypt|sha1|md5,rounds|krb5(?:asrep|tgs|pa))\$[A-Za-z0-9./$=+,*@:_-]{20,}"
            r"|\$[PHS]\$[A-Za-z0-9./]{31,52}|(?:pbkdf2_sha(?:1|256|512)|pbkdf2-sha256|bcrypt_sha256)\$[A-Za-z0-9./$=+-]{30,}"
            r"|\{S{0,2}SHA(?:256|512)?\}[A-Za-z0-9+/]{20,}={0,2})"
        ),
        after="",
        confidence=0.9,
        must_match=(f"$2b$12${sample(53)}", f"root:$6${sample(8)}${sample(86)}:18000:"),
        must_not_match=("$1$", "costs $1$ or $2$"),
    ),
    Detector(
        id="windows-password-hash",
        left="",
        before=r"[A-Za-z0-9$._\\-]{1,64}:[0-9]{1,10}:[A-Fa-f0-9]{32}:",  # as secretsdump and pwdump write them
        pattern=r"[A-Fa-f0-9]{32}",
        after=":",
        confidence=0.95,
        must_match=(f"Administrator:500:{sample(32, HEX)}:{sample(32, HEX)}:::",),
        must_not_match=(f"sha:500:{sample(32, HEX)}:none",),
    ),
    Detector(
        id="wireguard-key",
        left="",
        before=rf"(?:PrivateKey|PresharedKey){SPACE}{{0,2}}={SPACE}{{0,2}}",
        pattern=r"[A-Za-z0-9+/]{43}=",
        after="",
        confidence=0.95,
        must_match=(f"PrivateKey = {sample(43)}=",),
        must_not_match=("PrivateKey = <key>",),
    ),
    Detector(
        id="json-web-key",
        left="",
        before=rf"\"(?:d|k|dp|dq|qi)\"{SPACE}{{0,2}}:{SPACE}{{0,2}}\"",
        pattern=r"[A-Za-z0-9_-]{42,700}",
        after='"',
        confidence=0.9,
        validator=all_of(varied, random_token(4.0)),
        must_match=(f'{{"kty":"EC","crv":"P-256","d":"{sample(43)}","x":"{sample(43)}"}}',),
        must_not_match=('<path "d":"M10 20 L30 40"/>', f'"d": "{"ab" * 30}"'),
    ),
    Detector(
        id="google-service-account-key-id",
        left="",
        before=rf"private_key_id{ASSIGN}",
        pattern=r"[0-9a-f]{40}",
        confidence=0.8,
        validator=all_of(varied),
        must_match=(f'"private_key_id": "{sample(40, HEX)}"',),
        must_not_match=('"private_key_id": "DUMMY"',),
    ),
)
