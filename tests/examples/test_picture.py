import numpy as np

from artifex.examples.picture import contact_sheet


def test_rows_stand_below_their_captions():
    colours = {"one": [(255, 0, 0), (0, 255, 0), (0, 0, 255)], "two": [(10, 20, 30)]}
    rows = {name: np.tile(np.uint8(row)[:, None, None], (1, 8, 12, 1)) for name, row in colours.items()}
    sheet = np.asarray(contact_sheet(rows))
    # a row: 28 of caption, 2 * 8 of images, 4 of gap; a column: 2 * 12 and 4 of gap, which the left edge has too
    assert sheet.shape == (2 * 48, 4 + 3 * 28, 3)
    for row, name in enumerate(colours):
        for column, colour in enumerate(colours[name]):
            tile = sheet[row * 48 + 28 : row * 48 + 44, 4 + column * 28 : 28 + column * 28]
            assert (tile == colour).all()
        caption = sheet[row * 48 : row * 48 + 28]
        assert caption.min() < 60
        assert (caption == 255).mean() > 0.8
    assert (sheet[48 + 28 :, 32:] == 255).all()  # the second row is shorter


def test_what_differs_only_in_caption_differs_only_there():
    images = np.full((1, 40, 40, 3), 128, np.uint8)
    one, other = (np.asarray(contact_sheet({name: images})) for name in ("held out", "samples"))
    assert (one[28:] == other[28:]).all()
    assert (one[:28] != other[:28]).any()
