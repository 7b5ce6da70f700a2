"""T1 of three patients with a label map each: fluid 1, white 2, grey 3 by Otsu's thresholds, lesions 8 by hand."""
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from common.transforms import head_mask

source, out = map(Path, sys.argv[1:])
for folder in sorted(source.glob("patient*")):
    read = lambda name: nib.as_closest_canonical(nib.load(folder / f"{name}.nii.gz"))
    scan, lesion = read("t1"), read("lesions").get_fdata() > 0
    t1 = scan.get_fdata(dtype=np.float32)
    head = head_mask(t1, None, 2, folder.name)
    order = np.digitize(t1, threshold_multiotsu(t1[head], 3))
    order = ndimage.median_filter(order, 3)
    labels = np.where(head, np.array([1, 3, 2])[order], 0)
    labels[lesion & head] = 8
    white = (labels == 2) & (ndimage.distance_transform_edt(~lesion) > 2)
    print(folder.name, np.bincount(labels.ravel()) / head.sum(), white.sum())
    own = out / folder.name
    own.mkdir(parents=True)
    save = lambda name, values: nib.save(nib.Nifti1Image(values.astype(np.uint8), scan.affine), own / f"{name}.nii.gz")
    save("labels", labels), save("lesion", lesion & head), save("nawm", white & head)
    for name, new in {"t1": "mr", "t2": "t2", "flair": "flair"}.items():
        nib.save(read(name), own / f"{new}.nii.gz")
