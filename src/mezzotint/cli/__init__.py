"""The command line: words in, pictures on disk; a wrong word gives one line that says what to do."""

from mezzotint.cli.app import app, main

__all__ = ["app", "main"]
