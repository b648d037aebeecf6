"""One more token for a GPT with a cache, in as few steps as the arithmetic has.

The products of a single token are so small that to call the modules around them costs about as
much, and that to read the weights takes longer than to compute with them. `Decoder` computes what
`model(new[:, None], cache=cache)[:, -1]` computes, but calls a module only where it has more to
say than its weights do. Where many tokens are to come, it copies the weights of a small model
first: laid out in the order in which a single row reads them, query, key and value side by side,
updates added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.adapters import MixedLinear
from lora_edu.fused.blocks import ADAPTED, FusedBlock
from lora_edu.gpt import GPT, MLP, Attention, Block, KeyValueCache
from lora_edu.lora import LinearWithLoRA

COPIED_FROM_TOKENS = 16  # copying the mini GPT takes 11 ms and spares 0.7 ms a token
COPIED_BYTES = 2**26  # of a larger model the weights are read where they are
Products = Callable[[Sequence[nn.Module]], Callable[[Tensor], Sequence[Tensor]]]


class Decoder:
    """Reads one new token a row with a GPT in evaluation mode, and extends the cache.

    It uses the weights that the model has when it is made: make another once they change.

    Args:
        model: A GPT that `can_decode` accepts.
        tokens: How many are to come, about.

    Shape:
        Input (B,) token ids, and a cache of fewer than context_length tokens; output (B, V).

    Example:
        >>> import torch
        >>> from lora_edu.gpt import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_embd=8)).eval()
        >>> cache = KeyValueCache(model.config, 2, like=model.token_embedding.weight)
        >>> Decoder(model).logits(torch.tensor([7, 3]), cache).shape, cache.length
        (torch.Size([2, 50]), 1)
    """

    def __init__(self, model: GPT, tokens: int = 1) -> None:
        self.config, self.embed = model.config, model.token_embedding
        self.positions = model.position_embedding.weight
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        copy = tokens >= COPIED_FROM_TOKENS and size <= COPIED_BYTES
        products = _copied if copy else _in_turn
        self.blocks = [_functions(block, products) for block in model.blocks]
        self.final_norm, self.head = _bare(model.final_norm), products([model.head])

    def logits(self, token_ids: Tensor, cache: KeyValueCache) -> Tensor:
        """Computes the logits behind the new tokens.

        Args:
            token_ids: One a row.
            cache: What was read before; it is extended.
        """
        heads = (len(token_ids), self.config.n_head, 1, self.config.head_size)
        x = self.embed(token_ids) + self.positions[cache.length]
        for i, (norm, projections, out, mlp_norm, fc_in, fc_out) in enumerate(self.blocks):
            query, key, value = [part.view(heads) for part in projections(norm(x))]
            mixed = F.scaled_dot_product_attention(query, *cache.extend(i, key, value))
            x = x + out(mixed.flatten(1))[0]
            x = x + fc_out(F.gelu(fc_in(mlp_norm(x))[0], approximate="tanh"))[0]
        cache.length += 1
        return self.head(self.final_norm(x))[0]


def can_decode(model: nn.Module) -> bool:
    """Whether the model is put together as in `gpt.py`, and no hook waits for a module's call."""
    known = type(model) is GPT and all(
        type(block) in (Block, FusedBlock)
        and (type(block.attention), type(block.mlp)) == (Attention, MLP)
        for block in model.blocks
    )
    return known and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def _functions(block: Block, products: Products) -> list[Callable]:
    """What a block applies, in the order in which `Decoder` unpacks it."""
    attention, mlp = block.attention, block.mlp
    projections = products([attention.query, attention.key, attention.value])
    behind = _bare(block.mlp_norm), products([mlp.fc_in]), products([mlp.fc_out])
    return [_bare(block.attention_norm), projections, products([attention.out]), *behind]


def _in_turn(modules: Sequence[nn.Module]) -> Callable[[Tensor], Sequence[Tensor]]:
    """Several layers that read the same, one after another, from the weights as they lie."""
    functions = [_bare(module) for module in modules]
    return lambda x: [function(x) for function in functions]


def _copied(modules: Sequence[nn.Module]) -> Callable[[Tensor], Sequence[Tensor]]:
    """Several layers that read the same, in one product with a copy of their weights.

    Where a layer is not all weights, it is `_in_turn`; of a mixed batch, each row's own update is
    added behind the product.
    """
    mixed = [module for module in modules if type(module) is MixedLinear]
    if any(module.a.dtype != module.linear.weight.dtype for module in mixed):
        return _in_turn(modules)  # updates in more bits than the weights are added by themselves
    if mixed:
        return _mixed(modules)
    weights = [_weight(module) for module in modules]
    if any(weight is None for weight in weights):
        return _in_turn(modules)
    widths, weight = [w.shape[1] for w in weights], torch.cat(weights, dim=1).contiguous()
    biases = [getattr(module, "linear", module).bias for module in modules]
    bias = torch.cat([w.new_zeros(w.shape[1]) if b is None else b for w, b in zip(weights, biases)])
    if len(modules) == 1:
        return lambda x: (torch.addmm(bias, x, weight),)
    return lambda x: torch.addmm(bias, x, weight).split_with_sizes(widths, dim=1)


def _mixed(modules: Sequence[nn.Module]) -> Callable[[Tensor], Sequence[Tensor]]:
    """The same where layers have an update for each row: their A stand side by side."""
    own = [i for i, module in enumerate(modules) if type(module) is MixedLinear]
    products = _copied([m.linear if type(m) is MixedLinear else m for m in modules])
    a = torch.cat([modules[i].a for i in own], dim=2)  # (rows, in, sum of ranks)
    ranks, bs = [modules[i].b.shape[1] for i in own], [modules[i].b for i in own]

    def apply(x: Tensor) -> Sequence[Tensor]:
        outputs = list(products(x))
        thin = torch.bmm(x[:, None], a).split_with_sizes(ranks, dim=2)
        for i, part, b in zip(own, thin, bs):
            outputs[i] = torch.baddbmm(outputs[i][:, None], part, b)[:, 0]
        return outputs

    return apply


def _weight(module: nn.Module) -> Tensor | None:
    """A layer's weight with its update in it, (in, out); None of other modules.

    None also where the weight has fewer bits than float32, as rounding would take what is small
    in the update.
    """
    linear = module.linear if type(module) in ADAPTED else module
    if type(linear) is not nn.Linear:
        return None
    if linear is module or module.merged:
        return linear.weight.T
    fine = linear.weight.dtype in (torch.float32, torch.float64)
    return linear.weight.T + module.lora.delta() if fine else None


def _bare(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The function that a plain layer applies; any other module as it is."""
    if isinstance(module, LinearWithLoRA) and module.merged:
        module = module.linear
    if type(module) is nn.Linear:
        return partial(F.linear, weight=module.weight, bias=module.bias)
    if type(module) is nn.LayerNorm:
        keywords = {name: getattr(module, name) for name in ("weight", "bias", "eps")}
        return partial(torch.layer_norm, normalized_shape=module.normalized_shape, **keywords)
    return module
