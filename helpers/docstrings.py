"""A library's documentation as pages: title line, body, and what one page says about another.

Text is read from the packages that are installed, at run time. None of it is stored in the project.
"""

import re
from collections.abc import Container, Iterator
from importlib import import_module
from inspect import cleandoc, isclass, ismodule
from typing import NamedTuple

ROLE = re.compile(r":[\w:]+:`~?([^`]*)`")  # :class:`~pandas.Series`
SIGNATURE = re.compile(r"[\w.]+\([^.!?]*")  # add(x1, x2, /), which C functions repeat on top
SEE_ALSO = re.compile(r"^See Also\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\S[^:\n]*?)(?: *: *|:?\n(?= ))(.*(?:\n[ \t]+.*)*)", re.MULTILINE)


class Page(NamedTuple):
    """The `title` line of a docstring, its `body` without the section "See Also", and that as a dict."""

    title: str
    body: str
    see_also: dict[str, str]


def parse(docstring: str) -> Page:
    r"""Take a docstring in NumPy's style apart.

    see_also : name of another object, as written, to the one line that stands beside it there.

    >>> parse("Add two numbers.\n\nBoth count.\n\nSee Also\n--------\nsubtract : Take away.")
    Page(title='Add two numbers.', body='Both count.', see_also={'subtract': 'Take away.'})
    """
    text = cleandoc(docstring)
    found = SEE_ALSO.search(text)
    entries: dict[str, str] = {}
    for names, line in ENTRY.findall(found[1]) if found else ():
        entries |= {plain(name): plain(line) for name in names.split(",")}
    blocks = re.split(r"\n\s*\n", SEE_ALSO.sub("", text).strip())
    while len(blocks) > 1 and SIGNATURE.match(blocks[0]):
        del blocks[0]
    return Page(plain(blocks[0]), "\n\n".join(blocks[1:]), entries)


def plain(text: str) -> str:
    r"""Return a text on one line, without the marks of reStructuredText.

    >>> plain(":func:`~scipy.linalg.svd` of\n    an ``array``")
    'scipy.linalg.svd of an array'
    """
    return " ".join(ROLE.sub(r"\1", text).replace("`", "").split())


def documented(module: str, *, methods: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Yield (qualified name, docstring, at home) of each public function and class of a module.

    methods : of the classes too. At home is what says itself that it belongs to this module: others import
        it, and it has a name in each of them.
    """
    library = module.split(".")[0]
    for name, thing in _public(import_module(module), module):
        home = getattr(thing, "__module__", None) or library
        if not callable(thing) or home.split(".")[0] != library or not isinstance(thing.__doc__, str):
            continue
        at_home = home.startswith(module)
        yield name, thing.__doc__, at_home
        if methods and isclass(thing):
            for method, what in _public(thing, name):
                if isinstance(what.__doc__, str):
                    yield method, what.__doc__, at_home


def _public(owner: object, prefix: str) -> Iterator[tuple[str, object]]:
    names = vars(owner) if isclass(owner) else dir(owner)  # what a class inherits is documented there
    for name in sorted(names):
        thing = getattr(owner, name, None)
        if not name.startswith("_") and not isinstance(thing, int | float | str | tuple | list | dict):
            yield f"{prefix}.{name}", thing


def page_of(name: str) -> Page | None:
    """Page of a qualified name such as "numpy.add"; None where the package installed here has none.

    >>> sorted(page_of("numpy.vstack").see_also)[:3]
    ['block', 'column_stack', 'concatenate']
    """
    module, rest = name.split(".")[0], name.split(".")[1:]
    try:
        thing = import_module(module)
        for step, part in enumerate(rest):
            if not hasattr(thing, part) and ismodule(thing):
                import_module(".".join([module, *rest[: step + 1]]))
            thing = getattr(thing, part)
    except (ImportError, AttributeError):
        return None
    return parse(thing.__doc__) if isinstance(thing.__doc__, str) else None


def resolve(name: str, page: str, documents: Container[str]) -> str | None:
    """Find the document that a page calls `name`: it may leave out what its own name begins with.

    >>> resolve("subtract", "numpy.add", {"numpy.subtract"})
    'numpy.subtract'
    """
    parts = page.split(".")
    names = (".".join([*parts[:kept], name]) for kept in reversed(range(len(parts))))
    return next((full for full in names if full in documents), None)


def query_text(page: str, target: str) -> str | None:
    """Text of the query that asks for `target` and stands on `page`; None where it is not installed.

    The title line where they are one page, else the line beside `target` in that page's "See Also".

    >>> query_text("numpy.add", "numpy.add") == page_of("numpy.add").title
    True
    """
    there = page_of(page)
    if there is None or page == target:
        return there and there.title
    lines = (line for name, line in there.see_also.items() if resolve(name, page, {target}))
    return next(lines, None)
