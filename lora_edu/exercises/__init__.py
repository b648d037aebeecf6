"""Exercises that mark themselves: `check("02.scaling", answer)` says passed, or why not.

Each notebook has a module here, `nb02.py` for notebook 02, with its checkers; `core.py` holds
what they share. Modules are imported when a notebook first asks for one of their exercises.
"""

from lora_edu.exercises.core import Exercise, Verdict, Wrong, check, exercise, exercises

__all__ = ["Exercise", "Verdict", "Wrong", "check", "exercise", "exercises"]
