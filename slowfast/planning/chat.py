"""A chat endpoint that speaks OpenAI's protocol: ``POST {url}/chat/completions``, and what its answer says.

The key is sent as a bearer token and shows up nowhere else: not in errors, not in ``repr``, not at another host that
the endpoint redirects to.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

import numpy as np
from PIL import Image

LONGEST_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
LONGEST_WAIT = 60.0
"""Seconds that an endpoint may ask to be left alone for between two tries."""
OURS = ("model", "messages", "stream")

Message = Mapping[str, Any]


class EndpointError(OSError):
    """An endpoint that cannot be reached, or whose answer cannot be used; the message says which and why."""


@dataclass(frozen=True)
class ChatEndpoint:
    """``model`` behind ``url``, such as ``http://localhost:8000/v1``; ``key``: sent as a bearer token if there is one.

    ``timeout``: seconds that one try may take in all. ``retries``: further tries after an answer of status 429 or 5xx,
    the first ``backoff`` seconds later, each next one twice as late, or later still if the endpoint asks for it.
    ``settings``: further fields of the request (``{"temperature": 0}``), over those that the caller of :meth:`ask`
    wants; None leaves one out. Raises ValueError for a URL, key or number that makes no sense.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 3
    backoff: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password:
            raise ValueError("an endpoint's URL carries no user or password: give the key as the key")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"an endpoint's URL looks like http://localhost:8000/v1, got {self.url!r}")
        if not self.model:
            raise ValueError(f"{self.url}: a chat endpoint needs the name of a model")
        if self.key is not None and not (
            self.key.isascii() and self.key.isprintable() and " " not in self.key and self.key
        ):
            raise ValueError("an endpoint's key is one printable ASCII word (is there a line break at its end?)")
        if self.timeout <= 0 or self.retries < 0 or self.backoff < 0:
            given = (self.timeout, self.retries, self.backoff)
            raise ValueError(f"timeout is above 0, retries and backoff are at least 0, got {given}")
        if wrong := sorted(set(self.settings) & set(OURS)):
            raise ValueError(f"{', '.join(wrong)} of a request cannot be set beside what is asked")

    @property
    def address(self) -> str:
        """Where requests are sent to."""
        return f"{self.url.rstrip('/')}/chat/completions"

    def ask(self, messages: Sequence[Message], **fields: Any) -> str:
        """What the model answers to ``messages``; ``fields``: of the request, such as ``response_format``.

        Raises :class:`EndpointError`.
        """
        wanted = {**fields, **self.settings}
        body = {"model": self.model, "messages": list(messages)}
        body |= {name: value for name, value in wanted.items() if value is not None}
        for attempt in range(self.retries + 1):
            status, asked_to_wait, text = self._post(json.dumps(body).encode())
            if status == 200:
                return self._content(text)
            if (status != 429 and status < 500) or attempt == self.retries:
                break
            self.wait(max(self.backoff * 2**attempt, asked_to_wait))
        tries = f" (tried {attempt + 1} times)" if attempt else ""
        raise EndpointError(f"{self.address}: status {status}{tries}: {self.shown(text)}")

    def shown(self, text: str, length: int = 200) -> str:
        """The beginning of an answer, for an error: on one line, and without the key if the endpoint repeats it."""
        hidden = text.replace(self.key, "[key]") if self.key else text
        line = " ".join(hidden.split())
        return repr(line if len(line) <= length else line[:length] + " ...")

    def _post(self, body: bytes) -> tuple[int, float, str]:
        """Status, seconds to wait before the next try, and the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "slowfast"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = Request(self.address, body, headers, method="POST")
        deadline = time.monotonic() + self.timeout
        try:
            try:
                answer = _opener().open(request, timeout=self.timeout)
            except HTTPError as error:
                answer = error
            with answer:
                return answer.status, _retry_after(answer.headers.get("Retry-After")), _read(answer, deadline)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            problem = f"no whole answer within {self.timeout:g} s" if late else f"cannot be reached: {reason}"
            raise EndpointError(f"{self.address}: {problem}") from error

    def _content(self, text: str) -> str:
        try:
            message = json.loads(text)["choices"][0]["message"]
            content = message.get("content") or message.get("refusal")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise EndpointError(f"{self.address}: no chat completion, but {self.shown(text)}") from error
        if not isinstance(content, str):
            raise EndpointError(f"{self.address}: a chat completion without text: {self.shown(text)}")
        return content


def picture(frame: np.ndarray) -> dict[str, Any]:
    """A frame ``uint8 [H, W, 3]`` as a part of a message: a PNG in a data URI."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise ValueError(f"a picture is uint8 [H, W, 3], got {frame.dtype} {frame.shape}")
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}


class _StayHere(HTTPRedirectHandler):
    """A redirect would carry the key to wherever it leads."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def _opener() -> OpenerDirector:
    return build_opener(_StayHere)


def _retry_after(value: str | None) -> float:
    """Seconds; 0 where nothing or a date is said."""
    return min(float(value), LONGEST_WAIT) if value and value.isascii() and value.isdigit() else 0.0


def _read(answer: IO[bytes], deadline: float) -> str:
    """What arrives before the deadline. The socket's own timeout starts anew with every byte."""
    parts: list[bytes] = []
    size = 0
    while size < LONGEST_ANSWER and (part := answer.read1(1 << 16)):  # type: ignore[attr-defined]  # of HTTPResponse
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise TimeoutError("too slow")
    return b"".join(parts).decode("utf-8", "replace")
