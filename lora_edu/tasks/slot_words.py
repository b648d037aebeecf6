"""What people write for the slot values of E2E, as regular expressions over plain lower case.

Written by reading the sentences of the *development* part; what they miss there is counted in a
test. People use some values for one another ("cheap" and "less than £20"): these count as the same.
"""

from __future__ import annotations

E2E_SAME = {
    ("priceRange", "less than £20"): "cheap",
    ("priceRange", "£20-25"): "moderate",
    ("priceRange", "more than £30"): "high",
    ("customer rating", "1 out of 5"): "low",
    ("customer rating", "3 out of 5"): "average",
    ("customer rating", "5 out of 5"): "high",
}

_PRICE = r"pric(?:es?|ed|ing|y)|costs?|cost range"
_RATING = r"(?:customers?|ratings?|rated|reviews?|reviewed|satisfaction|scores?|service)"
_CHILD = r"(?:famil(?:y|ies)|kids?|child(?:ren)?)"


def _priced(words: str) -> list[str]:
    """A level said of a price: "high priced", "prices are quite high"."""
    return [
        rf"(?:{words})[- ]?(?:end |er )?(?:range )?(?:{_PRICE})",
        rf"(?:price|cost)s?(?:d| range)?(?: \w+){{0,2}} (?:{words})(?! {_RATING})",
    ]


def _rated(words: str, number: str, figure: int) -> list[str]:
    """A level said of a rating: "3 out of 5", "a three star rating", "rated average"."""
    count = rf"(?:{number}|{figure})"
    return [
        rf"{count}(?: stars?)? ?(?:out of|out|of|/) ?(?:5|five)(?: stars?)?",
        rf"{count}[- ]?stars?",
        rf"(?:rating|rated)(?: \w+)? {count}(?! out| of| star|/|-)",
        rf"(?:{words})[- ](?:\w+[- ])?{_RATING}",
        rf"{_RATING}(?: (?:is|are|of|as|has|have|a|very|been|it|by|customers?|ratings?)){{0,3}}"
        rf" (?:{words})(?! pric| cost)",
    ]


# In the order of trying: within a slot, what a value has matched is gone for those below it.
E2E_WORDS: dict[str, dict[str, list[str]]] = {
    "eatType": {
        "coffee shop": [r"coffee ?-?(?:shops?|house|place)", "cafes?", "coffee"],
        "pub": ["pubs?", "bar"],
        "restaurant": ["restaurants?"],
    },
    "food": {
        "English": ["english", "british"],
        "Japanese": ["japanese", "sushi"],
        "Italian": ["italian", "pasta", "spaghetti", "pizza"],
        "Chinese": ["chinese"],
        "Indian": ["indian"],
        "French": ["french(?! fries)"],
        "Fast food": [r"fast[- ]?food", "burgers?"],
    },
    "priceRange": {
        "cheap": [
            "cheap(?:ly|er)?",
            "inexpensive(?:ly)?",
            "affordabl[ey]",
            r"budget(?:[- ]\w+)?",
            "not expensive",
            rf"low(?:er)?[- ]?(?:{_PRICE})",
            r"(?:less|lower|cheaper) (?:than|then) £? ?20",
            r"(?:under|below) £? ?20",
            *_priced("low"),
        ],
        "high": [
            "expensive",
            "pric[e]?y",
            "upscale",
            r"(?:more|higher) (?:than|then) £? ?30",
            r"(?:over|above|upwards of|from|at) £? ?30",
            r"£? ?30(?: and up| and over|\+)",
            *_priced("high(?:er)?(?:[- ]end)?|above average"),
        ],
        "moderate": [
            r"£? ?20 ?(?:-|–|to|and|through) ?£? ?25",
            r"moderate(?:ly)?(?! (?:customer|rat))",
            r"mid(?:dle)?[- ]?(?:range|priced?)",
            *_priced("reasonabl[ey]|average|fair(?:ly)?|medium|mid"),
        ],
    },
    "customer rating": {
        "low": _rated("low(?:ly)?|poor(?:ly)?|bad(?:ly)?|below average|not well", "one", 1),
        "average": _rated("average|averagely|decent|okay|ok|mediocre|moderate(?:ly)?", "three", 3),
        "high": _rated(
            "high(?:ly|est)?|excellent|great|good|well|top|best|exceptional|outstanding|perfect",
            "five",
            5,
        ),
    },
    "area": {
        "riverside": [r"river ?-?(?:side|front|bank)?s?"],
        "city centre": [
            r"(?:city|town)[- ]?(?:cent(?:re|er)|area)?",
            r"cent(?:re|er)",
            "central",
            "downtown",
        ],
    },
    "familyFriendly": {
        "no": [
            rf"(?:no|not|non|isn't|aren't|doesn't|don't|never|nor|un)[- ]?(?:[\w-]+[- ]){{0,4}}?"
            rf"{_CHILD}(?:[- ](?:friendly|oriented))?(?: (?:with|or|and) {_CHILD})*",
            rf"{_CHILD} (?:(?:are|is) )?not(?: \w+)?",
            r"adults?[- ]only",
            "(?:only|just) for adults",
        ],
        "yes": [rf"{_CHILD}(?:[- ](?:friendly|oriented))?"],
    },
}
