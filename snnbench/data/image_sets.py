"""Catalog entries of photographs in folders: resized and cut to one size once.

The MD5s of ImageNet's archives are those that torchvision pins; MD5, size and address of Tiny ImageNet's those in
circulation. Both come with a test set without labels: their validation set is the test split, as in publications.
"""

from snnbench.data.entry import Cropping, DataFile, DataSetInfo

_TERMS = "for non-commercial research and education, see image-net.org"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

IMAGE_SETS = (
    DataSetInfo(
        name="tinyimagenet",
        doc="Tiny ImageNet: photographs of 200 kinds of things, 64x64 RGB",
        classes=200,
        shape=(3, 64, 64),
        sizes={"search": 90_000, "validation": 10_000, "test": 10_000},
        scale=255,
        mean=_MEAN,
        std=_STD,
        manifest="tinyimagenet-1",
        licence=_TERMS,
        reference="Y. Le, X. Yang, Tiny ImageNet Visual Recognition Challenge, Stanford CS231n, 2015",
        cropping=Cropping(resize=64, size=64),
        format="tinyimagenet",
        files=(
            DataFile(
                "tiny-imagenet-200.zip",
                "90528d7ca1a48142e341f4ef8d21d0de",
                "all",
                "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                248_100_043,
                unpacked=("tiny-imagenet-200",),
            ),
        ),
    ),
    DataSetInfo(
        name="imagenet",
        doc="ImageNet (ILSVRC 2012): photographs of 1,000 kinds of things; your own folder",
        classes=1000,
        shape=(3, 224, 224),
        sizes={"search": 1_255_544, "validation": 25_623, "test": 50_000},
        scale=255,
        mean=_MEAN,
        std=_STD,
        manifest="imagenet-1",
        licence=_TERMS,
        reference="O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 115, 2015, "
        "arXiv:1409.0575",
        cropping=Cropping(resize=256, size=224),
        format="imagenet",
        page="https://image-net.org/challenges/LSVRC/2012 (after registration)",
        files=(
            DataFile("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e", "train", unpacked=("train",)),
            DataFile("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622", "test", unpacked=("val",)),
        ),
    ),
)
