"""Change one thing of a rule at a time, as a slip of the pen would."""

import re
from collections.abc import Iterator

OPPOSITE = {">=": "<", "<=": ">", ">": "<=", "<": ">=", "==": "!="}
COMPARISON = re.compile(r"(>=|<=|==|>|<)( bool)? (?:(-?[\d.]+)|(?=\w|\())")
SWAPS = {
    "increase(": "delta(",
    "max_over_time(": "min_over_time(",
    "min_over_time(": "max_over_time(",
    "sum by": "max by",
    "min by": "max by",
    "max by": "sum by",
}
SEVERITY = {"page": "ticket", "ticket": "page", "none": "page"}


def mutants(rule: dict) -> Iterator[tuple[str, dict]]:
    """Yield each change of a rule as (what was changed, the rule)."""
    for what, expression in dict(_expressions(rule["expr"])).items():
        yield what, rule | {"expr": expression}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            number, unit = int(rule[key][:-1]), rule[key][-1]
            yield f"{key} doubled", rule | {key: f"{2 * number}{unit}"}
            yield f"{key} left out", {name: value for name, value in rule.items() if name != key}
    for label, value in rule.get("labels", {}).items():
        other = SEVERITY[value] if label == "severity" else "another"
        yield f"{label} is {other}", rule | {"labels": rule["labels"] | {label: other}}
    if "record" in rule:
        yield "another name", rule | {"record": rule["record"] + "_too"}


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    for found in COMPARISON.finditer(expr):
        sign, is_bool, number = found[1], found[2] or "", found[3]
        if not is_bool or number:
            yield f"{found[0]} turned round", _put(expr, found, 1, OPPOSITE[sign])
        if number and float(number):
            for other in _beside(float(number)):
                yield f"{found[0]} is {other:g}", _put(expr, found, 3, f"{other:g}")
        elif number:
            yield f"without {found[0]}", expr[: found.start()] + expr[found.end() :]
    for found in re.finditer(r"\[(\d+)(\w)\]", expr):
        for factor, name in ((2, "twice"), (0.5, "half")):
            hours = round(factor * int(found[1]) * {"h": 1, "d": 24}[found[2]])
            yield f"{name} {found[0]} at {found.start()}", _put(expr, found, 0, f"[{hours}h]")
    for word, other in SWAPS.items():
        for found in re.finditer(re.escape(word), expr):
            yield f"{other} at {found.start()}", _put(expr, found, 0, other)
    for found in re.finditer(r"\{(\w+)(=~?)\"([^\"]*)\"\}", expr):
        yield f"without {found[0]}", _put(expr, found, 0, "")
        yield f"another {found[0]}", _put(expr, found, 3, "another")
    for found in re.finditer(r" by \(([^)]+)\)", expr):
        for label in found[1].split(", "):
            rest = ", ".join(each for each in found[1].split(", ") if each != label)
            yield f"not by {label} at {found.start()}", _put(expr, found, 1, rest)
    for found in re.finditer(r"vector\(([\d.]+)\)", expr):
        if float(found[1]) != 1:  # of an alert that always fires, nobody sees the value
            yield "another constant", _put(expr, found, 1, f"{1.1 * float(found[1]):g}")
    for found in re.finditer(r"\b(and|or|unless)\b", expr):
        for other in {"and", "or", "unless"} - {found[0]}:
            if not (other == "or" and " on " in expr[found.end() : found.end() + 4]):
                yield f"{other} for {found[0]} at {found.start()}", _put(expr, found, 0, other)
        end = _operand(expr, found.end())
        yield f"without {' '.join(expr[found.start() : end].split())}", expr[: found.start()] + expr[end:]
    for found in re.finditer(r"(?<=[\w)]) *([-/*+])\s", expr):
        yield (
            f"{found[1]} at {found.start()}",
            _put(expr, found, 1, {"-": "+", "+": "-", "/": "*", "*": "/"}[found[1]]),
        )


def _put(text: str, found: re.Match, group: int, other: str) -> str:
    return text[: found.start(group)] + other + text[found.end(group) :]


def _beside(number: float) -> tuple[float, float]:
    """Return the next whole numbers of a small count, or a fifth more and less."""
    is_count = abs(number) <= 4 and (2 * number).is_integer()
    return (number - 1, number + 1) if is_count else (0.8 * number, 1.2 * number)


def _operand(expr: str, start: int) -> int:
    """Return where the operand ends that begins here: at the next set operator or an unopened bracket."""
    depth = 0
    for found in re.finditer(r"[({]|[)}]|\b(?:and|or|unless)\b", expr[start:]):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(found[0], 0)
        if depth < 0 or (depth == 0 and found[0].isalpha()):
            return start + found.start()
    return len(expr)
