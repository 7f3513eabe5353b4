import json

import pytest

from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look, rules, verdict

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n{% endif %}"
    "{{ '<|im_start|>' + message.role + '\n' + message['content'] | trim + '<|im_end|>' }}{% endfor %}"
    "{%- if tools is defined and tools | length > 0 %}{{ tools | tojson(indent=2) }}{% endif %}"
    "{%- set ns = namespace(found=false) %}"
    "{%- for m in messages[::-1] %}{{ loop.cycle(1, 2) }}{% if m.tool_calls and not ns.found %}{% set ns.found = true %}"
    "{{ m.content.split('</think>')[-1].lstrip('\n') }}{% break %}{% endif %}{% endfor %}"
    "{% macro part(x) %}{{ x }}{% endmacro %}{{ part(bos_token) }}"
    "{% if not add_generation_prompt is defined %}{{ raise_exception('no') }}{% endif %}{{ strftime_now('%d %b %Y') }}"
    "{% generation %}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{% endgeneration %}"
)


def test_a_template_that_formats_is_clean() -> None:
    assert look(CHATML.encode(), "chat_template.jinja").findings == ()
    assert look(json.dumps({"chat_template": CHATML}).encode(), "tokenizer_config.json").findings == ()


CODE = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages['__class__'] }}",
    "{{ messages['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ messages | attr('x') }}",
    "{{ messages | attr('\\x5f' ~ 'x') }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.x }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{% set x = '__globals__' %}{{ messages[x] }}",
    "{% for m in messages %}{% if m.content == 'now' %}{{ m.mro() }}{% endif %}{% endfor %}",
]
ODD = [
    "{% include 'other' %}",
    "{% import 'other' as o %}",
    "{% extends 'other' %}",
    "{{ fetch('x') }}",
    "{{ messages.send('x') }}",
    "{{ messages | shell }}",
    "{{ (messages | first)('x') }}",
    "{{ 'see https://evil.example/install for help' }}",
    "Read http://evil.example/x first. {{ messages }}",
    "{{ messages['__cl' ~ 'ass__'] }}",
    "{{ messages['%c%cclass' % (95, 95)] }}",
    "{{ messages['__cla' + 'ss__'] }}",
    "{{ messages['_' * 2 + name] }}",
    "{{ messages['__ssalc__'[::-1]] }}",
    "{{ messages['CLASS' | lower] }}",
    "{% set a, b = '__', 'class' %}{% set c = a + b + a %}{{ messages[c] }}",
    "{% set a = '_' * 2 %}{{ messages[a + name] }}",
    "{% set a = '%c' % 95 %}{{ messages[a] }}",
    "{{ messages | map(attribute=name) | list }}",
]


@pytest.mark.parametrize("template", CODE)
def test_a_template_that_reaches_for_python_is_malicious(template: str) -> None:
    assert verdict(template.encode(), "chat_template.jinja") is Verdict.MALICIOUS
    named = [{"name": "default", "template": template}]
    assert verdict(json.dumps({"chat_template": named}).encode(), "tokenizer_config.json") is Verdict.MALICIOUS


@pytest.mark.parametrize("template", ODD)
def test_a_template_that_does_more_than_format_is_suspicious(template: str) -> None:
    assert rules(template.encode(), "chat_template.jinja") == {"template-odd"}


def test_a_template_that_does_not_parse_is_unparsed() -> None:
    for template in ("{% if %}", "{{ 1 +", "{% for x in y %}", "{{ " + "(" * 5000):
        assert verdict(template.encode(), "chat_template.jinja") is Verdict.UNPARSED


def test_hooks_of_a_config_are_named() -> None:
    assert rules(b'{"auto_map": {"AutoModel": "modeling.My"}}', "config.json") == {"code-hook"}
    assert rules(b'{"a": [{"trust_remote_code": true}]}', "config.json") == {"code-hook"}
    assert rules(b'{"custom_pipelines": {"x": {"impl": "p.My"}}}', "config.json") == {"code-hook"}
    assert rules(b'{"auto_map": {"A": "b.C"}, "auto_map": {}}', "config.json") == {"code-hook", "header-odd"}
    assert rules(b'{"_target_": "os.system"}', "config.json") == {"pickle-code"}
    assert rules(b'{"auto_map": null, "trust_remote_code": false, "hidden_size": 3}', "config.json") == set()
    assert rules(b'{"a": ', "config.json") == {"unparsed"}
    assert rules(b"[" * 200_000, "config.json") == {"unparsed"}
    assert rules(b"\xff\xfe{", "config.json") == {"unparsed"}


def test_programs_beside_weights_are_a_note() -> None:
    report = look(b"import os\n", "modeling.py")
    assert [f.rule for f in report.findings] == ["code-file"]
    assert report.verdict is Verdict.CLEAN
