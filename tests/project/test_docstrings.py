"""What ruff cannot see in a docstring: errors that are raised, arguments that exist, shapes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.project import package_modules

SECTIONS = ("Args", "Shape", "Returns", "Yields", "Raises", "Source", "Example")
Definition = ast.FunctionDef | ast.ClassDef
# A shape such as (B, T) or (..., in_dim), or the unit of a single number.
SHAPE = re.compile(
    r"\(\.\.\.|\([^()]*\b[A-Za-z_][\w ]*,[^()]*\)|scalar|nats|along the last dimension"
)
# A checker's verdict on an answer: raising it is what every checker does, and `check` catches it.
VERDICTS = {"Wrong"}
# Modules that follow a publication; each says which.
FOLLOW_A_SOURCE = [
    "lora",
    "gpt",
    "spectra",
    "pretrained.tokenizer",
    "budget.parameters",
    "budget.memory",
    "evaluation.metrics",
]


class Public(NamedTuple):
    """A public function, method or class, its docstring, and that of the class it is in."""

    name: str
    node: Definition
    docstring: str
    of_class: str


def public_definitions(module: str, file: Path) -> Iterator[Public]:
    """Yields a module's public functions, classes and methods.

    The arguments and errors of `__init__` and `__post_init__` belong to the class's docstring.
    """

    def walk(body: list[ast.stmt], prefix: str, of_class: str) -> Iterator[Public]:
        for node in body:
            if not isinstance(node, Definition):
                continue
            name = f"{prefix}.{node.name}"
            if node.name in ("__init__", "__post_init__", "__call__"):
                yield Public(name, node, of_class, of_class)
            elif not node.name.startswith("_"):
                docstring = ast.get_docstring(node) or ""
                yield Public(name, node, docstring, of_class)
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, name, docstring)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")).body, module, "")


def section(docstring: str, title: str) -> str:
    """Returns the text of one section of a Google docstring, "" where there is none."""
    titles = "|".join(SECTIONS)
    found = re.search(rf"^{title}:\n(.*?)(?=^(?:{titles}):\n|\Z)", docstring, re.S | re.M)
    return found[1] if found else ""


def raised(node: ast.AST) -> set[str]:
    """Returns the errors that a function lets out by its own `raise`.

    Not counted: functions within it, errors that it catches itself, and `AssertionError`, which
    guards our own invariants.
    """
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(error).rpartition(".")[2]
            names |= {name} if name[0].isupper() else set()
        inner = raised(child)
        if isinstance(child, ast.Try):
            caught = {ast.unparse(each.type) for each in child.handlers if each.type}
            inner -= {name for name in inner if any(name in each for each in caught)}
        names |= inner
    return names - {"AssertionError"}


def arguments(node: ast.FunctionDef) -> list[ast.arg]:
    """Returns a function's arguments, `self` and `cls` aside."""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [each for each in given if each.arg not in ("self", "cls")]


EVERYTHING = [
    each for name, file in package_modules().items() for each in public_definitions(name, file)
]
FUNCTIONS = [each for each in EVERYTHING if isinstance(each.node, ast.FunctionDef)]


def named(public: Public) -> str:
    return public.name.removeprefix("lora_edu.")


@pytest.mark.parametrize("public", FUNCTIONS, ids=named)
def test_an_error_that_is_raised_is_documented(public: Public) -> None:
    documented = section(public.docstring, "Raises")
    errors = raised(public.node) - VERDICTS
    assert not {name for name in errors if not re.search(rf"\b{name}\b", documented)}


@pytest.mark.parametrize("public", FUNCTIONS, ids=named)
def test_documented_arguments_are_the_arguments(public: Public) -> None:
    rows = re.findall(r"^    (\*{0,2}\w+(?:, \w+)*):", section(public.docstring, "Args"), re.M)
    names = {name.strip("* ") for row in rows for name in row.split(",")}
    if names and public.node.name != "__post_init__":
        existing = {each.arg for each in arguments(public.node)}
        catch_all = {a.arg for a in (public.node.args.vararg, public.node.args.kwarg) if a}
        assert existing <= names <= existing | catch_all


@pytest.mark.parametrize("public", FUNCTIONS, ids=named)
def test_everything_public_is_typed(public: Public) -> None:
    untyped = [each.arg for each in arguments(public.node) if each.annotation is None]
    assert not untyped and public.node.returns is not None


@pytest.mark.parametrize("public", FUNCTIONS, ids=named)
def test_a_tensor_that_comes_back_has_its_shape_written_down(public: Public) -> None:
    if public.node.returns is not None and ast.unparse(public.node.returns) == "Tensor":
        text = public.docstring + public.of_class
        assert SHAPE.search(text) or section(text, "Example"), "say which shape"


@pytest.mark.parametrize("module", FOLLOW_A_SOURCE)
def test_a_module_that_follows_a_publication_names_it(module: str) -> None:
    text = package_modules()[f"lora_edu.{module}"].read_text(encoding="utf-8")
    assert re.search(r"^ *Source:\n +\S.*(\d{4}|appendix)", text, re.M)


def test_the_check_sees_an_undocumented_error(tmp_path: Path) -> None:
    file = tmp_path / "new.py"
    file.write_text('def halve(x: int) -> int:\n    """Halves."""\n    raise ValueError(x)\n')
    (public,) = public_definitions("new", file)
    with pytest.raises(AssertionError):
        test_an_error_that_is_raised_is_documented(public)
