"""Folders with models: no code of theirs runs, and what is damaged is one ModelError."""

import json

import pytest

from plainfilm.core import ModelError
from plainfilm.core.model_folder import OFFLINE, loading, read_json, refuse_code


class PanicException(BaseException):
    """As compiled Rust code raises: no Exception."""


def write(folder, name, values):
    (folder / name).write_text(json.dumps(values))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "processor_config.json",
                                  "preprocessor_config.json", "anything.json"])  # fmt: skip
@pytest.mark.parametrize(
    "values",
    [
        {"auto_map": {"AutoTokenizer": ["evil.T", None]}},
        {"encoder": {"auto_map": {"AutoConfig": "evil.C"}}},
        {"parts": [{"custom_pipelines": {"x": {"impl": "evil.P"}}}]},
    ],
)
def test_a_folder_that_names_code_is_refused(tmp_path, name, values):
    write(tmp_path, name, values)
    with pytest.raises(ModelError, match=r"asks for code of its own \((auto_map|custom_pip)"):
        refuse_code(tmp_path)


def test_layers_without_end(tmp_path):
    write(tmp_path, "config.json", {"decoder": {"num_layers": 10**6}})
    with pytest.raises(ModelError, match="says num_layers 1000000; a network has at most 1000"):
        refuse_code(tmp_path)


def test_escapes_hide_no_code(tmp_path):
    (tmp_path / "config.json").write_text('{"\\u0061uto_map": {"AutoModel": "evil.M"}}')
    with pytest.raises(ModelError, match="asks for code"):
        refuse_code(tmp_path)


def test_a_folder_without_code_is_let_through(tmp_path):
    write(tmp_path, "config.json", {"model_type": "bert", "auto_map": {}})
    write(tmp_path, "tokenizer.json", {"model": {"vocab": {"auto_map": 7}}})
    (tmp_path / "evil.py").write_text("raise SystemExit")  # nothing names it
    refuse_code(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\0", b"[" * 100_000, b"NaN,"])
def test_damaged_json(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    for try_it in (lambda: read_json(tmp_path / "config.json"), lambda: refuse_code(tmp_path)):
        with pytest.raises(ModelError, match=r"config\.json cannot be read as JSON") as caught:
            try_it()
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        read_json(tmp_path / "gone.json")
    (tmp_path / "config.json").write_bytes(b" " * (17 << 20))
    with pytest.raises(ModelError, match="more than 16 MiB"):
        refuse_code(tmp_path)


@pytest.mark.parametrize("raised", [RuntimeError("size mismatch\nfor x"), PanicException("index"),
                                    MemoryError(), RecursionError()])  # fmt: skip
def test_whatever_goes_wrong_while_loading_is_one_line(tmp_path, raised):
    with pytest.raises(ModelError, match="cannot load the model from") as caught, loading(tmp_path):
        raise raised
    assert "\n" not in str(caught.value)
    with pytest.raises(KeyboardInterrupt), loading(tmp_path):
        raise KeyboardInterrupt


def test_nothing_is_downloaded_and_no_code_trusted():
    assert OFFLINE == {"local_files_only": True, "trust_remote_code": False}
