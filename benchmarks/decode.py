"""Contenders that write: eight adapters in one batch, and one prompt continued.

A decode step reads one new token a row behind `CACHED` tokens in the key-value cache. All ways run
our GPT with its own cache. Whatever is made once for many steps is made outside the clock: batches'
stacks of A and B, the decoder's copies of the weights, PEFT's hooks, as its `generate` keeps them.

| name | one step for eight rows |
|---|---|
| "sequential" | eight models, one adapter each, one row each, one after the other |
| "sequential, generate's decoder" | the same through `fused.decoder`, as `generate` does it |
| "batched" | `MixedAdapters`: one pass for all rows |
| "batched, generate's decoder" | the same through `fused.decoder`, as `generate` does it |
| "PEFT, mixed" | PEFT's `adapter_names`: one pass, each row with its adapter |

The decoder copies the weights of a small model. With one adapter it adds the updates to them; with
one a row it cannot, and adds each row's behind the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.peft_peers import copy_factors, language_model, wrap
from benchmarks.protocol import AGAIN, Contender
from benchmarks.shapes import GPT2_SMALL, TARGETS, draw_factors, random_gpt
from benchmarks.trainer import UnequalLosses
from lora_edu.adapters import Adapter, MixedAdapters, attach
from lora_edu.fused import decoder as decoding
from lora_edu.generation import generate
from lora_edu.gpt import GPT, KeyValueCache
from lora_edu.lora import freeze
from lora_edu.pretrained import gpt_without_weights, load_pretrained
from lora_edu.training import decoding_threads, free_threads

TASKS = 8
CACHED = 64
LOGIT_TOLERANCE = 1e-3  # of logits whose size is 10
NEW_TOKENS = 64
PROMPT_TOKENS = 16


def base_s() -> GPT:
    """Returns the mini GPT."""
    return load_pretrained("mini")


def base_b() -> GPT:
    """Returns GPT-2 124M's shape with random weights."""
    return random_gpt(GPT2_SMALL)


class Decoder:
    """Decodes one token for some rows, again and again at the same place.

    Args:
        model: Called as our GPT is.
        gpt: Whose shape and type the cache takes.
        rows: Rows of the batch.
    """

    def __init__(self, model: nn.Module, gpt: GPT, rows: int) -> None:
        self.model = model
        self.cache = KeyValueCache(gpt.config, rows, like=gpt.token_embedding.weight)

    def read(self, prompt: Tensor) -> None:
        """Fills the cache with a prompt, (rows, `CACHED`)."""
        self.cache.length = 0
        self.model(prompt, cache=self.cache)

    def step(self, new: Tensor) -> Tensor:
        """Returns the logits behind one new token a row, (rows, V)."""
        self.cache.length = CACHED
        return self.model(new, cache=self.cache)[:, -1]


class GenerateDecoder(Decoder):
    """The same through the decoder that `generate` makes for `NEW_TOKENS` tokens.

    Raises:
        ValueError: `generate` would not use its decoder with this model.
    """

    def __init__(self, model: GPT, gpt: GPT, rows: int) -> None:
        super().__init__(model, gpt, rows)
        if not decoding.can_decode(model):
            raise ValueError("generate has no decoder for this model: a hook, or an unknown module")
        with torch.inference_mode():
            self.decoder = decoding.Decoder(model, NEW_TOKENS)

    def step(self, new: Tensor) -> Tensor:
        """Returns the logits behind one new token a row, (rows, V)."""
        self.cache.length = CACHED
        return self.decoder.logits(new[:, 0], self.cache)


def decoders(
    make_base: Callable[[], GPT], rank: int, names: Iterable[str], repeats: int = 1
) -> dict[str, Contender]:
    """Makes contenders that decode, `repeats` steps a call, their logits checked.

    Args:
        make_base: S or B.
        rank: Of the adapters.
        names: From the table above, with `AGAIN` behind one that shall run twice.
        repeats: Steps a call.

    Raises:
        UnequalLosses: the ways disagree about the logits.
    """
    base = make_base().eval()
    freeze(base)
    adapters = {}
    with torch.random.fork_rng([]):
        for i in range(TASKS):
            torch.manual_seed(i)
            factors = draw_factors(base, rank, b_std=0.02)
            adapters[f"task {i}"] = Adapter(rank, 2.0, "alpha", factors)
    dice = torch.Generator().manual_seed(1)
    text = torch.randint(base.config.vocab_size, (TASKS, CACHED + 1), generator=dice)
    steps, logits = {}, {}
    for name in names:
        steps[name] = WAYS[name.removesuffix(AGAIN)](base, adapters, text)
        logits[name] = steps[name]()
    first, expected = next(iter(logits.items()))
    for name, found in logits.items():
        if not torch.allclose(found, expected, rtol=0, atol=LOGIT_TOLERANCE):
            raise UnequalLosses(f"the logits of {name!r} differ from those of {first!r}")
    return {
        name: Contender(partial(_repeat, step, repeats), 1 / repeats)
        for name, step in steps.items()
    }


def _repeat(step: Callable[[], object], repeats: int, number: int) -> None:
    for _ in range(repeats):
        step()


def _sharing(base: GPT) -> GPT:
    """A GPT of its own with the weights of `base`, which are not copied."""
    model = gpt_without_weights(base.config)
    model.load_state_dict(base.state_dict(), assign=True)
    model.head.weight = model.token_embedding.weight
    freeze(model)
    return model.eval()


def _sequential(
    base: GPT,
    adapters: dict[str, Adapter],
    text: Tensor,
    make: type[Decoder] = Decoder,
) -> Callable[[], Tensor]:
    rows = []
    for adapter in adapters.values():
        model = _sharing(base)
        attach(model, adapter)
        rows.append(make(model, model, 1))
    with torch.inference_mode():
        for row, line in zip(rows, text, strict=True):
            row.read(line[None, :CACHED])

    @torch.inference_mode()
    def step() -> Tensor:
        return torch.cat([row.step(line[None, -1:]) for row, line in zip(rows, text, strict=True)])

    return step


def _batched(
    base: GPT,
    adapters: dict[str, Adapter],
    text: Tensor,
    make: type[Decoder] = Decoder,
) -> Callable[[], Tensor]:
    model = _sharing(base)
    context = MixedAdapters(model, adapters).rows(list(adapters))
    context.__enter__()  # for as long as the model lives, which nobody else uses
    return _in_one_batch(make(model, model, TASKS), text, keep=context)


def _peft_mixed(base: GPT, adapters: dict[str, Adapter], text: Tensor) -> Callable[[], Tensor]:
    gpt, model = _sharing(base), None
    for name, adapter in adapters.items():
        own_name = name.replace(" ", "_")
        if model is None:
            alpha = adapter.multiplier * adapter.rank
            model = wrap(gpt, adapter.rank, alpha, list(TARGETS), adapter_name=own_name)
        else:
            model.add_adapter(own_name, next(iter(model.peft_config.values())))
        for layer, factors in adapter.matrices.items():
            copy_factors(model, layer, factors, own_name)
    names = [name.replace(" ", "_") for name in adapters]
    # What PEFT's own generate does around all of its steps: enter once, then call the base model.
    context = model.eval()._enable_peft_forward_hooks(adapter_names=names)
    context.__enter__()  # for as long as the model lives, which nobody else uses
    return _in_one_batch(Decoder(model.get_base_model(), gpt, TASKS), text, keep=context)


def _in_one_batch(rows: Decoder, text: Tensor, keep: object = None) -> Callable[[], Tensor]:
    with torch.inference_mode():
        rows.read(text[:, :CACHED])

    @torch.inference_mode()
    def step(kept: object = keep) -> Tensor:
        return rows.step(text[:, -1:])

    return step


WAYS = {
    "sequential": _sequential,
    "sequential, generate's decoder": partial(_sequential, make=GenerateDecoder),
    "batched": _batched,
    "batched, generate's decoder": partial(_batched, make=GenerateDecoder),
    "PEFT, mixed": _peft_mixed,
}


def _with_threads_of(model: GPT, call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Lets another library decode with as many threads as `generate` takes for this model."""

    def called() -> Tensor:
        with free_threads(decoding_threads(model)):
            return call()

    return called


def generators(names: Iterable[str]) -> dict[str, Contender]:
    """Makes contenders that continue one prompt greedily, with a cache; their tokens are checked.

    Args:
        names: "ours" and "transformers", with `AGAIN` behind one that shall run twice.

    Raises:
        UnequalLosses: they write different tokens.
    """
    gpt = base_s()
    prompt = torch.randint(2000, (1, PROMPT_TOKENS), generator=torch.Generator().manual_seed(1))
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "use_cache": True}
    contenders = {}
    for name in names:
        if name.startswith("ours"):
            call = partial(generate, base_s(), prompt, NEW_TOKENS)
        else:
            theirs, mask = language_model(gpt), torch.ones_like(prompt)
            pad = gpt.config.vocab_size - 1
            call = partial(
                theirs.generate, prompt, attention_mask=mask, pad_token_id=pad, **options
            )
            call = _with_threads_of(gpt, call)
        contenders[name] = call
    written = {name: call() for name, call in contenders.items()}
    first = next(iter(written.values()))
    if any(not torch.equal(tokens, first) for tokens in written.values()):
        raise UnequalLosses("ours and transformers' generate write different tokens")
    return {
        name: Contender(lambda number, call=call: call(), 1 / NEW_TOKENS)
        for name, call in contenders.items()
    }
