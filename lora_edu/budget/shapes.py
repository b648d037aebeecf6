"""The shapes of published language models, from the mini GPT to GPT-3 175B, as plain numbers.

A shape is enough to count everything in a model exactly, without building it: 175 billion
parameters fit into one line of a table. Names of projections are those of `lora_edu.gpt`; `gate`
is the third MLP matrix of Llama-like models.

Sources:
    GPT-2: Radford et al. 2019, table 2, and the released weights (small is 124M, not 117M).
    GPT-3: Brown et al. 2020, arXiv:2005.14165, table 2.1.
    LLaMA 65B: Touvron et al. 2023, arXiv:2302.13971, table 2; inner width 22,016 as released.
    Llama 3: Grattafiori et al. 2024, arXiv:2407.21783, table 3; vocabulary 128,256 as released.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lora_edu.gpt import GPTConfig

#: Every kind of linear layer a target can name, in the order the forward pass meets them.
TARGETS = ("query", "key", "value", "out", "gate", "fc_in", "fc_out", "head")


@dataclass(frozen=True)
class Projection:
    """One kind of linear layer: y = x Wᵀ + b, with the number of times the model has it.

    Args:
        target: Its name, one of `TARGETS`.
        in_dim: Width of x.
        out_dim: Width of y.
        copies: How often the model has it: once a block, or once for the head.
        bias: Whether it has b.
    """

    target: str
    in_dim: int
    out_dim: int
    copies: int
    bias: bool

    @property
    def weights(self) -> int:
        """Numbers in the weight matrices of all its copies, biases left out."""
        return self.copies * self.in_dim * self.out_dim

    @property
    def parameters(self) -> int:
        """Parameters of all its copies: copies · (in_dim · out_dim + out_dim if biased)."""
        return self.weights + self.copies * self.bias * self.out_dim


@dataclass(frozen=True)
class ModelShape:
    """The sizes that fix every parameter count of a decoder-only transformer.

    Two families are known. `family="gpt"`: biases, LayerNorm with shift, learned positions, an
    MLP of two matrices, the head tied to the token embedding. `family="llama"`: no biases,
    RMSNorm, rotary positions without parameters, a gated MLP of three matrices; its head is its
    own, or tied as in the small ones.

    Args:
        family: "gpt" or "llama".
        n_layer: Blocks.
        n_embd: Width of the residual stream.
        n_head: Query heads; divides `n_embd`.
        n_kv_head: Key and value heads; below `n_head` with grouped-query attention.
        n_mlp: Inner width of the MLP.
        vocab_size: Token ids.
        context_length: Longest sequence, in tokens.
        n_classes: Outputs of a new classification head that replaces the language model's;
            `None` keeps that one.
        tied: Whether a Llama's head is its token embedding; a GPT's always is.

    Example:
        >>> MODEL_SHAPES["GPT-2 small (124M)"].parameters
        124439808
        >>> MODEL_SHAPES["Llama 3 8B"].projection("key").out_dim  # 8 of 32 heads, 128 wide
        1024
    """

    family: str
    n_layer: int
    n_embd: int
    n_head: int
    n_kv_head: int
    n_mlp: int
    vocab_size: int
    context_length: int
    n_classes: int | None = None
    tied: bool = False

    @property
    def kv_dim(self) -> int:
        """Width of keys and values together: n_kv_head · n_embd / n_head."""
        return self.n_kv_head * self.n_embd // self.n_head

    @property
    def is_gpt(self) -> bool:
        """Whether the family is "gpt": biases, shifts, learned positions, a tied head."""
        return self.family == "gpt"

    @property
    def projections(self) -> tuple[Projection, ...]:
        """Every linear layer, in the order of `TARGETS`; a `gate` only where there is one."""
        c, kv, f, bias = self.n_embd, self.kv_dim, self.n_mlp, self.is_gpt
        sizes = {"query": (c, c), "key": (c, kv), "value": (c, kv), "out": (c, c)}
        if not self.is_gpt:
            sizes["gate"] = (c, f)
        sizes |= {"fc_in": (c, f), "fc_out": (f, c)}
        blocks = [Projection(name, m, n, self.n_layer, bias) for name, (m, n) in sizes.items()]
        if self.n_classes is None:
            head = Projection("head", c, self.vocab_size, 1, bias=False)
        else:
            head = Projection("head", c, self.n_classes, 1, bias=True)
        return (*blocks, head)

    def projection(self, target: str) -> Projection:
        """Returns one kind of linear layer by name.

        Raises:
            ValueError: this model has none of that name; the message lists those it has.
        """
        for projection in self.projections:
            if projection.target == target:
                return projection
        known = ", ".join(p.target for p in self.projections)
        raise ValueError(f"target must be one of this model's {known}; got {target!r}")

    @property
    def embedding_parameters(self) -> int:
        """Token embedding, and position embedding where positions are learned."""
        rows = self.vocab_size + (self.context_length if self.is_gpt else 0)
        return rows * self.n_embd

    @property
    def norm_parameters(self) -> int:
        """Two norms a block and a final one: a scale each, and a shift in the GPT family."""
        return (2 * self.n_layer + 1) * self.n_embd * (2 if self.is_gpt else 1)

    @property
    def block_linear_parameters(self) -> int:
        """Weights and biases of all linear layers inside the blocks, the head not among them."""
        return sum(p.parameters for p in self.projections if p.target != "head")

    @property
    def head_parameters(self) -> int:
        """What the head adds: nothing while it is tied to the token embedding."""
        tied = (self.is_gpt or self.tied) and self.n_classes is None
        return 0 if tied else self.projection("head").parameters

    @property
    def parameters(self) -> int:
        """All parameters, each counted once."""
        return (
            self.embedding_parameters
            + self.norm_parameters
            + self.block_linear_parameters
            + self.head_parameters
        )

    def with_classifier(self, n_classes: int) -> ModelShape:
        """The same model with `model.head = nn.Linear(n_embd, n_classes)`."""
        return replace(self, n_classes=n_classes)


def gpt_shape(config: GPTConfig) -> ModelShape:
    """The shape of `GPT(config)`.

    Example:
        >>> gpt_shape(GPTConfig()).parameters
        3111936
    """
    return ModelShape(
        family="gpt",
        n_layer=config.n_layer,
        n_embd=config.n_embd,
        n_head=config.n_head,
        n_kv_head=config.n_head,
        n_mlp=4 * config.n_embd,
        vocab_size=config.vocab_size,
        context_length=config.context_length,
    )


#: The config of transformers that `llama_shape` reads: ours → theirs.
LLAMA_SIZES = {
    "n_layer": "num_hidden_layers",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_kv_head": "num_key_value_heads",
    "n_mlp": "intermediate_size",
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
}


def llama_shape(config: Any) -> ModelShape:
    """The shape of a Llama of transformers: `llama_shape(model.config)`.

    Its layers have the names of `TARGETS` here: query for `q_proj`, key for `k_proj`, value for
    `v_proj`, out for `o_proj`, gate for `gate_proj`, fc_in for `up_proj`, fc_out for `down_proj`,
    head for `lm_head`.

    Args:
        config: Of `model_type` "llama" or "mistral", without biases.

    Raises:
        ValueError: another kind of model, whose numbers are not those of a Llama.

    Example:
        >>> from types import SimpleNamespace
        >>> sizes = dict(zip(LLAMA_SIZES.values(), (30, 576, 9, 3, 1536, 49152, 8192)))
        >>> smollm2 = SimpleNamespace(model_type="llama", tie_word_embeddings=True, **sizes)
        >>> llama_shape(smollm2).parameters
        134515008
    """
    kind = getattr(config, "model_type", None)
    if kind not in ("llama", "mistral"):
        raise ValueError(f"config.model_type must be 'llama' or 'mistral', got {kind!r}")
    shape = ModelShape(
        family="llama",
        **{ours: getattr(config, theirs) for ours, theirs in LLAMA_SIZES.items()},
        tied=config.tie_word_embeddings,
    )
    head_dim = shape.n_embd // shape.n_head
    for name, expected in (("attention_bias", False), ("mlp_bias", False), ("head_dim", head_dim)):
        if (found := getattr(config, name, None) or expected) != expected:
            raise ValueError(f"config.{name} is {found}, but this shape knows {expected} alone")
    return shape


def _gpt2(n_layer: int, n_head: int, n_embd: int, context_length: int = 1024) -> ModelShape:
    return gpt_shape(GPTConfig(50257, context_length, n_layer, n_head, n_embd))


#: The models of the course, small to large.
MODEL_SHAPES: dict[str, ModelShape] = {
    "mini GPT (3M)": gpt_shape(GPTConfig()),
    "GPT-2 small (124M)": _gpt2(12, 12, 768),
    "GPT-2 medium (355M)": _gpt2(24, 16, 1024),
    "GPT-2 large (774M)": _gpt2(36, 20, 1280),
    "GPT-2 XL (1.6B)": _gpt2(48, 25, 1600),
    "Llama 3 8B": ModelShape("llama", 32, 4096, 32, 8, 14336, 128256, 8192),
    "LLaMA 65B": ModelShape("llama", 80, 8192, 64, 64, 22016, 32000, 2048),
    "Llama 3 70B": ModelShape("llama", 80, 8192, 64, 8, 28672, 128256, 8192),
    "GPT-3 175B": _gpt2(96, 96, 12288, context_length=2048),
}
