"""Our adapters for Hugging Face's GPT-2, and back: the same function under other names.

PEFT reads our files on our `GPT` as they are. Hugging Face's `GPT2LMHeadModel` computes the same
logits from the same weights, but names its layers otherwise and keeps query, key and value in one
matrix, `c_attn`. So an adapter must be rewritten:

| our layer, `blocks.i.…`     | theirs, `transformer.h.i.…` | what becomes of A and B            |
|-----------------------------|-----------------------------|------------------------------------|
| `attention.query/key/value` | `attn.c_attn`               | stacked, see below                 |
| `attention.out`             | `attn.c_proj`               | as they are                        |
| `mlp.fc_in`                 | `mlp.c_fc`                  | as they are                        |
| `mlp.fc_out`                | `mlp.c_proj`                | as they are                        |
| `head`, adapted             | `lm_head`                   | as they are                        |
| `head`, trained in full     | `lm_head`                   | stored whole, bias too             |
| norms, embeddings, the same | `ln_1`, …, `wte`, `wpe`     | stored whole                       |
| multiplier m                | `lora_alpha` = m · rank     | PEFT divides by the rank again     |
| rank r                      | `r`; `rank_pattern`         | up to 3 r in `c_attn`              |
| A (in × r), B (r × out)     | `lora_A`, `lora_B`          | transposed, as in all PEFT files   |
| (nothing to say)            | `fan_in_fan_out` true       | `Conv1D` keeps W as (in × out)     |

**Stacking.** `c_attn` maps x to query, key and value side by side, C → 3 C. Three updates of rank
r become one update of rank 3 r, whose B is a block matrix:

    x [A_q A_k A_v] [B_q  0   0 ]
                    [ 0  B_k  0 ]  =  [x A_q B_q,  x A_k B_k,  x A_v B_v]
                    [ 0   0  B_v]

Query and value alone make rank 2 r, with zeros for key. Parts that share one A share its columns,
and the rank stays r. Since PEFT divides by the layer's own rank, `c_attn` gets its own
`lora_alpha` too (`alpha_pattern`): m · 3 r / (3 r) is m again.

**Cutting.** The other direction is `c_attn`'s own: query, key and value each keep the whole A and
take their third of B. Where a row of B is zero in one third and not in another, as stacking leaves
them, it says nothing about that third, and the row and its column of A are dropped there. So each
of our layers may get a rank of its own. Stacked and cut again, A and B are the same, bit for bit.

**What does not carry over.** The zero blocks are trainable in PEFT: training on after stacking
trains a larger adapter. The optimizer's state stays behind. Query, key and value of one block may
have different multipliers here, `c_attn` has one: then each B takes its own share, in float64.

Source:
    PEFT 0.21, `peft.LoraConfig` and `tuners/lora/layer.py`; `transformers`,
    models/gpt2/modeling_gpt2.py.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.tensors import Matrices, matches
from lora_edu.pretrained import BLOCK_NAMES, PROJECTIONS, TOP_NAMES

FUSED = "attn.c_attn"
PARTS = tuple(f"attention.{part}" for part in PROJECTIONS)
# A block's other linear layers, Hugging Face's name → ours.
LAYERS = {theirs: ours for theirs, ours in BLOCK_NAMES.items() if not theirs.startswith("ln_")}
# Layers other than linear ones, which PEFT can store whole: beside the blocks, and in each.
STORED = {name.partition(".")[0]: ours.partition(".")[0] for name, ours in TOP_NAMES.items()}
STORED_IN_BLOCKS = {theirs: ours for theirs, ours in BLOCK_NAMES.items() if theirs not in LAYERS}
HEADS = ("lm_head", "score")  # GPT2LMHeadModel's, GPT2ForSequenceClassification's
_OURS = re.compile(r"blocks\.(?P<block>\d+)\.(?P<layer>\w+\.\w+)", re.ASCII)
_THEIRS = re.compile(r"(transformer\.)?h\.(?P<block>\d+)\.(?P<layer>\w+\.\w+)", re.ASCII)


def to_their_layers(adapter: Adapter) -> tuple[Matrices, dict[str, float]]:
    """Our pairs (A, B) under Hugging Face's names, query, key and value in one; each multiplier.

    Raises:
        AdapterError: a layer is none of our GPT's.
    """
    to_theirs = {ours: theirs for theirs, ours in LAYERS.items()}
    result: Matrices = {}
    multipliers: dict[str, float] = {}
    attention: dict[str, Matrices] = {}
    for name, pair in adapter.matrices.items():
        found = _OURS.fullmatch(name)
        block, layer = (found["block"], found["layer"]) if found else ("", "")
        theirs = f"transformer.h.{block}.{to_theirs.get(layer, FUSED)}" if found else ""
        if layer in PARTS:
            attention.setdefault(theirs, {})[name] = pair
            continue
        if layer not in to_theirs:
            theirs = their_head(name)
        result[theirs], multipliers[theirs] = pair, adapter.multiplier_of(name)
    for theirs, pairs in attention.items():
        own = {name: adapter.multiplier_of(name) for name in pairs}
        multipliers[theirs] = common = max(own.values(), key=abs)
        if len(set(own.values())) > 1:
            pairs = {n: (a.double(), b.double() * (own[n] / common)) for n, (a, b) in pairs.items()}
        result[theirs] = _stack({name.split(".", 2)[2]: pair for name, pair in pairs.items()})
    return result, multipliers


def _stack(parts: Matrices) -> tuple[Tensor, Tensor]:
    """One block's query, key and value, as many as there are, as one pair for `c_attn`.

    Shape:
        A (C, r) and B (r, C) each → A (C, n r) and B (n r, 3 C), with n different A.
    """
    columns: list[Tensor] = []  # the different A
    rows: list[list[Tensor]] = []  # of each, B for query, key and value
    for third, part in enumerate(PARTS):
        if part not in parts:
            continue
        a, b = parts[part]
        shared = [i for i, other in enumerate(columns) if torch.equal(other, a)]
        if not shared:
            columns.append(a)
            rows.append([torch.zeros_like(b)] * len(PARTS))
        rows[shared[0] if shared else -1][third] = b
    return torch.cat(columns, dim=1), torch.cat([torch.cat(row, dim=1) for row in rows])


def their_head(name: str) -> str:
    """Hugging Face's name of our head.

    Raises:
        AdapterError: it is another layer.
    """
    if name != "head":
        raise AdapterError(
            f"layer {name!r} is no linear layer of our GPT, so GPT2LMHeadModel has none to match; "
            "give an adapter of a GPT"
        )
    return HEADS[0]


def to_our_layers(name: str, a: Tensor, b: Tensor) -> Matrices:
    """One of their pairs under our name, or up to three where it was `c_attn`'s.

    Raises:
        AdapterError: the layer is none of GPT-2's.
    """
    found = _THEIRS.fullmatch(name)
    block, layer = (found["block"], found["layer"]) if found else ("", "")
    if layer in LAYERS:
        return {f"blocks.{block}.{LAYERS[layer]}": (a, b)}
    if layer != FUSED:
        return {our_head(name): (a, b)}
    if b.shape[1] != len(PARTS) * a.shape[0]:
        raise AdapterError(
            f"layer {name!r} maps {a.shape[0]} to {b.shape[1]}, but c_attn makes query, key and "
            "value of equal width: it belongs to another model"
        )
    thirds = b.chunk(len(PARTS), dim=1)
    used = torch.stack([third.any(dim=1) for third in thirds])  # (3, rank): says something
    elsewhere = used.any(dim=0) & ~used  # zero here only because it is another part's
    return {
        f"blocks.{block}.{part}": (a[:, ~other], third[~other])
        for part, third, other in zip(PARTS, thirds, elsewhere, strict=True)
        if not other.all()
    }


def our_head(name: str) -> str:
    """Our name of Hugging Face's head.

    Raises:
        AdapterError: it is another layer.
    """
    if name not in HEADS:
        raise AdapterError(
            f"layer {name!r:.100} is no linear layer of GPT2LMHeadModel; where the adapter was "
            "trained on our GPT, load it with load_adapter"
        )
    return "head"


def their_stored_layer(name: str) -> str:
    """Hugging Face's name of a layer of ours that is stored whole: a head, a norm, an embedding.

    Raises:
        AdapterError: it is another layer.
    """
    block, _, layer = name.removeprefix("blocks.").partition(".")
    in_blocks = {ours: theirs for theirs, ours in STORED_IN_BLOCKS.items()}
    to_theirs = {ours: theirs for theirs, ours in STORED.items()}
    if name.startswith("blocks.") and layer in in_blocks:
        return f"transformer.h.{block}.{in_blocks[layer]}"
    if name in to_theirs:
        return f"transformer.{to_theirs[name]}"
    return their_head(name)


def our_stored_layer(name: str) -> str:
    """Our name of a layer of theirs that is stored whole: a head, a norm, an embedding.

    Raises:
        AdapterError: it is another layer. Those inside a block lie the other way round in memory.
    """
    place, _, layer = name.removeprefix("transformer.").rpartition(".")
    if layer in STORED_IN_BLOCKS and re.fullmatch(r"h\.\d+", place, re.ASCII):
        return f"blocks.{place[2:]}.{STORED_IN_BLOCKS[layer]}"
    if layer in STORED and not place:
        return STORED[layer]
    if _THEIRS.fullmatch(name):
        raise AdapterError(
            f"layer {name!r:.100} is stored whole under modules_to_save, which is carried over "
            "for heads, norms and embeddings only; train A and B for it"
        )
    return our_head(name)


def our_targets(targets: tuple[str, ...], pairs: Matrices) -> tuple[str, ...]:
    """What every block must have: their targets, as far as they mean every block."""
    blocks = {name.split(".")[1] for name in pairs if name.startswith("blocks.")}
    asked = [ours for theirs, ours in LAYERS.items() if matches(theirs, targets)]
    asked += [part for part in PARTS if matches(FUSED, targets)]
    return tuple(
        layer for layer in asked if all(f"blocks.{block}.{layer}" in pairs for block in blocks)
    )
