"""Tokenizer: any text survives the round trip; files that are damaged are named."""

import os
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_edu.files import DownloadError, data_path
from lora_edu.pretrained.tokenizer import (
    END_OF_TEXT,
    GPT2_SIZES,
    encoding_from_ranks,
    load_tokenizer,
    read_ranks,
)

MINI = load_tokenizer("mini")
# `characters` leaves out surrogates, which are no text: no UTF-8 file can hold them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab 1\n\r\t\u00a0'’é漢🦙")


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_survives_the_round_trip(text) -> None:
    assert MINI.decode(MINI.encode_ordinary(text)) == text


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS)
def test_the_end_of_text_comes_only_where_it_is_put(first, second) -> None:
    text = first + END_OF_TEXT + second
    assert MINI.eot_token not in MINI.encode_ordinary(text)
    assert MINI.decode(MINI.encode_ordinary(text)) == text


def test_the_bundled_tokenizer_has_2048_tokens_the_last_of_which_ends_a_text() -> None:
    assert MINI.n_vocab == 2048
    assert MINI.eot_token == 2047
    assert MINI.decode([2047]) == END_OF_TEXT


def test_every_single_byte_is_a_token() -> None:
    ranks = read_ranks(data_path("mini_gpt", "ranks.tiktoken"))
    assert {bytes([value]) for value in range(256)} <= ranks.keys()
    assert sorted(ranks.values()) == list(range(2047))


def test_merges_follow_the_ranks() -> None:
    ranks = {bytes([value]): value for value in range(256)} | {b"ab": 256, b"abc": 257}
    encoding = encoding_from_ranks(ranks, "tiny")
    assert encoding.encode_ordinary("abcab") == [257, 256]
    assert encoding.eot_token == 258


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("YQ== 0\nYg==\n", "line 2: expected 'base64 rank', got b'Yg=='"),
        ("YQ== zero\n", "line 1: expected 'base64 rank'"),
        ("YQ!== 0\n", "line 1: expected 'base64 rank'"),
        ("YQ== 0\nYQ== 1\n", "line 2: token b'YQ==' stands there twice"),
        ("YQ== 0\nYg== 0\n", "two tokens share a rank"),
    ],
)
def test_a_damaged_file_of_ranks_is_named(tmp_path: Path, content, message) -> None:
    path = tmp_path / "ranks.tiktoken"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_ranks(path)
    assert str(path) in str(error.value)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'mini' or one of \('gpt2', .* got 'gpt4'"):
        load_tokenizer("gpt4")


def test_without_a_network_the_error_names_the_bundled_tokenizer(monkeypatch) -> None:
    def offline(name: str) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tiktoken, "get_encoding", offline)
    with pytest.raises(DownloadError, match=r'no route.*load_tokenizer\("mini"\) needs no network'):
        load_tokenizer("gpt2")


def test_gpt2_tokens_are_gpt2s(monkeypatch) -> None:
    cache = os.environ.get("LORA_EDU_DATA_DIR", "") and Path(
        os.environ["LORA_EDU_DATA_DIR"], "tiktoken_cache"
    )
    if not os.environ.get("TIKTOKEN_CACHE_DIR"):
        if not cache or not cache.is_dir():
            pytest.skip("GPT-2's tokenizer is not here: set TIKTOKEN_CACHE_DIR to a copy of it")
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    for name in GPT2_SIZES:
        encoding = load_tokenizer(name)
        assert encoding.n_vocab == 50257
        assert encoding.eot_token == 50256
        assert encoding.encode_ordinary("Hello, I'm a language model,") == [
            15496, 11, 314, 1101, 257, 3303, 2746, 11,
        ]  # fmt: skip
