"""tf.data, its degree of parallelism chosen by itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import sounds, texts
from benchmarks.data import Arrays, Documents, Photographs, Recordings


def arrays(work: Arrays, gather: bool) -> Iterator[Any]:
    """Slices, or row numbers that are shuffled and batched before one gather."""
    import tensorflow as tf

    from benchmarks.finish import to_unit

    count, auto = len(work.images), tf.data.AUTOTUNE
    if gather:
        images, labels = tf.constant(work.images), tf.constant(work.labels)
        rows = (
            tf.data.Dataset.range(count).shuffle(count).repeat().batch(work.batch_size, drop_remainder=True)
        )
        stream = rows.map(lambda r: (tf.gather(images, r), tf.gather(labels, r)), num_parallel_calls=auto)
    else:
        records = tf.data.Dataset.from_tensor_slices((work.images, work.labels)).shuffle(count).repeat()
        stream = records.batch(work.batch_size, drop_remainder=True, num_parallel_calls=auto)
    for batch in stream.prefetch(auto).as_numpy_iterator():
        yield to_unit(*batch)


def photographs(work: Photographs) -> Iterator[Any]:
    import tensorflow as tf

    from benchmarks.finish import images_to_unit

    auto, count = tf.data.AUTOTUNE, len(work.paths)
    paths = tf.data.Dataset.from_tensor_slices(list(work.paths)).shuffle(count).repeat()
    pictures = paths.map(_cropped if work.crop else _small, num_parallel_calls=auto)
    stream = pictures.batch(work.batch_size, drop_remainder=True).prefetch(auto)
    for batch in stream.as_numpy_iterator():
        yield images_to_unit(batch)


def _cropped(path: Any) -> Any:
    """Decodes the part alone."""
    import tensorflow as tf

    data = tf.io.read_file(path)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.io.extract_jpeg_shape(data),
        tf.zeros([1, 0, 4]),
        min_object_covered=0.0,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    box = tf.concat([begin[:2], size[:2]], 0)
    part = tf.image.resize(tf.io.decode_and_crop_jpeg(data, box, 3), (224, 224))
    return tf.cast(tf.image.random_flip_left_right(part), tf.uint8)


def _small(path: Any) -> Any:
    """Decodes at a quarter of the size."""
    import tensorflow as tf

    image = tf.io.decode_jpeg(tf.io.read_file(path), 3, ratio=4)
    return tf.cast(tf.image.resize(image, (64, 64), antialias=True), tf.uint8)


def _batches_of_rows(count: int, batch_size: int) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.range(count).shuffle(count).repeat().batch(batch_size, drop_remainder=True)


def documents(work: Documents, packed: bool = False) -> Iterator[Any]:
    """`numpy_function` encodes a batch; rows are cut from the stream by `rebatch`."""
    import jax
    import tensorflow as tf

    auto = tf.data.AUTOTUNE
    source, encode = texts.Texts(work.path), texts.Encode(work.tokenizer)

    def encoded(rows: np.ndarray) -> np.ndarray:
        ids = encode(source.many(rows))
        if packed:
            return np.concatenate([texts.sequence(one) for one in ids])
        return texts.padded(ids, work.length)

    def batch(rows: Any) -> Any:
        shape = [None] if packed else [work.batch_size, work.length]
        return tf.ensure_shape(tf.numpy_function(encoded, [rows], tf.int32), shape)

    stream = _batches_of_rows(len(source), work.batch_size).map(batch, num_parallel_calls=auto)
    if packed:
        stream = stream.rebatch(work.batch_size * work.length, drop_remainder=True)
        stream = stream.map(lambda ids: tf.reshape(ids, [work.batch_size, work.length]))
    for ids in stream.prefetch(auto).as_numpy_iterator():
        yield jax.device_put(ids)


def recordings(work: Recordings, whole: bool) -> Iterator[Any]:
    """`numpy_function` decodes; the spectrogram is that of `tf.signal`, for a batch."""
    import jax
    import tensorflow as tf

    auto, bands = tf.data.AUTOTUNE, tf.constant(sounds.bands())
    decode = sounds.part_of_whole if whole else sounds.part_alone

    def decoded(row: np.ndarray) -> np.ndarray:
        return decode(work.paths[int(row)])

    def one(row: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(decoded, [row], tf.float32), [sounds.SAMPLES])

    def log_mel(samples: Any) -> Any:
        half = sounds.WINDOW // 2
        around = tf.pad(samples, [[0, 0], [half, half]], "REFLECT")
        spectrum = tf.signal.stft(around, sounds.WINDOW, sounds.HOP, sounds.WINDOW)
        power = tf.math.real(spectrum) ** 2 + tf.math.imag(spectrum) ** 2
        return tf.math.log(tf.maximum(power @ bands, sounds.FLOOR))

    count = len(work.paths)
    samples = tf.data.Dataset.range(count).shuffle(count).repeat().map(one, num_parallel_calls=auto)
    stream = samples.batch(work.batch_size, drop_remainder=True).map(log_mel, num_parallel_calls=auto)
    for batch in stream.prefetch(auto).as_numpy_iterator():
        yield jax.device_put(batch)
