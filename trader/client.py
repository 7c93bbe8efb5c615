"""The command line's side of the control API.

Must not know what the verbs do. Called by the commands that ask a running daemon. The address and
the token lie in the state directory, so that file permissions decide who may control.
"""

import http.client
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from core.errors import ModelError, NotPermitted, SeamarkError, TemporaryError, UsageError
from trader.config import Config
from trader.statedir import StatePaths

TIMEOUT_S = 30.0
"""Longer than the daemon takes to prove a model before it trades with it."""
BLAME: dict[int, type[SeamarkError]] = {400: UsageError, 422: ModelError}


class Answer(NamedTuple):
    """HTTP status and the decoded body."""

    status: int
    body: Any


def ask(config: Config, method: str, path: str, body: object = None) -> Answer:
    """Send one request to the daemon of this configuration.

    Raises TemporaryError where no daemon answers and NotPermitted where the token is refused.
    """
    root = state_root(config.journal.directory)
    host, port = address(config)
    headers = {"Authorization": f"Bearer {_token(root)}", "Accept": "application/json"}
    payload = None if body is None else json.dumps(body)
    if payload is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, payload, headers)
        reply = connection.getresponse()
        answer = Answer(reply.status, _decoded(reply.read()))
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryError(
            f"expected a daemon at {host}:{port}; found: {getattr(error, 'strerror', '') or error}. "
            "Start one with `trader run`"
        ) from error
    finally:
        connection.close()
    if answer.status in {401, 403}:
        raise NotPermitted(f"expected {host}:{port} to take the token of {root}; it did not")
    return answer


def checked(answer: Answer) -> Any:
    """Give the body of a success; raises the error that the daemon's words stand for."""
    if answer.status < 400:
        return answer.body
    said = answer.body.get("error") if isinstance(answer.body, dict) else None
    if said and answer.status in BLAME:
        raise BLAME[answer.status](said)
    raise TemporaryError(
        f"expected a success from the daemon; found HTTP {answer.status}: {said or answer.body}"
    )


def address(config: Config) -> tuple[str, int]:
    """Give where the daemon listens: what it wrote at its start, else what is configured."""
    try:
        parts = urlsplit(StatePaths(state_root(config.journal.directory)).address.read_text("utf-8").strip())
    except OSError:
        return config.dashboard.local_host, config.dashboard.port
    return parts.hostname or config.dashboard.local_host, parts.port or config.dashboard.port


def state_root(directory: Path) -> Path:
    """Give the state directory itself, or the newest one below it: the demo makes one for each run."""
    if StatePaths(directory).journal.exists():
        return directory
    return max((path.parent for path in directory.glob("*/journal.db")), default=directory)


def _token(root: Path) -> str:
    path = StatePaths(root).token
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError as error:
        raise TemporaryError(
            f"expected a daemon's token at {path}; found none. Start one with `trader run`"
        ) from error
    except OSError as error:
        raise NotPermitted(f"expected to read {path}; found: {error.strerror}") from error


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace").strip()
