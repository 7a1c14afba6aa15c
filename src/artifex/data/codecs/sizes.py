"""How large a picture is, by the beginning of its file and without decoding it."""

from artifex.data.codecs import jpeg, raster
from artifex.data.codecs.crop import Size, turned
from artifex.data.codecs.headers import ImageLimits
from artifex.data.errors import DecodeError


def upright_size(data: bytes, limits: ImageLimits) -> Size:
    """(width, height) of the picture as it is to be seen.

    `data` may be the beginning of a file; then an error can also mean that more of it is needed.

    Raises:
        DecodeError: `data` is no picture, or too little of one, or one over `limits`.
    """
    try:
        photo = jpeg.read_header(data) if data[:3] == b"\xff\xd8\xff" else None
        if photo is not None:
            limits.check(photo.size)
            return turned(photo.size, photo.orientation)
        return turned(*raster.size_of(data, limits))
    except DecodeError:
        raise
    except Exception as error:  # decoders raise whatever they stumble over
        raise DecodeError(f"not a whole header ({type(error).__name__}: {error})") from error
