"""What parsers have returned can be looked through while another of them returns."""

from __future__ import annotations

from tracelet.capture.arguments import Arguments, Parsed


def test_something_is_parsed_while_others_are_read_or_forgotten() -> None:
    arguments = Arguments()

    def parse(name: str) -> dict[str, int]:
        arguments.add(name, Parsed(0, name, {name: 1}))
        return {"lr": 2}

    def is_over(parsed: Parsed) -> bool:
        parse("second")
        return parsed.qualifier == "first"

    arguments.add("net", Parsed(0, "net", {"lr": 1}, again=lambda: parse("first")))
    arguments.read_again()
    arguments.forget(is_over)
    found = {name: one.values[key] for name, (one, key) in arguments.owners().items()}
    assert found == {"lr": 2, "second": 1}
