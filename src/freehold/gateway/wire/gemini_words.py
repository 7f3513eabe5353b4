"""Gemini's names and words: fields under either spelling, and the vocabulary that holds nothing to find."""

from collections.abc import Mapping
from typing import Any

from freehold.core.errors import InvalidRequest
from freehold.gateway.wire.fields import Document

_CAMEL = """
    contents content parts role text thought thoughtSignature inlineData fileData mimeType data fileUri displayName functionCall
    functionResponse name args id response systemInstruction tools functionDeclarations description parameters
    parametersJsonSchema toolConfig functionCallingConfig allowedFunctionNames mode generationConfig stopSequences
    candidateCount maxOutputTokens temperature topP topK seed responseMimeType responseSchema responseJsonSchema
    presencePenalty frequencyPenalty responseLogprobs logprobs thinkingConfig thinkingBudget includeThoughts thinkingLevel
    responseModalities safetySettings category threshold googleSearch codeExecution urlContext cachedContent labels
    executableCode codeExecutionResult code language outcome output
    type properties required items enum format nullable anyOf title default minimum maximum minItems maxItems minLength
    maxLength pattern propertyOrdering example additionalProperties
    candidates finishReason finishMessage index safetyRatings probability blocked promptFeedback blockReason usageMetadata
    promptTokenCount candidatesTokenCount thoughtsTokenCount cachedContentTokenCount toolUsePromptTokenCount totalTokenCount
    promptTokensDetails candidatesTokensDetails cacheTokensDetails toolUsePromptTokensDetails modality tokenCount modelVersion
    responseId avgLogprobs logprobsResult chosenCandidates topCandidates token tokenId logProbability citationMetadata
    groundingMetadata createTime trafficType
"""
_VALUES = """
    user model function tool system object string number integer boolean array null
    STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL AUTO ANY NONE VALIDATED TEXT IMAGE AUDIO VIDEO DOCUMENT MINIMAL LOW MEDIUM
    HIGH STOP MAX_TOKENS SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII OTHER LANGUAGE MALFORMED_FUNCTION_CALL NEGLIGIBLE
    HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT HARM_CATEGORY_DANGEROUS_CONTENT
    HARM_CATEGORY_CIVIC_INTEGRITY BLOCK_NONE OFF BLOCK_ONLY_HIGH BLOCK_MEDIUM_AND_ABOVE BLOCK_LOW_AND_ABOVE
    OUTCOME_OK OUTCOME_FAILED PYTHON ON_DEMAND text/plain application/json
"""


def camel(name: str) -> str:
    """`inline_data` to `inlineData`; a name without underscores is what it is."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


# Words of the format itself. A string that equals one of them holds nothing to find.
OBJECTS = frozenset({"args", "response"})  # that are a tool's own
VOCABULARY = frozenset(_CAMEL.split()) | frozenset(map(_snake, _CAMEL.split())) | frozenset(_VALUES.split())


def named(document: Document, where: str = "") -> Document:
    """One message's fields under their camelCase names. Protocol buffers' JSON takes either spelling, and so do we."""
    if not any("_" in key for key in document):
        return document
    fields: dict[str, Any] = {}
    for key, value in document.items():
        name = camel(key)
        if name in fields:
            raise InvalidRequest(f"{where}{name}: given twice, as {name} and {key}; keep one", param=where + name)
        fields[name] = value
    return fields


def spelled(document: Mapping[str, Any], name: str) -> Any:
    """A field's value under either spelling, of a document that nobody has checked yet."""
    return document[name] if name in document else document.get(_snake(name))
