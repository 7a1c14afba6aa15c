"""tf.data, its degree of parallelism chosen by itself."""

from collections.abc import Iterator
from typing import Any

from benchmarks.data import Arrays, Photographs


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
