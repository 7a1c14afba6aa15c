import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from flax import nnx

from artifex.data import create_data_loader
from artifex.examples import speech_flow
from artifex.examples.audio_demo import HELD_OUT, TRAIN
from artifex.examples.speech_flow import (
    ADAM,
    CONFIG,
    LATENTS,
    Autoencoder,
    Averaged,
    Block,
    Errors,
    Flow,
    SpeechModel,
    errors_of,
    flow_errors,
    load,
    train_step,
    with_neighbours,
)

KEY = jax.random.key(0)
# Slopes, of which there is something to learn, and less of it than of speech.
WAVES = -7 + 3 * np.sin(np.arange(80)[:, None] / 9 + np.arange(16) / 4)
MELS = jnp.asarray(np.stack([WAVES, WAVES[:, ::-1]]), jnp.float32)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Quick to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech_flow, "WIDTH", 24)
        patch.setattr(speech_flow, "_FLOW", (1, 2))
        yield


def awake(module):
    """Its weights are random where a new one has zeros, so that every path counts."""
    rng = np.random.default_rng(0)
    state = nnx.state(module, nnx.Param)
    drawn = jax.tree.map(lambda x: jnp.asarray(0.2 * rng.standard_normal(x.shape), jnp.float32), state)
    nnx.update(module, drawn)
    return module


@pytest.fixture(scope="module")
def model():
    return awake(SpeechModel(rngs=nnx.Rngs(0)))


encode = nnx.jit(lambda coder, spectrograms: coder.encode(spectrograms))
decode = nnx.jit(lambda coder, tokens: coder.decode(tokens))


def test_neighbours_stand_on_both_sides():
    x = jnp.asarray([[[1], [2], [3], [4]]], jnp.float32)
    expected = [[0, 1, 3], [0, 2, 4], [1, 3, 0], [2, 4, 0]]
    assert with_neighbours(x, 2).tolist() == [expected]
    # those of tokens that are fewer than the distance are all zeros
    assert with_neighbours(x, 5)[0, :, 1:2].tolist() == x[0].tolist()
    assert not with_neighbours(x, 5)[..., ::2].any()


def differ(one, other, *, axis):
    return np.flatnonzero((np.asarray(one) != np.asarray(other)).any(axis=axis)).tolist()


def test_a_block_sees_two_neighbours_and_the_condition():
    apply = nnx.jit(lambda block, x, condition: block(x, condition))
    new, block = (Block(2, rngs=nnx.Rngs(0)) for _ in range(2))
    x = np.random.default_rng(0).standard_normal((1, 9, 24)).astype(np.float32)
    other = x.copy()
    other[0, 4] += 1
    one = np.ones((1, 24), np.float32)
    assert differ(apply(awake(block), x, one), apply(block, other, one), axis=(0, 2)) == [2, 4, 6]
    assert differ(apply(block, x, one), apply(block, x, 2 * one), axis=(0, 2)) == list(range(9))
    np.testing.assert_array_equal(apply(new, x, one), x)


def test_a_token_is_of_four_frames(model):
    coder, other = model.autoencoder, np.array(MELS)
    tokens = encode(coder, MELS)[0]
    assert tokens.shape == (2, 4, LATENTS)
    other[:, :, 7] += 1
    assert differ(tokens, encode(coder, other)[0], axis=(0, 2)) == [1]
    moved = np.array(tokens)
    moved[:, 3] += 1
    back = decode(coder, tokens)
    assert back.shape == MELS.shape
    assert differ(back, decode(coder, moved), axis=(0, 1)) == [12, 13, 14, 15]


def test_frames_keep_their_order():
    """With weights that only pass on what comes in, spectrograms come back as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech_flow, "LATENTS", 320)
        coder = Autoencoder(rngs=nnx.Rngs(0))
        for layer in (coder.narrow, coder.widen):
            layer.kernel[...] = np.eye(*layer.kernel[...].shape, dtype=np.float32) / 3
        mean, log_variance = map(np.asarray, encode(coder, MELS))
    assert not log_variance.any()
    np.testing.assert_allclose(mean[0, 1, :80] * 4 - 7, MELS[0, :, 4], rtol=0, atol=1e-5)
    np.testing.assert_allclose(decode(coder, mean), MELS, rtol=0, atol=1e-5)


def test_a_new_flow_misses_all_and_a_right_one_nothing():
    tokens = jnp.asarray(np.random.default_rng(1).standard_normal((4, 6, LATENTS)), jnp.float32)
    measure = nnx.jit(lambda flow, tokens: flow_errors(flow, tokens, KEY))
    missed, whole = measure(Flow(rngs=nnx.Rngs(0)), tokens)
    assert float(missed) == float(whole)
    # of two draws of variance 1 the difference has 2
    assert float(whole) == pytest.approx(2, rel=0.1)

    def knows_the_tokens(x, time):
        return (tokens - x) / (1 - time)[:, None, None]

    missed, _ = flow_errors(knows_the_tokens, tokens, KEY)
    assert float(missed) < 1e-6 * float(whole)


def test_samples_go_where_the_flow_says(model):
    times = []

    def shrinks(x, time):
        times.append(time.shape)
        return -x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "flow", shrinks)
        patch.setattr(model, "autoencoder", type("Identity", (), {"decode": staticmethod(lambda x: x)})())
        ended = jax.jit(lambda key: model.sample(key, 3, 5))(KEY)
    begun = jax.random.normal(KEY, (3, 5, LATENTS))
    # Heun's method is off by about the square of a step, 1/50
    np.testing.assert_allclose(ended, begun * np.exp(-1), rtol=2e-4, atol=1e-6)
    assert times[0] == (3,)


def test_errors_are_those_of_the_reconstruction(model):
    errors = errors_of(model, MELS)
    off = np.asarray(nnx.jit(SpeechModel.reconstruct)(model, MELS), np.float64) - np.asarray(MELS)
    assert float(errors.decibels) == pytest.approx(10 * np.log10(np.e) * np.sqrt((off**2).mean()), rel=1e-4)
    assert errors_of(model, MELS).velocity == errors.velocity


def test_the_average_follows():
    model = Averaged(rngs=nnx.Rngs(0))

    def of(part):
        return part.autoencoder.widen.bias[...]

    model.learning.autoencoder.widen.bias[...] = np.ones(320, np.float32)
    follow = nnx.jit(Averaged.follow)
    assert not np.asarray(of(model.average)).any()
    follow(model, np.int32(0))  # the shortest: a tenth stays
    np.testing.assert_allclose(of(model.average), 0.9, rtol=1e-6)
    follow(model, np.int32(10_000))  # the longest: 0.99 does
    np.testing.assert_allclose(of(model.average), 0.9 * 0.99 + 0.01, rtol=1e-6)


def test_it_learns_and_a_step_follows_from_its_number():
    model = Averaged(rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model.learning, ADAM, wrt=nnx.Param)
    before = errors_of(model.average, MELS)
    # optax's Adam raises a float to the power of an integer, which the tests' strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(80):
            train_step(model, optimizer, MELS)
        copy = nnx.clone((model, optimizer))
        last = train_step(model, optimizer, MELS)
    after = errors_of(model.average, MELS)
    assert isinstance(last, Errors)
    assert float(before.velocity) == 1
    assert float(after.velocity) < 0.95
    assert float(after.decibels) < 0.2 * float(before.decibels)
    with jax.numpy_dtype_promotion("standard"):
        again = train_step(*copy, MELS)
    assert (again.decibels, again.velocity) == (last.decibels, last.velocity)
    same = jax.tree.map(lambda x, y: bool((x == y).all()), nnx.state(copy[0]), nnx.state(model))
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize("recordings", [TRAIN, HELD_OUT])
def test_windows_cover_the_recordings_that_a_list_names(recordings, tmp_path):
    windows = load(recordings, tmp_path, split="val")
    size, stride = CONFIG.n_time_steps, round(speech_flow.STRIDE * CONFIG.sample_rate)
    sounds = [soundfile.read(path)[0] for path in sorted(set(windows.take(range(len(windows)))["paths"]))]
    counts = [1 + -(-(len(sound) - size) // stride) for sound in sounds]
    assert len(windows) == sum(counts)
    np.testing.assert_array_equal(windows[1]["audio"], sounds[0][stride : stride + size].astype(np.float32))
    last = np.asarray(windows[-1]["audio"])
    start = (counts[-1] - 1) * stride
    rest = len(sounds[-1]) - start
    np.testing.assert_array_equal(last[:rest], sounds[-1][start:].astype(np.float32))
    assert last[rest:].any()  # not silence, of which a recording has none


def test_those_to_train_on_are_louder_or_quieter_each_time(tmp_path):
    windows = load(TRAIN, tmp_path)
    loader = create_data_loader(windows, 4, seed=0)
    batch = loader.batch(0)
    plain = np.asarray(windows.take(batch["index"])["audio"])
    gains = np.asarray(batch["audio"]).std(axis=1) / plain.std(axis=1)
    assert len(set(gains.round(4))) == 4
    assert (20 * np.log10(gains) > -4.3).all() and (20 * np.log10(gains) < 2.3).all()
