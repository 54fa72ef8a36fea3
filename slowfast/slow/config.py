"""Settings of masked video diffusion: plain data, so that a command line that shows them need not load torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slowfast.slow.noise import NoiseProcess
    from slowfast.slow.unet import MaskedUNet3D


@dataclass(frozen=True)
class MaskedDiffusionConfig:
    """How windows are masked and sampled.

    ``window``: most frames the network was trained on. ``prefix_timestep``: ``shared`` as in the paper (nothing tells
    the network which frames are clean) or ``own`` (a clean frame carries its own noise level; a deviation from the
    paper that small models need). ``context_noise``: noise level of the prefix while sampling, in [0, 1), only with
    ``own``. ``steps``: sampling steps. ``guidance``: classifier-free guidance, 1 is off. ``dropout``: of the temporal
    convolutions while training (diffusers' own is 0.1). ``training_shift``: moves the noise levels s in [0, 1] that
    flow matching trains on towards noise, to shift * s / (1 + (shift - 1) * s); 1 leaves them uniform. Sampling steps
    have a shift of their own, the scheduler's: what an action does is decided where there is nothing but noise, so
    training has much to learn there, while the few steps of a sample are better spread evenly. ``recalled``: frames at
    the start of a prefix that a memory may recall from long ago (with null actions); 0: the network was not trained
    for it. ``keep_prefix``: the first sampling step runs the whole window, later ones run the new frames alone, and
    layers along time see the prefix as the first left it: less work, nearly the same samples. Needs ``own`` timesteps.
    ``roll_prefix``: a dream without a memory hands on what is kept from frame to frame as well, so that of the prefix
    only what is new in it is run. Needs ``own`` timesteps and no ``context_noise``.
    """

    window: int = 8
    prefix_timestep: str = "own"
    context_noise: float = 0.0
    steps: int = 4
    guidance: float = 1.0
    dropout: float = 0.0
    training_shift: float = 1.0
    recalled: int = 0
    keep_prefix: bool = False
    roll_prefix: bool = False

    def __post_init__(self) -> None:
        if self.training_shift <= 0:
            raise ValueError(
                f"training_shift has to be above 0 (1 leaves noise levels uniform), got {self.training_shift}"
            )
        if not 0 <= self.recalled < self.window - 1:
            raise ValueError(f"recalled frames leave room for one shown and one new, got {self.recalled}")
        if self.prefix_timestep not in ("shared", "own"):
            raise ValueError(f"prefix_timestep {self.prefix_timestep!r} is not 'shared' or 'own'")
        if (self.keep_prefix or self.roll_prefix) and self.prefix_timestep == "shared":
            name = "keep_prefix" if self.keep_prefix else "roll_prefix"
            raise ValueError(f"{name} needs prefix_timestep='own': a shared timestep changes the prefix every step")
        if self.roll_prefix and self.context_noise:
            raise ValueError("roll_prefix needs context_noise=0: noise of its own makes every frame's prefix another")
        if self.context_noise and self.prefix_timestep == "shared":
            raise ValueError("context_noise needs prefix_timestep='own': a shared timestep cannot say how noisy it is")


@dataclass(frozen=True)
class UNetConfig:
    """A ``UNet3DConditionModel`` of any size. ModelScope's 1.4B is widths (320, 640, 1280, 1280), 2 layers, head 64.

    The last level has no attention (as in ModelScope), the middle block always has. ``action_route``: how actions enter
    the network, see :class:`~slowfast.conditioning.encoder.ActionEncoderConfig`. ``modulation``: ``default`` or
    ``scale_shift``, how residual blocks take timestep and action.
    """

    widths: tuple[int, ...] = (64, 128)
    layers_per_block: int = 1
    head_size: int = 16
    norm_groups: int = 16
    text_width: int = 64
    action_route: str = "both"
    modulation: str = "default"

    def build(self, latent_channels: int) -> MaskedUNet3D:
        """A network with random weights (from torch's global generator)."""
        from slowfast.slow.unet import MaskedUNet3D

        attended = len(self.widths) - 1
        return MaskedUNet3D(
            in_channels=latent_channels,
            out_channels=latent_channels,
            block_out_channels=self.widths,
            layers_per_block=self.layers_per_block,
            down_block_types=("CrossAttnDownBlock3D",) * attended + ("DownBlock3D",),
            up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * attended,
            attention_head_dim=self.head_size,
            norm_num_groups=self.norm_groups,
            cross_attention_dim=self.text_width,
            resnet_time_scale_shift=self.modulation,
        ).eval()


@dataclass(frozen=True)
class SchedulerConfig:
    """A diffusers scheduler: ``FlowMatchEulerDiscreteScheduler``, or ``DDIMScheduler`` with a ``prediction_type``."""

    name: str = "FlowMatchEulerDiscreteScheduler"
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self) -> NoiseProcess:
        from slowfast.slow.noise import NoiseProcess

        return NoiseProcess.create(self.name, **self.settings)


@dataclass(frozen=True)
class SamplingConfig:
    """How a world samples, where that departs from what its network came with (None: as it came).

    ``steps``: sampling steps. ``shift``: spacing of those of flow matching, in sigma -> shift * sigma / (1 + (shift -
    1) * sigma); below 1 the later steps lie where there is little noise. ``context_noise``: noise level, in [0, 1),
    that shown frames are given and said to have: what they get wrong weighs less. ``keep_prefix``: whether later steps
    run the new frames alone. ``roll_prefix``: whether dreams without a memory also keep what they can of the prefix
    from frame to frame.
    """

    steps: int | None = None
    shift: float | None = None
    context_noise: float | None = None
    keep_prefix: bool | None = None
    roll_prefix: bool | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"sampling needs at least 1 step, got {self.steps}")
        if self.shift is not None and self.shift <= 0:
            raise ValueError(f"a shift of sampling steps is above 0 (1 spreads them evenly), got {self.shift}")
        if self.context_noise is not None and not 0 <= self.context_noise < 1:
            raise ValueError(f"a context's noise while sampling is in [0, 1), got {self.context_noise}")
