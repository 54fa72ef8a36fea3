"""Wrappers for dream environments and real ones alike."""

from slowfast.envs.wrappers.chunked_actions import ChunkedActions

__all__ = ["ChunkedActions"]
