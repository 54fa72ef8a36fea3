from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest import tables
from slowfast.datasets.ingest.tables import columns_of, parse_rows, read_rows


def csv_rows(text: str) -> list[dict[str, Any]]:
    return parse_rows(text.encode(), ".csv", "t.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_the_one_of_its_header(delimiter: str) -> None:
    text = f'action{delimiter}text\n3{delimiter}"go, then; stop"\n'
    assert csv_rows(text) == [{"action": 3, "text": "go, then; stop"}]


def test_a_column_is_numbers_only_if_all_its_cells_are() -> None:
    rows = csv_rows("whole,real,truth,name,mixed\n1,.5,true,007,1\n-2,1e3,False,010,x\n,,,,\n")
    assert rows == [
        {"whole": 1, "real": 0.5, "truth": True, "name": "007", "mixed": "1"},
        {"whole": -2, "real": 1000.0, "truth": False, "name": "010", "mixed": "x"},
        dict.fromkeys(("whole", "real", "truth", "name", "mixed")),
    ]
    assert type(rows[0]["whole"]) is int
    assert type(rows[0]["truth"]) is bool


def test_a_csv_may_begin_with_a_byte_order_mark_and_with_the_index_of_a_data_frame() -> None:
    assert csv_rows("\ufeff,action\n0,5\n1,6\n") == [{"action": 5}, {"action": 6}]
    assert csv_rows("action\r\n5\r\n\r\n") == [{"action": 5}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("action,reward\n1,2\n1\n", r"t\.csv: line 3 has 1 cells, the header names 2"),
        ("0\n1\n2\n", r"t\.csv: line 1 holds numbers; expected the names of the columns"),
        ("", r"t\.csv: is empty; expected a first line"),
        ("a,a\n1,2\n", r"t\.csv: line 1 names column 'a' twice"),
        ("a,,b\n1,2,3\n", r"t\.csv: line 1 names column '' twice or not at all"),
        ('a,b\n1,"x" y\n', r"t\.csv: line 2 is not csv"),
        ("a\n" + "x" * 200_000, r"t\.csv: line 2 is not csv \(field larger"),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        csv_rows(text)


def test_text_of_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(DatasetError, match=r"t\.csv: line 2 is not UTF-8"):
        parse_rows("text\nGrüße\n".encode("latin-1"), ".csv", "t.csv")


def test_jsonl_and_json_keep_the_types_of_their_cells(tmp_path: Path) -> None:
    rows = [{"action": [0.5, 1], "text": "Grüße"}, {"action": None, "jump": True}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.json").write_text(json.dumps(rows[0]))
    assert read_rows(tmp_path / "a.jsonl") == read_rows(tmp_path / "a.json") == rows
    assert read_rows(tmp_path / "b.json") == rows[:1]
    assert columns_of(rows) == {"action": [[0.5, 1], None], "text": ["Grüße", None], "jump": [None, True]}


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".jsonl", '{"a": 1}\n{"a": \n', r"t\.jsonl: line 2 is not JSON"),
        (".jsonl", '{"a": 1}\n[1]\n', r"t\.jsonl: line 2 holds list, expected an object"),
        (".json", '{"a": 1,\n}', r"t\.json: line 2 is not JSON"),
        (".json", "3", r"t\.json: holds int, expected an object or a list"),
        (".json", '[{"a": 1}, 3]', r"t\.json: item 1 is int"),
        (".json", "[" * 100_000, r"t\.json"),
        (".json", '{"a": ' + "9" * 5000 + "}", r"t\.json: is not a table"),
        (".xlsx", "", r"t\.xlsx: expected a table \(\.csv, "),
    ],
)
def test_malformed_json_is_refused_with_its_line(suffix: str, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        parse_rows(text.encode(), suffix, f"t{suffix}")


def test_a_text_file_is_a_sentence_and_a_cls_file_a_class() -> None:
    assert parse_rows(b" turn left\n", ".txt", "t.txt") == [{"text": "turn left"}]
    assert parse_rows(b"3\n", ".cls", "t.cls") == [{"label": 3}]
    assert parse_rows(b"jump", ".cls", "t.cls") == [{"label": "jump"}]


def test_parquet_is_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [{"action": [0.5, 1.0], "text": "a"}, {"action": None, "text": "b"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == rows
    data = (tmp_path / "a.parquet").read_bytes()
    assert parse_rows(data, ".parquet", "x") == rows
    for k, wrong in enumerate((data[:-10], b"", data[:100] + b"\xff" * 100 + data[200:])):
        (tmp_path / f"{k}.parquet").write_bytes(wrong)
        with pytest.raises(DatasetError, match=rf"{k}\.parquet: .*cannot be read as parquet"):
            read_rows(tmp_path / f"{k}.parquet")


def test_parquet_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return genuine(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'slowfast\[lerobot\]'"):
        parse_rows(b"", ".parquet", "t.parquet")


def test_tables_beyond_the_limits_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "MAX_CELLS", 100)
    for suffix, text in ((".csv", "a\n" + "1\n" * 101), (".jsonl", '{"a": 1}\n' * 101)):
        with pytest.raises(DatasetError, match=r"is too large; a table may have .* split it"):
            parse_rows(text.encode(), suffix, "t")
    monkeypatch.setattr(tables, "MAX_BYTES", 5000)
    (tmp_path / "a.csv").write_text("a\n" + " " * 5000)
    with pytest.raises(DatasetError, match=r"a\.csv: is too large"):
        read_rows(tmp_path / "a.csv")
    pq.write_table(pa.table({"text": ["x" * 600] * 50}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 5000
    with pytest.raises(DatasetError, match=r"a\.parquet: is too large"):
        read_rows(tmp_path / "a.parquet")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv: cannot be read \(No such file"):
        read_rows(tmp_path / "none.csv")


@settings(max_examples=120, deadline=None)
@given(suffix=st.sampled_from([*tables.SUFFIXES, *tables.NOTES]), data=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_rows_or_a_dataset_error(suffix: str, data: bytes) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rows, said = [{}], "t: "
    try:
        rows = parse_rows(data, suffix, "t")
    except DatasetError as error:
        said = str(error)
    assert said.startswith("t: ")
    assert all(isinstance(row, dict) for row in rows)


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1))
def test_a_csv_gives_the_cells_that_were_written(cells: list[list[str]]) -> None:
    import csv
    import io

    file = io.StringIO(newline="")
    csv.writer(file).writerows([["a", "b"], *cells])
    rows = parse_rows(file.getvalue().encode(), ".csv", "t")
    assert len(rows) == len(cells)
    for row, (a, b) in zip(rows, cells, strict=True):
        for cell, text in ((row["a"], a.strip()), (row["b"], b.strip())):
            assert cell is None if not text else str(cell) == text or not isinstance(cell, str)
