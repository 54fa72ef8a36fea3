"""Fast learning: low-rank memories of single episodes, learned while a world runs."""

from slowfast.fast.memory import EpisodicMemory
from slowfast.fast.memory_state import MemoryState
from slowfast.fast.rules import MemoryRule, memory_rule

__all__ = ["EpisodicMemory", "MemoryRule", "MemoryState", "memory_rule"]
