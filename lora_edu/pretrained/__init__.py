"""The base that ships, OpenAI's GPT-2, and the tokenizer: loaded and saved as Hugging Face does."""

from lora_edu.pretrained.hf_format import (
    BLOCK_NAMES,
    PROJECTIONS,
    TOP_NAMES,
    gpt_without_weights,
    hugging_face_config,
    to_hugging_face,
)
from lora_edu.pretrained.llm import HubEncoding, load_llm
from lora_edu.pretrained.tokenizer import (
    END_OF_TEXT,
    encoding_from_ranks,
    load_tokenizer,
    read_ranks,
)
from lora_edu.pretrained.weights import base_fingerprint, load_pretrained, save_pretrained

__all__ = [
    "BLOCK_NAMES",
    "END_OF_TEXT",
    "HubEncoding",
    "PROJECTIONS",
    "TOP_NAMES",
    "base_fingerprint",
    "encoding_from_ranks",
    "gpt_without_weights",
    "hugging_face_config",
    "load_llm",
    "load_pretrained",
    "load_tokenizer",
    "read_ranks",
    "save_pretrained",
    "to_hugging_face",
]
