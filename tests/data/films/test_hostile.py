"""Damaged and hostile films: one line or a warning, never a traceback, never a wrong picture."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from plainfilm.core import ImageError
from plainfilm.data import load_study, read_image
from plainfilm.data.films import decoder, limits


def like(image, truth):
    return np.corrcoef(image.pixels.ravel(), np.asarray(truth).ravel())[0, 1]


def refused_or_right(path, truth):
    """Whether a film is refused in one line, read with a warning, or read as it should be."""
    try:
        image = read_image(path)
    except ImageError as error:
        return "\n" not in str(error)
    return bool(image.warnings) or like(image, truth) > 0.8


@pytest.fixture
def twelve(chest):
    return np.round(chest * 4095).astype(np.uint16)


@pytest.fixture
def film(make_dicom, twelve):
    """Return a function that writes the 12-bit film with header elements of one's own."""

    def write(stored=twelve, **elements):
        elements = {"BitsStored": 12, "HighBit": 11, "ViewPosition": "PA"} | elements
        return make_dicom(stored, **elements)

    return write


def compressed(path, syntax, **changes):
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax, generate_instance_uid=False)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def saved(chest, name, folder, **options):
    path = folder / name
    PIL.Image.fromarray(np.round(chest * 255).astype(np.uint8)).save(path, **options)
    return path


# ---- limits -------------------------------------------------------------------------------------
def test_pixels_are_limited_before_any_is_decoded(film, tmp_path, chest, monkeypatch):
    with pytest.raises(ImageError, match="its header says 60000 × 60000 pixels; a film has at"):
        read_image(film(Rows=60000, Columns=60000))
    header = struct.pack(">II5B", 40000, 40000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    png += struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IEND\xaeB`\x82"
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(ImageError, match="1600000000 pixels"):
        read_image(tmp_path / "a.png")
    monkeypatch.setattr(limits, "MOST_PIXELS", 1000)
    with pytest.raises(ImageError, match="288 × 320 pixels"):
        read_image(saved(chest, "a.jpg", tmp_path))


def test_a_codestream_that_is_larger_than_its_header_is_not_decoded(film):
    path = film()
    dataset = compressed(path, JPEG2000Lossless)
    code = bytearray(get_frame(dataset.PixelData, 0, number_of_frames=1))
    at = code.index(b"\xff\x51")
    code[at + 6 : at + 14] = struct.pack(">II", 60000, 60000)
    dataset.PixelData = encapsulate([bytes(code)])
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageError, match=r"20000 tiles|its header says 288 × 320 pixels of 1"):
        read_image(path)


def test_what_a_deflated_data_set_inflates_to_is_limited(film, monkeypatch):
    path = film()
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    assert read_image(path).warnings == ()
    monkeypatch.setattr("plainfilm.data.films.dicom_file.MOST_BYTES", 2**16)
    for read in (read_image, load_study):
        with pytest.raises(ImageError, match="inflates to more than 0 MiB"):
            read(path)


def test_a_deflated_data_set_that_is_cut_short(film):
    path = film()
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageError, match="its deflated data set is cut short"):
        load_study(path)


def test_a_header_of_endless_elements(film, tmp_path):
    content = film().read_bytes()
    at = content.index(b"\x08\x00\x16\x00UI")
    element = b"\x09\x00\x10\x00LO\x02\x00ab"
    (tmp_path / "a.dcm").write_bytes(content[:at] + element * 200_000 + content[at:])
    with pytest.raises(ImageError, match=f"more than {limits.MOST_ELEMENTS} elements"):
        read_image(tmp_path / "a.dcm")


def test_large_files_and_what_is_no_file(tmp_path, monkeypatch):
    with (tmp_path / "film.mkv").open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(ImageError, match="is no image that plainfilm knows"):
        load_study(tmp_path / "film.mkv")
    with (tmp_path / "film.dcm").open("wb") as file:
        file.write(b"\0" * 128 + b"DICM")
        file.truncate(6 << 30)
    with pytest.raises(ImageError, match="has 6144 MiB; a film has at most 512"):
        read_image(tmp_path / "film.dcm")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ImageError, match="is no regular file"):
            load_study(path)
    for path in ("a\0b.png", "x" * 300, str(tmp_path)):
        with pytest.raises(ImageError, match="cannot be opened"):
            read_image(path)


def test_a_decoder_that_dies_costs_one_film(film, tmp_path, monkeypatch):
    good, bad = film(name="good.dcm"), film(name="bad.dcm")
    for path in (good, bad):
        compressed(path, RLELossless)
    assert read_image(good).warnings == ()
    child = decoder._child
    real = child.ask

    def dies(request, data):
        child.process.kill()
        child.process.wait()
        return real(request, data)

    monkeypatch.setattr(child, "ask", dies)
    with pytest.raises(ImageError, match=r"cannot be decoded \(its decoder"):
        read_image(bad)
    assert read_image(good).warnings == ()
    assert decoder._child is not child


def test_memory_of_the_decoder_is_limited(tmp_path):
    if decoder._child is None:
        tif = io.BytesIO()
        PIL.Image.new("L", (64, 64)).save(tif, "TIFF")
        decoder.decode_apart(tmp_path, {"kind": "picture", "path": "a.tif"}, tif.getvalue())
    limit = f"/proc/{decoder._child.process.pid}/limits"
    if not os.path.exists(limit):  # noqa: PTH110
        pytest.skip("no /proc here")
    with open(limit) as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith("Max address space"))
    assert int(line.split()[3]) <= limits.DECODER_BYTES


class PanicException(BaseException):
    """As pyo3 has it: no Exception."""


@pytest.mark.parametrize(
    "raised",
    [PanicException("bounds"), MemoryError(), RecursionError("deep"), struct.error("unpack")],
)
def test_whatever_a_library_raises_is_one_refused_film(film, tmp_path, chest, monkeypatch, raised):
    def fails(*_, **__):
        raise raised

    path, png = film(), saved(chest, "a.png", tmp_path)
    monkeypatch.setattr("pydicom.dcmread", fails)
    monkeypatch.setattr("PIL.Image.open", fails)
    for one in (path, png):
        with pytest.raises(ImageError, match="cannot be decoded") as caught:
            load_study(one)
        assert "\n" not in str(caught.value)


def test_the_users_interrupt_is_no_damaged_film(tmp_path, chest, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.Image.open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_study(saved(chest, "a.png", tmp_path))


# ---- the picture that the file means ------------------------------------------------------------
def lut(entries, bits=16, vr="US", data=None, first=0):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", *(data or ("OW", np.asarray(entries).astype("<u2").tobytes())))
    return Sequence([item])


@pytest.mark.parametrize("vr", ["US", "SS"])
def test_lut_entries_above_32767_written_as_signed(film, chest, vr):
    entries = np.arange(4096) * 16
    signed = [int(value) for value in entries.astype("<u2").view("<i2")]
    image = read_image(film(VOILUTSequence=lut(entries, vr=vr, data=("SS", signed))))
    assert like(image, chest) > 0.999
    assert image.warnings == ()


def test_eight_bit_lut_entries_packed_and_not(film, chest):
    entries = [int(value) for value in np.linspace(0, 255, 4096)]
    packed = np.array(entries, dtype=np.uint8).tobytes()
    for data in (("OW", packed), ("US", entries), ("OW", np.array(entries, "<u2").tobytes())):
        image = read_image(film(VOILUTSequence=lut(entries, bits=8, data=data)))
        assert like(image, chest) > 0.999
    image = read_image(film(VOILUTSequence=lut(entries, data=("OW", packed[:99]))))
    assert like(image, chest) > 0.999
    assert image.warnings == ("the header's VOI LUT is damaged: ignored",)


def test_bits_that_lie_elsewhere(film, twelve, chest):
    moved = read_image(film((twelve >> 2) << 6, BitsStored=10, HighBit=15))
    assert like(moved, chest) > 0.999
    assert moved.warnings == ()
    low = read_image(film(twelve >> 2, BitsStored=10, HighBit=15))
    assert like(low, chest) > 0.999
    assert "high bit 15, the values lie below it" in low.warnings[0]
    few = read_image(film(BitsStored=9, HighBit=8))
    assert like(few, chest) > 0.999
    assert few.warnings == ("values have more than the 9 bits that the header says: all are read",)


def test_padding_over_the_lungs_is_ignored_and_said(film, twelve, chest):
    level = int(np.quantile(twelve, 0.6))
    image = read_image(film(PixelPaddingValue=0, PixelPaddingRangeLimit=level))
    assert like(image, chest) > 0.99
    assert "covers the middle of the film: ignored" in image.warnings[0]


@pytest.mark.parametrize(
    ("elements", "warning"),
    [
        ({"WindowCenter": 2000, "WindowWidth": 4000, "VOILUTFunction": "CUBIC"}, "function CUBIC"),
        ({"Modality": "RF", "ModalityLUTSequence": lut(np.arange(4096) ** 2 // 300)}, "intensity"),
        ({"RescaleSlope": "1e30"}, "the header's RescaleSlope is no number that can be used"),
    ],
)
def test_what_cannot_be_followed_is_left_out_and_said(film, chest, elements, warning):
    image = read_image(film(**elements))
    assert like(image, chest) > 0.99
    assert warning in " ".join(image.warnings)


def test_a_rescale_without_a_window_is_stretched(make_dicom, chest):
    stored = np.round(chest * 255).astype(np.uint8)
    for values, slope, intercept in ((stored, 3, 0), (255 - stored, -10, 3000)):
        image = read_image(make_dicom(values, RescaleSlope=slope, RescaleIntercept=intercept))
        assert like(image, chest) > 0.999
        assert image.pixels.max() == 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_picture_decides_where_the_header_contradicts_itself(
    film, twelve, chest, photometric, inverted
):
    shape = "IDENTITY" if photometric == "MONOCHROME1" else "INVERSE"
    how = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    stored = 4095 - twelve if inverted else twelve
    image = read_image(film(stored, **how))
    assert like(image, chest) > 0.99
    assert "contradicts itself" in image.warnings[0]
    lateral = read_image(film(stored, **how, **{"ViewPosition": "LL"}))
    assert "contradicts itself" in lateral.warnings[0]
    assert like(lateral, chest) > 0.99


def test_pixels_that_are_not_square_are_resampled(film, tmp_path, chest, twelve):
    tall = read_image(film(twelve[::2], PixelSpacing=[0.4, 0.2]))
    assert tall.shape == twelve.shape
    assert tall.spacing_mm == (0.2, 0.2)
    assert like(tall, chest) > 0.99
    assert "resampled to squares" in tall.warnings[0]
    ratio = read_image(film(twelve[:, ::2], PixelAspectRatio=["1", "2"]))
    assert ratio.shape == twelve.shape
    wide = tmp_path / "wide.tif"
    half = np.ascontiguousarray(np.round(chest * 255).astype(np.uint8)[:, ::2])
    PIL.Image.fromarray(half).save(wide, dpi=(100, 200))
    assert like(read_image(wide), chest) > 0.99
    odd = read_image(film(PixelSpacing=[4.9, 0.02]))
    assert odd.shape == twelve.shape
    assert "ignored" in odd.warnings[0]


def tiff(values):
    """Return a little-endian TIFF of one strip (TIFF 6.0), of any kind of number."""
    sample = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width = values.shape
    tags = {256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: 1, 273: 0, 277: 1,
            278: height, 279: values.nbytes, 339: sample}  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = start
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head + values.tobytes()


@pytest.mark.parametrize("kind", ["f4", "u4", "i4", "i1", "i2", "u2"])
def test_unusual_tiffs(tmp_path, chest, kind):
    path = tmp_path / "a.tif"
    if kind.startswith("f"):
        values = chest.astype(kind)
        values[:5], values[5, 5] = np.nan, np.inf
    elif kind.startswith("u"):
        values = (chest * 0.99 * np.iinfo(kind).max).astype(kind)
    else:
        values = ((chest - 0.5) * 0.99 * 2 * np.iinfo(kind).max).astype(kind)
    path.write_bytes(tiff(values))
    image = read_image(path)
    assert image.warnings == ()
    assert like(image, np.where(np.isfinite(values.astype(float)), chest, 0)) > 0.98


def test_a_kind_of_tiff_that_cannot_be_read(tmp_path, chest):
    (tmp_path / "a.tif").write_bytes(tiff(chest))  # of 64 bits
    with pytest.raises(ImageError, match="of a kind that is not read"):
        read_image(tmp_path / "a.tif")


# ---- damage -------------------------------------------------------------------------------------
def test_half_empty_files_are_refused(film, tmp_path, chest):
    content = film().read_bytes()
    for start, stop in ((0.5, 1.0), (0.4, 0.7)):
        first, last = int(len(content) * start) + 101, int(len(content) * stop)
        path = tmp_path / "half.dcm"
        path.write_bytes(content[:first] + bytes(last - first) + content[last:])
        with pytest.raises(ImageError, match=r"is damaged \(rows \d+ to \d+ of 320 are empty\)"):
            read_image(path)


def test_borders_are_no_damage(film, twelve):
    framed = twelve.copy()
    framed[:40], framed[280:], framed[:, :30] = 0, 0, 0
    assert read_image(film(framed)).warnings == ()
    tilted = twelve.copy()
    y, x = np.mgrid[:320, :288]
    tilted[y + x / 20 > 280] = 0
    assert read_image(film(tilted)).warnings == ()


@pytest.mark.parametrize("columns", [287, 289, 200, 281])
def test_sheared_rows_are_refused(film, twelve, columns):
    rows = twelve.size // columns
    with pytest.raises(ImageError, match=r"is damaged|cut short|times the pixels"):
        read_image(film(Columns=columns, Rows=rows))


def test_missing_and_surplus_tails(film, twelve):
    content = film().read_bytes()
    path = film(name="cut.dcm")
    path.write_bytes(content[:-5000])
    with pytest.raises(ImageError, match="is cut short"):
        read_image(path)
    with pytest.raises(ImageError, match=r"holds 3\.00 times the pixels"):
        read_image(film(PixelData=twelve.tobytes() * 3))
    image = read_image(film(PixelData=twelve.tobytes() + b"\0" * 1024))
    assert "1024 bytes longer than the header says" in image.warnings[0]


def test_bytes_that_came_in_between_are_said(film, chest):
    content = film().read_bytes()
    path = film(name="more.dcm")
    at = len(content) - 60_000
    path.write_bytes(content[:at] + b"x" + content[at:])
    assert "bytes behind its pixels belong to nothing" in " ".join(read_image(path).warnings)
    path.write_bytes(content + b"\0" * 512)
    assert read_image(path).warnings == ()


def test_stripes_are_damage(film, twelve):
    striped = twelve.copy()
    striped[:, 100:250:2] = 4095 - striped[:, 100:250:2]
    with pytest.raises(ImageError, match="its rows or columns do not fit each other"):
        read_image(film(striped))


def test_damaged_exif_costs_only_the_orientation(tmp_path, chest):
    path = saved(chest, "a.jpg", tmp_path, quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xffno")
    image = read_image(path)
    assert like(image, chest) > 0.99


def test_a_lost_block_is_said(film, twelve, chest):
    stored = twelve.ravel().copy()
    stored[30000:] = np.roll(stored, 100)[30000:]  # 100 values came twice
    image = read_image(film(stored.reshape(twelve.shape)))
    assert "does not continue the row above it" in image.warnings[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_compressed_data_are_checked(tmp_path, chest, kind):
    options = {"quality": 90} if kind == "JPEG" else {}
    if kind == "TIFF":
        options = {"compression": "packbits"}
    content = saved(chest, "a", tmp_path, format=kind, **options).read_bytes()
    assert read_image(tmp_path / "a").warnings == ()
    rng = np.random.default_rng(3)
    for _ in range(20):
        changed = bytearray(content)
        for place in rng.integers(len(content) // 3, len(content) * 2 // 3, 40):
            changed[place] = rng.integers(256)
        (tmp_path / "b").write_bytes(changed)
        assert refused_or_right(tmp_path / "b", chest)


def test_a_png_whose_data_fail_their_own_checksum(tmp_path, chest):
    content = bytearray(saved(chest, "a.png", tmp_path).read_bytes())
    at = content.index(b"IDAT")
    length = int.from_bytes(content[at - 4 : at], "big")
    content[at + 4 + length - 1] ^= 1  # Adler-32; the chunk's CRC is made right again
    crc = zlib.crc32(content[at : at + 4 + length])
    content[at + 4 + length : at + 8 + length] = crc.to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match="incorrect data check"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_damaged_codestreams(film, chest, syntax):
    path = film()
    dataset = compressed(path, syntax)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    rng = np.random.default_rng(0)
    for cut in (len(frame) // 2, len(frame) - 3):
        dataset.PixelData = encapsulate([frame[:cut]])
        dataset.save_as(path, enforce_file_format=True)
        with pytest.raises(ImageError):
            read_image(path)
    for _ in range(15):
        changed = bytearray(frame)
        for place in rng.integers(60, len(frame), 30):
            changed[place] = rng.integers(256)
        dataset.PixelData = encapsulate([bytes(changed)])
        dataset.save_as(path, enforce_file_format=True)
        # JPEG 2000 has no way to tell; its blocks are decoded whatever they hold.
        assert refused_or_right(path, chest) or syntax == JPEG2000Lossless


def test_several_pictures_in_one_codestream_element(film):
    path = film()
    dataset = compressed(path, JPEG2000Lossless)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame, frame])
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageError, match="holds 2 pictures"):
        read_image(path)


def test_another_encoding_than_the_header_names(film):
    path = film()
    dataset = compressed(path, JPEG2000Lossless)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageError):
        read_image(path)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OW", False
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageError):
        read_image(path)


def test_endless_scans_of_a_progressive_jpeg(tmp_path, chest):
    content = saved(chest, "a.jpg", tmp_path, progressive=True).read_bytes()
    assert read_image(tmp_path / "a.jpg").warnings == ()
    scan = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(content[:-2] + scan * 300 + b"\xff\xd9")
    with pytest.raises(ImageError, match=f"more than {limits.MOST_SCANS} scans"):
        read_image(tmp_path / "a.jpg")


def test_a_name_that_is_no_utf_8(film, tmp_path):
    path = tmp_path / os.fsdecode(b"M\xfcller.dcm")
    path.write_bytes(film().read_bytes())
    study = load_study(path)
    assert study.id == "M\\xfcller"
    assert study.images[0].source == "M\\xfcller.dcm"
    assert study.to_json()
