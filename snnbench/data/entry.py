"""What the catalog says of a data set: shapes, files, official addresses and checksums, and how events become frames.

Nothing heavy is imported here: the command line lists data sets from this module and `catalog` alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Role = Literal["train", "test", "all", "meta"]
Format = Literal["cifar", "idx", "nmnist", "ncaltech101", "dvsgesture", "aedat4", "shd", "imagenet", "tinyimagenet"]


@dataclass(frozen=True)
class DataFile:
    """One file of an official archive, or one that is downloaded by itself.

    Attributes
    ----------
    name, md5
        File name, and the MD5 published for it.
    role
        What it holds; "all" without an official split.
    url, bytes
        Where it is downloaded from, if not as part of an archive, and its size (0 where it is not known).
    unpacked
        Folders or files that it unpacks to: a user may have these instead.
    """

    name: str
    md5: str
    role: Role
    url: str = ""
    bytes: int = 0
    unpacked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framing:
    """How recordings of events become frames: part of a data set's definition, frozen with it.

    Attributes
    ----------
    sensor
        Height and width of the sensor.
    size
        Height and width of the frames; events of a sensor pixel (y, x) are counted in the frames' pixel
        (y * height // sensor height, x * width // sensor width), as `tonic.transforms.Downsample` moves them.
    steps
        T, number of frames.
    polarities
        Channels: 2, or 1 where the sensor has no polarity.
    window
        Microseconds per frame, from time 0 on; later events are left out. 0 for a T-th of the time between a
        recording's first and last event, rounded down, as `tonic.transforms.ToFrame(n_time_bins=T)`, which leaves out
        the last event or few.
    denoise
        Microseconds within which one of the four neighbours must have fired for an event to count, as
        `tonic.transforms.Denoise`; 0 for no filter.
    binary
        Whether frames say only if there was an event; else how many, 255 standing for 255 and more.
    """

    sensor: tuple[int, int]
    size: tuple[int, int]
    steps: int
    polarities: int = 2
    window: int = 0
    denoise: int = 0
    binary: bool = False

    def describe(self) -> dict[str, Any]:
        """Plain data for records and for the key of cached frames."""
        return asdict(self)


@dataclass(frozen=True)
class Cropping:
    """How photographs of any size become pixels of one size: part of a data set's definition, frozen with it.

    Attributes
    ----------
    resize
        Length that the shorter side is resized to (bilinear); the other keeps the proportion, rounded down.
    size
        Side of the square that is cut from the middle.
    """

    resize: int
    size: int

    def describe(self) -> dict[str, Any]:
        """Plain data for records and for the key of cached pixels."""
        return asdict(self)


@dataclass(frozen=True)
class DataSetInfo:
    """What is known of a data set without opening it.

    Attributes
    ----------
    name, doc
        Short name and one line of description.
    classes
        Number of classes.
    shape
        Channels, height, width.
    sizes
        Samples in each split of the official data.
    scale
        Pixel value that stands for 1.0; pixels are stored as integers 0..scale.
    mean, std
        Per-channel moments of the pixels divided by `scale`, frozen: models are fed with exactly these.
    manifest
        Name of the frozen split manifest.
    licence, reference
        Terms of use, and the work to cite.
    framing
        How recordings become frames; None for images.
    cropping
        How photographs become pixels of one size; None where the files hold pixels.
    embedded
        Whether it comes with an installed package, so that there is nothing to download.
    format
        How the files are written.
    class_names
        Names of the classes, where the files do not have them.
    url, archive_bytes, archive_md5, archive_sha256
        The official archive and how to recognise it.
    page
        Where people get what is not downloaded by a program.
    folder
        Folder inside the archive.
    files
        The files in that folder that are used; without an archive, those that are downloaded one by one.
    label_key, names_key
        Keys of the labels and of the class names in the files' dictionaries.
    """

    name: str
    doc: str
    classes: int
    shape: tuple[int, int, int]
    sizes: Mapping[str, int]
    scale: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    manifest: str
    licence: str
    reference: str
    framing: Framing | None = None
    cropping: Cropping | None = None
    embedded: bool = False
    format: Format = "cifar"
    class_names: tuple[str, ...] = ()
    url: str = ""
    archive_bytes: int = 0
    archive_md5: str = ""
    archive_sha256: str = ""
    page: str = ""
    folder: str = ""
    files: tuple[DataFile, ...] = ()
    label_key: str = "labels"
    names_key: str = "label_names"

    @property
    def origin(self) -> str:
        """Where it comes from, for people: a page, the archive's address, or the addresses of the files."""
        return self.page or self.url or ", ".join(dict.fromkeys(file.url for file in self.files))

    @property
    def downloadable(self) -> bool:
        """Whether `snnbench data fetch` can bring it."""
        return bool(self.url) or any(file.url for file in self.files)

    @property
    def converted(self) -> bool:
        """Whether the files are read once and kept in the cache as an array: recordings, photographs."""
        return not self.embedded and (self.framing is not None or self.cropping is not None)

    @property
    def converts_to(self) -> str:
        """What the files are made into, for people."""
        return "frames" if self.framing else "pixels"

    @property
    def kind(self) -> Literal["images", "events"]:
        """Images, or events as frames."""
        return "images" if self.framing is None else "events"

    @property
    def steps(self) -> int | None:
        """T, frames per sample of event data; None for images."""
        return None if self.framing is None else self.framing.steps

    @property
    def values(self) -> str:
        """What a pixel holds, for people."""
        if self.framing is None:
            return f"0..{self.scale}"
        return "0 or 1 (binary)" if self.framing.binary else "events (counts)"

    @property
    def archive(self) -> str:
        """File name of the official archive."""
        return self.url.rpartition("/")[2]
