"""Answers to the exercise on choosing layers by name."""

from __future__ import annotations

from samples import Samples

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


SAMPLES = {
    "03.targets": Samples(
        right=[
            "blocks.[4-5].attention.*",
            ("blocks.5.attention.*", "blocks.4.attention.*"),
            "blocks.[45].attention.*",
            ["blocks.4.attention.*", "blocks.5.attention.*"],
            [
                f"blocks.{block}.attention.{name}"
                for block in (4, 5)
                for name in ("query", "key", "value", "out")
            ],
        ],
        wrong=[
            ("attention", "'attention' is a group of layers"),
            ("blocks.[45].attention", "is a group of layers"),
            ("blocks[-2:].attention", "A slice such as [-2:]"),
            ("blocks45.attention", "'blocks45.attention' matches no layer"),
            ("blocks.(4|5).attention.*", "a regular expression"),
            ("blocks.[45].*", "the MLP's do not"),
            ("attention.*", "in the blocks 0, 1, 2, 3, 4, 5"),
            ("blocks.5.attention.*", "in block 5 only"),
            (
                ["blocks.[45].attention.query", "blocks.[45].attention.value"],
                "4 layers match, 8 are asked for",
            ),
            (
                ["blocks.4.attention.*", "block.5.attention.*"],
                "'block.5.attention.*' matches no layer",
            ),
            ("blocks.[56].attention.*", "Counting starts at 0: there is no block 6"),
            (
                ["blocks.5.attention.*", "blocks.6.attention.*"],
                "There is no block 6: counting",
            ),
            ("blocks.{4,5}.attention.*", "Braces are not known"),
            (["blocks.[45].attention.*", "head"], "the head does not"),
        ],
    ),
    "08.targets": Samples(
        right=[
            SEVEN,
            tuple(reversed(SEVEN)),
            "model.layers.*",
            ["*.self_attn.*", "*.mlp.*"],
            [f"model.layers.*.{name}" for name in SEVEN],
        ],
        wrong=[
            ("model.layers", "matches no layer"),
            ("*", "takes the head as well"),
            ([*SEVEN, "lm_head"], "takes the head as well"),
            (["query", "key", "value"], "names in the course's own GPT"),
            ("blocks.*", "names in the course's own GPT"),
            (["q_proj", "w_proj"], "matches no layer"),
            (["q_proj", "v_proj"], "k_proj, o_proj, gate_proj, up_proj, down_proj would stay"),
            ("*.self_attn.*", "gate_proj, up_proj, down_proj would stay"),
            ("model.layers.0.*", "Not every block"),
        ],
    ),
}
