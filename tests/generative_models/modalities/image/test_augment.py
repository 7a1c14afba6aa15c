import inspect
import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.image import adjust, augment, draws, scalars

COLOUR = {
    "random_brightness": {},
    "random_contrast": {},
    "random_saturation": {},
    "random_hue": {},
    "random_gamma": {},
    "random_grayscale": {"probability": 0.5},
    "random_solarize": {},
    "random_posterize": {},
    "random_gaussian_noise": {},
    "random_speckle": {},
    "random_salt_and_pepper": {"amount": 0.5},
}
PLACE = {
    "random_flip_horizontal": {},
    "random_flip_vertical": {},
    "random_rotation": {},
    "random_shift": {},
    "random_zoom": {},
    "random_shear": {},
    "random_affine": {"max_degrees": 20.0, "max_fraction": 0.1, "fill_mode": "edge"},
    "random_crop": {"height": 5, "width": 4},
    "random_resized_crop": {"height": 6, "width": 7},
    "random_pad_and_crop": {"padding": 2},
    "random_gaussian_blur": {"radius": 2},
    "random_cutout": {"size": 3},
}
ALL = COLOUR | PLACE
KEYS = jax.random.split(jax.random.key(7), 8)


def step(name: str):
    return partial(getattr(augment, name), **ALL[name])


def every(key, image):
    """The results of all functions: compiled as one, most of what they draw is shared."""
    return {name: step(name)(key, image) for name in ALL}


@cache
def one_by_one():
    return jax.jit(every)


@cache
def vmapped():
    return jax.jit(jax.vmap(every, in_axes=(0, None)))


@cache
def batches() -> dict[str, np.ndarray]:
    """What they make of one RGB image with eight keys."""
    return {name: np.asarray(x) for name, x in vmapped()(KEYS, small_image()).items()}


def batch(name: str) -> np.ndarray:
    return batches()[name]


@cache
def small_image() -> jax.Array:
    """RGB values that bfloat16 holds exactly."""
    image = jax.random.uniform(jax.random.key(3), (8, 6, 3), minval=0.05, maxval=0.95)
    return image.astype(jnp.bfloat16).astype(jnp.float32)


def many(function, image, n=4000, seed=0):
    """What `function` makes of one image with `n` keys."""
    keys = jax.random.split(jax.random.key(seed), n)
    return np.asarray(jax.jit(jax.vmap(function, in_axes=(0, None)))(keys, image))


def assert_uniform(values, low, high):
    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


# -- all of them


def test_all_are_tested():
    functions = {n for n, f in vars(augment).items() if inspect.isfunction(f) and n.startswith("random_")}
    assert set(ALL) == functions


def test_vmapped_is_one_by_one():
    for i in range(3):
        for name, result in one_by_one()(KEYS[i], small_image()).items():
            np.testing.assert_allclose(result, batch(name)[i], rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ALL)
def test_the_key_decides(name):
    """Same key, same result; and eight keys do not all give the same."""
    again = vmapped()(KEYS[::-1], small_image())[name]
    np.testing.assert_array_equal(again, batch(name)[::-1])
    assert any((batch(name)[0] != other).any() for other in batch(name)[1:])


@pytest.mark.parametrize(("channels", "dtype"), [(1, jnp.float16), (3, jnp.bfloat16), (4, jnp.float32)])
@pytest.mark.parametrize("name", ALL)
def test_the_dtype_stays(name, channels, dtype):
    result = jax.eval_shape(step(name), KEYS[0], jax.ShapeDtypeStruct((8, 6, channels), dtype))
    assert result.dtype == dtype
    assert result.shape[-1] == channels


@pytest.mark.parametrize("name", ["random_brightness", "random_gaussian_noise", "random_rotation"])
def test_16_bit_floats_get_the_same_draws(name):
    """bfloat16 keeps 8 bits, so that values below 1 are rounded by up to 0.002, and twice that above."""
    half = jax.jit(jax.vmap(step(name), in_axes=(0, None)))(KEYS, small_image().astype(jnp.bfloat16))
    np.testing.assert_allclose(half.astype(jnp.float32), batch(name), rtol=0, atol=0.004)


def test_colour_functions_leave_alpha():
    rgba = jax.random.uniform(jax.random.key(1), (8, 6, 4))
    results = jax.jit(lambda key, image: {name: step(name)(key, image) for name in COLOUR})(KEYS[0], rgba)
    for name, result in results.items():
        np.testing.assert_array_equal(result[..., 3], rgba[..., 3], err_msg=name)


LEAVE_THE_RANGE = {"random_brightness", "random_contrast", "random_saturation"}
LEAVE_THE_RANGE |= {"random_gaussian_noise", "random_speckle"}


@pytest.mark.parametrize("name", sorted(set(ALL) - LEAVE_THE_RANGE))
def test_what_cannot_leave_the_range_stays_in_it(name):
    assert batch(name).min() >= -1e-6
    assert batch(name).max() <= 1 + 1e-6


# -- flips


@pytest.mark.parametrize(("name", "axis"), [("random_flip_horizontal", 1), ("random_flip_vertical", 0)])
def test_flips(name, axis):
    image = small_image()
    flip = getattr(augment, name)
    np.testing.assert_array_equal(flip(KEYS[0], image, probability=1.0), np.flip(image, axis))
    np.testing.assert_array_equal(flip(KEYS[0], image, probability=0.0), image)
    flipped = (many(partial(flip, probability=0.3), image) != np.asarray(image)).any(axis=(1, 2, 3))
    assert flipped.mean() == pytest.approx(0.3, abs=0.03)  # four standard deviations of 4000 draws


# -- colour: what is drawn is recovered from one pixel, and has the law that is promised


def test_brightness_is_drawn_uniformly():
    deltas = many(partial(augment.random_brightness, max_delta=0.3), jnp.full((1, 1, 1), 0.5)).ravel() - 0.5
    assert_uniform(deltas, -0.3, 0.3)


def test_contrast_is_drawn_uniformly():
    """Of a grey row 0.25, 0.75 the mean is 0.5: the second becomes 0.5 + factor / 4."""
    row = jnp.array([[[0.25], [0.75]]])
    factors = (many(partial(augment.random_contrast, lower=0.5, upper=2.0), row)[:, 0, 1, 0] - 0.5) * 4
    assert_uniform(factors, 0.5, 2.0)


def test_saturation_is_drawn_uniformly():
    """Of red the grey is 0.299, from which red is 0.701 away."""
    red = jnp.array([[[1.0, 0.0, 0.0]]])
    factors = (
        many(partial(augment.random_saturation, lower=0.5, upper=1.5), red)[:, 0, 0, 0] - 0.299
    ) / 0.701
    assert_uniform(factors, 0.5, 1.5)


def test_hue_is_drawn_uniformly():
    turned = many(partial(augment.random_hue, max_delta=0.15), jnp.array([[[1.0, 0.0, 0.0]]]))[:, 0, 0]
    # Up to a sixth of a turn, green (or, the other way, blue) grows by 6 a turn.
    assert_uniform((turned[:, 1] - turned[:, 2]) / 6, -0.15, 0.15)


def test_gamma_is_drawn_log_uniformly():
    values = many(partial(augment.random_gamma, lower=0.5, upper=2.0), jnp.full((1, 1, 1), 0.5)).ravel()
    assert_uniform(np.log2(np.log(values) / np.log(0.5)), -1, 1)


@pytest.mark.parametrize(
    ("name", "core", "settings"),
    [
        ("random_grayscale", adjust.grayscale, {}),
        ("random_solarize", lambda x: adjust.solarize(x, 0.3), {"threshold": 0.3}),
        ("random_posterize", lambda x: adjust.posterize(x, 2), {"bits": 2}),
    ],
)
def test_all_or_nothing(name, core, settings):
    image, function = small_image(), partial(getattr(augment, name), **settings)
    results = many(partial(function, probability=0.2), image)
    changed = (results != np.asarray(image)).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.2, abs=0.026)
    np.testing.assert_allclose(
        results[changed], np.broadcast_to(core(image), results[changed].shape), atol=1e-6
    )


def test_blur_is_the_blur_of_a_drawn_sigma():
    """From what a dot's middle keeps: 1 / (sum of exp(-k^2 / 2 sigma^2))^2."""
    dot = jnp.zeros((13, 13, 1)).at[6, 6].set(1)
    middles = many(partial(augment.random_gaussian_blur, lower=0.5, upper=2.0), dot, n=1000)[:, 6, 6, 0]
    sigmas = np.linspace(0.4, 2.1, 2000)
    k = np.arange(-6, 7)
    kept = np.exp(-(k**2) / (2 * sigmas[:, None] ** 2)).sum(axis=1) ** -2.0
    assert_uniform(np.clip(np.interp(-middles, -kept, sigmas), 0.5, 2.0), 0.5, 2.0)


# -- noise: moments over 4000 keys of 4 x 4 values; tolerances are four standard errors


def test_gaussian_noise_has_its_moments():
    noise = many(partial(augment.random_gaussian_noise, std=0.1), jnp.full((4, 4, 1), 0.5)).ravel() - 0.5
    n = noise.size
    assert noise.mean() == pytest.approx(0, abs=4 * 0.1 / math.sqrt(n))
    assert noise.std() == pytest.approx(0.1, rel=4 / math.sqrt(2 * n))
    assert stats.kurtosis(noise) == pytest.approx(0, abs=4 * math.sqrt(24 / n))


def test_noise_is_independent_from_value_to_value():
    noise = many(augment.random_gaussian_noise, jnp.full((1, 2, 3), 0.5)).reshape(4000, 6)
    off_diagonal = np.corrcoef(noise.T)[~np.eye(6, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / math.sqrt(4000)


def test_speckle_grows_with_the_value():
    image = jnp.array([[[0.0], [0.25], [1.0]]])
    values = many(partial(augment.random_speckle, std=0.2), image)[:, 0, :, 0]
    np.testing.assert_array_equal(values[:, 0], 0)
    np.testing.assert_allclose(values.mean(axis=0), [0, 0.25, 1], atol=4 * 0.2 / math.sqrt(4000))
    np.testing.assert_allclose(values.std(axis=0), [0, 0.05, 0.2], rtol=4 / math.sqrt(8000))


def test_salt_and_pepper_in_equal_parts_of_whole_pixels():
    values = many(partial(augment.random_salt_and_pepper, amount=0.2), jnp.full((4, 4, 3), 0.5))
    assert (values == values[..., :1]).all()
    for level, share in ((0, 0.1), (0.5, 0.8), (1, 0.1)):
        assert (values == level).mean() == pytest.approx(share, abs=4 * math.sqrt(0.25 / 64000))


@pytest.mark.parametrize("amount", [0.0, 1.0])
def test_none_or_only_salt_and_pepper(amount):
    changed = augment.random_salt_and_pepper(KEYS[0], small_image(), amount=amount) != small_image()
    assert bool((changed == bool(amount)).all())


# -- place


def positions(height, width):
    """An image whose values say where they are: row + column / 100."""
    return jnp.arange(height, dtype=jnp.float32)[:, None, None] + jnp.arange(width)[None, :, None] / 100


def test_crops_are_whole_parts_and_every_place_is_equally_likely():
    image = positions(7, 6)
    crops = many(partial(augment.random_crop, height=5, width=5), image)[..., 0]
    tops = np.floor(crops[:, 0, 0] + 1e-3).astype(int)
    lefts = np.round((crops[:, 0, 0] - tops) * 100).astype(int)
    parts = {(t, x): np.asarray(image)[t : t + 5, x : x + 5, 0] for t in range(3) for x in range(2)}
    for crop, top, left in zip(crops[:200], tops, lefts, strict=False):
        np.testing.assert_array_equal(crop, parts[top, left])
    counts = [((tops == t) & (lefts == x)).sum() for t, x in parts]
    assert sum(counts) == 4000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_crop_must_fit():
    with pytest.raises(ShapeError, match="`height` 9 is more than the image's 8 pixels"):
        augment.random_crop(KEYS[0], small_image(), height=9, width=3)


def test_pad_and_crop_shifts_by_whole_pixels():
    dot = jnp.zeros((16, 8, 1)).at[8, 4].set(1)
    found = [np.argwhere(x[..., 0]) for x in many(augment.random_pad_and_crop, dot, n=500)]
    shifts = np.concatenate(found) - [8, 4]
    # An eighth of 16 and of 8.
    assert {tuple(s) for s in shifts.tolist()} == {(y, x) for y in range(-2, 3) for x in range(-1, 2)}
    assert len(shifts) == 500


def test_pad_and_crop_fills_as_it_is_told():
    ones = jnp.ones((4, 4, 1))
    filled = many(partial(augment.random_pad_and_crop, padding=2, fill=0.25), ones, n=50)
    assert set(np.unique(filled)) == {0.25, 1.0}
    np.testing.assert_array_equal(
        many(partial(augment.random_pad_and_crop, fill_mode="reflect"), ones, n=5), 1
    )


def test_shift_is_drawn_uniformly_and_between_pixels():
    """A ramp along each axis tells how far it was shifted."""
    ramp = jnp.stack(jnp.broadcast_arrays(*jnp.mgrid[0:20.0, 0:10.0]), axis=-1)[..., :1]
    down = 10 - many(partial(augment.random_shift, max_fraction=0.25), ramp)[:, 10, 5, 0]
    assert_uniform(down, -5, 5)


def test_rotation_is_drawn_uniformly():
    """Two pixels right of the centre, a ramp to the right falls to 2 cos; a ramp downwards becomes 2 sin."""
    y = jnp.mgrid[-10.0:11.0, 0:21.0][0][..., None]
    value = many(partial(augment.random_rotation, max_degrees=60.0), y)[:, 10, 12, 0]
    assert_uniform(np.degrees(np.arcsin(np.clip(value / 2, -1, 1))), -60, 60)


def test_zoom_is_drawn_log_uniformly():
    x = jnp.mgrid[0:21.0, -10.0:11.0][1][..., None]
    value = many(partial(augment.random_zoom, lower=0.5, upper=2.0), x)[:, 10, 14, 0]
    assert_uniform(np.log2(4 / value), -1, 1)


def test_shear_is_drawn_uniformly():
    """Four pixels below the centre a ramp to the right is shifted by 4 tan."""
    x = jnp.mgrid[-10.0:11.0, -10.0:11.0][1][..., None]
    value = many(partial(augment.random_shear, max_degrees=45.0), x)[:, 14, 10, 0]
    assert_uniform(np.degrees(np.arctan(value / 4)), -45, 45)


def test_cutout_cuts_a_square_that_may_hang_over():
    holes = many(partial(augment.random_cutout, size=4, fill=0.5), jnp.ones((8, 6, 4)), n=1000) == 0.5
    assert (holes == holes[..., :1]).all()
    rows, columns = holes[..., 0].any(axis=2), holes[..., 0].any(axis=1)
    np.testing.assert_array_equal(holes[..., 0], rows[:, :, None] & columns[:, None, :])
    # Centres 0 .. 7 of a square from centre - 2 to centre + 1.
    heights = np.bincount(rows.sum(axis=1), minlength=5) / 1000
    np.testing.assert_allclose(heights, [0, 0, 1 / 8, 2 / 8, 5 / 8], atol=4 * math.sqrt(0.25 / 1000))
    assert (np.diff(rows.astype(int), prepend=0, append=0) == 1).sum() == 1000  # in one piece each


# -- the resized crop


def torch_like_box(random, h, w, scale, ratio):
    """The documented behaviour of torchvision's `RandomResizedCrop`, in plain Python."""
    for _ in range(10):
        area = h * w * random.uniform(*scale)
        aspect = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= w and 0 < height <= h:
            return random.integers(h - height + 1), random.integers(w - width + 1), height, width
    if w / h < ratio[0]:
        width, height = w, round(w / ratio[0])
    elif w / h > ratio[1]:
        width, height = round(h * ratio[1]), h
    else:
        width, height = w, h
    return (h - height) // 2, (w - width) // 2, height, width


def boxes(h, w, scale, ratio, n=4000):
    keys = jax.random.split(jax.random.key(5), n)
    return np.stack(jax.jit(jax.vmap(lambda k: draws.crop_box(k, h, w, scale, ratio)))(keys), axis=-1)


@pytest.mark.parametrize(("h", "w"), [(60, 45), (40, 100)])
def test_boxes_have_the_law_of_torchvision(h, w):
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    ours = boxes(h, w, scale, ratio)
    random = np.random.default_rng(0)
    theirs = np.array([torch_like_box(random, h, w, scale, ratio) for _ in range(4000)])
    for i in range(4):
        assert stats.ks_2samp(ours[:, i], theirs[:, i]).pvalue > 1e-3
    top, left, height, width = ours.T
    assert (ours == np.round(ours)).all()
    assert ours.min() >= 0
    assert (top + height <= h).all()
    assert (left + width <= w).all()


@pytest.mark.parametrize(
    ("h", "w", "box"),
    [
        (10, 100, (0, 43, 10, 13)),  # too wide: as wide as 4 : 3 allows, in the middle
        (100, 10, (43, 0, 13, 10)),  # too high
    ],
)
def test_where_no_box_fits_the_middle_is_taken(h, w, box):
    """All of the area, in a shape from 3 : 4 to 4 : 3, fits into neither."""
    assert (boxes(h, w, (1.0, 1.0), (3 / 4, 4 / 3), n=20) == box).all()


def test_the_whole_image_may_be_the_box():
    image = small_image()
    settings = {"height": 8, "width": 6, "scale": (1.0, 1.0), "ratio": (0.75, 0.75)}
    whole = jax.jit(partial(augment.random_resized_crop, **settings))
    np.testing.assert_allclose(whole(KEYS[0], image), image, atol=1e-6)


def test_a_resized_crop_shows_its_box():
    """On a ramp, of which bilinear sampling without anti-aliasing keeps the places."""
    ramp = positions(60, 45)
    settings = {"height": 20, "width": 10, "scale": (0.3, 0.6), "ratio": (0.75, 1.2)}
    function = partial(augment.random_resized_crop, **settings, antialias=False)
    result = np.asarray(jax.jit(jax.vmap(function, in_axes=(0, None)))(KEYS, ramp))[..., 0]
    drawn = jax.jit(jax.vmap(lambda k: draws.crop_box(k, 60, 45, (0.3, 0.6), (0.75, 1.2))))(KEYS)
    for crop, top, left, height, width in zip(result, *np.asarray(drawn), strict=True):
        y = top + (np.arange(20) + 0.5) * height / 20 - 0.5
        x = left + (np.arange(10) + 0.5) * width / 10 - 0.5
        np.testing.assert_allclose(crop, y[:, None] + x[None, :] / 100, atol=1e-3)


# -- at the door


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("random_flip_horizontal", {"probability": 1.5}, "`probability` must be at least 0 and at most 1"),
        ("random_brightness", {"max_delta": -0.1}, "`max_delta` must be at least 0"),
        ("random_contrast", {"lower": 1.0, "upper": 0.5}, "`lower` 1.0 must not be more than `upper` 0.5"),
        ("random_saturation", {"lower": -1.0}, "`lower` must be at least 0"),
        ("random_hue", {"max_delta": 0.6}, "`max_delta` must be at least 0 and at most 0.5"),
        ("random_gamma", {"lower": 0.0}, "`lower` must be greater than 0"),
        ("random_gaussian_blur", {"lower": 0.0}, "`lower` must be greater than 0"),
        ("random_gaussian_noise", {"std": -1.0}, "`std` must be at least 0"),
        ("random_speckle", {"std": float("nan")}, "`std` must be at least 0"),
        ("random_salt_and_pepper", {"amount": 2.0}, "`amount` must be"),
        ("random_zoom", {"lower": 0.0}, "`lower` must be greater than 0"),
        ("random_shear", {"max_degrees": 90.0}, "`max_shear_degrees` must be"),
        ("random_shift", {"max_fraction": -0.5}, "`max_fraction` must be at least 0"),
        ("random_crop", {"height": 0, "width": 1}, "`height` must be from 1"),
        ("random_cutout", {"size": 0}, "`size` must be from 1"),
        ("random_pad_and_crop", {"padding": -1}, "`padding` must be at least 0"),
        ("random_posterize", {"bits": 0}, "`bits` must be from 1 to 8"),
        (
            "random_resized_crop",
            {"height": 2, "width": 2, "scale": (0.0, 1.0)},
            r"`scale\[0\]` must be greater",
        ),
        (
            "random_resized_crop",
            {"height": 2, "width": 2, "scale": (0.5, 1.5)},
            r"`scale\[1\]` must be at most 1",
        ),
        ("random_resized_crop", {"height": 2, "width": 2, "ratio": (2.0, 1.0)}, r"`ratio\[0\]` 2.0 must not"),
    ],
)
def test_settings_out_of_range(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        getattr(augment, name)(KEYS[0], small_image(), **settings)


def test_a_setting_may_be_traced():
    """So that the strength of an augmentation can follow a schedule without another compilation."""
    strength = jax.jit(lambda d: augment.random_brightness(KEYS[0], small_image(), max_delta=d))
    np.testing.assert_allclose(strength(0.0), small_image(), atol=1e-7)
    assert float(jnp.abs(strength(0.2) - small_image()).max()) > 0


def test_integers_are_refused():
    with pytest.raises(ShapeError, match="must be float here, with values in .0, 1., got uint8"):
        scalars.working(jnp.zeros((4, 4, 3), jnp.uint8))
