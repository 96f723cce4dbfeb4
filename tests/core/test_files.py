"""Writing: whole or not at all, through links, into devices, one line for each mistake."""

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from plainfilm.core import (
    GrowingFile,
    OutputError,
    check_folder,
    check_writable,
    write_atomically,
)

as_root = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_link_is_written_through_and_modes_are_kept(tmp_path):
    target, link, chain = tmp_path / "target", tmp_path / "link", tmp_path / "chain"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    chain.symlink_to(link.name)
    for path in (link, chain):
        write_atomically(path, path.name)
        assert path.is_symlink()
        assert target.read_text() == path.name
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "new")
    write_atomically(dangling, "x")
    assert (dangling.is_symlink(), (tmp_path / "new").read_text()) == (True, "x")
    assert names(tmp_path) == ["chain", "dangling", "link", "new", "target"]


def test_a_new_file_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    for write in (
        lambda: write_atomically(pipe, "whole"),
        lambda: grow(GrowingFile(pipe, head="[", between=",", tail="]")),
    ):
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        check_writable(pipe)  # doesn't wait for a reader, nor end its reading
        write()
        reader.join(10)
    assert read == ["whole", "[1,2]"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def grow(file):
    file.add("1")
    file.add("2")
    file.close()


def test_a_device_stays_a_device():
    write_atomically(Path("/dev/null"), "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116


def test_what_grows_is_whole_after_each_piece(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    file = GrowingFile(path, head="[", between=",\n", tail="]\n")
    assert path.read_text() == "old"
    for number in range(4):
        file.add(f'"{"ä" * number}"')
        assert json.loads(path.read_text()) == ["ä" * n for n in range(number + 1)]
    file.close()
    assert json.loads(path.read_text())[-1] == "äää"
    assert names(tmp_path) == ["a.json"]


def test_standard_output_gets_the_pieces(capsys):
    grow(GrowingFile(None, head="[", between=",", tail="]\n"))
    GrowingFile(None, tail="]").close()
    assert capsys.readouterr().out == "[1,2]\n"


@pytest.mark.parametrize("try_it", [check_writable, lambda path: write_atomically(path, "x")])
def test_one_line_for_what_cannot_be_written(tmp_path, try_it):
    (tmp_path / "file").write_text("x")
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "none" / "a", "No such file"),
        (tmp_path / "file" / "a", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "a\0b", "null byte"),
    ):
        with pytest.raises(OutputError, match=f"cannot be written .*{reason}") as caught:
            try_it(path)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, OSError)
        assert caught.value.strerror
    assert names(tmp_path) == ["file"]


def test_the_longest_name_can_be_written(tmp_path):
    write_atomically(tmp_path / ("x" * 255), "x")
    assert (tmp_path / ("x" * 255)).read_text() == "x"


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match=r"a: cannot be written \(No space left .*free some"):
        write_atomically(tmp_path / "a", "new")
    assert (names(tmp_path), (tmp_path / "a").read_text()) == (["a"], "old")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_device(capsys):
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(Path("/dev/full"), "x" * 100)


@pytest.mark.skipif(as_root, reason="root may write anywhere")
def test_a_read_only_file_is_not_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o400)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomically(tmp_path / "a", "new")


def test_folders_are_tried_without_being_made(tmp_path):
    (tmp_path / "file").write_text("x")
    check_folder(tmp_path / "a" / "b")
    assert names(tmp_path) == ["file"]
    for path in (tmp_path / "file", tmp_path / "file" / "a", tmp_path / ("x" * 300) / "a"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_folder(path)


def test_names_and_texts_that_are_no_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"M\xfcller.json")
    write_atomically(path, json.dumps({"name": path.name}, ensure_ascii=False))
    assert json.loads(path.read_bytes())["name"] == path.name
    with pytest.raises(OutputError) as caught:
        write_atomically(path / "a", "x")
    assert "M\\xfcller" in str(caught.value)
