"""lora_edu: low-rank adaptation (LoRA), taken apart on a small GPT.

What the notebooks import is listed in `__init__.pyi`; start reading in `lora_edu/lora.py`. A name
is loaded when it is first used, so `import lora_edu` costs next to nothing. Figures, widgets and
exercises have addresses of their own: `lora_edu.plots`, `lora_edu.widgets`, `lora_edu.exercises`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
