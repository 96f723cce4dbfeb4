"""Pictures that are no chest films, drawn to train the film gate (``film_gate.py``).

Each function takes a random generator and returns a picture ``(S, S)``, float in any range. None of
them copies anything: they are ovals, edges, noise and letters.
"""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from scipy import ndimage

S = 96
Y, X = (np.mgrid[:S, :S] + 0.5) / S


def scaled(picture):
    low, high = np.quantile(picture, (0.002, 0.998))
    return np.clip((picture - low) / (high - low + 1e-9), 0, 1)


def oval(cx, cy, rx, ry, edge=0.05, tilt=0.0):
    """Return 1 inside an oval and 0 outside, with an edge of a width."""
    x, y = X - cx, Y - cy
    x, y = x * np.cos(tilt) + y * np.sin(tilt), -x * np.sin(tilt) + y * np.cos(tilt)
    return 1 / (
        1 + np.exp(np.clip((np.hypot(x / rx, y / ry) - 1) * min(rx, ry) / edge * 4, -40, 40))
    )


def bone(x0, y0, x1, y1, width, edge=0.012):
    """Return a long bone: a bright shaft with brighter walls and knobs at both ends."""
    dx, dy = x1 - x0, y1 - y0
    length = np.hypot(dx, dy) + 1e-9
    along = ((X - x0) * dx + (Y - y0) * dy) / length
    across = np.abs(-(X - x0) * dy + (Y - y0) * dx) / length
    ends = 1 + 0.6 * np.exp(-((along / (0.12 * length)) ** 2)) + 0.6 * np.exp(
        -(((along - length) / (0.12 * length)) ** 2))  # fmt: skip
    half = width / 2 * ends
    inside = 1 / (1 + np.exp(np.clip((across - half) / edge, -40, 40)))
    inside *= 1 / (1 + np.exp(np.clip((np.abs(along - length / 2) - length / 2) / edge, -40, 40)))
    return inside * (0.6 + 0.4 * np.clip(across / half, 0, 1) ** 2)


def spectrum(rng, power, stretch=1.0):
    y, x = np.fft.fftfreq(S)[:, None], np.fft.rfftfreq(S)[None]
    frequency = np.hypot(y * stretch, x)
    frequency[0, 0] = 1
    waves = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    return np.fft.irfft2(waves / frequency**power, (S, S))


def noise(rng):
    kind = rng.integers(4)
    if kind == 0:
        return rng.random((S, S))
    if kind == 1:
        return rng.exponential(size=(S, S)) ** rng.uniform(0.5, 2)
    return spectrum(rng, rng.uniform(0.3, 3.2), rng.uniform(0.3, 3))


def pattern(rng):
    kind, draw = rng.integers(9), rng.uniform
    angle, step = draw(0, np.pi), draw(1.5, 20)
    along = X * np.cos(angle) + Y * np.sin(angle)
    if kind == 0:
        picture = np.sin(along * step * 2 * np.pi)
    elif kind == 1:
        picture = ((X * step).astype(int) + (Y * step).astype(int)) % 2
    elif kind == 2:
        picture = np.sin(np.hypot(X - draw(0, 1), Y - draw(0, 1)) * step * 2 * np.pi)
    elif kind == 3:
        picture = along + 0.0
    elif kind == 4:
        picture = np.floor(along * step)
    elif kind == 5:
        picture = ((X * step % 1) < 0.15) | ((Y * step % 1) < 0.15)
    elif kind == 6:
        picture = np.hypot((X - 0.5) * draw(0.5, 2), (Y - 0.5) * draw(0.5, 2))
    elif kind == 7:
        picture = sum(oval(*rng.random(2), *draw(0.02, 0.2, 2)) * draw(-1, 1) for _ in range(12))
    else:
        grey = rng.random((rng.integers(2, 9), rng.integers(2, 9)))
        picture = np.kron(grey, np.ones((S, S)))[:: grey.shape[0], :: grey.shape[1]][:S, :S]
    picture = np.asarray(picture, float)
    return picture + rng.normal(0, draw(0, 0.3), (S, S)) * (picture.std() + 1e-3)


_WORDS = [
    "report",
    "patient",
    "film",
    "date",
    "the",
    "of",
    "and",
    "with",
    "was",
    "seen",
    "normal",
    "hospital",
    "page",
    "12",
    "45",
    "mg",
    "left",
]


def page(rng):
    """Return a page of print, a form, a table or a window of a program."""
    side = 384
    dark = rng.random() < 0.3
    sheet = PIL.Image.new(
        "L", (side, side), int(rng.integers(0, 60) if dark else rng.integers(190, 256))
    )
    draw = PIL.ImageDraw.Draw(sheet)
    ink = 255 - int(rng.integers(0, 60)) if dark else int(rng.integers(0, 80))
    x0, y = int(rng.integers(5, 60)), int(rng.integers(5, 60))
    size = int(rng.integers(8, 22))
    width = side - x0 - int(rng.integers(5, 80))
    for _ in range(int(rng.integers(0, 4))):
        box = sorted(rng.integers(0, side, 2)), sorted(rng.integers(0, side, 2))
        draw.rectangle((box[0][0], box[1][0], box[0][1], box[1][1]),
                       outline=ink, fill=int(rng.integers(256)) if rng.random() < 0.5 else None
                       )  # fmt: skip
    while y < side - size:
        if rng.random() < 0.1:
            y += size
        big = size * (2 if rng.random() < 0.06 else 1)
        words = " ".join(rng.choice(_WORDS, 16))
        font = PIL.ImageFont.load_default(big)
        draw.text((x0, y), words[: int(width / big * 1.9 * rng.uniform(0.3, 1))], ink, font)
        y += int(big * 1.35)
    picture = np.asarray(sheet.resize((S, S), PIL.Image.Resampling.BOX), float)
    return ndimage.rotate(picture, rng.normal(0, 3), reshape=False, mode="nearest")


def leaves(rng):
    """Return shapes that cover each other, sizes by a power law: the statistics of photographs."""
    picture = np.full((S, S), rng.random())
    for size in np.sort(rng.pareto(rng.uniform(1, 2.5), rng.integers(20, 160)) * 0.02 + 0.01)[::-1]:
        size = min(size, 0.5)
        cx, cy, tilt = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.1), rng.uniform(0, np.pi)
        ratio = rng.uniform(0.3, 1)
        if rng.random() < 0.5:
            inside = oval(cx, cy, size, size * ratio, 0.008, tilt)
        else:
            x = (X - cx) * np.cos(tilt) + (Y - cy) * np.sin(tilt)
            y = -(X - cx) * np.sin(tilt) + (Y - cy) * np.cos(tilt)
            inside = ((np.abs(x) < size) & (np.abs(y) < size * ratio)).astype(float)
        shade = rng.random() + rng.normal(0, 0.6) * (
            (X - cx) * np.cos(tilt) + (Y - cy) * np.sin(tilt)
        )
        picture = picture * (1 - inside) + inside * shade
    return picture + spectrum(rng, rng.uniform(0.8, 2)) * rng.uniform(0, 0.05)


def scene(rng):
    """Return sky, ground, and buildings with columns and windows, or things on a table."""
    draw = rng.uniform
    horizon = draw(0.2, 0.85)
    picture = np.where(
        horizon > Y, draw(0.3, 1) - draw(-0.3, 0.5) * Y, draw(0, 0.8) + draw(-0.3, 0.3) * Y
    )
    for _ in range(rng.integers(0, 5)):
        x0, width = draw(-0.1, 0.9), draw(0.1, 0.7)
        top, foot = draw(0.05, horizon), min(1.0, horizon + draw(0, 0.3))
        front = (x0 < X) & (x0 + width > X) & (top < Y) & (foot > Y)
        picture = np.where(front, draw(0, 1), picture)
        step, share = draw(0.04, 0.2), draw(0.2, 0.7)
        openings = ((X - x0) % step < step * share) & front
        if rng.random() < 0.7:
            openings &= (Y - top) % (step * draw(0.8, 4)) < step * share
        picture = np.where(openings, draw(0, 1), picture)
        if rng.random() < 0.5:
            roof = (
                (np.abs(X - x0 - width / 2) < (Y - top + 0.2) * draw(0.5, 2))
                & (top > Y)
                & (top - 0.2 < Y)
            )
            picture = np.where(roof, draw(0, 1), picture)
    for _ in range(rng.integers(0, 7)):
        size, (cx, cy), shade = draw(0.03, 0.25), rng.random(2), draw(-1, 1)
        body = oval(cx, cy, size, size * draw(0.4, 2), 0.01, draw(0, 3))
        picture = picture * (1 - body) + body * (draw(0, 1) + shade * (X - cx))
    return picture + spectrum(rng, draw(0.8, 1.8)) * draw(0, 0.12)


def face(rng):
    """Return a head with hair, eyes and mouth before a background."""
    draw = rng.uniform
    cx, cy, size = draw(0.35, 0.65), draw(0.35, 0.55), draw(0.15, 0.32)
    picture = (
        leaves(rng) * draw(0.2, 1)
        if rng.random() < 0.5
        else np.full((S, S), draw(0, 1)) + draw(-0.4, 0.4) * Y
    )

    def put(inside, shade):
        nonlocal picture
        picture = picture * (1 - inside) + inside * shade

    put(
        oval(cx, 1.1, size * draw(1.4, 2.6), draw(0.3, 0.5), 0.02), draw(0, 1) + draw(-0.5, 0.5) * X
    )
    put(oval(cx, cy - 0.05, size * 1.15, size * 1.4, 0.03), draw(0, 0.9))
    put(
        oval(cx, cy + 0.03, size * 0.85, size * 1.15, 0.02),
        draw(0.4, 1) + draw(-0.6, 0.6) * (X - cx),
    )
    dark = draw(0, 0.4)
    for side in (-1, 1):
        put(oval(cx + side * size * 0.35, cy - 0.02, size * 0.16, size * 0.08, 0.01), dark)
    put(oval(cx, cy + size * 0.6, size * 0.3, size * 0.08, 0.01), dark)
    return picture + spectrum(rng, 1.5) * draw(0, 0.05)


def hand(rng):
    draw = rng.uniform
    cx, base, size = draw(0.4, 0.6), draw(0.7, 0.95), draw(0.7, 1.2)
    soft, bones = (
        oval(cx, base - 0.15 * size, 0.2 * size, 0.22 * size, 0.03) * 0.5,
        np.zeros((S, S)),
    )
    for finger in range(5):
        lean = (finger - 2) * draw(0.12, 0.22) + draw(-0.05, 0.05)
        x0, y0 = cx + (finger - 2) * 0.075 * size, base - 0.1 * size
        length = size * (0.62 if finger else 0.4) * (1 - 0.05 * abs(finger - 2))
        at = 0.0
        for part in (0.42, 0.27, 0.18, 0.13):
            x1, y1 = (
                x0 + np.sin(lean) * length * (at + part - 0.02),
                y0 - np.cos(lean) * length * (at + part - 0.02),
            )
            xs, ys = x0 + np.sin(lean) * length * at, y0 - np.cos(lean) * length * at
            bones = np.maximum(bones, bone(xs, ys, x1, y1, 0.035 * size))
            soft = np.maximum(soft, 0.45 * (bone(xs, ys, x1, y1, 0.085 * size) > 0.2))
            at += part
    for side in (-1, 1):
        bones = np.maximum(
            bones, bone(cx + side * 0.06, base + 0.05, cx + side * 0.07, 1.2, 0.07 * size)
        )
    soft = np.maximum(soft, 0.45 * (np.abs(X - cx) < 0.14 * size) * (base - 0.02 < Y))
    if rng.random() < 0.3:
        soft = np.maximum(soft, np.roll(soft, int(0.4 * S), 1))
        bones = np.maximum(bones, np.roll(bones, int(0.4 * S), 1))
    return ndimage.gaussian_filter(soft, 1) + bones * draw(0.3, 0.8)


def limb(rng):
    """Return an arm or a leg: one or two long bones, with a joint or without."""
    draw = rng.uniform
    cx, width, joint = draw(0.35, 0.65), draw(0.25, 0.8), draw(0.25, 0.75)
    soft = 0.4 / (1 + np.exp((np.abs(X - cx - draw(-0.1, 0.1) * (Y - 0.5)) - width / 2) / 0.015))
    soft = soft * (1 - draw(0, 0.4) * np.abs(X - cx) / width)
    thick = draw(0.08, 0.2)
    bones = bone(cx, -0.3, cx + draw(-0.05, 0.05), joint - 0.02, thick)
    if rng.random() < 0.7:
        bones = np.maximum(bones, bone(cx - thick * 0.3, joint + 0.02, cx - 0.05, 1.3, thick * 0.8))
        if rng.random() < 0.7:
            bones = np.maximum(bones, bone(cx + thick, joint + 0.06, cx + thick, 1.3, thick * 0.35))
        bones = np.maximum(
            bones, oval(cx, joint - 0.05, thick * 0.4, thick * 0.4, 0.02) * draw(0, 0.8)
        )
    else:
        bones = np.maximum(bones, bone(cx, joint, cx, 1.3, thick))
    picture = soft + bones * draw(0.3, 0.9)
    if rng.random() < 0.25:
        half = picture[:, S // 4 : S // 4 + S // 2]
        picture = np.concatenate([half, half[:, ::-1]], axis=1)
    if rng.random() < 0.4:
        picture = np.where((np.abs(X - 0.5) < draw(0.2, 0.45)), picture, draw(0, 1.2))
    return picture


def skull(rng):
    draw = rng.uniform
    cx, cy, rx, ry = draw(0.4, 0.6), draw(0.35, 0.5), draw(0.25, 0.42), draw(0.28, 0.42)
    outer, inner = oval(cx, cy, rx, ry, 0.015), oval(cx, cy, rx * 0.93, ry * 0.93, 0.02)
    picture = outer * draw(0.5, 0.9) - inner * draw(0.1, 0.4)
    for side in (-1, 1):
        picture -= oval(
            cx + side * rx * 0.38, cy + ry * draw(0.3, 0.5), rx * 0.22, ry * 0.16, 0.02
        ) * draw(0.1, 0.4)
        picture += oval(cx + side * rx * 0.5, cy + ry * 0.7, rx * 0.2, ry * 0.3, 0.05) * draw(
            0, 0.3
        )
    picture -= oval(cx, cy + ry * 0.65, rx * 0.1, ry * 0.2, 0.02) * draw(0.1, 0.4)
    picture += oval(cx, cy + ry * 1.05, rx * 0.5, ry * 0.35, 0.04) * draw(0.2, 0.6)
    picture += 0.5 * (np.abs(X - cx) < rx * 0.35) * (cy + ry < Y)
    picture += oval(cx, cy + ry * draw(0.2, 0.7), rx * 0.7, ry * 0.08, 0.03) * draw(0, 0.3)
    return ndimage.gaussian_filter(picture, 0.8) + spectrum(rng, 1.5) * 0.02


def abdomen(rng):
    """Return a plain film of the abdomen or the pelvis: spine, wings of the ilium, hips, gas."""
    draw = rng.uniform
    cx, pelvis = draw(0.45, 0.55), draw(0.45, 0.95)
    body = 1 / (1 + np.exp((np.abs(X - cx) - draw(0.38, 0.55)) / 0.02))
    picture = body * (draw(0.4, 0.6) - draw(0, 0.5) * (X - cx) ** 2)
    spine = np.abs(X - cx) < draw(0.05, 0.08)
    picture += spine * (pelvis + 0.1 > Y) * (0.2 + 0.1 * np.sin(Y * draw(40, 70)))
    for side in (-1, 1):
        wing = oval(cx + side * 0.24, pelvis, 0.17, 0.15, 0.02, side * 0.5) - 0.4 * oval(
            cx + side * 0.23, pelvis - 0.01, 0.12, 0.1, 0.03, side * 0.5)  # fmt: skip
        picture += wing * draw(0.1, 0.35)
        picture += oval(cx + side * 0.27, pelvis + 0.22, 0.06, 0.06, 0.015) * draw(0.1, 0.4)
        picture += bone(cx + side * 0.27, pelvis + 0.22, cx + side * 0.33, 1.4, 0.08) * draw(
            0.1, 0.4
        )
        picture -= oval(cx + side * 0.08, pelvis + 0.3, 0.05, 0.04, 0.02) * draw(0, 0.3)
        picture += oval(cx + side * draw(0.1, 0.16), draw(0.1, 0.4), 0.06, 0.1, 0.03) * draw(0, 0.1)
        for rib in range(rng.integers(0, 4)):
            arc = np.abs(Y - 0.05 - rib * 0.08 - 0.25 * np.abs(X - cx)) < 0.012
            picture += arc * ((X - cx) * side > 0.08) * 0.08
    for _ in range(rng.integers(0, 22)):
        gas = oval(draw(0.1, 0.9), draw(0, 1), draw(0.02, 0.1), draw(0.02, 0.07), 0.015, draw(0, 3))
        picture -= gas * body * draw(0.05, 0.3)
    if rng.random() < 0.3:
        picture -= oval(cx + draw(-0.3, 0.3), 0.05, draw(0.1, 0.25), 0.1, 0.03) * 0.3
    return ndimage.gaussian_filter(picture, 0.8) + spectrum(rng, 1.5) * 0.02


def spine(rng):
    """Return a spine from the side or the front, of the neck or the loins."""
    draw = rng.uniform
    bend, phase, cx = draw(-0.15, 0.15), draw(0, 3), draw(0.3, 0.7)
    middle = cx + bend * np.sin(Y * 3 + phase)
    width, step = draw(0.06, 0.16), draw(0.08, 0.18)
    column = np.abs(X - middle) < width
    gap = ((Y + draw(-0.3, 0.3) * (X - middle)) % step) < step * draw(0.15, 0.3)
    soft = 1 / (1 + np.exp((np.abs(X - cx - draw(-0.1, 0.1)) - draw(0.25, 0.6)) / 0.03))
    picture = 0.4 * soft + column * (0.4 - 0.3 * gap)
    behind = np.abs(X - middle - width * 1.6) < width * 0.6
    picture += behind * (Y % step < step * 0.5) * draw(0, 0.25)
    picture -= (np.abs(X - middle + width * draw(1.3, 2)) < 0.03) * draw(0, 0.3) * soft
    if rng.random() < 0.4:
        picture += oval(cx, draw(-0.1, 0.1), 0.3, 0.25, 0.02) * 0.4
    return ndimage.gaussian_filter(picture, 0.8) + spectrum(rng, 1.5) * 0.02


def slice_of_body(rng):
    """Return a cross-section: a chest, belly or head as CT or MR shows it."""
    draw = rng.uniform
    cx, cy, rx, ry = draw(0.45, 0.55), draw(0.42, 0.58), draw(0.32, 0.48), draw(0.22, 0.42)
    body = oval(cx, cy, rx, ry, 0.01)
    fat = body - oval(cx, cy, rx * draw(0.82, 0.95), ry * draw(0.82, 0.95), 0.01)
    kind = rng.integers(4)
    picture = body * 0.55 + fat * draw(-0.25, 0.4)
    turn = rng.choice([-1, 1])
    if kind == 0:
        for side in (-1, 1):
            lung = oval(
                cx + side * rx * 0.5,
                cy - ry * 0.05,
                rx * draw(0.3, 0.38),
                ry * draw(0.5, 0.7),
                0.015,
                side * 0.2,
            )
            picture = picture * (1 - lung) + lung * draw(0, 0.15)
        picture += (
            oval(cx + rx * 0.12, cy - turn * ry * 0.25, rx * 0.28, ry * 0.35, 0.02)
            * 0.3
            * draw(0.5, 1)
        )
    elif kind == 1:
        picture += oval(cx - rx * 0.4, cy - ry * 0.1, rx * 0.4, ry * 0.55, 0.02) * draw(0.05, 0.25)
        for _ in range(rng.integers(3, 12)):
            picture += oval(
                cx + draw(-0.6, 0.6) * rx,
                cy + draw(-0.6, 0.6) * ry,
                draw(0.02, 0.1),
                draw(0.02, 0.08),
                0.01,
            ) * draw(-0.5, 0.3)
    else:
        ring = oval(cx, cy, rx * 0.8, ry * 1.05, 0.01)
        brain = oval(cx, cy, rx * 0.72, ry * 0.95, 0.01)
        picture = ring * draw(0.3, 1) + brain * draw(-0.3, 0.3)
        for side in (-1, 1):
            picture += oval(
                cx + side * rx * 0.12, cy - ry * 0.1, rx * 0.07, ry * 0.3, 0.01, side * 0.3
            ) * draw(-0.5, 0.5)
        waves = spectrum(rng, 1.2)
        picture += brain * waves / (waves.std() + 1e-9) * draw(0, 0.12)
    if kind < 2:
        picture += oval(cx, cy + turn * ry * 0.6, 0.05, 0.06, 0.01) * draw(0.2, 0.6)
        for angle in np.linspace(0, 2 * np.pi, rng.integers(6, 16)):
            picture += oval(
                cx + np.cos(angle) * rx * 0.86,
                cy + np.sin(angle) * ry * 0.86,
                0.03,
                0.015,
                0.008,
                angle,
            ) * draw(0, 0.5)
    picture = picture + rng.normal(0, draw(0, 0.08), (S, S))
    return np.rot90(picture, rng.integers(4)) if rng.random() < 0.2 else picture


def fan(rng):
    """Return an ultrasound sector, or a breast from the side."""
    draw = rng.uniform
    if rng.random() < 0.5:
        cx, cy, spread = 0.5, draw(-0.2, 0.05), draw(0.4, 0.9)
        angle, far = np.arctan2(X - cx, Y - cy), np.hypot(X - cx, Y - cy)
        inside = (np.abs(angle) < spread) & (far < draw(0.8, 1.1)) & (far > draw(0.05, 0.25))
        speckle = np.abs(spectrum(rng, draw(0.2, 1)))
        return inside * speckle * (1 + spectrum(rng, 2) * draw(0.2, 1))
    breast = oval(rng.choice([0.0, 1.0]), draw(0.4, 0.6), draw(0.4, 0.8), draw(0.3, 0.5), 0.03)
    return breast * (0.5 + spectrum(rng, draw(1.2, 2)) * draw(0.1, 0.3))


DRAWN = (noise, pattern, page, leaves, scene, face, hand, limb, skull, abdomen, spine,
         slice_of_body, fan)  # fmt: skip


def chest_from_front(rng):
    """Return a drawn frontal chest, as the tests draw one."""
    draw = rng.uniform
    cx, size, down = 0.5 + draw(-0.04, 0.04), draw(0.88, 1.12), draw(-0.05, 0.05)
    body = oval(cx, 0.62 + down, 0.47 * size, 0.6, 0.12)
    lungs = np.maximum(*(oval(cx + side * 0.2 * size, 0.45 + down, 0.14 * size,
                              draw(0.27, 0.34), 0.06)
                         for side in (-1, 1)))  # fmt: skip
    heart = oval(cx + draw(0.04, 0.09), 0.6 + down, draw(0.12, 0.18), 0.16, 0.06)
    dense = np.maximum(
        oval(cx, 0.5, draw(0.06, 0.08), 0.7, 0.05),
        oval(cx, 1.0 + down, 0.45, draw(0.22, 0.3), 0.08),
    )
    ribs = draw(0, 0.08) * np.sin((Y + draw(-0.4, 0.4) * np.abs(X - cx)) * draw(50, 80)) * lungs
    film = (
        body * (0.55 - draw(0.3, 0.45) * lungs * (1 - heart))
        + draw(0.2, 0.4) * np.maximum(dense, heart) * body
    )
    return film + ribs + rng.normal(0, 0.01, (S, S))


def chest_from_side(rng):
    """Return a drawn lateral chest."""
    draw, side = rng.uniform, rng.choice([-1, 1])
    across, down, size = draw(-0.08, 0.08), draw(-0.08, 0.1), draw(0.75, 1.2)
    middle = 0.5 + across + draw(-0.35, 0.35) * (Y - 0.5)

    def blot(cx, cy, width, height):
        return np.exp(-(((X - cx) / width) ** 2 + ((Y - cy) / height) ** 2))

    body = 1 / (1 + np.exp((np.abs(X - middle) - draw(0.3, 0.45) * size) / 0.03))
    lung = ((X - middle) / (draw(0.2, 0.3) * size)) ** 2 + (
        (Y - draw(0.38, 0.48) - down) / (draw(0.24, 0.36) * size)
    ) ** 2
    lung = 1 / (1 + np.exp((lung - 1) / 0.25))
    base = draw(0.66, 0.85) + down + draw(-0.3, 0.3) * (X - middle)
    belly = 1 / (1 + np.exp(np.clip((base - Y) / 0.04, -40, 40)))
    inside = blot(middle + side * draw(0.06, 0.16) * size, base - 0.1, 0.13, 0.15) * draw(0.2, 0.7)
    inside = inside + np.exp(-(((X - middle + side * draw(0.1, 0.2) * size) / 0.06) ** 2)) * draw(
        0, 0.4
    )
    inside = inside - blot(middle - side * draw(0.05, 0.15), base - 0.12, 0.12, 0.12) * draw(0, 0.5)
    inside = inside + np.exp(-(((Y - down - 0.05) / 0.12) ** 2)) * (
        np.abs(X - middle) < 0.35
    ) * draw(0, 0.5)
    picture = body * (1 - draw(0.7, 1) * lung * (1 - belly)) + body * inside * lung * 0.8
    return ndimage.gaussian_filter(picture, 1.5) + rng.normal(0, 0.02, picture.shape)
