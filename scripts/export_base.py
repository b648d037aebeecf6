"""Turns a pre-training checkpoint into the folder that ships, model card included.

    python -m scripts.export_base --checkpoint runs/mini_gpt/checkpoint.safetensors \
        --text stories.txt --output data/mini_gpt
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path

import tiktoken
import torch
from safetensors import safe_open

from lora_edu.files import atomic_write, sha256_of
from lora_edu.generation import generate_text
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained import encoding_from_ranks, load_pretrained, read_ranks, save_pretrained
from scripts.mixture import split_stories
from scripts.pretrain import encode, held_out_loss

N_HEAD = 6  # a checkpoint's shapes tell everything else
TEMPERATURE, NEW_TOKENS = 0.7, 120
PROMPTS = (
    "Once upon a time",
    "One day, a little girl named Lily",
    "Tom and his dog went to the park",
    "The sun was shining and",
    "Ben was sad because",
    "There was a big cat who loved to",
    '"Can I have a cookie?" asked Tom. His mom',
    "Mia found a small box under the tree. Inside",
    "The old bear lived in",
    "It was a rainy day. Sam and his mom",
)

CARD = """---
license: cdla-sharing-1.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# Mini GPT

A GPT-2 of {parameters:,} parameters ({n_layer} blocks, width {n_embd}, {n_head} heads, context
{context_length}, {vocab_size:,} tokens) that writes small stories in simple English. It is the
base model of this course: large enough to have learnt something, small enough to adapt on a
CPU in seconds. It knows nothing but such stories, and says untrue things with ease.

```python
from lora_edu import load_pretrained, load_tokenizer

model, encoding = load_pretrained("mini"), load_tokenizer("mini")
```

`transformers.GPT2LMHeadModel.from_pretrained` reads the same folder and gives the same logits. The
weights are stored in half precision; the config asks for float32, and computing should be done
in it.

## Figures

Held out are the last 2.5 % of the stories; the weights as stored, computing in float32.

| | |
|---|---|
| held-out loss | {held_out_loss:.3f} nats per token |
| **bits per character** | **{bits_per_character:.3f}** |
| training loss, mean of the last hundred steps | {train_loss:.3f} nats per token |
| characters per token | {characters_per_token:.2f} |
| tokens read | {tokens:,} ({epochs:.1f} times {tokens_train:,}) |
| steps | {step:,} of {steps:,} |
| time on two CPU cores | {minutes:.0f} minutes |

Every hundredth step's losses are in `training_log.json`.

## Data

{stories:,} stories of TinyStories (Eldan & Li 2023, arXiv:2305.07759; Hugging Face data set
`roneneldan/TinyStories`), licence CDLA-Sharing-1.0, {megabytes:.1f} MB. SHA-256 of the text:
`{text_sha256}`. The tokenizer was learnt on the
training stories, with training examples of E2E NLG and of the SMS Spam Collection mixed in
(`scripts/train_tokenizer.py`).

Made by `python -m scripts.pretrain` and `python -m scripts.export_base`. SHA-256 of
`model.safetensors`: `{weights_sha256}`.

## Ten prompts

Temperature {temperature}, the number of the prompt as seed, at most {new_tokens} new tokens. The
prompt is in bold; nothing was picked.

{samples}
"""


def read_checkpoint(path: Path) -> tuple[GPT, dict]:
    """The model of a checkpoint of `scripts.pretrain`, without optimizer states, and its record."""
    with safe_open(path, "pt") as file:
        run = json.loads(file.metadata()["run"])
        weights = {
            name.removeprefix("model."): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
            if name.startswith("model.")
        }
    vocab_size, n_embd = weights["token_embedding.weight"].shape
    config = GPTConfig(
        vocab_size=vocab_size,
        context_length=len(weights["position_embedding.weight"]),
        n_layer=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        n_head=N_HEAD,
        n_embd=n_embd,
    )
    model = GPT(config)
    model.load_state_dict(weights | {"head.weight": weights["token_embedding.weight"]})
    return model, run


def samples(model: GPT, encoding: tiktoken.Encoding) -> str:
    """A list in Markdown: each prompt in bold, and what the model makes of it."""
    lines = []
    for number, prompt in enumerate(PROMPTS, start=1):
        generator = torch.Generator().manual_seed(number)
        text = generate_text(
            model, encoding, prompt, NEW_TOKENS, temperature=TEMPERATURE, generator=generator
        )
        lines.append(f"{number}. **{prompt}**{' '.join(text[len(prompt) :].splitlines())}")
    return "\n".join(lines)


def card(folder: Path, run: dict, text: Path) -> str:
    """The model card, computed from the files written, the run's record and the held-out text."""
    model = load_pretrained(folder)
    ranks = folder / "ranks.tiktoken"
    training, held_out = split_stories(text)
    loss = held_out_loss(model, encode(held_out, ranks))
    characters_per_token = run["characters_held_out"] / run["tokens_held_out"]
    last = run["log"][-1]
    return CARD.format(
        **asdict(model.config),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        held_out_loss=loss,
        bits_per_character=loss / math.log(2) / characters_per_token,
        train_loss=last["train_loss"],
        characters_per_token=characters_per_token,
        tokens=last["tokens"],
        tokens_train=run["tokens_train"],
        epochs=last["tokens"] / run["tokens_train"],
        step=last["step"],
        steps=run["steps"],
        minutes=last["seconds"] / 60,
        stories=len(training) + len(held_out),
        megabytes=text.stat().st_size / 1e6,
        text_sha256=run["text_sha256"],
        weights_sha256=sha256_of(folder / "model.safetensors"),
        temperature=TEMPERATURE,
        new_tokens=NEW_TOKENS,
        samples=samples(model, encoding_from_ranks(read_ranks(ranks), "mini")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True, help="what it was trained on")
    parser.add_argument("--ranks", type=Path, default=Path("data/mini_gpt/ranks.tiktoken"))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    model, run = read_checkpoint(arguments.checkpoint)
    if sha256_of(arguments.text) != run["text_sha256"]:
        raise SystemExit(f"{arguments.text} is not the text that the checkpoint was trained on")
    output = arguments.output
    save_pretrained(model, output)
    if arguments.ranks.resolve() != (output / "ranks.tiktoken").resolve():
        shutil.copyfile(arguments.ranks, output / "ranks.tiktoken")
    for name, text in (
        ("training_log.json", json.dumps(run, indent=1) + "\n"),
        ("README.md", card(output, run, arguments.text)),
    ):
        with atomic_write(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
