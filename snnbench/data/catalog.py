"""The data sets snnbench knows.

Nothing heavy is imported here: the command line lists data sets from this module and `entry` alone.
"""

from snnbench.data.entry import DataFile, DataSetInfo, Framing
from snnbench.data.event_sets import EVENT_SETS
from snnbench.data.image_sets import IMAGE_SETS
from snnbench.errors import unknown

_KRIZHEVSKY = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, Univ. of Toronto, 2009"
_CIFAR_TERMS = "no licence is stated; the authors ask for the citation"

_DIGITS = DataSetInfo(
    name="digits",
    doc="handwritten digits, 8x8 grey; embedded in scikit-learn",
    classes=10,
    shape=(1, 8, 8),
    sizes={"search": 1000, "validation": 400, "test": 397},
    scale=16,
    mean=(0.3056,),
    std=(0.3765,),
    manifest="digits-1",
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    reference="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, doi:10.24432/C50P49",
    embedded=True,
)

_EVENTS = DataSetInfo(
    name="events",
    doc="handwritten digits, 8x8, moved before a simulated event camera; embedded",
    classes=10,
    shape=(2, 12, 12),
    sizes={"search": 1000, "validation": 400, "test": 397},
    scale=1,
    mean=(0.0, 0.0),
    std=(1.0, 1.0),
    manifest="events-1",
    licence=_DIGITS.licence,
    reference=_DIGITS.reference,
    framing=Framing(sensor=(12, 12), size=(12, 12), steps=6, window=50_000),
    embedded=True,
)

# The archives' SHA-256 are those that Keras pins, the MD5s of archives and files those that torchvision pins.
_CIFAR10 = DataSetInfo(
    name="cifar10",
    doc="photographs of 10 kinds of objects, 32x32 RGB",
    classes=10,
    shape=(3, 32, 32),
    sizes={"search": 45_000, "validation": 5_000, "test": 10_000},
    scale=255,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    manifest="cifar10-1",
    licence=_CIFAR_TERMS,
    reference=_KRIZHEVSKY,
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive_bytes=170_498_071,
    archive_md5="c58f30108f718f92721af3b95e74349a",
    archive_sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    files=(
        DataFile("data_batch_1", "c99cafc152244af753f735de768cd75f", "train"),
        DataFile("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec", "train"),
        DataFile("data_batch_3", "54ebc095f3ab1f0389bbae665268c751", "train"),
        DataFile("data_batch_4", "634d18415352ddfa80567beed471001a", "train"),
        DataFile("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb", "train"),
        DataFile("test_batch", "40351d587109b95175f43aff81a1287e", "test"),
        DataFile("batches.meta", "5ff9c542aee3614f3951f8cda6e48888", "meta"),
    ),
)

_CIFAR100 = DataSetInfo(
    name="cifar100",
    doc="photographs of 100 kinds of objects, 32x32 RGB (fine labels)",
    classes=100,
    shape=(3, 32, 32),
    sizes={"search": 45_000, "validation": 5_000, "test": 10_000},
    scale=255,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    manifest="cifar100-1",
    licence=_CIFAR_TERMS,
    reference=_KRIZHEVSKY,
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    archive_bytes=169_001_437,
    archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    archive_sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    folder="cifar-100-python",
    files=(
        DataFile("train", "16019d7e3df5f24257cddd939b257f8d", "train"),
        DataFile("test", "f0ef6b0ae62326f3e7ffdfab6717acfc", "test"),
        DataFile("meta", "7973b15100ade9c7d40fb424638fde48", "meta"),
    ),
    label_key="fine_labels",
    names_key="fine_label_names",
)

# Mirrors and MD5s are those of torchvision.
_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _idx_files(mirror: str, md5s: tuple[str, ...], sizes: tuple[int, ...]) -> tuple[DataFile, ...]:
    parts = zip(_IDX, md5s, sizes, strict=True)
    return tuple(
        DataFile(name, md5, "train" if name.startswith("train") else "test", mirror + name, size)
        for name, md5, size in parts
    )


_MNIST = DataSetInfo(
    name="mnist",
    doc="handwritten digits, 28x28 grey",
    classes=10,
    shape=(1, 28, 28),
    sizes={"search": 53_994, "validation": 6_006, "test": 10_000},
    scale=255,
    mean=(0.1307,),
    std=(0.3081,),
    manifest="mnist-1",
    licence="no licence is stated; the authors ask for the citation",
    reference="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, "
    "Proc. IEEE 86, 1998",
    format="idx",
    class_names=tuple("0123456789"),
    files=_idx_files(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        (9_912_422, 28_881, 1_648_877, 4_542),
    ),
)

_FASHION = DataSetInfo(
    name="fashion-mnist",
    doc="photographs of 10 kinds of clothing, 28x28 grey",
    classes=10,
    shape=(1, 28, 28),
    sizes={"search": 54_000, "validation": 6_000, "test": 10_000},
    scale=255,
    mean=(0.2860,),
    std=(0.3530,),
    manifest="fashion-mnist-1",
    licence="MIT",
    reference="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747",
    format="idx",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    files=_idx_files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        (26_421_880, 29_515, 4_422_102, 5_148),
    ),
)

CATALOG: dict[str, DataSetInfo] = {
    info.name: info for info in (_DIGITS, _EVENTS, _MNIST, _FASHION, _CIFAR10, _CIFAR100, *IMAGE_SETS, *EVENT_SETS)
}


def info_of(name: str) -> DataSetInfo:
    """The catalog entry of a data set.

    Raises
    ------
    UsageError
        With the nearest names, for an unknown one.
    """
    if name not in CATALOG:
        raise unknown("data set", name, CATALOG, "`snnbench data list` shows all")
    return CATALOG[name]
