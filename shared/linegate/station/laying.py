"""The golden picture as it lay over a product, warped by what its manifest keeps; Pillow alone."""

from PIL import Image

from linegate.inspection import Laid

# Where the golden picture shows nothing of the product
NOTHING = (128, 128, 128)


def laid_over(
    golden: Image.Image, laid: Laid, rectangle: tuple[int, int, int, int], size: tuple[int, int]
) -> Image.Image:
    """What of the golden picture lies over a rectangle (left, top, right, bottom; pixels) of the product's picture, in `size`."""
    left, top, right, bottom = rectangle
    across, down = (right - left) / size[0], (bottom - top) / size[1]
    a, b, c, d, e, f = laid.lies  # ▶ pixels of the product; turned round here
    whole = a * e - b * d
    # How many of its pixels there are for one of ours: it is reduced first, for a warp looks at the nearest ones only.
    fewer = max(1, int((golden.width * golden.height * across * down / abs(whole)) ** 0.5))
    source = golden.reduce(fewer) if fewer > 1 else golden
    wide, high = golden.width / fewer / whole, golden.height / fewer / whole
    x, y = left - c, top - f
    return source.transform(
        size,
        Image.Transform.AFFINE,
        (
            *(wide * e * across, -wide * b * down, wide * (e * x - b * y)),
            *(-high * d * across, high * a * down, high * (a * y - d * x)),
        ),
        Image.Resampling.BICUBIC,
        fillcolor=NOTHING,
    )
