"""Reads what a server logged, and finds what should not be there."""

import pathlib
import re

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ALARM = re.compile(r"\b(WARN|ERROR)\b|panicked at")


class Log:
    """A server's log file; each line is looked at once."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.expected: list[re.Pattern] = []
        self._seen = 0

    def expect(self, pattern: str):
        """Warnings and errors that match are part of the test."""
        self.expected.append(re.compile(pattern))

    def text(self) -> str:
        """All of it, without colours."""
        return ANSI.sub("", self.path.read_text(errors="replace")) if self.path.exists() else ""

    def check(self, secrets: list[str]):
        """Fails where a new line is an alarm nobody expected, or holds a secret."""
        text = self.text()
        new, self._seen = text[self._seen :], len(text)
        alarms = [
            line
            for line in new.splitlines()
            if ALARM.search(line) and not any(known.search(line) for known in self.expected)
        ]
        assert not alarms, "the server logged:\n" + "\n".join(alarms)
        assert not any(secret in new for secret in secrets), "a secret is in the server's log"
