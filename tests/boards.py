"""Small boards drawn with Pillow alone: what end-to-end tests upload."""

import io
import random

from PIL import Image, ImageDraw

SIDE = 192


def draw(*, defective: bool = False, noise: int = 0) -> Image.Image:
    """Bright tracks and pads on a dark board; with `defective`, one track is cut."""
    board = Image.new("RGB", (SIDE, SIDE), (16, 88, 46))
    pen = ImageDraw.Draw(board)
    for row in range(5):
        y = 24 + 34 * row
        pen.line((20, y, 90 + 8 * row, y, 100 + 8 * row, y + 10, 172, y + 10), (60, 160, 90), 7)
        for x, dy in ((20, 0), (172, 10)):
            pen.ellipse((x - 10, y + dy - 10, x + 10, y + dy + 10), (214, 178, 104))
            pen.ellipse((x - 4, y + dy - 4, x + 4, y + dy + 4), (20, 20, 20))
    if defective:
        pen.rectangle((52, 85, 60, 99), (16, 88, 46))
    if noise:
        rng = random.Random(noise)
        for _ in range(400):
            x, y = rng.randrange(SIDE), rng.randrange(SIDE)
            red, green, blue = board.getpixel((x, y))  # type: ignore[misc]
            board.putpixel((x, y), (red + 6, green + 6, blue + 6))
    return board


def encoded(picture: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def clean_board(noise: int = 0) -> bytes:
    return encoded(draw(noise=noise))


def defective_board() -> bytes:
    return encoded(draw(defective=True, noise=1))


def marked_board(findings: int) -> bytes:
    """A larger one with that many places painted magenta, for Roboflow's stand-in to find."""
    picture = Image.new("RGB", (640, 640), (16, 60, 40))
    pen = ImageDraw.Draw(picture)
    for x in range(44, 640, 64):  # something to see where nothing is found
        pen.line((x, 0, x, 639), (214, 178, 104), 6)
    for number in range(findings):
        x, y = 32 * (number % 10) * 2, 32 * (number // 10) * 2
        pen.rectangle((x, y, x + 31, y + 31), (255, 0, 255))
    return encoded(picture, "JPEG", quality=92)
