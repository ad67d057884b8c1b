"""A CLIP tokenizer of our own: byte-level BPE over the words of the captions and the commonest of English."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77


def build_tokenizer(captions: Iterable[str], words: list[str], size: int, folder: Path) -> None:
    """Write vocab.json and merges.txt in CLIP's order (bytes, bytes at a word's end, merges, start, end)."""
    said = Counter(word for caption in captions for word in caption.lower().split() if word.isalpha())
    # BPE merges what is frequent: flattened counts let it spend its merges on whole words, captions first.
    counts = Counter({word: min(count, 50) for word, count in said.items()})
    for rank, word in enumerate(words):
        counts[word] += 20 if rank < 4000 else 4 if rank < 8000 else 1
    trainer = trainers.BpeTrainer(
        vocab_size=size - 2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>",
        show_progress=False, min_frequency=1,
    )  # fmt: skip
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator((word for word, count in counts.items() for _ in range(count)), trainer)
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = list(
        dict.fromkeys([*alphabet, *(c + "</w>" for c in alphabet), *("".join(pair) for pair in merges)])
    )
    tokens, kept = tokens[: size - 2], merges[: size - 2 - 2 * len(alphabet)]
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {token: index for index, token in enumerate([*tokens, START, END])}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in kept))
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    config = {
        **special,
        "model_max_length": LENGTH,
        "tokenizer_class": "CLIPTokenizer",
        "do_lower_case": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
