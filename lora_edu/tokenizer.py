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

END_OF_TEXT = "<|endoftext|>"

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
