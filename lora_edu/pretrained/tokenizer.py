"""Text to token ids and back: tiktoken encodings, the bundled one and GPT-2's.

The bundled encoding has 2,047 byte-level BPE tokens and one special token, `<|endoftext|>`. Since
every single byte is a token, any Unicode text survives the round trip exactly.

Source:
    Radford et al. 2019, section 2.2 (byte-level BPE); Sennrich et al. 2016, arXiv:1508.07909.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import tiktoken

from lora_edu.files import DownloadError, data_path

END_OF_TEXT = "<|endoftext|>"
GPT2_SIZES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")

# GPT-2's split pattern (openai/gpt-2, src/encoder.py), as tiktoken writes it: merges never cross
# these pieces. The ranks were learnt with it, so another pattern would give other tokens.
SPLIT_PATTERN = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)


def read_ranks(path: str | Path) -> dict[bytes, int]:
    """Reads a file in tiktoken's format: a line per token, base64 bytes, a space, its rank.

    Raises:
        ValueError: a line is not of that form, or a token or a rank stands there twice.
        FileNotFoundError: there is no such file.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(
                f"{path}, line {number}: expected 'base64 rank', got {line[:60]!r}; "
                "the file is damaged, fetch or make it again"
            ) from None
        if len(ranks) < number:
            raise ValueError(f"{path}, line {number}: token {token!r} stands there twice")
    if len(set(ranks.values())) < len(ranks):
        raise ValueError(f"{path}: two tokens share a rank; fetch or make the file again")
    return ranks


def encoding_from_ranks(ranks: dict[bytes, int], name: str) -> tiktoken.Encoding:
    """Makes a tiktoken encoding; `<|endoftext|>` gets the first id behind the ranks."""
    return tiktoken.Encoding(
        name=name,
        pat_str=SPLIT_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: max(ranks.values()) + 1},
    )


def load_tokenizer(name: str = "mini") -> tiktoken.Encoding:
    """The tokenizer of a base: the bundled one, or GPT-2's, which tiktoken downloads once.

    Text becomes ids with `encoding.encode_ordinary(text)`; `encoding.eot_token` ends a text.

    Args:
        name: As for `load_pretrained`: `"mini"`, or any size of GPT-2, since all share one.

    Raises:
        ValueError: an unknown name.
        DownloadError: GPT-2's is not in tiktoken's cache and cannot be fetched.

    Example:
        >>> encoding = load_tokenizer("mini")
        >>> encoding.decode(encoding.encode_ordinary("Once upon a time"))
        'Once upon a time'
    """
    if name == "mini":
        return encoding_from_ranks(read_ranks(data_path("mini_gpt", "ranks.tiktoken")), "mini")
    if name not in GPT2_SIZES:
        raise ValueError(f"name must be 'mini' or one of {GPT2_SIZES}, got {name!r}")
    try:
        return tiktoken.get_encoding("gpt2")
    except OSError as error:
        raise DownloadError(
            f"tiktoken could not fetch GPT-2's tokenizer ({error}); go online once, or let "
            'TIKTOKEN_CACHE_DIR name a copy of its cache. load_tokenizer("mini") needs no network'
        ) from error
