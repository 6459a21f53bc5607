"""The coverage of the technique: what its rows are, how they are told, and that a row without a proof is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hopscope import cli
from hopscope.coverage.rows import KINDS, Coverage, Proof, Row, Served, Shown, coverage, parsed
from hopscope.outputs import coverage_table, page, techniques
from support.collecting import Collected, collected
from support.proofs import Known, problems

TEST = "tests/unit/heuristics/test_relay_pattern.py::test_a_relay"
GOOD = Row(
    id="D3-RPA",
    kind="technique",
    name="Relay Pattern Analysis",
    reference="https://d3fend.example/rpa",
    served=Served(heuristics=("relay_pattern",)),
    proof=Proof(captures=(Shown("relay", ("relay_pattern",)),), tests=(TEST,)),
    limits="It sees what passes.",
)
KNOWN = Known({"relay_pattern": "D3-RPA"}, {"rule"}, {"plain"}, {"windows_events"}, {"relay"})
OTHERS = [
    Row("event", "event", "Event", "https://e.example", Served(sources=("windows_events",)), Proof(tests=(TEST,)), "l"),
    Row("rule", "rule", "Rule", "https://r.example", Served(rules=("rule",)), Proof(tests=(TEST,)), "l"),
    Row("tool", "tool", "tool", "https://t.example", Served(outputs=("plain",)), Proof(tests=(TEST,)), "l"),
]
RUN = Collected()


def found(*rows: Row, known: Known = KNOWN, test: Collected | None = RUN, **told: dict[str, str]) -> list[str]:
    """What is wrong with rows, of which the first is the one in question; in the capture `relay` a relay is seen."""
    tests = {} if test is None else {TEST: test}
    checked = Coverage((*rows, *OTHERS), **told)
    return list(problems(checked, known, tests, lambda capture: {"relay_pattern"} if capture == "relay" else set()))


def changed(**to: object) -> Row:
    return msgspec.structs.replace(GOOD, **to)


class TestCheck:
    def test_a_row_with_proof_is_right(self) -> None:
        assert found(GOOD) == []

    @pytest.mark.parametrize(
        ("row", "problem"),
        [
            (changed(proof=Proof()), "it has no proof"),
            (changed(proof=Proof(tests=(TEST, f"{TEST}_too"))), f"there is no test {TEST}_too"),
            (changed(proof=Proof((Shown("relay", ()),), (TEST,))), "proves nothing: which heuristics find its hop?"),
            (changed(proof=Proof((Shown("other", ("relay_pattern",)),))), "there is no capture other"),
            (changed(proof=Proof((Shown("relay", ("cadence",)),), (TEST,))), "show cadence, which doesn't serve it"),
            (changed(proof=Proof(tests=(TEST.replace("relay", "gap"),))), "nothing proves heuristic relay_pattern"),
            (changed(served=Served()), "nothing serves it"),
            (changed(served=Served(heuristics=("relay_pattern", "relay"))), "there is no heuristic relay"),
            (changed(served=Served(heuristics=("relay_pattern",), rules=("r",))), "there is no rule r"),
            (changed(served=Served(heuristics=("relay_pattern",), outputs=("o",))), "there is no output o"),
            (changed(served=Served(heuristics=("relay_pattern",), sources=("s",))), "there is no source s"),
            (changed(served=Served(outputs=("plain",))), "its row doesn't name the heuristic"),
            (changed(limits=" "), "its limits are said in 1 to 300 characters"),
            (changed(limits="l" * 301), "its limits are said in 1 to 300 characters"),
            (changed(name=""), "it needs a name, and a reference by URL"),
            (changed(reference="d3fend"), "it needs a name, and a reference by URL"),
        ],
    )
    def test_what_is_missing_is_named(self, row: Row, problem: str) -> None:
        told = found(row)
        assert [t for t in told if t.startswith("D3-RPA: ") and problem in t], told

    def test_a_capture_in_which_the_heuristic_is_silent(self) -> None:
        known = replace(KNOWN, captures={"relay", "quiet"})
        row = changed(proof=Proof((Shown("quiet", ("relay_pattern",)),), (TEST,)))
        assert found(row, known=known) == ["D3-RPA: in capture quiet relay_pattern says nothing for the true hop"]

    def test_a_test_that_is_never_run(self) -> None:
        assert f"event: test {TEST} is never run: it is marked skip" in found(GOOD, test=Collected("it is marked skip"))

    def test_a_test_that_is_left_out_somewhere_is_not_enough(self) -> None:
        told = found(GOOD, test=Collected(needs=("fixture shared",)))
        assert [t.partition(":")[0] for t in told] == ["event", "rule", "tool"]  # the technique has a capture too
        assert all("one must hold wherever the tests are run" in t for t in told)

    def test_no_test_was_collected(self) -> None:
        assert f"tool: there is no test {TEST}" in found(GOOD, test=None)

    def test_a_new_heuristic_s_technique_needs_a_row_or_a_reason(self) -> None:
        known = replace(KNOWN, heuristics={**KNOWN.heuristics, "new": "D3-NEW"})
        [told] = found(GOOD, known=known)
        assert told.startswith("D3-NEW: heuristic new names it, and there is no row for it")
        assert found(GOOD, known=known, elsewhere={"D3-NEW": "it isn't listed against the technique"}) == []

    def test_an_id_twice_and_a_kind_without_rows(self) -> None:
        assert "D3-RPA: 2 rows have this id" in found(GOOD, GOOD)
        assert "there is no row of kind tool" in list(problems(Coverage((GOOD,)), KNOWN, {}, lambda _: set()))


class TestCollecting:
    SOURCE = """
        import pytest
        from hypothesis import given, strategies as st

        @pytest.fixture
        def samples():
            pytest.skip("not here")

        @pytest.fixture
        def deeper(samples):
            return samples

        def test_plain():
            assert True

        class TestIn:
            @pytest.mark.parametrize("x", [1, 2])
            def test_parameters(self, x):
                assert x

        @given(st.integers())
        def test_property(x):
            assert x == x

        @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.skip), 2])
        def test_of_which_one_is_run(x):
            assert x

        @pytest.mark.skip
        def test_marked():
            assert True

        @pytest.mark.xfail
        def test_expected_to_fail():
            assert False

        @pytest.mark.skipif(True, reason="always")
        def test_always():
            assert True

        def test_leaves():
            '''Says something.'''
            pytest.skip("later")

        def test_empty():
            '''Says something.'''

        @pytest.mark.skipif("sys.platform == 'plan9'")
        def test_somewhere():
            assert True

        def test_with_samples(deeper):
            assert deeper

        def test_without_a_tool():
            if len("tool") > 9:
                pytest.skip("no tool")
            assert True

        def tool():
            pytest.skip("no tool")

        def test_that_asks_a_tool():
            assert tool()
    """

    @pytest.fixture(scope="class")
    @classmethod
    def tests(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Collected]:
        root = tmp_path_factory.mktemp("root")
        lines = cls.SOURCE.split("\n")
        (root / "test_some.py").write_text("\n".join(line[8:] for line in lines))
        (root / "test_broken.py").write_text("import nothing_of_this_name\n")
        told = collected(["test_some.py", "test_broken.py", "test_gone.py"], root)
        return {node.rpartition("::")[2]: test for node, test in told.items()}

    @pytest.mark.parametrize("name", ["test_plain", "test_parameters", "test_property", "test_of_which_one_is_run"])
    def test_what_runs_everywhere(self, tests: dict[str, Collected], name: str) -> None:
        assert tests[name] == Collected()

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("test_marked", "it is marked skip"),
            ("test_expected_to_fail", "it is marked xfail"),
            ("test_always", "it is marked skipif, with a condition that always holds"),
            ("test_leaves", "it skips itself"),
            ("test_empty", "it asserts nothing"),
        ],
    )
    def test_what_is_never_run_proves_nothing(self, tests: dict[str, Collected], name: str, why: str) -> None:
        assert tests[name] == Collected(why)

    def test_what_is_run_under_a_condition(self, tests: dict[str, Collected]) -> None:
        assert tests["test_somewhere"].needs == ("a condition (skipif)",)
        assert tests["test_with_samples"].needs == ("fixture samples",)
        assert tests["test_without_a_tool"].needs == ("a condition within",)
        assert tests["test_that_asks_a_tool"].needs == ("what tool needs",)

    def test_nothing_else_is_there(self, tests: dict[str, Collected]) -> None:
        assert len(tests) == 13


class TestRows:
    def test_nothing_that_the_catalogues_list_is_left_out(self) -> None:
        assert {kind: [r.id for r in coverage().of(kind)] for kind in KINDS} == {
            "technique": [
                "D3-CSPP", "D3-NTCD", "D3-PHDURA", "D3-PMAD", "D3-RPA", "D3-RTSD", "D3-UGLPA", "D3-ITF", "D3-OTF",
            ],
            "event": ["Sysmon 3", "Security 5156"],
            "rule": ["5bed80b6-b3e8-428e-a3ae-d3c757589e41", "07837ab9-60e1-481f-a74d-c31fb496a94c"],
            "tool": ["HTRAN", "ZXProxy", "ZXPortMap"],
        }  # fmt: skip

    def test_the_names_of_techniques_are_those_that_findings_show(self) -> None:
        rows = {r.id: r.name for r in coverage().of("technique")}
        assert {number: rows[number] for number in techniques.D3FEND} == techniques.D3FEND

    @pytest.mark.parametrize("broken", [{"rows": [{}]}, {"rows": [], "row": []}, {"rows": [{"id": 1}]}])
    def test_a_file_of_another_form_is_refused(self, broken: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            parsed(broken)


class TestTold:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))

    def test_every_row_on_the_page_with_what_serves_and_proves_it(self) -> None:
        told = Coverage((GOOD, *OTHERS))
        text = [line.plain for line in page.lines(coverage_table.rows(told), page.PLAIN_WIDTH)]
        at = text.index("  D3-RPA  Relay Pattern Analysis")
        assert text[at + 1 : at + 5] == [
            "    served by  heuristic relay_pattern",
            "    proof      capture relay: relay_pattern",
            f"               {TEST}",
            "    limits     It sees what passes.",
        ]
        assert "  tool" in text  # where the id is the name, it is told once
        assert all(KINDS[k] in "\n".join(text) for k in KINDS)

    def test_json_lines_hold_what_the_file_holds(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["coverage", "--format", "jsonl"]) == cli.NOTHING
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert parsed({"rows": lines}).rows == tuple(r for kind in KINDS for r in coverage().of(kind))

    def test_page_and_markdown(self, capsys: pytest.CaptureFixture[str]) -> None:
        for form in ("table", "markdown"):
            assert cli.run(["coverage", "--format", form]) == cli.NOTHING
            text = capsys.readouterr().out
            for row in coverage().rows:
                assert f"{row.id}" in text
                assert all(name in text for names in row.served.named().values() for name in names)

    def test_a_cell_of_markdown_stays_one(self) -> None:
        told = Coverage((changed(limits="a | b"), *OTHERS))
        [line] = [line for line in coverage_table.markdown(told, "..") if "D3-RPA" in line]
        assert line.count(" | ") == 3
        assert "[test_relay_pattern.py::test_a_relay](../tests/unit/heuristics/test_relay_pattern.py)" in line
        assert "[relay](../pcaps/relay.json) (relay_pattern)" in line
