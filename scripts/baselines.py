"""Records what is reached on the spam sets without a neural network: data/results/baselines.json.

    python -m scripts.baselines

Two baselines: always the larger class, and TF-IDF with logistic regression, of single words (a bag
of words) and of words and pairs of words. The penalty is chosen on validation; the test set is
read once. For the bundled set also how much of this is the luck of the split: the same from other
seeds of its generator. Needs scikit-learn, the test extra, and the real messages (see
`lora_edu.files`).
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import sklearn
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lora_edu.datasets import LABELS, Example, Split, load_spam, near_duplicate_key
from lora_edu.evaluation import Predictions, accuracy_interval, confusion, f1_interval
from lora_edu.files import atomic_write, data_path
from scripts.generators import spam

COMMAND = "python -m scripts.baselines"
PENALTIES = (0.1, 1.0, 10.0, 100.0)  # scikit-learn's C: the larger, the weaker the penalty
LONGEST = {"bag_of_words": 1, "words_and_pairs": 2}  # runs of words that are features
RESAMPLES = 2000
OTHER_SEEDS = range(10)


def fit_bag_of_words(split: Split, longest: int = 1) -> tuple[Pipeline, float]:
    """TF-IDF and logistic regression on train; the penalty that is best on validation.

    Args:
        split: Of `Example`.
        longest: Longest run of words that is a feature; 1 is a bag of words.

    Returns:
        The fitted model and the chosen C.
    """
    fitted = {}
    for c in PENALTIES:
        words = TfidfVectorizer(ngram_range=(1, longest), token_pattern=r"\b\w+\b")
        model = make_pipeline(words, LogisticRegression(C=c, max_iter=2000))
        fitted[c] = model.fit(*_columns(split.train))
    best = max(PENALTIES, key=lambda c: fitted[c].score(*_columns(split.validation)))
    return fitted[best], best


def predict(model: Pipeline, examples: Sequence[Example]) -> Predictions:
    """A scikit-learn classifier's answers in this package's form."""
    texts, labels = _columns(examples)
    probabilities = torch.tensor(model.predict_proba(texts))
    return Predictions(torch.tensor(labels), probabilities.argmax(1), probabilities)


def predict_majority(split: Split) -> Predictions:
    """Calls every test example what most training examples are."""
    labels = torch.tensor([example.label for example in split.test])
    share = sum(example.label for example in split.train) / len(split.train)
    probabilities = torch.tensor([[1 - share, share]]).expand(len(labels), 2)
    return Predictions(labels, probabilities.argmax(1), probabilities)


def interval_over_groups(
    right: Sequence[bool], groups: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of accuracy from a bootstrap that draws whole groups of examples.

    Messages of one template tend to be right or wrong together, so an interval that takes them as
    independent is too narrow.
    """
    by_group: dict[str, list[bool]] = defaultdict(list)
    for answer, group in zip(right, groups, strict=True):
        by_group[group].append(answer)
    dice, members = random.Random(seed), list(by_group.values())
    scores = []
    for _ in range(RESAMPLES):
        drawn = [answer for group in dice.choices(members, k=len(members)) for answer in group]
        scores.append(sum(drawn) / len(drawn))
    scores.sort()
    return scores[RESAMPLES // 40], scores[-RESAMPLES // 40 - 1]


def summary(predictions: Predictions, groups: Sequence[str]) -> dict:
    """The metrics of one baseline, rounded for the record."""
    right = (predictions.labels == predictions.predicted).tolist()
    return {
        "accuracy": _rounded(accuracy_interval(predictions)),
        "accuracy_interval_over_groups": _rounded(interval_over_groups(right, groups)),
        "f1": _rounded(f1_interval(predictions)),
        "confusion": confusion(predictions).tolist(),
        "predicted": "".join(map(str, predictions.predicted.tolist())),
    }


def baselines(split: Split, groups: Sequence[str]) -> dict:
    """All baselines on one data set; `groups` says what each test example belongs to."""
    results = {
        "rows": {part: len(rows) for part, rows in split._asdict().items()},
        "spam_share_of_test": round(sum(e.label for e in split.test) / len(split.test), 4),
        "test_groups": len(set(groups)),
        "majority": summary(predict_majority(split), groups),
    }
    for name, longest in LONGEST.items():
        model, c = fit_bag_of_words(split, longest)
        results[name] = {"C": c} | summary(predict(model, split.test), groups)
    return results


def luck_of_the_split(seeds: Sequence[int] = OTHER_SEEDS) -> dict:
    """Test accuracies on the set as its generator makes and splits it from other seeds."""
    found: dict[str, list] = {"seeds": list(seeds)} | {name: [] for name in LONGEST}
    for seed in seeds:
        parts = spam.split(seed)
        examples = Split(*([Example(r["text"], LABELS[r["label"]]) for r in p] for p in parts))
        for name, longest in LONGEST.items():
            model, _ = fit_bag_of_words(examples, longest)
            found[name].append(round(model.score(*_columns(examples.test)), 4))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=data_path("results", "baselines.json"))
    output = parser.parse_args().output
    lines = data_path("spam", "test.jsonl").read_text(encoding="utf-8").splitlines()
    bundled, real = load_spam(), load_spam("real")
    record = {
        "command": COMMAND,
        "scikit_learn": sklearn.__version__,
        "bundled": baselines(bundled, [json.loads(line)["template"] for line in lines]),
        "bundled_from_other_seeds": luck_of_the_split(),
        "real": baselines(real, [near_duplicate_key(example.text) for example in real.test]),
    }
    with atomic_write(output) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _columns(examples: Sequence[Example]) -> tuple[list[str], list[int]]:
    return [example.text for example in examples], [example.label for example in examples]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]


if __name__ == "__main__":
    main()
