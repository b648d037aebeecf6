"""A prediction is recorded, compared and shown; without one the text says so."""

import base64

import ipywidgets
import pytest

from lora_edu.plots import display, table
from lora_edu.plots.charts import picture, show
from lora_edu.plots.display import WIDGET_VIEW, image_tag, show_widget
from lora_edu.plots.phone import PHONE_COLOURS, PHONE_PX, for_phone
from lora_edu.plots.style import figure, png, shown_width
from lora_edu.widgets import predict, quiz, reveal

QUESTION = "Which trains more weights?"


@pytest.fixture(autouse=True)
def nothing_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of its own for each test: none has heard the others' predictions."""
    monkeypatch.setattr(quiz, "_latest", {})


def test_a_cell_that_is_run_again_keeps_what_was_recorded() -> None:
    options = ["A", "B"]
    predict("Which is larger?", options).say("B")
    assert predict("Which is larger?", options).value == "B"
    assert predict("Which is smaller?", options).value is None
    number = predict("How many?")
    number.say("3k")
    assert predict("How many?").value == 3000
    number = predict("How many?")
    number.say("many")  # not a number: nothing is recorded any more
    assert predict("How many?").value is None


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """Collects what is displayed: (bundle, metadata)."""
    seen: list[tuple[dict, dict]] = []

    def record(bundle: dict, *, raw: bool, metadata: dict | None = None, **named: object) -> None:
        assert raw
        seen.append((bundle, (metadata or {}) | named))

    monkeypatch.setattr(display, "display", record)
    return seen


def test_nothing_is_predicted_before_a_choice() -> None:
    prediction = predict(QUESTION, ["LoRA", "full"])
    assert prediction.value is None
    assert repr(reveal(prediction, "full")) == "No prediction recorded. Found: full."


def test_a_choice_is_recorded_and_confirmed() -> None:
    prediction = predict(QUESTION, ["LoRA", "<full>"])
    prediction.say("<full>")
    assert prediction.value == "<full>"
    assert "● &lt;full&gt;" in prediction.still() and "○ LoRA" in prediction.still()


def test_a_right_and_a_wrong_choice_are_told_apart() -> None:
    prediction = predict(QUESTION, ["LoRA", "full"])
    prediction.say("LoRA")
    right, wrong = reveal(prediction, "LoRA"), reveal(prediction, "full", because="all move.")
    assert (right.agrees, repr(right)) == (
        True,
        "✓ You predicted: LoRA. That is right. Found: LoRA.",
    )
    assert wrong.agrees is False
    assert repr(wrong) == ("✗ You predicted: LoRA. That is not right. Found: full. Why: all move.")


@pytest.mark.parametrize(
    ("typed", "value"), [("1500", 1500.0), ("1,500", 1500.0), ("2.5e6", 2.5e6), (" 1 000 ", 1000.0)]
)
def test_numbers_are_read_as_people_write_them(typed: str, value: float) -> None:
    prediction = predict("How many?")
    prediction.say(typed)
    assert prediction.value == value
    assert prediction.note == ""


@pytest.mark.parametrize("typed", ["many", "nan", "inf"])
def test_what_is_no_number_is_refused_and_explained(typed: str) -> None:
    prediction = predict("How many?")
    prediction.say(typed)
    assert prediction.value is None
    assert "not a number" in prediction.note
    prediction.say("")
    assert (prediction.value, prediction.note) == (None, "")


def test_a_number_agrees_within_the_tolerance() -> None:
    prediction = predict("How many?")
    prediction.say("108")
    assert reveal(prediction, 100).agrees
    assert not reveal(prediction, 100, tolerance=0.05).agrees
    assert repr(reveal(prediction, 100)) == (
        "✓ You predicted: 108. That is close enough. Found: 100."
    )


def test_a_question_that_wants_the_exact_number_says_so_and_judges_by_it() -> None:
    prediction = predict("How many exactly?", tolerance=0.001)
    assert "(the exact number)" in repr(prediction)
    assert '"exact":true' in quiz._Form(prediction).html()
    assert '"exact":false' in quiz._Form(predict("How many, about?")).html()
    prediction.say("2,654,208")
    assert "That is 0.5 % too low." in repr(reveal(prediction, 2_666_528))
    assert reveal(prediction, 2_666_528, tolerance=0.1).agrees


def test_large_numbers_are_grouped_and_small_ones_rounded() -> None:
    prediction = predict("How many?")
    assert "Found: 2,666,528." in repr(reveal(prediction, 2_666_528))
    assert "Found: 0.3333." in repr(reveal(prediction, 1 / 3))


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        (" ", [], "question must be a sentence"),
        ("Which?", ["a"], "two or more different"),
        ("Which?", ["a", "a"], "two or more different"),
    ],
)
def test_unusable_questions_are_refused(question: str, options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict(question, options)


def test_answers_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="answer must be one of"):
        reveal(predict("Which?", ["a", "b"]), "c")
    with pytest.raises(ValueError, match="answer must be a number"):
        reveal(predict("How many?"), "many")


@pytest.mark.parametrize(
    ("question", "typed", "value"),
    [
        ("How many?", "1.5M", 1.5e6),
        ("How many?", "3 million", 3e6),
        ("How many per cent?", "1 %", 1.0),
        ("How many per cent?", "2.5 per cent", 2.5),
        ("By how much does it fall?", "−5", -5.0),
        ("In per cent?", "60%", 60.0),
        ("How many?", "300k", 3e5),
        ("How many?", "1,5", 1.5),
        ("How many?", "0,125", 0.125),
        ("How many?", "1,500,000", 1.5e6),
        ("How many times larger?", "110 times", 110.0),
        ("How many times larger?", "110×", 110.0),
    ],
)
def test_units_and_signs_are_understood_where_they_fit(question, typed, value) -> None:
    prediction = predict(question)
    prediction.say(typed)
    assert (prediction.value, prediction.note) == (value, "")


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("1 %", "not for per cent"),
        ("3x", "not for how many times"),
        ("1.500,5", "for decimals"),
        ("1500,000", "for decimals"),
        ("1 5", "for decimals"),
        ("-5", "less than zero"),
        ("1e999", "too large"),
    ],
)
def test_an_answer_that_does_not_fit_is_told_why(typed: str, note: str) -> None:
    prediction = predict("How many?")
    prediction.say(typed)
    assert prediction.value is None
    assert note in prediction.note


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """Collects what predictions display: (bundle, how)."""
    seen: list[tuple[dict, dict]] = []
    monkeypatch.setattr(quiz, "display", lambda bundle, **how: seen.append((bundle, how)))
    return seen


def test_a_quiz_stores_its_question_as_text_and_no_widget(forms: list) -> None:
    predict("Which?", ["a", "b"])._ipython_display_()
    predict("How many?")._ipython_display_()
    assert forms[0][0]["text/plain"] == "Predict: Which?\n  ○ a\n  ○ b"
    assert forms[1][0]["text/plain"] == "Predict: How many? (a number)"
    assert WIDGET_VIEW not in forms[0][0]


def test_what_is_chosen_goes_into_the_output_that_is_stored(forms: list) -> None:
    prediction = predict("Which?", ["a", "b"])
    prediction.say("a")
    assert forms == []  # what is not shown cannot be shown anew
    prediction._ipython_display_()
    prediction.say("b")
    (first, how), (second, how_then) = forms
    assert "● a" in first["text/plain"] and "● b" in second["text/plain"]
    assert "● b" in second["text/html"].split("<script")[0]
    assert '"said":"b"' in second["text/html"]
    assert (how["update"], how_then["update"]) == (False, True)
    assert how["display_id"] == how_then["display_id"]


def test_the_form_is_answered_with_what_is_recorded() -> None:
    prediction = predict("How many?")
    assert prediction._answer("2.5e3") == {"said": "2,500", "note": "", "late": False}
    assert prediction._answer("many")["said"] is None


def test_a_prediction_after_its_answer_is_late_until_the_answer_is_shown_again(
    forms: list,
) -> None:
    prediction = predict("Which?", ["a", "b"])
    prediction._ipython_display_()
    assert reveal(prediction, "b").prediction is None
    assert prediction._answer("a")["late"]
    assert reveal(prediction, "b").prediction == "a"
    assert ['"late":true' in bundle["text/html"] for bundle, _ in forms] == [False, True, False]
    assert [how["update"] for _, how in forms] == [False, True, True]
    reveal(prediction, "b")
    assert len(forms) == 3  # nothing new to say


def test_an_answer_is_folded_until_there_is_a_prediction() -> None:
    prediction = predict("Which?", ["<a>", "b"])
    folded = reveal(prediction, "<a>", because="it is so")._repr_html_()
    assert folded.startswith("<details><summary") and "The answer: &lt;a&gt;" in folded
    assert ">=<" in folded and "Why: it is so." in folded
    prediction.say("<a>")
    right, wrong = reveal(prediction, "<a>")._repr_html_(), reveal(prediction, "b")._repr_html_()
    assert "details" not in right + wrong
    assert (">✓<" in right, ">✗<" in wrong) == (True, True)


def test_what_was_measured_is_folded_with_the_answer() -> None:
    prediction = predict("Which?", ["a", "b"])
    falls = picture(figure("It falls"), "A falling line.")
    for measured, inner in (
        ("x < 1\ny", "x &lt; 1<br>y"),
        (table(["", "x"], [["y", 1]]), "<td"),
        (falls, 'alt="A falling line."'),
    ):
        folded = reveal(prediction, "a", because="so it is", measured=measured)
        html = folded._repr_html_()
        assert html.index("The answer: a") < html.index(inner)
        assert html.endswith("</div></details>") and html.count("<details>") == 1
        assert repr(folded).endswith(f"Why: so it is.\n{measured}")
    prediction.say("a")
    assert "y</div>" in reveal(prediction, "a", measured="y")._repr_html_()


def test_several_things_are_folded_in_their_order() -> None:
    prediction = predict("Which?", ["a", "b"])
    measured = [table(["", "x"], [["y", 1]]), "so far", picture(figure("It falls"), "A line.")]
    folded = reveal(prediction, "a", measured=measured)
    html = folded._repr_html_()
    places = [html.index(each) for each in ("<td", "so far", "<img")]
    assert places == sorted(places) and html.endswith("</details>")
    assert repr(folded).splitlines()[-4:] == ["   x", "y  1", "so far", "A line."]


def test_a_widget_goes_out_live_and_as_text(shown: list) -> None:
    slider = ipywidgets.IntSlider()
    show_widget(slider, "rank 8 of 64")
    bundle, _ = shown[0]
    assert bundle[WIDGET_VIEW]["model_id"] == slider.model_id
    assert bundle["text/plain"] == "rank 8 of 64"


def test_a_widget_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="text must say in words"):
        show_widget(ipywidgets.IntSlider(), "")


def test_a_figure_is_shown_once_with_its_text(shown: list) -> None:
    drawn = figure("It falls")
    show(drawn, alt="A falling line.")
    ((bundle, metadata),) = shown
    assert base64.b64decode(bundle["image/png"]) == png(drawn)
    width = shown_width(drawn)
    assert metadata["image/png"] == {"alt": "A falling line.", "width": width}
    small = for_phone(drawn)
    phone = png(small, PHONE_COLOURS), PHONE_PX
    forms = {"width_px": width, "phone": phone}
    assert bundle["text/html"] == image_tag(png(drawn), "A falling line.", **forms)
    assert bundle["text/plain"] == "A falling line."
    assert WIDGET_VIEW not in bundle  # which would be an error where no kernel is left


def test_a_long_reveal_breaks_between_words() -> None:
    prediction = predict("Which?", ["a", "b"])
    text = repr(reveal(prediction, "a", because="a reason " * 12))
    assert all(len(line) <= 92 for line in text.split("\n"))
    assert " ".join(text.split()).startswith("No prediction recorded. Found: a. Why: a reason a")


def test_the_same_question_asked_twice_has_two_forms():
    first, second = predict("Again?", ["yes", "no"]), predict("Again?", ["yes", "no"])
    assert first.key != second.key


def test_a_number_recorded_before_one_is_typed_is_asked_for():
    asked = predict("How many?")
    asked.say(" ")
    assert (asked.value, asked.note) == (None, "Type a number first.")
    asked.say("3")
    asked.say("")
    assert (asked.value, asked.note) == (None, "")
