"""Pretrained GPTs: load the bundled one or OpenAI's GPT-2, and save in the same format."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lora_edu.files import (
    DownloadError,
    PinnedFile,
    atomic_write,
    data_path,
    fetch_pinned,
    sha256_of,
    user_path,
)
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained.hf_format import (
    from_hugging_face,
    gpt_without_weights,
    hugging_face_config,
    read_config,
    to_hugging_face,
)

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class HubModel(NamedTuple):
    """An official GPT-2: its shape, a commit of its repository, the SHA-256 of its weights."""

    config: GPTConfig
    revision: str
    sha256: str

    def file(self, name: str) -> PinnedFile:
        """Its weights: the address names a commit, so it never serves another version."""
        repository = f"openai-community/{name}"
        hub = os.environ.get("LORA_EDU_HUB", "https://huggingface.co").rstrip("/")
        return PinnedFile(
            path=f"{repository}/{WEIGHTS}",
            url=f"{hub}/{repository}/resolve/{self.revision}/{WEIGHTS}",
            sha256=self.sha256,
        )


HUB = {
    "gpt2": HubModel(
        GPTConfig(50257, 1024, n_layer=12, n_head=12, n_embd=768),
        "607a30d783dfa663caf39e06633721c8d4cfcd7e",
        "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    ),
    "gpt2-medium": HubModel(
        GPTConfig(50257, 1024, n_layer=24, n_head=16, n_embd=1024),
        "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd",
    ),
    "gpt2-large": HubModel(
        GPTConfig(50257, 1024, n_layer=36, n_head=20, n_embd=1280),
        "32b71b12589c2f8d625668d2335a01cac3249519",
        "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce",
    ),
    "gpt2-xl": HubModel(
        GPTConfig(50257, 1024, n_layer=48, n_head=25, n_embd=1600),
        "15ea56dee5df4983c59b2538573817e1667135e2",
        "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
    ),
}


def load_pretrained(name: str | Path = "mini", *, device: str | torch.device = "cpu") -> GPT:
    """Loads a pretrained GPT in float32, ready to generate (`eval` mode, no dropout).

    `"mini"` comes with the package. `"gpt2"`, `"gpt2-medium"`, `"gpt2-large"` and `"gpt2-xl"` are
    downloaded once (0.5, 1.5, 3.2 and 6.4 GB) from the Hugging Face hub, or from the address in
    the environment variable `LORA_EDU_HUB`, and checked against the hash kept here.

    Args:
        name: One of those names, or a folder with `config.json` and `model.safetensors`.
        device: Where the weights go.

    Raises:
        ValueError: an unknown name; another architecture; tensors missing, unknown or misshapen;
            a folder that holds only pickled weights.
        FileNotFoundError: the folder lacks a file.
        DownloadError: the hub cannot be reached.

    Example:
        >>> load_pretrained("mini").config.n_layer
        6
    """
    weights = _weights_path(name)
    config = HUB[name].config if name in HUB else read_config(weights.parent / CONFIG)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ValueError(
            f"{weights} is damaged ({error}); delete it and fetch or make it again"
        ) from None
    model = gpt_without_weights(config)
    model.load_state_dict(from_hugging_face(tensors, model, weights), assign=True)
    model.head.weight = model.token_embedding.weight
    return model.to(device).eval()


def save_pretrained(model: GPT, folder: str | Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Writes `config.json` and `model.safetensors`, as Hugging Face's GPT-2 expects them.

    The config asks for float32 whatever the file holds: computing in half precision moves the
    logits far more than rounding the stored weights does.

    Args:
        model: A plain GPT: adapters merged, the tied head in place.
        folder: Made if it is not there.
        dtype: Of the file.

    Raises:
        ValueError: the model is not a plain GPT, a weight is too large for `dtype`, or `folder` is
            empty.
    """
    folder = user_path(folder)
    ours, plain = model.state_dict(), gpt_without_weights(model.config).state_dict()
    differing = sorted(ours.keys() ^ plain.keys()) or [
        name for name, tensor in plain.items() if tensor.shape != ours[name].shape
    ]
    if not differing and model.head.weight is not model.token_embedding.weight:
        differing = ["head.weight"]
    if differing:
        advice = (
            "call merge_and_unload(model), or save its adapter alone with save_adapter"
            if any(".lora." in name for name in ours)
            else "this format has no head of its own: adapt targets='blocks.*' alone, or save "
            "model.state_dict() with safetensors"
        )
        raise ValueError(
            f"model must be a plain GPT with its tied head, but {differing[0]!r} differs; {advice}"
        )
    tensors = {}
    for name, tensor in to_hugging_face(ours, model.config).items():
        tensors[f"transformer.{name}"] = rounded = tensor.to("cpu", dtype).contiguous()
        if not torch.isfinite(rounded).all():
            raise ValueError(f"dtype {dtype} cannot hold all values of {name}; give a wider one")
    with atomic_write(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    with atomic_write(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(hugging_face_config(model.config), indent=2) + "\n")


def base_fingerprint(name: str | Path = "mini") -> str:
    """SHA-256 of a base's `model.safetensors`: an adapter made on one base fits no other.

    Args:
        name: As for `load_pretrained`.
    """
    return sha256_of(_weights_path(name))


def _weights_path(name: str | Path) -> Path:
    """Where the weights of a named base or of a folder lie; downloads them if need be."""
    if name in HUB:
        try:
            return fetch_pinned(HUB[name].file(name), progress=True)
        except DownloadError as error:
            raise DownloadError(
                f'{error}. Without a network, load_pretrained("mini") needs none, and '
                f'load_pretrained("path/to/folder") reads a copy of {name} made elsewhere'
            ) from error
    folder = data_path("mini_gpt") if name == "mini" else user_path(name)
    if not folder.is_dir():
        raise ValueError(f"name must be 'mini', one of {list(HUB)} or a folder, got {str(name)!r}")
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    if (folder / "pytorch_model.bin").is_file():
        raise ValueError(
            f"{folder} holds pytorch_model.bin only, a pickle, which may run code when it is read; "
            f"get its {WEIGHTS}, or make one where you trust it with transformers' save_pretrained"
        )
    raise FileNotFoundError(f"{folder} has no {WEIGHTS}; give the folder that holds it")
