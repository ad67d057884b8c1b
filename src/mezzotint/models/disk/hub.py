"""Folders of the Hugging Face hub: what is already on this machine, else fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mezzotint.errors import ModelError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def fetch_from_hub(
    repo: str, whole: Callable[[Path], bool], wanted: Sequence[str], unwanted: Sequence[str] = ()
) -> Path:
    """The folder of a hub model, where one that is here needs to be `whole`; the others are patterns of names."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelError(
            f"opening {repo!r} from the hub needs huggingface_hub; pip install huggingface_hub"
        ) from error
    patterns = {"allow_patterns": list(wanted), "ignore_patterns": list(unwanted) or None}
    try:
        local = Path(snapshot_download(repo, **patterns, local_files_only=True))
        if whole(local):
            return local
    except (OSError, ValueError):
        pass  # not fetched yet
    try:
        return Path(snapshot_download(repo, **patterns))
    except Exception as error:  # the hub's, httpx's and the system's errors share no root
        raise ModelError(
            f"cannot fetch {repo!r} from the hub ({reason(error)}); "
            "without a network, name a folder on this machine"
        ) from error


def reason(error: Exception) -> str:
    """What an error of another library says, in one line."""
    return str(error).strip().split("\n")[0] or type(error).__name__
