"""The store on Redis. The only package that imports redis.

Its keys are in `docs/store.md`, and a test holds what a run leaves against them.
"""

from shared.store.redis.store import RedisStore, map_error

__all__ = ["RedisStore", "map_error"]
