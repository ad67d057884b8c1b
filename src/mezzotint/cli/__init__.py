"""The command line: words in, pictures on disk; a wrong word gives one line that says what to do."""

from mezzotint.cli.app import command, main

__all__ = ["command", "main"]
