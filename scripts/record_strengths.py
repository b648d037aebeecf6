"""Records what the shipped adapters say at each strength, for the explorer of notebook 00.

    python scripts/record_strengths.py        # under a minute; writes data/results/strengths.json

Run it again after training the base or an adapter; a test notices if that was forgotten.

What is recorded is what the model says, but the prompts of the tales adapter are chosen. It has
seen 380 tales, and now and then it invents a word. The three openings here are among those that it
continues, at strength 1, in words of these tales alone; a test holds that it still does.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from lora_edu.adapters import WEIGHTS_NAME
from lora_edu.files import atomic_write, data_path, sha256_of
from lora_edu.pretrained import base_fingerprint
from lora_edu.widgets.strength_record import STRENGTHS, Prompt, Recording
from lora_edu.widgets.strength_responder import Responder

# The first one of each adapter opens the explorer. Menu's and spam's follow the bundled sets'
# form, and none of them is in a training split (tests/unit/test_strength_explorer.py).
PROMPTS = {
    "tales": (
        "Sam found a",
        "One morning, the",
        "Long ago, there was a",
    ),
    "menu": (
        "name[Old Oak], kind[tea room], dish[apple pie], near[the river]\n",
        "name[Green Door], kind[bakery], price[high], children[yes]\n",
        "name[Rosie's], dish[fish cakes], drink[mint tea], open[late]\n",
    ),
    "spam": (
        "You have won a free phone! Call now and tell us your bank card number.",
        "Hi mum, I will be home at six. Shall I bring bread?",
        "Your parcel waits. Pay 2 pounds today on our page or we send it back.",
    ),
}


def to_json(recording: Recording) -> dict[str, list[dict]]:
    """The recording as JSON takes it; probabilities to four digits."""
    answers = {name: [asdict(prompt) for prompt in prompts] for name, prompts in recording.items()}
    for prompts in answers.values():
        for answer in (answer for prompt in prompts for answer in prompt["answers"]):
            answer["shares"] = {key: round(share, 4) for key, share in answer["shares"].items()}
    return answers


def main() -> None:
    """Reads the command line and writes the recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="mini", help="a name or a folder of a base model")
    parser.add_argument("--adapters", type=Path, default=data_path("adapters"))
    parser.add_argument("--out", type=Path, default=data_path("results", "strengths.json"))
    arguments = parser.parse_args()
    responder = Responder(arguments.base, arguments.adapters)
    recording = {
        name: [
            Prompt(text, tuple(responder.answer(name, text, strength) for strength in STRENGTHS))
            for text in texts
        ]
        for name, texts in PROMPTS.items()
        if (arguments.adapters / name).is_dir()
    }
    stored = {
        "command": "python scripts/record_strengths.py",
        "base_fingerprint": base_fingerprint(arguments.base),
        "adapters": {
            name: sha256_of(arguments.adapters / name / WEIGHTS_NAME) for name in recording
        },
        "strengths": list(STRENGTHS),
        "answers": to_json(recording),
    }
    with atomic_write(arguments.out) as part:
        part.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
