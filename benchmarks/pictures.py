"""What becomes of one JPEG file: each way to do it that a contender may take. All write into `out`, uint8 RGB.

`crop_*` cut out a random part, of 8-100 % of the area and sides 3:4 to 4:3, scale it to a square and flip half
of them. `small_*` squeeze the whole picture; they decode at a quarter of its size, which is still above 64 pixels.
"""

import math
import threading

import numpy as np

_local = threading.local()


def _rng() -> np.random.Generator:
    """One per thread: to make a generator for each record costs 13 us."""
    if not hasattr(_local, "rng"):
        _local.rng = np.random.default_rng()
    return _local.rng


def random_part(height: int, width: int) -> tuple[int, int, int, int]:
    """top, left, height, width of the random part."""
    rng = _rng()
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            break
    else:
        wide = high = min(height, width)
    return int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1)), high, wide


def _part_of(image: np.ndarray) -> np.ndarray:
    top, left, high, wide = random_part(*image.shape[:2])
    return image[top : top + high, left : left + wide]


def crop_with_pillow(data: bytes, out: np.ndarray) -> None:
    """simplejpeg, then Pillow's antialiased bilinear filter."""
    import simplejpeg
    from PIL import Image

    part = Image.fromarray(_part_of(simplejpeg.decode_jpeg(data)))
    scaled = np.asarray(part.resize(out.shape[1::-1], Image.Resampling.BILINEAR))
    out[...] = scaled[:, ::-1] if _rng().random() < 0.5 else scaled


def crop_with_simplejpeg_opencv(data: bytes, out: np.ndarray) -> None:
    """simplejpeg, then OpenCV's bilinear interpolation, which is not antialiased."""
    import simplejpeg

    _scale_and_flip(_part_of(simplejpeg.decode_jpeg(data)), out)


def crop_with_opencv(data: bytes, out: np.ndarray) -> None:
    """OpenCV alone, bilinear interpolation without antialiasing."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    _scale_and_flip(_part_of(image), out)


def _scale_and_flip(part: np.ndarray, out: np.ndarray) -> None:
    import cv2

    if _rng().random() < 0.5:
        cv2.flip(cv2.resize(part, out.shape[1::-1], interpolation=cv2.INTER_LINEAR), 1, dst=out)
    else:
        cv2.resize(part, out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)


def small_with_pillow(data: bytes, out: np.ndarray) -> None:
    """simplejpeg at a quarter of the size, then Pillow's antialiased bilinear filter."""
    from PIL import Image

    image = Image.fromarray(_quarter(data))
    out[...] = np.asarray(image.resize(out.shape[1::-1], Image.Resampling.BILINEAR))


def small_with_simplejpeg_opencv(data: bytes, out: np.ndarray) -> None:
    """simplejpeg at a quarter of the size, then the mean of the area of each pixel."""
    import cv2

    cv2.resize(_quarter(data), out.shape[1::-1], dst=out, interpolation=cv2.INTER_AREA)


def small_with_opencv(data: bytes, out: np.ndarray) -> None:
    """OpenCV at a quarter of the size, then the mean of the area of each pixel."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    cv2.cvtColor(
        cv2.resize(image, out.shape[1::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB, dst=out
    )


def _quarter(data: bytes) -> np.ndarray:
    import simplejpeg

    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    least = {"min_height": math.ceil(height / 4), "min_width": math.ceil(width / 4)}
    return simplejpeg.decode_jpeg(data, **least)


def decode_with_opencv(path: str, side: int, *, crop: bool) -> np.ndarray:
    """One file as OpenCV does it: the function that goes into the pipelines of others."""
    import cv2

    cv2.setNumThreads(0)  # the pipelines have threads of their own
    out = np.empty((side, side, 3), np.uint8)
    with open(path, "rb") as file:
        (crop_with_opencv if crop else small_with_opencv)(file.read(), out)
    return out
