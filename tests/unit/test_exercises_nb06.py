"""Notebook 06's checkers: right answers pass, each misconception gets its own message."""

from __future__ import annotations

import pytest

from lora_edu.exercises import check, exercises

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "06.mask": [
        "You count the prompt too",
        "Shift by one",
        "hide one too many",
        "One too few is hidden",
        "The end of the text is missing",
        "0 is a token like any other",
        "one target too many",
        "the wrong way round",
        "for this prompt only",
    ],
    "06.sample": [
        "You multiplied by the temperature",
        "All tokens can still be drawn",
        "Hide the others before the softmax",
        "A logit of 0 is not a probability of 0",
        "You divided the probabilities",
        "The temperature changes nothing",
        "the least likely tokens",
        "0, 0.62, 0 and 0.38",
        "You return those kept only",
        "One too few is kept",
        "changes the logits that it is given",
        "one temperature and one top_k only",
    ],
    "06.slots": [
        "wrong, but not missing as well",
        "wrong, but not added as well",
        "as pairs",
        "never compare the values",
        "have changed places",
        "coffee and a diner were made up",
        "Return three numbers",
        "you count it as missing and as added, too",
        "has no errors; yours counts some",
        "So 3 are missing",
    ],
    "06.perplexity": [
        "averaged perplexities",
        "Each text weighs the same",
        "in nats, not in bits",
        "That is the mean loss",
        "Divide by the number of tokens before",
        "by the number of texts",
        "The sign is wrong",
        "2.909 nats per token",
    ],
    "06.forgot": [
        "With the adapter off nothing is left of it",
        "With the adapter on",
        "Merging writes the update",
        "the only weights there are",
        "True or False",
    ],
}
TASKS = {task.name: task for task in exercises("06")}


def test_every_exercise_is_covered():
    assert set(TASKS) == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_right_answers_pass(name):
    for answer in TASKS[name].right:
        assert check(name, answer).passed, check(name, answer)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_wrong_answer_gets_its_own_message(name):
    wrong = TASKS[name].wrong
    assert len(wrong) == len(MESSAGES[name])
    for answer, words in zip(wrong, MESSAGES[name], strict=True):
        verdict = check(name, answer)
        assert verdict.state == "wrong"
        assert words in verdict.message


@pytest.mark.parametrize("name", MESSAGES)
def test_a_blank_is_not_tried(name):
    assert check(name).state == "not tried"


def test_the_masks_of_the_course_and_of_the_exercise_are_the_same():
    from lora_edu.datasets.batching import generation_rows, prompt
    from lora_edu.datasets.sets import load_menu
    from lora_edu.pretrained.tokenizer import load_tokenizer

    encoding, pair = load_tokenizer("mini"), load_menu().train[0]
    ids = encoding.encode_ordinary(prompt(pair.meaning)), encoding.encode_ordinary(pair.sentence)
    (row,) = generation_rows([pair], encoding, 256)
    assert TASKS["06.mask"].right[0](*ids, encoding.eot_token) == row.target


def test_a_count_that_ignores_its_argument_is_caught():
    assert not check("06.slots", lambda meant, said: (3, 1, 2)).passed
