"""Widgets: thin ipywidgets controllers over `lora_edu.plots`; state in, picture out.

Only ipywidgets' core controls are used, as versions 7.7.1 (Colab) and 8 both have them.
"""

from lora_edu.widgets.quiz import Prediction, Reveal, predict, reveal

__all__ = ["Prediction", "Reveal", "predict", "reveal"]
