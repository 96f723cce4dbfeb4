"""Who may ask, how often, and the record of who did.

A token is 32 random bytes, told once when it is made; the file keeps its SHA-256 alone. The audit
log says who asked for what and which version answered, a JSON object a line; no name of a file or
of a patient is in it.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from plainfilm import __version__
from plainfilm.core import InputError, write_atomically

FILE = "tokens.json"


def make_token(folder: Path, name: str) -> str:
    """Make a token for ``name`` and return it; an older one of that name ends.

    Raises:
        InputError: the name is empty or has other than letters, digits, ``-``, ``_`` and ``.``.
    """
    if not name or len(name) > 64 or not all(c.isalnum() or c in "-_." for c in name):
        raise InputError(f"a token's name has letters, digits, - _ . alone, got {name!r}")
    token = secrets.token_urlsafe(32)
    tokens = _read(folder) | {name: hashlib.sha256(token.encode()).hexdigest()}
    write_atomically(folder / FILE, json.dumps(tokens, indent=2) + "\n")
    os.chmod(folder / FILE, 0o600)  # noqa: PTH101
    return token


def has_tokens(folder: Path) -> bool:
    """Whether anybody may ask."""
    return bool(_read(folder))


def owner_of(folder: Path, token: str) -> str | None:
    """Return whose token it is; None where it is nobody's."""
    digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
    found = None
    for name, kept in _read(folder).items():
        if hmac.compare_digest(kept, digest):
            found = name
    return found


def _read(folder: Path) -> dict[str, str]:
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        tokens = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: is no JSON; remove it and make tokens anew") from error
    if not isinstance(tokens, dict):
        raise InputError(f"{path}: must hold an object; remove it and make tokens anew")
    return {str(name): str(kept) for name, kept in tokens.items()}


class Rate:
    """How often each may ask: a bucket that fills evenly.

    Args:
        per_minute: requests; a burst of as many is let through.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, who: str) -> float:
        """Take one from the bucket; seconds to wait where it is empty, else 0."""
        now = time.monotonic()
        with self._lock:
            left, then = self._left.get(who, (float(self.per_minute), now))
            left = min(float(self.per_minute), left + (now - then) * self.per_minute / 60)
            if left < 1:
                self._left[who] = left, now
                return (1 - left) * 60 / self.per_minute
            self._left[who] = left - 1, now
            return 0.0


class Audit:
    """Appends to the audit log.

    Args:
        path: of the file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, who: str, action: str, **facts: Any) -> None:
        """Write a line: when, who, what, and further facts."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "who": who,
            "action": action,
            "plainfilm": __version__,
            **facts,
        }
        data = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        with self._lock:  # opened each time, so that the log can be rotated
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)
