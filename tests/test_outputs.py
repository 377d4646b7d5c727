"""Samples in the formats of other programs."""

import json

import jaxtyping
import numpy as np
import pytest

from nmm.observe import to_volume, write_bids

bold = np.arange(12.0).reshape(4, 3) / 7


def test_bids_pair_holds_the_samples_and_their_meaning(tmp_path):
    labels = ["V1", "V2", "MT"]
    table, sidecar = write_bids(
        tmp_path / "sub-01_timeseries", bold, 720.0, labels, unit="%", start=1440.0, TaskName="rest"
    )
    assert table.name == "sub-01_timeseries.tsv"
    assert table.read_text().splitlines()[0] == "V1\tV2\tMT"
    np.testing.assert_allclose(np.loadtxt(table, skiprows=1), bold, rtol=1e-8)
    meaning = json.loads(sidecar.read_text())
    assert meaning["RepetitionTime"] == 0.72 and meaning["StartTime"] == 1.44
    assert meaning["SamplingFrequency"] == pytest.approx(1 / 0.72)
    assert meaning["V2"] == {"Units": "%"} and meaning["TaskName"] == "rest"


def test_volume_has_the_signal_of_a_region_in_its_voxels():
    atlas = np.array([[[0, 1], [3, 1]]])
    volume = to_volume(bold, atlas)
    assert volume.shape == (1, 2, 2, 4) and volume.dtype == np.float32
    np.testing.assert_array_equal(volume[0, 0, 0], 0)
    np.testing.assert_allclose(volume[0, 1, 0], bold[:, 2], rtol=1e-6)
    np.testing.assert_allclose(volume[0, 0, 1], volume[0, 1, 1])


def test_what_does_not_fit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="`labels` should be 3 different names"):
        write_bids(tmp_path / "x", bold, 720.0, ["a", "b"])
    with pytest.raises(ValueError, match="`labels` should be 3 different names"):
        write_bids(tmp_path / "x", bold, 720.0, ["a", "b", "b"])
    with pytest.raises(ValueError, match="`atlas` should hold whole numbers from 0 to 3"):
        to_volume(bold, np.array([[[0, 4]]]))
    with pytest.raises(ValueError, match=r"`atlas` should be \(x, y, z\), got the shape \(2,\)"):
        to_volume(bold, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"`bold` should be \(time, regions\), got"):
        to_volume(bold[0], np.array([[[0, 1]]]))
    with pytest.raises(ValueError, match=r"`samples` should be \(time, columns\), got"):
        write_bids(tmp_path / "x", bold[0], 720.0)
    with pytest.raises(ValueError, match="`period` should be a positive number of ms, got 0"):
        write_bids(tmp_path / "x", bold, 0.0)


def test_missing_values_are_not_available_in_bids(tmp_path):
    table, _ = write_bids(tmp_path / "x", np.array([[1.0, np.nan]]), 720.0)
    assert table.read_text().splitlines()[1] == "1\tn/a"
