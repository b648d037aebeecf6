"""What a learner's notebook keeps back: all that could answer its questions."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from scripts.notebook_answers import questions, withheld, withhold


def cells(*sources: str):
    made = [new_code_cell(source, execution_count=i) for i, source in enumerate(sources, start=1)]
    for cell in made:
        cell.outputs = [new_output("stream", text="8")]
    return made


def kept_back(made) -> list[str]:
    return [cell.source for cell in withheld(made)]


def test_what_lies_between_a_question_and_its_answer_is_kept_back() -> None:
    made = cells("0", 'size = predict("How large?")', "1", "reveal(size, 8)", "2")
    made.insert(2, new_markdown_cell("text"))
    assert questions(made) == [("size", 1, 4)]
    assert kept_back(made) == ['size = predict("How large?")', "1", "reveal(size, 8)"]


def test_a_question_inside_another_ends_neither() -> None:
    made = cells("a = predict()", "b = predict()", "reveal(b, 1)", "0", "reveal(a, 1)", "1")
    assert kept_back(made) == [cell.source for cell in made[:5]]


def test_the_same_name_may_ask_again() -> None:
    made = cells("a = predict()", "reveal(\n    a,\n    1)", "0", "a = predict()", "reveal(a, 2)")
    assert kept_back(made) == [cell.source for cell in made if cell.source != "0"]


def test_a_tag_keeps_a_cell_back() -> None:
    made = cells("0", "1")
    made[0].metadata["tags"] = ["withheld"]
    assert kept_back(made) == ["0"]


def test_a_question_without_an_answer_keeps_itself_back() -> None:
    made = cells("a = predict()", "0", "reveal(other, 1)")
    assert questions(made) == [("a", 0, None)]
    assert kept_back(made) == ["a = predict()"]


def test_withholding_takes_outputs_and_counts_and_nothing_else() -> None:
    made = cells("0", "a = predict()", "reveal(a, 1)", "1")
    withhold(made)
    assert [cell.execution_count for cell in made] == [1, None, None, 4]
    assert [len(cell.outputs) for cell in made] == [1, 0, 0, 1]
