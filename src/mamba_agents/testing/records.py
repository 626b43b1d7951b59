"""What pydantic-ai notes down in requests: instructions, settings and tools as they change."""

from dataclasses import dataclass

from pydantic_ai.messages import (
    CapabilityInstructionSource,
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    InstructionId,
    InstructionPart,
    ModelRequestPart,
    ModelSettingsDeltaPart,
    ToolAvailabilityDeltaPart,
)

from mamba_agents.testing.choices import Choices
from mamba_agents.testing.parts import PROVIDER

_LIMITS = InstructionId(CapabilityInstructionSource("budget"), name="limits")
_LOADED = InstructionId(CapabilityInstructionSource("billing"))


@dataclass(slots=True)
class Records:
    """What has been noted down since the last summary, and so can be changed."""

    has_baseline: bool = False
    has_settings: bool = False
    has_capability: bool = False

    def forget(self) -> None:
        """Begin anew, as a summary makes a history do."""
        self.has_baseline = self.has_settings = self.has_capability = False

    def some(self, choose: Choices) -> list[ModelRequestPart]:
        """The next notes: none mostly."""
        match choose.below(14):
            case 10:
                return [self._settings(choose)]
            case 11:
                return [ToolAvailabilityDeltaPart(tools_added=["refund"])]
            case 12 | 13:
                return [self._instructions(choose)]
            case _:
                return []

    def summary(self, choose: Choices) -> CompactionPart:
        """A summary that the application wrote."""
        self.forget()
        return CompactionPart(choose.text(), metadata={"summary": True})

    def provider_summary(self, choose: Choices) -> CompactionPart:
        """A summary that a provider made, readable or sealed."""
        self.forget()
        if choose.once_in(2):
            return CompactionPart(provider_name=PROVIDER, provider_details={"encrypted_content": "c2VhbGVk"})
        return CompactionPart(choose.text(), id="summary", provider_name=PROVIDER)

    def _settings(self, choose: Choices) -> ModelSettingsDeltaPart:
        opens = not self.has_settings
        self.has_settings = True
        return ModelSettingsDeltaPart(settings={"thinking": choose.one_of(("low", "high"))}, top_level=opens)

    def _instructions(self, choose: Choices) -> ModelRequestPart:
        if self.has_capability and choose.once_in(2):
            return InstructionDeltaPart(id=_LOADED, content="Refunds need a reason.")
        if self.has_baseline:
            return InstructionDeltaPart(id=_LIMITS, content=choose.one_of(("Spend at most 2 USD.", None)))
        self.has_baseline = True
        block = InstructionPart("Spend at most 5 USD.", dynamic=True, on_change="append", name="limits", id=_LIMITS)
        return InstructionBaselinePart(instructions=[block])
