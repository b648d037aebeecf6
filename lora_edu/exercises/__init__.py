"""Exercises that mark themselves: `check("10.scaling", answer)` says passed, or why not.

A room here holds the checkers of one subject, such as `conventions.py`, and is imported when one of
them is first asked for. `course.py` lists the exercises of each notebook. What the rooms share:
`core.py` registers and judges, `answers.py` looks for blanks and explains errors, `guarding.py`
watches a function at work, `comparing.py` and `statements.py` read numbers, tensors and words.
"""

from lora_edu.exercises.core import Exercise, Verdict, Wrong, check, exercise, exercises

__all__ = ["Exercise", "Verdict", "Wrong", "check", "exercise", "exercises"]
