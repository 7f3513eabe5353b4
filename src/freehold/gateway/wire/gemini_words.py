"""Gemini's names and words: fields under either spelling, and the vocabulary that holds nothing to find."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any

from freehold.core.errors import InvalidRequest
from freehold.gateway.wire.fields import Document
from freehold.gateway.wire.prompt import MARKS, bare_seal, is_foreign, sealed

DIALECT = "google.gemini"
MODELS = "models/"  # what stands before a model's name in Google's resource names
METHODS = {"generateContent": False, "streamGenerateContent": True}  # whether the answer is streamed

# Newer models refuse a step whose first call has no seal. This one Google documents for calls that another model made:
# https://ai.google.dev/gemini-api/docs/thought-signatures
NO_SEAL = "skip_thought_signature_validator"
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


WRITTEN_MARKS = tuple(b64encode(mark[: len(mark) // 3 * 3]) for mark in MARKS)  # whatever follows does not change these letters


def read_seal(signature: str) -> str:
    """A `thoughtSignature`, marked with whose it is. What stands there of other dialects is base64 of their marked seal."""
    return foreign_seal(signature) or sealed(DIALECT, signature)


def foreign_seal(signature: str) -> str | None:
    """Another dialect's seal, if the field holds one."""
    try:
        seal = b64decode(signature, altchars=b"-_").decode("ascii")
    except (NotBase64, ValueError):
        return None
    return seal if is_foreign(seal) else None


def write_seal(signature: str | None) -> dict[str, str]:
    """The field for a client of Gemini's. A provider's own is base64, or none."""
    if signature is None:
        return {}
    own = bare_seal(DIALECT, signature)
    if own is None:
        return {"thoughtSignature": b64encode(signature.encode()).decode()}
    try:
        b64decode(own, validate=True)
    except (NotBase64, ValueError):
        return {}
    return {"thoughtSignature": own}
