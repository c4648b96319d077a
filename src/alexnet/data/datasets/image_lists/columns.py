"""Which columns of a list hold the image, its label and its split.

The words are those of the lists that people have: of Kaggle, pandas, fastai, Keras, Hugging Face
and Roboflow. Case, spaces and punctuation do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alexnet.data.datasets.image_lists.table import Table, is_image_name
from alexnet.data.datasets.split_names import split_of
from alexnet.errors import DataError

IMAGE_WORDS = (
    "path", "filepath", "imagepath", "imgpath", "fullpath", "relativepath", "filename", "imagename",
    "imgname", "imagefile", "imgfile", "imagefilename", "file", "image", "img", "picture", "photo",
    "fname", "filenames", "imageid", "imgid", "fileid", "idcode", "uuid", "name", "id",
)  # fmt: skip
"""Names of the column of images, the best ones first."""
LABEL_WORDS = (
    "classname", "labelname", "categoryname", "label", "finelabel", "class", "classes", "category",
    "categories", "species", "breed", "target", "groundtruth", "gt", "diagnosis", "dx", "variety",
    "tag", "classlabel", "labelclass", "classid", "labelid", "categoryid", "targetid", "classindex",
    "labelindex", "classidx", "labelidx",
)  # fmt: skip
"""Names of the column of labels; where several say the same, the first of them is taken."""
SPLIT_WORDS = (
    "split", "splitname", "datasplit", "set", "setname", "subset", "partition", "dataset", "phase",
    "fold", "usage", "stage", "mode",
)  # fmt: skip
"""Names of the column of splits; all but `split` may as well be names of something else."""
FLAGS = {
    **dict.fromkeys(("istrain", "istraining"), "train"),
    **dict.fromkeys(("isval", "isvalid", "isvalidation"), "val"),
    **dict.fromkeys(("istest", "istesting"), "test"),
}
"""Names of columns of false and true, and the splits that true means."""
MEASURES = frozenset(
    (
        "width", "height", "depth", "xmin", "ymin", "xmax", "ymax", "x1", "y1", "x2", "y2", "x",
        "w", "h", "bbox", "box", "area", "size", "bytes", "md5", "sha256", "hash", "url", "date",
        "time", "timestamp", "index", "unnamed0", "indexlevel0", "",
    )
)  # fmt: skip
"""Names of columns that are never labels."""
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")


@dataclass(frozen=True)
class Columns:
    """The indices of a table's columns for images, labels and splits."""

    image: int
    labels: tuple[int, ...]
    """One column of labels, or one column per class that is 1 for its images (one-hot)."""
    split: int | None
    flags: tuple[tuple[int, str], ...] = ()
    """Columns of false and true in place of a column of splits, each with the split of true."""
    notes: tuple[str, ...] = ()


def is_header(cells: Sequence[str]) -> bool:
    """Whether a row names the column of images or that of labels."""
    words = [_word(cell) for cell in cells]
    is_named = any(_rank(word, IMAGE_WORDS) or _rank(word, LABEL_WORDS) for word in words)
    return len(cells) > 1 and is_named and not any(map(is_image_name, cells))


def names_labels(header: Sequence[str]) -> bool:
    """Whether one of the columns is named like a column of labels."""
    return any(_rank(_word(name), LABEL_WORDS) for name in header)


def best_label_name(names: Iterable[str]) -> str | None:
    """The name that comes first in `LABEL_WORDS`; None if none of them is there."""
    known = [name for name in names if _rank(_word(name), LABEL_WORDS)]
    return min(known, key=lambda name: _rank(_word(name), LABEL_WORDS), default=None)


def find_columns(table: Table) -> Columns:
    """Find the columns by their names, else by what they hold.

    Raises:
        DataError: the columns of images or labels cannot be told.
    """
    if table.header is None:
        return _unnamed_columns(table)
    return _Finder(table).columns()


def _word(name: str) -> str:
    """A name of a column without case, spaces and punctuation."""
    return "".join(c for c in name.casefold() if c.isalnum())


def _rank(word: str, words: tuple[str, ...]) -> int:
    """The position of a word or its singular in `words`, from 1; 0 if it is not there."""
    for form in (word, word.removesuffix("s")):
        if form in words:
            return words.index(form) + 1
    return 0


class _Finder:
    """Finds the columns of one table with a header."""

    def __init__(self, table: Table) -> None:
        assert table.header is not None
        self._table, self._header = table, table.header
        self._words = [_word(name) for name in table.header]
        self._notes: list[str] = []

    def columns(self) -> Columns:
        splits = self._splits()
        image = self._image(splits)
        labels = self._labels(image, splits)
        used = {image, *splits, *labels}
        ignored = [
            name
            for i, name in enumerate(self._header)
            if i not in used and self._words[i] not in ("", "unnamed0", "indexlevel0", "index")
        ]
        if ignored:
            self._notes.append(f"columns not used: {', '.join(map(repr, ignored))}")
        flags = tuple((i, FLAGS[self._words[i]]) for i in splits if self._words[i] in FLAGS)
        split = splits[0] if splits and not flags else None
        return Columns(image, labels, split, flags, tuple(self._notes))

    def _values(self, column: int) -> list[str]:
        return [row.cells[column] for row in self._table.rows if column < len(row.cells)]

    def _splits(self) -> list[int]:
        """The column of splits, or the columns of flags; empty if there are none.

        A column of splits is named like one, or holds nothing but names of splits.
        """
        if "split" in self._words:
            return [self._words.index("split")]
        flags = [i for i, word in enumerate(self._words) if word in FLAGS and self._is_flags(i)]
        for i, word in enumerate(self._words):
            values = self._values(i)
            is_named = _rank(word, SPLIT_WORDS) > 0 and any(map(split_of, values))
            if values and (is_named or i in flags):
                return [i] if is_named else flags
        for i, word in enumerate(self._words):
            is_known = _rank(word, LABEL_WORDS) or _rank(word, IMAGE_WORDS)
            if not is_known and self._table.rows and all(map(split_of, self._values(i))):
                self._notes.append(f"the splits are those of the column {self._header[i]!r}")
                return [i]
        return []

    def _image(self, splits: list[int]) -> int:
        """The column of images: by name, else the one that holds names of image files."""
        if self._table.image_column is not None:
            return self._table.image_column
        rest = [
            i
            for i, word in enumerate(self._words)
            if i not in splits and not _rank(word, LABEL_WORDS) and word not in MEASURES
        ]
        rest = [i for i in rest if self._holds_images(i)] or rest
        if known := [i for i in rest if self._image_rank(i)]:
            return min(known, key=self._image_rank)
        if len(rest) != 1:
            raise self._error("images", "path")
        self._notes.append(f"the images are those of the column {self._header[rest[0]]!r}")
        return rest[0]

    def _holds_images(self, column: int) -> bool:
        return any(map(is_image_name, self._values(column)[:20]))

    def _image_rank(self, column: int) -> int:
        return _rank(self._words[column], IMAGE_WORDS)

    def _labels(self, image: int, splits: list[int]) -> tuple[int, ...]:
        """The column of labels: by name, else the only one that is left, or one-hot columns."""
        rest = [i for i in range(len(self._header)) if i not in (image, *splits)]
        known = [i for i in rest if _rank(self._words[i], LABEL_WORDS)]
        if known:
            return (self._named_label(known),)
        rest = [i for i in rest if self._words[i] not in MEASURES]
        if len(rest) > 1 and all(self._is_flags(i) for i in rest):
            self._notes.append(f"{len(rest)} columns of 0 and 1 were read as one label an image")
            return tuple(rest)
        if len(rest) != 1:
            raise self._error("labels", "label")
        self._notes.append(f"the labels are those of the column {self._header[rest[0]]!r}")
        return (rest[0],)

    def _is_flags(self, column: int) -> bool:
        return {value.lower() for value in self._values(column)} <= {*TRUE, *FALSE}

    def _named_label(self, known: list[int]) -> int:
        """Choose one of several columns of labels: all are equivalent, or one is named label."""
        best, *others = sorted(known, key=lambda i: _rank(self._words[i], LABEL_WORDS))
        different = [i for i in others if not self._say_the_same(best, i)]
        if different and "label" in self._words:
            return self._words.index("label")
        if different:
            names = f"{self._header[best]!r} and {self._header[different[0]]!r}"
            raise DataError(
                f"{self._table.path} has two different columns of labels, {names}; "
                "call the one to use label, or remove the other"
            )
        return best

    def _say_the_same(self, first: int, second: int) -> bool:
        """Whether the values of two columns correspond one to one."""
        pairs = set(zip(self._values(first), self._values(second), strict=False))
        return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})

    def _error(self, what: str, name: str) -> DataError:
        columns = ", ".join(map(repr, self._header))
        return DataError(
            f"{self._table.path}: none of its columns, {columns}, is known to hold {what}; "
            f"call it {name}"
        )


def _unnamed_columns(table: Table) -> Columns:
    """Columns of a list without a header: path, label and perhaps split, by what they hold."""
    rows = [row.cells for row in table.rows]
    width = len(rows[0])
    columns = [[cells[i] for cells in rows if i < len(cells)] for i in range(width)]
    images = [i for i in range(width) if all(map(is_image_name, columns[i]))]
    image = images[0] if len(images) == 1 and width in (2, 3) else 0
    rest = [i for i in range(width) if i != image]
    if width != 3:
        return Columns(image, tuple(rest[:1]) or (1,), None)
    if image == 2 and all(map(_is_number, columns[0] + columns[1])):
        return Columns(image, (1,), None)  # mxnet's im2rec
    if image == 1 and _counts_up(columns[0]):
        return Columns(image, (2,), None)
    is_first_split = all(map(split_of, columns[rest[0]])) and not all(
        map(split_of, columns[rest[1]])
    )
    label, split = reversed(rest) if is_first_split else rest
    return Columns(image, (label,), split)


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal()


def _counts_up(values: list[str]) -> bool:
    """Whether values are 0, 1, 2, .. or 1, 2, 3, .., as pandas writes an index."""
    return any(values == [str(i + start) for i in range(len(values))] for start in (0, 1))
