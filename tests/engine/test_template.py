from datetime import datetime

import pytest

from freehold.core.errors import InvalidRequest, MalformedArtefact, UnsupportedArtefact
from freehold.engine.template import ChatTemplate, chat_template
from tests.fakes.tiny_gguf import CHAT_TEMPLATE

HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "of a <place>", "parameters": {"type": "object"}}}]


def render(source: str, **values: object) -> str:
    return ChatTemplate(source, "m").render(HELLO, **values)  # type: ignore[arg-type]


def test_a_conversation_becomes_a_prompt() -> None:
    assert render(CHAT_TEMPLATE) == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert render(CHAT_TEMPLATE, generate=False) == "<|im_start|>user\nhello<|im_end|>\n"


def test_the_digest_is_of_the_source() -> None:
    assert ChatTemplate("x", "m").digest == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_bos_eos_and_the_date_are_there() -> None:
    template = ChatTemplate(
        "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{{ eos_token }}",
        "m",
        bos="<s>",
        eos="</s>",
        now=lambda: datetime(2026, 11, 22),
    )
    assert template.render(HELLO) == "<s>22 Nov 2026</s>"


def test_tools_reach_a_template_that_knows_them() -> None:
    source = "{% if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}{{ messages[0].content }}"
    template = ChatTemplate(source, "m")
    assert template.supports_tools
    assert '"description": "of a <place>"' in template.render(HELLO, TOOLS)
    assert not ChatTemplate(CHAT_TEMPLATE, "m").supports_tools


def test_what_real_templates_do_works() -> None:
    source = """
    {%- set ns = namespace(last=-1, text='') -%}
    {%- for m in messages if m.role == 'user' -%}
      {%- set ns.last = loop.index0 -%}
      {%- set ns.text = ns.text ~ '[' ~ (m['content'] | trim | upper) ~ ']' -%}
      {%- if loop.last and loop.length == 1 -%}{%- set ns.text = ns.text + '!' * 2 -%}{%- endif -%}
    {%- endfor -%}
    {%- macro shown(x, n=1) -%}{{ x }}:{{ n }}{%- endmacro -%}
    {{- shown(ns.text, n=ns.last) -}}
    {%- for i in range(3) -%}{%- if i == 1 -%}{%- break -%}{%- endif -%}{{ i }}{%- endfor -%}
    {{- ','.join(['a', 'b']) ~ ('x,y'.split(',') | join('/')) ~ ('aXb'.replace('X', '-')) -}}
    {{- messages[0].items() | list | length }}{{ missing is defined }}{{ none }}{{ {'a': [1, 'é']} | tojson(indent=1) }}
    {{- messages[0].get('content', 1)[:2] }}{{ messages | map(attribute='role') | join }}{{ 7 // 2 % 2 }}"""
    assert render(source) == '[HELLO]!!:00a,bx/ya-b2False{\n "a": [\n  1,\n  "é"\n ]\n}heuser1'


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% for i in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{{ range(10 ** 12) | list }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 7 ** 99999 }}",
        "{% set ns = namespace(x=3) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] | join('') %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ''.join([ns.x, ns.x]) %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
        "{% set ns.x = y %}{% endfor %}",
        "{% for i in range(9999) %}{{ 'a' * 1000000 }}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ 'a'.ljust(10 ** 9) }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ messages | tojson(indent=10 ** 9) }}",
        "{{ 'a' | indent(10 ** 9) }}",
        "{{ strftime_now('%999999999d') }}",
    ],
)
def test_a_template_cannot_run_or_grow_without_end(source: str) -> None:
    with pytest.raises(MalformedArtefact, match="chat template"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'].__mro__ }}",
        "{{ '' | attr('__class__') }}",
        "{{ messages | map(attribute='__class__') | list }}{{ messages.__len__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content.nothing.more }}",
        "{% for m in messages %}",
        "{{" * 4000,
        "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
        "x" * (256 * 1024 + 1),
    ],
)
def test_a_template_that_breaks_a_rule_is_malformed(source: str) -> None:
    with pytest.raises(MalformedArtefact, match="chat template"):
        render(source)


def test_what_a_template_refuses_is_the_callers_fault_and_quotes_only_the_template() -> None:
    template = ChatTemplate("{% if messages[0].role == 'system' %}{{ raise_exception('No system role!') }}{% endif %}", "m")
    with pytest.raises(InvalidRequest, match="refuses this conversation: No system role!"):
        template.render([{"role": "system", "content": "x"}])
    with pytest.raises(InvalidRequest) as caught:
        render("{{ raise_exception(messages[0].content) }}")
    assert "hello" not in caught.value.message


def test_messages_are_not_changed() -> None:
    messages = [{"role": "user", "content": "hello"}]
    ChatTemplate("{% for m in messages %}{% set m = 1 %}{% endfor %}", "m").render(messages)
    assert messages == HELLO


def test_a_model_without_a_template_says_so() -> None:
    with pytest.raises(UnsupportedArtefact, match="no chat template"):
        chat_template({}, "m", bos="", eos="")
    with pytest.raises(MalformedArtefact, match="not a string"):
        chat_template({"tokenizer.chat_template": 1}, "m", bos="", eos="")
