"""Which packages a wheel holds: everything on disk, so that a new folder needs no edit here.

The metadata is in pyproject.toml. Only this list is computed, because setuptools can discover packages under one root
but not under the four roots that `package-dir` maps (`envs/` is `slowfast.envs`, and so on).
"""

from __future__ import annotations

from setuptools import find_packages, setup

ROOTS = {
    "slowfast": "slowfast",
    "slowfast.envs": "envs",
    "slowfast.datasets": "datasets",
    "slowfast.configs": "configs",
}

setup(
    packages=[
        package
        for name, folder in ROOTS.items()
        for package in (name, *(f"{name}.{inner}" for inner in find_packages(folder)))
    ],
    package_dir=ROOTS,
)
