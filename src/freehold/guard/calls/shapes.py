"""Whether a text looks like a command or a program: for strings of tools whose kind nobody knows.

Only how a text begins is looked at, and what its lines begin with, so that prose about commands is none. Cheap, and easily
missed on purpose: what a tool is can be said in policy.
"""

import re

from freehold.guard.syntax import Language

_LOOK_CHARS = 4_096

_HEADS = {
    "bash": Language.SHELL, "sh": Language.SHELL, "zsh": Language.SHELL, "dash": Language.SHELL, "ksh": Language.SHELL,
    "python": Language.PYTHON, "python3": Language.PYTHON, "node": Language.JAVASCRIPT, "deno": Language.TYPESCRIPT,
    "perl": Language.PERL, "ruby": Language.RUBY, "php": Language.PHP, "pwsh": Language.POWERSHELL,
}  # fmt: skip
_SHEBANG = re.compile(r"#!\s*(?:/\S*/)?(?:env\s+(?:-S\s+)?)?(?:/\S*/)?([a-z]+3?)\b")
_SQL = re.compile(
    r"\s*+(?:(?>--[^\n]*\n|/\*.{0,400}?\*/)\s*+)*+(?:select\b.{1,4000}?\bfrom\b|insert\s+into\b|update\s+[\w.`\"\[\]]+\s+set\s+[\w.`\"\[\]]+\s*=|delete\s+from\b"
    r"|(?:drop|create|alter|truncate)\s+(?:or\s+replace\s+|if\s+|temp(?:orary)?\s+|unique\s+|external\s+|materialized\s+)*"
    r"(?:table|database|schema|user|role|view|index|function|procedure|trigger|extension|sequence|login|policy)\b"
    r"|grant\b.{1,200}?\bto\b|revoke\b.{1,200}?\bfrom\b|with\s+\w+\s+as\s*\(|merge\s+into\b|copy\s+\w+\s+(?:from|to)\b"
    r"|exec(?:ute)?\s+\w*xp_|attach\s+database\b|load\s+data\b|truncate\s+\w|show\s+(?:tables|databases|grants)\b|explain\s+select\b"
    r"|pragma\s+\w|call\s+\w+\s*\(|shutdown\b\s*;?\s*$)",
    re.IGNORECASE | re.DOTALL,
)
_SQL_WORD = re.compile(
    r"\s*(?:\(|/\*|--|#|@|\\)|\s*(?:abort|alter|analy[sz]e|attach|backup|begin|bulk|call|checkpoint|cluster|comment\s+on|commit|copy|create|deallocate|declare"
    r"|delete|detach|discard|do|drop|dump|end|exec(?:ute)?|explain|flush|grant|handler|import|insert|install|kill|listen|load|lock|merge|notify|optimize|pragma"
    r"|prepare|purge|reassign|refresh|reindex|release|rename|repair|replace|reset|restore|revoke|rollback|savepoint|security|select|set|shutdown|start|table"
    r"|truncate|unload|update|use|vacuum|values|waitfor|with)\b",
    re.IGNORECASE,
)
_PYTHON = re.compile(
    r"^(?:import\s+[\w.]+(?:\s+as\s+\w+|\s*,\s*[\w.]+)*\s*(?:[;#].*)?$|from\s+[\w.]+\s+import\s|(?:async\s+)?def\s+\w+\s*\(|class\s+\w+.*:\s*$"
    r"|__import__\(|exec\(|eval\(|print\()",
    re.MULTILINE,
)
_JAVASCRIPT = re.compile(
    r"^[^\S\n]*(?:(?:const|let|var)\s+[\w${}\[\], ]+=|(?:async\s+)?function\b[^\n]*\{|(?:async\s*)?\([\w\s,{}]*\)\s*=>"
    r"|import\s.+\sfrom\s+['\"]|require\()"
    r"|\brequire\(\s*['\"]\w|\bprocess\.(?:env|exit|mainModule)\b|\bdocument\.cookie\b",
    re.MULTILINE,
)
_PHP = re.compile(r"\s*<\?php\b")
_POWERSHELL = re.compile(
    r"^[^\S\n]*(?:\$[\w:]+\s*=|(?:[A-Z][a-z]+)-(?:[A-Z]\w+)\b|powershell(?:\.exe)?\s+-|iex\b|iwr\b|\[[\w.]+\]::)", re.MULTILINE
)
# Programs that stand first in commands people fear, or in those they give all day. English words are left out.
_PROGRAMS = re.compile(
    r"\s*(?:[A-Z_]+=\S*\s+)*(?:sudo\s+|doas\s+|nohup\s+|env\s+)*(?:/\S*/)?(?:rm|rmdir|mv|cp|ls|dd|mkfs(?:\.\w+)?|shred|chmod|chown|chattr|curl|wget"
    r"|nc|ncat|netcat|socat|ssh|scp|sftp|rsync|bash|sh|zsh|python3?|perl|ruby|node|php|pip3?|npm|npx|yarn|pnpm|apt(?:-get)?|yum|dnf|brew|git|docker"
    r"|kubectl|helm|terraform|aws|gcloud|az|systemctl|crontab|iptables|ufw|useradd|usermod|passwd|kill(?:all)?|pkill|tar|gzip|openssl|gpg"
    r"|base64|xxd|eval|mount|umount|nmap|tcpdump|psql|mysql|mongosh?|redis-cli|sqlite3|powershell(?:\.exe)?|cmd(?:\.exe)?|reg|schtasks|net|wmic|certutil"
    r"|bitsadmin|vssadmin|osascript|launchctl|sed|awk|xargs|grep|cat|echo|printf|touch|tee|mkdir|ln)(?=\s|$|;)(.*)",
    re.DOTALL,
)
_COMMAND_SIGNS = re.compile(r"(?:^|\s)-{1,2}[A-Za-z]|[|;&<>$`~]|(?:^|\s)[./\w-]*/[\w./-]*|\w\.\w")
_SUBSTITUTION = re.compile(
    r"\$\([^)]|`[a-z/][^`\n]{2,}`|;\s*(?:rm|curl|wget|nc|bash|sh|python3?)\s|\|\s*(?:ba|z)?sh\b|&&\s*(?:rm|curl|wget|bash)\s"
)


def looks_like(text: str) -> Language | None:
    """The language that `text` seems to be written in; None for prose, data, names."""
    start = text[:_LOOK_CHARS]
    if len(start) < 4 or not start.strip():
        return None
    if (head := _SHEBANG.match(start)) is not None:
        return _HEADS.get(head[1])
    if is_sql(start):
        return Language.SQL
    if _PHP.match(start):
        return Language.PHP
    if _PYTHON.search(start):
        return Language.PYTHON
    if _JAVASCRIPT.search(start):
        return Language.JAVASCRIPT
    if (command := _PROGRAMS.match(start)) is not None and _COMMAND_SIGNS.search(command[1]):
        return Language.SHELL
    if _POWERSHELL.search(start):
        return Language.POWERSHELL
    return Language.SHELL if "\n" not in start.strip() and _SUBSTITUTION.search(start) else None


def is_sql(text: str) -> bool:
    return _SQL.match(text[:_LOOK_CHARS]) is not None


def may_be_sql(text: str) -> bool:
    """Whether a database would take it for more than a search: far more than what is plainly SQL."""
    return is_sql(text) or ";" in text or _SQL_WORD.match(text) is not None
