"""A notebook cell that trains, slowly on purpose, under the training view."""

from __future__ import annotations

SOURCE = """
import time

import torch
from torch import nn

from lora_edu import fit
from lora_edu.tasks.classifier import FeatureBatches, feature_loss
from lora_edu.widgets.training_view import watch


def slow_loss(model, batch):
    time.sleep(SECONDS)
    return feature_loss(model, batch)


x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
batches = FeatureBatches(x, (x[:, 0] > 0).long(), 8)
train = lambda follow: fit(
    nn.Linear(4, 2), batches, slow_loss, lr=0.05, steps=STEPS, device="cpu", callbacks=[follow]
)
history = await watch(train, steps=STEPS, title="a head")
print("the cell ended:", history.stopped)
"""


def slow_run(steps: int, seconds_a_step: float) -> str:
    """The cell's source: a head that learns within `steps` steps, each as slow as asked."""
    return SOURCE.replace("STEPS", str(steps)).replace("SECONDS", str(seconds_a_step))
