"""The checks, one line each. A new one is a class in a file here and a line in ``CHECKS``."""

from __future__ import annotations

from slowfast.datasets.doctor.check import Check
from slowfast.datasets.doctor.checks.actions import ConstantActions, MissingActions
from slowfast.datasets.doctor.checks.alignment import Alignment
from slowfast.datasets.doctor.checks.balance import ActionBalance
from slowfast.datasets.doctor.checks.bars import BlackBars
from slowfast.datasets.doctor.checks.copies import Copies
from slowfast.datasets.doctor.checks.cuts import SceneCuts
from slowfast.datasets.doctor.checks.frames import FlatFrames, FrozenFrames, RepeatedFrames
from slowfast.datasets.doctor.checks.language import LanguageVaries
from slowfast.datasets.doctor.checks.scale import ActionScale
from slowfast.datasets.doctor.checks.splits import SplitsAgree
from slowfast.datasets.doctor.checks.videos import FrameRate, Resolution

CHECKS: tuple[type[Check], ...] = (
    MissingActions,
    ConstantActions,
    ActionScale,
    ActionBalance,
    Alignment,
    FrozenFrames,
    RepeatedFrames,
    FlatFrames,
    BlackBars,
    SceneCuts,
    FrameRate,
    Resolution,
    LanguageVaries,
    SplitsAgree,
    Copies,
)
