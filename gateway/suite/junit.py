"""Results as JUnit XML, which every CI reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from gateway.suite.play import Result


def junit(results: Sequence[Result], told: Callable[[Result], str]) -> bytes:
    """One `testsuite` for each file; `told` is the text of a failure."""
    files: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        files[str(result.suite.path)].append(result)
    root = ElementTree.Element("testsuites")
    for file, own in files.items():
        seconds = sum(result.seconds for result in own)
        failures = sum(result.failed is not None for result in own)
        suite = _add(root, "testsuite", name=file, tests=str(len(own)), failures=str(failures), errors="0", time=f"{seconds:.3f}")
        for result in own:
            name, line = result.test.case.name, str(result.test.line)
            case = _add(suite, "testcase", classname=file, name=name, file=file, line=line, time=f"{result.seconds:.3f}")
            if result.failed is not None:
                _add(case, "failure", message=f"step {result.failed.step}").text = _printable(told(result))
    return str(ElementTree.tostring(root, "unicode", xml_declaration=True)).encode()


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {name: _printable(value) for name, value in attributes.items()})


def _printable(text: str) -> str:
    """XML 1.0, section 2.2 has no control characters, not even escaped."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
