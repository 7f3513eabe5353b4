"""Passwords handed to programs: on the command line, in a statement, in a call, in a file a program reads."""

from freehold.guard.detectors.detector import SPACE, Detector
from freehold.guard.detectors.examples import HEX, LOWER, sample
from freehold.guard.detectors.generic import VALUE
from freehold.guard.detectors.validators import (
    all_of,
    base64_of_pair,
    base64_of_text,
    complex_password,
    marked,
    names_secret,
    not_filler,
    not_identifier,
    quoted_password,
    random_token,
    said_password,
    typed_or_generated,
    typed_password,
    varied,
)

_QUOTED = r"[\"'][^\"'\n]{0,56}[\"']"  # an argument before the password

_LOGIN = r"(?i:credentials|creds|login|log in with|zugangsdaten|anmeldung|identifiants|credenciales|credenziali|inloggegevens)"

COMMANDS = (
    Detector(
        id="command-line-password",
        left=r"(?:^|[\t\n\r ])",
        before=rf"(?:-u|--user|--proxy-user)[ =]?{SPACE}{{0,2}}[\"']?[^\x01-\x20\"':<>$]{{0,64}}[\"']?:[\"']?",
        pattern=r"[^\x01-\x20\"'`<>|]{3,128}",
        after="",
        confidence=0.75,
        validator=all_of(typed_password, not_filler),
        must_match=(
            "curl -u admin:s3cret9 https://example.com",
            "curl --user 'bob:hunter22' https://example.com",
            "curl --user bob:'hunter22' https://example.com",
            'curl -u ":hunter22" https://example.com',
        ),
        must_not_match=(
            "curl -u user:password https://example.com",
            "curl -u $USER:$PASS https://example.com",
            "docker run -u 1000:100 image",
        ),
    ),
    Detector(
        id="command-line-user-token",
        left=r"(?:^|[\t\n\r ])",
        before=rf"(?:-u|--user)[ =]?{SPACE}{{0,2}}[\"']?",
        pattern=r"[^\x01-\x20\"'`<>|:]{10,128}",
        after=r":(?:[\"' ]|$)",
        confidence=0.75,
        validator=random_token(2.8),
        must_match=(f"curl -u {sample(32)}: https://api.example.com",),
        must_not_match=("curl -u $API_KEY: https://api.example.com", "curl -u administrator: https://example.com"),
    ),
    Detector(
        id="password-option",
        left=r"(?:^|[\t\n\r \"'])",
        before=rf"(?:(?:--?|/)(?i:[a-z-]{{0,24}}(?:password|passwd|passphrase|pwd|pass)|pw)(?:{SPACE}{{1,4}}|[=:])|-pass(?:in|out)?{SPACE}pass:)[\"']?",
        # Hyperscan (Vectorscan 5.4.12) misses the pattern itself where another option stands more than 24 characters before it.
        # Something of an option stands before the word, so that Python's `pass` announces nothing.
        hint=rf"(?:[A-Za-z/-](?i:password|passwd|passphrase|pwd|pass)|[/-](?i:pw)|-pass(?:in|out)?{SPACE}pass)(?:{SPACE}|[=:])",
        hint_reach_chars=6,
        pattern=rf"{VALUE}{{5,128}}",
        after=r"(?:[\t\n\r \"'\\]|$)",
        confidence=0.6,
        context=lambda before: b"-no-" not in before,
        validator=lambda value: complex_password(value) or typed_or_generated(value),
        must_match=(
            "Connect-VIServer -User administrator@vsphere.local -Password VMware1!",
            "Connect-VIServer vc.lab -User adm -Password VMware1!",
            "tool --db-password=s3cr3t99 run",
            "plink -pw hunt3r22 host",
            "wget --password=rainPw31 https://example.com/x",
            "openssl pkcs12 -in x.p12 -passin pass:hunt3r22",
        ),
        must_not_match=(
            "tool --password $PASSWORD",
            "secretsdump.py -no-pass domain/bob17@target",
            "tool --password-stdin",
            "docker login --password stdin",
            "x -Password $ESXipass",
        ),
    ),
    Detector(
        id="program-password",
        left="",
        before=(
            rf"(?i:ldap(?:search|add|modify|delete|whoami|passwd)[^\n|;&]{{0,120}}{SPACE}-w{SPACE}?"
            rf"|(?:sqlcmd|osql|bcp|unzip|zip)[^\n|;&]{{0,100}}{SPACE}-p{SPACE}?|redis-cli[^\n|;&]{{0,80}}{SPACE}-a{SPACE}"
            rf"|openssl{SPACE}[^\n|;&]{{0,80}}{SPACE}-k{SPACE}|htpasswd{SPACE}-[a-z]{{0,3}}b[a-z]{{0,3}}{SPACE}[^\x01-\x20]{{1,60}}{SPACE}[^\x01-\x20]{{1,40}}{SPACE}"
            rf"|net(?:\.exe)?{SPACE}user{SPACE}[^\x01-\x20/]{{1,40}}{SPACE}|net{SPACE}use[^\n|;&]{{0,80}}/user:(?:\"[^\n\"]{{1,60}}\"|[^\n\r\"'|;&]{{1,60}}){SPACE}"
            rf"|(?:smbclient|winexe|rpcclient|smbget|wmic)[^\n|;&]{{0,80}}{SPACE}-U{SPACE}?[^\x01-\x20%]{{1,60}}%"
            rf"|sudo{SPACE}-S[^\n|;&<]{{0,40}}<<<{SPACE}?|lftp[^\n|;&]{{0,60}}{SPACE}-u{SPACE}?[^\x01-\x20,]{{1,40}},|[xw]freerdp[^\n|;&]{{0,80}}{SPACE}/p:"
            rf"|az{SPACE}login[^\n|;&]{{0,120}}{SPACE}-p{SPACE}|gh{SPACE}secret{SPACE}set[^\n|;&]{{0,60}}{SPACE}(?:-b|--body)[ =]"
            rf"|ConvertTo-SecureString{SPACE}(?:-String{SPACE})?)[\"']?"
        ),
        hint=rf"(?i:ldap(?:search|add|modify|delete|whoami|passwd)|sqlcmd|osql|bcp|zip|redis-cli|openssl|htpasswd|net(?:\.exe)?{SPACE}user?|smbclient|winexe|rpcclient|smbget|wmic|lftp|sudo|freerdp|az{SPACE}login|gh{SPACE}secret|SecureString){SPACE}",
        hint_reach_chars=200,
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|/-][^\x01-\x20\"'`<>()\[\]{},;|]{4,80}",
        after=r"(?:[\t-\r \"'\\]|$)",
        confidence=0.7,
        validator=complex_password,
        must_match=(
            "ldapsearch -x -D cn=admin -w Sw0rdf1sh99! -b dc=x",
            "net user bob P4ssw0rd!x /add",
            "smbclient //h/s -U bob%Sw0rdf1sh99",
            "xfreerdp /u:bob /p:Sw0rdf1sh99 /v:h",
            'ConvertTo-SecureString "Sw0rdf1sh99" -AsPlainText -Force',
            "htpasswd -bc /etc/f bob Sw0rdf1sh99",
            "sudo -S apt update <<< 'Sw0rdf1sh99'",
            "lftp -u bob,'Sw0rdf1sh99' ftp://h",
            "az login --service-principal -u bob -p Sw0rdf1sh99 -t x",
            "gh secret set NPM_TOKEN --body Sw0rdf1sh99",
        ),
        must_not_match=("ldapsearch -x -D cn=admin -W -b dc=x", "net user bob /delete", "unzip -p archive", "redis-cli -a $PASS"),
    ),
    Detector(
        id="settings-line-password",  # of servers and routers: a word, blanks, the password
        left=r"(?:^|[\n\r])",
        before=(
            r"[ \t]{0,8}(?i:requirepass|masterauth|bindpw|[a-z]{0,4}root_?pw:?"
            r"|enable (?:secret|password)(?: level [0-9]{1,2})?(?: 0)?"
            r"|username [^\x01-\x20]{1,32} (?:privilege [0-9]{1,2} )?(?:secret|password)(?: 0)?)[ \t]{1,4}[\"']?"
        ),
        pattern=rf"{VALUE}{{6,128}}",
        after=r"(?:[\t\n\r \"']|$)",
        confidence=0.7,
        validator=typed_or_generated,
        must_match=("port 6379\nrequirepass Sword_fish9\n", "\nenable secret 0 Sw0rdf1sh99\n", "\nolcRootPW: Sw0rdf1sh99\n"),
        must_not_match=("requirepass foobared\n", "enable secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0\n", "rootpw {SSHA}abc123\n"),
    ),
    Detector(
        id="sql-password",
        left="",
        before=rf"(?i:identified{SPACE}{{1,4}}(?:with{SPACE}{{1,4}}[a-z0-9_'\"]{{1,32}}{SPACE}{{1,4}})?(?:by|as){SPACE}{{1,4}}(?:password{SPACE})?|(?:create|alter){SPACE}{{1,4}}(?:role|user|login){SPACE}[^\n;]{{1,80}}?password{SPACE}{{0,4}}=?{SPACE}{{0,4}}N?)[\"']",
        hint=rf"(?i:identified{SPACE}|password{SPACE}{{0,4}}=?{SPACE}{{0,4}}N?[\"'])",
        hint_reach_chars=56,
        pattern=r"[^\"'\x01-\x20`<>()\[\]{},;|]{3,128}",
        after=r"[\"']",
        confidence=0.8,
        validator=quoted_password,
        must_match=(
            "CREATE USER 'bob'@'%' IDENTIFIED BY 'swordfish9';",
            "ALTER ROLE app WITH LOGIN PASSWORD 'swordfish9';",
            "CREATE LOGIN app WITH PASSWORD = 'Sw0rdfish9';",
        ),
        must_not_match=("IDENTIFIED BY 'password'", "IDENTIFIED BY '<password>'", "identified by 'your_password'"),
    ),
    Detector(
        id="credential-call",
        left="",
        before=(
            rf"(?:NetworkCredential|[Bb]asic_?[Aa]uth(?:entication)?(?:{SPACE}?=)?|SetBasicAuth|PasswordCredentials?|PasswordAuthentication|\.login|\.authenticate|\bauth{SPACE}?=)"
            rf"{SPACE}?\({SPACE}{{0,24}}{_QUOTED}{SPACE}?,{SPACE}{{0,24}}[\"']"
        ),
        pattern=rf"{VALUE}{{4,128}}",
        after=r"[\"']",
        confidence=0.7,
        validator=typed_password,
        must_match=(
            'sender.Credentials = new NetworkCredential("bob@example.com", "vzihlaquknriqlht");',
            "requests.get(url, auth=('bob', 'swordfish9'))",
            'auth=HTTPBasicAuth("bob", "swordfish9")',
            "smtp.login('bob@analytical-engine.org', 'muileuvopbjimhkq')",
            "Elasticsearch(url, basic_auth=('bob', 'swordfish9'))",
        ),
        must_not_match=('auth=("user", "pass")', 'new NetworkCredential("user", "password")'),
    ),
    Detector(
        id="directory-entry-password",
        left="",
        before=rf"DirectoryEntry\({SPACE}{{0,24}}{_QUOTED}{SPACE}?,{SPACE}{{0,24}}{_QUOTED}{SPACE}?,{SPACE}{{0,24}}[\"']",
        pattern=rf"{VALUE}{{4,128}}",
        after=r"[\"']",
        confidence=0.8,
        validator=quoted_password,
        must_match=('new DirectoryEntry("LDAP://EXAMPLE.COM",\n  "BOB@EXAMPLE.COM",\n  "Rrhh1234");',),
        must_not_match=('new DirectoryEntry("LDAP://x", "user", "password")',),
    ),
    Detector(
        id="connection-call",
        left=r"(?:^|[^A-Za-z0-9_])",
        before=(
            rf"(?:mysqli?_connect|mysqli|PDO|getConnection|DBI->connect|mysql_real_connect)\({SPACE}{{0,16}}(?:[A-Za-z_&*]{{1,24}},{SPACE}{{0,16}})?{_QUOTED}{SPACE}?,{SPACE}{{0,16}}{_QUOTED}{SPACE}?,"
            rf"{SPACE}{{0,16}}[\"']"
        ),
        pattern=rf"{VALUE}{{4,128}}",
        after=r"[\"']",
        confidence=0.7,
        validator=typed_password,
        must_match=(
            'mysqli_connect("localhost", "bob", "Sw0rdf1sh99")',
            'DriverManager.getConnection("jdbc:x:y", "bob", "Sw0rdf1sh99")',
            "DBI->connect('dbi:Pg:dbname=x', 'bob', 'Sw0rdf1sh99')",
        ),
        must_not_match=('mysqli_connect("localhost", "user", "password")', "new PDO('mysql:host=h', 'my_user', 'my_password')"),
    ),
    Detector(
        id="xml-attribute-secret",
        left="",
        before=(
            rf"(?:(?i:key|name|type)=[\"'][^\"'\n]{{0,48}}(?i:password|passwd|pwd|secret(?:[-_]?key)?|token|api[-_]?key|access[-_]?key)[\"']"
            rf"|<(?i:password|secret|token|apikey))"
            rf"{SPACE}{{1,8}}(?i:value)=[\"']"
        ),
        pattern=rf"{VALUE}{{6,256}}",
        after=r"[\"']",
        confidence=0.75,
        validator=typed_password,
        must_match=(
            '<add key="ClearTextPassword" value="TestSource-Horse9" />',
            f'<setting name="ApiKey" value="{sample(24)}"/>',
        ),
        must_not_match=('<add key="ClearTextPassword" value="%PASSWORD%" />', '<input name="password" value="password">'),
    ),
    Detector(
        id="named-value",  # a container's environment: `- name: DB_PASSWORD` and on the next line its value
        left=r"(?:^|[^A-Za-z])",
        before=(
            rf"(?i:name|key)[\"']?{SPACE}?[:=]{SPACE}{{0,4}}[\"']?[A-Za-z0-9_./-]{{0,40}}"
            rf"(?i:password|passwd|pass|pwd|secret|token|api[-_]?key|_key)[\"']?[,;]?{SPACE}{{0,24}}[\"']?(?i:value)[\"']?{SPACE}?[:=]"
            rf"{SPACE}{{0,4}}[\"']?"
        ),
        hint=rf"(?i:password|passwd|pass|pwd|secret|token|api[-_]?key|_key)[\"']?[,;]?{SPACE}{{0,24}}[\"']?(?i:value)",
        hint_reach_chars=12,
        pattern=rf"{VALUE}{{6,256}}",
        after=r"(?:[\"'\n\r }]|$)",
        confidence=0.75,
        context=names_secret,
        validator=typed_or_generated,
        must_match=(
            "env:\n  - name: DB_PASSWORD\n    value: swordfish9\n",
            f'{{"name": "API_KEY", "value": "{sample(32)}"}}',
            f'{{"name":"API_TOKEN","value":"{sample(40)}"}}',
            f'- name: JWT_SIGNING_KEY\n  value: "{sample(48)}"',
        ),
        must_not_match=(
            "- name: DB_PASSWORD\n  value: $(PASSWORD)\n",
            "--tags Key=tag1_key,Value=tag1_value",
            "- name: PUBLIC_KEY\n  value: swordfish9\n",
            "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n",
        ),
    ),
    Detector(
        id="xml-element-secret",  # Apple's property lists, Android's strings, Java's properties
        left="",
        before=(
            r"(?:<key>[A-Za-z0-9_. -]{0,32}(?i:password|passwd|pwd|secret|token|api[-_.]?key)</key>[\t-\r ]{0,16}<string>"
            r"|<(?:string|entry|property|param|env|setting)[\t ]{1,4}(?:name|key)=[\"'][A-Za-z0-9_.-]{0,40}"
            r"(?i:password|passwd|pwd|secret|token|api[-_.]?key)[\"']>)"
        ),
        pattern=rf"{VALUE}{{6,256}}",
        after="<",
        confidence=0.75,
        validator=typed_or_generated,
        must_match=(
            f"<key>apiSecret</key>\n<string>{sample(40)}</string>",
            f'<string name="maps_api_key">{sample(32)}</string>',
            '<entry key="db.password">swordfish9</entry>',
        ),
        must_not_match=("<key>Password</key>\n<string>Password</string>", '<string name="forgot_password">Forgotten?</string>'),
    ),
    Detector(
        id="signing-call",  # the key that a call signs, seals or verifies with
        left="",
        before=(
            rf"(?:hmac\.new\({SPACE}?|createHmac\([\"'][A-Za-z0-9-]{{2,12}}[\"'],{SPACE}?|hash_hmac\([^()\n]{{1,60}},{SPACE}?"
            rf"|jwt\.(?:encode|decode|sign|verify)\([^()\n]{{1,60}},{SPACE}?|Fernet\()b?[\"']"
        ),
        pattern=rf"{VALUE}{{8,256}}",
        after=r"[\"']",
        confidence=0.75,
        validator=typed_or_generated,
        must_match=(
            f"hmac.new(b'{sample(40)}', body, 'sha256')",
            "jwt.sign({sub: id}, 'swordfish9')",
            f"crypto.createHmac('sha256', '{sample(24)}')",
        ),
        must_not_match=("jwt.encode(payload, 'secret')", "hmac.new(key, body)", "jwt.decode(token, 'your-secret-key-1')"),
    ),
    Detector(
        id="client-call",  # a client made with its key, without a word that says so
        left="",
        before=(
            rf"(?:[Cc]lient(?:V[0-9])?|[Cc]onnect|[Ll]ogin|authenticate|algoliasearch|SDK|A[Pp][Ii])\({SPACE}{{0,16}}"
            rf"(?:{_QUOTED}{SPACE}?,{SPACE}{{0,8}})?[\"']"
        ),
        pattern=rf"{VALUE}{{24,256}}",
        after=r"[\"']",
        confidence=0.7,
        validator=all_of(random_token(), not_identifier, lambda value: b"." not in value and value.count(b"-") < 4),
        must_match=(f"cohere.ClientV2('{sample(40)}')", f"new Client('AC1', '{sample(32, HEX)}')"),
        must_not_match=("Client('https://api.example.com/v1/2024')", "boto3.client('s3', 'eu-central-1')"),
    ),
    Detector(
        id="command-output",  # what a command that shows or makes a secret has printed
        left="",
        before=(
            r"(?:base64 (?:-d|-D|--decode)|openssl rand -[^\n]{1,16}|pwgen[^\n]{0,16}|print-(?:access|identity)-token"
            r"|get-login-password[^\n]{0,40}"
            r"|gh auth token|heroku auth:token|vault kv get -field=[^\n]{1,48}|op read [^\n]{1,64}|pass show [^\n]{1,48}"
            r"|secrets versions access [^\n]{1,64}|get-access-token[^\n]{1,64}|get-secret-value[^\n]{1,100}text)"
            r"[\"'`)]{0,2}[ \t]?[\n\r]{1,2}"
        ),
        hint=(
            r"(?:base64 (?:-d|-D|--decode)|openssl rand|pwgen|print-(?:access|identity)-token|get-login-password|gh auth token"
            r"|heroku auth:token|vault kv get|op read|pass show|versions access|get-access-token|get-secret-value)"
        ),
        hint_reach_chars=110,
        pattern=rf"{VALUE}{{8,1000}}",
        after=r"(?:[\n\r]|$)",
        confidence=0.7,
        validator=typed_or_generated,
        must_match=(
            f"$ openssl rand -base64 32\n{sample(43)}=\n",
            "$ kubectl get secret pg -o jsonpath='{.data.password}' | base64 -d\nSw0rdf1sh99\n",
            f"$ gh auth token\n{sample(40)}\n",
        ),
        must_not_match=(
            "$ openssl rand -base64 32\n$ ls\n",
            "use openssl rand -hex 16\nto make one",
            "x | base64 -d\nhello-world\n",
        ),
    ),
    Detector(
        id="login-pair",  # "login for the shop: bob@example.com / Sw0rdf1sh99"
        left=r"(?:^|[^A-Za-z])",
        before=(
            _LOGIN + r"(?:[^A-Za-z0-9\n:][^\n:]{0,40}?)??:?[ \n]{1,2}"
            r"(?:[^\x01-\x20/:|,;]{2,60} ?[/|] ?|[^\x01-\x20/:|,;@]{1,40}@[^\x01-\x20/:|,;@]{3,40} ?[:,] ?)"
        ),
        hint=_LOGIN + "[^A-Za-z0-9]",
        hint_reach_chars=130,
        pattern=rf"{VALUE}{{6,64}}",
        after=r"(?:[\t-\r )\"'.,;]|$)",
        confidence=0.55,
        validator=said_password,
        must_match=("credentials for the demo: demo@example.com / Sw0rdf1sh99", "Zugangsdaten: kim / Sw0rdf1sh99"),
        must_not_match=("login at example.com / example.org", "see login: src/auth/oauth2", "login 2 / 3 times"),
    ),
    Detector(
        id="kubernetes-secret",
        left="",
        before=(
            r"(?:^|[\n\r])[ \t]{0,2}data:[ \t]{0,4}[\n\r]{1,2}(?:[^\n\r]{0,48}[\n\r]{1,2}){0,2}?"
            r"[ \t]{1,12}[A-Za-z0-9_.-]{1,48}:[ \t]{0,4}(?:[|>]-?[ \t]{0,4}[\n\r]{1,2}[ \t]{1,16})?[\"']?"
        ),
        hint=r"(?:^|[\n\r \t])data:[ \t]{0,4}[\n\r]",
        hint_reach_chars=200,
        pattern=r"(?:[A-Za-z0-9+/]{4}){2,200}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
        after=r"(?:[\"'\n\r \t]|$)",
        confidence=0.8,
        validator=base64_of_text,
        must_match=(
            "\napiVersion: v1\ndata:\n  extra: YWRtaW46c3dvcmRmaXNo\nkind: Secret\n",
            "kind: Secret\ndata:\n  # base64\n  key: 'c3dvcmRmaXNoOQ=='\n",
            "\ndata:\n  .dockercfg: |\n    eyJhdXRocyI6eyJhIjp7ImF1dGgiOiJvcGVuIn19fQo=\n",
        ),
        must_not_match=(
            "data:\n  colour: turquoise\n",
            "data:\n  file: readmefile\n",
            "kind: ConfigMap\ndata:\n  mode: production\n",
        ),
    ),
    Detector(
        id="kubernetes-secret-lines",
        left="",
        before=(
            r"(?:^|[\n\r])[ \t]{0,2}data:[ \t]{0,4}[\n\r]{1,2}(?:[^\n\r]{0,48}[\n\r]{1,2}){0,2}?"
            r"[ \t]{1,12}[A-Za-z0-9_.-]{1,48}:[ \t]{0,4}[|>]-?[ \t]{0,4}[\n\r]{1,2}[ \t]{1,16}"
        ),
        hint=r"(?:^|[\n\r \t])data:[ \t]{0,4}[\n\r]",
        hint_reach_chars=200,
        pattern=r"[A-Za-z0-9+/]{64}(?:[A-Za-z0-9+/]{12})?",
        after=r"[\n\r \t]",
        confidence=0.81,
        block=True,  # of lines of 64 or 76, those after the first are a part of it
        validator=base64_of_text,
        must_match=(f"\ndata:\n  env: |\n    {'c3dvcmRmaXNo' * 6}eHl6\n    {'c3dvcmRmaXNo' * 3}\nkind: Secret\n",),
        must_not_match=("data:\n  mode: |\n    production\n", f"data:\n  text: |\n    {'/w8A' * 16}\n"),
    ),
    Detector(
        id="yaml-base64-text",  # the second and later values of a Kubernetes secret
        left="",
        before=r"[\n\r][ \t]{1,12}[A-Za-z0-9_.-]{1,48}:[ \t]{1,4}[\"']?",
        pattern=r"(?:[A-Za-z0-9+/]{4}){2,200}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)",
        after=r"(?:[\"'\n\r \t]|$)",
        confidence=0.6,
        validator=base64_of_text,
        must_match=("\ndata:\n  one: c3dvcmRmaXNoOQ==\n  other: YmxvYmZpc2gyMg==\n", "\n  other: YmxvYmZpc2gyMg==\n"),
        must_not_match=("\n  other: y/8A/wD//w==\n", "\n  colour: turquoise\n"),
    ),
    Detector(
        id="docker-auth",
        left="",
        before=rf"\"auth\"{SPACE}{{0,4}}:{SPACE}{{0,4}}\"",
        pattern=r"(?:[A-Za-z0-9+/]{4}){2,200}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
        after='"',
        confidence=0.95,
        validator=base64_of_pair,
        must_match=('{"auths":{"https://index.docker.io/v1/":{"auth":"Ym9iOnN3b3JkZmlzaDk="}}}',),
        must_not_match=('"auth": "required"', '"auth": "basicAuthentication12"'),
    ),
    Detector(
        id="kubernetes-bootstrap-token",
        left="",
        before=rf"(?i:token)(?:{SPACE}{{1,4}}|[=:\"' ]{{1,5}})",
        pattern=r"[a-z0-9]{6}\.[a-z0-9]{16}",
        confidence=0.9,
        validator=lambda value: marked(value) and sum(48 <= byte <= 57 for byte in value) >= 2,
        must_match=(f"kubeadm join 10.0.0.1:6443 --token {sample(6, LOWER)}.{sample(16, LOWER)}",),
        must_not_match=("--token action.getaccesstoken1",),
    ),
    Detector(
        id="vault-unseal-key",
        left="",
        before=rf"(?i:unseal{SPACE}key(?:{SPACE}[0-9])?|recovery{SPACE}key(?:{SPACE}[0-9])?|operator{SPACE}unseal)[ \t:=]{{1,4}}",
        pattern=r"[A-Za-z0-9+/]{43,44}=?",
        after=r"(?:[^A-Za-z0-9+/=]|$)",
        confidence=0.95,
        validator=varied,
        must_match=(f"Unseal Key 2: {sample(44)}", f"vault operator unseal {sample(44)}"),
        must_not_match=("vault operator unseal", f"unseal key: {sample(30)}"),
    ),
    Detector(
        id="initial-password",
        left="",
        before=rf"(?i:(?:initial|generated|temporary|following){SPACE}[a-z ]{{0,24}}password)[^\n\r]{{0,40}}:{SPACE}{{1,4}}",
        pattern=rf"{VALUE}{{8,64}}",
        after=r"(?:[\t-\r ]|$)",
        confidence=0.7,
        validator=all_of(complex_password, random_token(2.3)),
        must_match=(
            f"Please use the following password to proceed to installation:\n\n{sample(32, HEX)}\n",
            "A temporary password is generated for root@localhost: gz8rTq0wLk2x\n",
        ),
        must_not_match=("Enter the admin password: password\n", "the following password rules: minimum-length\n"),
    ),
    Detector(
        id="pgpass-password",
        left=r"(?:^|[\n\r])",
        before=r"[A-Za-z0-9_.*-]{1,60}:(?:[0-9]{2,5}|\*):[A-Za-z0-9_.*-]{1,40}:[A-Za-z_][A-Za-z0-9_.@-]{0,40}:",
        pattern=r"[^\x01-\x20\"'`<>()\[\]{},;|:]{4,80}",
        after=r"(?:[\n\r]|$)",
        confidence=0.75,
        validator=typed_password,
        must_match=("\ndb.internal:5432:shop:app:swordfish9\n",),
        must_not_match=("hostname:port:database:username:password\n", "12:30:45:67:89\n"),
    ),
    Detector(
        id="router-password",
        left=r"(?:^|[\t\n\r ])",
        before=r"(?i:password|secret|key|key-string)[\t ]{1,2}7[\t ]{1,2}",  # Cisco IOS: type 7 can be turned back by anybody
        pattern=r"[01][0-9](?:[0-9A-F]{2}){3,40}",
        confidence=0.85,
        must_match=("username admin password 7 0822455D0A16544541",),
        must_not_match=("enable secret 5 none", "password 7 times"),
    ),
    Detector(
        id="network-password",
        left=r"(?:^|[^A-Za-z])",
        before=(
            r"(?i:(?:psk|wpa[-_]?psk|pre[-_]?shared[-_]?key)[ \t]?[=:][ \t]?[\"']?|snmp-server[ \t]{1,2}community[ \t]{1,2}"
            r"|[ \t](?:auth[ \t]{1,2}(?:md5|sha)(?:-?[0-9]{3})?|priv[ \t]{1,2}(?:3?des|aes)(?:[- ]?[0-9]{3})?)[ \t]{1,2})"
        ),
        pattern=rf"{VALUE}{{6,64}}",
        after=r"(?:[\t-\r \"']|$)",
        confidence=0.7,
        validator=complex_password,
        must_match=(
            'network={\n  ssid="home"\n  psk="Sw0rdf1sh99!"\n}',
            "snmp-server community Sw0rdf1sh99! RW",
            "v3 auth sha Sw0rdf1sh99 priv aes 128 Tr0ub4dor3",
        ),
        must_not_match=("snmp-server community public RO", "psk=password", 'psk="$PSK"'),
    ),
    Detector(
        id="maven-password",
        left="",
        before=r"<(?i:password|passphrase|privateKeyPassphrase|secretKey|clientSecret)>[\t-\r ]{0,16}",
        pattern=rf"{VALUE}{{4,128}}",
        after=r"[\t-\r ]{0,16}<",
        confidence=0.75,
        validator=typed_password,
        must_match=("<server><id>x</id><password>swordfish9</password></server>",),
        must_not_match=(
            "<password>${env.PASSWORD}</password>",
            "<password>password</password>",
            "<password>{COQLCE6DU6GtcS5P=}</password>",
        ),
    ),
)
