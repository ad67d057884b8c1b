"""The Hugging Face hub: what a repository holds, and folders of it, here already or fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from mezzotint.errors import ModelError
from mezzotint.extras import install, is_installed

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SMALL = ("config.json", "model_index.json", "scheduler_config.json")  # one of them is in every model
_LOG_IN = "log in with: hf auth login"
_ADVICE = {
    "GatedRepoError": f"its terms must be accepted on its page first; then {_LOG_IN}",
    "RepositoryNotFoundError": f"there is none of that name, or it is private; then {_LOG_IN}",
}


def list_files(repo: str) -> list[str]:
    """The names of all files of a hub repository; no file is fetched."""
    _need_library(repo)
    from huggingface_hub import list_repo_files

    try:
        return sorted(list_repo_files(repo))
    except Exception as error:  # the hub's, httpx's and the system's errors share no root
        raise _not_fetched(repo, error) from error


def local_folder(repo: str) -> Path | None:
    """What was fetched of a repository before, perhaps in part; None where nothing was."""
    _need_library(repo)
    from huggingface_hub import snapshot_download

    try:  # few names: with all that was ever wanted, a whole model beside an unwanted file is no whole snapshot
        return Path(snapshot_download(repo, allow_patterns=list(_SMALL), local_files_only=True))
    except (OSError, ValueError):
        return None


def fetch(repo: str, names: Sequence[str]) -> Path:
    """The folder that files of a repository are in, by their names or patterns, after fetching those not here."""
    _need_library(repo)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=list(names)))
    except Exception as error:  # as above
        raise _not_fetched(repo, error) from error


def fetch_from_hub(repo: str, whole: Callable[[Path], bool], wanted: Sequence[str]) -> Path:
    """The folder of a repository: where what is here is `whole`, that, else what `wanted` names, fetched.

    ModelError before anything is fetched where no safetensors are among it.
    """
    local = local_folder(repo)
    if local and whole(local):
        return local
    names = [name for name in list_files(repo) if any(fnmatch(name, pattern) for pattern in wanted)]
    if not any(name.endswith(".safetensors") for name in names):
        convert = f"import transformers; transformers.AutoModel.from_pretrained({repo!r}).save_pretrained('converted')"
        raise ModelError(
            f"{repo} has no .safetensors; if its weights are pickled and you trust them, convert them once: "
            f'python -c "{convert}", and copy its other files there'
        )
    return fetch(repo, names)


def reason(error: Exception) -> str:
    """What an error of another library says, in one line."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def _need_library(repo: str) -> None:
    if not is_installed("huggingface_hub"):
        raise ModelError(f"opening {repo!r} from the hub needs huggingface_hub; {install('hub')}")


def _not_fetched(repo: str, error: Exception) -> ModelError:
    if advice := _ADVICE.get(type(error).__name__):
        return ModelError(f"cannot fetch {repo!r} from the hub: {advice}")
    return ModelError(
        f"cannot fetch {repo!r} from the hub ({reason(error)}); "
        "without a network, name a folder on this machine"
    )
