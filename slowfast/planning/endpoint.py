"""Sub-goals from a language model behind an OpenAI-compatible endpoint, as the paper asks ChatGPT for them (§3.4).

It is asked for JSON, with a schema where it keeps to one, and out of the words that the world knows, if these are
counted. What cannot be read is refused, not guessed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.planning.chat import ChatEndpoint, EndpointError, picture

FIELD = "sub_goals"
LONGEST = 256
"""Characters of one sub-goal."""
FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
"""Many models put JSON into a block of Markdown, whatever they are told."""


@dataclass(frozen=True)
class EndpointSubGoals:
    """Splits a task by asking ``chat``. ``words``: all that a sub-goal may be; None: any words. ``limit``: sub-goals an
    episode, at most. ``about``: what the model has to know of the world, such as how far a sub-goal leads.

    :meth:`split` asks once for all sub-goals. :meth:`next` asks anew each time, with what was done and what is seen,
    and takes the first of the answer. Both raise :class:`~slowfast.planning.chat.EndpointError`.
    """

    chat: ChatEndpoint
    words: tuple[str, ...] | None = None
    limit: int = 16
    about: str = ""

    def __post_init__(self) -> None:
        if self.limit < 1 or (self.words is not None and not self.words):
            raise ValueError(f"limit and the number of words are at least 1, got {self.limit} and {self.words}")

    def next(self, task: str, done: Sequence[str], frame: np.ndarray | None = None) -> str | None:
        """See :class:`~slowfast.planning.subgoals.SubGoals`; after ``limit`` sub-goals nothing is asked any more."""
        if len(done) >= self.limit:
            return None
        return next(iter(self.split(task, done, frame)), None)

    def split(self, task: str, done: Sequence[str] = (), frame: np.ndarray | None = None) -> tuple[str, ...]:
        """The sub-goals that are left of ``task`` after ``done``; ``frame`` ``uint8 [H, W, 3]``: what is seen now.

        Raises ValueError for an empty task.
        """
        if not task.strip():
            raise ValueError("an endpoint needs a task in words to split into sub-goals")
        left = self.limit - len(done)
        text = f"Task: {task}\nDone so far: {json.dumps(list(done))}"
        content: Any = text if frame is None else [{"type": "text", "text": text}, picture(frame)]
        messages = [{"role": "system", "content": self._told(left)}, {"role": "user", "content": content}]
        return self._read(self.chat.ask(messages, response_format=self._schema()), left)

    def _told(self, left: int) -> str:
        kind = "a short instruction" if self.words is None else f"one of {json.dumps(list(self.words))}, word for word"
        sentences = [
            "You direct an agent that sees through a camera.",
            "Split its task into sub-goals, in the order in which it is to carry them out;",
            "leave out what it has done, and give none when the task is done.",
            self.about,
            f"Each sub-goal is {kind}; the same one may come again. Give {left} at most.",
            f'Answer with JSON alone, without any other text: {{"{FIELD}": ["...", "..."]}}',
        ]
        return " ".join(sentence for sentence in sentences if sentence)

    def _schema(self) -> dict[str, Any]:
        item = {"type": "string"} if self.words is None else {"type": "string", "enum": list(self.words)}
        schema = {
            "type": "object",
            "properties": {FIELD: {"type": "array", "items": item}},
            "required": [FIELD],
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": FIELD, "strict": True, "schema": schema}}

    def _read(self, text: str, left: int) -> tuple[str, ...]:
        fenced = FENCE.fullmatch(text)
        try:
            answer = json.loads(fenced[1] if fenced else text)
        except (ValueError, RecursionError) as error:
            raise self._refused(f'asked for JSON {{"{FIELD}": [...]}}', text) from error
        items = answer.get(FIELD) if isinstance(answer, dict) else answer
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            raise self._refused(f"asked for a list of words as {FIELD!r}", text)
        if len(items) > left:
            raise self._refused(f"asked for {left} sub-goals at most, got {len(items)}", text)
        return tuple(self._known(item.strip(), text) for item in items)

    def _known(self, item: str, text: str) -> str:
        if self.words is None:
            if len(item) > LONGEST:
                raise self._refused(f"a sub-goal has at most {LONGEST} characters, got {len(item)}", text)
            return item
        for word in self.words:
            if word.casefold() == item.casefold():
                return word
        raise self._refused(f"{self.chat.shown(item, 60)} is not one of {', '.join(self.words)}", text)

    def _refused(self, problem: str, text: str) -> EndpointError:
        return EndpointError(f"{self.chat.address}: {problem}; {self.chat.model!r} answered {self.chat.shown(text)}")
