"""Wrappers for dream environments and real ones alike."""

from slowfast.envs.wrappers.chunked_actions import ChunkedActions
from slowfast.envs.wrappers.recorder import SlowFastRecorder
from slowfast.envs.wrappers.vector_frame_stack import VectorFrameStack

__all__ = ["ChunkedActions", "SlowFastRecorder", "VectorFrameStack"]
