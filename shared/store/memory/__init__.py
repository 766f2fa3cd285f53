"""The embedded store: all of it in this process's memory.

What Redis does in a script is done here by a method that does not await before it has finished: nothing comes in
between. Decisions and what else is read back later are kept as the bytes that Redis would hold: see ADR 0030.
"""

from shared.store.memory.data import MemoryData
from shared.store.memory.store import MemoryStore

__all__ = ["MemoryData", "MemoryStore"]
