"""An explorer that cannot be second-guessed: data in which an action says what its past does not."""

from __future__ import annotations

from typing import Any

from slowfast.envs.doom_rooms.motion import BACKWARD, FORWARD, STRAFE_LEFT, STRAFE_RIGHT, TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.policies import ExploringPolicy

MIX = (0.3, 0.3, 0.2, 0.05, 0.05, 0.05, 0.05)
"""Chances of the seven moves when an action is random."""


class RestlessPolicy(ExploringPolicy):
    """Explores; in half of its episodes most actions are random, in the others one in seven.

    Purposeful tours repeat their moves, so that the frames before an action give it away: a model that is trained on
    nothing else learns to go on as before, and not to listen.
    """

    shares: tuple[float, ...] = (0.15, 0.6)
    """Shares of random actions; each episode draws one of them."""

    def reset(self, info: dict[str, Any]) -> None:
        self._share = float(self.rng.choice(self.shares))
        super().reset(info)

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        if self.rng.random() >= self._share:
            return super().act(observation, info)
        self._visited.append(self.env.position)
        move = int(self.rng.choice(len(MIX), p=MIX))
        return self._motion(move) if self.env.continuous else move


class MixedPolicy(RestlessPolicy):
    """Half of its episodes are plain exploration, as a user's own clips would be; the other half are restless."""

    shares = (0.0, 0.0, 0.15, 0.6)


class StubbornPolicy(MixedPolicy):
    """As :class:`MixedPolicy`, but in half of its episodes it now and then walks straight on, whatever is in the way.

    Who finds the way around everything hardly ever runs into a wall (``benchmarks/walls.py`` counts). A model that is
    trained on nothing else learns that a step forward always leads forward, through walls too; one that is trained on
    nothing but stubborn episodes learns to stop where nothing is in the way.
    """

    straight: tuple[float, ...] = (0.0, 0.35)
    """Chances that what comes next is a straight walk; each episode draws one of them."""

    def reset(self, info: dict[str, Any]) -> None:
        self._straight = float(self.rng.choice(self.straight))
        super().reset(info)

    def _choose_behaviour(self) -> None:
        if self.rng.random() >= self._straight:
            return super()._choose_behaviour()
        self._last_behaviour = "walk straight on"
        turn = self._either(TURN_LEFT, TURN_RIGHT)
        move = int(self.rng.choice((FORWARD, BACKWARD, STRAFE_LEFT, STRAFE_RIGHT), p=(0.7, 0.1, 0.1, 0.1)))
        self._queue.extend([turn] * int(self.rng.integers(0, 7)) + [move] * int(self.rng.integers(4, 13)))
