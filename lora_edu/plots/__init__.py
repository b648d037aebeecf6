"""Pictures: charts in one style, and the ways to show them in a notebook.

A name is loaded when it is first used: an explorer in the page needs no chart, and no matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
