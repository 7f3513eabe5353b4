"""The form that one request's answer is held to: by its response format, its tools, and how those are to be called."""

from dataclasses import replace
from typing import Final

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Tool, ToolChoice
from freehold.engine.calls import CallFormat
from freehold.engine.constraint import Constraint, Grammars
from freehold.engine.frames import Submit
from freehold.engine.grammar import CallRules, answer_grammar, calls_grammar, schema_of, takes_object
from freehold.engine.vocabulary import Tokenizer

_FORMAT: Final = "response_format"
_AUTO: Final = ToolChoice(mode="auto")


class Forms:
    """Of one model. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, calls: CallFormat | None) -> None:
        self._calls = calls
        specials = tokenizer.specials
        self._control = {text: token for text, token in specials.items() if not tokenizer.token_bytes(token)}
        self._grammars = Grammars(tokenizer, {text: token for text, token in specials.items() if text not in self._control})

    def shown(self, submit: Submit) -> frozenset[int]:
        """Control tokens that mark calls: an answer to a request with tools has them as text."""
        if self._calls is None or not submit.tools:
            return frozenset()
        return frozenset(self._control[marker] for marker in self._calls.markers if marker in self._control)

    def constraints(self, submit: Submit) -> list[Constraint | None]:
        """One for each of the answers asked for. Raises InvalidRequest for a form that cannot be held to."""
        grammar = self._grammar(submit)
        if grammar is None:
            return [None] * submit.choices
        text, where = grammar
        return [self._grammars.constraint(text, where) for _ in range(submit.choices)]

    def _grammar(self, submit: Submit) -> tuple[str, str] | None:
        """The grammar, and what of the request it comes from."""
        schema = schema_of(submit.response_format)
        choice = submit.tool_choice or _AUTO
        must_call = choice.mode in ("required", "named")
        if must_call and not submit.tools:
            raise InvalidRequest("tool_choice asks for a call, but there are no tools", param="tool_choice")
        calls_are_held = bool(submit.tools) and (must_call or schema is not None or any(tool.is_strict for tool in submit.tools))
        if not calls_are_held:
            return None if schema is None else (answer_grammar(schema, _FORMAT), _FORMAT)
        if self._calls is None:
            raise InvalidRequest(
                "this model's chat template teaches no form of tool calls that can be held to: leave `tool_choice`, `strict` and"
                " `response_format` out beside `tools`",
                param="tools",
            )
        rules = self._rules(self._calls)
        parallel = submit.parallel_tool_calls is not False
        tools = [tool if tool.is_strict else self._loosened(tool) for tool in submit.tools]
        grammar = calls_grammar(tools, rules, choice, schema, parallel=parallel)
        return grammar, _FORMAT if schema is not None else "tools"

    def _loosened(self, tool: Tool) -> Tool:
        """The tool itself, or one that takes any object where its schema cannot be held to: nobody asked for it to be."""
        try:
            if takes_object(tool) and self._grammars.can_follow(answer_grammar(tool.parameters, "tools")):
                return tool
        except InvalidRequest:
            pass
        return replace(tool, parameters={})

    def _rules(self, form: CallFormat) -> CallRules:
        return CallRules(
            form=form,
            begin=self._marker(form.begin),
            end=self._marker(form.end),
            named=self._marker(form.named),
            is_control=form.begin in self._control,
        )

    def _marker(self, text: str) -> str:
        """As it stands in a rule: the number of a control token, or its text."""
        if not text:
            return ""
        return f"<[{self._control[text]}]>" if text in self._control else f'"{text}"'
