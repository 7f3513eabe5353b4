"""Secrets known by what stands before them: `password = "..."`, `Authorization: Bearer ...`, `X-Api-Key: ...`.

A name alone says little: `token = next_token` is code. So the value decides too (`validators.py`): what a generator made, or
what a person may have typed where a password stands.
"""

from freehold.guard.detectors.detector import ASSIGN, SPACE, Detector
from freehold.guard.detectors.examples import HEX, sample
from freehold.guard.detectors.labels import CLOSE, CLOSE_CHARS, hint, label, labelled, words
from freehold.guard.detectors.validators import (
    all_of,
    complex_password,
    entropy_bits,
    names_password,
    names_secret,
    not_identifier,
    not_pair_of_placeholders,
    not_placeholder,
    quoted_password,
    quoted_secret,
    random_token,
    said_password,
    typed_or_generated,
    typed_password,
    varied,
)

QUOTED_CHARS = 400  # the longest passphrase that is held back to its closing quote

_NAME_OF_KEY = (
    r"(?i:secret|token|session|credentials?|creds|_auth|auth[-_]|[a-z]key|[-_ ]key|reporter[-_. ]?id"
    r"|(?:api|access|private|client|auth(?:entication|orization)?|signing|encryption|license|account|shared|master|consumer|app"
    r"|deploy|service|session|storage|webhook|write)[-_. ]?key|access[-_]?id|client[-_]?id)"
)
_NAME_OF_WORD = r"(?i:passw(?:or)?d|passwd|passphrase|passcode|pwd|[-_]pass|[-_]pw|pass)"
_MORE = r"[A-Za-z0-9_.\-]{0,32}"  # the rest of the name: `token_value`, `API_KEY_PROD`
_FIRST = r"[^\x01-\x20\"'`<>()\[\]{},;|:=.]"  # of a value after a colon
VALUE = r"[^\x01-\x20\"'`<>()\[\]{},;|]"
_IN_QUOTES = r"[^\"'`\n\r\\]"
_AT_END = r"[^\"'`\n\r\\ ]"  # a blank before the closing quote is the backslash that escapes it (`fold.py`)
_ESCAPED = r"\\{0,6}"  # JSON in JSON: of each quote, the last backslash is folded to a blank
_SET = (
    rf"{_ESCAPED}{SPACE}?[\"'`\])]{{0,2}}{SPACE}{{0,16}}(?:=>|:=|(?:\|\||\?\??)?={{1,3}}|!=|:){SPACE}{{0,8}}"
    rf"(?:(?:String::from|Some|bytes|str)\()?(?:{_ESCAPED} )?@?"
)
_SEPARATOR = _SET.replace("|:)", "|:|,)").replace("{0,8}", "{0,12}")
# YAML's block, a shell's or Terraform's document: the value is on the next line
_LONGER = r"(?:[|>][+-]?|<<[~-]?[\"']?[A-Z]{2,8}[\"']?)[ \t]{0,2}[\n\r]{1,2}[ \t]{0,16}"

# `secret: string = '`, `token: &str = "`
_TYPED = rf":{SPACE}?&?(?:'static{SPACE})?[A-Za-z][A-Za-z0-9_.<>|\[\] ]{{0,24}}?{SPACE}?={SPACE}{{0,4}}[A-Za-z]{{0,2}}[\"'`]"

QUOTED_CREDENTIAL = (
    rf"(?:{_NAME_OF_WORD}|(?i:secret|token|api[-_]?key|(?:auth|logged_in|nonce)_(?:key|salt))){_MORE}{_SEPARATOR}[\"'`]"
)

PASSWORDS = words(
    "passwort, kennwort, zugangscode, contraseña, contrasenya, clave, mot de passe, mdp, code wifi, clé wifi, senha, "
    "palavra-passe, wachtwoord, "
    "lösenord, lösenordet, passordet, adgangskoden, passord, adgangskode, salasana, lykilorð, hasło, hasłem, heslo, "
    "heslem, jelszó, parola, parole, lozinka, geslo, slaptažodis, parool, şifre, şifresi, kata sandi, mật khẩu, "
    "la password, il password, пароль, паролем, пароля, парола, лозинка, κωδικός, συνθηματικό, პაროლი, գաղտնաբառ, 密码:, "
    "密码是, 密码为, 密碼:, 密碼是, パスワード, 暗証番号, 비밀번호, 패스워드, 비번은, 비번:, كلمة المرور, كلمة السر, گذرواژه, "
    "رمز عبور, סיסמה, סיסמא, पासवर्ड, "
    "পাসওয়ার্ড, รหัสผ่าน"
)
_CODES = words(
    "verification code, one-time code, one-time password, one-time passcode, OTP, OTP code, 2FA code, MFA code, TAN, login code, "
    "sign-in code, authentication code, confirmation code, activation code, Bestätigungscode, Verifizierungscode, "
    "Sicherheitscode, code de vérification, code de confirmation, código de verificación, codice di verifica, "
    "código de verificação, verificatiecode, kod weryfikacyjny, verifieringskod, doğrulama kodu, kode verifikasi, "
    "код подтверждения, код подтвердження, 验证码, 驗證碼, 認証コード, 確認コード, 인증번호, 인증 코드"
)
# what the password is for, then a colon, a dash or "is"
_SAID = (
    r"(?:[^A-Za-z0-9\n:=][^\n:=\"]{0,40}?)??[\"']?[\t ]{0,2}"
    r"(?:[:=]| -| \(| c'est| (?:is|ist|lautet|war|est|es|e|era|sera|jest|je|ar|er|is nu|on|to|yra|adalah|la|olan))[\t-\r ]{0,3}"
)

GENERIC = (
    Detector(
        id="secret-assignment",
        left="",
        before=rf"(?:{_NAME_OF_KEY}{_MORE}|[-_](?i:pat))(?:{ASSIGN}|{_TYPED}|\\{{1,6}} [\"']:{SPACE}{{0,4}}\\{{1,6}} [\"'])",
        pattern=rf"{VALUE}{{12,}}",
        after=r"(?:[\x01-\x20\"'`<>)\]{},;|]|$)",  # no bracket opens: that is a call
        confidence=0.7,
        context=names_secret,
        validator=all_of(random_token(), not_identifier),
        must_match=(
            f"CR_PAT={sample(40, HEX)}",
            f"my_token = '{sample(32)}'",
            f'{{"client_secret": "{sample(40, HEX)}"}}',
            f"<serviceToken>\n  {sample(30)}\n</serviceToken>",
            f"API_KEY={sample(24)}",
            f"const JWT_SECRET: string = '{sample(32)}';",
            f'let token: &str = "{sample(32)}";',
            f'System.setProperty("APP_TOKEN", "{sample(28)}")',
            f"buildConfigField 'String', 'API_KEY', '\"{sample(32, HEX)}\"'",
        ),
        must_not_match=(
            "token = get_token_from_environment()",
            "api_key = ${API_KEY}",
            "secret_key: your-secret-key-goes-here-123",
            "key = item.name",
            "credentialsId: '29f63271-dc2f-4734-8221-5b31b5169bac'",
            "user_key: d2db5ec4-6e7a-11ee-b962-0242ac120002",
            "api_key: abcdefghijklmnopqrstuvwxyz123456",
            f"public_key = {sample(40)}",
            f"STRIPE_PUBLISHABLE_KEY=pk_live_{sample(24)}",
            f"host_key_sha256 = {sample(64, HEX)}",
            f'"nextPageToken": "{sample(40)}"',
            f'api_key = "abcd{sample(12)}1234567890"',
            "key_bytes = base64.urlsafe_b64decode(master_key)",
            "from keys import X25519PrivateKey, X25519PublicKey",
            "KEY_TYPES = (KEY_TYPE_ECDSA, KEY_TYPE_ED25519)",
            "sign(private_key, hashes.SHA256())",
            "client(api_key=api_key, use_sigv4=use_sigv4)",
            "password: arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
        ),
    ),
    Detector(
        id="secret-quoted",
        left="",
        before=rf"(?i:secret|api[-_]?key|auth[-_]?key|secret[-_]?key)(?:{_SET}[\"'`]|{_TYPED})",
        head=rf"{_IN_QUOTES}{{8}}",
        pattern=rf"{_IN_QUOTES}{{7,{QUOTED_CHARS - 1}}}{_AT_END}",
        after=r" ?[\"'`]",
        confidence=0.6,
        context=names_secret,
        validator=quoted_secret,
        must_match=('jwt_secret: "production#shoes;4"', "if creds.Secret != 'open-sesame' {", 'apikey = "a{b)c]d$e!f9"'),
        must_not_match=(
            'secret = "shared"',
            'secret: "db-credentials"',
            'api_key = "${API_KEY}"',
            'apiKey: "Enter the key, please"',
            "secret = '/run/secrets/db'",
            'HEADERS = ("api-key", "openai-organization")',
        ),
    ),
    Detector(
        id="password-quoted",
        left="",
        before=rf"{_NAME_OF_WORD}{_MORE}(?:{_SET}[\"'`]|{_TYPED})",
        head=rf"{_IN_QUOTES}{{4}}",
        pattern=rf"{_IN_QUOTES}{{3,{QUOTED_CHARS - 1}}}{_AT_END}",
        after=rf"{_ESCAPED} ?[\"'`]",
        context=names_password,
        confidence=0.65,
        validator=quoted_password,
        must_match=(
            'password = "super$ecret9"',
            "DB_PASSWORD: 'correct horse battery'",
            '"password": "Tr0ub4dor&3"',
            'pwd="a(b)[c],d;e 9"',
            r"{\"password\": \"Tr0ub4dor&3\"}",
            r"{\\\"password\\\": \\\"Tr0ub4dor&3\\\"}",
            "password = 'Hunter2!!'",
            'password: str = "Hunter2!!"',
            "ENV['DB_PASSWORD'] ||= 'gT7kq29Lz'",
            'let password = String::from("gT7#kq29Lz!");',
        ),
        must_not_match=(
            'password = ""',
            'password = "your_password"',
            'password: "Enter your password:"',
            "password = '${DB_PASSWORD}'",
            'append("Password: " + password() + "!")',
            "password: '/account/reset/password'",
            'password = "<password>"',
            "password: 'Passwords do not match!'",
            '"password_mismatch": "The two passwords do not match."',
            "const password = 'Password used to generate a key'",
            'passwordHashAlgorithm = "PBKDF2WithHmacSHA512"',
            "'password' => 'required|min:8|confirmed'",
            '"minipass": "^7.1.1"',
            '"AWS::EC2::EIPAssociation": "a267820d6250f189"',
            f'"password": "ENC[AES256_GCM,data:{sample(16)},type:str]"',
        ),
    ),
    Detector(
        id="password-assignment",
        left="",
        before=rf"{_NAME_OF_WORD}[A-Za-z0-9_]{{0,24}}(?:=|:{SPACE}{{0,4}}|[ \t]{{1,4}}={{1}}[ \t]{{0,4}})",
        pattern=rf"{VALUE}{{6,128}}",
        after="",
        confidence=0.55,
        context=names_password,
        validator=said_password,
        must_match=("password=hunter2abc", "password: s3cr3tpw", "passwd = Pa55word99"),
        must_not_match=(
            "Korean passport: M456B7890",
            "password=get_password(user)",
            "password = None",
            "password: string",
            "PASSWORD=$DB_PASS",
        ),
    ),
    Detector(
        id="password-variable",
        left=r"(?:^|[\n\r \"'])",
        before=r"(?:(?:[A-Z][A-Z0-9]{0,24}_){1,5}|PG|SSH)(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PWD)=[\"']?",
        pattern=rf"{VALUE}{{5,128}}",
        after=r"(?:[\t\n\r \"']|$)",
        confidence=0.6,
        validator=typed_password,
        must_match=(
            "REACT_APP_AUTH_PASS=whiteduke\n",
            "docker run -e MYSQL_ROOT_PASSWORD=swordfish mysql",
            "export DB_PWD=opensesame",
            "PGPASSWORD=opensesame psql -h db",
        ),
        must_not_match=("DB_PASSWORD=changeme", "DB_PASSWORD=$SECRET", "SMTP_PASSWORD=smtp_password", "PASSWORD=password"),
    ),
    Detector(
        id="password-with-user",
        left=r"(?:^|[\n\r{,])",
        before=(
            r"[ \t]{0,8}[A-Za-z0-9_.\-]{0,16}(?i:user(?:[-_]?name|[-_]?id)?|login|account)[ \t]{0,8}[=:][ \t]{0,8}"
            r"[^\n\r=,]{1,40},?[\n\r]{1,2}(?:[ \t]{0,8}(?:#|//|;)[^\n\r]{0,32}[\n\r]{1,2}){0,2}"
            r"[ \t]{0,8}[A-Za-z0-9_.\-]{0,16}(?i:password|passwd|pwd|pass)[ \t]{0,8}[=:][ \t]{0,8}"
        ),
        hint=r"(?i:password|passwd|pwd|pass)[ \t]{0,8}[=:]",
        hint_reach_chars=8,
        pattern=rf"{VALUE}{{5,64}}",
        after=r"[ \t]{0,4}(?:[\n\r]|$)",
        confidence=0.6,
        validator=typed_password,
        must_match=("\nuser = Aladdin\npassword = open_sesame\n", "[site]\nUsername=joe17\n# mine\nPassword=blueberrypie"),
        must_not_match=("user = request.user\npassword = request.password\n", "username: string\npassword: string\n"),
    ),
    Detector(
        id="password-said",
        left="",
        before=(
            rf"(?:(?i:password|pass[- ]?phrase|passcode|\bpw|\bpwd)(?:{SPACE}(?:for|of|on|to|in|at|from){SPACE}[^\n:=]{{1,40}}?)?"
            rf"(?:{SPACE}{{1,3}}(?:is|was|to)(?:{SPACE}(?:now|set{SPACE}to))?:?|{SPACE}?[:=]){SPACE}{{1,3}}[\"'`]?"
            rf"|(?i:password|passphrase|passcode)'s{SPACE})"
        ),
        pattern=rf"{VALUE}{{6,128}}",
        after="",
        confidence=0.55,
        validator=said_password,
        must_match=(
            "the password is hunter2abc",
            'my password is "Tr0ub4dor3" now',
            "Password for the archive: hunter2abc.",
            "the password of the guest wifi is now hunter2abc",
        ),
        must_not_match=("the password is required", "the password is incorrect", "the password is too short"),
    ),
    Detector(
        id="password-said-in-quotes",
        left="",
        before=(
            rf"(?i:password|passphrase|passcode|passwort|pin){SPACE}{{1,3}}(?i:for{SPACE}[^\n]{{1,48}}?{SPACE})?(?i:is|was|=)"
            rf"(?i:{SPACE}set{SPACE}to)?:?{SPACE}{{1,3}}[\"'`]"
        ),
        pattern=rf"{VALUE}{{4,64}}",
        after=r"[\"'`]",
        confidence=0.55,
        validator=typed_password,
        must_match=("The default Password is 'blooberry'", 'the password for user "bob" is "centipede" here'),
        must_not_match=("the password is 'required'", 'if the password is "password" it is weak'),
    ),
    Detector(
        id="secret-below",
        left="",
        before=(
            rf"(?:{_NAME_OF_WORD}|(?i:secret|token|[-_]key|apikey))[A-Za-z0-9_-]{{0,16}}[\"']?"
            rf"[ \t]{{0,4}}[:=][ \t]{{0,4}}{_LONGER}"
        ),
        pattern=rf"{VALUE}{{6,256}}",
        after=r"(?:[\t-\r ]|$)",
        confidence=0.7,
        context=lambda before: names_secret(before) and names_password(before),
        validator=typed_or_generated,
        must_match=(
            f"  api_key: |\n    {sample(40)}\n",
            "password: >-\n  Sw0rdf1sh99!\n",
            "  db_password = <<EOT\nhunter2abc\nEOT\n",
        ),
        must_not_match=("token: |\n  Tokens are written here\n", "password: |\n  ${DB_PASSWORD}\n"),
    ),
    Detector(
        id="password-call",
        left=r"(?:^|[^A-Za-z0-9_])",
        before=r"(?:(?i:set|with|use|user|admin|db)_?)?(?i:password|passwd|passphrase)\([\"']",
        pattern=rf"{VALUE}{{5,128}}",
        after=r"[\"']",
        confidence=0.6,
        validator=typed_or_generated,
        must_match=('builder.password("Sw0rdf1sh99")', "user.set_password('hunter2abc')", '.withPassword("Sw0rdf1sh99")'),
        must_not_match=('check_password("hunter2abc", hashed)', '.password("password")', 'getPassword("service2")'),
    ),
    Detector(
        id="secret-call",
        left=r"(?:^|[^A-Za-z0-9_])",
        before=rf"(?i:set|with|use)_?(?i:(?:api|access|auth|secret|client|private|account)_?)?(?i:key|token|secret)\({SPACE}?[\"']",
        pattern=rf"{VALUE}{{12,256}}",
        after=r"[\"']",
        confidence=0.7,
        validator=all_of(random_token(), not_identifier),
        must_match=(f'client.setApiKey("{sample(32)}");', f".with_token('{sample(40, HEX)}')"),
        must_not_match=(
            'map.setKey("user.home.directory")',
            'cache.withToken("session-token-default")',
            f'setPublicKey("{sample(40)}")',
        ),
    ),
    Detector(
        id="password-pair",
        left="",
        before=rf"[\"'][A-Za-z0-9_.-]{{0,24}}(?i:password|passwd|passphrase|pwd)[\"']{SPACE}?,{SPACE}{{0,4}}[\"']",
        pattern=rf"{VALUE}{{6,128}}",
        after=r"[\"']",
        confidence=0.6,
        validator=all_of(complex_password, typed_or_generated),
        must_match=('define("DB_PASSWORD", "Sw0rdf1sh99");', "props.put('spring.mail.password', 'hunt3r2abc')"),
        must_not_match=('("password", "string")', '["username", "password", "email_2"]', 'define("DB_PASSWORD", "password1")'),
    ),
    Detector(
        id="wordpress-salt",
        left="",
        before=rf"[\"'](?:SECURE_)?(?:AUTH|LOGGED_IN|NONCE)_(?:KEY|SALT)[\"']{SPACE}?,{SPACE}{{0,16}}[\"']",
        pattern=r"[^\"'\n\r]{40,80}",
        after=r"[\"']",
        confidence=0.9,
        validator=varied,
        must_match=(f"define('AUTH_KEY',         '{sample(30)}}};,( {sample(28)}');",),
        must_not_match=("define('AUTH_KEY', 'put your unique phrase here');",),
    ),
    Detector(
        id="password-argument",
        left=r"(?:^|[^A-Za-z0-9_])",
        before=(  # Gradle: `storePassword "…"`; PHP
            r"(?:(?:[a-z]{1,16}P|p|P)assword[ \t]{1,4}"
            rf"|define\({SPACE}?[\"'][A-Z0-9_]{{0,32}}(?:PASSWORD|PASSWD|PASS|PWD)[\"']{SPACE}?,{SPACE}{{0,4}})[\"']"
        ),
        pattern=rf"{VALUE}{{5,128}}",
        after=r"[\"']",
        confidence=0.6,
        context=names_password,
        validator=typed_or_generated,
        must_match=(
            '    storePassword "hunter2abc"',
            "credentials {\n  password 'Sw0rdf1sh99'\n}",
            "define('DB_PASSWORD', 'Sword_fish9');",
        ),
        must_not_match=('keyPassword "password"', 'password "$PASS"', "the password 'secret' is weak"),
    ),
    Detector(
        id="password-abroad",
        left="",
        before=labelled(*PASSWORDS, apart=_SAID) + r"[\"'`]?",
        hint=hint(*PASSWORDS),
        hint_reach_chars=64,
        pattern=rf"{_FIRST}{VALUE}{{5,127}}",
        after="",
        confidence=0.55,
        validator=said_password,
        must_match=(
            "mot de passe : Sw0rdf1sh99",
            "contraseña: Sw0rdf1sh99",
            "Kennwort = 'Sw0rdf1sh99'",
            "Das WLAN-Passwort lautet Sw0rdf1sh99.",
            "la contraseña del servidor es Sw0rdf1sh99",
            "Hasło do bazy to Sw0rdf1sh99",
            "пароль от сервера: Sw0rdf1sh99",
            "サーバーのパスワードはSw0rdf1sh99です",
            "数据库密码是Sw0rdf1sh99，请勿外传",
            "비밀번호: Sw0rdf1sh99",
            "Mật khẩu wifi là Sw0rdf1sh99",
            "パスワード：Sw0rdf1sh99",
            "das Passwort fürs WLAN (Sw0rdf1sh99) bitte nicht weitergeben",
            "كلمة المرور هي Sw0rdf1sh99",
            "סיסמה: Sw0rdf1sh99",
        ),
        must_not_match=(
            "Passwort: siehe Wiki",
            "Mot de passe : oublié",
            "senha: obrigatória",
            "das Passwort ist 8-stellig",
            "пароль: не менее 8 символов",
            "密码不能为空",
        ),
    ),
    Detector(
        id="password-beside",  # "логин admin, пароль Sw0rdf1sh99": nothing between the word and the value
        left="",
        before=label(*PASSWORDS) + r"[\t ]{1,2}[\"'`]?",
        hint=hint(*PASSWORDS),
        hint_reach_chars=4,
        pattern=rf"{_FIRST}{VALUE}{{7,127}}",
        after="",
        confidence=0.5,
        validator=lambda value: said_password(value) and entropy_bits(value) >= 2.4,
        must_match=("логин admin, пароль Sw0rdf1sh99", "Benutzer kim, Kennwort Sw0rdf1sh99"),
        must_not_match=("Passwort OAuth2", "Kennwort AES256-Verschlüsselung", "пароль 8-символьный"),
    ),
    Detector(
        id="one-time-code",
        left="",
        before=labelled(*_CODES, apart=CLOSE),
        hint=hint(*_CODES),
        hint_reach_chars=CLOSE_CHARS,
        pattern=r"[0-9]{4,8}|[0-9]{3}[ -][0-9]{3}|[A-Z]-[0-9]{6}",
        after=r"(?:[^A-Za-z0-9.-]|\.[^0-9]|\.?$)",
        confidence=0.6,
        validator=lambda value: len(set(value)) > 2,
        must_match=("Your verification code is 849201.", "Bestätigungscode: 471123", "OTP 849-201", "验证码：849201"),
        must_not_match=("a verification code has 6 digits", "OTP 18.2.4", "verification code 0000"),
    ),
    Detector(
        id="docker-environment-secret",
        left=r"(?:^|[\n\r])",
        before=(
            r"[ \t]{0,8}(?i:env|arg)[ \t]{1,4}[A-Z0-9_]{0,32}(?:PASSWORD|PASSWD|PASS|PWD|SECRET|TOKEN|_KEY|APIKEY)"
            r"[A-Z0-9_]{0,16}[ \t]{1,4}"
        ),
        pattern=rf"{VALUE}{{6,256}}",
        after=r"(?:[\t-\r ]|$)",
        confidence=0.7,
        context=names_secret,
        validator=typed_or_generated,
        must_match=("\nENV DB_PASSWORD swordfish9\n", f"\nENV API_KEY {sample(32)}\n"),
        must_not_match=("ENV DB_PASSWORD $PASS\n", "ENV TOKEN_FILE /run/token1\n"),
    ),
    Detector(
        id="terraform-variable-secret",
        left="",
        before=(
            r"(?i:variable[ \t]{1,4}\"[a-z0-9_-]{0,24}(?:secret|token|key|password|passwd|pwd|pass)[a-z0-9_-]{0,12}\"[ \t]{0,4}\{"
            r"(?:[^\n{}]{0,47}\n){1,3}?[ \t]{0,12}default[ \t]{0,12}=[ \t]{0,4}\")"
        ),
        hint=r"(?i:default[ \t]{0,12}=[ \t]{0,4}\")",
        pattern=rf"{VALUE}{{6,256}}",
        after='"',
        confidence=0.75,
        context=names_secret,
        validator=typed_or_generated,
        must_match=(
            'variable "db_password" {\n  type = string\n  default = "swordfish9"\n}\n',
            f'variable "corp_okta_api_token" {{\n  default = "{sample(42)}"\n}}\n',
        ),
        must_not_match=(
            'variable "db_password" {\n  default = "changeme"\n}\n',
            'variable "key_name" {\n  default = "deployer-key"\n}\n',
            'variable "password" {\n  default = "${var.other}"\n}\n',
        ),
    ),
    Detector(
        id="authorization-header",
        left="",
        before=(
            rf"(?:(?i:authorization|proxy-authorization)[\"']{{0,2}}{SPACE}{{0,4}}[:=,]{SPACE}{{0,4}}[\"'`]?"
            rf"(?:[A-Za-z][A-Za-z0-9-]{{2,24}}{SPACE}{{1,4}})?(?i:token{SPACE}|token=[\"']?)?"
            rf"|(?i:auth)[\"']{{0,2}}{SPACE}{{0,4}}[:=]{SPACE}{{0,4}}[\"'`]?(?i:basic|bearer|token){SPACE}{{1,4}})"
        ),
        pattern=r"[A-Za-z0-9._~+/=:-]{12,}",
        after="",
        confidence=0.85,
        validator=all_of(not_placeholder, random_token(2.8), not_identifier, not_pair_of_placeholders),
        must_match=(
            f"Authorization: Bearer {sample(40)}",
            f'-H "Authorization: Basic {sample(24)}"',
            f"'Authorization': 'Token {sample(40, HEX)}'",
            f"Authorization: SSWS {sample(42)}",
            f'auth="Basic {sample(24)}"',
        ),
        must_not_match=(
            "Authorization: Bearer $TOKEN",
            "Authorization: Bearer YOUR_ACCESS_TOKEN",
            "Authorization: Bearer <token>",
            "Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=",  # username:password
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
            rf"(?i:x-[a-z-]{{0,24}}(?:key|token|auth|secret)|(?:^|[\s\"'])(?:[a-z]{{2,16}}-){{0,3}}(?:api-?key|token|secret|crumb|auth-key))"
            rf"{SPACE}{{0,2}}[\"']?:{SPACE}{{0,4}}[\"']?(?i:token{SPACE})?"
        ),
        pattern=rf"{VALUE}{{10,512}}",
        after="",
        confidence=0.75,
        context=names_secret,
        validator=random_token(2.8),
        must_match=(f"X-Api-Key: {sample(32)}", f'-H "PRIVATE-TOKEN: {sample(20)}"', f'--header "Api-Token: {sample(12)}"'),
        must_not_match=("X-Api-Key: $API_KEY", "X-API-Key: your-api-key-123", f"X-Cache-Key: {sample(32, HEX)}"),
    ),
    Detector(
        id="session-cookie",
        before=r"(?i:[_a-z.-]{0,20}(?:session(?:_?id)?|sessid|\.sid|sid|auth_?token|remember_token|csrf_?token|xsrf-token))=",
        left=r"(?:^|[;\t\n\r \"'])",
        pattern=r"[A-Za-z0-9%._~+/-]{16,512}",
        after="",
        confidence=0.75,
        validator=random_token(3.0),
        must_match=(f"Cookie: sessionid={sample(32)}; theme=dark", f"Set-Cookie: _app_session={sample(40)}; Path=/"),
        must_not_match=("sessionid=request.session.get", "JSESSIONID=xxxxxxxxxxxxxxxxxxxx"),
    ),
)
