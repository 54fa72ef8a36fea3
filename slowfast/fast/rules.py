"""Update rules of a memory, named in a config: which windows it learns (:mod:`slowfast.fast.lessons`), and how."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from slowfast.fast.lessons import LESSONS, Learner
from slowfast.fast.optimiser import OPTIMISERS, OptimiserSettings
from slowfast.slow.windows import Windows

LEVELS = ("trained", "sampled", "start")
STARTS = ("random", "learned")
FOUND_BY = ("pose", "likeness")
CLOSED_FORM, RECURSIVE = "closed_form", "recursive"
LATER = ("optimiser", "damping", "start", "consolidate", "familiar", "retrace", "anneal")
"""Settings that came after rules were first written to files."""


@dataclass(frozen=True)
class MemoryRule:
    """An update rule and its settings; :func:`memory_rule` gives the named ones.

    ``name``: which windows are learned, a key of :data:`LESSONS`. ``steps``: gradient steps an update.
    ``dreamed_steps``: of an update on frames that the world made itself (None: as many); 0 learns from what was
    observed alone. ``rank``, ``alpha``: of the adapter, whose output is scaled by alpha / rank (alpha None: rank).
    ``layers``: kind of layers that are adapted. ``every``: new frames between two updates (None: the world's chunk).
    ``replay``: earlier windows of the episode that are kept beside the newest. ``replay_batch``: windows a step, each
    drawn from the newest and the kept ones alike. ``levels``: noise levels that are learned: ``trained`` as the slow
    learner was, ``sampled``: those alone at which sampling will read the memory, or ``start``: the first of these,
    where what a frame shows is decided from prefix, action and memory alone. ``shift``: where ``trained`` levels are
    drawn, as ``training_shift`` of the slow learner (None: as it was trained). ``clip``: bound on the norm of an
    episode's gradient (None: none). ``optimiser``: ``adam``; ``momentum``, gradient descent with the first of ``betas``
    (it wants a far higher learning rate); ``preconditioned``, Adam on gradients of each factor divided by the other's
    Gram matrix plus ``damping`` on its diagonal; or ``closed_form``, for layers ``output`` alone: no gradient goes
    through the network, the change that a window asks for is solved for, with ``damping`` as a share of the mean
    curvature, and ``learning_rate`` is the share of it that is taken; or ``recursive``, for layers ``associative``:
    solved for as well, for all windows of the episode so far at once, with ``damping`` in squared sizes of a key.
    ``familiar``: what is asked for under a key of which a smaller share than that lies inside of what was taught stays
    as it is without the memory (0: nothing does). ``weight_decay`` is apart from the gradient. ``consolidate``: a copy
    of the adapter moves that share of the way to it after each update, and weights decay towards the copy; 0: there is
    none, they decay to nothing. ``start``: the down factors that an episode begins with, ``random`` or ``learned``,
    those that the world ships (``slowfast train memory-start``). ``anneal``: the learning rate falls evenly to nothing
    over the steps of an update. ``retrace``: the way back is learned as well, in two of three gradient steps; the world
    has to have an inverse dynamics, and what is seen has to look the same when it is played backwards.
    ``recalled``: frames that are kept as they are and shown again, that many at a time, in the place of older context;
    the slow learner has to be trained for it (``slow.recalled``). ``bank``: frames that are kept for it.
    ``recall_chunk``: new frames that are made with one look among them (None: as many as are asked for; fewer find
    better frames and take longer). ``recall_by``: what they are found by, ``pose`` (where the world's odometry says
    that they were seen from; a world without one goes by likeness) or ``likeness`` (to a draft of what comes).
    ``near``: steps of the world beyond which, ``alike``: cosine likeness below which no kept frame is shown. ``trust``:
    share, in the noise that a new frame is made from, of a kept one seen from the very pose that it will be seen from;
    it falls to nothing ``same`` steps of the world away from there. ``doubt``: where what is kept from the present
    place (within ``same`` steps) is less like the present frame than this cosine, nothing is shown; -1: never. With
    ``steps`` 0 nothing is learned and kept frames are all there is.
    """

    name: str = "paper"
    steps: int = 1
    dreamed_steps: int | None = None
    learning_rate: float = 1e-4
    rank: int = 32
    alpha: float | None = None
    layers: str = "attention"
    every: int | None = None
    replay: int = 0
    replay_batch: int = 1
    levels: str = "trained"
    shift: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    recalled: int = 0
    recall_chunk: int | None = 1
    recall_by: str = "pose"
    near: float = 2.0
    alike: float = 0.45
    trust: float = 0.3
    same: float = 0.5
    doubt: float = 0.45
    bank: int = 256
    optimiser: str = "adam"
    damping: float = 1e-6
    start: str = "random"
    consolidate: float = 0.0
    familiar: float = 0.0
    retrace: bool = False
    anneal: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))  # JSON and YAML give a list
        if self.name not in LESSONS:
            raise ValueError(f"memory rule {self.name!r} is not known; choose one of {', '.join(LESSONS)}")
        least = {"steps": 0, "dreamed_steps": 0, "rank": 1, "replay": 0, "replay_batch": 1, "every": 1}
        least |= {"recalled": 0, "recall_chunk": 1, "bank": 1}
        for field, bound in least.items():
            value = getattr(self, field)
            if value is not None and value < bound:
                raise ValueError(f"memory rule {self.name!r}: {field} is at least {bound}, got {value}")
        choices = {"recall_by": FOUND_BY, "optimiser": (*OPTIMISERS, CLOSED_FORM, RECURSIVE), "start": STARTS}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                said = f"{field} is {', '.join(known)}, got {getattr(self, field)!r}"
                raise ValueError(f"memory rule {self.name!r}: {said}")
        solvable = self.layers == "output" and self.clip is None and self.start == "random"
        if self.optimiser == CLOSED_FORM and not solvable:
            raise ValueError(
                f"memory rule {self.name!r}: optimiser {CLOSED_FORM} solves for layers: output, with no gradient to "
                f"clip (clip: null) and whatever it starts from (start: random), got layers {self.layers!r}, clip "
                f"{self.clip}, start {self.start!r}"
            )
        summed = self.layers == "associative" and self.clip is None and not self.weight_decay
        if self.optimiser == RECURSIVE and not summed:
            raise ValueError(
                f"memory rule {self.name!r}: optimiser {RECURSIVE} solves for layers: associative, with no gradient to "
                f"clip (clip: null) and nothing that decays (weight_decay: 0), got layers {self.layers!r}, clip "
                f"{self.clip}, weight_decay {self.weight_decay}"
            )
        if self.optimiser in (CLOSED_FORM, RECURSIVE) and self.anneal:
            raise ValueError(
                f"memory rule {self.name!r}: anneal is of gradient steps, and optimiser {self.optimiser} takes none: "
                "choose anneal: false"
            )
        if not 0 <= self.familiar < 1 or (self.familiar and self.optimiser != RECURSIVE):
            raise ValueError(
                f"memory rule {self.name!r}: familiar is a share in [0, 1) of the keys of optimiser {RECURSIVE}, got "
                f"{self.familiar} with optimiser {self.optimiser!r}"
            )
        if not 0 <= self.consolidate <= 1:
            raise ValueError(f"memory rule {self.name!r}: consolidate is a share 0 to 1, got {self.consolidate}")
        if self.consolidate and (not self.weight_decay or self.optimiser == CLOSED_FORM):
            raise ValueError(
                f"memory rule {self.name!r}: with consolidate, weights decay towards what has settled; that takes a "
                f"weight_decay above 0 and another optimiser than {CLOSED_FORM}"
            )
        if not self.damping > 0:
            raise ValueError(f"memory rule {self.name!r}: damping is above 0, got {self.damping}")
        if not self.near >= 0:
            raise ValueError(f"memory rule {self.name!r}: near is a number of steps, got {self.near}")
        if not (0 <= self.trust < 1 and self.same > 0):
            said = f"trust is a share in [0, 1), same a number of steps above 0, got {self.trust} and {self.same}"
            raise ValueError(f"memory rule {self.name!r}: {said}")
        for field in ("alike", "doubt"):
            if not -1 <= getattr(self, field) <= 1:
                said = f"{field} is a cosine, from -1 to 1, got {getattr(self, field)}"
                raise ValueError(f"memory rule {self.name!r}: {said}")
        if self.levels not in LEVELS:
            raise ValueError(f"memory rule {self.name!r}: levels are {', '.join(LEVELS)}, got {self.levels!r}")
        if self.shift is not None and (self.shift <= 0 or self.levels != "trained"):
            raise ValueError(
                f"memory rule {self.name!r}: shift is above 0 and moves trained levels, got {self.shift} "
                f"with levels {self.levels!r}"
            )

    def steps_on(self, dreamed: bool) -> int:
        """Gradient steps of an update on frames that the world made itself, or that were observed."""
        return self.dreamed_steps if dreamed and self.dreamed_steps is not None else self.steps

    def rate_at(self, step: int) -> float:
        """The learning rate of gradient step ``step``, from 0, of an update."""
        return self.learning_rate * (1 - step / self.steps) if self.anneal else self.learning_rate

    @property
    def scaled_by(self) -> float:
        """Alpha as a number."""
        return float(self.rank if self.alpha is None else self.alpha)

    @property
    def optimiser_settings(self) -> OptimiserSettings:
        return OptimiserSettings(
            self.learning_rate,
            self.betas,
            self.epsilon,
            self.weight_decay,
            self.clip,
            self.optimiser,
            self.damping,
        )

    def settings(self) -> dict[str, Any]:
        """As JSON holds them; ``MemoryRule(**settings)`` is the rule again.

        A setting of :data:`LATER` is left out at its default: what an earlier version wrote is then still the same.
        """
        default = MemoryRule(self.name)
        kept = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in LATER or getattr(self, field.name) != getattr(default, field.name)
        }
        return {**kept, "betas": list(self.betas)}

    def windows(self, windows: Windows, slow: Learner, step: int = 0) -> Windows:
        """The windows to learn at gradient step ``step`` of an update, from clean windows of the stream."""
        return LESSONS[self.name](windows, slow, step)


DEFAULTS: dict[str, dict[str, Any]] = {
    # SlowFast-VGen, appendix D.1: Adam, one step a chunk. Layers and alpha are not stated there.
    "paper": {},
    # The public Temp-LoRA code: two passes a chunk, AdamW, rank 64, clipped at 1. Its dropout and warm-up stay behind:
    # an update runs in eval mode, and two warm-up steps would be a whole chunk here.
    "ancestor": {"steps": 2, "learning_rate": 5e-5, "rank": 64, "epsilon": 1e-7, "clip": 1.0},
    # Ours: what the last linear map lacks of each window, solved for; a tenth of it at a time.
    "readout": {
        "steps": 12,
        "dreamed_steps": 1,
        "learning_rate": 0.1,
        "layers": "output",
        "replay": 16,
        "levels": "sampled",
        "optimiser": CLOSED_FORM,
        "damping": 0.1,
    },
    # Ours: pictures under keys, an exact least squares fit to the whole episode.
    "associative": {
        "steps": 12,
        "dreamed_steps": 3,
        "learning_rate": 1.0,
        "rank": 256,
        "layers": "associative",
        "levels": "start",
        "optimiser": RECURSIVE,
        "damping": 0.1,
        "start": "learned",
        "familiar": 0.8,
        "retrace": True,
    },
    # Ours: many steps on every layer.
    "imprint": {
        "steps": 48,
        "dreamed_steps": 1,
        "learning_rate": 0.006,
        "layers": "linear_and_convolutions",
        "rank": 16,
        "replay": 16,
        "levels": "start",
        "clip": 1.0,
        "anneal": True,
    },
    # After WorldMem (arXiv 2504.12369): no weights change, frames that were seen are shown again.
    "retrieval": {"steps": 0, "rank": 1, "recalled": 2},
}


def memory_rule(name: str, **settings: Any) -> MemoryRule:
    """The named rule with its own defaults, overridden by ``settings``. Raises ValueError for what is not known."""
    if name not in LESSONS:
        raise ValueError(f"memory rule {name!r} is not known; choose one of {', '.join(LESSONS)}")
    known = {field.name for field in fields(MemoryRule)} - {"name"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValueError(f"memory rule {name!r} has no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return replace(MemoryRule(name, **DEFAULTS.get(name, {})), **settings)
