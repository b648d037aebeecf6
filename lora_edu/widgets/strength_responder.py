"""What the shipped adapters answer to any prompt at any strength: computed, on this machine."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lora_edu.adapters import Adapter, attach, detach, load_adapter, set_strength
from lora_edu.files import data_path
from lora_edu.generation import generate_text
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.widgets.strength_record import CLASSES, STRENGTHS, Answer, matter

WATCHED = 8  # tokens whose probabilities are followed
NEW_TOKENS = 40
LONGEST_REST = 4  # tokens of a word behind its first


class Responder:
    """The base with one adapter at a time on it, ready to answer.

    Args:
        base: As for `load_pretrained`.
        adapters: Folder of the adapters; the shipped ones by default.
    """

    def __init__(self, base: str | Path = "mini", adapters: Path | None = None) -> None:
        self._model = load_pretrained(base).eval()
        self._encoding = load_tokenizer("mini")
        self._fingerprint = base_fingerprint(base)
        self._folder = adapters or data_path("adapters")
        self._attached: str | None = None
        self._adapter: Adapter | None = None
        self._watched: dict[tuple[str | None, str], dict[int, str]] = {}
        self._rows: dict[tuple[str | None, str], tuple[str, ...]] = {}

    def answer(self, adapter: str, prompt: str, strength: float) -> Answer:
        """What the base with this adapter says.

        Args:
            adapter: Name of an adapter's folder.
            prompt: Text; a space at its end is dropped, since tokens begin with theirs. Of one that
                is longer than the model's context the end is read.
            strength: What the update is multiplied by.
        """
        self._attach(adapter)
        prompt = prompt.rstrip(" ")
        token_ids = self._token_ids(prompt)
        if self._adapter.heads:
            set_strength(self._model, strength)
            shares = self._next(token_ids).tolist()
            return Answer("", dict(zip(CLASSES, shares, strict=True)))
        watched = self._watch(prompt, token_ids)
        set_strength(self._model, strength)
        text = generate_text(self._model, self._encoding, prompt, NEW_TOKENS)[len(prompt) :]
        shares = self._next(token_ids)
        return Answer(text, {name: shares[i].item() for i, name in watched.items()})

    def rows(self, adapter: str, prompt: str) -> tuple[str, ...]:
        """The watched tokens that matter, or the classes: as `Prompt.rows` of a recorded prompt."""
        self._attach(adapter)
        if self._adapter.heads:
            return CLASSES
        prompt = prompt.rstrip(" ")
        self._watch(prompt, self._token_ids(prompt))
        return self._rows[adapter, prompt]

    def unread_tokens(self, prompt: str) -> int:
        """How many tokens of a prompt are before the part that fits into the model's context."""
        tokens = len(self._encoding.encode_ordinary(prompt.rstrip(" ")))
        return max(0, tokens - self._model.config.context_length)

    def _token_ids(self, prompt: str) -> Tensor:
        return torch.tensor([self._encoding.encode_ordinary(prompt) or [self._encoding.eot_token]])

    def _attach(self, name: str) -> None:
        if name == self._attached:
            return
        if self._attached is not None:
            detach(self._model)
            self._attached = None
        self._adapter = load_adapter(self._folder / name, base_fingerprint=self._fingerprint)
        attach(self._model, self._adapter)
        self._attached = name

    @torch.inference_mode()
    def _next(self, token_ids: Tensor) -> Tensor:
        """Probabilities behind the last token, from as many as the context takes."""
        token_ids = token_ids[:, -self._model.config.context_length :]
        last = torch.tensor([token_ids.shape[1] - 1])
        return self._model(token_ids, positions=last)[0].softmax(dim=0)

    def _watch(self, prompt: str, token_ids: Tensor) -> dict[int, str]:
        """Tokens to follow, with their names: those likeliest at some strength, then runners-up.

        The base's likeliest comes first.
        """
        key = (self._attached, prompt)
        if key not in self._watched:
            shares = {}
            for strength in STRENGTHS:
                set_strength(self._model, strength)
                shares[strength] = self._next(token_ids)
            order = sorted(STRENGTHS, key=lambda strength: abs(strength - 0.5))  # 0 … 1 first
            ranked = {s: shares[s].topk(WATCHED).indices.tolist() for s in (0.0, 1.0)}
            others = [i for pair in zip(ranked[0.0], ranked[1.0], strict=True) for i in pair]
            winners = [int(shares[strength].argmax()) for strength in order]
            watched = list(dict.fromkeys(winners + others))[:WATCHED]
            watched.sort(key=lambda i: -shares[0.0][i].item())
            names = {
                i: self._name(token_ids, i, float(shares[1.0][i] > shares[0.0][i])) for i in watched
            }
            self._watched[key] = names
            peaks = {i: max(shares[s][i].item() for s in STRENGTHS if s >= 0) for i in watched}
            self._rows[key] = matter({names[i]: peak for i, peak in peaks.items()})
        return self._watched[key]

    def _name(self, token_ids: Tensor, token_id: int, strength: float) -> str:
        """A token as a reader sees it, "p(irate)": in brackets how its word would go on."""
        if token_id == self._encoding.eot_token:
            return "(end)"
        set_strength(self._model, strength)
        token = self._encoding.decode([token_id])
        rest = ""
        token_ids = torch.cat([token_ids, torch.tensor([[token_id]])], dim=1)
        for _ in range(LONGEST_REST if token.strip().isalpha() else 0):
            following = self._next(token_ids).argmax()[None, None]
            piece = self._encoding.decode(following[0].tolist())
            if not piece.isalpha():  # a space or a stop: the word is complete
                break
            rest += piece
            token_ids = torch.cat([token_ids, following], dim=1)
        shown = token.strip(" ").replace("\n", "↵") or "␣"
        return f"{shown}({rest})" if rest else shown
