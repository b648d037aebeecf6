"""The base that ships, OpenAI's GPT-2, and the tokenizer: loaded and saved as Hugging Face does."""

from lora_edu.pretrained.causal import CachedReader, HubEncoding, logits_of
from lora_edu.pretrained.hf_format import (
    BLOCK_NAMES,
    PROJECTIONS,
    TOP_NAMES,
    gpt_without_weights,
    hugging_face_config,
    to_hugging_face,
)
from lora_edu.pretrained.llm import GGUF_SHA256, bundled_gguf, load_llm
from lora_edu.pretrained.tokenizer import (
    END_OF_TEXT,
    encoding_from_ranks,
    load_tokenizer,
    read_ranks,
)
from lora_edu.pretrained.weights import base_fingerprint, load_pretrained, save_pretrained

__all__ = [
    "BLOCK_NAMES",
    "CachedReader",
    "END_OF_TEXT",
    "GGUF_SHA256",
    "HubEncoding",
    "PROJECTIONS",
    "TOP_NAMES",
    "base_fingerprint",
    "bundled_gguf",
    "encoding_from_ranks",
    "gpt_without_weights",
    "hugging_face_config",
    "load_llm",
    "load_pretrained",
    "load_tokenizer",
    "logits_of",
    "read_ranks",
    "save_pretrained",
    "to_hugging_face",
]
