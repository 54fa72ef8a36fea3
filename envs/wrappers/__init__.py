"""Wrappers for dream environments and real ones alike."""

from slowfast.envs.wrappers.chunked_actions import ChunkedActions
from slowfast.envs.wrappers.frame_skip import FrameSkip
from slowfast.envs.wrappers.goal_observation import GoalObservation
from slowfast.envs.wrappers.ground_covered import GroundCovered
from slowfast.envs.wrappers.recorder import SlowFastRecorder
from slowfast.envs.wrappers.vector_frame_stack import VectorFrameStack
from slowfast.envs.wrappers.vector_goal_observation import VectorGoalObservation

__all__ = [
    "ChunkedActions",
    "FrameSkip",
    "GoalObservation",
    "GroundCovered",
    "SlowFastRecorder",
    "VectorFrameStack",
    "VectorGoalObservation",
]
