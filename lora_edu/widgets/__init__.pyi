from .quiz import Prediction, Reveal, predict, reveal

__all__ = ["Prediction", "Reveal", "predict", "reveal"]
