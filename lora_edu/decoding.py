"""One more token for a GPT with a cache, in as few steps as the arithmetic has.

The products of a single token are so small that to call the modules around them costs about as
much. `Decoder` computes what `model(new[:, None], cache=cache)[:, -1]` computes, by the same
products in the same order, and calls a module only where it has more to say than its weights do:
a layer with an adapter, for example.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.fused import FusedBlock
from lora_edu.gpt import GPT, MLP, Attention, Block, KeyValueCache
from lora_edu.lora import LinearWithLoRA


class Decoder:
    """Reads one new token a row with a GPT in evaluation mode, and extends the cache.

    It uses the weights that the model has when it is made: make another once they change.

    Args:
        model: A GPT that `can_decode` accepts.

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

    def __init__(self, model: GPT) -> None:
        self.config, self.embed = model.config, model.token_embedding
        self.positions = model.position_embedding.weight
        self.blocks = [[_bare(layer) for layer in _layers(block)] for block in model.blocks]
        self.final_norm, self.head = _bare(model.final_norm), _bare(model.head)

    def logits(self, token_ids: Tensor, cache: KeyValueCache) -> Tensor:
        """Computes the logits behind the new tokens.

        Args:
            token_ids: One a row.
            cache: What was read before; it is extended.
        """
        heads = (len(token_ids), self.config.n_head, 1, self.config.head_size)
        x = self.embed(token_ids) + self.positions[cache.length]
        for i, (norm, query, key, value, out, mlp_norm, fc_in, fc_out) in enumerate(self.blocks):
            z = norm(x)
            k, v = cache.extend(i, key(z).view(heads), value(z).view(heads))
            mixed = F.scaled_dot_product_attention(query(z).view(heads), k, v)
            x = x + out(mixed.flatten(1))
            x = x + fc_out(F.gelu(fc_in(mlp_norm(x)), approximate="tanh"))
        cache.length += 1
        return self.head(self.final_norm(x))


def can_decode(model: nn.Module) -> bool:
    """Whether the model is put together as in `gpt.py`, and no hook waits for a module's call."""
    known = type(model) is GPT and all(
        type(block) in (Block, FusedBlock)
        and (type(block.attention), type(block.mlp)) == (Attention, MLP)
        for block in model.blocks
    )
    return known and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def _layers(block: Block) -> list[nn.Module]:
    """A block's layers in the order in which `Decoder` unpacks them."""
    attention, mlp = block.attention, block.mlp
    projections = [attention.query, attention.key, attention.value, attention.out]
    return [block.attention_norm, *projections, block.mlp_norm, mlp.fc_in, mlp.fc_out]


def _bare(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The function that a plain layer applies; any other module as it is."""
    if isinstance(module, LinearWithLoRA) and module.merged:
        module = module.linear
    if type(module) is nn.Linear:
        return partial(F.linear, weight=module.weight, bias=module.bias)
    if type(module) is nn.LayerNorm:
        keywords = {name: getattr(module, name) for name in ("weight", "bias", "eps")}
        return partial(F.layer_norm, normalized_shape=module.normalized_shape, **keywords)
    return module
