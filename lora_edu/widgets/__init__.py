"""Widgets: explorers that live in the page (`Component`), and ipywidgets that talk to the kernel.

Of ipywidgets only the core controls are used, as versions 7.7.1 (Colab) and 8 both have them. A
name is loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
