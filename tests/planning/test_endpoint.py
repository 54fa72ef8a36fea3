"""Sub-goals from a language model: against a local server that speaks the protocol, well and badly."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from slowfast.planning.chat import ChatEndpoint, EndpointError
from slowfast.planning.endpoint import EndpointSubGoals

WORDS = ("turn left", "turn right", "forward")
KEY = "sk-secret-0123456789"


@dataclass
class Reply:
    """What the server answers with: ``text``, piece by piece with ``pause`` seconds before each."""

    text: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: int = 1
    pause: float = 0.0


def says(content: Any) -> Reply:
    return Reply(json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}))


class Server:
    """Answers requests with its replies in order, the last one again and again, and keeps what was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.ends = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, dict(self.headers), body))
                reply = outer.replies[min(len(outer.asked), len(outer.replies)) - 1]
                data = reply.text.encode()
                try:
                    outer.ends.wait(reply.pause)
                    self.send_response(reply.status)
                    for name, value in {"Content-Length": str(len(data)), **reply.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    size = -(-len(data) // reply.pieces) or 1
                    for start in range(0, len(data), size):
                        self.wfile.write(data[start : start + size])
                        if outer.ends.wait(reply.pause):
                            return
                except OSError:
                    pass  # who asked has gone

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.ends.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def source(server: Server, words: tuple[str, ...] | None = WORDS, limit: int = 4, **settings: Any) -> EndpointSubGoals:
    settings = {"key": KEY, "timeout": 20.0, "wait": lambda seconds: None, **settings}
    return EndpointSubGoals(ChatEndpoint(server.url, "a-model", **settings), words, limit, "A turn is 22.5 degrees.")


def test_a_task_is_split_into_known_words(server: Server) -> None:
    server.replies = [says('{"sub_goals": ["turn left", "Forward", "turn left"]}')]
    assert source(server).split("see the door", ["turn right"]) == ("turn left", "forward", "turn left")
    [(path, headers, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "a-model"
    system, user = body["messages"]
    assert system["role"] == "system"
    assert all(word in system["content"] for word in (*WORDS, "22.5 degrees", "Give 3 at most"))
    assert user == {"role": "user", "content": 'Task: see the door\nDone so far: ["turn right"]'}
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["sub_goals"]["items"]["enum"] == list(WORDS)


def test_the_present_frame_travels_as_a_picture(server: Server) -> None:
    server.replies = [says('{"sub_goals": []}')]
    frame = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    assert source(server).split("go on", (), frame) == ()
    text, image = server.asked[0][2]["messages"][1]["content"]
    assert text["text"].startswith("Task: go on")
    kind, _, data = image["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == frame).all()
    with pytest.raises(ValueError, match=r"a picture is uint8 \[H, W, 3\]"):
        source(server).split("go on", (), frame / 255)


@pytest.mark.parametrize(
    "content", ['["forward"]', '```json\n{"sub_goals": ["forward"]}\n```', '```\n["forward"]\n```']
)
def test_a_bare_list_and_a_block_of_code_are_read(server: Server, content: str) -> None:
    server.replies = [says(content)]
    assert source(server).split("go") == ("forward",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("Sure! First, turn left.", "asked for JSON"),
        ('Here it is: ["forward"]', "asked for JSON"),
        ("[" * 100_000, "asked for JSON"),
        ('{"sub_goals": "forward"}', "asked for a list of words"),
        ('{"goals": ["forward"]}', "asked for a list of words"),
        ('{"sub_goals": ["forward", 2]}', "asked for a list of words"),
        ('{"sub_goals": ["forward", " "]}', "asked for a list of words"),
        ('["fly"]', "'fly' is not one of turn left, turn right, forward"),
        (json.dumps(["forward"] * 5), "asked for 4 sub-goals at most, got 5"),
    ],
)
def test_what_cannot_be_read_is_refused_and_shown(server: Server, content: str, problem: str) -> None:
    server.replies = [says(content)]
    with pytest.raises(EndpointError, match=problem) as refused:
        source(server).split("go")
    assert f"{server.url}/chat/completions" in str(refused.value)
    assert content[:20] in str(refused.value)
    assert len(str(refused.value)) < 500


def test_any_words_are_taken_where_a_world_takes_any(server: Server) -> None:
    server.replies = [says('["open the drawer"]'), says(json.dumps(["x" * 300]))]
    free = source(server, words=None)
    assert free.split("tidy up") == ("open the drawer",)
    assert "enum" not in json.dumps(server.asked[0][2])
    with pytest.raises(EndpointError, match="at most 256 characters, got 300"):
        free.split("tidy up")


def test_asking_anew_takes_the_first_and_ends_at_the_limit(server: Server) -> None:
    server.replies = [says('["forward", "turn left"]'), says('["turn right"]'), says("[]")]
    asked = source(server)
    assert asked.next("go", ()) == "forward"
    assert asked.next("go", ("forward",)) == "turn right"
    assert 'Done so far: ["forward"]' in server.asked[1][2]["messages"][1]["content"]
    assert asked.next("go", ("forward", "turn right")) is None
    assert asked.next("go", ("forward",) * 4) is None
    assert len(server.asked) == 3, "at the limit nothing is asked any more"


@pytest.mark.parametrize(
    "text",
    ["<html>busy</html>", "{}", '{"choices": []}', '{"choices": [{"message": {"content": null}}]}', "[" * 99_999],
)
def test_what_is_no_chat_completion_is_refused(server: Server, text: str) -> None:
    server.replies = [Reply(text)]
    with pytest.raises(EndpointError, match="chat completion") as refused:
        source(server).split("go")
    assert text[:20] in str(refused.value)


def test_a_server_that_stumbles_is_asked_again_later_and_later(server: Server) -> None:
    busy = Reply("slow down", 429, {"Retry-After": "7"})
    server.replies = [Reply("oops", 500), Reply("oops", 503), busy, says('["forward"]')]
    waited: list[float] = []
    assert source(server, wait=waited.append, backoff=0.5).split("go") == ("forward",)
    assert waited == [0.5, 1.0, 7.0]
    server.asked.clear()
    server.replies = [Reply("still broken", 500)]
    with pytest.raises(EndpointError, match=r"status 500 \(tried 3 times\): 'still broken'"):
        source(server, retries=2).split("go")
    assert len(server.asked) == 3


def test_a_refusal_is_final_and_the_key_is_never_shown(server: Server) -> None:
    server.replies = [Reply(f'{{"error": "Incorrect API key: {KEY}"}}', 401)]
    with pytest.raises(EndpointError, match="status 401") as refused:
        source(server).split("go")
    assert len(server.asked) == 1
    assert "Incorrect API key: [key]" in str(refused.value)
    server.replies = [says(f"my key is {KEY} " + "and more " * 90)]
    with pytest.raises(EndpointError) as repeated:
        source(server).split("go")
    for error in (refused.value, repeated.value, source(server).chat):
        assert KEY[:12] not in repr(error)


@pytest.mark.parametrize(
    ("reply", "timeout"), [(Reply("late", pause=30.0), 0.3), (Reply("x" * 300, pieces=300, pause=0.1), 1.0)]
)
def test_nobody_waits_beyond_the_timeout(server: Server, reply: Reply, timeout: float) -> None:
    """Neither for a server that hangs, nor for one that sends a byte now and then."""
    server.replies, began = [reply], time.monotonic()
    with pytest.raises(EndpointError, match=f"no whole answer within {timeout:g} s"):
        source(server, timeout=timeout).split("go")
    assert time.monotonic() - began < 15
    assert len(server.asked) <= 1, "it is not tried again"


def test_a_redirect_does_not_carry_the_key_away(server: Server) -> None:
    server.replies = [Reply("over there", 307, {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(EndpointError, match="status 307"):
        source(server).split("go")
    assert len(server.asked) == 1


def test_a_request_can_be_given_other_fields(server: Server) -> None:
    server.replies = [says('["forward"]')]
    source(server, key=None, settings={"temperature": 0, "response_format": None}).split("go")
    _, headers, body = server.asked[0]
    assert body["temperature"] == 0
    assert "response_format" not in body
    assert "Authorization" not in headers
    with pytest.raises(ValueError, match="model of a request cannot be set"):
        source(server, settings={"model": "another"})


def test_nobody_there_is_said(server: Server) -> None:
    server.close()
    with pytest.raises(EndpointError, match="cannot be reached"):
        source(server).split("go")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "localhost:8000/v1"}, "looks like http://localhost:8000/v1"),
        ({"url": "file:///etc/hostname"}, "looks like"),
        ({"url": "http://host/v1?key=1"}, "looks like"),
        ({"url": "http://me:secret@host/v1"}, "no user or password"),
        ({"model": ""}, "name of a model"),
        ({"key": KEY + "\n"}, "one printable ASCII word"),
        ({"key": "schlüssel-" + KEY}, "one printable ASCII word"),
        ({"timeout": 0.0}, "timeout is above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        ChatEndpoint(**{"url": "http://host/v1", "model": "a-model", **settings})
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="a task in words"):
        EndpointSubGoals(ChatEndpoint("http://host/v1", "a-model")).split(" ")
    with pytest.raises(ValueError, match="at least 1"):
        EndpointSubGoals(ChatEndpoint("http://host/v1", "a-model"), (), 4)
