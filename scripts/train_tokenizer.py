"""Learns the bundled tokenizer: byte-level BPE, saved as tiktoken ranks.

    python -m scripts.train_tokenizer --stories stories.txt \\
        --e2e e2e-dataset.zip --sms SMSSpamCollection

`scripts/mixture.py` says which texts go in: training splits only. Needs `tokenizers`.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from scripts.mixture import tokenizer_texts


def byte_of_character() -> dict[str, int]:
    """GPT-2's table: a printable character for each of the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return table | {chr(256 + n): byte for n, byte in enumerate(others)}


def learn_ranks(texts: Iterable[str], vocab_size: int) -> dict[bytes, int]:
    """Learns `vocab_size` - 1 tokens; the last id is left to `<|endoftext|>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    table = byte_of_character()
    return {
        bytes(table[character] for character in token): rank
        for token, rank in tokenizer.get_vocab().items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--output", type=Path, default=Path("data/mini_gpt/ranks.tiktoken"))
    parser.add_argument("--stories", type=Path, required=True)
    parser.add_argument("--e2e", type=Path, help="e2e-dataset.zip")
    parser.add_argument("--sms", type=Path, help="SMSSpamCollection")
    arguments = parser.parse_args()
    texts = tokenizer_texts(arguments.stories, arguments.e2e, arguments.sms)
    ranks = learn_ranks(texts, arguments.vocab_size)
    lines = (
        base64.b64encode(token) + f" {rank}\n".encode()
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(b"".join(lines))


if __name__ == "__main__":
    main()
