"""A window that shows an environment's frames, for ``render_mode="human"``; drawn with pygame (extra ``play``)."""

from __future__ import annotations

import numpy as np

SMALLEST_SIDE = 384


class Window:
    """Opens with its first frame and keeps to ``fps`` frames a second. Closing it by hand does not end the environment.

    Raises ImportError that names the extra when pygame is missing.
    """

    def __init__(self, title: str, fps: float) -> None:
        try:
            import pygame
        except ImportError as error:
            raise ImportError('render_mode="human" draws with pygame: pip install "slowfast[play]"') from error
        self._pygame, self._title, self._fps = pygame, title, fps
        self._surface: pygame.Surface | None = None
        self._clock = pygame.time.Clock()

    def show(self, frame: np.ndarray) -> None:
        """Draws ``uint8 [H, W, 3]``, enlarged by a whole number, then waits for the frame's time to pass."""
        pygame = self._pygame
        height, width = frame.shape[:2]
        scale = max(1, -(-SMALLEST_SIDE // min(height, width)))
        if self._surface is None:
            pygame.display.init()
            self._surface = pygame.display.set_mode((width * scale, height * scale))
            pygame.display.set_caption(self._title)
        pygame.event.pump()
        picture = pygame.surfarray.make_surface(frame.swapaxes(0, 1))
        self._surface.blit(pygame.transform.scale_by(picture, scale), (0, 0))
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """May be called again."""
        if self._surface is not None:
            self._pygame.display.quit()
            self._surface = None
