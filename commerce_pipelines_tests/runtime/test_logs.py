from pathlib import Path

from commerce_pipelines.runtime.logs import begin_log, last_lines, log_path, open_log


def write(home: Path, text: str) -> None:
    with open_log(home, "endpoint") as log:
        log.write(text.encode())


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    write(tmp_path, "one\n")
    write(tmp_path, "two\n")

    assert log_path(tmp_path, "endpoint").read_text() == "one\ntwo\n"


def test_a_new_log_keeps_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, "before")
    begin_log(tmp_path, "endpoint")
    write(tmp_path, "now")

    assert log_path(tmp_path, "endpoint").read_text() == "now"
    assert (tmp_path / "logs" / "endpoint.log.1").read_text() == "before"


def test_the_last_lines_of_a_long_log_are_given(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"line {number}\n" for number in range(5000)))

    assert last_lines(log_path(tmp_path, "endpoint"), 2) == "line 4998\nline 4999"


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(log_path(tmp_path, "endpoint")) == ""
